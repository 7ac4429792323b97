"""Is the truth of a question true? By pixels, by mirrors, by both orders, at the thresholds."""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from toy_scenes import toy_settings

from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics
from actial.params_questions import BANDS, KINDS_OF_TWO_SIDES, KINDS_WITH_CHAINS, QUESTION_KINDS, THREE_VIEW_KINDS
from actial.questions.deciding import BETWEEN, BEYOND, NEAR_AXIS, NO_FRONT, OUT_OF_SIGHT, PITCHED, SUBJECT_MOVED, UNCLEAR, UNDEFINED, decide, is_tied, margins
from actial.questions.kinds import CHANGE_KINDS, KINDS, LEFT, NONE, RIGHT, Kind
from actial.records import MIRRORED, OPPOSITE, ZERO_LABELS

SETTINGS = toy_settings()
CAMERA_KINDS = [kind for kind in KINDS.values() if kind.name not in CHANGE_KINDS]
CENTER = np.array([0.0, 0.0, 1.0])
FIRST = look_at(np.array([0.0, -4.0, 1.0]), CENTER)
FRONT = np.array([0.8, -0.6, 0.0])


degrees = st.floats(-180, 180)


def label(kind: str, second: np.ndarray, first: np.ndarray = FIRST, center: np.ndarray = CENTER, front: np.ndarray | None = None) -> str | int:
    code = int(decide(KINDS[kind], motion_between(first[None], second[None], center, front), np.array([False]), SETTINGS)[0])
    return KINDS[kind].labels[code] if code >= 0 else code


def around(angle_deg: float, distance_m: float = 4.0, aim_deg: float = 0.0, height_m: float = 1.0) -> np.ndarray:
    """A camera at `angle_deg` counter-clockwise around the subject from FIRST, its aim turned left of the subject by `aim_deg`."""
    a = np.radians(angle_deg - 90)
    eye = np.array([distance_m * np.cos(a), distance_m * np.sin(a), height_m])
    way = np.radians(angle_deg + 90 + aim_deg)
    return look_at(eye, eye + np.array([np.cos(way), np.sin(way), 0.0]))


def shifted(right_m: float, turn_deg: float = 0.0) -> np.ndarray:
    eye, way = np.array([right_m, -4.0, 1.0]), np.radians(90 + turn_deg)
    return look_at(eye, eye + np.array([np.cos(way), np.sin(way), 0.0]))


def stepped(right_m: float = 0.0, ahead_m: float = 0.0, up_m: float = 0.0, tilt_deg: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    """FIRST, moved along its axes, tilted up and then rolled clockwise."""
    eye, tilt = FIRST[:3, 3] + [right_m, ahead_m, up_m], np.radians(tilt_deg)
    return look_at(eye, eye + np.array([0.0, np.cos(tilt), np.sin(tilt)]), np.radians(roll_deg))


@pytest.mark.parametrize(
    ("kind", "second", "expected"),
    [
        ("lateral", shifted(0.61), "right"),
        ("lateral", shifted(-0.61, turn_deg=-30), "left"),
        ("lateral", shifted(0.039, turn_deg=30), "none"),
        ("lateral", shifted(0.3), BETWEEN),
        ("lateral", around(0, 5.0), BETWEEN),  # straight back: no sideways part, yet not without movement
        ("turn", shifted(0.61, turn_deg=11), "left"),
        ("turn", shifted(0.0, turn_deg=-11), "right"),
        ("turn", shifted(2.0, turn_deg=0.9), "none"),
        ("turn", shifted(0.0, turn_deg=5), BETWEEN),
        ("turn", shifted(0.0, turn_deg=151), BEYOND),
        ("orbit", around(16), "left"),
        ("orbit", around(-149), "right"),
        ("orbit", around(151), BEYOND),
        ("orbit", around(0.9, 6.0), "none"),
        ("orbit", around(10), BETWEEN),
        ("orbit", around(60, 1.19), NEAR_AXIS),
        ("orbit", around(0, aim_deg=30), "none"),
        ("perspective", around(16), "left"),
        ("perspective", around(-16, aim_deg=40), "right"),
        ("perspective", around(0, 2.0), "none"),
        ("turn", look_at(np.array([0.0, -1.0, 7.0]), CENTER), PITCHED),
        ("lateral", look_at(np.array([0.0, -1.0, 7.0]), CENTER), PITCHED),
        ("forward", stepped(ahead_m=0.61), "forward"),
        ("forward", stepped(ahead_m=-0.61), "back"),
        ("forward", stepped(ahead_m=0.3), BETWEEN),
        ("forward", stepped(right_m=0.61), BETWEEN),
        ("forward", stepped(up_m=0.039), "none"),
        ("vertical", stepped(up_m=0.61), "up"),
        ("vertical", stepped(up_m=-0.61, tilt_deg=20), "down"),
        ("vertical", stepped(tilt_deg=20), "none"),
        ("direction", stepped(right_m=-1.0, ahead_m=0.6), "left"),
        ("direction", stepped(right_m=1.0, ahead_m=0.7), UNCLEAR),
        ("direction", stepped(ahead_m=-1.0, up_m=0.6), "back"),
        ("direction", stepped(right_m=0.3, up_m=1.0), "up"),
        ("direction", stepped(ahead_m=0.5), BETWEEN),
        ("direction", stepped(tilt_deg=20), "none"),
        ("pitch", stepped(tilt_deg=9), "up"),
        ("pitch", stepped(tilt_deg=-9, right_m=2.0), "down"),
        ("pitch", stepped(tilt_deg=0.9, ahead_m=1.0), "none"),
        ("pitch", stepped(tilt_deg=5), BETWEEN),
        ("roll", stepped(roll_deg=9), "clockwise"),
        ("roll", stepped(roll_deg=-9, tilt_deg=20), "counter-clockwise"),
        ("roll", stepped(right_m=1.0), "none"),
        ("radial", around(0, 4.61), "farther"),
        ("radial", around(60, 3.47), "closer"),
        ("radial", around(60, 4.03), "none"),
        ("radial", around(0, 4.4), BETWEEN),
        ("orbit_angle", around(-149), "right"),
        ("turn_angle", shifted(0.61, turn_deg=11), "left"),
        ("moved", stepped(up_m=0.61), "yes"),
        ("moved", stepped(ahead_m=0.039, tilt_deg=20), "no"),
        ("moved", stepped(ahead_m=0.3), BETWEEN),
        ("turned", stepped(roll_deg=11), "yes"),
        ("turned", stepped(tilt_deg=8, roll_deg=8), "yes"),
        ("turned", stepped(right_m=2.0), "no"),
        ("turned", stepped(tilt_deg=5), BETWEEN),
        ("front", stepped(right_m=1.0), NO_FRONT),
    ],
)
def test_cases_worked_out_by_hand(kind: str, second: np.ndarray, expected: str | int) -> None:
    assert label(kind, second) == expected


@pytest.mark.parametrize(
    ("front", "second", "expected"),
    [
        ([0.0, -1, 0], stepped(right_m=1.0), "left"),  # it faces the camera
        ([0.0, 1, 0], stepped(right_m=1.0), "right"),  # it faces away
        ([1.0, 0, 0.9], stepped(right_m=2.0), BETWEEN),
        ([1.0, 0, 0], stepped(ahead_m=1.0), "left"),
        ([0.0, -1, 0], stepped(tilt_deg=20), "none"),
        ([0.0, 0, 1], stepped(right_m=1.0), NO_FRONT),
    ],
)
def test_sides_of_an_object_that_keeps_facing_its_way(front: list[float], second: np.ndarray, expected: str | int) -> None:
    assert label("front", second, front=np.array(front)) == expected


@given(degrees, st.floats(0.5, 12), st.floats(-2, 4), st.floats(-14.9, 14.9), st.booleans())
def test_where_the_front_is_tied_it_never_disagrees_with_the_orbit(angle_deg: float, distance_m: float, height_m: float, off_deg: float, away: bool) -> None:
    way = np.radians(off_deg - 90 + 180 * away)
    front, second = np.array([np.cos(way), np.sin(way), 0.0]), around(angle_deg, distance_m, height_m=height_m)
    assume(is_tied(KINDS["front"], motion_between(FIRST[None], second[None], CENTER, front), SETTINGS)[0])
    told, orbit = label("front", second, front=front), label("orbit", second)
    if told in ("left", "right") and orbit in ("left", "right"):
        assert (told == orbit) != away


def test_what_is_about_the_subject_is_asked_where_both_pictures_show_it() -> None:
    m = motion_between(FIRST[None], around(40, 5.0)[None], CENTER, FRONT)
    hidden = {kind.name for kind in CAMERA_KINDS if decide(kind, m, np.array([False]), SETTINGS, np.array([False]))[0] == OUT_OF_SIGHT}
    assert hidden == {"orbit", "orbit_angle", "perspective", "front", "radial"}


def test_declarations_hang_together() -> None:
    assert tuple(sorted(KINDS)) == tuple(sorted(QUESTION_KINDS)) and QUESTION_KINDS[:4] == KINDS_WITH_CHAINS["short"] == KINDS_WITH_CHAINS["full"][:4]
    assert set(KINDS_WITH_CHAINS["full"]) <= {*QUESTION_KINDS, *THREE_VIEW_KINDS} and set(KINDS_WITH_CHAINS["teacher"]) <= set(QUESTION_KINDS)
    assert set(KINDS_OF_TWO_SIDES) == {kind.name for kind in KINDS.values() if len(kind.labels) == 3 and not kind.asks_angle}
    assert list(KINDS)[:4] == ["lateral", "orbit", "turn", "perspective"]  # the drawing of pairs depends on their places
    for kind in KINDS.values():
        assert kind.labels[-1] in ZERO_LABELS and kind.band in BANDS and len(set(kind.asked_labels)) == len(kind.asked_labels)
        assert len(kind.options) == len(kind.labels) and len(set(kind.texts)) == 4 and min(kind.texts, key=len) == kind.texts[0]
        options = kind.option_texts((20, 45, 80))
        assert len(set(options)) == len(options) == len(kind.asked_labels)
        assert {label for axis in kind.axes for label in axis[1:]} == set(kind.labels[:-1]) or kind.name == "alteration"
        assert all(OPPOSITE.get(axis.positive, axis.positive) == axis.negative for axis in kind.axes)
    texts = [text for kind in KINDS.values() for text in kind.texts]
    assert len({text for text in texts if "mainly" not in text}) >= len(texts) - 1 and all(text.endswith("?") for text in texts)


SIDES_IN_WORDS = {
    "lateral": ({"left"}, {"right"}),
    "forward": ({"forward", "advance", "ahead"}, {"backward", "retreat", "back", "behind"}),
    "vertical": ({"up", "lifted", "rise"}, {"down", "lowered", "sink"}),
    "pitch": ({"up", "raised", "sky"}, {"down", "lowered", "ground"}),
    "roll": ({"clockwise", "with"}, {"counter-clockwise", "against"}),
    "orbit": ({"clockwise", "like"}, {"counter-clockwise", "against"}),
    "radial": ({"closer", "nearer", "shrink"}, {"farther", "grow"}),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_no_wording_names_one_answer_without_its_opposite(kind: Kind) -> None:
    ones, others = SIDES_IN_WORDS.get(kind.name, ({"left"}, {"right"}))
    for text in kind.texts:
        words = set(re.findall(r"[a-z-]+", text.lower()))
        assert bool(words & ones) == bool(words & others), text


def test_the_other_order_need_not_be_the_opposite() -> None:
    """A camera that goes to the other side of the subject and looks back has gone forward, and so has one that comes from there."""
    for kind in ("forward", "direction"):
        assert label(kind, around(130)) == label(kind, FIRST, around(130)) == "forward"
    assert {KINDS[kind].other_order for kind in ("lateral", "forward", "direction")} == {"anew"}


def test_margins_of_a_main_direction_count_its_lead() -> None:
    second = np.stack([stepped(right_m=1.2, ahead_m=0.6), stepped(right_m=1.2), stepped(up_m=0.02)])
    m = motion_between(np.repeat(FIRST[None], 3, axis=0), second, CENTER)
    code = decide(KINDS["direction"], m, np.zeros(3, bool), SETTINGS)
    assert margins(KINDS["direction"], m, code, SETTINGS) == pytest.approx([2 / 1.5 - 1, 0.3 / 0.15 - 1, 1 - 0.005 / 0.01])


def test_what_is_undefined_or_moved_is_not_asked() -> None:
    down = np.eye(4)
    down[:3, 3] = [0, -1, 5]
    straight_down = motion_between(down[None], FIRST[None], CENTER)
    assert decide(KINDS["turn"], straight_down, np.array([False]), SETTINGS)[0] == UNDEFINED
    m = motion_between(FIRST[None], around(30)[None], CENTER)
    assert all(decide(kind, m, np.array([True]), SETTINGS)[0] == SUBJECT_MOVED for kind in CAMERA_KINDS if kind.name != "front")


@given(degrees, degrees, st.floats(1, 8), st.floats(-25, 25), st.floats(-25, 25), st.floats(0.2, 3))
def test_a_scene_mirrored_in_x_flips_left_and_right_of_every_kind(
    angle_deg: float, start_deg: float, distance_m: float, aim1_deg: float, aim2_deg: float, height_m: float
) -> None:
    first, second = around(start_deg, 4.0, aim1_deg), around(start_deg + angle_deg, distance_m, aim2_deg, height_m)
    mirror = np.diag([-1.0, 1, 1, 1])
    for kind in (kind.name for kind in CAMERA_KINDS):
        seen = label(kind, second, first, front=FRONT)
        mirrored = label(kind, mirror @ second @ mirror, mirror @ first @ mirror, front=FRONT * [-1, 1, 1])
        assert mirrored == MIRRORED.get(str(seen), seen)


@given(st.floats(15.5, 149), st.floats(2, 8), st.booleans(), st.floats(-17, 17), st.floats(-17, 17))
def test_sides_seen_in_pixels_are_the_sides_that_are_asked(orbit_deg: float, distance_m: float, left: bool, aim1_deg: float, aim2_deg: float) -> None:
    """OpenCV's projection decides, on two lines of sight and two beacons, without any angle of ours.

    - lateral: camera 2's place, moved far ahead of camera 1, appears right of the middle of picture 1 when camera 2 is to its right;
    - turn: a beacon far ahead of camera 1 slides right in the picture when the camera turns left;
    - orbit, perspective: from a camera set up at the subject that faces camera 1, camera 2 appears on the left when it is on the subject's left.
    """
    orbit_deg = orbit_deg if left else -orbit_deg
    first, second = around(0, 4.0, aim1_deg), around(orbit_deg, distance_m, aim2_deg)
    ahead = -first[:3, 2]
    column = lambda T, p: _column(p, T)
    codes = {kind: label(kind, second, first) for kind in ("lateral", "turn", "orbit", "perspective")}
    if codes["lateral"] in ("left", "right"):
        assert codes["lateral"] == ("right" if column(first, second[:3, 3] + 50 * ahead) > 0 else "left")
    turned_beacon = _column(second[:3, 3] + 100 * ahead, second)
    if codes["turn"] in ("left", "right") and abs(orbit_deg) + abs(aim1_deg - aim2_deg) < 85:  # the beacon is ahead of both
        assert codes["turn"] == ("left" if turned_beacon > 0 else "right")
    from_subject = look_at(CENTER, first[:3, 3])
    if abs(orbit_deg) < 85:
        side = "left" if _column(second[:3, 3], from_subject) < 0 else "right"
        assert codes["orbit"] == codes["perspective"] == side


def _column(p_world: np.ndarray, T: np.ndarray) -> float:
    """Column of a point, right of the picture's middle, by OpenCV."""
    K = intrinsics(84, 84, 55.0)
    R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
    pixel, _ = cv2.projectPoints(p_world[None], cv2.Rodrigues(R)[0], -R @ T[:3, 3], K, None)
    return float(pixel[0, 0, 0] - 42.0)


@given(degrees, st.floats(0.5, 12), st.floats(-80, 80), st.floats(-60, 60), st.floats(-2, 4))
def test_where_lateral_is_tied_it_never_disagrees_with_the_orbit(
    angle_deg: float, distance_m: float, aim1_deg: float, aim2_deg: float, height_m: float
) -> None:
    first, second = around(0, 4.0, aim1_deg / 8), around(angle_deg, distance_m, aim2_deg, height_m)
    m = motion_between(first[None], second[None], CENTER)
    assume(is_tied(KINDS["lateral"], m, SETTINGS)[0])
    lateral, orbit = label("lateral", second, first), label("orbit", second, first)
    if lateral in ("left", "right") and orbit in ("left", "right"):
        assert lateral != orbit  # to the camera's right is counter-clockwise, which is called left


def test_where_the_subject_is_off_the_middle_lateral_is_its_own_bit() -> None:
    first = around(0, 4.0, 40)
    assert not is_tied(KINDS["lateral"], motion_between(first[None], around(20, 2.0)[None], CENTER), SETTINGS)[0]
    disagreeing = around(16, 8.0)
    assert {label("lateral", disagreeing, around(0, 4.0, 60)), label("orbit", disagreeing, around(0, 4.0, 60))} == {"left"}


def test_pairs_are_decided_alone() -> None:
    second = np.stack([around(a) for a in (20, -20, 0.5, 10)])
    first = np.repeat(FIRST[None], 4, axis=0)
    codes = decide(KINDS["orbit"], motion_between(first, second, CENTER), np.zeros(4, bool), SETTINGS)
    assert codes.tolist() == [LEFT, RIGHT, NONE, BETWEEN]


def test_thresholds_come_from_the_settings() -> None:
    strict = replace(SETTINGS, orbit=replace(SETTINGS.orbit, asked_from=30.0))
    m = motion_between(FIRST[None], around(20)[None], CENTER)
    assert decide(KINDS["orbit"], m, np.array([False]), strict)[0] == BETWEEN
