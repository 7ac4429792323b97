"""2D questions: their truth is what OpenCV projects, every label is asked, the other order turns shifts round."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from toy_scenes import toy_views

from actial.mix.descriptions import SIDE_SHARE, column_letter, columns_in_both, describe_pair, reason_2d
from actial.questions.kinds_2d import (
    ASKED_FROM,
    DRIFT,
    DRIFTED_FROM,
    LABELS,
    NONE_BELOW,
    ORDER,
    PLACE,
    SHIFT,
    TEXTS,
    Asked,
    balanced_2d,
    questions_2d,
)
from actial.records import View

PAIRS = [pair for scene in range(12) for pair in itertools.permutations(toy_views(scene), 2)]


def projected(view: View, p_world: np.ndarray) -> np.ndarray:
    """(2,) where a point appears, by OpenCV."""
    T = np.array(view.camera.T_world_cam).reshape(4, 4)
    R = np.stack([T[:3, 0], -T[:3, 1], -T[:3, 2]])
    found, _ = cv2.projectPoints(p_world[None], cv2.Rodrigues(R)[0], -R @ T[:3, 3], np.array(view.camera.K).reshape(3, 3), np.zeros(5))
    return found[0, 0]


def pixel(view: View, color: str) -> np.ndarray:
    """(2,) where a part's centre appears."""
    part = next(o for o in view.objects if o.color == color)
    return projected(view, np.array(part.T_world_obj).reshape(4, 4)[:3, 3])


def share(view: View, color: str) -> float:
    return float(pixel(view, color)[0]) / view.camera.width_px


def decisive(asked: Asked, pair: tuple[View, View]) -> float:
    """The sideways share that decides."""
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
            least = DRIFTED_FROM if asked.question.kind == DRIFT else ASKED_FROM
            assert abs(d) < NONE_BELOW if label == "none" else (d > least if label == "right" else d < -least)
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
    chosen = balanced_2d(PAIRS, 36, seed=7)
    counts = {(kind, label): sum((q.kind, q.label_of(q.truth)) == (kind, label) for q in chosen) for kind in TEXTS for label in LABELS}
    assert set(counts.values()) == {3}
    assert len({q.question_id for q in chosen}) == 36
    few = balanced_2d(PAIRS[:4], 36, seed=7)
    assert all(len({sum((q.kind, q.label_of(q.truth)) == (kind, label) for q in few) for label in LABELS}) == 1 for kind in TEXTS)


@pytest.mark.parametrize("kind", [PLACE, ORDER, SHIFT, DRIFT])
def test_reasons_quote_the_columns_that_decide(kind: str) -> None:
    told = 0
    for pair in PAIRS[::5]:
        for asked in questions_2d(*pair, seed=7):
            if asked.question.kind != kind:
                continue
            words = reason_2d(asked, *pair, columns=20).removesuffix(".").split(", ")
            quoted = {w.split()[0]: w.split()[1:] for w in words}
            for name in asked.parts:
                if kind == DRIFT:
                    label = asked.question.label_of(asked.question.truth)
                    assert quoted[name].pop() == ("still" if label == "none" else label)
                assert quoted[name] == [column_letter(share(pair[n], name), 1, 20) for n in asked.pictures]
            told += 1
    assert told > 10


@pytest.mark.parametrize("sides", [False, True])
def test_descriptions_tell_cell_size_and_side(sides: bool) -> None:
    told = set()
    for pair in PAIRS[::7]:
        text = describe_pair(*pair, "short", 20, 9, sides=sides)
        for view, line in zip(pair, text.removeprefix("1: ").removesuffix(".").split(". 2: "), strict=True):
            for part in line.split(", "):
                name, cell, *side = part.split()
                (u, v), (across, down) = pixel(view, name), extent(view, name)
                width_px, height_px = view.camera.width_px, view.camera.height_px
                assert cell[:2] == column_letter(u, width_px, 20) + str(int(v / height_px * 9) + 1)
                assert [int(n) for n in cell[2:]] == [min(max(round(x / width_px * 20), 1), 9) for x in (across, down)]
                share = nearness(view, name)
                assert side == ([] if not sides or abs(share) < SIDE_SHARE else ["near"] if share > 0 else ["far"])
                told |= set(side)
    assert told == ({"near", "far"} if sides else set())


def extent(view: View, color: str) -> tuple[float, float]:
    """Width and height in pixels of a part's box, by OpenCV."""
    part = next(o for o in view.objects if o.color == color)
    T_world_obj = np.array(part.T_world_obj).reshape(4, 4)
    corners = [T_world_obj[:3] @ [*(np.array(signs) * part.size_m / 2), 1.0] for signs in itertools.product((-1, 1), repeat=3)]
    across, down = np.ptp([projected(view, corner) for corner in corners], axis=0)
    return float(across), float(down)


def nearness(view: View, color: str) -> float:
    """How much nearer than the subject's middle a part is along the level line of sight to it, in extents of the subject, by complex numbers."""
    subject, eye = view.objects[0], view.camera.T_world_cam
    assert eye
    part = next(o for o in view.objects if o.color == color)
    middle, at = (complex(o.T_world_obj[3], o.T_world_obj[7]) for o in (subject, part))
    way = middle - complex(eye[3], eye[7])
    return -((at - middle) * way.conjugate()).real / abs(way) / max(subject.size_m)
