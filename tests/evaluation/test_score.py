from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest
from toy_evaluation import ROOT, toy_questions

from actial.evaluation.groups import DIRECTIONAL, OVERALL, TWO_D
from actial.evaluation.score import RANGES, Asked, majority_of, score, verdict_of
from actial.evaluation.standins import STANDINS, majority_labels, standin_completions
from actial.evaluation.tables import accuracy_rows, score_table, summary
from actial.params import load_params
from actial.params_evaluation import Endpoint
from actial.records import LETTERS, Question

SETTINGS = replace(load_params(ROOT / "profiles" / "tiny.yaml").evaluate, primary=(Endpoint("sft - base", "direct", "overall"),))
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
    return scored(questions, verdicts, {"a picture cannot be read": 2})


def scored(questions, verdicts, set_aside=None, **asked):
    return score(questions, Asked(verdicts, **asked), set_aside or {}, SETTINGS, root_seed=7)


def numbers(cell):
    return {name: value for name, value in cell.items() if name not in ("low", "high", "versus_chance")}


def test_certainty_is_of_the_answers_whose_probability_is_known():
    """q1 and q2 ask one bit and count once in totals; q3 stands in no tag, q6 is no answer."""
    logprobs = [math.log(0.9), math.log(0.55), None, None, math.log(0.9), math.log(0.3)]
    plain = [replace(verdict_of(q, "sft", "direct", text, 3, "sha"), answer_logprob=logprob) for q, text, logprob in zip(HAND, WRITTEN, logprobs, strict=True)]
    scores = scored(HAND, {("sft", "direct"): plain, ("oracle", "direct"): plain})
    assert set(scores["certainty"]) == {"sft"}
    of = scores["certainty"]["sft"]["direct"]
    assert of["overall"]["n"] == 3 and of["overall"]["right"] == pytest.approx(1.5 / 2)
    assert of["overall"]["confidence"] == pytest.approx((0.45 + 0.275 + 0.9) / 2)
    assert of["overall"]["ece"] == pytest.approx((1.5 * 0.1 + 0.5 * 0.55) / 2)
    assert [(b["up_to"], b["n"], b["right"]) for b in of["overall"]["reliability"]] == [(0.6, 1, 0.0), (0.9, 2, 1.0)]
    assert (of["turn"]["n"], of["lateral"]["confidence"]) == (1, pytest.approx(0.9))
    assert "How sure is it" in score_table(scores) and "|  75.0 |" in score_table(scores)
    without = scores_of(HAND, WRITTEN)
    none = {"n": 0, "right": None, "confidence": None, "ece": None, "brier": None, "reliability": []}
    assert without["certainty"]["sft"]["direct"]["overall"] == none and "How sure" not in score_table(without)


def test_scores_recomputed_by_hand():
    scores = scores_of(HAND, WRITTEN)
    cell, facts = scores["models"]["sft"]["direct"], scores["questions"]
    # right: q1, q3 (the bare text), q4 (declared), q5; wrong: q2; unparsed: q6
    assert numbers(cell["lateral"]) == {"n": 2, "accuracy": 1.0, "stderr": 0.0, "unparsed": 0.0, "strict": 0.5, "well_formed": 0.5, "mean_tokens": 3.0}
    assert cell["turn"]["accuracy"] == pytest.approx(2 / 3)
    assert cell["turn"]["unparsed"] == pytest.approx(1 / 3)
    assert cell["turn"]["strict"] == pytest.approx(1 / 3)
    assert numbers(cell["orbit"]) == {"n": 1, "accuracy": 0.0, "stderr": None, "unparsed": 0.0, "strict": 0.0, "well_formed": 1.0, "mean_tokens": 3.0}
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


def test_the_gain_over_the_model_before_is_paired_by_question():
    base = ["<answer>B</answer>", "<answer>B</answer>", "", "The answer is A", "<answer>B</answer>", ""]
    difference = scores_of(HAND, WRITTEN, base)["comparisons"]["sft - base"]["direct"]
    # +1 −1 +1 | 0 0 | 0, the first two at half weight
    assert difference[OVERALL]["difference"] == pytest.approx(1 / 5)
    m = 0.2
    assert difference[OVERALL]["stderr"] == pytest.approx((3 / 2 * ((1 - 2 * m) ** 2 + (2 * m) ** 2 + m**2)) ** 0.5 / 5)
    unknown = dict.fromkeys(["stderr", "low", "high", "p", "p_adjusted", "detectable"])
    shown = {"margin": {"low": None, "high": None, "no_worse": False, "equal": False}, "primary": False, "verdict": "undecided"}
    assert difference["orbit"] == {"n": 1, "difference": -1.0} | unknown | shown
    # scene sums +1 - 1 + 1 at weights 1/2 1/2 1, then 0, 0: flipping signs never makes |sum| smaller than 1
    assert difference[OVERALL]["p"] == 1.0


@pytest.mark.parametrize(
    ("models", "gains"),
    [
        (("base", "sft", "grpo"), {"sft - base", "grpo - base", "grpo - sft"}),
        (("base", "grpo"), {"grpo - base"}),
        (("sft", "grpo"), {"grpo - sft"}),
        (("grpo",), set()),
    ],
)
def test_each_model_is_held_against_the_base_and_the_one_before_it(models, gains):
    right = [f"<answer>{q.truth}</answer>" for q in HAND]
    verdicts = {(m, "direct"): [verdict_of(q, m, "direct", t, 3, "sha") for q, t in zip(HAND, right if m == "grpo" else WRITTEN, strict=True)] for m in models}
    found = score(HAND, Asked(verdicts), {}, SETTINGS, root_seed=7)["comparisons"]
    assert set(found) == gains
    of_grpo = [found[name]["direct"][OVERALL]["difference"] for name in found if name.startswith("grpo - ")]
    assert of_grpo == [pytest.approx((1 / 2 + 1) / 5)] * len(of_grpo), "q2, at half weight, and q6: base and sft wrote the same"
    assert not any(cell["primary"] for name in gains - {"sft - base"} for cell in found[name]["direct"].values())


def test_equal_answers_differ_by_nothing_with_no_error():
    difference = scores_of(HAND, WRITTEN, WRITTEN)["comparisons"]["sft - base"]["direct"][OVERALL]
    assert {name: difference[name] for name in ("n", "difference", "stderr", "low", "high", "p")} == {
        "n": 6, "difference": 0.0, "stderr": 0.0, "low": 0.0, "high": 0.0, "p": 1.0
    }  # fmt: skip
    assert (difference["detectable"], difference["verdict"]) == (None, "undecided"), "three scenes show no equality"


def test_no_data_is_null_and_printed_as_such():
    still = [q for q in HAND if q.label_of(q.truth) == "none"]
    scores = scores_of(still, ["<answer>C</answer>", "<answer>A</answer>"])
    assert numbers(scores["models"]["sft"]["direct"][DIRECTIONAL]) == {
        "n": 0, "accuracy": None, "stderr": None, "unparsed": None, "strict": None, "well_formed": None, "mean_tokens": None
    }  # fmt: skip
    assert scores["questions"][DIRECTIONAL]["chance"] is None
    json.dumps(scores, allow_nan=False)
    assert scores["models"]["sft"]["direct"][DIRECTIONAL]["versus_chance"] == {"verdict": "undecided", "low": None, "high": None, "p": None}
    row = next(line for line in score_table(scores).splitlines() if line.startswith("| sft ") and "direct" in line)
    assert "n/a" in row


def test_verdicts_that_do_not_match_the_questions_raise():
    found = [verdict_of(q, "sft", "direct", "", 0, "sha") for q in HAND]
    with pytest.raises(ValueError, match="not those of the questions"):
        scored(HAND, {("sft", "direct"): found[::-1]})


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
    scores = scored(questions, verdicts)
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
    scores = scored(HAND, verdicts)
    lines = score_table(json.loads(json.dumps(scores, sort_keys=True))).splitlines()
    assert lines == score_table(scores).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[3] == ["model", "think", "is that chance?", "direct", "is that chance?", "unparsed"]
    assert [row[0] for row in cells[5:10]] == ["base", "sft", "grpo", "chance", "majority"]
    assert cells[5] == ["base", "70.0 ± 22.7", "undecided", "70.0 ± 22.7", "undecided", "20.0 / 20.0"]
    tables = [line for line in lines if line.startswith("|")]
    assert all(len(line) == len(before) for before, line in itertools.pairwise(tables) if before.count("|") == line.count("|") and "---" in line)
    assert summary(scores)["accuracy"]["grpo"]["think"] == pytest.approx(0.7)
    rows = accuracy_rows(scores)
    assert {row["model"] for row in rows} == {"base", "sft", "grpo"}
    assert len(rows) == 3 * 2 * 5


def samples_of(question: Question, letters: str) -> list:
    """One sampled completion for each letter; `-` is one that says nothing."""
    texts = ["" if letter == "-" else f"<answer>{letter}</answer>" for letter in letters]
    return [verdict_of(question, "sft", "think", text, 3, "sha", number=i) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("letters", "expected"), [("AAB", 1), ("ABB", 0), ("AABB", 1 / 2), ("ABC", 1 / 3), ("BBCC", 0), ("A---", 1), ("----", 0), ("BB--", 0), ("AABBC-", 1 / 2)]
)
def test_the_majority_ignores_what_is_unparsed_and_a_tie_is_won_by_lot(letters, expected):
    assert majority_of(samples_of(HAND[0], letters)) == pytest.approx(expected)


def test_sampled_answers_recomputed_by_hand():
    about = [HAND[0], HAND[2], HAND[4]]  # truths A (scene 1), C (scene 1), B of four options (scene 2)
    samples = [samples_of(q, letters) for q, letters in zip(about, ("AAB-", "ABAB", "BBBB"), strict=True)]
    plain = [verdict_of(q, "sft", "think", text, 3, "sha") for q, text in zip(HAND, WRITTEN, strict=True)]
    sampled = scored(HAND, {("sft", "think"): plain}, samples={"sft": samples}, temperature=0.7)["sampled"]
    assert (sampled["n"], sampled["temperature"]) == (4, 0.7)
    cell = sampled["models"]["sft"][OVERALL]
    shares = {name: cell[name]["accuracy"] for name in ("greedy", "mean", "majority", "best")}
    assert shares == pytest.approx({"greedy": 1.0, "mean": (1 / 2 + 0 + 1) / 3, "majority": 2 / 3, "best": 2 / 3})
    assert cell["unparsed"] == pytest.approx(1 / 12)
    assert cell["chance_best"] == pytest.approx((2 * (1 - (2 / 3) ** 4) + 1 - (3 / 4) ** 4) / 3)
    # two of four agree on A, which is right; two on A and two on B, both wrong; all on B, which is right
    votes = {"confidence": (1 / 2 + 1 / 2 + 1) / 3, "ece": (abs((1 + 0) - (1 / 2 + 1 / 2)) + 0) / 3, "brier": (1 / 4 + 1 / 4 + 0) / 3}
    assert cell["votes"] == pytest.approx(votes)
    m = 1 / 2
    assert cell["mean"]["stderr"] == pytest.approx((2 * ((1 / 2 - m + 0 - m) ** 2 + (1 - m) ** 2)) ** 0.5 / 3)
    assert sampled["models"]["sft"]["turn"]["n"] == 2
    assert [v.question_id for v in samples[0]] == [f"q1#{i}" for i in range(4)] and {v.condition for v in samples[0]} == {"sampled"}


def test_controls_are_scored_against_their_own_truth_beside_the_same_questions_asked_plainly():
    plain = [verdict_of(q, "grpo", "think", text, 3, "sha") for q, text in zip(HAND, WRITTEN, strict=True)]
    about = [replace(q, truth=q.letter_of("none")) for q in HAND[:3]]
    control = [
        verdict_of(q, "grpo", "think", text, 3, "sha", "same_twice") for q, text in zip(about, ["<answer>C</answer>", "", "<answer>C</answer>"], strict=True)
    ]
    found = scored(HAND, {("grpo", "think"): plain}, controls={("grpo", "same_twice"): control}, left_out={"same_twice": 3})["controls"]["grpo"]["same_twice"]
    assert found["left_out"] == 3
    assert found["groups"][OVERALL]["accuracy"] == pytest.approx(1.5 / 2)  # q1 and q2 are one bit
    assert found["groups"][OVERALL]["plain"] == pytest.approx(1.5 / 2)
    assert found["groups"]["orbit"]["accuracy"] == found["groups"]["orbit"]["plain"] == 0.0
    assert DIRECTIONAL not in found["groups"]


def test_conflicts_stand_beside_aligned_questions_by_kind_and_in_all():
    cues = ["aligned", "conflict", "none", "aligned", "conflict", "none"]
    questions = [replace(q, cue=cue) for q, cue in zip(HAND, cues, strict=True)]
    strata = scores_of(questions, WRITTEN)["cue"]["sft"]["direct"]
    assert set(strata) == {"lateral", "orbit", "turn", OVERALL}
    assert (strata[OVERALL]["aligned"]["n"], strata[OVERALL]["aligned"]["accuracy"]) == (2, 1.0)
    assert (strata[OVERALL]["conflict"]["n"], strata[OVERALL]["conflict"]["accuracy"]) == (2, 0.5)
    assert strata["lateral"]["conflict"]["accuracy"] is None and strata["turn"]["conflict"]["accuracy"] == 1.0


def test_kinds_that_need_no_third_dimension_have_a_column_of_their_own():
    flat = [question("f1", "s1", "place_2d", "A"), question("f2", "s4", "order_2d", "B")]
    without, scores = scores_of(HAND, WRITTEN), scores_of([*HAND, *flat], [*WRITTEN, "<answer>A</answer>", "<answer>A</answer>"])
    for group in (OVERALL, DIRECTIONAL):
        assert scores["models"]["sft"]["direct"][group] == without["models"]["sft"]["direct"][group]
    assert scores["models"]["sft"]["direct"][TWO_D]["accuracy"] == 0.5
    assert "2D test" in score_table(scores) and "2D test" not in score_table(without)
    assert set(scores["cue"]["sft"]["direct"]) == {"lateral", "orbit", "turn", OVERALL}


def test_a_model_that_guesses_is_at_chance_and_one_that_knows_is_above_it():
    questions = toy_questions(1200)
    writes = {"guesses": lambda i, q: LETTERS[i * 7 % 3], "knows": lambda i, q: q.truth if i % 5 else "A", "is silent": lambda i, q: "none of these"}
    verdicts = {
        (name, "direct"): [verdict_of(q, name, "direct", f"<answer>{write(i, q)}</answer>", 1, "sha") for i, q in enumerate(questions)]
        for name, write in writes.items()
    }
    models = scored(questions, verdicts)["models"]
    said = {name: models[name]["direct"][OVERALL]["versus_chance"]["verdict"] for name in writes}
    assert said == {"guesses": "at chance", "knows": "above", "is silent": "below"}


def test_the_whole_table_says_what_was_asked_and_nothing_else():
    texts = {"base": [""] * 6, "sft": WRITTEN, "grpo": [f"<answer>{q.truth}</answer>" for q in HAND], "oracle": [f"<answer>{q.truth}</answer>" for q in HAND]}
    plain = {(m, "think"): [verdict_of(q, m, "think", text, 3, "sha") for q, text in zip(HAND, of, strict=True)] for m, of in texts.items()}
    short = score_table(scored(HAND, plain))
    assert "Controls" not in short and "Teach or sharpen" not in short and "direct" not in short.split("\n\n")[1]
    samples = {"sft": [samples_of(q, "AAB") for q in HAND], "grpo": [samples_of(q, "ABC") for q in HAND]}
    control = [verdict_of(q, "grpo", "think", "<answer>A</answer>", 3, "sha", "first_only") for q in HAND]
    scores = scored(HAND, plain, samples=samples, temperature=1.0, controls={("grpo", "first_only"): control})
    table = score_table(json.loads(json.dumps(scores, sort_keys=True)))
    assert table == score_table(scores)
    assert "conflict" not in table, "no question has a 2D cue"
    for said in ("sft - base", "grpo - base", "grpo - sft", "| grpo  | first_only", "majority of 3", "is that chance?", "| oracle "):
        assert said in table, said
    assert table.count("\n\n") == 2 * 6 - 1, "six blocks of a sentence and a table"


def test_a_gain_that_params_declare_is_primary_and_one_that_was_not_asked_is_named():
    scores = scores_of(HAND, WRITTEN, WRITTEN)
    cells = scores["comparisons"]["sft - base"]["direct"]
    assert [name for name, found in cells.items() if found["primary"]] == [OVERALL]
    assert "+0.0! " in score_table(scores) and "Primary, but not asked" not in score_table(scores)
    alone = scores_of(HAND, WRITTEN)
    assert "Primary, but not asked: sft - base, direct, overall." in score_table(alone)
    missing = scores | {"primary": [{"gain": "grpo - sft", "mode": "think", "group": "turn"}]}
    assert "Primary, but not asked: grpo - sft, think, turn." in score_table(missing)


def test_where_nothing_tells_the_error_the_table_gives_an_interval():
    """Wilson's of three scenes, all right: 3 / (3 + 1.96²) to 1."""
    pairs = [question(name, name, "turn", "A") for name in ("s1", "s2", "s3")]
    scores = scores_of(pairs, ["<answer>A</answer>"] * 3)
    assert scores["models"]["sft"]["direct"]["turn"]["low"] == pytest.approx(3 / (3 + 1.959964**2))
    assert "100.0 (44-100)" in score_table(scores)


def test_who_reads_less_stands_beside_chance_and_has_no_data_where_it_knows_nothing():
    letters = {q.question_id: q.truth for q in HAND if q.kind == "turn"}
    scores = scored(HAND, written_by_sft(HAND), baselines={"text only": letters})
    groups = scores["baselines"]["text only"]["groups"]
    assert (groups["turn"]["accuracy"], groups["turn"]["n"]) == (1.0, 3)
    for name in ("lateral", OVERALL, DIRECTIONAL):
        assert (groups[name]["accuracy"], groups[name]["n"]) == (None, 0), "one question without an answer, and nothing is said of the group"
    assert scores["baselines"]["text only"]["cue"]["lateral"]["aligned"]["n"] == 0
    table = score_table(scores)
    headline, by_kind = (line for line in table.splitlines() if line.startswith("| text only"))
    assert "n/a" in headline and "100.0 (" in by_kind and "n/a" in by_kind


def test_answers_are_sorted_by_the_angle_between_the_cameras():
    angles_deg = dict(zip((q.question_id for q in HAND), (0.0, 29.9, 30.0, 90.0, 180.0), strict=False))  # q6: not known
    scores = scored(HAND, written_by_sft(HAND), angles_deg=angles_deg)
    overall, turn = (scores["angles"]["sft"]["direct"][name] for name in (OVERALL, "turn"))
    assert [overall[name]["n"] for name in RANGES] == [2, 1, 0, 2]
    assert [turn[name]["n"] for name in RANGES] == [0, 1, 0, 1]
    assert [overall[name]["accuracy"] for name in RANGES] == [0.5, 1.0, None, 1.0]  # right: q1, q3, q4, q5; q1 and q2 are one bit
    (head,) = (line for line in score_table(scores).splitlines() if "0-30" in line)
    assert "60-90" not in head, "a range without questions has no column"
    assert "angle between" not in score_table(scored(HAND, written_by_sft(HAND)))


def written_by_sft(questions):
    return {("sft", "direct"): [verdict_of(q, "sft", "direct", text, 3, "sha") for q, text in zip(questions, WRITTEN, strict=True)]}
