"""The only way to randomness: a generator made from the root seed and the id of the thing being made."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(root_seed: int, name: str) -> int:
    """A 63-bit seed for `name` under `root_seed`: stable across machines, processes and Python versions."""
    digest = hashlib.blake2b(f"{root_seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_for(root_seed: int, name: str) -> np.random.Generator:
    """An independent generator for `name` (an id, or an id and a purpose: `scene-000042/cameras`).

    The result depends on nothing else, so work can be split over any number of workers in any order.
    """
    return np.random.Generator(np.random.PCG64(seed_for(root_seed, name)))
