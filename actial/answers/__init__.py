"""From a completion to an answer: an option (`options`), or a number in a unit (`numbers`). Shared by rewards and evaluation.

Rules have names and an order, and what they do not read is `Unparsed` with a reason: a value, never a guess.
"""

from actial.answers.options import DISAGREE, NOT_AN_OPTION, Answer, is_well_formed, read_answer, thought_of
from actial.answers.parts import AMBIGUOUS, EMPTY, EMPTY_TAG, NOT_FOUND, UNFINISHED, Unparsed

__all__ = [
    "AMBIGUOUS",
    "DISAGREE",
    "EMPTY",
    "EMPTY_TAG",
    "NOT_AN_OPTION",
    "NOT_FOUND",
    "UNFINISHED",
    "Answer",
    "Unparsed",
    "is_well_formed",
    "read_answer",
    "thought_of",
]
