"""What the kits' rules make of completions: the letters are what the kits themselves (VLMEvalKit e8e78f0, lmms-eval 0.7.3) said of these texts."""

from __future__ import annotations

import pytest

from actial.evaluation.parity import lmms_eval, vlmevalkit
from actial.evaluation.parity.reading import Reading

FOUR = {"A": "the lamp", "B": "the chair", "C": "the sofa", "D": "neither"}


@pytest.mark.parametrize(
    ("text", "letter", "rule"),
    [
        ("B", "B", "the only letter that stands alone, among the last four words"),
        ("(B) the chair", "B", "the only letter that stands alone, among the last four words"),
        ("A chair", "A", "the only letter that stands alone, among the last four words"),
        ("B stands much nearer than all the others", None, "no rule reads it"),
        ("Either A or B.", None, "no rule reads it"),
        ("A and B differ, so the answer is C and not D", "C", "the character behind the first 'answer is'"),
        ("The answer is below, A or B", "B", "the character behind the first 'answer is'"),
        ("The answer is **D** for A, B, C and D", "D", "the character behind the first 'answer is'"),
        ("the CHAIR", "B", "the only option whose text the completion holds"),
        ("It may be the lamp or the sofa", None, "no rule reads it"),
        ("Cannot determine the answer", "Z", "a refusal"),
        ("Z", "Z", "the letter Z"),
        ("<answer>B</answer>", None, "no rule reads it"),
        ("<think>It is not A</think><answer>the chair</answer>", "B", "the only option whose text the completion holds"),
        ("", None, "no rule reads it"),
        ("Failed to obtain answer via API B", None, "no rule reads it"),
    ],
)
def test_vlmevalkit_by_options(text: str, letter: str | None, rule: str) -> None:
    read = vlmevalkit.by_options(text, FOUR)
    assert (read.letter, read.rule) == (letter, rule) and read.by_judge == (letter is None)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("<answer>B</answer>", "B"),
        ("<answer>Front-left</answer>", "F"),
        ("<think>A</think>\n<answer>the chair</answer>", "A"),
        ("<think>Maybe C</think>", "C"),
        ("I compare.\nB. the chair", "B"),
        ("I see A\nand B", "B"),
        ("A chair", "A"),
        ("`C`", "C"),
        ("\u200bD\u200b", "D"),
        ("option A: the lamp\nOption B: the chair", None),
        ("A or B", None),
        ("My final answer: (d) it is\n" + "so\n" * 8, "D"),
        ("", None),
    ],
)
def test_vlmevalkit_by_tail(text: str, letter: str | None) -> None:
    assert vlmevalkit.by_tail(text).letter == letter and not vlmevalkit.by_tail(text).by_judge


@pytest.mark.parametrize(
    ("text", "first", "patterns", "backticks"),
    [
        ("B", "B", "B", "B"),
        ("(B)", "B", "B", "B"),
        ("The answer is B", "T", "B", "B"),
        ("<answer>B</answer>", None, "B", "B"),
        ("<think>A or C</think>\nB", "B", "B", "B"),
        ("<think>A or C", None, "A", "C"),
        ("so it goes</think> D. behind", "D", "D", "D"),
        ("A chair stands there: B", "A", "A", "B"),
        ("First A., then the answer is C", "F", "C", "A"),
        ("It is ``D``, not A", "I", "D", "D"),
        ("{c}", None, None, "C"),
        ("b", "B", None, "B"),
        ("no idea", "N", None, None),
        ("", None, None, None),
    ],
)
def test_lmms_eval(text: str, first: str | None, patterns: str | None, backticks: str | None) -> None:
    found: list[Reading] = [lmms_eval.by_first_letter(text), lmms_eval.by_patterns(text), lmms_eval.by_backticks(text)]
    assert [reading.letter for reading in found] == [first, patterns, backticks]


@pytest.mark.parametrize(
    ("text", "letter", "rule"),
    [
        ("b).", "B", "the first line, a letter"),
        ("(D)\nThe answer is A", "D", "the first line, a letter"),
        ("E", None, "no rule reads it"),
        ("The correct answer is (B).", "B", "the letter behind the last 'answer'"),
        ("The answer is A. No, answer: c", "C", "the letter behind the last 'answer'"),
        ("the answer: a lamp", "A", "the letter behind the last 'answer'"),
        ("The answer is below, (A) or (C)", "C", "the last letter in brackets"),
        ("(b) or (D)", "D", "the last letter in brackets"),
        ("Both chairs", "B", "the first character, an option's letter"),
        ("The answer is E", None, "no rule reads it"),
        ("<answer>B</answer>", None, "no rule reads it"),
        ("<think>The answer is A</think>\nB", "B", "the first line, a letter"),
        ("", None, "no rule reads it"),
    ],
)
def test_lmms_eval_on_blink(text: str, letter: str | None, rule: str) -> None:
    read = lmms_eval.by_statement(text, FOUR)
    assert (read.letter, read.rule) == (letter, rule)


def test_what_is_left_without_thoughts() -> None:
    assert vlmevalkit.after_thought("<think>A</think> B </think> C ") == "C" and vlmevalkit.after_thought("<think>A") == "<think>A"
    assert lmms_eval.without_thoughts("<think>A</think> B <think>C</think> D") == "B  D"
    assert lmms_eval.without_thoughts("A</think>B") == "B" and lmms_eval.without_thoughts("<think>A") == "<think>A"
