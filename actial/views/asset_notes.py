"""What is known of an asset that was looked at: notes on the shelf, a folder in a run's scratch, and which scene shows which asset."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from actial import ids
from actial.rng import generator_for
from actial.views.asset_shapes import AssetShape
from actial.views.assets import Asset

ASSETS_FILE, STANDING_FILE = "found.json", "standing.json"
"""On the shelf: the assets that are looked at, and the places among them of those that can be used."""


@dataclass(frozen=True, slots=True)
class AssetNote:
    """What became of an asset that was looked at."""

    asset: Asset
    sha256: str
    shape: AssetShape | None = None
    has_textures: bool = False
    repaired: dict[str, int] | None = None
    """What was mended, and in how many places; None for a refused asset."""
    refused: str | None = None
    """Why it was set aside, in a few words."""
    why: str | None = None
    """The same as a sentence, with the number and the limit."""


def note_file(shelf: Path, place: int) -> Path:
    """Where the note of an asset is, `place` being its number in `ASSETS_FILE`."""
    return shelf / f"{asset_name(place)}.json"


def asset_name(place: int) -> str:
    """What the asset at a place is called between the stage and its workers."""
    return f"asset-{place:06d}"


def read_note(path: Path) -> AssetNote:
    """A note from its file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no note.
    """
    try:
        read = json.loads(path.read_bytes())
        shape = read["shape"]
        if shape is not None:
            shape = AssetShape(shape["n_faces"], tuple(shape["low"]), tuple(shape["high"]), tuple(map(tuple, shape["hull"])), shape["is_round"])
        return AssetNote(**read | {"asset": Asset(**read["asset"]), "shape": shape})
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} is no note of an asset: {error}") from None


def asset_of_scene(shelf: Path, root_seed: int, scene_id: str) -> AssetNote:
    """Which asset a scene shows: all are taken once, in an order drawn by the seed, before one is taken again."""
    places = _standing(shelf)
    turn, place = divmod(ids.scene_index(scene_id), len(places))
    order = generator_for(root_seed, f"assets/{turn}").permutation(len(places))
    return read_note(note_file(shelf, places[int(order[place])]))


@functools.lru_cache(maxsize=4)
def _standing(shelf: Path) -> tuple[int, ...]:
    return tuple(json.loads((shelf / STANDING_FILE).read_bytes()))
