"""Is a chain of thought true? Reads the text and checks every claim against the cameras and the projected centres of the parts.

Shares no code with what writes chains: its own grammar; projection by OpenCV; positions read off in pixels and brought to a camera that faces the
subject (`cv2.undistortPoints` with a rectifying rotation); angles on the map as complex numbers. A claim that is not understood is not true.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from actial.records import Question, SceneObject, View

SLID_SHARE, KEPT_SHARE = 0.045, 0.035
"""The near part slid against the far one, or kept its place, when it is more or less than these shares of the picture's width from where it was."""
NEARER_SHARE = 0.07
"""It is nearer when it is so by this share of the subject's extent in both pictures."""
BEARING_DEG, STILL_DEG, STILL_R = 1.5, 2.0, 0.02
BORDER_PX = 0.01
"""So near the border of two columns or rows, either is true."""

_NO_DISTORTION = np.zeros(5)


class FalseClaim(Exception):
    """A chain says something that is not so, or that cannot be read; the message says what."""


def verify(chain: str, question: Question, first: View, second: View, grid: tuple[int, int]) -> None:
    """Check every claim of a chain, and that its conclusion is the truth of the question.

    Args:
        grid: columns and rows of the grid that quoted places are on.

    Raises:
        FalseClaim: the first claim that is false or not understood.
    """
    scene = _scene(first, second, grid)
    stated: list[str] = []
    rules = _RULES[question.kind]
    for clause in _clauses(chain):
        for pattern, check in rules:
            if match := pattern.fullmatch(clause):
                check(scene, match, stated)
                break
        else:
            raise FalseClaim(f"not understood: {clause!r}")
    if sum(s.startswith("slid") for s in stated) != 1:
        raise FalseClaim("says not once which way the near part went")
    concluded = [s.removeprefix("answer ") for s in stated if s.startswith("answer ")]
    if concluded != [question.label_of(question.truth)]:
        raise FalseClaim(f"concludes {', '.join(concluded) or 'nothing'}")


def _clauses(chain: str) -> list[str]:
    """Sentences of a full chain; the comma-separated clauses of a short one."""
    text = chain.strip()
    if text[:1].isupper():
        return [s if s.endswith(".") else s + "." for s in re.split(r"(?<=\.)\s+", text)]
    return [c.strip() for c in re.split(r"[,:.]", text.removesuffix("."))]


class _Scene:
    """Two cameras and the parts of a subject, measured with OpenCV. What was measured is kept: most claims are about the same few points."""

    def __init__(self, first: View, second: View, grid: tuple[int, int]) -> None:
        self.views, self.grid = (first, second), grid
        subject = first.objects[0]
        self.subject = np.array(subject.T_world_obj).reshape(4, 4)[:3, 3]
        self.extent_m = max(subject.size_m)
        self.ground_m = float(self.subject[2] - subject.size_m[2] / 2)
        self.parts = [o for o in first.objects if o.part_of == subject.name]
        self.eyes = [np.array(v.camera.T_world_cam).reshape(4, 4)[:3, 3] for v in self.views]
        self._cameras = [self._camera(view) for view in self.views]
        self._pixels: dict[tuple[int, bytes], tuple[float, float]] = {}
        self._places: dict[tuple[int, str], set[str]] = {}
        self._depths: dict[tuple[int, bytes], float] = {}
        on_map = [complex(*(eye - self.subject)[:2]) for eye in self.eyes]
        aims = [complex(*(-np.array(v.camera.T_world_cam).reshape(4, 4)[:2, 2])) for v in self.views]
        self.orbit_deg = float(np.degrees(np.angle(on_map[1] / on_map[0])))
        self.turn_deg = float(np.degrees(np.angle(aims[1] / aims[0])))
        step = complex(*(self.eyes[1] - self.eyes[0])[:2])
        self.rightward_r = -(step * aims[0].conjugate()).imag / abs(aims[0]) / float(np.linalg.norm(self.eyes[0] - self.subject))
        self.moved_r = float(np.linalg.norm(self.eyes[1] - self.eyes[0]) / np.linalg.norm(self.eyes[0] - self.subject))

    def part(self, words: str) -> np.ndarray:
        """(3,) centre of the one part that the words name."""
        return np.array(self._named(words).T_world_obj).reshape(4, 4)[:3, 3]

    def _named(self, words: str) -> SceneObject:
        named = [o for o in self.parts if words in (o.color, f"{o.color} {o.shape}")]
        if len(named) != 1:
            raise FalseClaim(f"{words!r} names {len(named)} parts")
        return named[0]

    def nearer(self, i: int, one: str, other: str) -> float:
        """How much nearer than the other the one is to a camera that faces the subject, in extents of the subject."""
        a, b = (self._depth_facing(i, self.part(words)) for words in (one, other))
        return (b - a) / self.extent_m

    def slid(self, one: str, other: str) -> float:
        """How far right the one went beyond the other, in picture widths."""
        at = [[self._pixel(i, self.part(words))[0] / view.camera.width_px for words in (one, other)] for i, view in enumerate(self.views)]
        return (at[1][0] - at[0][0]) - (at[1][1] - at[0][1])

    def columns_apart(self, i: int, one: str, other: str) -> set[int]:
        """How many columns right of the other the one may be told to be."""
        a, b = ({ord(place[0]) for place in self.places(i, words)} for words in (one, other))
        return {x - y for x in a for y in b}

    def places(self, i: int, words: str) -> set[str]:
        """How the place of a part, or of the middle, may be told: two ways where it lies on a border."""
        if (i, words) not in self._places:
            self._places[i, words] = self._measured_places(i, words)
        return self._places[i, words]

    def _measured_places(self, i: int, words: str) -> set[str]:
        point = self.subject if words.startswith("middle") else self.part(words)
        below = np.array([*point[:2], self.ground_m])
        camera = self.views[i].camera
        told = []
        for px, size_px, n, first in (
            (self._pixel(i, point)[0], camera.width_px, self.grid[0], "a"),
            (self._pixel(i, below)[1], camera.height_px, self.grid[1], "A"),
        ):
            ends = (min(max(math.floor((px + shift_px) / size_px * n), 0), n - 1) for shift_px in (-BORDER_PX, BORDER_PX))
            told.append({chr(ord(first) + end) for end in ends})
        return {column + row for column, row in itertools.product(*told)}

    def bearing_deg(self, i: int) -> float:
        """How far right of the picture's middle column the subject appears, once the camera is held level."""
        T = np.array(self.views[i].camera.T_world_cam).reshape(4, 4)
        ahead = -T[:3, 2] * [1.0, 1.0, 0.0]
        return float(np.degrees(np.arctan(self._seen_by_level(i, self.subject, ahead)[0])))

    def _depth_facing(self, i: int, p_world: np.ndarray) -> float:
        """Depth of a point, metres, for a level camera that faces the subject's middle."""
        key = i, p_world.tobytes()
        if key not in self._depths:
            _, depth_m = self._seen_by_level(i, p_world, (self.subject - self.eyes[i]) * [1.0, 1.0, 0.0])
            if depth_m <= 0:
                raise FalseClaim("speaks of a part behind the camera")
            self._depths[key] = depth_m
        return self._depths[key]

    def _seen_by_level(self, i: int, p_world: np.ndarray, ahead: np.ndarray) -> tuple[float, float]:
        """Normalised image column, and depth, of a point for a level camera that looks along `ahead`, by way of its pixel in the real picture."""
        camera = self.views[i].camera
        u, v = self._pixel(i, p_world)
        if not (0 <= u < camera.width_px and 0 <= v < camera.height_px) and not np.array_equal(p_world, self.subject):
            raise FalseClaim("speaks of a part outside the picture")
        ahead = ahead / np.linalg.norm(ahead)
        R_level_world = np.stack([[ahead[1], -ahead[0], 0.0], [0.0, 0.0, -1.0], ahead])
        K, R_cam_world, _ = self._cameras[i]
        rectified = cv2.undistortPoints(np.array([[[u, v]]]), K, _NO_DISTORTION, R=R_level_world @ R_cam_world.T)
        return float(rectified[0, 0, 0]), float((p_world - self.eyes[i]) @ ahead)

    def _pixel(self, i: int, p_world: np.ndarray) -> tuple[float, float]:
        key = i, p_world.tobytes()
        if key not in self._pixels:
            K, R_cam_world, rotation = self._cameras[i]
            pixel, _ = cv2.projectPoints(p_world[None], rotation, -R_cam_world @ self.eyes[i], K, _NO_DISTORTION)
            self._pixels[key] = float(pixel[0, 0, 0]), float(pixel[0, 0, 1])
        return self._pixels[key]

    @staticmethod
    def _camera(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """K, and the rotation to OpenCV's camera axes as a matrix and as a vector."""
        T = np.array(view.camera.T_world_cam).reshape(4, 4)
        R_cam_world = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
        return np.array(view.camera.K).reshape(3, 3), R_cam_world, cv2.Rodrigues(R_cam_world)[0]


_scene = functools.lru_cache(maxsize=16)(_Scene)


Check = Callable[[_Scene, re.Match[str], list[str]], None]


def _quoted(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    _require(all(match[place] in scene.places(i, match["name"]) for i, place in enumerate("ab")), match)


def _near(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    if match["a"]:
        _quoted(scene, match, stated)
    scene.part(match["name"])
    stated.append(f"near {match['name']}")


def _far(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    if match["a"]:
        _quoted(scene, match, stated)
    near = _named_before(stated, "near", match)
    _require(all(scene.nearer(i, near, match["name"]) > NEARER_SHARE for i in (0, 1)), match)
    stated.append(f"far {match['name']}")


def _named_before(stated: list[str], which: str, match: re.Match[str]) -> str:
    named = [s.removeprefix(f"{which} ") for s in stated if s.startswith(f"{which} ")]
    _require(len(named) == 1, match)
    return named[0]


def _slid(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    """Of the two parts named before, in a short chain."""
    _slid_between(scene, match, stated, *(_named_before(stated, which, match) for which in ("near", "far")))


def _nearer_and_slid(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    if "again" in match.groupdict():
        _require(match["again"] == match["near"], match)
    _require(all(scene.nearer(i, match["near"], match["far"]) > NEARER_SHARE for i in (0, 1)), match)
    _slid_between(scene, match, stated, match["near"], match["far"])


def _apart(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    near, far = (match[which] if which in match.groupdict() else _named_before(stated, which, match) for which in ("near", "far"))
    _require(all(int(match[n]) in scene.columns_apart(i, near, far) for i, n in enumerate("cd")), match)


def _counted(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    """How many columns the subject's middle went, and the near part against the far one."""
    near, far = (match[which] if which in match.groupdict() else _named_before(stated, which, match) for which in ("near", "far"))
    middle = [{ord(place[0]) for place in scene.places(i, "middle")} for i in (0, 1)]
    beside = [scene.columns_apart(i, near, far) for i in (0, 1)]
    for n, (before, after) in (("m", middle), ("n", beside)):
        _require(int(match[n]) in {abs(b - a) for a in before for b in after}, match)


def _slid_between(scene: _Scene, match: re.Match[str], stated: list[str], near: str, far: str) -> None:
    slid, way = scene.slid(near, far), match.groupdict().get("way") or "still"
    if match.groupdict().get("c"):
        _apart(scene, match, stated)
    _require(abs(slid) < KEPT_SHARE if way == "still" else (slid if way == "right" else -slid) > SLID_SHARE, match)
    stated.append(f"slid {way}")


def _went(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    """The way around the subject must be so, and must be against the way the near part slid."""
    way = match["way"]
    _require(scene.orbit_deg * (1 if way == "right" else -1) > 0, match)
    against = "left" if way == "right" else "right"
    _require(f"slid {against}" in stated, match)
    if "slid" in match.groupdict():
        _require(match["slid"] == against, match)


def _went_nowhere(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    _require(abs(scene.orbit_deg) < STILL_DEG and "slid still" in stated, match)


def _lateral(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    _went(scene, match, stated)
    _require(scene.rightward_r * (1 if match["way"] == "right" else -1) > STILL_R, match)
    stated.append(f"answer {match['way']}")


def _no_lateral(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    _went_nowhere(scene, match, stated)
    _require(scene.moved_r < STILL_R, match)
    stated.append("answer none")


def _orbit(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    counter = "counter" in match[0]
    if "way" in match.groupdict():
        _require(match["way"] == ("right" if counter else "left"), match)
    _require(scene.orbit_deg * (1 if counter else -1) > STILL_DEG, match)
    stated.append("answer left" if counter else "answer right")


def _perspective(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    side = match["side"]
    if "way" in match.groupdict():
        _require(match["way"] != side, match)
    _require(scene.orbit_deg * (1 if side == "left" else -1) > STILL_DEG, match)
    stated.append(f"answer {side}")


def _not_around(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    _require(abs(scene.orbit_deg) < STILL_DEG, match)
    stated.append("answer none")


def _all_slid(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    """Slide of the whole subject: its bearings, read off the pictures; `less`, `more`, `as much` against the way around."""
    if match.groupdict().get("m"):
        _counted(scene, match, stated)
    slide_deg = scene.bearing_deg(1) - scene.bearing_deg(0)
    if match["slid"] in ("still", None):
        _require(abs(slide_deg) < BEARING_DEG, match)
        return
    _require(slide_deg * (1 if match["slid"] == "right" else -1) > BEARING_DEG, match)
    against = slide_deg * scene.orbit_deg < 0 and abs(scene.orbit_deg) > STILL_DEG
    cancels = abs(scene.turn_deg) < STILL_DEG
    more = abs(slide_deg) > abs(scene.orbit_deg)
    size = {None: not against, "less": not more and not cancels, "more": more and not cancels, "as much": cancels}
    _require(size[match["size"]] and (match["size"] is None or against), match)


def _turned(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    if match["turn"]:
        _require(scene.turn_deg * (1 if match["turn"] == "left" else -1) > STILL_DEG, match)
    else:
        _require(abs(scene.turn_deg) < STILL_DEG, match)
    stated.append(f"answer {match['turn'] or 'none'}")


def _slid_and_turned(scene: _Scene, match: re.Match[str], stated: list[str]) -> None:
    _all_slid(scene, match, stated)
    _turned(scene, match, stated)


def _require(holds: bool | np.bool_, match: re.Match[str]) -> None:
    if not holds:
        raise FalseClaim(f"not so: {match[0]!r}")


def _rules(*rules: tuple[str, Check]) -> list[tuple[re.Pattern[str], Check]]:
    return [(re.compile(pattern), check) for pattern, check in rules]


def _common() -> Iterable[tuple[str, Check]]:
    words = "[a-z]+(?: [a-z_]+)?"
    name, near, far, again = (rf"(?P<{group}>{words})" for group in ("name", "near", "far", "again"))
    way, a, b, c, d = r"(?P<way>left|right)", r"(?P<a>[a-z][A-Z])", r"(?P<b>[a-z][A-Z])", r"(?P<c>[+-]\d+)", r"(?P<d>[+-]\d+)"
    yield rf"near {name}(?: {a} {b})?", _near
    yield rf"far {name}(?: {a} {b})?", _far
    yield rf"(?P<name>middle) {a} {b}", _quoted
    yield rf"(?:apart {c} {d} )?(?:{way}|still)", _slid
    yield rf"The (?P<name>middle of the object) is at {a} in the first picture and at {b} in the second\.", _quoted
    yield rf"The {name} is at {a} in the first picture and at {b} in the second\.", _quoted
    yield rf"In columns, the {near} less the {far} is {c} in the first picture and {d} in the second\.", _apart
    yield rf"The {near} is nearer to the camera than the {far} and (?:slides {way} against it|keeps its place against it)\.", _nearer_and_slid
    yield rf"Against the {far}, which is farther away than the {near}, the {again} (?:shifts to the {way}|does not shift)\.", _nearer_and_slid
    yield rf"With the {far} behind it, the {near} stands nearer, and drifts {way} against what is behind\.", _nearer_and_slid


_WENT = (
    r"camera (?P<way>left|right)",
    r"When what is nearer slides (?P<slid>left|right), the camera has gone to the (?P<way>left|right)\.",
    r"Near things slip to the (?P<slid>left|right) when the camera moves (?P<way>left|right)\.",
)
_NOWHERE = (
    r"camera still",
    r"With nothing shifting sideways, the camera did not go to either side\.",
    r"So the camera kept to its line of sight and did not move sideways\.",
)
_AROUND = [*((p, _went) for p in _WENT), *((p, _went_nowhere) for p in _NOWHERE)]
_RULES = {
    "lateral": _rules(*_common(), *((p, _lateral) for p in _WENT), *((p, _no_lateral) for p in _NOWHERE)),
    "orbit": _rules(
        *_common(),
        *_AROUND,
        (r"counter-clockwise|clockwise", _orbit),
        (r"Facing the object, going (?P<way>left|right) is (?:counter-)?clockwise seen from above\.", _orbit),
        (r"not around|It went neither way around the object\.", _not_around),
    ),
    "perspective": _rules(
        *_common(),
        *_AROUND,
        (r"object (?P<side>left|right)", _perspective),
        (r"The object faces the first camera, so the camera's (?P<way>left|right) is the object's (?P<side>left|right)\.", _perspective),
        (r"object ahead|For the object, the camera stayed straight ahead\.", _not_around),
    ),
    "turn": _rules(
        *_common(),
        *_AROUND,
        (r"all (?P<slid>left|right|still)(?: (?P<m>\d+) against (?P<n>\d+))?(?: (?P<size>less|more|as much))?", _all_slid),
        (r"In columns, the middle of the object moves (?P<m>\d+), and the (?P<near>[a-z ]+) moves (?P<n>\d+) against the (?P<far>[a-z ]+)\.", _counted),
        (r"(?:no turn|turned (?P<turn>left|right))", _turned),
        (
            r"In the picture, the whole object (?:keeps its place|slides (?P<slid>left|right))"
            r"(?:, (?:which is|just) (?P<size>less|more|as much)(?: than| as) the way around accounts for)?,"
            r" so the camera (?:did not turn|turned (?P<turn>left|right))\.",
            _slid_and_turned,
        ),
    ),
}
