"""What an answer to an item is worth: an option is right or not, a number and a camera move earn what the benchmark's authors give them.

Reading is `answers`; a move is looked for in the part of a completion where that looks for options and numbers. What cannot be read earns 0 and is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from actial.answers import Answer, Unparsed, numbers, read_answer
from actial.answers.parts import answering_part
from actial.evaluation.benchmarks.benchmark import Item, Metric, Quantity, Scored, Unit
from actial.evaluation.benchmarks.camera_moves import CameraMove, read_move, score
from actial.evaluation.benchmarks.relative_accuracy import mean_relative_accuracy, mean_relative_accuracy_as_written

NO_MOVE = Unparsed("no camera move")


def scored(item: Item, completion: str) -> Scored:
    """An item with what a completion is worth."""
    if item.number is None:
        reading = read_answer(completion, item.question.options)
        if not isinstance(reading, Answer):
            return _unread(item, reading)
        return Scored(item.without_pictures(), float(reading.letter == item.question.truth), True, reading.letter, reading.rule)
    if isinstance(item.number, CameraMove):
        part = answering_part(completion)
        if isinstance(part, Unparsed):
            return _unread(item, part)
        move = read_move(part.text)
        return _unread(item, NO_MOVE) if move is None else Scored(item.without_pictures(), score(move, item.number), True, move, part.rule("move"))
    number = numbers.read_number(completion, cast("numbers.Unit", item.number.unit))
    if not isinstance(number, numbers.Number):
        return _unread(item, number)
    return Scored(item.without_pictures(), mean_relative_accuracy(number.value, item.number.value), True, number.value, number.rule)


def _unread(item: Item, why: Unparsed) -> Scored:
    return Scored(item.without_pictures(), 0.0, answered=False, rule=why.reason)


def as_written(metric: Metric, name: str, formula: str) -> Metric:
    """The same metric of the credits that the formula of the paper gives numbers (see `relative_accuracy`)."""

    def credit(s: Scored) -> float:
        if isinstance(s.item.number, Quantity) and isinstance(s.told, float):
            return mean_relative_accuracy_as_written(s.told, s.item.number.value)
        return s.credit

    def units(scored: Sequence[Scored]) -> list[Unit]:
        return metric.units([replace(s, credit=credit(s)) for s in scored])

    return Metric(name, formula, units)
