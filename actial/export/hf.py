"""A folder for `datasets.load_dataset`: questions with their pictures in Parquet, a file (or several) a split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from actial.export.pictures import Picture, Pictures
from actial.export.tally import Tally
from actial.records import Question
from actial.tables import count_rows, question_schema, stream_questions
from actial.views.progress import ViewProgress

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 500
GROUP_BYTES = 32_000_000
"""A row group, the unit that is held in memory, ends at this many rows or bytes of pictures."""
SHARD_BYTES = 400_000_000
"""A file on disk ends when it is as large as this."""
ABOUT_EACH_PICTURE = ("images", "K", "T_world_cam", "sources", "licences")


def write_hf(folder: Path, splits: Mapping[str, Path], pictures: Pictures, tally: Tally) -> None:
    """Write `data/<split>-<number>.parquet`; rows that show a broken picture are set aside."""
    with ViewProgress(sum(map(count_rows, splits.values())), 0, "question", "export") as progress:
        for split, path in splits.items():
            with SplitWriter(folder / "data", split, _schema()) as writer:
                for question in stream_questions(path):
                    shown = pictures.open_all(question.view_ids)
                    if shown is None:
                        tally.aside["questions with a picture that is missing or cannot be read"] += 1
                    else:
                        tally.add(split, question, shown)
                        writer.add(_row(question, shown))
                    progress.add(1, set_aside=shown is None)


class SplitWriter:
    """Writes one split, rows with a column `images`. A file is opened with its first rows, so that a split without rows has none."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema) -> None:
        self.folder, self.split, self.schema = folder, split, schema
        self._rows: list[dict[str, Any]] = []
        self._waiting_bytes, self._n_files = 0, 0
        self._file: BinaryIO | None = None
        self._writer: Any = None

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._rows:
            self._flush()
        self._close()

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._waiting_bytes += sum(len(image["bytes"]) for image in row["images"])
        if len(self._rows) >= GROUP_ROWS or self._waiting_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = (self.folder / f"{self.split}-{self._n_files:05d}.parquet").open("wb")
            # The limit of a dictionary is above a row group: every picture stands once in it, however many questions show it
            self._writer = pq.ParquetWriter(self._file, self.schema, dictionary_pagesize_limit=4 * GROUP_BYTES)
            self._n_files += 1
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self.schema), row_group_size=GROUP_ROWS)
        self._rows, self._waiting_bytes = [], 0
        if self._file.tell() >= SHARD_BYTES:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._writer.close()
            self._file.close()
            self._file = None


def _row(question: Question, shown: Sequence[Picture]) -> dict[str, Any]:
    cameras = [picture.view.camera for picture in shown]
    return asdict(question) | about_pictures(shown) | {"K": [camera.K for camera in cameras], "T_world_cam": [camera.T_world_cam for camera in cameras]}


def about_pictures(shown: Sequence[Picture]) -> dict[str, Any]:
    """The columns `images`, `sources` and `licences` of a row."""
    return {
        "images": [{"bytes": picture.data, "path": f"{picture.view.view_id}.{picture.extension}"} for picture in shown],
        "sources": [picture.view.source for picture in shown],
        "licences": [picture.view.licence for picture in shown],
    }


def _schema() -> pa.Schema:
    """The columns of questions, then what is about each of their pictures."""
    import pyarrow as pa

    floats, text = pa.list_(pa.float64()), pa.string()
    types = dict(zip(ABOUT_EACH_PICTURE, map(pa.list_, (image_type(), floats, floats, text, text)), strict=True))
    return opened_by_datasets(pa.schema([*question_schema(), *types.items()]))


def image_type() -> pa.DataType:
    """How `datasets` stores a picture."""
    import pyarrow as pa

    return pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def opened_by_datasets(schema: pa.Schema) -> pa.Schema:
    """The schema with a note of what its columns are to `datasets`: `images` are pictures."""
    features = {field.name: _feature(field.type) for field in schema} | {"images": {"feature": {"_type": "Image"}, "_type": "List"}}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(dtype: pa.DataType) -> dict[str, Any]:
    """What `datasets` calls a type of Arrow."""
    import pyarrow as pa

    if pa.types.is_list(dtype):
        return {"feature": _feature(dtype.value_type), "_type": "List"}
    if pa.types.is_struct(dtype):
        return {field.name: _feature(field.type) for field in dtype}
    return {"dtype": "float64" if pa.types.is_float64(dtype) else str(dtype), "_type": "Value"}
