"""The committed rows, what they say together, and with which certainty."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actial.comparisons import OverSeeds, hierarchical_bootstrap
from actial.rng import generator_for

RESULTS = Path(__file__).with_name("results.jsonl")
Row = dict[str, Any]


def read_rows(path: Path = RESULTS) -> list[Row]:
    """All rows, oldest first."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def append_row(row: Row, path: Path = RESULTS) -> None:
    """Add a row, in one write."""
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n")


@dataclass(frozen=True)
class Rows:
    """The rows of one experiment: one set of params and one commit, by seed and arm."""

    by: dict[tuple[int, str], Row]

    @staticmethod
    def newest(rows: Sequence[Row]) -> Rows:
        """The rows with the params and the commit of the last one."""
        if not rows:
            return Rows({})
        of = lambda row: (row["params_sha"], row["commit"])
        return Rows({(row["seed"], row["arm"]): row for row in rows if of(row) == of(rows[-1])})

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.by})

    def of(self, arm: str) -> list[Row]:
        """An arm's rows, by ascending seed."""
        return [self.by[seed, arm] for seed in self.seeds if (seed, arm) in self.by]

    def accuracies(self, arm: str, mode: str, group: str) -> dict[int, float]:
        """Accuracy of an arm on a group of test questions, by seed; seeds that have no such row or question are left out."""
        found = {row["seed"]: (sum(row["right"][mode][group]), sum(row["weights"][group])) for row in self.of(arm) if group in row["right"].get(mode, {})}
        return {seed: right / weight for seed, (right, weight) in found.items() if weight}

    def groups(self) -> list[str]:
        return list(dict.fromkeys(group for row in self.by.values() for group in row["weights"]))

    def compare(self, one: tuple[str, str], other: tuple[str, str], group: str) -> OverSeeds | None:
        """(arm, mode) minus (arm, mode) on the questions of a group, over the seeds that have both."""
        seeds = [seed for seed in self.seeds if (seed, one[0]) in self.by and (seed, other[0]) in self.by]
        trios = []
        for seed in seeds:
            a, b = self.by[seed, one[0]], self.by[seed, other[0]]
            if a["scenes"] != b["scenes"] or a["weights"] != b["weights"]:
                raise ValueError(f"seed {seed}: {one[0]} and {other[0]} were not asked the same questions")
            if sum(a["weights"].get(group, ())) and all(group in row["right"].get(mode, {}) for row, (_, mode) in ((a, one), (b, other))):
                trios.append((np.array(a["weights"][group]), np.array(a["right"][one[1]][group]), np.array(b["right"][other[1]][group])))
        generator = generator_for(0, f"hierarchical bootstrap/{one}-{other}-{group}")
        return hierarchical_bootstrap(trios, generator) if trios else None


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
