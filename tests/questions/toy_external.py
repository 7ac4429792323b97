"""Small Parquet files of the documented schemas, with pictures that can be told apart."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from actial.rng import generator_for

SAT_SCHEMA = pa.schema(
    [
        ("image_bytes", pa.list_(pa.binary())),
        ("question", pa.string()),
        ("answers", pa.list_(pa.string())),
        ("question_type", pa.string()),
        ("correct_answer", pa.string()),
    ]
)
SAT = {
    "name": "sat",
    "hub": None,
    "revision": None,
    "path": "SAT/SAT_train.parquet",
    "format": "sat",
    "columns": {},
    "splits": {"rl": 1.0},
    "n": None,
    "licence": "MIT",
    "max_refused_share": 0.5,
}
VIEWPOINT = SAT | {
    "name": "viewpoint_100k",
    "path": "Viewpoint-100K",
    "format": "lettered",
    "columns": {"images": "images", "question": "problem", "answer": "solution", "scene": "object"},
    "splits": {"train": 1.0},
    "licence": "not stated",
}


def pixels(name: str, side_px: int = 96) -> np.ndarray:
    """(h, w, 3) uint8: smooth blobs, other ones for every name."""
    small = generator_for(5, name).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(small, (side_px, side_px), interpolation=cv2.INTER_CUBIC)


def encoded(name: str, side_px: int = 96, form: str = "JPEG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels(name, side_px)).save(out, form, quality=quality)
    return out.getvalue()


def sat_row(i: int, **changes: Any) -> dict[str, Any]:
    """Of six kinds in turn: two pictures of motions, one of the others. Rows 12 apart show the same pictures. The right answer always stands first."""
    kind = ("other", "obj_movement", "action_sequence", "goal_aim", "action_consequence", "perspective")[i % 6]
    names = [f"sat {i % 12}"] + ([f"sat {i % 12} later"] if kind in ("obj_movement", "action_sequence") else [])
    answers = [f"the lamp {i} in the first frame", f"the chair {i}"] if kind == "obj_movement" else ["left", "right"]
    row = {
        "image_bytes": [encoded(name) for name in names],
        "question": f"Question {i}?",
        "answers": answers,
        "question_type": kind,
        "correct_answer": answers[0],
    }
    return row | changes


def write_sat(root: Path, rows: list[dict[str, Any]], schema: pa.Schema = SAT_SCHEMA, path: str = SAT["path"]) -> Path:  # type: ignore[assignment]  # a text
    """A file below data/external of a project; bytes go into columns of text as they are."""
    file = root / "data/external" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = pa.schema([pa.field(f.name, pa.binary() if f.type == pa.string() else pa.list_(pa.binary()) if f.name == "answers" else f.type) for f in schema])
    as_bytes = lambda value: value.encode() if isinstance(value, str) else [as_bytes(v) for v in value] if isinstance(value, list) else value
    table = pa.Table.from_pylist([{name: as_bytes(value) for name, value in row.items()} for row in rows], schema=raw)
    arrays = [column.combine_chunks().view(f.type) if f.type == pa.string() else column for f, column in zip(schema, table.columns, strict=True)]
    pq.write_table(pa.table(arrays, names=schema.names), file)
    return file


def viewpoint_row(i: int, **changes: Any) -> dict[str, Any]:
    """A pair of one of three objects, asked as the paper's templates ask."""
    options = [("left", "right", "no movement"), ("right", "no movement", "left"), ("no movement", "left", "right")][i % 3]
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABC", options, strict=True))
    return {
        "images": [{"bytes": encoded(f"viewpoint {i} {place}"), "path": f"{place}.jpg"} for place in range(2)],
        "problem": f"<image><image>\nThe object {i} stood still. Which way did the camera move?\n{listed}\nAnswer with the letter only.",
        "solution": "ABC"[options.index(("left", "right")[i % 2])],
        "object": f"12/0a00{i % 3}405",
    } | changes


def write_viewpoint(root: Path, rows: list[dict[str, Any]]) -> Path:
    file = root / "data/external" / VIEWPOINT["path"] / "train-00000-of-00001.parquet"  # type: ignore[operator]  # a text
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file
