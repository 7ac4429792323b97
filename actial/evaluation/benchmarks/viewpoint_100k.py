"""The test rows of Viewpoint-100K (Actial's paper, arXiv 2511.01618): how the camera moved between two photographs of one object.

Named in the paper as INno0o/Viewpoint-100K, of which 1,000 rows are the test. Its columns, its files' names and its licence were not published where we could
read them. So put its test rows as Parquet into the benchmark's folder, and where their columns are called otherwise than below, a file `columns.yaml`
beside them, with what an entry of `build_qa.external` has:

    format: lettered
    columns: {images: images, question: problem, answer: answer, kind: type, id: id}

Accuracy: all questions alike, and by kind where there is a column for that. Chance: 1 / number of options. The prompt is our `prompt` section's.

Traps: the base model's 12.9 % in the paper lies below chance and resembles the joint score of three tied questions (facts of the paper, section 8): compare
with chance and the share that could be read, not with that number.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from actial.errors import UserError
from actial.evaluation.benchmarks.benchmark import Benchmark
from actial.evaluation.benchmarks.metrics import micro
from actial.evaluation.benchmarks.outside import outside_entry, read_outside
from actial.evaluation.benchmarks.published import published_files
from actial.params_external import FORMATS, External, check_external
from actial.questions.external_files import column_of, open_parquet
from actial.questions.external_rows import row_id

NAME = "viewpoint_100k"
COLUMNS_FILE = "columns.yaml"
GUESSED: dict[str, Any] = {"format": "lettered", "columns": {"images": "images", "question": "problem", "answer": "answer"}}
"""What data/external/README.md supposes of its rows."""


def _entry(folder: Path) -> External:
    path = folder / COLUMNS_FILE
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else GUESSED
    except (yaml.YAMLError, UnicodeDecodeError):
        said = None
    if not isinstance(said, dict) or set(said) != set(GUESSED) or said["format"] not in FORMATS or not isinstance(said["columns"], dict):
        raise UserError(f"{path} must hold columns and a format ({', '.join(FORMATS)}), as an entry of build_qa.external in params.yaml does, and nothing else")
    entry = outside_entry(NAME, said["format"], said["columns"])
    try:
        check_external([entry])
    except UserError as error:
        raise UserError(f"{path} is not right: {error}") from None
    return entry


def _adapted(benchmark: Benchmark, folder: Path) -> Benchmark:
    entry = _entry(folder)
    for path in published_files(benchmark.title, folder, benchmark.files):
        names = open_parquet(path).schema_arrow.names
        for what, column in entry.columns.items():
            if column_of(column, names) is None:
                raise UserError(f"{path} has no column {column} for {what}; it has {', '.join(names)}: say in {folder / COLUMNS_FILE} how they are called")
    return replace(
        benchmark,
        columns=tuple(entry.columns.values()),
        row_id=lambda row: row_id(row.cells, entry),
        read=lambda row, name: read_outside(NAME, entry, row, name),
    )


VIEWPOINT_100K = Benchmark(
    name=NAME,
    title="Viewpoint-100K test",
    version="not published: 1,000 rows in the paper",
    hub=None,
    revision=None,
    files=("*.parquet",),
    columns=(),
    licence="not stated",
    url="https://arxiv.org/abs/2511.01618",
    protocol="Our prompt; right is the letter, or the option's text.",
    row_id=lambda row: "",
    read=lambda row, name: read_outside(NAME, _entry(row.folder), row, name),
    adapted=_adapted,
    metrics=(micro("accuracy", "the share of all questions that is right"),),
    primary="accuracy",
)
