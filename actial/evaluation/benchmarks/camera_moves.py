"""How a camera moved and turned, as SPAR-Bench's task view_change_infer writes it: `move_right:0.3,move_down:0.1,rotate_left:12` (metres, degrees).

*Its own score.* Of each of five axes (sideways, up, forward, turn, tilt; what is not named is 0) the amounts along both ways become one signed number, and the
score is the mean of their relative accuracies. The authors' code hands the truth over as the answer and the answer as the truth: the error is measured in
shares of what was *answered*, and as it stands where 0 was answered. `score` does as the published numbers were made; VLMEvalKit has it the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from actial.evaluation.benchmarks.relative_accuracy import mean_relative_accuracy

AXES = (
    ("move_right", "move_left"),
    ("move_up", "move_down"),
    ("move_forward", "move_backward"),
    ("rotate_right", "rotate_left"),
    ("rotate_up", "rotate_down"),
)
"""What counts as positive and what as negative."""
_NAMED = re.compile(r"\b((?:move|rotate)_[a-z]{2,8})\b[\s\"'*`]{0,4}[:=][\s\"'*`]{0,4}([+-]?\d{1,9}(?:\.\d{1,9})?)")


@dataclass(frozen=True, slots=True)
class CameraMove:
    """A move by its five axes."""

    amounts: tuple[float, ...]
    """Signed, in the order of `AXES`: three in metres, two in degrees."""


def read_move(text: str) -> CameraMove | None:
    """The amounts that a text names; None where it names none, an unknown way, or two amounts for one.

    Takes time linear in the text's length.
    """
    named: dict[str, float] = {}
    for name, amount in _NAMED.findall(text):
        if not any(name in ways for ways in AXES) or named.setdefault(name, float(amount)) != float(amount):
            return None
    return _of_axes(named) if named else None


def _of_axes(named: Mapping[str, float]) -> CameraMove:
    return CameraMove(tuple(named.get(ahead, 0.0) - named.get(back, 0.0) for ahead, back in AXES))


def score(answer: CameraMove, truth: CameraMove) -> float:
    """The authors' score, from 0 to 1: relative to the answer (see above)."""
    return sum(mean_relative_accuracy(right, told) for told, right in zip(answer.amounts, truth.amounts, strict=True)) / len(AXES)
