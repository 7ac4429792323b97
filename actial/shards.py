"""Views on disk: shards of Parquet that `datasets.load_dataset` opens, pictures in Hugging Face `Image` form, opened late.

Bytes are deterministic: the same records give the same file.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import io
import json
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actial.errors import UnreadablePicture, UserError
from actial.mirror import mirrored_view, original_id
from actial.records import Camera, SceneObject, View

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

ROWS_PER_GROUP = 64
GROUP_BYTES = 1_000_000
"""A row group of a views shard, the unit that is read to open one picture, ends at this many rows or bytes of pictures."""
CACHE_BYTES = 256_000_000
"""What a `ViewStore` keeps of its shards in memory, so that training in random order does not read a row group for every picture."""
CACHED_VIEWS = 4096
"""Records a `ViewStore` keeps ready."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
RECORD_COLUMNS = ("view_id", "scene_id", "width", "height", "K", "T_world_cam", "objects", "source", "licence")

EncodedView = tuple[View, bytes, bytes | None]
"""A view, its encoded picture, and the encoded mask where it has one."""


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of (h, w, 3) uint8, or (h, w) uint8 or uint16, without any metadata."""
    import cv2

    if pixels.ndim == 2:
        return cv2.imencode(".png", pixels)[1].tobytes()
    # Rendered pictures hardly repeat themselves: Huffman codes alone take a third of Pillow's time and are smaller
    return cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY])[1].tobytes()


def decode_picture(data: bytes, view_id: str, mode: str = "RGB") -> Image.Image:
    """The picture behind encoded bytes, in a mode of Pillow's: RGB, or I where 16 bits count.

    Raises:
        UnreadablePicture: the bytes are truncated or no picture.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.convert(mode)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadablePicture(f"the picture of {view_id} cannot be read: {error}") from None


def picture_is_whole(data: bytes | None) -> bool:
    """Whether an encoded picture is complete: for PNG, every chunk's checksum holds up to the end chunk; any other format is decoded."""
    if not data:
        return False
    if not data.startswith(PNG_SIGNATURE):
        try:
            decode_picture(data, "")
        except UnreadablePicture:
            return False
        return True
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end
    return False


class ViewWriter:
    """Writes views into numbered shards of about `shard_mb` each. Use as a context manager.

    Views must come in the order in which they shall stand. `mask` is an encoded PNG or None.
    """

    def __init__(self, folder: Path, shard_mb: int) -> None:
        self.folder, self.limit_bytes = folder, shard_mb * 1_000_000
        self.n_views = 0
        self._n_shards, self._shard_bytes, self._group_bytes = 0, 0, 0
        self._tables: list[pa.Table] = []
        self._rows: list[EncodedView] = []
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
        """Add one view."""
        self._rows.append((view, picture, mask))
        self._count(1, len(picture) + (len(mask) if mask else 0))

    def add_table(self, table: pa.Table) -> None:
        """Add the views of a `view_table`, without taking it apart."""
        self._gather()
        self._tables.append(table)
        self._count(table.num_rows, table.nbytes)

    def _count(self, n_views: int, n_bytes: int) -> None:
        self.n_views += n_views
        self._shard_bytes += n_bytes
        self._group_bytes += n_bytes
        n_waiting = len(self._rows) + sum(table.num_rows for table in self._tables)
        if n_waiting >= ROWS_PER_GROUP or self._group_bytes >= GROUP_BYTES or self._shard_bytes >= self.limit_bytes:
            self._flush()

    def _gather(self) -> None:
        if self._rows:
            self._tables.append(view_table(self._rows))
            self._rows = []

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._gather()
        if self._writer is None:
            path = self.folder / f"views-{self._n_shards:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self._tables[0].schema if self._tables else _view_schema())
            self._n_shards += 1
        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables))
            self._tables, self._group_bytes = [], 0
        if self._shard_bytes >= self.limit_bytes:
            self._writer.close()
            self._writer, self._shard_bytes = None, 0


def view_folders(outputs: Path) -> tuple[Path, ...]:
    """Where stages have put views: those rendered or photographed, and the pictures of data sets from outside. `outputs` is the folder above the stages'."""
    made, outside = (outputs / stage / "views" for stage in ("render_views", "build_qa"))
    return tuple(folder for folder, is_there in ((made, made.exists()), (outside, any(outside.glob("*.parquet")))) if is_there)


class ViewStore:
    """Reads the views of one or several folders of shards by id: opening it reads the ids, a record or a picture is read when it is asked for.

    Of every view it also opens the mirror image, record and picture, by its id (`mirror.mirrored_id`); these are not counted, nor met when it is gone through.

    Raises:
        UserError: a folder holds no shard, a shard is not readable, or a view stands there twice.
    """

    def __init__(self, *folders: str | Path) -> None:
        self.folders = tuple(map(Path, folders))
        self.files: list[Path] = []
        for folder in self.folders:
            found = sorted(folder.glob("*.parquet"))
            if not found:
                raise UserError(f"{folder} holds no views (*.parquet): run {folder.parent.name if folder.name == 'views' else 'render_views'} first")
            self.files += found
        self._rows: dict[str, int] = {}
        self._shards: list[pq.ParquetFile] = []
        self._columns: list[tuple[str, ...]] = []
        self._groups: list[tuple[int, int]] = []
        """File and number in it of each row group."""
        self._starts: list[int] = []
        """First row of each row group."""
        for path in self.files:
            self._index(path)
        self._cache: OrderedDict[tuple[int, tuple[str, ...]], pa.Table] = OrderedDict()
        self._cached_bytes = 0
        self._view = functools.lru_cache(CACHED_VIEWS)(self._read_view)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, view_id: str) -> bool:
        return view_id in self._rows or self.mirrored_from(view_id) is not None

    def __getitem__(self, view_id: str) -> View:
        return self._view(view_id)

    def __iter__(self) -> Iterator[View]:
        for group in range(len(self._groups)):
            yield from map(_view_of, self._row_group(group, RECORD_COLUMNS).to_pylist())

    def view_ids(self) -> list[str]:
        """The ids of all views, in the order stored."""
        return list(self._rows)

    def scenes(self) -> dict[str, list[View]]:
        """Views by scene, in the order stored."""
        scenes: dict[str, list[View]] = {}
        for view in self:
            scenes.setdefault(view.scene_id, []).append(view)
        return scenes

    def picture_bytes(self, view_id: str, column: str = "image") -> bytes | None:
        """Encoded bytes of a view's picture, or of its `mask`, `depth` or `normals` (None where it has none), as they are stored; of mirror images none are."""
        group, row = self._place(view_id)
        if column not in self._columns[self._groups[group][0]]:
            return None
        cell = self._row_group(group, (column,)).column(0)[row]
        return cell["bytes"].as_py() if cell.is_valid else None

    def picture(self, view_id: str) -> Image.Image:
        """The RGB picture of a view.

        Raises:
            UnreadablePicture: its bytes do not decode.
        """
        from PIL import ImageOps

        stored_id = self.mirrored_from(view_id) or view_id
        picture = decode_picture(self.picture_bytes(stored_id) or b"", stored_id)
        return picture if stored_id == view_id else ImageOps.mirror(picture)

    def mirrored_from(self, view_id: str) -> str | None:
        """Of which view here this is the mirror image; None of a view that is here itself, and of others."""
        original = None if view_id in self._rows else original_id(view_id)
        return original if original in self._rows else None

    def _place(self, view_id: str) -> tuple[int, int]:
        """A view's row group and row in it."""
        if view_id not in self._rows:
            raise UserError(f"view {view_id} is not in {' or '.join(map(str, self.folders))}")
        row = self._rows[view_id]
        group = bisect.bisect_right(self._starts, row) - 1
        return group, row - self._starts[group]

    def _read_view(self, view_id: str) -> View:
        if original := self.mirrored_from(view_id):
            return mirrored_view(self[original])
        group, row = self._place(view_id)
        return _view_of(self._row_group(group, RECORD_COLUMNS).slice(row, 1).to_pylist()[0])

    def _row_group(self, group: int, columns: tuple[str, ...]) -> pa.Table:
        """Columns of a row group; those used longest ago leave the cache when it holds more than CACHE_BYTES."""
        key = (group, columns)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        file, number = self._groups[group]
        with _readable(self.files[file]):
            table = self._shards[file].read_row_group(number, columns=list(columns), use_threads=False)
            table.validate(full=True)  # text may not be UTF-8, which nothing else checks
        self._cache[key] = table
        self._cached_bytes += table.nbytes
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return table

    def _index(self, path: Path) -> None:
        import pyarrow.parquet as pq

        with _readable(path):
            shard = pq.ParquetFile(path)
            columns = tuple(shard.schema_arrow.names)
            missing = [name for name in _view_schema().names if name not in columns]
            if missing:
                raise UserError(f"{path} is not a readable shard of views: it lacks the column {missing[0]}")
            names = shard.read(columns=["view_id"], use_threads=False)
            names.validate(full=True)
            view_ids = names["view_id"].to_pylist()
        start = len(self._rows)
        for number in range(shard.num_row_groups):
            self._groups.append((len(self._shards), number))
            self._starts.append(start)
            start += shard.metadata.row_group(number).num_rows
        for view_id in view_ids:
            if view_id in self._rows:
                raise UserError(f"{path}: view {view_id} stands in the folder twice")
            self._rows[view_id] = len(self._rows)
        self._shards.append(shard)
        self._columns.append(columns)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable shard of views: {error}") from None


def view_table(views: Iterable[EncodedView], passes: Mapping[str, Sequence[bytes]] | None = None) -> pa.Table:
    """Views with their encoded pictures and masks as rows of a shard.

    Args:
        passes: further encoded pictures, in the order of the views, by the name of their column: `depth`, `normals`.
    """
    import pyarrow as pa

    rows = [_view_row(*encoded) for encoded in views]
    for name, pictures in (passes or {}).items():
        for row, picture in zip(rows, pictures, strict=True):
            row[name] = {"bytes": picture, "path": None}
    return pa.Table.from_pylist(rows, schema=_view_schema(tuple(passes or ())))


def encoded_views(table: pa.Table) -> list[EncodedView]:
    """The views of a `view_table`."""
    bytes_of = lambda cell: None if cell is None else cell["bytes"]
    return [(_view_of(row), bytes_of(row["image"]) or b"", bytes_of(row["mask"])) for row in table.to_pylist()]


def _view_row(view: View, picture: bytes, mask: bytes | None) -> dict[str, Any]:
    camera = view.camera
    return {
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
def _view_schema(passes: tuple[str, ...] = ()) -> pa.Schema:
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
            *((name, image) for name in passes),
        ]
    )
    value = lambda dtype: {"dtype": dtype, "_type": "Value"}
    as_list = lambda feature: {"feature": feature, "_type": "List"}
    features = {name: value("string") for name in ("view_id", "scene_id", "source", "licence")}
    features |= {name: {"_type": "Image"} for name in ("image", "mask", *passes)} | {"width": value("int64"), "height": value("int64")}
    features |= {name: as_list(value("float64")) for name in ("K", "T_world_cam")}
    features["objects"] = as_list(
        {name: value("string") for name in ("name", "shape", "family", "color", "part_of")}
        | {name: as_list(value("float64")) for name in ("T_world_obj", "size_m", "front")}
    )
    ordered = {name: features[name] for name in schema.names}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": ordered}})})
