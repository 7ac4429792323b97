"""Do answers to several questions about the same views contradict each other? They do where no motion of the cameras makes them all true.

Every answer bounds how much a quantity differs between two views (`bounds` says which). Bounds on differences can all hold together unless, chained around some
cycle, they exclude each other (Dechter, Meiri and Pearl, "Temporal constraint networks", 1991): shortest paths decide it exactly. Angles are known up to whole
turns: wherever a bound closes a cycle of others, every number of turns that fits is tried.

No truth goes into it: two wrong answers can be consistent, and a right one and a wrong one can contradict each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from actial.errors import UserError
from actial.json_files import read_jsonl

AZIMUTH, HEADING, WAY, TILT, ELEVATION, LOG_DISTANCE = "azimuth", "heading", "way", "tilt", "elevation", "log_distance"
CIRCULAR = frozenset({AZIMUTH, HEADING, WAY, TILT})
"""Angles up to whole turns, degrees; elevations are degrees, too. Left and counter-clockwise are positive, a horizon that tilts clockwise, up, and farther."""
EPSILON = 1e-6
FAMILIES = "families.jsonl"
"""Beside the questions."""


class Bound(NamedTuple):
    """What a quantity of one view exceeds that of another by."""

    start: str
    """A quantity of a view, as `azimuth 0`; views are numbered in their family."""
    end: str
    low: float
    high: float
    """`end` minus `start` lies between; for angles of `CIRCULAR`, or for some whole number of turns more or less."""


Claim = tuple[tuple[Bound, ...], ...]
"""What an answer says: one of these alternatives, each of which holds with all its bounds. An alternative without bounds says nothing."""


@dataclass(frozen=True)
class Family:
    """Questions whose answers constrain each other."""

    family_id: str
    sort: str
    """pair: both orders and several kinds about two views; cycle: three views, pair by pair around, and together."""
    scene_id: str
    facts: tuple[Claim, ...]
    """What the questions take for granted, and each picture shows by itself."""
    claims: Mapping[str, Mapping[str, Claim]]
    """By question and label."""


def contradicts(family: Family, answers: Mapping[str, str | None]) -> bool | None:
    """Whether no motion of the cameras makes all answers true. None where some question has no answer, and the others do not contradict each other.

    Args:
        answers: the label answered to each question; None, or nothing, where there is no answer.
    """
    given = {question_id: label for question_id, label in answers.items() if label is not None and question_id in family.claims}
    claims = [family.claims[question_id][label] for question_id, label in sorted(given.items())]
    if not possible([*family.facts, *claims]):
        return True
    return None if len(given) < len(family.claims) else False


def possible(claims: Sequence[Claim]) -> bool:
    """Whether some choice of alternatives, and of whole turns, holds with all its bounds."""
    nodes = sorted({node for claim in claims for alternative in claim for bound in alternative for node in bound[:2]})
    free = np.where(np.eye(len(nodes), dtype=bool), 0.0, np.inf)
    return _holds(free, sorted(claims, key=len), {node: i for i, node in enumerate(nodes)})


def _holds(upper: np.ndarray, claims: Sequence[Claim], place: Mapping[str, int]) -> bool:
    """Whether the claims can hold beside the largest differences (n, n) known so far: `upper[i, j]` of j minus i."""
    if not claims:
        return True
    return any(_holds(tighter, claims[1:], place) for alternative in claims[0] for tighter in _with_all(upper, alternative, place))


def _with_all(upper: np.ndarray, bounds: Sequence[Bound], place: Mapping[str, int]) -> Iterator[np.ndarray]:
    """Every way to have all bounds beside those already there."""
    if not bounds:
        yield upper
        return
    start, end, low, high = bounds[0]
    a, b = place[start], place[end]
    for turns in _turns(upper, a, b, low, high) if start.split()[0] in CIRCULAR else (0,):
        tighter = _tightened(upper, a, b, high + 360.0 * turns)
        tighter = None if tighter is None else _tightened(tighter, b, a, -low - 360.0 * turns)
        if tighter is not None:
            yield from _with_all(tighter, bounds[1:], place)


def _turns(upper: np.ndarray, a: int, b: int, low: float, high: float) -> Sequence[int]:
    """Whole turns with which a bound may hold; where nothing joins the two angles yet, their turns are counted from here."""
    most, least = float(upper[a, b]), -float(upper[b, a])
    if math.isinf(most):
        return (0,)
    return range(math.ceil((least - high - EPSILON) / 360.0), math.floor((most - low + EPSILON) / 360.0) + 1)


def _tightened(upper: np.ndarray, a: int, b: int, most: float) -> np.ndarray | None:
    """With one more bound, shortest paths anew; None where the bounds exclude each other."""
    if most >= upper[a, b]:
        return upper
    if most + upper[b, a] < -EPSILON:
        return None
    return np.minimum(upper, upper[:, a, None] + most + upper[None, b, :])


def can_contradict(family: Family, draws: Sequence[Sequence[float]]) -> bool:
    """Whether some of these blind guesses contradict each other.

    Args:
        draws: (n, questions) in [0, 1): which option is guessed, in the order of the family's questions.
    """
    guesses = ({question_id: list(of)[int(x * len(of))] for (question_id, of), x in zip(family.claims.items(), draw, strict=True)} for draw in draws)
    return any(contradicts(family, guessed) for guessed in guesses)


def write_families(path: Path, families: Sequence[Family]) -> None:
    """One line a family."""
    lines = [json.dumps(asdict(f) | {"question_ids": sorted(f.claims)}, sort_keys=True, allow_nan=False) + "\n" for f in families]
    path.write_text("".join(lines), encoding="utf-8")


def read_families(path: Path) -> list[Family]:
    """What `write_families` wrote.

    Raises:
        UserError: the file holds something else.
    """
    try:
        return [_family(row) for row in read_jsonl(path)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no table of question families ({error}): rebuild the questions with build_qa") from None


def _family(row: Mapping[str, Any]) -> Family:
    bounds = lambda rows: tuple(Bound(*row) for row in rows)
    claims = {question_id: {label: tuple(map(bounds, claim)) for label, claim in of.items()} for question_id, of in row["claims"].items()}
    return Family(row["family_id"], row["sort"], row["scene_id"], tuple(tuple(map(bounds, fact)) for fact in row["facts"]), claims)
