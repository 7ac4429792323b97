"""How probable a model's answer was: the tokens that it stands in, found in what was written, wherever the model was asked."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from actial.answers.parts import answer_span

if TYPE_CHECKING:
    from actial.endpoint.asking import Token

LOGPROB_DECIMALS = 3
"""Finer than any reader asks, and so coarse that the rounding of another batch hardly ever shows."""
MOST_BEHIND = 2
"""Tokens behind a reply's text that servers tell: one that ends it, and maybe a line's end."""


def logprob_between(start: int, end: int, length: Callable[[int], int], logprobs: Sequence[float], n_tokens: int) -> float:
    """Of the tokens that any part of a stretch of text stands in, natural logarithm, rounded.

    Args:
        start, end: of the stretch, which is not empty.
        length: of the text that the first so many tokens make, in the unit of `start` and `end`.
        logprobs: of each of the `n_tokens` tokens, or of more.
    """
    places = range(n_tokens + 1)
    first, last = bisect.bisect_right(places, start, key=length) - 1, bisect.bisect_left(places, end, key=length)
    return round(sum(logprobs[first:last]), LOGPROB_DECIMALS)


def served_logprob(text: str, tokens: Sequence[Token]) -> float | None:
    """Of the answer in the last `<answer>` of a reply; None where none stands there, or the tokens are not those of the text.

    Servers also tell tokens that stand in no text: before it a thought that they keep apart, behind it those that end the reply.
    """
    if not tokens or (span := answer_span(text)) is None:
        return None
    wanted = text.rstrip().encode()
    for n_behind in range(min(MOST_BEHIND, len(tokens)) + 1):
        kept = tokens[: len(tokens) - n_behind]
        written = b"".join(token.text for token in kept).rstrip()
        if written.endswith(wanted):
            before = len(written) - len(wanted)
            ends = [0, *itertools.accumulate(len(token.text) for token in kept)]
            start, end = (before + len(text[:place].encode()) for place in span)
            return logprob_between(start, end, ends.__getitem__, [token.logprob for token in kept], len(kept))
    return None
