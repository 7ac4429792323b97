"""Camera moves: how they are read, and their score by hand."""

from __future__ import annotations

import time

import pytest

from actial.evaluation.benchmarks.camera_moves import CameraMove, read_move, score

WRITTEN = "move_right:0.3,move_down:0.1,move_forward:1.2,rotate_left:12,rotate_up:4"


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        (WRITTEN, (0.3, -0.1, 1.2, -12.0, 4.0)),
        ("move_left: 0.5 m, rotate_right: 30 degrees", (-0.5, 0.0, 0.0, 30.0, 0.0)),
        ('{"move_right": 0.2, "move_left": 0.1}', (pytest.approx(0.1), 0.0, 0.0, 0.0, 0.0)),
        ("The camera move_up=1, so move_up:1", (0.0, 1.0, 0.0, 0.0, 0.0)),
        ("move_right:-0.3", (-0.3, 0.0, 0.0, 0.0, 0.0)),
        ("it moved to the right by 0.3", None),
        ("move_right:0.3,move_right:0.4", None),
        ("move_sideways:0.3", None),
        ("", None),
    ],
)
def test_reading(text: str, amounts: tuple[float, ...] | None) -> None:
    move = read_move(text)
    assert (None if move is None else move.amounts) == amounts


def test_the_score_is_relative_to_the_answer_as_the_authors_have_it() -> None:
    truth = CameraMove((1.0, 0.0, 0.0, 10.0, 0.0))
    assert score(truth, truth) == 1.0
    # sideways: |1 - 2| / 2 = .5 earns .1 (relative to the truth it would be 1 and earn 0); turn: |10 - 0| where 0 was answered earns 0
    assert score(CameraMove((2.0, 0.0, 0.0, 0.0, 0.0)), truth) == pytest.approx((0.1 + 1 + 1 + 0 + 1) / 5)
    assert score(CameraMove((0.5, 0.0, 0.2, 10.4, 0.0)), truth) == pytest.approx((0 + 1 + 0 + 1 + 1) / 5)  # |0 - .2| / .2 is 1


def test_reading_takes_time_linear_in_the_length() -> None:
    times_s = []
    for n in (5_000, 50_000):
        start = time.process_time()
        read_move("move_right" * n)
        read_move("move_" * n + "move_right : " * n)
        times_s.append(time.process_time() - start)
    assert times_s[1] < 40 * max(times_s[0], 0.01)
