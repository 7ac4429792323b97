"""What is counted while rows go by, for the card. Memory grows by a few bytes a row and by the ids of views, never by pictures."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable

from actial.export.pictures import Picture
from actial.mirror import original_id
from actial.records import Conversation, Question


class Tally:
    """Counts of one export."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        """By split."""
        self.scenes: defaultdict[str, set[str]] = defaultdict(set)
        """By split."""
        self.kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Rows of each split by kind, in the order met."""
        self.modes: Counter[str] = Counter()
        """Conversations by mode."""
        self.examples: dict[str, Question] = {}
        """The first question of each kind."""
        self.values: defaultdict[tuple[str, str], array[float]] = defaultdict(lambda: array("d"))
        """Deciding values by kind and the quantity's name."""
        self.positive: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How often each label is right where the deciding value of a kind is positive."""
        self.views: dict[str, tuple[str, str]] = {}
        """Source and licence of each view shown."""
        self.aside: Counter[str] = Counter()
        """Rows set aside, by reason."""

    def add(self, split: str, row: Question | Conversation, pictures: Iterable[Picture]) -> None:
        """Count a row that is exported, with the pictures it shows."""
        self.rows[split] += 1
        self.scenes[split].add(row.scene_id)
        self.kinds[split][row.kind] += 1
        for picture in pictures:
            self.show(picture)
        if isinstance(row, Conversation):
            self.modes[row.mode] += 1
        else:
            self.examples.setdefault(row.kind, row)
            if row.deciding_quantity:
                self.values[row.kind, row.deciding_quantity].append(row.deciding_value)
            if row.deciding_value > 0:
                self.positive[row.kind][row.label_of(row.truth)] += 1

    def show(self, picture: Picture) -> None:
        """Count a picture; a view and its mirror image are two."""
        view = picture.view
        if view.view_id not in self.views:
            self.views[view.view_id] = (view.source, view.licence)

    @property
    def n_mirrored(self) -> int:
        """Pictures shown that are mirror images."""
        return sum(original_id(view_id) is not None for view_id in self.views)
