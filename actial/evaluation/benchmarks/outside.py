"""Rows of data sets that `build_qa` can train on, asked as a benchmark: read by the very lines that read them there."""

from __future__ import annotations

from collections.abc import Mapping

from actial.evaluation.benchmarks.benchmark import Item
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item
from actial.params_external import External
from actial.questions.external_rows import read_row


def outside_entry(name: str, form: str, columns: Mapping[str, str]) -> External:
    """What an entry of `build_qa.external` says of a data set's rows; where its files are does not matter here.

    Args:
        form: `sat`, `options` or `lettered`.
    """
    return External(
        name=name, hub=None, revision=None, path=name, format=form, columns=dict(columns), splits={"train": 1.0}, n=None, licence="", max_refused_share=1.0
    )


def read_outside(name: str, entry: External, row: Row, row_id: str) -> Item:
    """A row as a benchmark's item, its options in the order of the file.

    Raises:
        RefusedRow: it cannot be asked.
    """
    found = read_row(row.cells, entry)
    return item(
        name,
        row,
        row_id,
        text=found.text,
        options=found.options,
        truth=found.right,
        pictures=list(found.pictures),
        task=found.kind,
        strata={"kind": found.kind},
    )
