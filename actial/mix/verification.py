"""Is a chain of thought true? Reads the text and checks every claim against the cameras and the projected centres of the parts.

Shares no code with what writes chains: its own grammar, and its own measurements (`checked_scene`). A claim that is not understood is not true. Here are the
kinds that are told by two parts in short or whole sentences; the others are in `verified_claims`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from actial.mix.checked_scene import FalseClaim, NotUnderstood, Scene, scene_of
from actial.mix.verified_claims import check_claim, check_claims, sentences_of
from actial.mix.verified_conclusions import KINDS
from actial.mix.verified_evidence import Facts
from actial.records import Question, View

SLID_SHARE, KEPT_SHARE = 0.045, 0.035
"""The near part slid against the far one, or kept its place, when it is more or less than these shares of the picture's width from where it was."""
NEARER_SHARE = 0.07
"""It is nearer when it is so by this share of the subject's extent in both pictures."""
BEARING_DEG, STILL_DEG, STILL_R = 1.5, 2.0, 0.02
NEAR_CELLS = 1
"""A place that is told so many columns or rows beside where it is, is nearly right: small pictures do not show it to the last one."""


@dataclass(frozen=True)
class Claims:
    """What a chain claims, and what came of it."""

    n: int
    """Claims it makes, with those it repeats."""
    n_understood: int
    n_true: int
    """What is repeated counts once."""


def verify(chain: str, question: Question, first: View, second: View, grid: tuple[int, int]) -> None:
    """Check every claim of a chain, and that its conclusion is the truth of the question.

    Args:
        grid: columns and rows of the grid that quoted places are on.

    Raises:
        FalseClaim: the first claim that is false or not understood.
    """
    scene = scene_of(first, second, grid)
    if question.kind not in _RULES:
        return check_claims(chain, question, scene)
    stated: list[str] = []
    for clause in _clauses(chain):
        _check(clause, question.kind, scene, stated)
    if sum(s.startswith("slid") for s in stated) != 1:
        raise FalseClaim("says not once which way the near part went")
    concluded = [s.removeprefix("answer ") for s in stated if s.startswith("answer ")]
    if concluded != [question.label_of(question.truth)]:
        raise FalseClaim(f"concludes {', '.join(concluded) or 'nothing'}")


def share_of_true_claims(chain: str, kind: str, first: View, second: View, grid: tuple[int, int], slack_cells: int = 0) -> float | None:
    """How many claims of a chain are true, as a share of all it makes; see `claims_of`, which says what is passed."""
    claims = claims_of(chain, kind, first, second, grid, slack_cells)
    return None if claims is None else claims.n_true / claims.n


def claims_of(chain: str, kind: str, first: View, second: View, grid: tuple[int, int], slack_cells: int = 0) -> Claims | None:
    """Which claims of a chain are true; one that is not understood, or made before, is not true.

    What is true is as in `verify`, claim by claim: one that builds on a false one may be true. Whether the chain comes to an answer, and to the right one, is
    not asked here: whoever says less has less to be wrong about.

    Args:
        kind: of the question that the chain is about.
        slack_cells: by so many columns and rows of the grid a place may be off.

    Returns:
        None where there is nothing to check against: the kind has no chains, or a view no camera or no object.
    """
    if not (kind in _RULES or kind in KINDS) or not all(view.objects and view.camera.T_world_cam for view in (first, second)):
        return None
    scene = scene_of(first, second, grid, slack_cells)
    check: Callable[[str], None]
    if kind in _RULES:
        claims, stated = _clauses(chain), list[str]()
        check = lambda claim: _check(claim, kind, scene, stated)
    else:
        claims, facts = sentences_of(chain), Facts()
        check = lambda claim: check_claim(claim, scene, facts)
    n_true, strange = 0, set[str]()
    for claim in dict.fromkeys(claims):
        try:
            check(claim)
            n_true += 1
        except NotUnderstood:
            strange.add(claim)
        except FalseClaim:
            pass
    return Claims(len(claims), sum(claim not in strange for claim in claims), n_true)


def _check(clause: str, kind: str, scene: Scene, stated: list[str]) -> None:
    for pattern, check in _RULES[kind]:
        if match := pattern.fullmatch(clause):
            return check(scene, match, stated)
    raise NotUnderstood(f"not understood: {clause!r}")


def _clauses(chain: str) -> list[str]:
    """Sentences of a full chain; the comma-separated clauses of a short one."""
    text = chain.strip()
    if text[:1].isupper():
        return [s if s.endswith(".") else s + "." for s in re.split(r"(?<=\.)\s+", text)]
    return [c.strip() for c in re.split(r"[,:.]", text.removesuffix("."))]


Check = Callable[[Scene, re.Match[str], list[str]], None]


def _quoted(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    _require(all(match[place] in scene.places(i, match["name"]) for i, place in enumerate("ab")), match)


def _near(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    stated.append(f"near {match['name']}")
    if match["a"]:
        _quoted(scene, match, stated)
    scene.part(match["name"])


def _far(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    stated.append(f"far {match['name']}")
    if match["a"]:
        _quoted(scene, match, stated)
    near = _named_before(stated, "near", match)
    _require(all(scene.nearer(i, near, match["name"]) > NEARER_SHARE for i in (0, 1)), match)


def _named_before(stated: list[str], which: str, match: re.Match[str]) -> str:
    named = [s.removeprefix(f"{which} ") for s in stated if s.startswith(f"{which} ")]
    _require(len(named) == 1, match)
    return named[0]


def _slid(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    """Of the two parts named before, in a short chain."""
    _slid_between(scene, match, stated, *(_named_before(stated, which, match) for which in ("near", "far")))


def _nearer_and_slid(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    if "again" in match.groupdict():
        _require(match["again"] == match["near"], match)
    _require(all(scene.nearer(i, match["near"], match["far"]) > NEARER_SHARE for i in (0, 1)), match)
    _slid_between(scene, match, stated, match["near"], match["far"])


def _apart(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    near, far = (match[which] if which in match.groupdict() else _named_before(stated, which, match) for which in ("near", "far"))
    _require(all(int(match[n]) in scene.columns_apart(i, near, far) for i, n in enumerate("cd")), match)


def _counted(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    """How many columns the subject's middle went, and the near part against the far one."""
    near, far = (match[which] if which in match.groupdict() else _named_before(stated, which, match) for which in ("near", "far"))
    middle = [{ord(place[0]) for place in scene.places(i, "middle")} for i in (0, 1)]
    beside = [scene.columns_apart(i, near, far) for i in (0, 1)]
    for n, (before, after) in (("m", middle), ("n", beside)):
        _require(int(match[n]) in {abs(b - a) for a in before for b in after}, match)


def _slid_between(scene: Scene, match: re.Match[str], stated: list[str], near: str, far: str) -> None:
    slid, way = scene.slid(near, far), match.groupdict().get("way") or "still"
    stated.append(f"slid {way}")
    if match.groupdict().get("c"):
        _apart(scene, match, stated)
        _require(int(match["n"]) == abs(int(match["d"]) - int(match["c"])), match)
    _require(abs(slid) < KEPT_SHARE if way == "still" else (slid if way == "right" else -slid) > SLID_SHARE, match)


def _went(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    """The way around the subject must be so, and must be against the way the near part slid."""
    way = match["way"]
    _require(scene.orbit_deg * (1 if way == "right" else -1) > 0, match)
    against = "left" if way == "right" else "right"
    _require(f"slid {against}" in stated, match)
    if "slid" in match.groupdict():
        _require(match["slid"] == against, match)


def _went_nowhere(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    _require(abs(scene.orbit_deg) < STILL_DEG and "slid still" in stated, match)


def _lateral(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    _went(scene, match, stated)
    _require(scene.rightward_r * (1 if match["way"] == "right" else -1) > STILL_R, match)
    stated.append(f"answer {match['way']}")


def _no_lateral(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    _went_nowhere(scene, match, stated)
    _require(scene.moved_r < STILL_R, match)
    stated.append("answer none")


def _orbit(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    counter = "counter" in match[0]
    if "way" in match.groupdict():
        _require(match["way"] == ("right" if counter else "left"), match)
    _require(scene.orbit_deg * (1 if counter else -1) > STILL_DEG, match)
    stated.append("answer left" if counter else "answer right")


def _perspective(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    side = match["side"]
    if "way" in match.groupdict():
        _require(match["way"] != side, match)
    _require(scene.orbit_deg * (1 if side == "left" else -1) > STILL_DEG, match)
    stated.append(f"answer {side}")


def _not_around(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    _require(abs(scene.orbit_deg) < STILL_DEG, match)
    stated.append("answer none")


def _all_slid(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
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


def _turned(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
    if match["turn"]:
        _require(scene.turn_deg * (1 if match["turn"] == "left" else -1) > STILL_DEG, match)
    else:
        _require(abs(scene.turn_deg) < STILL_DEG, match)
    stated.append(f"answer {match['turn'] or 'none'}")


def _slid_and_turned(scene: Scene, match: re.Match[str], stated: list[str]) -> None:
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
    yield rf"apart {c} {d} (?:{way}|still) (?P<n>\d+)", _slid
    yield rf"(?:{way}|still)", _slid
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
