"""2D questions: their truth is what OpenCV projects, every label is asked, the other order turns shifts round."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from toy_scenes import toy_views

from actial.mix.descriptions import SIDE_SHARE, describe_pair, reason_2d, seen_in_both
from actial.questions import kinds_2d
from actial.questions.kinds_2d import (
    ASKED_FROM,
    DRIFT,
    LABELS,
    LEAN,
    LOWER_BY,
    NONE_BELOW,
    ORDER,
    PLACE,
    SHIFT,
    TEXTS,
    Asked,
    balanced_2d,
    pairs_asked,
    questions_2d,
)
from actial.records import View

GRID = (20, 20)
PAIRS = [pair for scene in range(24) for pair in itertools.permutations(toy_views(scene), 2)]


def projected(view: View, p_world: np.ndarray) -> np.ndarray:
    """(2,) where a point appears, by OpenCV."""
    T = np.array(view.camera.T_world_cam).reshape(4, 4)
    R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
    found, _ = cv2.projectPoints(p_world[None], cv2.Rodrigues(R)[0], -R @ T[:3, 3], np.array(view.camera.K).reshape(3, 3), np.zeros(5))
    return found[0, 0]


def centre(view: View, name: str) -> np.ndarray:
    """(3,) centre of the part of a colour, or of the subject (`middle`)."""
    named = view.objects[0] if name == "middle" else next(o for o in view.objects if o.color == name)
    return np.array(named.T_world_obj).reshape(4, 4)[:3, 3]


def share(view: View, name: str) -> float:
    return float(projected(view, centre(view, name))[0]) / view.camera.width_px


def ground(view: View, name: str) -> float:
    """Where the ground below a part appears, as a share of the height from the top."""
    x, y, _ = centre(view, name)
    return float(projected(view, np.array([x, y, centre(view, "middle")[2] - view.objects[0].size_m[2] / 2]))[1]) / view.camera.height_px


def place(view: View, name: str) -> str:
    """Column of the centre, row of the ground below, on a grid of 20 by 20."""
    column, row = (min(max(int(20 * at), 0), 19) for at in (share(view, name), ground(view, name)))
    return chr(ord("a") + column) + chr(ord("A") + row)


def decisive(asked: Asked, pair: tuple[View, View]) -> float:
    """The sideways share that decides."""
    at = [[share(pair[n], name) for name in asked.parts] for n in asked.pictures]
    if asked.question.kind in (DRIFT, LEAN):
        return at[1][0] - at[0][0] - (at[1][1] - at[0][1])
    return {PLACE: at[0][0] - 0.5, ORDER: at[0][-1] - at[0][0], SHIFT: at[-1][0] - at[0][0]}[asked.question.kind]


def test_truths_are_what_opencv_projects_and_every_label_is_asked() -> None:
    asked_labels = set()
    for pair in PAIRS:
        for asked in questions_2d(*pair, seed=7):
            label = asked.question.label_of(asked.question.truth)
            asked_labels.add((asked.question.kind, label))
            d = decisive(asked, pair)
            assert abs(d) < NONE_BELOW if label == "none" else (d > ASKED_FROM if label == "right" else d < -ASKED_FROM)
            assert asked.question.margin >= 0
            assert all(name in asked.question.text for name in asked.parts) != (asked.question.kind == LEAN)
    assert asked_labels == set(itertools.product(TEXTS, LABELS))


def test_a_lean_is_asked_of_the_lowest_and_the_highest_part_on_the_ground() -> None:
    asked_of = 0
    for pair in PAIRS:
        for asked in questions_2d(*pair, seed=7):
            if asked.question.kind == LEAN:
                low = {name: sum(ground(view, name) for view in pair) / 2 for name in seen_in_both(*pair, with_shape=False)}
                one, other = asked.parts
                assert all(low[one] - low[name] >= LOWER_BY - 1e-9 for name in low if name != one)
                assert all(low[name] - low[other] >= LOWER_BY - 1e-9 for name in low if name != other)
                asked_of += 1
    assert asked_of > 20


def test_the_other_order_turns_a_shift_round() -> None:
    turned = {"left": "right", "right": "left", "none": "none"}
    compared = 0
    for first, second in PAIRS:
        there = {a.parts: a.question for a in questions_2d(first, second, 7) if a.question.kind == SHIFT}
        back = {a.parts: a.question for a in questions_2d(second, first, 7) if a.question.kind == SHIFT}
        for parts in there.keys() & back.keys():
            assert back[parts].label_of(back[parts].truth) == turned[there[parts].label_of(there[parts].truth)]
            compared += 1
    assert compared > 20


def test_a_balanced_choice_has_as_many_of_every_kind_and_label() -> None:
    chosen = balanced_2d(PAIRS, 45, seed=7)
    counts = {(kind, label): sum((q.kind, q.label_of(q.truth)) == (kind, label) for q in chosen) for kind in TEXTS for label in LABELS}
    assert set(counts.values()) == {3}
    assert len({q.question_id for q in chosen}) == 45
    few = balanced_2d(PAIRS[:4], 45, seed=7)
    assert all(len({sum((q.kind, q.label_of(q.truth)) == (kind, label) for q in few) for label in LABELS}) == 1 for kind in TEXTS)


def test_pairs_asked_are_those_of_viewpoint_questions_once_and_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    about_a_pair = next(a.question for first, second in PAIRS for a in questions_2d(first, second, 7))
    shown = [("s.v10", "s.v02"), ("s.v02", "s.v10"), ("s.v02",), ("s.v1", "s.v03"), ("s.v02", "s.v10"), ("s.v01", "s.v02", "s.v03")]
    questions = [replace(about_a_pair, kind=kind, view_ids=views) for views in shown for kind in ("orbit", "turn", "left_of")]
    monkeypatch.setattr(kinds_2d, "PAIRS_AT_ONCE", 4)
    assert [tuple(pair.decode().split()) for pair in pairs_asked(questions)] == sorted({views for views in shown if len(views) == 2})
    assert not len(pairs_asked([]))


@pytest.mark.parametrize("kind", list(TEXTS))
def test_reasons_quote_the_places_that_decide(kind: str) -> None:
    told = 0
    for pair in PAIRS[::5]:
        for asked in questions_2d(*pair, seed=7):
            if asked.question.kind != kind:
                continue
            words = reason_2d(asked, *pair, GRID).removesuffix(".").split(", ")
            if kind in (DRIFT, LEAN):
                label = asked.question.label_of(asked.question.truth)
                before, after = (ord(place(view, asked.parts[0])[0]) - ord(place(view, asked.parts[1])[0]) for view in pair)
                assert words.pop() == f"apart {before:+d} {after:+d} {'still' if label == 'none' else label} {abs(after - before)}"
            if kind == LEAN:
                assert [w.split()[0] for w in words] == ["lowest", "highest"]
                words = [w.split(" ", 1)[1] for w in words]
            quoted = {w.split()[0]: w.split()[1:] for w in words}
            assert list(quoted) == list(asked.parts) or kind == SHIFT
            assert all(quoted[name] == [place(pair[n], name) for n in asked.pictures] for name in asked.parts)
            told += 1
    assert told > 10


@pytest.mark.parametrize("sides", [False, True])
def test_descriptions_tell_place_and_side(sides: bool) -> None:
    told = set()
    for pair in PAIRS[::7]:
        text = describe_pair(*pair, "short", GRID, sides=sides)
        for view, line in zip(pair, text.removeprefix("1: ").removesuffix(".").split(". 2: "), strict=True):
            for part in line.split(", "):
                name, cell, *side = part.split()
                assert cell == place(view, name)
                share = 0.0 if name == "middle" else nearness(view, name)
                assert side == ([] if not sides or abs(share) < SIDE_SHARE else ["near"] if share > 0 else ["far"])
                told |= set(side)
    assert told == ({"near", "far"} if sides else set())


def nearness(view: View, color: str) -> float:
    """How much nearer than the subject's middle a part is along the level line of sight to it, in extents of the subject, by complex numbers."""
    eye = view.camera.T_world_cam
    assert eye
    middle, at = (complex(*centre(view, name)[:2]) for name in ("middle", color))
    way = middle - complex(eye[3], eye[7])
    return -((at - middle) * way.conjugate()).real / abs(way) / max(view.objects[0].size_m)
