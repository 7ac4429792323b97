"""The nouns of a benchmark: what is asked (Item), what cannot be (Refused), what came out (Scored), what is quoted (Metric), and the benchmark itself.

A row that cannot be asked is counted with its reason and never guessed at; a file that is not what was published ends in one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from actial.evaluation.benchmarks.camera_moves import CameraMove
from actial.evaluation.benchmarks.published import Row, gathered, published_rows
from actial.questions.external_rows import RefusedRow
from actial.records import LETTERS, Question
from actial.stats import Mean, clustered_mean

if TYPE_CHECKING:
    from actial.questions.contradictions import Family


@dataclass(frozen=True, slots=True)
class Quantity:
    """An answer that is a number."""

    value: float
    unit: str
    """As `answers.numbers.Unit` has it: `m`, `cm`, `m2`, `deg`, `count`, …."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question of a benchmark, as it is asked."""

    row_id: str
    """What the benchmark calls its row."""
    question: Question
    """`source` is the benchmark's name; no options where the answer is a number."""
    pictures: tuple[bytes, ...]
    """Encoded, as many as the question has views; empty once they were written into shards (see `without_pictures`)."""
    sizes_px: tuple[tuple[int, int], ...]
    """Width and height of each."""
    group: str
    """What all variants of one question share: its orders of options, its mirror image; the row's own id where there are none."""
    variant: str = ""
    """``, `circular`, `flip` or `flip_circular`."""
    number: Quantity | CameraMove | None = None
    """The truth where it is a number, or several."""
    prompt: str | None = None
    """The user turn that the published protocol prescribes, with an `<image>` where each picture goes; None where our `prompt` section's is as good."""
    scene: str = ""
    """What other pictures of the same place share, where the benchmark says so: questions about them are not independent."""
    family: Family | None = None
    """Where answers to several questions can contradict each other: what each of them claims."""
    strata: Mapping[str, str] = field(default_factory=dict)
    """What metrics group by, such as `{"source": "ADE20K", "task": "Depth"}`, spelled as the benchmark spells it."""

    def without_pictures(self) -> Item:
        """The same, without the bytes of its pictures."""
        return replace(self, pictures=())


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be asked."""

    row_id: str
    reason: str
    """In a few words, for counting."""


@dataclass(frozen=True, slots=True)
class Scored:
    """An item with what its answer was worth."""

    item: Item
    credit: float
    """0 to 1: whether it was right, or the mean relative accuracy of a number. 0 where nothing could be read."""
    answered: bool
    """Whether an answer could be read."""
    told: str | float | CameraMove | None = None
    """What was read: a letter, or a number in the unit asked for."""
    rule: str = ""
    """The rule of `answers` that read it, or the reason why none did."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What counts as one in a metric: a question, or a group of them."""

    key: str
    credit: float
    weight: float
    """The weights of a metric's units add up to 1."""
    cluster: str
    """Units of one cluster are not independent: they show the same picture, or its mirror image."""


@dataclass(frozen=True)
class Metric:
    """A number that is quoted: the weighted mean of its units' credits. So it has a standard error, and two models can be compared unit by unit."""

    name: str
    formula: str
    """A sentence."""
    units: Callable[[Sequence[Scored]], list[Unit]]
    """None of them where the metric is not defined, since a part it needs was not asked."""

    def value(self, scored: Sequence[Scored]) -> float | None:
        """0 to 1; None where there is no data."""
        units = self.units(scored)
        return sum(u.weight * u.credit for u in units) if units else None

    def mean(self, scored: Sequence[Scored]) -> Mean:
        """The value with its clustered standard error."""
        units = self.units(scored)
        return clustered_mean([u.credit for u in units], [u.cluster for u in units], [u.weight for u in units])

    def chance(self, scored: Sequence[Scored]) -> float | None:
        """What guessing each question for itself, every option alike, comes to; None where there is no data, or numbers, which nobody guesses so."""
        if any(not s.item.question.options for s in scored):
            return None
        return self.value([replace(s, credit=1 / len(s.item.question.options)) for s in scored])

    def majority(self, scored: Sequence[Scored]) -> float | None:
        """What the best of those comes to who answer every question with the same letter; None as of chance."""
        if any(not s.item.question.options for s in scored):
            return None
        letters = LETTERS[: max((len(s.item.question.options) for s in scored), default=0)]
        found = [self.value([_answered(s, letter) for s in scored]) for letter in letters]
        return max((value for value in found if value is not None), default=None)


def _answered(scored: Scored, letter: str) -> Scored:
    """The same, had the answer been this letter."""
    question = scored.item.question
    if letter not in LETTERS[: len(question.options)]:
        return replace(scored, credit=0.0, answered=False, told=None)
    return replace(scored, credit=float(letter == question.truth), answered=True, told=letter)


@dataclass(frozen=True)
class Benchmark:
    """A published benchmark."""

    name: str
    """In ids, kinds and file names: lower-case letters, digits and _."""
    title: str
    version: str
    """Which publication of it, with the number of rows it is to have."""
    hub: str | None
    """Data set on the Hugging Face hub, as owner/name; None where it is on none, or no commit of it is known."""
    revision: str | None
    """Commit there, 40 hex digits."""
    files: tuple[str, ...]
    """Patterns of file names, as published; each must be there."""
    columns: tuple[str, ...]
    """Columns that each file must have."""
    licence: str
    url: str
    protocol: str
    """How it is asked and scored, a sentence or two."""
    row_id: Callable[[Row], str]
    """What the benchmark calls a row. Raises RefusedRow."""
    read: Callable[[Row, str], Item]
    """A row and its id as it is asked. Raises RefusedRow."""
    metrics: tuple[Metric, ...]
    primary: str
    """Name of the metric quoted."""
    optional: tuple[str, ...] = ()
    """Columns that are read where they are there."""
    variants: Callable[[Item], Iterable[Item]] = lambda item: ()
    """What is asked beside an item, such as its options in other orders."""
    adapted: Callable[[Benchmark, Path], Benchmark] = lambda benchmark, folder: benchmark
    """The benchmark as a folder has it, where that says how its columns are called."""
    home: str = ""
    """Name of the benchmark whose folder its files lie in, where that is another's."""
    beside: tuple[str, ...] = ()
    """Patterns of further files that are fetched from the hub: the archives that its pictures lie in."""
    together: Callable[[Row], str] | None = None
    """Rows of one key are asked one after the other, since it takes long to open what they show; all rows of a file are then in memory at a time."""
    at_least_one: bool = False
    """Whether one of `files` is enough."""

    def items(self, folder: Path) -> Iterator[Item | Refused]:
        """All rows, in the order of the files' names, a few in memory at a time.

        Args:
            folder: holds the files as published.

        Raises:
            UserError: a file is missing, unreadable, or lacks a column.
        """
        this, seen = self.adapted(self, folder), set[str]()
        rows = published_rows(this.title, folder, this.files, this.columns, this.optional, at_least_one=this.at_least_one)
        for row in rows if this.together is None else gathered(rows, this.together):
            row_id = f"row {row.number}"
            try:
                row_id = this.row_id(row) or row_id
                if row_id in seen:
                    raise RefusedRow("an id that stood before")
                seen.add(row_id)
                item = this.read(row, row_id)
            except RefusedRow as reason:
                yield Refused(row_id, str(reason))
                continue
            yield item
            yield from this.variants(item)

    def metric(self, name: str) -> Metric:
        """The metric of that name."""
        return next(metric for metric in self.metrics if metric.name == name)
