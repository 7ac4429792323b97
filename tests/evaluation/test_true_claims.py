"""Is what a model thinks true? The column, and what goes into it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_score import HAND, scored

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy_scenes import toy_views, write_toy_views

from actial.evaluation.completions import ask
from actial.evaluation.conditions import PLAIN
from actial.evaluation.score import verdict_of
from actial.evaluation.tables import score_table
from actial.records import Mode, Question, Verdict
from actial.shards import ViewStore
from tasks.evaluate import Item, with_claims

NONE = {"n": 0, "true": None, "stderr": None, "near": None, "not_understood": None, "sound": None}
GRID = (13, 13)


def thought(question: Question, answer: str, n: int | None, understood: int | None, true: int | None, near: int | None) -> Verdict:
    verdict = verdict_of(question, "sft", "think", f"<think>So.</think><answer>{answer}</answer>", 3, "sha")
    return replace(verdict, n_claims=n, n_claims_understood=understood, n_claims_true=true, n_claims_near=near)


def test_shares_by_hand_and_nothing_where_nothing_can_be_checked():
    """q1 and q2 ask one bit and weigh a half each; of q4 and q6 nothing can be checked."""
    made = [(4, 4, 4, 4), (4, 4, 2, 4), (8, 6, 4, 4), (None,) * 4, (2, 2, 0, 2), (None,) * 4]
    answers = ["A", "A", "C", "A", "A", "C"]
    verdicts = [thought(q, answer, *of) for q, answer, of in zip(HAND, answers, made, strict=True)]
    scores = scored(HAND, {("sft", "think"): verdicts, ("base", "think"): [replace(v, model="base", n_claims=None) for v in verdicts]})
    of = scores["claims"]["sft"]["overall"]
    assert of["n"] == 4 and of["true"] == pytest.approx((0.5 * 1 + 0.5 * 0.5 + 0.5 + 0) / 3)
    assert of["near"] == pytest.approx((0.5 + 0.5 + 0.5 + 1) / 3) and of["not_understood"] == pytest.approx(0.25 / 3)
    assert of["sound"] == pytest.approx(0.5 / 1.5), "q1 and q3 are right, q1 at half weight; of q3 half the claims are true"
    assert of["stderr"] > 0
    assert scores["claims"]["sft"]["lateral"] == {"n": 1, "true": 1.0, "stderr": None, "near": 1.0, "not_understood": 0.0, "sound": 1.0}
    assert scores["claims"]["base"]["overall"] == NONE
    table = score_table(scores)
    row = next(line for line in table.split("Is what it thinks true?")[1].splitlines() if line.startswith("| base"))
    assert row.count("n/a") == 7, "four shares, and each of the three kinds"
    without = score_table(scored(HAND, {("sft", "think"): [replace(v, n_claims=None) for v in verdicts]}))
    assert "Is what it thinks true?" not in without


def test_claims_are_counted_where_cameras_and_parts_are_known(tmp_path: Path):
    write_toy_views(tmp_path / "known", 1)
    views, (first, second, *_) = ViewStore(tmp_path / "known"), toy_views(0)
    part = first.objects[1].color
    lateral = replace(HAND[0], view_ids=(first.view_id, second.view_id))

    def counted(chain: str, question: Question = lateral, mode: Mode = "think", condition: str = PLAIN) -> tuple[int | None, ...]:
        written = f"<think>{chain}</think><answer>A</answer>" if mode == "think" else "<answer>A</answer>"
        verdict = verdict_of(question, "sft", mode, written, 3, "sha", condition)
        v = with_claims(verdict, Item(question, mode, condition, ask(question, mode, (), views, 9)), views, GRID)
        return v.n_claims, v.n_claims_understood, v.n_claims_true, v.n_claims_near

    nothing = (None,) * 4
    assert counted(f"near {part}.") == (1, 1, 1, 1)
    assert counted(f"near {part}, far mauve, quite so.") == (3, 2, 1, 1)
    assert counted("I look at the pictures. The box is on the left.") == nothing, "no claim is understood"
    assert counted("") == counted(f"near {part}.</think>") == nothing, "not in the form asked for"
    assert counted("", mode="direct") == nothing == counted(f"near {part}.", condition="swapped")
    assert counted(f"near {part}.", replace(lateral, kind="shift_2d")) == nothing == counted(f"near {part}.", replace(lateral, view_ids=lateral.view_ids[:1]))
