from __future__ import annotations

import json
from dataclasses import replace

import pytest
from toy_evaluation import toy_questions

from actial.evaluation.score import DIRECTIONAL, OVERALL, accuracy_rows, score, score_table, summary, verdict_of
from actial.evaluation.standins import STANDINS, majority_labels, standin_completions
from actial.records import Question

FOUR = {q.question_id: q for q in toy_questions(2)}


def question(name: str, scene: str, kind: str, truth: str, tied_class: str = "", n_options: int = 3) -> Question:
    """A question with options left, right, none (and up) in this order."""
    labels = ("left", "right", "none", "up")[:n_options]
    like = next(iter(FOUR.values()))
    return replace(like, question_id=name, scene_id=scene, kind=kind, truth=truth, tied_class=tied_class, labels=labels, options=labels, view_ids=(scene, "b"))


HAND = [
    question("q1", "s1", "lateral", "A", "bit"),
    question("q2", "s1", "orbit", "B", "bit"),
    question("q3", "s1", "turn", "C"),
    question("q4", "s2", "lateral", "A", "bit"),
    question("q5", "s2", "turn", "B", n_options=4),
    question("q6", "s3", "turn", "C", n_options=4),
]
WRITTEN = ["<answer>A</answer>", "<answer>A</answer>", "none", "The answer is A", "<answer>B</answer>", ""]


def scores_of(questions, written, base=None):
    verdicts = {("sft", "direct"): [verdict_of(q, "sft", "direct", text, 3, "sha") for q, text in zip(questions, written, strict=True)]}
    if base:
        verdicts["base", "direct"] = [verdict_of(q, "base", "direct", text, 3, "sha") for q, text in zip(questions, base, strict=True)]
    return score(questions, verdicts, {"a picture cannot be read": 2})


def test_scores_recomputed_by_hand():
    scores = scores_of(HAND, WRITTEN)
    cell, facts = scores["models"]["sft"]["direct"], scores["questions"]
    # right: q1, q3 (the bare text), q4 (declared), q5; wrong: q2; unparsed: q6
    assert cell["lateral"] == {"n": 2, "accuracy": 1.0, "stderr": 0.0, "unparsed": 0.0, "strict": 0.5, "well_formed": 0.5, "mean_tokens": 3.0}
    assert cell["turn"]["accuracy"] == pytest.approx(2 / 3)
    assert cell["turn"]["unparsed"] == pytest.approx(1 / 3)
    assert cell["turn"]["strict"] == pytest.approx(1 / 3)
    assert cell["orbit"] == {"n": 1, "accuracy": 0.0, "stderr": None, "unparsed": 0.0, "strict": 0.0, "well_formed": 1.0, "mean_tokens": 3.0}
    # overall: q1 and q2 are one bit of one pair and weigh a half each; weights 1/2 1/2 1 | 1 1 | 1 add up to 5
    assert cell[OVERALL]["accuracy"] == pytest.approx((0.5 + 1 + 1 + 1) / 5)
    m = 0.7
    by_scene = [0.5 * (1 - m) + 0.5 * (0 - m) + (1 - m), 2 * (1 - m), -m]
    assert cell[OVERALL]["stderr"] == pytest.approx((3 / 2 * sum(s**2 for s in by_scene)) ** 0.5 / 5)
    assert cell[OVERALL]["n"] == 6
    assert facts[OVERALL]["n_counted"] == 5
    assert facts[OVERALL]["n_scenes"] == 3
    assert facts[OVERALL]["chance"] == pytest.approx((0.5 / 3 + 0.5 / 3 + 1 / 3 + 1 / 3 + 1 / 4 + 1 / 4) / 5)
    assert facts["turn"] == {
        "n": 3,
        "n_counted": 3.0,
        "n_scenes": 3,
        "chance": pytest.approx(5 / 18),
        "majority": pytest.approx(2 / 3),
        "majority_label": "none",
    }
    # directional: q1 q2 q4 q5
    assert cell[DIRECTIONAL]["n"] == 4
    assert cell[DIRECTIONAL]["accuracy"] == pytest.approx(2.5 / 3)
    assert scores["set_aside"] == {"a picture cannot be read": 2}


def test_the_difference_to_the_base_is_paired_by_question():
    base = ["<answer>B</answer>", "<answer>B</answer>", "", "The answer is A", "<answer>B</answer>", ""]
    difference = scores_of(HAND, WRITTEN, base)["versus_base"]["sft"]["direct"]
    # +1 −1 +1 | 0 0 | 0, the first two at half weight
    assert difference[OVERALL]["difference"] == pytest.approx(1 / 5)
    m = 0.2
    assert difference[OVERALL]["stderr"] == pytest.approx((3 / 2 * ((1 - 2 * m) ** 2 + (2 * m) ** 2 + m**2)) ** 0.5 / 5)
    assert difference["orbit"] == {"n": 1, "difference": -1.0, "stderr": None}


def test_equal_answers_differ_by_nothing_with_no_error():
    difference = scores_of(HAND, WRITTEN, WRITTEN)["versus_base"]["sft"]["direct"][OVERALL]
    assert difference == {"n": 6, "difference": 0.0, "stderr": 0.0}


def test_no_data_is_null_and_printed_as_such():
    still = [q for q in HAND if q.label_of(q.truth) == "none"]
    scores = scores_of(still, ["<answer>C</answer>", "<answer>A</answer>"])
    assert scores["models"]["sft"]["direct"][DIRECTIONAL] == {
        "n": 0, "accuracy": None, "stderr": None, "unparsed": None, "strict": None, "well_formed": None, "mean_tokens": None
    }  # fmt: skip
    assert scores["questions"][DIRECTIONAL]["chance"] is None
    json.dumps(scores, allow_nan=False)
    row = next(line for line in score_table(scores).splitlines() if line.startswith("| sft ") and "direct" in line)
    assert "n/a" in row


def test_verdicts_that_do_not_match_the_questions_raise():
    found = [verdict_of(q, "sft", "direct", "", 0, "sha") for q in HAND]
    with pytest.raises(ValueError, match="not those of the questions"):
        score(HAND, {("sft", "direct"): found[::-1]}, {})


def test_the_same_pair_counts_once_only_within_its_tied_class():
    pairs = [question("a", "s1", "k1", "A"), question("b", "s1", "k2", "A"), question("c", "s1", "k3", "A", "x"), question("d", "s1", "k4", "A", "y")]
    assert scores_of(pairs, [""] * 4)["questions"][OVERALL]["n_counted"] == 4


@pytest.mark.parametrize("mode", ["think", "direct"])
@pytest.mark.parametrize("answer", ["letter", "text"])
def test_the_five_stand_ins_score_what_they_must(mode, answer):
    questions = toy_questions(400)
    verdicts = {}
    for standin in STANDINS:
        written = standin_completions(standin, questions, mode, answer, root_seed=7)
        verdicts[standin, mode] = [verdict_of(q, standin, mode, text, 0, "sha") for q, text in zip(questions, written, strict=True)]
    scores = score(questions, verdicts, {})
    cell = {standin: scores["models"][standin][mode] for standin in STANDINS}
    facts = scores["questions"]
    for group in facts:
        assert cell["oracle"][group]["accuracy"] == cell["oracle"][group]["strict"] == 1.0
        assert cell["silent"][group]["accuracy"] == 0.0
        assert cell["silent"][group]["unparsed"] == 1.0
        assert cell["constant"][group]["accuracy"] == facts[group]["majority"]
        random = cell["random"][group]
        assert abs(random["accuracy"] - facts[group]["chance"]) < 4 * random["stderr"]
    assert cell["mirror"][DIRECTIONAL]["accuracy"] == 0.0
    assert cell["mirror"][OVERALL]["accuracy"] == pytest.approx(1 - facts[DIRECTIONAL]["n_counted"] / facts[OVERALL]["n_counted"])


def test_the_random_stand_in_answers_a_question_the_same_whatever_else_is_asked():
    questions = toy_questions(6)
    assert standin_completions("random", questions, "direct", "letter", 7)[3:] == standin_completions("random", questions[3:], "direct", "letter", 7)
    assert standin_completions("random", questions, "direct", "letter", 7) != standin_completions("random", questions, "direct", "letter", 8)


def test_equally_frequent_labels_are_broken_by_alphabet():
    assert majority_labels([question("a", "s", "k", "B"), question("b", "s", "k", "A")]) == {"k": "left"}


def test_the_table_has_models_modes_chance_and_majority_in_a_fixed_order():
    verdicts = {
        (model, mode): [verdict_of(q, model, mode, text, 3, "sha") for q, text in zip(HAND, WRITTEN, strict=True)]
        for mode in ("direct", "think")
        for model in ("oracle", "grpo", "sft", "base")
    }
    scores = score(HAND, verdicts, {})
    lines = score_table(json.loads(json.dumps(scores, sort_keys=True))).splitlines()
    assert lines == score_table(scores).splitlines()
    assert lines[2].split() == ["|", "model", "|", "think", "|", "direct", "|"]
    assert [line.split()[1] for line in lines[4:9]] == ["base", "sft", "grpo", "chance", "majority"]
    assert lines[4].split() == ["|", "base", "|", "70.0", "±", "22.7", "|", "70.0", "±", "22.7", "|"]
    assert summary(scores)["accuracy"]["grpo"]["think"] == pytest.approx(0.7)
    rows = accuracy_rows(scores)
    assert {row["model"] for row in rows} == {"base", "sft", "grpo"}
    assert len(rows) == 3 * 2 * 5
