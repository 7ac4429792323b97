"""Controls: the same questions under conditions that take something away, or turn it round.

| condition | the model sees | right is | reading |
|---|---|---|---|
| first_only | the first picture, and a plain mid-gray one of the second's size | the original truth | at chance, unless the first picture gives answers away |
| second_only | a plain mid-gray one of the first's size, and the second picture | the original truth | as above, for the second |
| same_twice | the first picture twice | none, or no | whether it sees that nothing moved |
| swapped | both pictures in the other order, under the same words and options | the truth of the other order's own question | as good as plain |
| blind | no picture, nor the words that name one by its place | the original truth | at chance, unless words give answers away |

Of three pictures none is hidden or repeated; swapped, they stand in the reverse order, and the truth names them by their new places. Questions about one
picture are asked blind, and under no other condition.

Benchmarks are asked under those that need no other truth (`BENCHMARK_CONTROLS`): blind, first_only and last_only, where a question has any number of pictures
and all but one are gray. Why blind shows no picture rather than gray ones: that is what authors call blind or text only; a gray picture is a thing to be
seen, which a model may remark upon; and nothing of the prompt needs a picture, since all prompts have them before the words. Why the others of several are gray
rather than gone: the words speak of "the second image", and of a number of them, which must stay where they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from actial import ids
from actial.records import Question

if TYPE_CHECKING:
    from PIL import Image

CONTROLS = ("first_only", "second_only", "same_twice", "swapped", "blind")
BENCHMARK_CONTROLS = {"blind": "no picture", "first_only": "first picture only", "last_only": "last picture only"}
"""What tables call them."""
GRAY = (128, 128, 128)
PLAIN, SAMPLED, FAMILY = "plain", "sampled", "family"
"""Asked as it is, several times, or plainly since it belongs to a family of questions (`families`)."""


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as it is asked under a condition, with the truth that holds there. It keeps its id."""

    question: Question
    hidden: tuple[int, ...] = ()
    """Places of the pictures that are replaced by plain mid-gray ones of their sizes."""


def posed(condition: str, question: Question, test: Mapping[str, Question]) -> Posed | None:
    """A question under a control; None where its truth is not known there, or the control is none for it.

    Args:
        question: about one view, two or three.
        test: all questions of the split, by id: the other order's truth is looked up, not guessed, since it need not be the mirror of this one's.

    Raises:
        ValueError: there is no such condition.
    """
    if condition not in CONTROLS:
        raise ValueError(f"there is no condition {condition!r}")
    if condition == "blind":
        return less_shown(condition, question)
    if len(question.view_ids) == 1:
        return None
    if len(question.view_ids) == 3:
        return _reversed(question) if condition == "swapped" else None
    first, second = question.view_ids
    if condition in ("first_only", "second_only"):
        return less_shown("first_only" if condition == "first_only" else "last_only", question)
    if condition == "same_twice":
        zero = question.zero_letter()
        return None if zero is None else Posed(replace(question, view_ids=(first, first), truth=zero))
    other = test.get(ids.question_id(ids.group_id(second, first), question.kind))
    return None if other is None else Posed(replace(question, view_ids=(second, first), truth=question.letter_of(other.label_of(other.truth))))


def less_shown(condition: str, question: Question) -> Posed | None:
    """A question without its pictures, or with only the first or last of several; None where it has no other to hide.

    Args:
        condition: one of `BENCHMARK_CONTROLS`.
    """
    if condition == "blind":
        return Posed(replace(question, view_ids=()))
    last = len(question.view_ids) - 1
    kept = {"first_only": 0, "last_only": last}[condition]
    return Posed(question, hidden=tuple(place for place in range(last + 1) if place != kept)) if last > 0 else None


def hide(picture: Image.Image) -> None:
    """Make all of a picture mid-gray."""
    picture.paste(GRAY, (0, 0, *picture.size))


_RENAMED: dict[str, str] = {"first": "third", "third": "first"}


def _reversed(question: Question) -> Posed:
    """Three pictures in the reverse order: the first is now the third, in places and in orders alike."""
    label = question.label_of(question.truth)
    renamed = _RENAMED.get(label, label.translate(str.maketrans("13", "31")))
    return Posed(replace(question, view_ids=question.view_ids[::-1], truth=question.letter_of(renamed)))
