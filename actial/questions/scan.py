"""Views as arrays, scene by scene, in memory that does not grow with the folder: what questions are computed from."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actial.errors import UnreadablePicture, UserError
from actial.shards import decode_picture

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PosedScene:
    """Cameras and subject of the views of one scene, as arrays: what questions are computed from."""

    scene_id: str
    view_ids: tuple[str, ...]
    source: str
    T_world_cam: np.ndarray
    """(v, 4, 4); NaN for a picture without a known camera."""
    subject_center: np.ndarray
    """(v, 3) world, metres: the first object's centre as each view has it; NaN where a view has no object."""
    picture_is_whole: np.ndarray
    """(v,) bool: see `picture_is_whole`."""


def scan_scenes(folder: str | Path, rows_at_once: int = 128) -> Iterator[PosedScene]:
    """The scenes of a folder of shards in the order stored, in memory that does not grow with the folder.

    Raises:
        UserError: the folder holds no shard, a shard is not readable, a view stands there twice, or a scene's views do not stand together.
    """
    files = sorted(Path(folder).glob("*.parquet"))
    if not files:
        raise UserError(f"{folder} holds no views (*.parquet): run render_views first")
    ended: set[str] = set()
    parts: list[PosedScene] = []
    for path in files:
        for part in _scene_parts(path, rows_at_once):
            if parts and part.scene_id != parts[0].scene_id:
                yield _whole_scene(parts, path)
                ended.add(parts[0].scene_id)
                parts = []
            if part.scene_id in ended:
                raise UserError(f"{path}: views of {part.scene_id} stand apart from its other views, or twice; write each scene's views together, once")
            parts.append(part)
    if parts:
        yield _whole_scene(parts, files[-1])


def picture_is_whole(data: bytes | None) -> bool:
    """Whether an encoded picture is complete: for PNG, every chunk's checksum holds up to the end chunk; any other format is decoded."""
    if not data:
        return False
    if not data.startswith(_PNG_SIGNATURE):
        try:
            decode_picture(data, "")
        except UnreadablePicture:
            return False
        return True
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end
    return False


_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _scene_parts(path: Path, rows_at_once: int) -> Iterator[PosedScene]:
    """Runs of rows of one scene, each within one batch of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["view_id", "scene_id", "source", "T_world_cam", "objects.list.element.T_world_obj", "image.bytes"]
    try:
        for batch in pq.ParquetFile(path).iter_batches(rows_at_once, columns=columns):
            scene_ids = batch["scene_id"].to_pylist()
            view_ids, sources = batch["view_id"].to_pylist(), batch["source"].to_pylist()
            poses, centers = _pose_array(batch["T_world_cam"]), _first_object_poses(batch["objects"])[:, :3, 3]
            whole = np.array([picture_is_whole(data.as_py()) for data in batch["image"].field("bytes")], dtype=bool)
            starts = [i for i, name in enumerate(scene_ids) if i == 0 or name != scene_ids[i - 1]]
            for a, b in zip(starts, [*starts[1:], len(scene_ids)], strict=True):
                yield PosedScene(scene_ids[a], tuple(view_ids[a:b]), sources[a], poses[a:b], centers[a:b], whole[a:b])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path} is not a readable shard of views: {error}") from None


def _whole_scene(parts: list[PosedScene], path: Path) -> PosedScene:
    view_ids = tuple(v for part in parts for v in part.view_ids)
    if len(set(view_ids)) < len(view_ids):
        twice = next(v for v in view_ids if view_ids.count(v) > 1)
        raise UserError(f"{path}: view {twice} stands in the folder twice")
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in ("T_world_cam", "subject_center", "picture_is_whole"))
    return PosedScene(parts[0].scene_id, view_ids, parts[0].source, *joined)


def _pose_array(cells: pa.ListArray) -> np.ndarray:
    """(n, 4, 4) of n lists of 16 numbers; NaN where a cell is null or of another length."""
    lengths = np.asarray(cells.value_lengths().fill_null(0))
    ends = np.cumsum(lengths)
    values = np.asarray(cells.flatten(), dtype=np.float64)
    poses = np.full((len(cells), 16), np.nan)
    good = lengths == 16
    poses[good] = values[(ends - lengths)[good, None] + np.arange(16)]
    return poses.reshape(-1, 4, 4)


def _first_object_poses(objects: pa.ListArray) -> np.ndarray:
    """(n, 4, 4) poses of each row's first object; NaN where a row has none."""
    lengths = np.asarray(objects.value_lengths().fill_null(0))
    poses = np.full((len(objects), 4, 4), np.nan)
    first = (np.cumsum(lengths) - lengths)[lengths > 0]
    poses[lengths > 0] = _pose_array(objects.flatten().field("T_world_obj"))[first]
    return poses
