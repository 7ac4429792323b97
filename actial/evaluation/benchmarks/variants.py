"""The same question with its options in every other rotation: whoever knows the answer finds it wherever it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from actial.evaluation.benchmarks.benchmark import Item
from actial.records import LETTERS

CIRCULAR = "circular"


def rotations(item: Item, prompt: Callable[[Item], str] | None = None) -> Iterator[Item]:
    """An item of n options as n - 1 further ones: in the k-th, options begin with the k-th.

    Args:
        prompt: of the rotated item; None where it has none of its own.
    """
    question = item.question
    n, right = len(question.options), LETTERS.index(question.truth)
    for k in range(1, n):
        turned = replace(
            question,
            question_id=f"{question.question_id}_circular_{k}",
            options=question.options[k:] + question.options[:k],
            labels=question.labels[k:] + question.labels[:k],
            truth=LETTERS[(right - k) % n],
        )
        other = replace(item, row_id=f"{item.row_id}-circular-{k}", question=turned, variant=CIRCULAR, prompt=None)
        yield other if prompt is None else replace(other, prompt=prompt(other))
