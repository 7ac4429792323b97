"""CO3D: cameras as PyTorch3D's documentation has them, and annotations that are read piece by piece."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_captures import ToyCapture, co3d_frames, limits, ring, toy_capture, write_co3d

from actial.errors import RefusedCapture
from actial.geometry.poses import is_rigid
from actial.geometry.projection import project
from actial.rng import generator_for
from actial.shards import encode_png
from actial.views import capture_co3d
from actial.views.capture_formats import holds_capture, read_capture
from actial.views.captures import Origin, find_captures, ingest_capture

ORIGIN = Origin("co3d", "CC-BY-NC-4.0", "apple")


def seen_by_pytorch3d(p_world: np.ndarray, viewpoint: dict[str, Any], size_hw: list[int]) -> np.ndarray:
    """(n, 2) pixels. "Cameras": x_view = x_world R + T; x_ndc = f x_view / z + p, which grows to the left and up; on a picture that is not square the shorter
    side of NDC spans -1 to 1 (the older format stretches both sides to that); the top left corner of the picture is (0, 0)."""
    x, y, z = (p_world @ np.array(viewpoint["R"]) + viewpoint["T"]).T
    ndc_x = viewpoint["focal_length"][0] * x / z + viewpoint["principal_point"][0]
    ndc_y = viewpoint["focal_length"][1] * y / z + viewpoint["principal_point"][1]
    height, width = size_hw
    half_x, half_y = (1.0, 1.0) if viewpoint["intrinsics_format"] == "ndc_norm_image_bounds" else (width / min(size_hw), height / min(size_hw))
    return np.column_stack([(half_x - ndc_x) / (2 * half_x) * width, (half_y - ndc_y) / (2 * half_y) * height])


def looking(eye: np.ndarray, at: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R and T of PyTorch3D's `look_at_view_transform`: its z axis points at the object, its x axis is up x z."""
    z = (at - eye) / np.linalg.norm(at - eye)
    x = np.cross(up, z) / np.linalg.norm(np.cross(up, z))
    R = np.column_stack([x, np.cross(z, x), z])
    return R, -eye @ R


@given(st.integers(0, 2**32), st.sampled_from(["ndc_isotropic", "ndc_norm_image_bounds"]), st.integers(40, 3000), st.integers(40, 3000))
@settings(max_examples=60)
def test_a_point_lands_where_pytorch3d_says(seed: int, intrinsics_format: str, width_px: int, height_px: int) -> None:
    rng = generator_for(seed, "co3d")
    R, T = looking(rng.normal(size=3) * 3, rng.normal(size=3), rng.normal(size=3))
    viewpoint = {"R": R.tolist(), "T": T.tolist(), "focal_length": rng.uniform(1, 4, 2).tolist(), "principal_point": rng.normal(scale=0.1, size=2).tolist()}
    viewpoint["intrinsics_format"] = intrinsics_format
    image = {"path": "apple/1_2_3/images/frame000001.jpg", "size": [height_px, width_px]}
    photo = capture_co3d._photo(Path("apple/1_2_3"), {"image": image, "viewpoint": viewpoint})
    assert not isinstance(photo, str) and (photo.lens.width_px, photo.lens.height_px) == (width_px, height_px)
    assert photo.name == "images/frame000001.jpg" and photo.path == Path("apple/1_2_3/images/frame000001.jpg")
    in_view = np.column_stack([rng.normal(size=(20, 2)), rng.uniform(1, 5, 20)])
    p_world = (in_view - T) @ R.T
    uv, depth = project(p_world, np.array(photo.lens.K).reshape(3, 3), photo.T_world_cam)
    np.testing.assert_allclose(uv, seen_by_pytorch3d(p_world, viewpoint, [height_px, width_px]), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(depth, in_view[:, 2])
    np.testing.assert_allclose(photo.T_world_cam[:3, 3], -R @ T, atol=1e-9)  # the documented camera centre


def test_the_format_is_the_older_one_where_none_is_named() -> None:
    (frame,) = co3d_frames(one_picture(), "apple", "1_2_3", "ndc_norm_image_bounds")
    named = capture_co3d._photo(Path("apple/1_2_3"), frame)
    del frame["viewpoint"]["intrinsics_format"]
    unnamed = capture_co3d._photo(Path("apple/1_2_3"), frame)
    assert not isinstance(named, str) and not isinstance(unnamed, str) and named.lens == unnamed.lens


def one_picture() -> ToyCapture:
    K = np.array([[30.0, 0, 17.0], [0, 31.0, 12.5], [0, 0, 1]])
    return ToyCapture(["frame000001.jpg"], [b""], [K], ring(generator_for(0, "one"), 1), np.empty((0, 3)), np.zeros(3), (32, 24))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"image": None}, "its frame has no image.path"),
        ({"image": {"path": 3}}, "its frame has no image.path"),
        ({"viewpoint": None}, "its frame has no viewpoint"),
        ({"image": {"path": "/etc/passwd"}}, "its name leads out of the capture's folder"),
        ({"image": {"path": "apple/1_2_3/../../secret.jpg"}}, "its name leads out of the capture's folder"),
        ({"image": {"path": "apple/4_5_6/images/frame000001.jpg"}}, "its name leads out of the capture's folder"),
        ({"image": {"path": "apple/1_2_3"}}, "its name leads out of the capture's folder"),
        ({"image": {"path": "apple/1_2_3/images/a\0b.jpg"}}, "its name leads out of the capture's folder"),
        ({"image": {"size": None}}, "its image.size, focal_length or principal_point is no pair of finite numbers"),
        ({"image": {"size": [24]}}, "its image.size, focal_length or principal_point is no pair of finite numbers"),
        ({"image": {"size": [True, 32]}}, "its image.size, focal_length or principal_point is no pair of finite numbers"),
        ({"image": {"size": [24, 10**6]}}, "its lens has no positive focal length and picture size"),
        ({"image": {"size": [10**400, 32]}}, "its image.size, focal_length or principal_point is no pair of finite numbers"),
        ({"viewpoint": {"focal_length": [1.5, float("nan")]}}, "its image.size, focal_length or principal_point is no pair of finite numbers"),
        ({"viewpoint": {"focal_length": [-1.5, 1.5]}}, "its lens has no positive focal length and picture size"),
        ({"viewpoint": {"principal_point": "0 0"}}, "its image.size, focal_length or principal_point is no pair of finite numbers"),
        ({"viewpoint": {"intrinsics_format": "pixels"}}, "its intrinsics_format is neither ndc_isotropic nor ndc_norm_image_bounds"),
        ({"viewpoint": {"intrinsics_format": ["ndc_isotropic"]}}, "its intrinsics_format is neither ndc_isotropic nor ndc_norm_image_bounds"),
        ({"viewpoint": {"R": None}}, "its pose is no rotation and translation"),
        ({"viewpoint": {"R": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}}, "its pose is no rotation and translation"),
        ({"viewpoint": {"R": [[1, 0, 0], [0, 1]]}}, "its pose is no rotation and translation"),
        ({"viewpoint": {"T": [0, 0, float("inf")]}}, "its pose is no rotation and translation"),
        ({"viewpoint": {"T": {"x": 1}}}, "its pose is no rotation and translation"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(change: dict[str, Any], fault: str) -> None:
    (frame,) = co3d_frames(one_picture(), "apple", "1_2_3")
    for key, value in change.items():
        frame[key] = value if value is None else frame[key] | value
    assert capture_co3d._photo(Path("apple/1_2_3"), frame) == fault


JSON = st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5), lambda x: st.lists(x, max_size=3), max_leaves=8)


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=6), st.integers(1, 40), st.sampled_from([None, 1]))
@settings(max_examples=40)
def test_a_list_read_piece_by_piece_is_the_list(frames: list[dict[str, Any]], chunk_chars: int, indent: int | None) -> None:
    text = json.dumps(frames, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture_co3d, "CHUNK_CHARS", chunk_chars)
        read = list(capture_co3d._objects(io.StringIO(text)))
        assert [frame for frame, _ in read] == frames == [json.loads(part) for _, part in read]
        for cut in range(0, len(text), 7):
            with pytest.raises(ValueError):
                list(capture_co3d._objects(io.StringIO(text[:cut])))


def gz(text: str | bytes, copies: int = 1) -> bytes:
    return gzip.compress(text.encode() if isinstance(text, str) else text, 1, mtime=0) * copies


FRAME = '{"sequence_name": "1_2_3"}'


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no readable gzipped JSON list"),
        (b"[]", "Not a gzipped file"),
        (gz("[" + FRAME + "]")[:-9], "no readable gzipped JSON list"),
        (gz("[" + FRAME + "]")[:-8] + b"\1\2\3\4\5\6\7\1", "CRC check failed"),
        (gz(""), "'' stands where a frame or the end belongs"),
        (gz("[]"), "names no frame of it"),
        (gz('[{"sequence_name": "other"}]'), "names no frame of it"),
        (gz("{}"), "'{}' stands where a frame or the end belongs"),
        (gz("[3]"), "stands where a frame or the end belongs"),
        (gz(f"[{FRAME} {FRAME}]"), "stands where a frame or the end belongs"),
        (gz(f"[{FRAME}"), "stands where a frame or the end belongs"),
        (gz('[{"a": 1}]'), "frame 0 has no sequence_name"),
        (gz('[{"sequence_name": 3}]'), "frame 0 has no sequence_name"),
        (gz("[" + '{"a":' * 200_000), "recursion"),
        (gz("[" + '{"a":[' + "1," * 1_200_000), "no readable gzipped JSON list"),
        (gz(b'[{"sequence_name": "\xff\xfe"}]'), "can't decode byte"),
        (gz('[{"sequence_name": ' + "9" * 5000 + "}]"), "no readable gzipped JSON list"),
        (gz(f"[{FRAME}" + f",{FRAME}" * 1000 + "]"), "lists more than 1,000 frames"),
        (gz(f"[{FRAME}") + gz(',{"sequence_name": "' + "x" * 1_000_000 + '"}', copies=30), "unpacks to more than 20,000,000 bytes"),
    ],
)
def test_annotations_that_are_none_are_refused(tmp_path: Path, data: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits made smaller, so that the test is quick."""
    monkeypatch.setattr(capture_co3d, "MOST_FRAMES", 1000)
    monkeypatch.setattr(capture_co3d, "LARGEST_BYTES", 20_000_000)
    folder = tmp_path / "apple/1_2_3"
    (folder / "images").mkdir(parents=True)
    (tmp_path / "apple/frame_annotations.jgz").write_bytes(data)
    with pytest.raises(RefusedCapture, match=sentence) as refused:
        read_capture(folder)
    assert len(str(refused.value)) < 600 and str(tmp_path) in str(refused.value)


def test_a_bomb_of_three_gigabytes_takes_a_few_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "frame_annotations.jgz"
    path.write_bytes(gz(" " * 2**24, copies=200))
    tracemalloc.start()
    assert "stands where a frame or the end belongs" in str(capture_co3d._frames_by_sequence(path, 0, 0))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_sequences_are_found_by_their_pictures_and_known_by_their_annotations(tmp_path: Path) -> None:
    first, second = toy_capture("scene-000000"), toy_capture("scene-000001")
    write_co3d(tmp_path / "co3d/apple", {"1_2_3": first, "4_5_6": second})
    for name in ("7_8_9/images", "set_lists", "eval_batches"):
        (tmp_path / "co3d/apple" / name).mkdir(parents=True)
    found = find_captures(tmp_path)
    assert found == [tmp_path / "co3d/apple" / name for name in ("1_2_3", "4_5_6", "7_8_9")] and not holds_capture(tmp_path / "co3d/apple")
    with pytest.raises(RefusedCapture, match=r"7_8_9 has pictures, but .*frame_annotations.jgz names no frame of it"):
        read_capture(found[2])
    for folder, toy in zip(found, (first, second), strict=False):
        capture = ingest_capture(folder, "scene-000000", ORIGIN, limits(max_center_error_r=0.5))
        assert capture.names == tuple(f"images/{name}" for name in toy.names)


def test_points_of_a_sequence_are_used_where_they_were_downloaded(tmp_path: Path) -> None:
    import trimesh

    toy = toy_capture()
    write_co3d(tmp_path / "apple", {"1_2_3": toy})
    folder = tmp_path / "apple/1_2_3"
    assert len(read_capture(folder).points) == 0
    (folder / "pointcloud.ply").write_bytes(trimesh.exchange.ply.export_ply(trimesh.PointCloud(toy.points)))
    np.testing.assert_allclose(read_capture(folder).points, toy.points, atol=1e-5)
    (folder / "pointcloud.ply").write_bytes(b"ply")
    with pytest.raises(RefusedCapture, match="is no PLY file"):
        read_capture(folder)


def test_damaged_annotations_are_refused_or_give_sound_views(tmp_path: Path) -> None:
    """What gzip's checksum does not see: it was damaged before it was packed."""
    capture = replace(toy_capture(), pictures=[encode_png(np.zeros((84, 84, 3), np.uint8))] * 12)
    write_co3d(tmp_path / "apple", {"1_2_3": capture})
    path, rng = tmp_path / "apple/frame_annotations.jgz", generator_for(4, "co3d")
    data, outcomes = gzip.decompress(path.read_bytes()), {"refused": 0, "views": 0}
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[at] = rng.integers(32, 127)
        path.write_bytes(gzip.compress(bytes(damaged), 1, mtime=0))
        try:
            read = ingest_capture(tmp_path / "apple/1_2_3", "scene-000000", ORIGIN, limits(max_center_error_r=0.5))
        except RefusedCapture as refused:
            assert len(str(refused)) < 600
            outcomes["refused"] += 1
        else:
            assert all(is_rigid(view.camera.pose()) for view, _, _ in read.views)
            outcomes["views"] += 1
    assert min(outcomes.values()) > 5
