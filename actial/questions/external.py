"""Questions of data sets from outside: their rows become ours, their pictures views without a camera.

A scene of theirs is what one or two pictures show: rows about the same pictures share it, and each picture is stored once. Its id bears the data set's name
and a checksum of the pictures; a question's id ends with its kind and the number of its row, counted from 0 over the files in order of their names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from actial import ids
from actial.errors import UserError
from actial.params_external import SPLITS_FROM_OUTSIDE, External
from actial.questions.external_files import Found, batches
from actial.questions.external_rows import RefusedRow, Row, outside_question, read_row, row_id
from actial.records import LETTERS, Camera, Question, View
from actial.rng import generator_for, seed_for
from actial.shards import ViewWriter

SHARD_MB = 256
Watch = Callable[[bool], None]
_SEEDS = 2**63


@dataclass
class Joined:
    """What joined the splits from outside."""

    questions: dict[str, list[Question]] = field(default_factory=lambda: {split: [] for split in SPLITS_FROM_OUTSIDE})
    """By split."""
    scenes: dict[str, str] = field(default_factory=dict)
    """What the data set calls a scene, by our id; empty where it has no column for that."""
    n_views: int = 0
    n_read: Counter[str] = field(default_factory=Counter)
    """Rows read, by data set."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows set aside, by data set and reason."""


def join_external(found: Sequence[Found], views: Path, seed: int, watch: Watch = lambda refused: None) -> Joined:
    """Read data sets, write their pictures into the folder `views` (which gets a shard even without any).

    Args:
        watch: called after each row, with whether it was set aside.

    Raises:
        UserError: too many rows of a data set are unusable, none is usable, or a file cannot be read to its end.
    """
    joined = Joined()
    with ViewWriter(views, SHARD_MB) as writer:
        for data_set in found:
            for refused in _join(data_set, joined, writer, seed):
                watch(refused)
        joined.n_views = writer.n_views
    return joined


def _join(data_set: Found, joined: Joined, writer: ViewWriter, seed: int) -> Iterator[bool]:
    """For each row, whether it was set aside."""
    settings, seen = data_set.settings, set[str]()
    for number, cells in _rows(data_set, seed):
        joined.n_read[settings.name] += 1
        try:
            name = row_id(cells, settings)
            if name and name in seen:
                raise RefusedRow("an id that stood before")
            seen.add(name)
            row = read_row(cells, settings)
        except RefusedRow as reason:
            joined.refused[settings.name, str(reason)] += 1
            yield True
            continue
        scene_id = ids.outside_scene_id(settings.name, row.pictures)
        if (split := _split(settings, joined.scenes.get(scene_id, row.scene) or scene_id, seed)) is not None:
            if scene_id not in joined.scenes:
                joined.scenes[scene_id] = row.scene
                _write_views(scene_id, row, settings, writer)
            joined.questions[split].append(_question(scene_id, number, row, settings.name, seed))
        yield False
    _complain(settings, joined)


def _complain(settings: External, joined: Joined) -> None:
    why = Counter({reason: n for (name, reason), n in joined.refused.items() if name == settings.name})
    n_read, n_refused = joined.n_read[settings.name], why.total()
    said = ", ".join(f"{n:,} with {reason}" for reason, n in why.most_common(3))
    if n_refused > settings.max_refused_share * n_read:
        raise UserError(
            f"{n_refused:,} of {n_read:,} rows of {settings.name} cannot be asked ({said}), more than its max_refused_share in build_qa.external "
            f"({settings.max_refused_share:g}) allows: correct its format and columns, or raise the share"
        )
    if not any(q.source == settings.name for split in joined.questions.values() for q in split):
        raise UserError(
            f"not one of {n_read:,} rows of {settings.name} joined a split{f' ({said})' if said else ''}: give it larger shares in its splits, or more rows"
        )


def _rows(data_set: Found, seed: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows that are read, with their numbers."""
    settings, number = data_set.settings, 0
    drawn: set[int] | None = None
    if data_set.n_wanted < data_set.n_rows:
        drawn = set(generator_for(seed, f"{settings.name}/rows").permutation(data_set.n_rows)[: data_set.n_wanted].tolist())
    wanted = [column for what in ("images", "question", "options", "answer", "kind", "id", "scene") if (column := settings.column(what)) is not None]
    for path in data_set.files:
        for batch in batches(path, wanted):
            for i in range(batch.num_rows):
                if drawn is None or number in drawn:
                    yield number, batch.slice(i, 1).to_pylist()[0]
                number += 1


def _split(settings: External, thing: str, seed: int) -> str | None:
    """The split of what a thing is shown in: a seeded draw by its name alone, so that it depends on no other row."""
    drawn = seed_for(seed, f"{settings.name}/{thing}/split") / _SEEDS
    for split in SPLITS_FROM_OUTSIDE:
        drawn -= settings.splits.get(split, 0.0)
        if drawn < 0:
            return split
    return None


def _write_views(scene_id: str, row: Row, settings: External, writer: ViewWriter) -> None:
    for i, (data, size_px) in enumerate(zip(row.pictures, row.sizes_px, strict=True)):
        writer.add(View(ids.view_id(scene_id, i), scene_id, Camera(*size_px, K=(), T_world_cam=None), (), settings.name, settings.licence), data)


def _question(scene_id: str, number: int, row: Row, name: str, seed: int) -> Question:
    asked = outside_question(name, number, row.kind, scene_id, len(row.pictures), row.text, row.options, LETTERS[row.right])
    order = [int(i) for i in generator_for(seed, asked.question_id).permutation(len(row.options))]
    options = tuple(row.options[i] for i in order)
    return replace(asked, options=options, labels=options, truth=LETTERS[order.index(row.right)])
