"""Their numbers beside ours, and the rows that make the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actial.evaluation.parity.kits import KitTask
from actial.evaluation.parity.reading import Reading
from actial.evaluation.parity.records import Record


@dataclass(frozen=True)
class Difference:
    """A row that one side counts right and the other wrong."""

    record: Record
    ours: Reading
    theirs: Reading

    @property
    def ours_is_right(self) -> bool:
        return self.ours.letter == self.record.item.question.truth


@dataclass(frozen=True)
class Compared:
    """A kit's task over one model's records."""

    task: KitTask
    n: int
    values: tuple[tuple[str, float | None, float | None], ...]
    """What the kit calls a number, its value, and the same formula over our readings; None where rows are missing that it needs."""
    n_to_judge: int
    """Rows that none of its rules reads, for which it would ask a judge, or draw; they count as wrong here, as under `exact_matching`."""
    n_unread: int
    """Rows that our rules do not read."""
    differences: tuple[Difference, ...]

    def causes(self) -> list[tuple[Difference, int]]:
        """By their rule, our rule and who is right: the first such row, and how many there are; most first."""
        alike: dict[tuple[str, str, bool], list[Difference]] = {}
        for d in self.differences:
            alike.setdefault((d.theirs.rule, d.ours.rule, d.ours_is_right), []).append(d)
        return sorted(((found[0], len(found)) for found in alike.values()), key=lambda cause: -cause[1])


def compared(task: KitTask, records: Sequence[Record]) -> Compared | None:
    """A kit's task over the records of one model, mode and sample; None where it scores none of them."""
    rows = [record for record in records if record.benchmark == task.benchmark and task.only(record.item)]
    if not rows:
        return None
    ours, theirs = [record.ours() for record in rows], [task.read(record) for record in rows]
    our_scores = [record.scored(reading) for record, reading in zip(rows, ours, strict=True)]
    their_scores = [record.scored(reading) for record, reading in zip(rows, theirs, strict=True)]
    return Compared(
        task=task,
        n=len(rows),
        values=tuple((name, metric.value(their_scores), metric.value(our_scores)) for name, metric in task.metrics),
        n_to_judge=sum(reading.by_judge for reading in theirs),
        n_unread=sum(reading.letter is None for reading in ours),
        differences=tuple(
            Difference(record, our, their)
            for record, our, their, a, b in zip(rows, ours, theirs, our_scores, their_scores, strict=True)
            if a.credit != b.credit
        ),
    )
