"""2D questions: their truth is what OpenCV projects, every label is asked, the other order turns shifts round."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from toy_scenes import toy_views

from actial.mix.descriptions import column_letter, columns_in_both, describe_pair, reason_2d
from actial.questions.kinds_2d import (
    ASKED_FROM,
    BENT_FROM,
    DRIFT,
    DRIFTED_FROM,
    LABELS,
    NONE_BELOW,
    ORDER,
    PLACE,
    ROUND,
    SHIFT,
    STRAIGHT_BELOW,
    TEXTS,
    Asked,
    balanced_2d,
    questions_2d,
)
from actial.records import View

PAIRS = [pair for scene in range(12) for pair in itertools.permutations(toy_views(scene), 2)]


def pixel(view: View, color: str) -> np.ndarray:
    """(2,) where a part appears, by OpenCV."""
    part = next(o for o in view.objects if o.color == color)
    T = np.array(view.camera.T_world_cam).reshape(4, 4)
    R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
    center = np.array(part.T_world_obj).reshape(4, 4)[:3, 3]
    found, _ = cv2.projectPoints(center[None], cv2.Rodrigues(R)[0], -R @ T[:3, 3], np.array(view.camera.K).reshape(3, 3), np.zeros(5))
    return found[0, 0]


def share(view: View, color: str) -> float:
    return float(pixel(view, color)[0]) / view.camera.width_px


def decisive(asked: Asked, pair: tuple[View, View]) -> float:
    """What decides: a sideways share, or how far the third of three parts is off the line, clockwise positive."""
    if asked.question.kind == ROUND:
        a, b, c = (complex(*pixel(pair[asked.pictures[0]], name)) for name in asked.parts)
        return float(np.sin(np.angle((c - a) / (b - a))))
    at = [[share(pair[n], name) for name in asked.parts] for n in asked.pictures]
    if asked.question.kind == DRIFT:
        went = [share(pair[1], n) - share(pair[0], n) for n, _, _ in columns_in_both(*pair, 20, with_shape=False)]
        return at[1][0] - at[0][0] - float(np.mean(went))
    return {PLACE: at[0][0] - 0.5, ORDER: at[0][-1] - at[0][0], SHIFT: at[-1][0] - at[0][0]}[asked.question.kind]


def test_truths_are_what_opencv_projects_and_every_label_is_asked() -> None:
    asked_labels = set()
    for pair in PAIRS:
        for asked in questions_2d(*pair, seed=7):
            label = asked.question.label_of(asked.question.truth)
            asked_labels.add((asked.question.kind, label))
            d = decisive(asked, pair)
            least, most = {ROUND: (BENT_FROM, STRAIGHT_BELOW), DRIFT: (DRIFTED_FROM, NONE_BELOW)}.get(asked.question.kind, (ASKED_FROM, NONE_BELOW))
            assert abs(d) < most if label == "none" else (d > least if label == "right" else d < -least)
            assert asked.question.margin >= 0
            assert all(name in asked.question.text for name in asked.parts)
    assert asked_labels == set(itertools.product(TEXTS, LABELS))


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


@pytest.mark.parametrize("kind", [PLACE, ORDER, ROUND, SHIFT, DRIFT])
def test_reasons_quote_the_columns_that_decide(kind: str) -> None:
    told = 0
    for pair in PAIRS[::5]:
        for asked in questions_2d(*pair, seed=7):
            if asked.question.kind != kind:
                continue
            words = reason_2d(asked, *pair, columns=20, rows=9).removesuffix(".").split(", ")
            quoted = {w.split()[0]: w.split()[1:] for w in words}
            for name in asked.parts:
                if kind == DRIFT:
                    label = asked.question.label_of(asked.question.truth)
                    assert quoted[name].pop() == ("still" if label == "none" else label)
                assert [cell[0] for cell in quoted[name]] == [column_letter(share(pair[n], name), 1, 20) for n in asked.pictures]
                assert all((len(cell) == 2) == (kind == ROUND) for cell in quoted[name])
            told += 1
    assert told > 10


def test_descriptions_tell_cell_and_width() -> None:
    first, second = PAIRS[0]
    text = describe_pair(first, second, "short", 20, 9)
    one, two = text.removeprefix("1: ").removesuffix(".").split(". 2: ")
    for view, said in ((first, one), (second, two)):
        for part in said.split(", "):
            name, cell = part.split()
            assert cell[0] == column_letter(share(view, name), 1, 20)
            assert 1 <= int(cell[1]) <= 9 and 1 <= int(cell.split("x")[1]) <= 9
