"""Claims of a text that we did not write: true ones pass, false ones are found out, and nothing can be said around them."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from toy_scenes import REPO, rich_views, toy_views

from actial.geometry.angles import Motion as TrueMotion
from actial.geometry.angles import motion_between
from actial.geometry.projection import project
from actial.mirror import mirrored_view
from actial.mix.claims import AXES, DECIDING, FORMS, WORDS, Axis, Unclear, checked, grammar, true_of_camera
from actial.mix.verification import FalseClaim
from actial.params_questions import KINDS_WITH_CHAINS
from actial.records import View

PAIRS = [pair for scene in range(2) for pair in itertools.permutations(rich_views(scene), 2)]
"""Cameras that moved and turned in every way, subjects with fronts of their own."""
SEEN = "[the object is near the middle of the first picture]"

_FIELDS = {
    "sideways": "lateral_r",
    "ahead": "forward_r",
    "height": "up_r",
    "place": "distance_r",
    "around": "orbit_deg",
    "object's side": "perspective_r",
    "front": "front_r",
    "distance": "radial_log",
    "turn": "turn_deg",
    "pitch": "pitch_deg",
    "roll": "roll_deg",
    "rotation": "rotation_deg",
}


def motion(first: View, second: View) -> TrueMotion:
    subject = first.objects[0]
    front = None if subject.front is None else np.array(subject.front)
    return motion_between(first.camera.pose()[None], second.camera.pose()[None], subject.center(), front)


def holds(claim: str, first: View, second: View) -> bool:
    """Whether a claim alone is found to be true; a claim that is not understood fails the test."""
    try:
        checked(f"[{claim}]", "lateral", first, second)
    except FalseClaim:
        return False
    except Unclear as unclear:
        assert unclear.args[0].startswith("no claim"), unclear
    return True


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.topic)
def test_claims_about_the_camera_are_those_of_the_geometry_that_asks(axis: Axis) -> None:
    """`geometry.angles`, which truths come from, shares no code with what checks claims."""
    met = set()
    for first, second in PAIRS:
        value = float(getattr(motion(first, second), _FIELDS[axis.topic])[0])
        if axis.topic == "object's side" or abs(abs(value) - axis.still) < 0.2 * axis.still:
            continue
        expected = axis.none if abs(value) < axis.still else axis.positive if value > 0 else axis.negative
        told = [claim for claim in true_of_camera(first, second) if claim.split(" by about")[0] in (axis.positive, axis.negative, axis.none)]
        assert [claim.split(" by about")[0] for claim in told] == [expected]
        assert {c for c in (axis.positive, axis.negative, axis.none) if c and holds(c, first, second)} == {expected}
        assert holds(told[0], first, second)
        if " by about" in told[0]:
            n = int(told[0].split()[-2])
            assert abs(n - abs(value)) <= 0.51
            assert holds(f"{expected} by about {n + 4} degrees", first, second)
            assert not holds(f"{expected} by about {round(n * 1.25 + 7)} degrees", first, second)
        met.add(expected)
    if axis.topic != "object's side":
        assert met == {c for c in (axis.positive, axis.negative, axis.none) if c}


def test_the_objects_side_is_the_sign_of_the_orbit() -> None:
    side, around = (next(axis for axis in AXES if axis.topic == topic) for topic in ("object's side", "around"))
    for first, second in PAIRS[::5]:
        value = float(motion(first, second).perspective_r[0])
        assert holds(side.positive, first, second) == holds(around.positive, first, second)
        if holds(side.positive, first, second) or holds(side.negative, first, second):
            assert holds(side.positive, first, second) == (value > 0)


def test_every_kind_of_question_can_be_decided_by_a_claim() -> None:
    assert set(DECIDING) == set(KINDS_WITH_CHAINS["teacher"])
    assert {topic for topics in DECIDING.values() for topic in topics} == {axis.topic for axis in AXES}


def columns(view: View, names: list[str]) -> dict[str, float]:
    """Where parts appear, in picture widths; those outside are left out."""
    points = {"object": view.objects[0].center()} | {o.color: o.center() for o in view.objects if o.color in names}
    uv, _ = project(np.stack(list(points.values())), view.camera.intrinsics(), view.camera.pose())
    size = (view.camera.width_px, view.camera.height_px)
    return {name: u / size[0] for name, (u, v) in zip(points, uv, strict=True) if 0 <= u <= size[0] and 0 <= v <= size[1]}


def test_claims_about_the_pictures_are_those_of_the_projection() -> None:
    """Each claim that is clearly so passes, its opposite does not; `geometry.projection` is other code than the verifier's."""
    n = 0
    for first, second in PAIRS[::7]:
        colors = [o.color for o in first.objects[1:]]
        at = [columns(view, colors) for view in (first, second)]
        for i, word in enumerate(("first", "second")):
            if "object" in at[i] and abs(at[i]["object"] - 0.5) > 0.12:
                side, other = ("left", "right") if at[i]["object"] < 0.5 else ("right", "left")
                assert holds(f"the object is {side} of the middle of the {word} picture", first, second)
                assert not holds(f"the object is {other} of the middle of the {word} picture", first, second)
                assert not holds(f"the object is near the middle of the {word} picture", first, second)
            for a, b in itertools.permutations(set(at[i]) - {"object"}, 2):
                if abs(at[i][a] - at[i][b]) > 0.03:
                    side = "left" if at[i][a] < at[i][b] else "right"
                    assert holds(f"the {a} is {side} of the {b} in the {word} picture", first, second)
                    assert not holds(f"the {b} is {side} of the {a} box in the {word} picture", first, second)
                    n += 1
        both = [name for name in at[0] if name in at[1]]
        for a, b in itertools.permutations(set(both) - {"object"}, 2):
            slide = (at[1][a] - at[1][b]) - (at[0][a] - at[0][b])
            if abs(slide) > 0.05:
                way = "slides left" if slide < 0 else "slides right"
                assert holds(f"against the {b}, the {a} {way}", first, second) and not holds(f"against the {a}, the {b} {way}", first, second)
            nearer = [np.linalg.norm(v.camera.pose()[:3, 3] - next(o for o in v.objects if o.color == c).center()) for v in (first, second) for c in (a, b)]
            r_m = float(np.linalg.norm(first.camera.pose()[:3, 3] - first.objects[0].center()))
            if all(x - y > 0.04 * r_m for y, x in (nearer[:2], nearer[2:])):
                assert holds(f"the {a} is nearer to the camera than the {b} in both pictures", first, second)
                assert not holds(f"the {b} is nearer to the camera than the {a} in the second picture", first, second)
        if "object" in both:
            slide = at[1]["object"] - at[0]["object"]
            for way, so in (("slides left", slide < -0.05), ("slides right", slide > 0.05), ("keeps its place", abs(slide) < 0.03)):
                assert not so or holds(f"the object {way} from the first picture to the second", first, second)
            assert sum(holds(f"the object {way} from the first picture to the second", first, second) for way in ("slides left", "slides right")) < 2
    assert n > 150


def test_what_looks_larger_is_nearer_or_seen_through_a_longer_lens() -> None:
    first = rich_views(0)[0]
    T, subject = first.camera.pose(), first.objects[0].center()
    T[:3, 3] = subject + (T[:3, 3] - subject) * 1.5
    away = replace(first, camera=replace(first.camera, T_world_cam=tuple(T.ravel())))
    zoomed = replace(first, camera=replace(first.camera, K=tuple(np.array(first.camera.K) * [1.5, 1, 1, 1, 1.5, 1, 1, 1, 1])))
    for second, word in ((away, "smaller"), (zoomed, "larger"), (first, "as large")):
        assert [w for w in ("smaller", "larger", "as large") if holds(f"the object looks {w} in the second picture", first, second)] == [word]


def test_a_mirror_image_turns_sides_over() -> None:
    turned = {"left": "right", "right": "left", "clockwise": "counter-clockwise", "counter-clockwise": "clockwise"}
    for first, second in PAIRS[::11]:
        claims = true_of_camera(first, second)
        other = [re.sub(r"\b(?:left|right|counter-clockwise|clockwise)\b", lambda m: turned[m[0]], claim) for claim in claims]
        assert true_of_camera(mirrored_view(first), mirrored_view(second)) == other


def true_text(first: View, second: View) -> str:
    """A text about a turn, all of whose claims are true."""
    turn = next(claim for claim in true_of_camera(first, second) if "turn" in claim)
    looks = next(w for w in ("larger", "smaller", "as large") if holds(f"the object looks {w} in the second picture", first, second))
    return f"Both show one thing, and [the object looks {looks} in the second picture]. So [{turn}]."


@pytest.fixture
def pair() -> tuple[View, View]:
    views = toy_views(0)
    return views[0], views[1]


def test_a_true_text_passes_without_its_brackets(pair: tuple[View, View]) -> None:
    text = true_text(*pair)
    assert checked(text, "turn", *pair) == text.replace("[", "").replace("]", "")
    assert checked(text.replace(" one", " \n\n one"), "turn", *pair) == text.replace("[", "").replace("]", "")
    upper = re.sub(r"\[the (.*?)\]", r"[The \1.]", text)
    assert "The object looks" in checked(upper, "turn", *pair)


@pytest.mark.parametrize("word", [*WORDS, "Left", "RIGHT", "counter-clockwise", "3", "30°", "left-hand"])
def test_nothing_is_said_about_movement_outside_of_claims(word: str, pair: tuple[View, View]) -> None:
    with pytest.raises(Unclear, match="outside of claims"):
        checked(f"{true_text(*pair)} All of it {word}.", "turn", *pair)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("[", "(").replace("]", ")"), "speaks of movement outside of claims"),
        (lambda text: text + " [the camera flew]", "claim not understood"),
        (lambda text: text + " []", "claim not understood"),
        (lambda text: text + " [the camera turned to neither side by about 3 degrees]", None),
        (lambda text: text + " [the camera changed its place by about 3 degrees]", None),
        (lambda text: text + " [", "brackets do not match"),
        (lambda text: text + " [[the camera flew]]", "brackets do not match"),
        (lambda text: text + " <image>", "brackets do not match"),
        (lambda text: text + " </think>", "brackets do not match"),
        (lambda text: text.split(" So ")[0], "no claim that decides"),
        (lambda text: "So" + text.split(" So")[1], "no claim about the pictures"),
        (lambda text: "I looked at both.", "no claim about the pictures"),
        (lambda text: "", "no claim about the pictures"),
        (lambda text: text + " [the mauve box is left of the red box in the first picture]", None),
        (lambda text: text + " [seen out of the object's own front, the camera went to the left]", None),
    ],
)
def test_texts_that_are_not_used(change: object, reason: str | None, pair: tuple[View, View]) -> None:
    assert callable(change)
    with pytest.raises(FalseClaim if reason is None else Unclear) as error:
        checked(change(true_text(*pair)), "turn", *pair)
    assert reason is None or error.value.args[0] == reason


def test_one_false_claim_among_true_ones_is_found() -> None:
    n = 0
    for first, second in PAIRS[::9]:
        text = true_text(first, second)
        for claim in true_of_camera(first, second):
            axis = next(a for a in AXES if claim.split(" by about")[0] in (a.positive, a.negative, a.none))
            checked(f"{text} [{claim}]", "turn", first, second)
            for other in {axis.positive, axis.negative, axis.none} - {claim.split(" by about")[0], ""}:
                with pytest.raises(FalseClaim, match="not so"):
                    checked(f"{text} [{other}]", "turn", first, second)
                n += 1
    assert n > 250


def test_what_a_picture_does_not_show_cannot_be_claimed_about_it(pair: tuple[View, View]) -> None:
    first, second = pair
    T = second.camera.pose()
    T[:3, :3] = T[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    behind = replace(second, camera=replace(second.camera, T_world_cam=tuple(T.ravel())))
    assert not any(holds(f"the object is {where} the middle of the second picture", first, behind) for where in ("left of", "right of", "near"))
    assert not any(holds(f"the object looks {how} in the second picture", first, behind) for how in ("larger", "smaller", "as large"))


def test_the_grammar_names_every_form_and_the_manual_repeats_it() -> None:
    manual = (REPO / "docs/teacher.md").read_text(encoding="utf-8")
    said = list(grammar(with_parts=True))
    assert len(said) == len(FORMS) + len(AXES) + 2
    for line in said:
        assert line.strip() in manual, line
    assert not any(re.search(r"\b[XY]\b", line) for line in grammar(with_parts=False))
