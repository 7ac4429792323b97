"""Captures: whatever world, scale and file format a reconstruction has, the relative motion of its cameras comes out as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from PIL import Image
from toy_captures import (
    NO_POINTS,
    ToyCapture,
    assert_same_motions,
    colmap_model,
    limits,
    motions,
    origin_in,
    random_similarity,
    ring,
    toy_capture,
    transforms_of,
    write_capture,
    write_colmap,
    write_pictures,
)

from actial.errors import RefusedCapture, UserError
from actial.geometry.poses import look_at, rotated_about
from actial.geometry.projection import intrinsics
from actial.params import load_params
from actial.questions.kinds import KINDS
from actial.questions.pairs import find_candidates
from actial.questions.scan import scan_scenes
from actial.rng import generator_for
from actial.shards import ViewWriter, decode_picture, encode_png
from actial.views.capture_photos import Lens
from actial.views.captures import Capture, Origin, ingest_capture, undistorted

FORMS = ("colmap-binary", "colmap-text", "transforms", "co3d")
PROFILES = Path(__file__).parents[2] / "profiles"
ORIGIN = Origin("my-shelf", "CC-BY-4.0", "mugs")


LOOSE = limits(max_center_error_r=0.5)


@pytest.fixture(scope="module")
def toy() -> ToyCapture:
    return toy_capture()


def moved(toy: ToyCapture, seed: int) -> ToyCapture:
    """The capture in another world."""
    similarity = random_similarity(generator_for(seed, "world"))
    return replace(toy, T_world_cam=similarity.poses(toy.T_world_cam), points=similarity.points(toy.points), center=similarity.points(toy.center))


def poses_of(capture: Capture) -> np.ndarray:
    return np.stack([view.camera.pose() for view, _, _ in capture.views])


@pytest.mark.parametrize("form", FORMS)
def test_every_relative_direction_survives_the_file_and_a_random_world(toy: ToyCapture, form: str, tmp_path: Path) -> None:
    write_capture(tmp_path / "a/b", moved(toy, seed=FORMS.index(form)), form)
    capture = ingest_capture(tmp_path / "a/b", "scene-000007", ORIGIN, LOOSE)
    assert len(capture.views) == len(toy.names) and capture.set_aside == {}
    assert [Path(name).name for name in capture.names] == toy.names
    poses = poses_of(capture)
    center = origin_in(toy.T_world_cam, poses)
    assert_same_motions(motions(toy.T_world_cam, center), motions(poses, np.zeros(3)), 1e-6)
    distance = np.median(np.linalg.norm(toy.T_world_cam[:, :3, 3] - center, axis=1))
    if form.startswith("colmap"):  # the others have no points, and these cameras look past the object
        assert capture.quality.n_object_points > 100
        assert np.linalg.norm(center - toy.center) < 0.02 * distance
    assert np.median(np.linalg.norm(poses[:, :3, 3], axis=1)) == pytest.approx(1)
    for i, (view, picture, mask) in enumerate(capture.views):
        assert view.view_id == f"scene-000007.v{i:02d}" and (view.source, view.licence, mask) == ("my-shelf", "CC-BY-4.0", None)
        assert np.array_equal(decode_picture(picture, ""), decode_picture(toy.pictures[i], ""))
        np.testing.assert_allclose(view.camera.intrinsics(), toy.K[i])
        (subject,) = view.objects
        assert (subject.name, subject.family, subject.part_of) == ("subject", "mugs", None) and not subject.center().any()


def with_poses(toy: ToyCapture, poses: np.ndarray) -> ToyCapture:
    return replace(toy, T_world_cam=poses[: len(toy.names)], points=NO_POINTS)


def sideways(poses: np.ndarray) -> np.ndarray:
    T = poses.copy()
    T[:, :3, :3] = poses[:, :3, :3] @ rotated_about(np.array([0, 0, 1.0]), np.pi / 2)
    return T


def outwards(poses: np.ndarray) -> np.ndarray:
    T = poses.copy()
    T[:, :3, :3] = poses[:, :3, :3] @ rotated_about(np.array([0, 1.0, 0]), np.pi)
    return T


def half_upside_down(poses: np.ndarray) -> np.ndarray:
    T = poses.copy()
    T[::3, :3, :3] = poses[::3, :3, :3] @ rotated_about(np.array([0, 0, 1.0]), np.pi)
    return T


def same_way(poses: np.ndarray) -> np.ndarray:
    return np.stack([look_at(np.array([0.1 * i, 0.0, 1.0]), np.array([0.1 * i, 4.0, 1.2])) for i in range(len(poses))])


def scattered(poses: np.ndarray) -> np.ndarray:
    rng = generator_for(0, "scattered")
    return np.stack([look_at(T[:3, 3], rng.normal(size=3) * [0.9, 0.9, 0.3]) for T in poses])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda poses: poses[:5], "has 5 usable pictures, at least 6 are needed"),
        (sideways, "up is known to within .* degrees, the limit is 3: the pictures are not held level, lie on their side, or look in too few directions"),
        (half_upside_down, "8 of 12 cameras are held upright against the up they agree on, at least 90% must be"),
        (outwards, "0 of 12 cameras look towards the point where their axes meet, at least 90% must: they look outwards"),
        (same_way, "up is known to within inf degrees"),
        (scattered, "the object's centre is known to within .* of the camera distance, the limit is 0.1: the cameras look at no common point"),
    ],
)
def test_a_capture_too_poor_to_ask_about_is_refused(toy: ToyCapture, tmp_path: Path, change: Any, sentence: str) -> None:
    poses = change(ring(generator_for(2, "ring"), 12))
    few = replace(toy, names=toy.names[: len(poses)], pictures=toy.pictures[: len(poses)], K=toy.K[: len(poses)])
    write_capture(tmp_path, with_poses(few, poses), "transforms")
    with pytest.raises(RefusedCapture, match=sentence) as refused:
        ingest_capture(tmp_path, "scene-000000", ORIGIN, limits())
    assert str(refused.value).startswith(str(tmp_path)) and "\n" not in str(refused.value) and isinstance(refused.value, UserError)


def test_what_is_wrong_with_a_picture_is_counted_and_the_others_stand(toy: ToyCapture, tmp_path: Path) -> None:
    exact = with_poses(toy, ring(generator_for(3, "ring"), 12))
    frames: Any = transforms_of(exact)
    frames["frames"][0]["file_path"] = "../outside.png"
    frames["frames"][1]["file_path"] = "/etc/hostname"
    frames["frames"][2]["transform_matrix"][0][0] += 0.5
    frames["frames"][3]["fl_x"] = float("nan")
    frames["frames"][4]["camera_model"] = "OPENCV_FISHEYE"
    write_pictures(tmp_path / "images", exact)
    (tmp_path / "images" / exact.names[5]).write_bytes(exact.pictures[5][:200])
    (tmp_path / "images" / exact.names[6]).unlink()
    (tmp_path / "images" / exact.names[7]).write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
    (tmp_path / "outside.png").write_bytes(exact.pictures[0])
    (tmp_path / "transforms.json").write_text(json.dumps(frames))
    capture = ingest_capture(tmp_path, "scene-000000", ORIGIN, replace(LOOSE, min_views=4))
    assert capture.names == tuple(f"images/{name}" for name in exact.names[8:])
    assert capture.set_aside == {
        "its fl_x is no finite number": 1,
        "its lens model OPENCV_FISHEYE is not handled: undistort the pictures first, for example with COLMAP's image_undistorter": 1,
        "its name leads out of the capture's folder": 2,
        "its pose is no rotation and translation": 1,
        "the picture cannot be read": 1,
        "the picture is missing": 1,
        "the picture's size is not its camera's": 1,
    }
    with pytest.raises(
        RefusedCapture, match=r"has 4 usable pictures, at least 6 are needed; 2 were set aside, because its name leads out of the capture's folder"
    ):
        ingest_capture(tmp_path, "scene-000000", ORIGIN, LOOSE)


def test_a_view_without_the_object_is_set_aside(toy: ToyCapture, tmp_path: Path) -> None:
    poses = ring(generator_for(4, "ring"), 12)
    poses[4, :3, :3] = rotated_about(np.array([0, 0, 1.0]), 1.0) @ poses[4, :3, :3]
    write_capture(tmp_path, with_poses(toy, poses), "colmap-text")
    capture = ingest_capture(tmp_path, "scene-000000", ORIGIN, LOOSE)
    assert capture.set_aside == {"the object's centre is not in the picture": 1} and len(capture.views) == 11


def test_a_capture_is_a_scene_like_any_other(toy: ToyCapture, tmp_path: Path) -> None:
    write_capture(tmp_path / "capture", moved(toy, seed=9), "colmap-binary")
    capture = ingest_capture(tmp_path / "capture", "scene-000003", ORIGIN, LOOSE)
    with ViewWriter(tmp_path / "views", shard_mb=1) as writer:
        for encoded in capture.views:
            writer.add(*encoded)
    (scene,) = scan_scenes(tmp_path / "views")
    assert scene.scene_id == "scene-000003" and scene.picture_is_whole.all() and scene.source == "my-shelf"
    np.testing.assert_array_equal(scene.T_world_cam, poses_of(capture))
    assert not scene.subject_center.any() and scene.points.shape == (12, 1, 3)
    settings = load_params(PROFILES / "single-gpu.yaml").build_qa
    found = find_candidates([scene], BytesIO(), settings, seed=1)
    asked = {list(KINDS)[k] for k in found.rows["kind"]}
    assert found.sources == ["my-shelf"] and not any(n for reason, n in found.refused.items() if reason.startswith("views"))
    assert {"lateral", "orbit", "turn", "perspective", "moved"} <= asked <= set(settings.kinds)


WIDTH_PX, HEIGHT_PX = 84, 63
LENSES = [
    ("SIMPLE_RADIAL", [60.0, 43.1, 30.2, -0.12]),
    ("SIMPLE_RADIAL", [60.0, 41.0, 31.7, 0.08]),
    ("RADIAL", [62.0, 42.0, 31.5, -0.15, 0.03]),
    ("OPENCV", [60.0, 58.0, 43.1, 30.2, -0.1, 0.02, 0.004, -0.006]),
    ("FULL_OPENCV", [60.0, 61.0, 43.1, 30.2, -0.1, 0.02, 0.001, 0.002, 0.004, 0.05, -0.005, 0.002]),
]


def pattern(at: np.ndarray) -> np.ndarray:
    """Grey levels (n,) that a camera sees in the directions (x, y, 1), up to 17 of them a pixel apart."""
    return 128 + 50 * np.sin(20 * at[..., 0]) + 50 * np.sin(23 * at[..., 1] + 1)


def pixel_centers(width_px: int, height_px: int) -> np.ndarray:
    u, v = np.meshgrid(np.arange(width_px) + 0.5, np.arange(height_px) + 0.5)
    return np.stack([u, v], axis=-1)


def seen_through(camera: pycolmap.Camera) -> np.ndarray:
    """What the lens makes of the pattern, by COLMAP's own undistortion of every pixel: (h, w, 3)."""
    at = np.array(camera.cam_from_img(pixel_centers(camera.width, camera.height).reshape(-1, 2))).reshape(camera.height, camera.width, 2)
    return np.repeat((pattern(at) + 0.5).astype(np.uint8)[..., None], 3, axis=-1)


def assert_shows_pattern(pixels: np.ndarray, K: np.ndarray, tolerance: float) -> None:
    centers = pixel_centers(pixels.shape[1], pixels.shape[0])
    expected = pattern((centers - K[[0, 1], 2]) / K[[0, 1], [0, 1]])
    assert np.abs(pixels[..., 0] - expected).max() < tolerance  # half a pixel would be 8


@pytest.mark.parametrize(("model", "params"), LENSES)
def test_an_undistorted_picture_is_what_a_pinhole_camera_takes(toy: ToyCapture, tmp_path: Path, model: str, params: list[float]) -> None:
    camera = pycolmap.Camera(model=model, width=WIDTH_PX, height=HEIGHT_PX, params=params, camera_id=1)
    exact = replace(with_poses(toy, ring(generator_for(5, "ring"), 12)), pictures=[encode_png(seen_through(camera))] * 12, size=(WIDTH_PX, HEIGHT_PX))
    write_pictures(tmp_path / "images", exact)
    write_colmap(tmp_path, colmap_model(exact, model, params), binary=True)
    (view, picture, _), *others = ingest_capture(tmp_path, "scene-000000", ORIGIN, limits()).views
    assert len(others) == 11
    K, pixels = view.camera.intrinsics(), np.asarray(decode_picture(picture, ""))
    assert pixels.shape == (view.camera.height_px, view.camera.width_px, 3) and K[0, 0] == camera.focal_length_x and K[1, 1] == camera.focal_length_y
    assert_shows_pattern(pixels, K, 3.5)
    h, w = pixels.shape[:2]
    for side in (
        [(-1.5, v + 0.5) for v in range(h)],
        [(w + 1.5, v + 0.5) for v in range(h)],
        [(u + 0.5, -1.5) for u in range(w)],
        [(u + 0.5, h + 1.5) for u in range(w)],
    ):
        beyond = np.array(camera.img_from_cam(np.column_stack([(np.array(side) - K[[0, 1], 2]) / K[[0, 1], [0, 1]], np.ones(len(side))])))
        assert ((beyond < 0.5) | (beyond > np.array([WIDTH_PX, HEIGHT_PX]) - 0.5)).any(), "two pixels more on this side would still show the picture"


def test_a_shrunk_picture_keeps_its_camera(toy: ToyCapture, tmp_path: Path) -> None:
    camera = pycolmap.Camera(model="PINHOLE", width=WIDTH_PX, height=HEIGHT_PX, params=[60.0, 60, 43.1, 30.2], camera_id=1)
    exact = replace(with_poses(toy, ring(generator_for(5, "ring"), 12)), pictures=[encode_png(seen_through(camera))] * 12, size=(WIDTH_PX, HEIGHT_PX))
    write_pictures(tmp_path / "images", exact)
    write_colmap(tmp_path, colmap_model(exact, "PINHOLE", [60.0, 60, 43.1, 30.2]), binary=False)
    view, picture, _ = ingest_capture(tmp_path, "scene-000000", ORIGIN, limits(longest_side_px=50)).views[0]
    pixels = np.asarray(decode_picture(picture, ""))
    assert pixels.shape == (38, 50, 3) and (view.camera.width_px, view.camera.height_px) == (50, 38)
    assert_shows_pattern(pixels, view.camera.intrinsics(), 6)  # the mean over a pixel of 1.7; half a pixel would be 12


@pytest.mark.parametrize("distortion", [(-0.9, 0.0, 0.0, 0.0), (30.0, 0.0, 0.0, 0.0), (0.0, 0.0, 5.0, 0.0), (1e8, -1e8, 1e8, 1e8, 1e8)])
def test_a_lens_that_folds_the_picture_is_not_undone(distortion: tuple[float, ...]) -> None:
    lens = Lens(84, 84, tuple(intrinsics(84, 84, 80.0).ravel()), distortion)
    assert (
        undistorted(np.zeros((84, 84, 3), np.uint8), lens)
        == "its distortion is too strong to be undone: the picture would fold over, or too little of it would be left"
    )


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(6, 1), (3, 2), (8, 3)])
def test_photographs_that_lie_on_their_side_are_turned_upright(toy: ToyCapture, tmp_path: Path, orientation: int, quarter_turns: int) -> None:
    """COLMAP takes pictures as stored, whatever their EXIF orientation. A turn counter-clockwise takes (u, v) to (v, width - u)."""
    rng = generator_for(6, "upright")
    poses, K, size = ring(rng, 12), np.array([[60.0, 0, 43.1], [0, 58.0, 30.2], [0, 0, 1]]), (WIDTH_PX, HEIGHT_PX)
    pictures = [rng.integers(0, 255, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8) for _ in poses]
    stored_K, stored_size = K, size
    for _ in range(quarter_turns):
        stored_K = np.array([[stored_K[1, 1], 0, stored_K[1, 2]], [0, stored_K[0, 0], stored_size[0] - stored_K[0, 2]], [0, 0, 1]])
        stored_size = stored_size[::-1]
    stored = poses.copy()
    stored[:, :3, :3] = poses[:, :3, :3] @ rotated_about(np.array([0, 0, 1.0]), -np.pi / 2 * quarter_turns)
    write_colmap(tmp_path, colmap_model(ToyCapture(toy.names, [], [stored_K] * 12, stored, NO_POINTS, np.zeros(3), stored_size)), binary=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "images").mkdir()
    for name, picture in zip(toy.names, pictures, strict=True):
        Image.fromarray(np.rot90(picture, quarter_turns).copy()).save(tmp_path / "images" / name, exif=exif)
    capture = ingest_capture(tmp_path, "scene-000000", ORIGIN, limits())
    assert capture.quality.up_error_deg < 1
    assert_same_motions(motions(poses, np.zeros(3)), motions(poses_of(capture), np.zeros(3)), 1e-6)
    for (view, data, _), picture in zip(capture.views, pictures, strict=True):
        assert np.array_equal(np.asarray(decode_picture(data, "")), picture)
        np.testing.assert_allclose(view.camera.intrinsics(), K)


def test_of_many_pictures_those_are_taken_that_show_the_most_sides(toy: ToyCapture, tmp_path: Path) -> None:
    """Half of the pictures were taken from one place, some of them no longer open."""
    rng = generator_for(7, "many")
    poses = ring(rng, 40)
    lingering = np.stack([look_at(poses[0, :3, 3] + rng.normal(scale=0.01, size=3), np.zeros(3)) for _ in range(40)])
    names = [f"{i:03d}.png" for i in range(80)]
    many = replace(toy, names=names, pictures=[toy.pictures[0]] * 80, K=[toy.K[0]] * 80, T_world_cam=np.concatenate([lingering, poses]), points=NO_POINTS)
    write_capture(tmp_path, many, "transforms")
    (tmp_path / "images" / names[70]).write_bytes(b"none")
    every = ingest_capture(tmp_path, "scene-000000", ORIGIN, LOOSE)
    assert len(every.views) == 79 and every.left_out == 0
    twelve = ingest_capture(tmp_path, "scene-000000", ORIGIN, replace(LOOSE, max_views=12))
    assert len(twelve.views) == 12 and twelve.left_out + sum(twelve.set_aside.values()) == 68 and twelve.quality == every.quality
    assert list(twelve.names) == sorted(twelve.names) and set(twelve.names) < set(every.names)
    assert [view.view_id for view, _, _ in twelve.views] == [f"scene-000000.v{i:02d}" for i in range(12)]
    camera_of = dict(zip(every.names, (view.camera for view, _, _ in every.views), strict=True))
    assert all(camera_of[name] == view.camera for name, (view, _, _) in zip(twelve.names, twelve.views, strict=True))
    assert sum(Path(name).stem < "040" for name in twelve.names) <= 2
    azimuth = np.sort(np.degrees(np.arctan2(*poses_of(twelve)[:, :2, 3].T[::-1])))
    assert np.diff(azimuth, append=azimuth[0] + 360).max() < 3 * 360 / 12


def test_the_most_may_not_be_fewer_than_the_fewest() -> None:
    with pytest.raises(UserError, match=r"captures.max_views is 5; it must be at least min_views \(6\), or null"):
        limits(max_views=5)
