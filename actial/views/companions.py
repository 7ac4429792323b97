"""Companions: other things that stand around the subject of a scene, on the ground; one of them may stand elsewhere in a second state of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actial.geometry.poses import passes_through_box
from actial.records import SceneObject
from actial.views.arrangements import Solid

FAMILY = "solid"
"""Geometry family of every companion. They are solids of our own around assets, too: an asset stands in the scenes of one split alone, and one that kept
company to the assets of another would be learned there."""

MOST_HIDDEN = 0.15
"""Share of the subject's points that companions may hide from a camera."""


@dataclass(frozen=True, slots=True)
class Companions:
    """The companions of a scene, in its one or two states."""

    first: tuple[Solid, ...] = ()
    """As they stand in the first state."""
    second: tuple[Solid, ...] = ()
    """As they stand in the second, in the same order; empty where there is none."""

    def in_state(self, state: int) -> tuple[Solid, ...]:
        """As they stand in state 0 or 1; a scene of one state is the same in both."""
        return self.second if state and self.second else self.first

    def rows(self, state: int) -> tuple[SceneObject, ...]:
        """A row of `View.objects` for each."""
        return tuple(SceneObject(s.name, s.shape, FAMILY, s.color, tuple(s.pose().ravel().tolist()), s.size_m) for s in self.in_state(state))

    def places(self) -> tuple[Solid, ...]:
        """Everything that stands there in some state, once."""
        return tuple(dict.fromkeys(self.first + self.second))

    def corners(self) -> np.ndarray:
        """(8 n, 3) corners of the boxes around all n places, world, metres."""
        return np.concatenate([np.empty((0, 3)), *(s.corners() for s in self.places())])

    def hidden_share(self, eye: np.ndarray, points: np.ndarray) -> float:
        """Share of points (n, 3) to which the way from `eye` (3,) leads through some companion's box, in the state that hides more."""
        behind = {s: passes_through_box(eye, points, s.pose(), np.array(s.size_m)) for s in self.places()}
        states = (self.first, self.second) if self.second else (self.first,)
        return max((float(np.any([behind[s] for s in state], axis=0).mean()) for state in states if state), default=0.0)


ALONE = Companions()
"""No companion."""
