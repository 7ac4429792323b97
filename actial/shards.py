"""Records on disk: Parquet files that `datasets.load_dataset` opens, pictures in Hugging Face `Image` form, opened late.

Bytes are deterministic: the same records give the same file.
"""

from __future__ import annotations

import functools
import io
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from actial.errors import UnreadablePicture, UserError
from actial.records import Camera, Conversation, Message, Question, Rollout, SceneObject, View

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image

ROWS_PER_GROUP = 64
GROUP_BYTES = 1_000_000
"""A row group of a views shard, the unit that is read to open one picture, ends at this many rows or bytes of pictures."""
CACHE_BYTES = 256_000_000
"""Encoded pictures a `ViewStore` keeps in memory, so that training in random order does not read a row group for every picture."""


# ------------------------------------------------------------------------------------------------ views


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of (h, w, 3) or (h, w) uint8, without any metadata."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=3)  # level 6 takes twice as long and saves 5 %
    return buffer.getvalue()


def decode_picture(data: bytes, view_id: str) -> Image.Image:
    """The RGB picture behind encoded bytes.

    Raises:
        UnreadablePicture: the bytes are truncated or no picture.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadablePicture(f"the picture of {view_id} cannot be read: {error}") from None


class ViewWriter:
    """Writes views into numbered shards of about `shard_mb` each. Use as a context manager.

    Views must come in the order in which they shall stand. `mask` is an encoded PNG or None.
    """

    def __init__(self, folder: Path, shard_mb: int) -> None:
        self.folder, self.limit_bytes = folder, shard_mb * 1_000_000
        self.n_views = 0
        self._n_shards, self._shard_bytes, self._group_bytes = 0, 0, 0
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> ViewWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def add(self, view: View, picture: bytes, mask: bytes | None = None) -> None:
        camera = view.camera
        self._rows.append(
            {
                "view_id": view.view_id,
                "scene_id": view.scene_id,
                "image": {"bytes": picture, "path": None},
                "width": camera.width_px,
                "height": camera.height_px,
                "K": list(camera.K),
                "T_world_cam": None if camera.T_world_cam is None else list(camera.T_world_cam),
                "objects": [_object_row(o) for o in view.objects],
                "mask": None if mask is None else {"bytes": mask, "path": None},
                "source": view.source,
                "licence": view.licence,
            }
        )
        self.n_views += 1
        n_bytes = len(picture) + (len(mask) if mask else 0)
        self._shard_bytes += n_bytes
        self._group_bytes += n_bytes
        if len(self._rows) >= ROWS_PER_GROUP or self._group_bytes >= GROUP_BYTES or self._shard_bytes >= self.limit_bytes:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            path = self.folder / f"views-{self._n_shards:05d}.parquet"
            self._writer = pq.ParquetWriter(path, _view_schema())
            self._n_shards += 1
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=_view_schema()))
            self._rows, self._group_bytes = [], 0
        if self._shard_bytes >= self.limit_bytes:
            self._writer.close()
            self._writer, self._shard_bytes = None, 0


class ViewStore:
    """Reads the views of a folder of shards: records at once, pictures late, by id.

    Raises:
        UserError: the folder holds no shard, or a shard is not readable.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.files = sorted(self.folder.glob("*.parquet"))
        if not self.files:
            raise UserError(f"{self.folder} holds no views (*.parquet): run render_views first")
        self._place: dict[str, tuple[int, int, int]] = {}
        self._views: dict[str, View] = {}
        for i, path in enumerate(self.files):
            self._index(i, path)
        self._cache: OrderedDict[tuple[int, int, str], list[dict[str, Any] | None]] = OrderedDict()
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, view_id: str) -> bool:
        return view_id in self._place

    def __getitem__(self, view_id: str) -> View:
        try:
            return self._views[view_id]
        except KeyError:
            raise UserError(f"view {view_id} is not in {self.folder}") from None

    def __iter__(self) -> Iterator[View]:
        return iter(self._views.values())

    def scenes(self) -> dict[str, list[View]]:
        """Views by scene, in the order stored."""
        scenes: dict[str, list[View]] = {}
        for view in self:
            scenes.setdefault(view.scene_id, []).append(view)
        return scenes

    def picture_bytes(self, view_id: str, column: str = "image") -> bytes | None:
        """Encoded bytes of a view's picture, or of its `mask` (None where it has none)."""
        if view_id not in self._place:
            raise UserError(f"view {view_id} is not in {self.folder}")
        file, group, row = self._place[view_id]
        cell = self._row_group(file, group, column)[row]
        return None if cell is None else cell["bytes"]

    def picture(self, view_id: str) -> Image.Image:
        """The RGB picture of a view.

        Raises:
            UnreadablePicture: its bytes do not decode.
        """
        return decode_picture(self.picture_bytes(view_id) or b"", view_id)

    def _row_group(self, file: int, group: int, column: str) -> list[dict[str, Any] | None]:
        """A row group's cells; those used longest ago leave the cache when it holds more than CACHE_BYTES."""
        import pyarrow.parquet as pq

        key = (file, group, column)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        cells = pq.ParquetFile(self.files[file]).read_row_group(group, columns=[column]).column(0).to_pylist()
        self._cache[key] = cells
        self._cached_bytes += _n_bytes(cells)
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= _n_bytes(self._cache.popitem(last=False)[1])
        return cells

    def _index(self, i: int, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = ["view_id", "scene_id", "width", "height", "K", "T_world_cam", "objects", "source", "licence"]
        try:
            shard = pq.ParquetFile(path)
            for group in range(shard.num_row_groups):
                for row, values in enumerate(shard.read_row_group(group, columns=columns).to_pylist()):
                    view = _view_of(values)
                    if view.view_id in self._place:
                        raise UserError(f"{path}: view {view.view_id} stands in the folder twice")
                    self._place[view.view_id] = (i, group, row)
                    self._views[view.view_id] = view
        except (pa.ArrowException, OSError, KeyError) as error:
            raise UserError(f"{path} is not a readable shard of views: {error}") from None


def _n_bytes(cells: Iterable[dict[str, Any] | None]) -> int:
    return sum(len(cell["bytes"]) for cell in cells if cell is not None)


def _object_row(o: SceneObject) -> dict[str, Any]:
    row = {name: getattr(o, name) for name in ("name", "shape", "family", "color", "part_of")}  # asdict copies deeply: slow, for every view
    return row | {"T_world_obj": list(o.T_world_obj), "size_m": list(o.size_m), "front": None if o.front is None else list(o.front)}


def _view_of(row: Mapping[str, Any]) -> View:
    pose = row["T_world_cam"]
    camera = Camera(row["width"], row["height"], tuple(row["K"]), None if pose is None else tuple(pose))
    objects = tuple(
        SceneObject(**o | {"T_world_obj": tuple(o["T_world_obj"]), "size_m": tuple(o["size_m"]), "front": None if o["front"] is None else tuple(o["front"])})
        for o in row["objects"]
    )
    return View(row["view_id"], row["scene_id"], camera, objects, row["source"], row["licence"])


@functools.cache
def _view_schema() -> pa.Schema:
    import pyarrow as pa

    floats, text, number = pa.list_(pa.float64()), pa.string(), pa.int64()
    image = pa.struct([("bytes", pa.binary()), ("path", text)])
    objects = pa.list_(
        pa.struct(
            [
                ("name", text),
                ("shape", text),
                ("family", text),
                ("color", text),
                ("T_world_obj", floats),
                ("size_m", floats),
                ("part_of", text),
                ("front", floats),
            ]
        )
    )
    schema = pa.schema(
        [
            ("view_id", text),
            ("scene_id", text),
            ("image", image),
            ("width", number),
            ("height", number),
            ("K", floats),
            ("T_world_cam", floats),
            ("objects", objects),
            ("mask", image),
            ("source", text),
            ("licence", text),
        ]
    )
    value = lambda dtype: {"dtype": dtype, "_type": "Value"}
    as_list = lambda feature: {"feature": feature, "_type": "List"}
    features = {name: value("string") for name in ("view_id", "scene_id", "source", "licence")}
    features |= {"image": {"_type": "Image"}, "mask": {"_type": "Image"}, "width": value("int64"), "height": value("int64")}
    features |= {name: as_list(value("float64")) for name in ("K", "T_world_cam")}
    features["objects"] = as_list(
        {name: value("string") for name in ("name", "shape", "family", "color", "part_of")}
        | {name: as_list(value("float64")) for name in ("T_world_obj", "size_m", "front")}
    )
    ordered = {name: features[name] for name in schema.names}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": ordered}})})


# ------------------------------------------------------------------------------------------------ questions and conversations


def write_questions(path: Path, questions: Iterable[Question]) -> int:
    """Write questions to one Parquet file, in batches; returns how many."""
    return _write_rows(path, (asdict(q) for q in questions), _question_schema())


def read_questions(path: str | Path, scene_id: str | None = None) -> list[Question]:
    """All questions of a Parquet file, or those about one scene.

    Raises:
        UserError: the file is missing or not a table of questions.
    """
    return [Question(**_with_tuples(row)) for row in _read_rows(Path(path), _question_schema(), scene_id)]


def write_conversations(path: Path, conversations: Iterable[Conversation]) -> int:
    """Write conversations to one Parquet file, in batches; returns how many."""
    return _write_rows(path, (asdict(c) for c in conversations), _conversation_schema())


def read_conversations(path: str | Path, scene_id: str | None = None) -> list[Conversation]:
    """All conversations of a Parquet file, or those about one scene.

    Raises:
        UserError: the file is missing or not a table of conversations.
    """
    rows = _read_rows(Path(path), _conversation_schema(), scene_id)
    return [Conversation(**_with_tuples(row | {"messages": [Message(**m) for m in row["messages"]]})) for row in rows]


def write_rollouts(path: Path, rollouts: Sequence[Rollout]) -> int:
    """Write rollouts (at least one, all with the same rewards) to one Parquet file, with a field for each reward; returns how many."""
    import pyarrow as pa

    rewards = pa.struct([(name, pa.float64()) for name in sorted(rollouts[0].rewards)])
    schema = pa.schema([("question_id", pa.string()), ("step", pa.int64()), ("completion", pa.string()), ("rewards", rewards)])
    return _write_rows(path, (asdict(r) for r in rollouts), schema)


def read_rollouts(path: str | Path) -> list[Rollout]:
    """All rollouts of a Parquet file.

    Raises:
        UserError: the file is missing or not a table of rollouts.
    """
    import pyarrow as pa

    schema = pa.schema([("question_id", pa.string()), ("step", pa.int64()), ("completion", pa.string()), ("rewards", pa.struct([]))])
    return [Rollout(**row) for row in _read_rows(Path(path), schema)]


def _with_tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}


def _write_rows(path: Path, rows: Iterator[dict[str, Any]], schema: pa.Schema, batch: int = 10_000) -> int:
    import itertools

    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    n = 0
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(rows, batch)):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
            n += len(chunk)
    return n


def _read_rows(path: Path, schema: pa.Schema, scene_id: str | None = None) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, filters=None if scene_id is None else [("scene_id", "=", scene_id)])
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: run the stage that makes it first") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file: {error}") from None
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise UserError(f"{path} lacks the column {missing[0]}")
    return table.select(schema.names).to_pylist()


@functools.cache
def _question_schema() -> pa.Schema:
    import pyarrow as pa

    text, texts, number = pa.string(), pa.list_(pa.string()), pa.float64()
    return pa.schema(
        [
            ("question_id", text),
            ("kind", text),
            ("family_id", text),
            ("view_ids", texts),
            ("text", text),
            ("options", texts),
            ("labels", texts),
            ("truth", text),
            ("deciding_quantity", text),
            ("deciding_value", number),
            ("margin", number),
            ("scene_id", text),
            ("tied_class", text),
            ("source", text),
            ("cue", text),
        ]
    )


@functools.cache
def _conversation_schema() -> pa.Schema:
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    return pa.schema(
        [
            ("question_id", text),
            ("view_ids", texts),
            ("kind", text),
            ("mode", text),
            ("messages", messages),
            ("options", texts),
            ("labels", texts),
            ("truth", text),
            ("scene_id", text),
            ("prompt_sha", text),
            ("n_tokens", pa.int64()),
        ]
    )


# ------------------------------------------------------------------------------------------------ JSON


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, indented, ending in a newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_jsonl(path: Path) -> Sequence[dict[str, Any]]:
    """The rows of a JSON-lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
