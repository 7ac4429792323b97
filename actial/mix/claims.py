"""Claims in a text that someone else wrote: a small grammar, and whether each claim is true of the stored cameras.

A claim stands in square brackets, in one of the forms below. Everything outside of brackets is free, but for the words that claims are made of: they may
stand nowhere else, nor may numbers, so that nothing is said about sides, directions, sizes or distances that was not checked. What else free text says is
not checked by anybody.

Measured with the verifier's own projection (`verification`), and with formulas of its own: complex numbers on the map, OpenCV's rotation vectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from actial.mix.checked_scene import FalseClaim, Scene
from actial.records import View

STILL_R, STILL_DEG, STILL_LOG = 0.02, 2.0, 0.03
"""A movement, an angle, a change of distance that counts as none: below these."""
ABOUT_DEG, ABOUT_SHARE = 5.0, 0.2
"""An angle is "about" right within either."""
ASIDE_SHARE, MIDDLE_SHARE = 0.02, 0.1
"""Something is on a side of something else, or near the middle, by these shares of the picture's width."""
SLID_SHARE, KEPT_SHARE = 0.045, 0.035
"""It slid, or kept its place, when it went more, or less, than these shares of the picture's width."""
NEARER_R = 0.03
"""A part is nearer than another by at least this share of the first camera's distance."""
LARGER_LOG, SAME_LOG = 0.05, 0.08
"""The object looks larger, or as large, when the logarithm of its apparent size changed by more, or less, than these."""

_WORDS = """
left right leftward rightward leftwards rightwards sideways clockwise counterclockwise anticlockwise forward forwards backward backwards ahead behind up down
upward downward upwards downwards higher lower above below nearer closer farther further nearest closest farthest toward towards away larger smaller bigger
wider turned turns tilted tilts rolled rolls rotated rotates moved moves slid slides shifted shifts approached approaches receded recedes degrees degree
"""
WORDS = _WORDS.split()
"""Words that may stand in claims alone."""
_FORBIDDEN = re.compile(rf"\b(?:{'|'.join(WORDS)})\b|\d|°", re.IGNORECASE)
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


class Unclear(Exception):
    """A text that cannot be judged; the first argument is the reason it is counted under, the second says what."""


class Motion:
    """How the camera went from the first view to the second, and how the object appears."""

    def __init__(self, scene: Scene) -> None:
        first, second = (np.array(view.camera.T_world_cam).reshape(4, 4) for view in scene.views)
        step_m, r_m = second[:3, 3] - first[:3, 3], float(np.linalg.norm(scene.eyes[0] - scene.subject))
        on_map = complex(*step_m[:2])
        aim = -complex(*first[:2, 2])
        self.sideways_r, self.ahead_r = scene.rightward_r, (on_map * aim.conjugate()).real / abs(aim) / r_m
        self.up_r, self.moved_r = float(step_m[2]) / r_m, scene.moved_r
        self.orbit_deg, self.turn_deg = scene.orbit_deg, scene.turn_deg
        slopes = [np.arctan2(-T[2, 2], np.hypot(*T[:2, 2])) for T in (first, second)]
        leans = [np.arctan2(-T[2, 0], T[2, 1]) for T in (first, second)]
        self.pitch_deg = float(np.degrees(slopes[1] - slopes[0]))
        self.roll_deg = float(np.degrees(np.angle(np.exp(1j * (leans[1] - leans[0])))))
        self.rotation_deg = float(np.degrees(np.linalg.norm(cv2.Rodrigues(first[:3, :3].T @ second[:3, :3])[0])))
        distances_m = [float(np.linalg.norm(eye - scene.subject)) for eye in scene.eyes]
        self.farther_log = float(np.log(distances_m[1] / distances_m[0]))
        scales = [np.sqrt(v.camera.K[0] * v.camera.K[4]) / v.camera.width_px / d for v, d in zip(scene.views, distances_m, strict=True)]
        self.larger_log = float(np.log(scales[1] / scales[0]))
        front = scene.views[0].objects[0].front
        self.front_r = None if front is None or abs(complex(*front[:2])) < 1e-6 else _leftward(on_map, complex(*front[:2])) / r_m


def _leftward(step: complex, facing: complex) -> float:
    return (step * facing.conjugate()).imag / abs(facing)


@dataclass(frozen=True)
class Axis:
    """What can be claimed of the camera along one axis: one of two directions, or none."""

    topic: str
    quantity: str
    """Attribute of `Motion`."""
    still: float
    positive: str
    negative: str
    """Empty where there is but one direction."""
    none: str

    def holds(self, claim: str, value: float) -> bool:
        if claim == self.none:
            return abs(value) < self.still
        return value * (1 if claim == self.positive else -1) > self.still

    def true_claim(self, value: float) -> str:
        """The claim that holds, with its angle where it is one."""
        if abs(value) < self.still:
            return self.none
        claim = self.positive if value > 0 else self.negative
        return f"{claim} by about {abs(value):.0f} degrees" if self.is_angle else claim

    @property
    def is_angle(self) -> bool:
        return self.quantity.endswith("_deg") and self.topic != "object's side"


_SIDE, _FRONT = "seen from the object as it faces the first camera, the camera went", "seen out of the object's own front, the camera went"
AXES = (
    Axis("sideways", "sideways_r", STILL_R, "the camera moved to its right", "the camera moved to its left", "the camera moved to neither of its sides"),
    Axis("ahead", "ahead_r", STILL_R, "the camera moved forward", "the camera moved backward", "the camera moved neither forward nor backward"),
    Axis("height", "up_r", STILL_R, "the camera moved up", "the camera moved down", "the camera moved neither up nor down"),
    Axis("place", "moved_r", STILL_R, "the camera changed its place", "", "the camera stayed in its place"),
    Axis(
        "around",
        "orbit_deg",
        STILL_DEG,
        "the camera went counter-clockwise around the object",
        "the camera went clockwise around the object",
        "the camera went neither way around the object",
    ),
    Axis("object's side", "orbit_deg", STILL_DEG, f"{_SIDE} to the left", f"{_SIDE} to the right", f"{_SIDE} to neither side"),
    Axis("front", "front_r", STILL_R, f"{_FRONT} to the left", f"{_FRONT} to the right", f"{_FRONT} to neither side"),
    Axis("distance", "farther_log", STILL_LOG, "the camera ended up farther away", "the camera ended up closer", "the camera kept its distance"),
    Axis("turn", "turn_deg", STILL_DEG, "the camera turned left", "the camera turned right", "the camera turned to neither side"),
    Axis("pitch", "pitch_deg", STILL_DEG, "the camera tilted up", "the camera tilted down", "the camera tilted neither up nor down"),
    Axis("roll", "roll_deg", STILL_DEG, "the camera rolled clockwise", "the camera rolled counter-clockwise", "the camera did not roll"),
    Axis("rotation", "rotation_deg", STILL_DEG, "the camera changed its orientation", "", "the camera kept its orientation"),
)
"""The quantity's sign that each direction has is DESIGN's: right, forward, up, counter-clockwise from above, left turns, right side down, farther."""
DECIDING: dict[str, tuple[str, ...]] = {
    "lateral": ("sideways",),
    "forward": ("ahead",),
    "vertical": ("height",),
    "direction": ("sideways", "ahead", "height", "place"),
    "moved": ("place", "sideways", "ahead", "height"),
    "orbit": ("around",),
    "orbit_angle": ("around",),
    "perspective": ("object's side",),
    "front": ("front",),
    "radial": ("distance",),
    "turn": ("turn",),
    "turn_angle": ("turn",),
    "pitch": ("pitch",),
    "roll": ("roll",),
    "turned": ("rotation", "turn", "pitch", "roll"),
}
"""Topics of which a text must claim one at least, by the kind of its question."""
_AXIS_OF = {claim: axis for axis in AXES for claim in (axis.positive, axis.negative, axis.none) if claim}
_ANGLE = re.compile(r"(.+) by about (\d{1,3}) degrees")


def true_of_camera(first: View, second: View) -> list[str]:
    """A true claim about the camera on every axis that is defined."""
    motion = Motion(Scene(first, second, (1, 1)))
    return [axis.true_claim(value) for axis in AXES if (value := getattr(motion, axis.quantity)) is not None]


def checked(text: str, kind: str, first: View, second: View) -> str:
    """The text without its brackets, after every claim in it was found to be true.

    Raises:
        Unclear: a claim is in no known form, there is none about the pictures or none that decides the kind of question, or free text uses their words.
        FalseClaim: a claim is not so.
    """
    free = _BRACKETS.sub(" ", text)
    if found := re.search(r"[\[\]<>]", free):
        raise Unclear("brackets do not match", f"{found[0]!r} stands alone, or brackets within brackets")
    if found := _FORBIDDEN.search(free):
        raise Unclear("speaks of movement outside of claims", f"{found[0]!r} stands outside of square brackets")
    scene = Scene(first, second, (1, 1))
    motion = Motion(scene)
    topics = {_checked_claim(_plain(claim), scene, motion) for claim in _BRACKETS.findall(text)}
    if PICTURES not in topics:
        raise Unclear("no claim about the pictures", "there is no claim of the first sort, about the pictures")
    if not topics.intersection(DECIDING[kind]):
        raise Unclear("no claim that decides", f"no claim says what was asked: {' or '.join(DECIDING[kind])}")
    return " ".join(_BRACKETS.sub(r"\1", text).split())


PICTURES = "pictures"
"""The topic of claims about what the pictures show."""


def _plain(claim: str) -> str:
    words = " ".join(claim.split()).rstrip(".")
    return words[:1].lower() + words[1:]


def _checked_claim(claim: str, scene: Scene, motion: Motion) -> str:
    """The topic of a claim that is true."""
    angle = _ANGLE.fullmatch(claim)
    axis = _AXIS_OF.get(angle[1] if angle else claim)
    if axis:
        value = getattr(motion, axis.quantity)
        if value is None:
            raise FalseClaim(f"not so: {claim!r}, the object has no front")
        _require(axis.holds(angle[1] if angle else claim, value), claim)
        if angle:
            _require(axis.is_angle and (angle[1] != axis.none), claim)
            _require(abs(int(angle[2]) - abs(value)) <= max(ABOUT_DEG, ABOUT_SHARE * abs(value)), claim)
        return axis.topic
    for form in FORMS:
        if match := form.pattern.fullmatch(claim):
            _require(form.holds(scene, motion, match), claim)
            return PICTURES
    raise Unclear("claim not understood", f"{claim!r} is in none of the forms")


def _require(holds: bool, claim: str) -> None:
    if not holds:
        raise FalseClaim(f"not so: {claim!r}")


@dataclass(frozen=True)
class Form:
    """A claim about the pictures: words, alternatives as `{left/right}`, the names of parts as X and Y."""

    words: str
    holds: Callable[[Scene, Motion, re.Match[str]], bool]

    @property
    def pattern(self) -> re.Pattern[str]:
        pieces = re.split(r"(\{[^}]*\}|\b[XY]\b)", self.words)
        return re.compile(
            "".join(
                f"({'|'.join(map(re.escape, p[1:-1].split('/')))})" if p[:1] == "{" else "([a-z]+(?: [a-z_]+)?)" if p in ("X", "Y") else re.escape(p)
                for p in pieces
            )
        )


def _column(scene: Scene, i: int, p_world: np.ndarray) -> float:
    """Where a point appears, in picture widths from the left edge.

    Raises:
        FalseClaim: it appears nowhere: it is outside of the picture or behind the camera.
    """
    camera = scene.views[i].camera
    ahead = -np.array(camera.T_world_cam).reshape(4, 4)[:3, 2]
    u, v = scene.pixel(i, p_world)
    if (p_world - scene.eyes[i]) @ ahead <= 0 or not (0 <= u <= camera.width_px and 0 <= v <= camera.height_px):
        raise FalseClaim(f"speaks of something that the {_ORDINALS[i]} picture does not show")
    return u / camera.width_px


_ORDINALS = ("first", "second")


def _way(shift: float, way: str) -> bool:
    """Whether a shift, in picture widths to the right, is what is said of it."""
    return abs(shift) < KEPT_SHARE if way == "keeps its place" else (shift if way == "slides right" else -shift) > SLID_SHARE


def _object_at(scene: Scene, motion: Motion, match: re.Match[str]) -> bool:
    aside = _column(scene, _ORDINALS.index(match[2]), scene.subject) - 0.5
    return abs(aside) < MIDDLE_SHARE if match[1] == "near" else (aside if match[1] == "right of" else -aside) > ASIDE_SHARE


def _object_slid(scene: Scene, motion: Motion, match: re.Match[str]) -> bool:
    return _way(_column(scene, 1, scene.subject) - _column(scene, 0, scene.subject), match[1])


def _object_looks(scene: Scene, motion: Motion, match: re.Match[str]) -> bool:
    for i in (0, 1):
        _column(scene, i, scene.subject)
    return abs(motion.larger_log) < SAME_LOG if match[1] == "as large" else (motion.larger_log if match[1] == "larger" else -motion.larger_log) > LARGER_LOG


def _beside(scene: Scene, motion: Motion, match: re.Match[str]) -> bool:
    i = _ORDINALS.index(match[4])
    apart = _column(scene, i, scene.part(match[1])) - _column(scene, i, scene.part(match[3]))
    return (apart if match[2] == "right" else -apart) > ASIDE_SHARE


def _nearer(scene: Scene, motion: Motion, match: re.Match[str]) -> bool:
    r_m = float(np.linalg.norm(scene.eyes[0] - scene.subject))
    asked = (0, 1) if match[3] == "both pictures" else (_ORDINALS.index(match[3].split()[1]),)
    parts = [scene.part(match[n]) for n in (1, 2)]
    for i in asked:
        for part in parts:
            _column(scene, i, part)
    return all(np.linalg.norm(parts[1] - scene.eyes[i]) - np.linalg.norm(parts[0] - scene.eyes[i]) > NEARER_R * r_m for i in asked)


def _against(scene: Scene, motion: Motion, match: re.Match[str]) -> bool:
    apart = [_column(scene, i, scene.part(match[2])) - _column(scene, i, scene.part(match[1])) for i in (0, 1)]
    return _way(apart[1] - apart[0], match[3])


FORMS = (
    Form("the object is {left of/right of/near} the middle of the {first/second} picture", _object_at),
    Form("the object {slides left/slides right/keeps its place} from the first picture to the second", _object_slid),
    Form("the object looks {larger/smaller/as large} in the second picture", _object_looks),
    Form("the X is {left/right} of the Y in the {first/second} picture", _beside),
    Form("the X is nearer to the camera than the Y in {the first picture/the second picture/both pictures}", _nearer),
    Form("against the Y, the X {slides left/slides right/keeps its place}", _against),
)
"""Claims about the pictures."""


def grammar(with_parts: bool) -> Iterator[str]:
    """Every form, a line each, in two sorts; those about parts only where there are some to name."""
    yield "About the pictures:"
    yield from (f"  [{form.words}]" for form in FORMS if with_parts or not re.search(r"\b[XY]\b", form.words))
    yield "About the camera:"
    for axis in AXES:
        choices = "] or [".join(claim for claim in (axis.positive, axis.negative, axis.none) if claim)
        yield f"  [{choices}]" + (f", and [{axis.positive} by about N degrees], for each way" if axis.is_angle else "")
