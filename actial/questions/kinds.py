"""The kinds of questions: what each asks, in which words, and which quantity of `geometry.angles.Motion` decides it.

A label is always one of left, right, none. For orbit, left means counter-clockwise seen from above and right means clockwise, as DESIGN
section 6 has left turns and counter-clockwise orbits positive; its option texts say it in those words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actial.geometry.angles import Motion
from actial.params import Band, BuildQA
from actial.records import Label

LABELS: tuple[Label, ...] = ("left", "right", "none")
LEFT, RIGHT, NONE = range(3)
"""Places in `LABELS`; a decision below zero is a reason for not asking, see `REASONS`."""

REASONS = {
    -1: "size between none and asked",
    -2: "larger than asked",
    -3: "camera near the subject's vertical axis",
    -4: "camera pitched too far",
    -5: "subject moved between the views",
    -6: "undefined: camera looks straight up or down, or stands where the subject is",
    -7: "subject not in both pictures",
    -8: "something beside the subject moved between the views",
}
BETWEEN, BEYOND, NEAR_AXIS, PITCHED, SUBJECT_MOVED, UNDEFINED, OUT_OF_SIGHT, OTHER_MOVED = REASONS


@dataclass(frozen=True)
class Kind:
    """One kind of question about an ordered pair of views."""

    name: str
    quantity: str
    """Field of `Motion` whose sign is the answer."""
    size: str
    """Field of `Motion` that must be below `none_below` for the answer none."""
    band: str
    """Field of the build_qa section with its thresholds."""
    positive: Label
    """What a positive quantity means."""
    around_subject: bool
    """Whether both cameras must stand clear of the subject's vertical axis, and both pictures show its centre."""
    texts: tuple[str, ...]
    """Wordings of the question; the first is the shortest."""
    options: tuple[str, str, str]
    """Texts of left, right, none."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "lateral",
            quantity="lateral_r",
            size="distance_r",
            band="lateral",
            positive="right",
            around_subject=False,
            texts=(
                "Which way did the camera move?",
                "Between the two pictures nothing in the scene moved except the camera. As seen by the camera at the first picture, to which side did it move?",
                "Someone took the first picture, then the second. Judged from where they stood at first, facing as they faced then, which way did they step?",
                "Compare the camera's two positions, not its aim. Relative to its first view, did it end up further left, further right, or in the same place?",
            ),
            options=("left", "right", "it stayed in place"),
        ),
        Kind(
            "orbit",
            quantity="orbit_deg",
            size="orbit_deg",
            band="orbit",
            positive="left",
            around_subject=True,
            texts=(
                "Which way did the camera go around?",
                "The object stood still. Seen from above, in which sense did the camera travel around it from the first picture to the second?",
                "Imagine a map with the object at its middle. On that map, which way round did the camera go, by the shorter arc?",
                "Looking down on the scene, did the camera circle the object like the hands of a clock, against them, or not at all?",
            ),
            options=("counter-clockwise", "clockwise", "not around"),
        ),
        Kind(
            "turn",
            quantity="turn_deg",
            size="turn_deg",
            band="turn",
            positive="left",
            around_subject=False,
            texts=(
                "Which way did the camera turn?",
                "Leave aside where the camera stood. Which way did its viewing direction swing between the first picture and the second?",
                "If the camera was a person's head, to which side did it turn from the first picture to the second?",
                "Compare only the compass directions in which the two pictures were taken. Did the camera rotate to its left, to its right, or neither?",
            ),
            options=("left", "right", "it did not turn"),
        ),
        Kind(
            "perspective",
            quantity="orbit_deg",
            size="orbit_deg",
            band="orbit",
            positive="left",
            around_subject=True,
            texts=(
                "Seen from the object, which way did the camera move?",
                "Suppose the object faces the first camera. From the object's own point of view, to which side did the camera move?",
                "Put yourself in the object's place, looking at the first camera. On which hand does the second camera stand compared with the first?",
                "The object did not move and looks towards the place of the first picture. To its own left or right, or neither, did the camera go?",
            ),
            options=("left", "right", "neither side"),
        ),
    )
}

TIED_CLASS = "sideways"
"""Orbit sense and the perspective of an object that faces camera 1 are one bit by definition. The lateral sign is the same bit where
camera 1 looks at the subject closely enough, see `lateral_is_tied`."""


def decide(kind: Kind, motion: Motion, subject_moved: np.ndarray, settings: BuildQA, in_both: np.ndarray | bool = True) -> np.ndarray:
    """(n,) int8: `LEFT`, `RIGHT` or `NONE` where the pair is asked about, else a key of `REASONS`.

    Args:
        subject_moved: (n,) bool.
        in_both: (n,) whether the subject's centre lies in both pictures. What went on around a thing can only be told where it is seen; which way the camera
            itself went or turned, from anything that stands still.
    """
    band = band_of(kind, settings)
    value, size = getattr(motion, kind.quantity), np.abs(getattr(motion, kind.size))
    positive = LABELS.index(kind.positive)
    code = np.where(value > 0, positive, 1 - positive).astype(np.int8)
    code[np.abs(value) < band.asked_from] = BETWEEN
    code[np.abs(value) > (band.asked_to or np.inf)] = BEYOND
    code[size < band.none_below] = NONE
    if kind.around_subject:
        code[motion.min_level_distance_r <= settings.min_level_distance_r] = NEAR_AXIS
        code[~np.broadcast_to(in_both, code.shape)] = OUT_OF_SIGHT
    code[motion.max_pitch_deg > settings.max_pitch_deg] = PITCHED
    code[subject_moved] = SUBJECT_MOVED
    code[~(np.isfinite(value) & np.isfinite(size))] = UNDEFINED
    return code


def margins(kind: Kind, motion: Motion, code: np.ndarray, settings: BuildQA) -> np.ndarray:
    """(n,) distance of what decides each label from the nearest boundary of that label, as a share of that boundary."""
    band = band_of(kind, settings)
    value, size = np.abs(getattr(motion, kind.quantity)), np.abs(getattr(motion, kind.size))
    asked = value / band.asked_from - 1
    if band.asked_to is not None:
        asked = np.minimum(asked, 1 - value / band.asked_to)
    return np.where(code == NONE, 1 - size / band.none_below, asked)


def lateral_is_tied(motion: Motion, settings: BuildQA) -> np.ndarray:
    """(n,) bool: whether lateral sign and orbit sense cannot disagree, wherever camera 2 stands.

    With the subject at bearing φ from camera 1, a camera 2 at orbit angle θ ≥ asked_from has lateral_r ≤ sin φ when it is on the
    other side, if φ < θ and θ + φ < 180°: too little to be asked about once sin φ is below the lateral asked_from.
    """
    bearing_deg = np.abs(motion.bearing_deg)
    widest_deg = min(settings.orbit.asked_from, 180.0 - (settings.orbit.asked_to or 180.0))
    return (bearing_deg < widest_deg) & (np.sin(np.radians(bearing_deg)) < settings.lateral.asked_from)


def band_of(kind: Kind, settings: BuildQA) -> Band:
    """The thresholds of a kind."""
    band: Band = getattr(settings, kind.band)
    return band


def unit_of(kind: Kind) -> str:
    """Unit of a kind's deciding quantity."""
    return "deg" if kind.quantity.endswith("_deg") else "r"


def kinds_of(settings: BuildQA) -> Sequence[Kind]:
    """The kinds asked, in the order of `KINDS`."""
    return [kind for name, kind in KINDS.items() if name in settings.kinds]
