"""A front for subjects made of parts: a head on a post that stands outermost on one side, with eyes and a nose that say which way it looks.

Of a head, a board with a face, and a face on a block, drawn at 112, 256 and 448 pixels, the round head with white eyes reads best: they show from the front
and in profile even where they are two pixels, and its back is a plain ball.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actial.views.arrangements import GAP_M, Solid, Vector, overlap

FACE = "face"
"""Name of the head's row among a view's objects."""
HEAD_M, EYE_M, PUPIL_M, NOSE_M = 0.42, 0.14, 0.085, (0.19, 0.09, 0.09)
SKIN_RGB, EYE_RGB, PUPIL_RGB = (0.42, 0.30, 0.21), (0.82, 0.82, 0.80), (0.012, 0.012, 0.014)
LIFT_M = (0.45, 0.8)
"""Height of the head's lowest point."""
CLEARANCE_M = 0.05
_DETAILS = (
    ("head", (HEAD_M, HEAD_M, HEAD_M), (0.0, 0.0, 0.0), SKIN_RGB),
    ("left_eye", (EYE_M, EYE_M, EYE_M), (0.74, 0.43, 0.30), EYE_RGB),
    ("right_eye", (EYE_M, EYE_M, EYE_M), (0.74, -0.43, 0.30), EYE_RGB),
    ("left_pupil", (PUPIL_M, PUPIL_M, PUPIL_M), (0.97, 0.44, 0.31), PUPIL_RGB),
    ("right_pupil", (PUPIL_M, PUPIL_M, PUPIL_M), (0.97, -0.44, 0.31), PUPIL_RGB),
    ("nose", NOSE_M, (1.05, 0.0, -0.15), SKIN_RGB),
)
"""Name, size in metres, place in radii of the head (forward, to its left, up) and albedo of each ball."""


@dataclass(frozen=True, slots=True)
class Front:
    """The front of a subject and what marks it."""

    direction: Vector
    """Unit vector, level, world."""
    head: tuple[Solid, ...]
    """The balls of the head; they overlap each other."""
    stands: tuple[Solid, ...]
    """Its foot and post."""

    def pose(self) -> np.ndarray:
        """(4, 4) pose of the box around the head, its x axis along the front."""
        x, y, _ = self.direction
        T = np.eye(4)
        T[:2, :2] = [[x, -y], [y, x]]
        low, high = self._extent()
        T[:3, 3] = T[:3, :3] @ (low + high) / 2
        return T

    def size_m(self) -> Vector:
        """Extent of that box along its own axes."""
        low, high = self._extent()
        width, depth, height = high - low
        return (float(width), float(depth), float(height))

    def _extent(self) -> tuple[np.ndarray, np.ndarray]:
        x, y, _ = self.direction
        own = np.concatenate([s.corners() for s in self.head]) @ np.array([[x, -y, 0.0], [y, x, 0.0], [0.0, 0.0, 1.0]])
        return own.min(axis=0), own.max(axis=0)


def draw_front(solids: tuple[Solid, ...], middle: np.ndarray, rng: np.random.Generator) -> Front:
    """A front on a side drawn at random, with nothing of the subject before it.

    Args:
        solids: all that the subject is made of.
        middle: (2,) its middle on the ground, metres.
    """
    azimuth_rad, lift_m = float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(*LIFT_M))
    x, y = float(np.cos(azimuth_rad)), float(np.sin(azimuth_rad))
    reach_m = HEAD_M
    while True:
        at = middle + reach_m * np.array([x, y])
        stands = _stands(at, lift_m)
        before = Solid("box", (10.0, HEAD_M, HEAD_M), (*(at + (5.0 - HEAD_M / 2) * np.array([x, y])), lift_m + HEAD_M / 2), azimuth_rad)
        if not any(overlap(new, s, CLEARANCE_M) for new in (before, *stands) for s in solids):
            return Front((x, y, 0.0), _head(at, lift_m + HEAD_M / 2, azimuth_rad), stands)
        reach_m += CLEARANCE_M


def _stands(at: np.ndarray, lift_m: float) -> tuple[Solid, Solid]:
    foot_m, (x, y) = 0.03, (float(v) for v in at)
    low_m, high_m = 2 * GAP_M + foot_m, lift_m + 0.02  # the post reaches into the head, which is round
    foot = Solid("cylinder", (0.24, 0.24, foot_m), (x, y, GAP_M + foot_m / 2), 0.0)
    return foot, Solid("cylinder", (0.09, 0.09, high_m - low_m), (x, y, (low_m + high_m) / 2), 0.0)


def _head(at: np.ndarray, height_m: float, azimuth_rad: float) -> tuple[Solid, ...]:
    c, s = np.cos(azimuth_rad), np.sin(azimuth_rad)
    balls = []
    for name, size_m, (ahead, left, up), rgb in _DETAILS:
        x, y, z = np.array([*at, height_m]) + HEAD_M / 2 * np.array([c * ahead - s * left, s * ahead + c * left, up])
        balls.append(Solid("sphere", size_m, (float(x), float(y), float(z)), azimuth_rad, f"{FACE}_{name}", "", rgb))
    return tuple(balls)
