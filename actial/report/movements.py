"""What stands elsewhere in some views of a scene than in its first: said in words, and marked in sketches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actial.records import SceneObject, View
from actial.report.overlay import number_of

MOVED_SHARE = 1e-3
"""Of its size: what lies nearer to its first place stayed there."""


@dataclass(frozen=True)
class Movement:
    """One other place of an object."""

    before: SceneObject
    """As it stands in the first view that has it."""
    after: SceneObject
    views: tuple[View, ...]
    """Those in which it stands there."""

    def distance(self) -> float:
        """Between both places, in the world's unit."""
        return float(np.linalg.norm(self.after.center() - self.before.center()))

    def name(self) -> str:
        """What a person would call it."""
        return f"{self.before.color} {self.before.shape}" if self.before.color else self.before.name


def movements(views: Sequence[View]) -> list[Movement]:
    """Every other place of every object of a scene, in the order of its views."""
    first: dict[str, SceneObject] = {}
    found: dict[SceneObject, list[View]] = {}
    for view in views:
        for o in view.objects:
            before = first.setdefault(o.name, o)
            if np.linalg.norm(o.center() - before.center()) > MOVED_SHARE * max(o.size_m):
                found.setdefault(o, []).append(view)
    return [Movement(first[o.name], o, tuple(there)) for o, there in found.items()]


def told(moved: Sequence[Movement], unit: str) -> str:
    """All movements in words."""
    numbers = lambda m: ", ".join(map(number_of, m.views))
    return "; ".join(f"in views {numbers(m)} the {m.name()} stands {m.distance():.2f} {unit} from where it stands in the first that shows it" for m in moved)
