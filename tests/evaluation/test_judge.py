"""The judge against a real server: it is asked about what no rule could read, and changes no number."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_evaluation import toy_questions

from actial.endpoint.asking import Server
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.errors import UserError
from actial.evaluation.benchmarks.answered import Judged, Posed, judge
from actial.evaluation.benchmarks.benchmark import Item
from actial.evaluation.completions import Ask, Completion
from actial.evaluation.judge import FENCE, LONGEST, Judgement, Unread, judge_unread, opinion, tallies, unread, write_judgements
from actial.prompts import IMAGE_MARK

sys.path.insert(0, str(Path(__file__).parents[1] / "endpoint"))
from scripted_server import Answer, Script, ScriptedServer, last_words, said

QUESTIONS = toy_questions(4)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def written(body: dict[str, Any]) -> str:
    """What the student wrote, as the judge sees it."""
    return last_words(body).split(f"{FENCE}\n")[1].removesuffix("\n")


def says(words: str) -> Script:
    return lambda body, before: said(words)


def echo_first_letter(body: dict[str, Any], before: int) -> Answer:
    """A judge that takes the student's first word for the choice."""
    return said(written(body).split()[0])


def judged(script: Script, cases: Sequence[Unread], folder: Path) -> tuple[list[Judgement], ScriptedServer, Client]:
    with ScriptedServer(script) as running, Replies(folder / "judge.jsonl") as kept:
        client = Client(Server("judge", running.url, None, concurrency=4, timeout_s=5, tries=2, backoff_s=0.01), kept, "no judge")
        return judge_unread(cases, client, "j"), running, client


def case(completion: str = "I would say the second one", **changes: Any) -> Unread:
    return replace(Unread("q", "m/think/plain", QUESTIONS[0], completion, "no answer found"), **changes)


def answered(*texts: str) -> list[Judged]:
    """Completions of the first questions, read by the rules."""
    posed = [Posed(Item(q.question_id, q, (), (), q.question_id), "think", Ask(q.question_id, q.question_id, "think", (), q.view_ids, 9)) for q in QUESTIONS]
    return [judge(p, Completion(p.ask.key, text, 1)) for p, text in zip(posed, texts, strict=False)]


def test_only_completions_that_say_something_and_that_no_rule_reads_are_asked_about():
    texts = ["<answer>A</answer>", "", "the second of them", "<answer>A or B</answer>", "<think>so", "The answer is B."]
    cases = unread({"bench": answered(*texts)})
    assert [(c.completion, c.reason, c.of) for c in cases] == [
        ("the second of them", "no answer found", "bench/think"),
        ("<answer>A or B</answer>", "ambiguous", "bench/think"),
        ("<think>so", "unfinished thought", "bench/think"),
    ]


@pytest.mark.parametrize(
    ("reply", "outcome", "choice"),
    [
        ("B", "chose", "B"),
        ("b", "chose", "B"),
        ("**B**", "chose", "B"),
        ("(B).", "chose", "B"),
        ("<think>A? no, B</think>\n\nB", "chose", "B"),
        ("none", "none", None),
        ("None.", "none", None),
        ("D", "unclear", None),
        ("The student chose B", "unclear", None),
        ("A or B", "unclear", None),
        ("", "unclear", None),
        ("right", "unclear", None),
    ],
)
def test_the_judge_must_answer_with_a_letter_or_none(reply, outcome, choice, tmp_path):
    judgements, _, _ = judged(says(reply), [case()], tmp_path)
    assert [(one.outcome, one.choice, one.reply) for one in judgements] == [(outcome, choice, reply)]
    assert judgements[0].correct == (choice == QUESTIONS[0].truth)


def test_none_says_nothing_where_an_option_has_that_name(tmp_path):
    question = replace(QUESTIONS[0], options=("left", "None.", "right"))
    assert [one.outcome for one in judged(says("none"), [case(question=question)], tmp_path)[0]] == ["unclear"]


def test_a_reply_that_was_cut_off_and_a_server_that_gives_none_are_no_choices(tmp_path):
    cut = lambda body, before: said("A", finish="length")
    assert [one.outcome for one in judged(cut, [case()], tmp_path)[0]] == ["unclear"]
    judgements, _, client = judged(lambda body, before: Answer(b"{}", 400), [case("other words")], tmp_path)
    assert [(one.outcome, one.choice, one.reply) for one in judgements] == [("no reply", None, "status 400")]
    assert client.tally.failed == {"status 400": 1}


def test_the_judge_sees_question_options_and_completion_but_no_truth_and_no_picture(tmp_path):
    _, running, _ = judged(says("A"), [case(f"I see {IMAGE_MARK} and choose"), case("x" * 10_000)], tmp_path)
    for body in running.asked:
        assert body["temperature"] == 0
        assert isinstance(body["messages"][-1]["content"], str)  # parts would be pictures
        assert QUESTIONS[0].text in last_words(body)
        assert all(option in last_words(body) for option in QUESTIONS[0].options)
    others = [replace(QUESTIONS[0], truth=letter) for letter in "ABC"]
    _, asked, _ = judged(says("A"), [case(question=q) for q in others], tmp_path / "truths")
    assert len(asked.asked) == 1  # the same whatever is true
    assert max(len(written(body)) for body in running.asked) < LONGEST + 20


def test_judgements_are_kept_counted_and_written_apart(tmp_path):
    cases = [case(f"{letter} {i}", name=f"q{i}", of=of) for i, (letter, of) in enumerate([("A", "x"), ("B", "x"), ("C", "y"), ("none", "y"), ("hm", "y")])]
    judgements, first, _ = judged(echo_first_letter, cases, tmp_path)
    again, second, client = judged(echo_first_letter, cases, tmp_path)
    assert (len(first.asked), len(second.asked), client.tally.n_kept) == (5, 0, 5)
    assert again == judgements
    right = [one.correct for one in judgements]
    assert [one.name for one in judgements] == [c.name for c in cases]
    assert tallies(judgements) == {
        "x": {"judged": 2, "chose": 2, "right": sum(right[:2]), "none": 0, "unclear": 0, "no reply": 0},
        "y": {"judged": 3, "chose": 1, "right": sum(right[2:]), "none": 1, "unclear": 1, "no reply": 0},
    }
    assert sum(right) == 1
    write_judgements(tmp_path / "judged.jsonl", judgements)
    rows = [json.loads(line) for line in (tmp_path / "judged.jsonl").read_text().splitlines()]
    assert [Judgement(**row) for row in rows] == judgements


def test_the_share_with_the_judge_stands_beside_the_one_by_rules(tmp_path):
    found = {"bench": answered(f"<answer>{QUESTIONS[0].truth}</answer>", "the other", ""), "read": answered("<answer>A</answer>")}
    judgements, _, _ = judged(says(QUESTIONS[1].truth), unread(found), tmp_path)
    said_of = opinion(found, judgements, "j")
    assert said_of["model"] == "j"
    of = said_of["asked"]["bench"]["think"]
    assert (of["n"], of["judged"], of["chose"], of["right"]) == (3, 1, 1, 1)
    assert (of["right_by_rules"], of["right_with_judge"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    untouched = said_of["asked"]["read"]["think"]
    assert untouched["judged"] == 0 and untouched["right_by_rules"] == untouched["right_with_judge"]


def test_without_a_server_what_was_not_asked_before_is_an_error(tmp_path):
    with Replies(tmp_path / "r.jsonl") as kept, pytest.raises(UserError, match="name a judge"):
        judge_unread([case()], Client(None, kept, "name a judge"), "j")
