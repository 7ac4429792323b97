"""From the parts of a row to an item: checked, or refused with a reason to count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from actial import ids
from actial.evaluation.benchmarks.benchmark import Item, Quantity
from actial.evaluation.benchmarks.camera_moves import CameraMove
from actial.evaluation.benchmarks.published import Row
from actial.prompts import IMAGE_MARK
from actial.questions.external_rows import (
    RefusedRow,
    decoded,
    encoded_pictures,
    lower_case_words,
    outside_question,
    refuse_chat_marks,
    refuse_options,
    right_option,
    size_px,
)
from actial.records import LETTERS

MOST_PICTURES = 64
"""More than any of the benchmarks shows; the frames of a video are fewer."""


def item(
    name: str,
    row: Row,
    row_id: str,
    *,
    text: str,
    pictures: Any,
    task: str,
    options: Sequence[str] = (),
    truth: str | int = "",
    number: Quantity | CameraMove | None = None,
    scene: str = "",
    group: str = "",
    variant: str = "",
    prompt: str | None = None,
    strata: Mapping[str, str] | None = None,
) -> Item:
    """A question of a benchmark.

    Args:
        name: the benchmark's.
        text: the question without its options.
        pictures: encoded, as bytes or in Hugging Face Image form, one or a list.
        task: its kind becomes `<name>_<task>`.
        truth: the right option's letter (`B`, `(B)`), text, or place from 0; unused where the answer is a number.
        number: the truth where there are no options.
        prompt: without any `<image>`: its pictures come before it.
        scene, group, variant, strata: see `Item`; an empty group is the row's own id.

    Raises:
        RefusedRow: it cannot be asked.
    """
    text, options = text.replace(IMAGE_MARK, "").strip(), tuple(option.replace(IMAGE_MARK, "").strip() for option in options)
    if not text:
        raise RefusedRow("no question")
    if number is None:
        refuse_options(options)
    refuse_chat_marks(text, *options)
    right = None if number is not None else right_option(truth, options)
    found = encoded_pictures(pictures, MOST_PICTURES)
    sizes_px = tuple(map(size_px, found))
    if prompt is not None and IMAGE_MARK not in prompt:
        prompt = pictures_before(prompt, len(found))
    if prompt is not None and prompt.count(IMAGE_MARK) != len(found):
        raise RefusedRow("more or fewer pictures than places for them in the prompt")
    scene_id = ids.outside_scene_id(name, found)
    letter = "" if right is None else LETTERS[right]
    question = outside_question(name, row.number, lower_case_words(task), scene_id, len(found), text, options, letter)
    return Item(row_id, question, found, sizes_px, group or row_id, variant, number, prompt, scene, strata=strata or {})


def number_of(cell: Any) -> float:
    """A truth that is a number, or the text of one.

    Raises:
        RefusedRow: it is neither.
    """
    try:
        value = float(cell if isinstance(cell, float) else decoded(cell, "answer"))
    except ValueError:
        raise RefusedRow("a truth that is no number") from None
    if not math.isfinite(value):
        raise RefusedRow("a truth that is no number")
    return value


def pictures_before(text: str, n: int) -> str:
    """A user turn with its pictures first, as the kits have it."""
    return IMAGE_MARK * n + text.replace(IMAGE_MARK, "")
