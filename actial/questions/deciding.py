"""Truth: which label of a kind holds for a pair, or why the pair is not asked about."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np

from actial.geometry.angles import Motion
from actial.params_questions import Band, BuildQA
from actial.questions.kinds import ALWAYS, NEVER, Kind

REASONS = {
    -1: "size between none and asked",
    -2: "larger than asked",
    -3: "camera near the subject's vertical axis",
    -4: "camera pitched too far",
    -5: "subject moved between the views",
    -6: "undefined: camera looks straight up or down, or stands where the subject is",
    -7: "subject not in both pictures",
    -8: "something beside the subject moved between the views",
    -9: "no direction leads the others clearly",
    -10: "no front is annotated, or it points straight up or down",
}
"""Why a pair is not asked about; what is decided is one of these, or a place among the kind's labels."""
BETWEEN, BEYOND, NEAR_AXIS, PITCHED, SUBJECT_MOVED, UNDEFINED, OUT_OF_SIGHT, OTHER_MOVED, UNCLEAR, NO_FRONT = REASONS


def decide(kind: Kind, motion: Motion, subject_moved: np.ndarray, settings: BuildQA, in_both: np.ndarray | bool = True) -> np.ndarray:
    """(n,) int8: the place in `kind.labels` where the pair is asked about, else a key of `REASONS`.

    Args:
        subject_moved: (n,) bool.
        in_both: (n,) whether the subject's centre lies in both pictures.
    """
    band = band_of(kind, settings)
    size = np.abs(getattr(motion, kind.size))
    value, code, lead = _leading(kind, motion)
    code[lead < settings.direction_ratio] = UNCLEAR
    code[value < band.asked_from] = BETWEEN
    code[value > (band.asked_to or np.inf)] = BEYOND
    code[size < band.none_below] = kind.zero
    if kind.around_subject:
        code[motion.min_level_distance_r <= settings.min_level_distance_r] = NEAR_AXIS
    if kind.about_subject:
        code[~np.broadcast_to(in_both, code.shape)] = OUT_OF_SIGHT
    code[motion.max_pitch_deg > settings.max_pitch_deg] = PITCHED
    code[subject_moved] = SUBJECT_MOVED
    code[~(np.isfinite(value) & np.isfinite(size))] = UNDEFINED
    if kind.quantity == "front_r":
        code[np.isnan(motion.front_bearing_deg)] = NO_FRONT
    return code


def margins(kind: Kind, motion: Motion, code: np.ndarray, settings: BuildQA) -> np.ndarray:
    """(n,) distance of what decides each label from the nearest boundary of that label, as a share of that boundary."""
    band = band_of(kind, settings)
    size = np.abs(getattr(motion, kind.size))
    value, _, lead = _leading(kind, motion)
    asked = value / band.asked_from - 1
    if band.asked_to is not None:
        asked = np.minimum(asked, 1 - value / band.asked_to)
    if len(kind.axes) > 1:
        asked = np.minimum(asked, lead / settings.direction_ratio - 1)
    return np.where(code == kind.zero, 1 - size / band.none_below, asked)


def _leading(kind: Kind, motion: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pair, (n,): how large the largest of the kind's quantities is, what its sign says, and how many times as large as the next it is."""
    positive = np.array([kind.labels.index(axis.positive) for axis in kind.axes], dtype=np.int8)
    negative = np.array([kind.labels.index(axis.negative) for axis in kind.axes], dtype=np.int8)
    if len(kind.axes) == 1:
        value = getattr(motion, kind.quantity)
        return np.abs(value), np.where(value > 0, positive, negative), np.full(len(value), np.inf)
    values = np.stack([getattr(motion, axis.quantity) for axis in kind.axes])
    sizes = np.abs(values)
    first = np.argmax(sizes, axis=0)
    signed = np.take_along_axis(values, first[None], axis=0)[0]
    *_, second, largest = np.sort(sizes, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        lead = largest / second
    return largest, np.where(signed > 0, positive[first], negative[first]), lead


def is_tied(kind: Kind, motion: Motion, settings: BuildQA) -> np.ndarray:
    """(n,) bool: whether each pair's question asks the bit of `kinds.TIED_CLASS`.

    With the subject at bearing φ from camera 1, a camera 2 at orbit angle θ ≥ asked_from has lateral_r ≤ sin φ when it is on the other side, if φ < θ and
    θ + φ < 180°: too little to be asked about once sin φ is below the lateral asked_from. So lateral sign and orbit sense cannot disagree, wherever camera 2
    stands. The perspective by a front n is the lateral sign of a camera that would look along -n (or n: then with the sides exchanged).
    """
    if kind.tied in (ALWAYS, NEVER):
        return np.full(len(motion.distance_r), kind.tied == ALWAYS)
    bearing_deg = np.abs(getattr(motion, kind.tied))
    if kind.quantity == "front_r":
        bearing_deg = np.minimum(bearing_deg, 180.0 - bearing_deg)
    widest_deg = min(settings.orbit.asked_from, 180.0 - (settings.orbit.asked_to or 180.0))
    return (bearing_deg < widest_deg) & (np.sin(np.radians(bearing_deg)) < band_of(kind, settings).asked_from)


def band_of(kind: Kind, settings: BuildQA) -> Band:
    """The thresholds of a kind, in the unit of what decides it; params give those of distances to the subject as ratios."""
    band: Band = getattr(settings, kind.band)
    if kind.quantity != "radial_log":
        return band
    return replace(band, none_below=log(band.none_below), asked_from=log(band.asked_from), asked_to=None if band.asked_to is None else log(band.asked_to))


def unit_of(kind: Kind) -> str:
    """Unit of the thresholds of a kind in params."""
    if kind.quantity == "residual_px":
        return "px"
    return "deg" if kind.quantity.endswith("_deg") else "times" if kind.quantity == "radial_log" else "r"
