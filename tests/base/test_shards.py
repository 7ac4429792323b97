"""Records on disk: what is read is what was written, byte for byte the same each time, and open to `datasets`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from actial.errors import UnreadablePicture, UserError
from actial.records import Camera, SceneObject, View
from actial.shards import ViewStore, ViewWriter, encode_png

IDENTITY = tuple(np.eye(4).ravel())


def view(i: int) -> View:
    subject = SceneObject("subject", "composite", "towers", "", IDENTITY, (1.0, 1.0, 1.0))
    part = SceneObject("base", "box", "towers", "red", IDENTITY, (1.0, 1.0, 0.5), part_of="subject", front=(1.0, 0.0, 0.0))
    camera = Camera(8, 6, (10.0, 0.0, 4.0, 0.0, 10.0, 3.0, 0.0, 0.0, 1.0), IDENTITY if i % 2 else None)
    return View(f"scene-000000.v{i:02d}", "scene-000000", camera, (subject, part), "boxes", "CC0-1.0")


def pixels(i: int) -> np.ndarray:
    return np.full((6, 8, 3), i, np.uint8)


def write(folder: Path, n: int, shard_mb: int = 256, broken: int = -1) -> Path:
    with ViewWriter(folder, shard_mb) as writer:
        for i in range(n):
            picture = encode_png(pixels(i))
            writer.add(view(i), picture[: len(picture) // 2] if i == broken else picture, encode_png(pixels(i)[..., 0]) if i % 3 == 0 else None)
    return folder


def test_views_come_back_as_they_were(tmp_path: Path) -> None:
    store = ViewStore(write(tmp_path, 99))
    assert list(store) == [view(i) for i in range(99)]
    assert all(np.array_equal(np.asarray(store.picture(view(i).view_id)), pixels(i)) for i in (0, 63, 64, 98))
    assert store.picture_bytes(view(0).view_id, "mask") is not None
    assert store.picture_bytes(view(1).view_id, "mask") is None
    assert list(store.scenes()) == ["scene-000000"]


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    digests = {hashlib.sha256((write(tmp_path / name, 70) / "views-00000.parquet").read_bytes()).hexdigest() for name in "ab"}
    assert len(digests) == 1


def test_shards_are_cut_by_size(tmp_path: Path) -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 255, (400, 400, 3), np.uint8)
    with ViewWriter(tmp_path, 1) as writer:
        for i in range(6):
            writer.add(view(i), encode_png(noise))
    store = ViewStore(tmp_path)
    assert len(store.files) == 3 and len(store) == 6


def test_datasets_opens_them_with_pictures(tmp_path: Path) -> None:
    from datasets import load_dataset

    rows = load_dataset("parquet", data_files=str(write(tmp_path / "views", 5) / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows[3]["image"].size == (8, 6)
    assert rows[3]["objects"][1]["color"] == "red"
    assert rows[2]["T_world_cam"] is None and rows[3]["T_world_cam"] == list(IDENTITY)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    store = ViewStore(write(tmp_path, 5, broken=2))
    with pytest.raises(UnreadablePicture, match=r"scene-000000\.v02"):
        store.picture("scene-000000.v02")


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no views"):
        ViewStore(tmp_path)
    (tmp_path / "views-00000.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match="not a readable shard"):
        ViewStore(tmp_path)
