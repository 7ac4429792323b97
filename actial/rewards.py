"""Rewards: pure functions of a completion and its question. A wrong or unreadable answer earns 0; an exception is a bug and raises."""

from __future__ import annotations

from collections.abc import Sequence

from actial.answers import Answer, is_well_formed, read_answer
from actial.records import LETTERS, Mode


def format_reward(completion: str, mode: Mode) -> float:
    """1 where the completion keeps the form that its mode asks for (`answers.is_well_formed`), else 0."""
    return 1.0 if is_well_formed(completion, mode) else 0.0


def accuracy_reward(completion: str, options: Sequence[str], truth: str) -> float | None:
    """1 where the answer that is read out of the completion is the right letter, 0 where it is another or none could be read.

    Returns:
        None where there are no options (mode describe): no reward, which TRL leaves out of the sum.

    Raises:
        ValueError: `truth` is no letter of an option.
    """
    if not options:
        return None
    if truth not in LETTERS[: len(options)] or len(truth) != 1:
        raise ValueError(f"the truth {truth!r} is none of the letters {', '.join(LETTERS[: len(options)])}")
    answer = read_answer(completion, options)
    return 1.0 if isinstance(answer, Answer) and answer.letter == truth else 0.0
