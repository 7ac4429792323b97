"""Files of captures as tools write them, and as they arrive when something went wrong on the way."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from PIL import Image
from toy_captures import ToyCapture, colmap_model, random_similarity, transforms_of, write_capture, write_colmap, write_pictures

from actial.errors import RefusedCapture, UserError
from actial.geometry.conventions import opencv_from_blender
from actial.geometry.poses import inverse, is_rigid, look_at
from actial.geometry.projection import project
from actial.rng import generator_for
from actial.shards import encode_png
from actial.views.capture_formats import read_capture
from actial.views.captures import Origin, find_captures, ingest_capture
from actial.views.colmap import LENS_MODELS

ORIGIN = Origin("my-shelf", "CC-BY-4.0", "mugs")
SIDE_PX = 20


@pytest.fixture(scope="module")
def small() -> ToyCapture:
    """Eight tiny grey pictures of nothing, from all around."""
    rng = generator_for(0, "small")
    K = np.array([[18.0, 0, 10.5], [0, 17.0, 9.5], [0, 0, 1]])
    poses = np.stack([look_at(np.array([2 * np.cos(a), 2 * np.sin(a), rng.uniform(0, 1)]), np.zeros(3)) for a in np.linspace(0, 6, 8)])
    grey = encode_png(np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8))
    points = rng.normal(scale=0.2, size=(60, 3))
    similarity = random_similarity(rng)
    return ToyCapture(
        [f"{i}.png" for i in range(8)],
        [grey] * 8,
        [K] * 8,
        similarity.poses(poses),
        similarity.points(points),
        similarity.points(np.zeros(3)),
        (SIDE_PX, SIDE_PX),
    )


@pytest.mark.parametrize("binary", [True, False])
def test_a_point_lands_where_colmap_says(small: ToyCapture, tmp_path: Path, binary: bool) -> None:
    reconstruction = colmap_model(small)
    write_pictures(tmp_path / "images", small)
    write_colmap(tmp_path, reconstruction, binary)
    model = read_capture(tmp_path)
    np.testing.assert_allclose(np.sort(model.points, axis=0), np.sort(small.points, axis=0))
    for image_id, photo in enumerate(model.photos, start=1):
        image = reconstruction.image(image_id)
        assert image.name == photo.name
        uv, _ = project(model.points[:5], np.array(photo.lens.K).reshape(3, 3), photo.T_world_cam)
        np.testing.assert_allclose(uv, [image.project_point(p) for p in model.points[:5]], atol=1e-6)


def test_every_lens_model_of_colmap_is_known_by_its_number() -> None:
    cameras = {int(m): pycolmap.Camera.create_from_model_id(1, m, 50.0, 80, 60) for m in pycolmap.CameraModelId.__members__.values() if int(m) >= 0}
    assert {i: (camera.model_name, len(camera.params)) for i, camera in cameras.items()} == LENS_MODELS


@pytest.mark.parametrize(
    ("model", "params"), [("OPENCV_FISHEYE", [18.0, 18, 10, 10, 0, 0, 0, 0]), ("FOV", [18.0, 18, 10, 10, 0.5]), ("EUCM", [18.0, 18, 10, 10, 0.5, 1])]
)
@pytest.mark.parametrize("binary", [True, False])
def test_lenses_that_are_not_handled_refuse_the_capture(small: ToyCapture, tmp_path: Path, model: str, params: list[float], binary: bool) -> None:
    write_pictures(tmp_path / "images", small)
    write_colmap(tmp_path, colmap_model(small, model=model, params=params), binary)
    with pytest.raises(RefusedCapture, match=f"0 usable pictures, at least 6 are needed; 8 were set aside, because its lens model {model} is not handled"):
        ingest_capture(tmp_path, "scene-000000", ORIGIN, Limits())


class Limits:
    min_views = 6
    max_views = None
    longest_side_px = 448
    max_up_error_deg = 3.0
    max_center_error_r = 0.2


@pytest.mark.parametrize(
    ("shared", "K"),
    [
        ({"fl_x": 18.0, "fl_y": 17.0, "cx": 10.5, "cy": 9.5, "w": 20, "h": 20}, (18.0, 17.0, 10.5, 9.5)),
        ({"fl_x": 18.0}, (18.0, 18.0, 10.0, 10.0)),
        ({"camera_angle_x": 2 * np.arctan(10 / 18)}, (18.0, 18.0, 10.0, 10.0)),
        ({"camera_angle_y": 2 * np.arctan(10 / 18), "fl_x": 16.0, "k1": 0.1, "camera_model": "SIMPLE_PINHOLE"}, (16.0, 18.0, 10.0, 10.0)),
    ],
)
def test_intrinsics_may_stand_once_for_all_and_names_without_suffix(small: ToyCapture, tmp_path: Path, shared: dict[str, Any], K: tuple[float, ...]) -> None:
    frames = [{"file_path": f"images/{i}", "transform_matrix": T[: 3 + i % 2].tolist()} for i, T in enumerate(small.T_world_cam)]
    write_pictures(tmp_path / "images", small)
    (tmp_path / "transforms.json").write_text(json.dumps(shared | {"frames": frames}))
    for photo, T in zip(read_capture(tmp_path).photos, small.T_world_cam, strict=True):
        assert photo.path.suffix == ".png"
        np.testing.assert_allclose([photo.lens.K[i] for i in (0, 4, 2, 5)], K)
        assert (photo.lens.width_px, photo.lens.height_px, photo.lens.distortion) == (20, 20, ())
        np.testing.assert_allclose(photo.T_world_cam, T, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"k1": 0.1, "p2": 0.01}, ""),
        ({"k1": "0.1"}, "its k1 is no finite number"),
        ({"k4": 0.1}, "its k4, k5 or k6 is not 0, and tools do not agree on what they mean; undistort the pictures first"),
        ({"is_fisheye": True}, "its lens model OPENCV_FISHEYE is not handled"),
        ({"camera_model": "EQUIRECTANGULAR"}, "its lens model EQUIRECTANGULAR is not handled"),
        ({"fl_x": None, "fl_y": None}, "it has neither a focal length"),
        ({"fl_x": -3}, "its lens has no positive focal length and picture size"),
        ({"w": 10**9}, "its w is no finite number"),
        ({"w": 10**6}, "its lens has no positive focal length and picture size"),
        ({"file_path": 3}, "its frame has no file_path"),
        ({"file_path": "a/../../b.png"}, "its name leads out of the capture's folder"),
        ({"file_path": "."}, "its name leads out of the capture's folder"),
        ({"file_path": "a\0b.png"}, "its name leads out of the capture's folder"),
        ({"transform_matrix": [[1, 0], [0]]}, "its pose is no rotation and translation"),
        ({"transform_matrix": np.diag([1, 1, -1, 1]).tolist()}, "its pose is no rotation and translation"),
        ({"transform_matrix": [[float("nan")] * 4] * 4}, "its pose is no rotation and translation"),
        ({"w": None, "file_path": "images/none.png"}, "the picture is missing"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(small: ToyCapture, tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    data: Any = transforms_of(small)
    data["frames"] = [data["frames"][0] | change]
    write_pictures(tmp_path / "images", small)
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    model = read_capture(tmp_path)
    assert [photo.lens.distortion for photo in model.photos] == ([] if fault else [(0.1, 0.0, 0.0, 0.01, 0.0)])
    assert len(model.set_aside) == bool(fault) and all(reason.startswith(fault) and n == 1 for reason, n in model.set_aside.items())


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "is no capture: it holds neither a COLMAP model"),
        ({"transforms.json": "{"}, "is not readable JSON"),
        ({"transforms.json": "[" * 100_000}, "is not readable JSON"),
        ({"transforms.json": "[]"}, "has no list of frames"),
        ({"transforms.json": '{"frames": [3]}'}, "has no list of frames"),
        ({"sparse/cameras.txt": "1 PINHOLE 20 20 18 18", "sparse/images.txt": ""}, "line 1 is no camera"),
        ({"sparse/cameras.txt": "# none\n", "sparse/images.txt": "#\n1 1 0 0 0 0 0 0 1\n\n"}, "line 2 is no image"),
        ({"sparse/cameras.txt": "", "sparse/images.txt": "", "sparse/points3D.txt": "1 2 3"}, "line 1 is no point"),
        ({"sparse/cameras.bin": "\0" * 7, "sparse/images.bin": "\0" * 8}, "ends in the middle of a record, after 7 bytes"),
        ({"sparse/cameras.bin": "\0" * 8, "sparse/images.bin": "\0" * 9}, "goes on for 1 bytes after its 0 records"),
        (
            {"sparse/cameras.bin": "\1" + "\0" * 7 + "\1\0\0\0\x63" + "\0" * 99, "sparse/images.bin": ""},
            "camera 1 has the unknown lens model 99; known are 0 to 17",
        ),
    ],
)
def test_what_is_no_capture_is_refused_in_one_sentence(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(RefusedCapture, match=sentence) as refused:
        read_capture(tmp_path)
    assert len(str(refused.value)) < 500 and str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("form", ["colmap-binary", "colmap-text", "transforms"])
def test_damaged_files_are_refused_or_give_sound_views(small: ToyCapture, tmp_path: Path, form: str) -> None:
    """Cut anywhere, with bits turned over, or with bytes written over: never a crash, never a hang, never a pose that is none."""
    whole, broken, rng = tmp_path / "whole", tmp_path / "broken", generator_for(1, form)
    write_pictures(whole / "images", small)
    if form == "transforms":
        write_capture(whole, small, form)
    else:
        write_colmap(whole, colmap_model(small), binary=form == "colmap-binary")
    names = [p.relative_to(whole) for p in sorted(whole.rglob("*.*")) if p.suffix != ".png" and p.stem not in ("rigs", "frames")]
    shutil.copytree(whole, broken)
    outcomes = {"refused": 0, "views": 0}
    for name in names:
        data = (whole / name).read_bytes()
        cuts = [data[:at] for at in rng.integers(0, len(data), 8)]
        for damaged in cuts + [_with_damage(data, rng) for _ in range(24)]:
            (broken / name).write_bytes(damaged)
            try:
                capture = ingest_capture(broken, "scene-000000", ORIGIN, Limits())
            except RefusedCapture as refused:
                assert len(str(refused)) < 600
                outcomes["refused"] += 1
            else:
                assert all(is_rigid(view.camera.pose()) for view, _, _ in capture.views) and np.isfinite(capture.views[0][0].objects[0].size_m).all()
                outcomes["views"] += 1
        (broken / name).write_bytes(data)
    assert min(outcomes.values()) > 2


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_damaged_pictures_cost_themselves_only(small: ToyCapture, tmp_path: Path, suffix: str) -> None:
    rng, exif = generator_for(2, suffix), Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "a camera"
    picture = Image.fromarray(rng.integers(0, 255, (SIDE_PX, SIDE_PX, 3)).astype(np.uint8))
    small = replace(small, names=[f"{i}.{suffix}" for i in range(8)])
    write_capture(tmp_path, small, "transforms")
    first = tmp_path / "images" / small.names[0]
    picture.save(first, exif=exif)
    data, kept = first.read_bytes(), []
    for damaged in [data[:at] for at in rng.integers(0, len(data), 10)] + [_with_damage(data[:300], rng) + data[300:] for _ in range(40)]:
        first.write_bytes(damaged)
        capture = ingest_capture(tmp_path, "scene-000000", ORIGIN, Limits())
        assert len(capture.views) + sum(capture.set_aside.values()) == 8
        kept.append(len(capture.views))
    assert set(kept) == {7, 8}


def _with_damage(data: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(data)))
    if rng.random() < 0.5:
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
    return data[:at] + rng.bytes(8) + data[at + 8 :]


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_points_beside_transforms(small: ToyCapture, tmp_path: Path, encoding: str) -> None:
    """Written by trimesh, with colours behind the coordinates."""
    import trimesh

    write_capture(tmp_path, small, "transforms")
    colors = np.full((len(small.points), 4), 9, np.uint8)
    data = trimesh.exchange.ply.export_ply(trimesh.PointCloud(small.points, colors), encoding="ascii" if encoding == "ascii" else "binary")
    assert encoding.encode() in data[:60]
    (tmp_path / "points.ply").write_bytes(data)
    transforms = json.loads((tmp_path / "transforms.json").read_text()) | {"ply_file_path": "points.ply"}
    (tmp_path / "transforms.json").write_text(json.dumps(transforms))
    np.testing.assert_allclose(read_capture(tmp_path).points, small.points, rtol=1e-5, atol=1e-5)
    assert ingest_capture(tmp_path, "scene-000000", ORIGIN, Limits()).quality.n_object_points > 30
    rng, refused = generator_for(3, encoding), 0
    for damaged in [data[:at] for at in rng.integers(0, len(data), 20)] + [_with_damage(data[:300], rng) + data[300:] for _ in range(60)]:
        (tmp_path / "points.ply").write_bytes(damaged)
        try:
            assert read_capture(tmp_path).points.shape[1] == 3
        except RefusedCapture:
            refused += 1
    assert 20 <= refused < 80
    for name, sentence in (("../points.ply", "must be a path below the capture's folder"), ("none.ply", "cannot be read: there is no such file")):
        (tmp_path / "transforms.json").write_text(json.dumps(transforms | {"ply_file_path": name}))
        with pytest.raises(RefusedCapture, match=sentence):
            read_capture(tmp_path)


def test_a_pose_with_few_digits_is_made_a_rotation(small: ToyCapture, tmp_path: Path) -> None:
    rounded = replace(small, T_world_cam=np.round(small.T_world_cam, 4))
    write_capture(tmp_path, rounded, "transforms")
    for photo, T in zip(read_capture(tmp_path).photos, small.T_world_cam, strict=True):
        assert is_rigid(photo.T_world_cam, 1e-12)
        np.testing.assert_allclose(photo.T_world_cam, T, atol=2e-4)


def test_names_in_colmap_text_may_hold_spaces_and_no_observations(tmp_path: Path) -> None:
    """Written by hand, from COLMAP's page on its formats."""
    T = look_at(np.array([1.0, -2.0, 0.5]), np.zeros(3))
    R, t = (M := inverse(opencv_from_blender(T)))[:3, :3], M[:3, 3]
    x, y, z, w = _quaternion(R)
    (tmp_path / "sparse").mkdir()
    (tmp_path / "sparse/cameras.txt").write_text("# id model w h params\n7 SIMPLE_RADIAL 640 480 500 320 240 -0.1\n\n")
    numbers = " ".join(map(repr, [w, x, y, z, *t.tolist()]))
    (tmp_path / "sparse/images.txt").write_text(f"# two lines an image\n3 {numbers} 7 first floor/a b.jpg\n\n4 {numbers} 8 b.jpg\n1.5 2.5 -1 3 4 9\n")
    model = read_capture(tmp_path)
    (first,) = model.photos
    assert first.name == "first floor/a b.jpg" and first.path == tmp_path / "images/first floor/a b.jpg"
    assert model.set_aside == {"its camera 8 is not in the model": 1}
    np.testing.assert_allclose(first.T_world_cam, T, atol=1e-9)
    assert first.lens.K == (500, 0, 320, 0, 500, 240, 0, 0, 1) and first.lens.distortion == (-0.1, 0, 0, 0)


def _quaternion(R: np.ndarray) -> list[float]:
    from scipy.spatial.transform import Rotation

    return [float(v) for v in Rotation.from_matrix(R).as_quat()]


def test_a_data_set_of_captures_is_found_folder_by_folder(small: ToyCapture, tmp_path: Path) -> None:
    """As MVImgNet lays them out, a third of them broken: each is read or refused on its own, with a reason to count."""
    for i, name in enumerate(["bag/1a", "bag/2b", "cup/3c"]):
        write_capture(tmp_path / name, small, "colmap-binary")
        if i == 1:
            (tmp_path / name / "sparse/0/images.bin").write_bytes(b"\1")
    (tmp_path / "bag/notes").mkdir()
    assert find_captures(tmp_path) == [tmp_path / "bag/1a", tmp_path / "bag/2b", tmp_path / "cup/3c"] and find_captures(tmp_path / "cup/3c") == [
        tmp_path / "cup/3c"
    ]
    with pytest.raises(UserError, match="is no folder"):
        find_captures(tmp_path / "none")
    outcomes = []
    for folder in find_captures(tmp_path):
        try:
            outcomes.append(len(ingest_capture(folder, "scene-000000", ORIGIN, Limits()).views))
        except RefusedCapture as refused:
            outcomes.append(refused.reason)
    assert outcomes == [8, "files not readable", 8]
