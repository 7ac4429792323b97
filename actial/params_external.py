"""Settings of one data set from outside, an entry of `build_qa.external`: its own file, since params.py is long enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from actial.errors import UserError
from actial.typed_yaml import setting

FORMATS = ("sat", "options", "lettered")
NEEDED = {"sat": (), "options": ("images", "question", "options", "answer"), "lettered": ("images", "question", "answer")}
"""Columns that must be named, by format."""
OPTIONAL = ("kind", "id", "scene")
SAT_COLUMNS = {"images": "image_bytes", "question": "question", "options": "answers", "answer": "correct_answer", "kind": "question_type"}
SPLITS_FROM_OUTSIDE = ("train", "rl")
PUBLISHED_BENCHMARKS = (
    "cv_bench",
    "3dsrbench",
    "blink",
    "mmsi_bench",
    "mmsi_bench_circular",
    "sat_real",
    "sat_val",
    "viewpoint_100k",
    "mindcube",
    "mindcube_tiny",
    "viewspatial",
    "vsi_bench",
    "vsi_bench_debiased",
    "spar_bench",
    "spar_bench_tiny",
    "all_angles",
)
"""What `evaluate.benchmarks` may name: those of `actial.evaluation.benchmarks.registry`."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class External:
    """A data set from outside, whose questions and pictures become ours."""

    name: str = setting("What it is called in ids, kinds and sources: lower-case letters, digits and _, a letter first; not scene.")
    hub: str | None = setting("Data set on the Hugging Face hub, as owner/name; null where its files lie in data/external.")
    revision: str | None = setting("Commit of a data set on the hub, 40 hex digits; null where there is no hub.")
    path: str = setting("Parquet file, or folder of them, below data/external; on the hub a file or a pattern such as data/train-*.parquet.")
    format: str = setting(
        "sat: as array/SAT has it, defects mended. options: a list of option texts, and as answer one of them, its letter, or its place from 0. "
        "lettered: the options stand in the question's text, each behind its letter, and the answer is a letter.",
        choices=FORMATS,
    )
    columns: dict[str, str] = setting(
        "Column of each of images, question, options, answer, and where there are such kind, id, scene (what must fall into one split); a place within a "
        "column as messages.0.content. Empty for format sat as it is published."
    )
    splits: dict[str, float] = setting("Share of its scenes that goes to each of train and rl; at most 1 in all, the rest is left alone.", gt=0, le=1)
    n: int | None = setting("Most rows read, drawn by the seed; null for all.", ge=1)
    licence: str = setting("Licence of its pictures; it stands in every view.")
    max_refused_share: float = setting("Share of the rows read that may be set aside as unusable before the stage fails.", ge=0, le=1)

    def column(self, what: str) -> str | None:
        """Which column of the files holds `what`; None where none does."""
        return ((SAT_COLUMNS if self.format == "sat" else {}) | self.columns).get(what)


def check_external(external: Sequence[External]) -> None:
    """Check what can be seen without opening a file.

    Raises:
        UserError: for the first entry that cannot be meant.
    """
    names = [entry.name for entry in external]
    for i, entry in enumerate(external):
        key = f"build_qa.external[{i}]"
        if not _NAME.fullmatch(entry.name) or entry.name == "scene":
            raise UserError(f"{key}.name is {entry.name!r}; it must be lower-case letters, digits and _, a letter first, and not scene")
        if names.index(entry.name) != i:
            raise UserError(f"build_qa.external names {entry.name} twice; name each data set once")
        _check_place(key, entry)
        known = (*NEEDED["options"], *OPTIONAL)
        for what in entry.columns:
            if what not in known:
                raise UserError(f"{key}.columns names {what}; it may name {', '.join(known)}")
        if lacking := [what for what in NEEDED[entry.format] if what not in entry.columns]:
            raise UserError(f"{key}.columns lacks {lacking[0]}, which format {entry.format} needs: name the column that holds it")
        if not entry.splits or not set(entry.splits) <= set(SPLITS_FROM_OUTSIDE) or sum(entry.splits.values()) > 1 + 1e-6:
            raise UserError(f"{key}.splits is {entry.splits}; it must give {' or '.join(SPLITS_FROM_OUTSIDE)} (or both) shares that add up to at most 1")


def _check_place(key: str, entry: External) -> None:
    path = PurePosixPath(entry.path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UserError(f"{key}.path is {entry.path!r}; it must lie below data/external, or in the data set on the hub, without any ..")
    if entry.hub is None and entry.revision is not None:
        raise UserError(f"{key}.revision is {entry.revision!r}, but {key}.hub is null: files in data/external have no revision, set it to null")
    if entry.hub is not None and entry.hub.count("/") != 1:
        raise UserError(f"{key}.hub is {entry.hub!r}; it must be owner/name")
    if entry.hub is not None and not _COMMIT.fullmatch(entry.revision or ""):
        raise UserError(f"{key}.revision is {entry.revision!r}; it must be the commit to take {entry.hub} from, 40 hex digits: a branch or tag may move")
