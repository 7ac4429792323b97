"""The tokens that an answer stands in, found in what a server tells."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.answers.parts import answer_span
from actial.endpoint.asking import Token
from actial.evaluation.token_logprobs import served_logprob


def tokens(*told: tuple[str, float]) -> list[Token]:
    return [Token(text.encode(), logprob) for text, logprob in told]


ANSWER = tokens(("<think>", -1), ("So.", -2), ("</think><", -4), ("answer", -8), (">B", -0.25), ("e", -0.5), ("d<", -0.125), ("/answer>", -16))
"""Binary fractions: each sum names its tokens."""
TEXT = "<think>So.</think><answer>Bed</answer>"


@pytest.mark.parametrize(
    ("text", "told", "expected"),
    [
        (TEXT, ANSWER, -0.875),
        (TEXT, [*ANSWER, Token(b"<|im_end|>", -32)], -0.875),
        (TEXT, [*ANSWER, Token(b"<|im_end|>", -32), Token(b"\n", -64)], -0.875),
        (TEXT, [*ANSWER, Token(b"", -32)], -0.875),
        (TEXT + "\n", [*ANSWER, Token(b"\n", -32)], -0.875),
        (TEXT.removeprefix("<think>So.</think>"), ANSWER, -0.875),
        ("<answer>A</answer>", tokens(("<answer>A</answer> no: ", -1), ("<answer>", -2), ("A", -4), ("</answer>", -8)), -4.0),
        (TEXT, [], None),
        (TEXT, ANSWER[1:], None),
        (TEXT, tokens(("token_id:7", -1), ("token_id:9", -1)), None),
        ("The answer is B", tokens(("The answer is B", -1)), None),
        ("", tokens(("<|im_end|>", -1)), None),
    ],
    ids=["plain", "end", "end of line", "hidden end", "white space", "thought apart", "the last", "none told", "one lost", "numbers", "no tag", "no text"],
)
def test_by_hand(text: str, told: list[Token], expected: float | None) -> None:
    assert served_logprob(text, told) == expected


@given(st.text("aé€😀 <", max_size=12), st.text("bß漢", min_size=1, max_size=6), st.data())
def test_wherever_bytes_are_cut_into_tokens_those_count_that_the_answer_stands_in(before: str, answer: str, data: st.DataObject) -> None:
    text = f"{before}</think><answer> {answer} </answer>"
    written = f"<think>{text}".encode()
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(written) - 1)))), len(written)]
    told = [Token(written[a:b], -(2.0**-i) if i < 9 else -i) for i, (a, b) in enumerate(itertools.pairwise(cuts))]
    span = answer_span(text)
    assert span is not None
    start, end = (len(b"<think>") + len(text[:place].encode()) for place in span)
    inside = [t.logprob for t, (a, b) in zip(told, itertools.pairwise(cuts), strict=True) if a < end and b > start]
    assert served_logprob(text, told) == round(sum(inside), 3)
