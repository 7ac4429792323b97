"""Reading answers: tables of completions with their right reading, and properties. For speed and hostile strings see
tests/benchmarks/test_fuzz.py.

The tables are `tests/answers/*.jsonl`. A row's origin is `constructed`, or `observed` with where: a model of this project wrote it, or it has the pattern
that a bug thread of another harness reports.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.answers import (
    AMBIGUOUS,
    DISAGREE,
    EMPTY,
    EMPTY_TAG,
    NOT_AN_OPTION,
    NOT_FOUND,
    UNFINISHED,
    Answer,
    Unparsed,
    is_well_formed,
    read_answer,
)
from actial.answers.parts import answer_span
from actial.prompts import completion_text
from actial.records import LETTERS, STRICT_RULES

TABLES = Path(__file__).parent / "answers"
ROWS = [json.loads(line) for path in sorted(TABLES.glob("options_*.jsonl")) for line in path.read_text().splitlines()]
NUMBER_ROWS = [json.loads(line) for line in (TABLES / "numbers.jsonl").read_text().splitlines()]
WORDS = ("left", "right", "none")
SENTENCES = ("It moved to the left.", "It moved to the right.", "It did not move.")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row["completion"][-40:]))
def test_the_table_of_completions(row):
    reading = read_answer(row["completion"], row["options"])
    assert reading == (Unparsed(row["rule"]) if row["letter"] is None else Answer(row["letter"], row["rule"]))


def test_the_tables_are_large_say_where_each_row_is_from_and_reach_every_outcome():
    origins = Counter(
        re.fullmatch(r"(constructed|observed: (?:tiny model of this project|https://github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/\d+)).*", row["origin"])[1]
        for row in ROWS + NUMBER_ROWS
    )
    assert sum(origins.values()) >= 500
    assert origins["observed: tiny model of this project"] >= 100
    assert sum(n for origin, n in origins.items() if "github" in origin) >= 100
    assert len({json.dumps([row["completion"], row.get("options"), row.get("unit"), row.get("signs")]) for row in ROWS + NUMBER_ROWS}) == len(
        ROWS + NUMBER_ROWS
    )
    whole = {"whole_letter", "whole_text", "whole_lettered", "whole_worded"}
    tagged = {"tag_letter", "tag_text", "tag_lettered", "tag_worded", "tag_phrase", "open_tag_letter", "thought_tag_letter"}
    reasons = {u.reason for u in (AMBIGUOUS, DISAGREE, EMPTY, EMPTY_TAG, NOT_AN_OPTION, NOT_FOUND, UNFINISHED)}
    assert {row["rule"] for row in ROWS} >= whole | tagged | reasons | {"boxed", "declared", "line", "leading"}


option_texts = st.lists(st.from_regex(r"[c-h]{2,6}( [c-h0-9+.-]{1,6})?", fullmatch=True), min_size=2, max_size=6, unique_by=str.casefold)
noise = st.lists(
    st.sampled_from(["<", ">", "/", "<answer>", "</answer>", "<think>", "</think>", "A", "b", " ", "\n", "the answer is ", "left", ".", "é", "\\boxed{"])
).map("".join)


no_tag = (st.text() | noise).filter(lambda text: not re.search(r"<\s*/?\s*(answer|think)", text, re.IGNORECASE))


@given(option_texts, st.data(), st.text() | noise, no_tag)
def test_a_well_formed_final_answer_is_read_whatever_surrounds_it(options, data, before, after):
    """After it no tag may open or end: another answer would be the final one, and the end of a thought makes it a passing one."""
    letter = data.draw(st.sampled_from(LETTERS[: len(options)]))
    by_text = data.draw(st.booleans())
    reading = read_answer(f"{before}<answer>{options[LETTERS.index(letter)] if by_text else letter}</answer>{after}", options)
    rule = "tag_text" if by_text else "tag_letter"
    is_thought = bool(re.search(r"<\s{0,3}think\s{0,3}>", before, re.IGNORECASE)) and not re.search(r"<\s{0,3}/\s{0,3}think\s{0,3}>", before, re.IGNORECASE)
    assert reading == Answer(letter, f"thought_{rule}" if is_thought else rule)


@given(option_texts, st.data(), st.text() | noise, st.text(" \n\t", max_size=4))
def test_a_completion_in_the_form_asked_for_is_read_strictly(options, data, reasoning, space):
    """Whatever the reasoning is, tags in it included."""
    letter = data.draw(st.sampled_from(LETTERS[: len(options)]))
    reading = read_answer(f"<think>{reasoning}</think>{space}<answer>{space}{letter}{space}</answer>{space}", options)
    assert reading == Answer(letter, "tag_letter")
    assert reading.rule in STRICT_RULES


@given(st.sampled_from(["A", "B", "C"]), noise.filter(lambda text: "answer" not in text and "think" not in text), st.sampled_from(["think", "direct"]))
def test_what_models_are_taught_to_write_is_well_formed_and_read_strictly(letter, reasoning, mode):
    completion = completion_text(mode, letter, reasoning or "x")
    if (reasoning or "x").strip():
        assert is_well_formed(completion, mode)
    reading = read_answer(completion, WORDS)
    assert reading == Answer(letter, "tag_letter")
    assert reading.rule in STRICT_RULES


@given(st.text() | noise, option_texts)
def test_any_text_is_read_as_an_option_or_as_a_stated_reason(completion, options):
    reading = read_answer(completion, options)
    if isinstance(reading, Answer):
        assert reading.letter in "ABCDEF"[: len(options)]
        assert reading.rule
    else:
        assert reading in {AMBIGUOUS, DISAGREE, EMPTY, EMPTY_TAG, NOT_AN_OPTION, NOT_FOUND, UNFINISHED}


@given(noise, st.permutations(SENTENCES))
def test_the_order_of_the_options_moves_the_letter_and_nothing_else(before, options):
    reading = read_answer(f"{before}<answer>It did not move.</answer>", options)
    assert isinstance(reading, Answer)
    assert reading.letter == "ABC"[list(options).index("It did not move.")]
    assert reading.rule in ("tag_text", "thought_tag_text")


@pytest.mark.parametrize(
    ("mode", "completion", "expected"),
    [
        ("think", "<think>a</think><answer>A</answer>", True),
        ("think", " <think>a</think>\n <answer>A</answer>\n", True),
        ("think", "<think>a</think>x<answer>A</answer>", False),
        ("think", "x<think>a</think><answer>A</answer>", False),
        ("think", "<think>a</think><answer>A</answer>x", False),
        ("think", "<think></think><answer>A</answer>", False),
        ("think", "<think>a</think><answer> </answer>", False),
        ("think", "<think>a<think>b</think></think><answer>A</answer>", False),
        ("think", "<think>a</think><answer>A</answer><answer>B</answer>", False),
        ("think", "<answer>A</answer><think>a</think>", False),
        ("think", "<answer>A</answer>", False),
        ("think", "<Think>a</Think><Answer>A</Answer>", False),
        ("think", "", False),
        ("direct", "<answer>A</answer>", True),
        ("direct", "\n<answer>left</answer> ", True),
        ("direct", "<think>a</think><answer>A</answer>", False),
        ("direct", "<answer>A</answer>.", False),
        ("direct", "</answer>A<answer>", False),
        ("direct", "A", False),
        ("describe", "red at b3", True),
        ("describe", "", False),
        ("describe", "<answer>A</answer>", False),
    ],
)
def test_the_form_that_each_mode_asks_for(mode, completion, expected):
    assert is_well_formed(completion, mode) is expected


@pytest.mark.parametrize("options", [(), ("x",) * 27])
def test_a_question_without_options_or_with_more_than_letters_is_a_bug(options):
    with pytest.raises(ValueError, match="1 to 26"):
        read_answer("B", options)


def test_unparsed_has_no_letter():
    assert not hasattr(Unparsed("ambiguous"), "letter")


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("<think>A or <answer>B</answer>?</think><answer> A </answer> B", "A"),
        ("<answer>A</answer><answer>B</answer>", "B"),
        ("<think>Hm. <answer>to the left</answer>", "to the left"),
        ("<think></think> <ANSWER>A", "A"),
        ("<answer>A</ans", "A"),
        ("<think>A</think>B", None),
        ("B", None),
        ("<answer> </answer>", None),
        ("", None),
    ],
)
def test_where_an_answer_stands(completion, answer):
    span = answer_span(completion)
    assert (None if span is None else completion[slice(*span)]) == answer
    if span is not None:
        around = completion[: span[0]], completion[span[1] :]
        assert around[0].rstrip().lower().endswith("<answer>") and (not around[1] or around[1].lstrip().startswith("</"))
