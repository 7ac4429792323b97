"""Which answers the cameras of a scene make possible: a scene in which nothing turns is no use to a question about turns."""

from __future__ import annotations

import numpy as np

from actial.geometry.angles import Motion, motion_between


def offered_labels(poses: np.ndarray, center: np.ndarray, in_sight: np.ndarray | bool = True) -> dict[str, int]:
    """How many ordered pairs of n cameras offer each label, as `kind/label`, by DESIGN's default margins.

    Args:
        poses: (n, 4, 4) `T_world_cam`.
        center: (3,) the subject's centre.
        in_sight: (n,) whether each camera sees it; a way around it is asked about where both do.
    """
    n = len(poses)
    i, j = np.nonzero(~np.eye(n, dtype=bool))
    m = motion_between(poses[i], poses[j], center)
    in_both = np.broadcast_to(in_sight, n)[i] & np.broadcast_to(in_sight, n)[j]
    masks = label_masks(m)
    masks["orbit"] = {label: mask & in_both for label, mask in masks["orbit"].items()}
    return {f"{kind}/{label}": int(np.sum(mask)) for kind, labels in masks.items() for label, mask in labels.items()}


def label_masks(m: Motion) -> dict[str, dict[str, np.ndarray]]:
    """Which pairs offer which label of lateral translation, orbit sense and turn, by DESIGN's default margins."""
    turns = (np.abs(m.turn_deg) >= 10) & (np.abs(m.turn_deg) <= 150)
    orbits = (np.abs(m.orbit_deg) >= 15) & (np.abs(m.orbit_deg) <= 150) & (m.min_level_distance_r > 0.3)
    return {
        "lateral": {"left": m.lateral_r <= -0.15, "right": m.lateral_r >= 0.15, "none": m.distance_r < 0.01},
        "turn": {"left": turns & (m.turn_deg > 0), "right": turns & (m.turn_deg < 0), "none": np.abs(m.turn_deg) < 1},
        "orbit": {"left": orbits & (m.orbit_deg < 0), "right": orbits & (m.orbit_deg > 0), "none": np.abs(m.orbit_deg) < 1},
    }
