"""Small files of the schemas that benchmarks are published in, and what came of asking them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from actial.answers import Answer, read_answer
from actial.evaluation.benchmarks.benchmark import Benchmark, Item, Refused, Scored
from actial.rng import generator_for

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Hugging Face Image form."""


def png(name: str, side_px: int = 12) -> bytes:
    """A picture of its own for every name."""
    out = io.BytesIO()
    Image.fromarray(generator_for(6, name).integers(0, 256, (side_px, side_px, 3)).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def hub_image(name: str) -> dict[str, Any]:
    return {"bytes": png(name), "path": f"{name}.png"}


def write_parquet(path: Path, schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path


def write_tsv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, delimiter="\t", restval="")
        table.writeheader()
        table.writerows(rows)
    return path


def asked(benchmark: Benchmark, folder: Path) -> tuple[list[Item], dict[str, str]]:
    """The items of a folder, and the reason of each row refused."""
    found = list(benchmark.items(folder))
    return [i for i in found if isinstance(i, Item)], {r.row_id: r.reason for r in found if isinstance(r, Refused)}


def scored(items: Iterable[Item], completions: Mapping[str, str]) -> list[Scored]:
    """Items answered by completions, by row; one that has none gets its right letter in tags."""
    found = []
    for item in items:
        reading = read_answer(completions.get(item.row_id, f"<answer>{item.question.truth}</answer>"), item.question.options)
        letter = reading.letter if isinstance(reading, Answer) else None
        found.append(Scored(item.without_pictures(), float(letter == item.question.truth), letter is not None))
    return found


def values(benchmark: Benchmark, found: Sequence[Scored]) -> dict[str, float | None]:
    return {metric.name: metric.value(found) for metric in benchmark.metrics}
