"""Views as arrays, scene by scene, in memory that does not grow with the folder: what questions are computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actial.errors import UserError
from actial.records import MESH
from actial.shards import picture_is_whole

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PosedScene:
    """Cameras and subject of the views of one scene, as arrays: what questions are computed from."""

    scene_id: str
    view_ids: tuple[str, ...]
    source: str
    family: str
    """Geometry family of the subject, as the first view has it; empty where it has no object."""
    thing: str
    """What else may show the same object falls into the same split: the asset's name, or the scene's own id."""
    licence: str
    """Of the pictures, as the first view has it."""
    T_world_cam: np.ndarray
    """(v, 4, 4); NaN for a picture without a known camera."""
    subject_center: np.ndarray
    """(v, 3) world, metres: the first object's centre as each view has it; NaN where a view has no object."""
    subject_front: np.ndarray
    """(v, 3) world: the way the first object faces, where a front is annotated; else NaN."""
    points: np.ndarray
    """(v, p, 3) world, metres: the centres of the subject's parts, or its own where it has none; NaN fills up rows with fewer."""
    standing: np.ndarray
    """(v, o, 3, 4) `T_world_obj` of every object of a view in its order, without its last row; NaN fills up rows with fewer."""
    size_m: np.ndarray
    """(v, o, 3) extent of every object's box along its own axes; NaN fills up rows with fewer."""
    shapes: tuple[str, ...]
    """Of every object of the first view."""
    of_subject: tuple[bool, ...]
    """Whether each object of the first view is a part of the subject."""
    K: np.ndarray
    """(v, 3, 3) pixels; NaN where it is not given."""
    size_px: np.ndarray
    """(v, 2) width and height."""
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


_OBJECT_COLUMNS = tuple(f"objects.list.element.{name}" for name in ("T_world_obj", "size_m", "part_of", "family", "shape", "front"))
_STACKED = ("T_world_cam", "subject_center", "subject_front", "K", "size_px", "picture_is_whole")
_SUBJECT = "subject"


def _scene_parts(path: Path, rows_at_once: int) -> Iterator[PosedScene]:
    """Runs of rows of one scene, each within one batch of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["view_id", "scene_id", "source", "licence", "width", "height", "K", "T_world_cam", *_OBJECT_COLUMNS, "image.bytes"]
    try:
        for batch in pq.ParquetFile(path).iter_batches(rows_at_once, columns=columns):
            batch.validate(full=True)  # text may not be UTF-8, which nothing else checks
            scene_ids = batch["scene_id"].to_pylist()
            view_ids, sources, licences = (batch[name].to_pylist() for name in ("view_id", "source", "licence"))
            centers, points = _subject_points(batch["objects"])
            standing, size_m = (_of_objects(batch["objects"], name, n) for name, n in (("T_world_obj", 16), ("size_m", 3)))
            shape_of, part_of = (batch["objects"].flatten().field(name).to_pylist() for name in ("shape", "part_of"))
            first_object = np.cumsum([0, *np.asarray(batch["objects"].value_lengths().fill_null(0))])
            families, shapes = (_of_subject(batch["objects"], column) for column in ("family", "shape"))
            arrays = {
                "T_world_cam": _arrays(batch["T_world_cam"], 16).reshape(-1, 4, 4),
                "subject_center": centers,
                "subject_front": _of_first(_arrays(batch["objects"].flatten().field("front"), 3), batch["objects"]),
                "points": points,
                "standing": standing.reshape(*standing.shape[:2], 4, 4)[:, :, :3],
                "size_m": size_m,
                "K": _arrays(batch["K"], 9).reshape(-1, 3, 3),
                "size_px": np.column_stack([np.asarray(batch[name], dtype=np.float64) for name in ("width", "height")]),
            }
            whole = np.array([picture_is_whole(data.as_py()) for data in batch["image"].field("bytes")], dtype=bool)
            starts = [i for i, name in enumerate(scene_ids) if i == 0 or name != scene_ids[i - 1]]
            for a, b in zip(starts, [*starts[1:], len(scene_ids)], strict=True):
                of_scene = {name: array[a:b] for name, array in arrays.items()}
                thing = sources[a] if shapes[a] == MESH else scene_ids[a]
                rows = slice(first_object[a], first_object[a + 1])
                yield PosedScene(
                    scene_ids[a],
                    tuple(view_ids[a:b]),
                    sources[a],
                    families[a],
                    thing,
                    licences[a],
                    shapes=tuple(shape_of[rows]),
                    of_subject=tuple(name == _SUBJECT for name in part_of[rows]),
                    picture_is_whole=whole[a:b],
                    **of_scene,
                )
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path} is not a readable shard of views: {error}") from None


def _whole_scene(parts: list[PosedScene], path: Path) -> PosedScene:
    view_ids = tuple(v for part in parts for v in part.view_ids)
    if len(set(view_ids)) < len(view_ids):
        twice = next(v for v in view_ids if view_ids.count(v) > 1)
        raise UserError(f"{path}: view {twice} stands in the folder twice")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _STACKED}
    return PosedScene(
        parts[0].scene_id,
        view_ids,
        parts[0].source,
        parts[0].family,
        parts[0].thing,
        parts[0].licence,
        points=filled_up([part.points for part in parts]),
        standing=filled_up([part.standing for part in parts]),
        size_m=filled_up([part.size_m for part in parts]),
        shapes=parts[0].shapes,
        of_subject=parts[0].of_subject,
        **joined,
    )


def filled_up(parts: Sequence[np.ndarray]) -> np.ndarray:
    """(Σ v, p, ...) of arrays (v, p, ...) of different p, filled up with NaN."""
    most = max(part.shape[1] for part in parts)
    room = lambda part: [(0, most - part.shape[1] if axis == 1 else 0) for axis in range(part.ndim)]
    return np.concatenate([np.pad(part, room(part), constant_values=np.nan) for part in parts])


def _arrays(cells: pa.ListArray, n: int) -> np.ndarray:
    """(rows, n) of lists of n numbers; NaN where a cell is null or of another length."""
    lengths = np.asarray(cells.value_lengths().fill_null(0))
    ends = np.cumsum(lengths)
    values = np.asarray(cells.flatten(), dtype=np.float64)
    arrays = np.full((len(cells), n), np.nan)
    good = lengths == n
    arrays[good] = values[(ends - lengths)[good, None] + np.arange(n)]
    return arrays


def _subject_points(objects: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) centres of each row's first object, NaN where a row has none; and (n, p, 3), see `PosedScene.points`."""
    import pyarrow.compute as pc

    lengths = np.asarray(objects.value_lengths().fill_null(0))
    flat = objects.flatten()
    every = _arrays(flat.field("T_world_obj"), 16).reshape(-1, 4, 4)[:, :3, 3]
    centers = _of_first(every, objects)
    is_part = np.asarray(pc.equal(flat.field("part_of"), _SUBJECT).fill_null(False))
    row = np.repeat(np.arange(len(objects)), lengths)[is_part]
    n_parts = np.bincount(row, minlength=len(objects))
    place = np.arange(len(row)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    points = np.full((len(objects), max(1, n_parts.max(initial=1)), 3), np.nan)
    points[row, place] = every[is_part]
    points[n_parts == 0, 0] = centers[n_parts == 0]
    return centers, points


def _of_objects(objects: pa.ListArray, column: str, n: int) -> np.ndarray:
    """(rows, o, n) the n numbers that a column holds of every object of a row in its order; NaN fills up rows with fewer."""
    lengths = np.asarray(objects.value_lengths().fill_null(0))
    values = np.full((len(objects), lengths.max(initial=0), n), np.nan)
    values[np.arange(values.shape[1]) < lengths[:, None]] = _arrays(objects.flatten().field(column), n)
    return values


def _of_first(values: np.ndarray, objects: pa.ListArray) -> np.ndarray:
    """(n, k) of (all objects, k): what each row's first object has; NaN where a row has no object."""
    lengths = np.asarray(objects.value_lengths().fill_null(0))
    firsts = np.full((len(objects), values.shape[1]), np.nan)
    firsts[lengths > 0] = values[(np.cumsum(lengths) - lengths)[lengths > 0]]
    return firsts


def _of_subject(objects: pa.ListArray, column: str) -> list[str]:
    """What each row's first object has in a column of text; empty where a row has no object."""
    values = objects.flatten().field(column).to_pylist()
    lengths = np.asarray(objects.value_lengths().fill_null(0))
    starts = np.cumsum(lengths) - lengths
    return [values[start] if n else "" for start, n in zip(starts, lengths, strict=True)]
