"""Foreground masks: found where data sets keep them, and brought along with their pictures."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_captures import NO_POINTS, ToyCapture, colmap_model, limits, ring, write_capture, write_colmap

from actial.geometry.poses import rotated_about
from actial.records import SUBJECT_IN_MASK
from actial.rng import generator_for
from actial.shards import decode_picture
from actial.views.capture_masks import EMPTY, OTHER_SIZE, UNREADABLE, find_mask, read_mask
from actial.views.captures import Origin, ingest_capture

ORIGIN = Origin("my-shelf", "CC-BY-4.0", "mugs")
SIZE = (84, 63)


def silhouette() -> np.ndarray:
    """(h, w) bool: a shape without any symmetry."""
    v, u = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    return ((u - 40) ** 2 + (v - 30) ** 2 < 400) | ((u > 45) & (u < 75) & (v > 35) & (v < 45))


def png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def capture_of(pictures: list[bytes]) -> ToyCapture:
    poses = ring(generator_for(5, "ring"), 12)
    return ToyCapture(
        [f"{i:02d}.png" for i in range(12)], pictures, [np.array([[60.0, 0, 43.1], [0, 58.0, 30.2], [0, 0, 1]])] * 12, poses, NO_POINTS, np.zeros(3), SIZE
    )


def mask_of(data: bytes | None) -> np.ndarray:
    assert data is not None
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


SHOWN = np.where(silhouette(), 255, 0).astype(np.uint8)
RED = np.stack([SHOWN, np.zeros_like(SHOWN), np.zeros_like(SHOWN)], axis=-1)
CUT_OUT = np.concatenate([np.random.Generator(np.random.PCG64(0)).integers(0, 255, (*SHOWN.shape, 3)).astype(np.uint8), SHOWN[..., None]], axis=-1)


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(SHOWN),
        Image.fromarray(SHOWN // 255),
        Image.fromarray(SHOWN).convert("1"),
        Image.fromarray(np.where(silhouette(), 200, 90).astype(np.uint8)),
        Image.fromarray(np.where(silhouette(), 65535, 300).astype(np.uint16)),
        Image.fromarray(RED),
        Image.fromarray(np.dstack([SHOWN, SHOWN, SHOWN, np.full_like(SHOWN, 255)])),
        Image.fromarray(CUT_OUT),
        Image.fromarray(RED).quantize(4),
    ],
    ids=["grey", "0 and 1", "bits", "probability", "16 bits", "red", "opaque", "cut out", "palette"],
)
def test_however_it_is_written_a_mask_has_one_number_where_the_subject_is(tmp_path: Path, picture: Image.Image) -> None:
    picture.save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", SIZE)
    assert isinstance(mask, np.ndarray) and mask.dtype == np.uint8 and np.array_equal(mask, SHOWN)


def test_what_is_wrong_with_a_mask_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    whole = png(Image.fromarray(SHOWN))
    for data, fault in (
        (whole[:80], UNREADABLE),
        (b"", UNREADABLE),
        (b"no picture", UNREADABLE),
        (png(Image.fromarray(SHOWN.T)), OTHER_SIZE),
        (png(Image.fromarray(SHOWN * 0)), EMPTY),
    ):
        path.write_bytes(data)
        assert read_mask(path, SIZE) == fault


@pytest.mark.parametrize("times", [2, 3])
def test_a_mask_in_another_size_is_scaled(tmp_path: Path, times: int) -> None:
    """MVImgNet's are smaller than its pictures; a few rows more or less are another shape."""
    large = (times * SIZE[0], times * SIZE[1])
    Image.fromarray(SHOWN).save(tmp_path / "small.png")
    assert np.array_equal(read_mask(tmp_path / "small.png", large), np.kron(SHOWN, np.ones((times, times))))
    Image.fromarray(np.kron(SHOWN, np.ones((times, times), np.uint8))).save(tmp_path / "large.png")
    assert np.array_equal(read_mask(tmp_path / "large.png", SIZE), SHOWN)
    assert read_mask(tmp_path / "small.png", (SIZE[0], SIZE[1] + 1)) == read_mask(tmp_path / "large.png", (SIZE[0] + 1, SIZE[1])) == OTHER_SIZE
    odd = (2 * SIZE[0] + 1, 2 * SIZE[1] + 1)
    assert np.asarray(read_mask(tmp_path / "small.png", odd)).shape == odd[::-1]


def test_masks_are_looked_for_as_tools_name_them(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg.png", "deep/c.png", "d.jpg.png", "d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    wanted = {"a.jpg": "a.png", "images/a.png": "a.png", "b.jpg": "b.jpg.png", "images/deep/c.jpeg": "deep/c.png", "d.jpg": "d.jpg.png", "images/a": "a.png"}
    assert {name: find_mask(tmp_path, name) for name in wanted} == {name: tmp_path / mask for name, mask in wanted.items()}
    assert find_mask(tmp_path, "none.jpg") is find_mask(tmp_path, "folder.jpg") is find_mask(tmp_path / "none", "a.jpg") is None


@pytest.mark.parametrize(
    ("model", "params", "quarter_turns", "longest_side_px"),
    [
        ("PINHOLE", [60.0, 58, 43.1, 30.2], 0, 448),
        ("PINHOLE", [60.0, 58, 43.1, 30.2], 0, 50),
        ("OPENCV", [60.0, 58, 43.1, 30.2, -0.1, 0.02, 0.004, -0.006], 0, 448),
        ("OPENCV", [60.0, 58, 43.1, 30.2, -0.1, 0.02, 0.004, -0.006], 1, 55),
        ("PINHOLE", [60.0, 58, 43.1, 30.2], 3, 448),
    ],
)
def test_a_mask_goes_where_its_picture_goes(tmp_path: Path, model: str, params: list[float], quarter_turns: int, longest_side_px: int) -> None:
    """The pictures show the masks themselves."""
    white_on_black = Image.fromarray(np.repeat(SHOWN[..., None], 3, axis=-1))
    exif: Any = Image.Exif()
    exif[0x0112] = {0: 1, 1: 6, 2: 3, 3: 8}[quarter_turns]
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    capture = capture_of([])
    stored = capture.T_world_cam.copy()
    stored[:, :3, :3] = stored[:, :3, :3] @ rotated_about(np.array([0, 0, 1.0]), -np.pi / 2 * quarter_turns)
    for name in capture.names:
        white_on_black.save(tmp_path / "images" / name, exif=exif)
        Image.fromarray(SHOWN).save(tmp_path / "masks" / name)
    write_colmap(tmp_path, colmap_model(replace(capture, T_world_cam=stored), model, params), binary=True)
    views = ingest_capture(tmp_path, "scene-000000", ORIGIN, limits(longest_side_px=longest_side_px)).views
    assert len(views) == 12
    for view, picture, data in views:
        mask, shown = mask_of(data), np.asarray(decode_picture(picture, ""))[..., 0]
        assert mask.shape == shown.shape == (view.camera.height_px, view.camera.width_px) and set(np.unique(mask)) == {0, SUBJECT_IN_MASK}
        assert (mask[(shown < 5)] == 0).all() and (mask[shown > 250] == SUBJECT_IN_MASK).all(), "apart from the edge both are the same"
        assert np.mean((mask > 0) != (shown > 127)) < 0.02


@pytest.mark.parametrize("form", ["colmap-binary", "transforms", "co3d"])
def test_masks_are_optional_and_bad_ones_cost_themselves_only(tmp_path: Path, form: str) -> None:
    capture = capture_of([png(Image.fromarray(np.repeat(SHOWN[..., None], 3, axis=-1)))] * 12)
    folder = tmp_path / "mugs/red"
    write_capture(folder, capture, form)
    masks = folder / "masks"
    masks.mkdir()
    for name in capture.names[:8]:
        (masks / name).write_bytes(png(Image.fromarray(SHOWN)))
    (masks / capture.names[0]).write_bytes(b"none")
    (masks / capture.names[1]).write_bytes(png(Image.fromarray(SHOWN[:-1])))
    (masks / capture.names[2]).write_bytes(png(Image.fromarray(SHOWN * 0)))
    capture_read = ingest_capture(folder, "scene-000000", ORIGIN, limits())
    assert [mask is not None for _, _, mask in capture_read.views] == [False] * 3 + [True] * 5 + [False] * 4
    assert capture_read.masks_set_aside == {UNREADABLE: 1, OTHER_SIZE: 1, EMPTY: 1} and capture_read.set_aside == {}
    assert np.array_equal(mask_of(capture_read.views[5][2]), SHOWN)
    elsewhere = tmp_path / "masks/mugs/red"
    elsewhere.parent.mkdir(parents=True)
    masks.rename(elsewhere)
    assert not any(mask for _, _, mask in ingest_capture(folder, "scene-000000", ORIGIN, limits()).views)
    assert ingest_capture(folder, "scene-000000", ORIGIN, limits(), elsewhere).views == capture_read.views
