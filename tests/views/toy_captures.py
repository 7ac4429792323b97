"""Captures on disk, written by others' code where there is any: COLMAP models by pycolmap, `transforms.json` and CO3D by their published descriptions."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from actial.geometry.angles import Motion, motion_between
from actial.geometry.conventions import opencv_from_blender
from actial.geometry.poses import inverse, look_at, transformed
from actial.geometry.projection import intrinsics
from actial.params_views import Captures
from actial.shards import encode_png
from actial.views import boxes, committed
from actial.views.capture_photos import Lens
from actial.views.committed import Plan
from actial.views.scenes import Scene

SIDE_PX = 84
PLAN = Plan(root_seed=5, source="boxes", views_per_scene=12, width_px=SIDE_PX, height_px=SIDE_PX, samples=2)


@dataclass(frozen=True)
class Similarity:
    """A change of world: p_new = scale R p + shift."""

    R: np.ndarray
    scale: float
    shift: np.ndarray

    def poses(self, T_world_cam: np.ndarray) -> np.ndarray:
        T = T_world_cam.copy()
        T[:, :3, :3] = self.R @ T_world_cam[:, :3, :3]
        T[:, :3, 3] = self.points(T_world_cam[:, :3, 3])
        return T

    def points(self, p_world: np.ndarray) -> np.ndarray:
        return self.scale * p_world @ self.R.T + self.shift


def random_similarity(rng: np.random.Generator) -> Similarity:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return Similarity(q, float(np.exp(rng.uniform(-3, 3))), rng.normal(scale=10, size=3))


@dataclass(frozen=True)
class ToyCapture:
    """What a capture is written from: n pictures, their exact cameras, points on the subject's surface."""

    names: list[str]
    pictures: list[bytes]
    K: list[np.ndarray]
    T_world_cam: np.ndarray
    points: np.ndarray
    center: np.ndarray
    size: tuple[int, int] = (SIDE_PX, SIDE_PX)


def toy_capture(scene_id: str = "scene-000000") -> ToyCapture:
    """Pictures of a procedural scene."""
    scene, shots = committed.composed(PLAN, scene_id)
    pictures = [encode_png(p.pixels) for p in boxes.render_scene(scene, shots)]
    poses = np.stack([shot.camera.pose() for shot in shots])
    low, high = scene.subject_box()
    K = [shot.camera.intrinsics() for shot in shots]
    return ToyCapture([f"frame {i:02d}.png" for i in range(len(shots))], pictures, K, poses, surface_points(scene), (low + high) / 2)


def surface_points(scene: Scene) -> np.ndarray:
    """Points spread over the boxes around the subject's parts."""
    rng = np.random.Generator(np.random.PCG64(0))
    clouds = []
    for solid in scene.parts:
        p = rng.uniform(-0.5, 0.5, size=(40, 3))
        p[np.arange(40), rng.integers(3, size=40)] = rng.choice([-0.5, 0.5], size=40)
        clouds.append(transformed(solid.pose(), p * solid.size_m))
    return np.concatenate(clouds)


def write_pictures(folder: Path, capture: ToyCapture) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in zip(capture.names, capture.pictures, strict=True):
        (folder / name).write_bytes(data)


def colmap_model(capture: ToyCapture, model: str = "PINHOLE", params: list[float] | None = None) -> pycolmap.Reconstruction:
    """A reconstruction with a camera a picture; `params` stand for all of them where given."""
    reconstruction = pycolmap.Reconstruction()
    for i, (name, K, T) in enumerate(zip(capture.names, capture.K, capture.T_world_cam, strict=True), start=1):
        values = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]] if params is None else params
        reconstruction.add_camera_with_trivial_rig(pycolmap.Camera(model=model, width=capture.size[0], height=capture.size[1], params=values, camera_id=i))
        T_cam_world = inverse(opencv_from_blender(T))
        image = pycolmap.Image(name=name, camera_id=i, image_id=i)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(np.array([1.5, 2.5]))] * (i % 3))
        reconstruction.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pycolmap.Rotation3d(T_cam_world[:3, :3]), T_cam_world[:3, 3]))
    for p in capture.points:
        reconstruction.add_point3D(p, pycolmap.Track(), np.array([9, 9, 9], np.uint8))
    return reconstruction


def write_colmap(folder: Path, reconstruction: pycolmap.Reconstruction, binary: bool) -> None:
    model = folder / "sparse/0"
    model.mkdir(parents=True, exist_ok=True)
    (reconstruction.write_binary if binary else reconstruction.write_text)(str(model))


def transforms_of(capture: ToyCapture) -> dict[str, object]:
    """A `transforms.json` with intrinsics in every frame."""
    frames = [
        {
            "file_path": f"./images/{name}",
            "fl_x": K[0, 0],
            "fl_y": K[1, 1],
            "cx": K[0, 2],
            "cy": K[1, 2],
            "w": capture.size[0],
            "h": capture.size[1],
            "transform_matrix": T.tolist(),
        }
        for name, K, T in zip(capture.names, capture.K, capture.T_world_cam, strict=True)
    ]
    return {"camera_model": "OPENCV", "frames": frames}


def co3d_frames(capture: ToyCapture, category: str, sequence: str, intrinsics_format: str = "ndc_isotropic") -> list[dict[str, Any]]:
    """A sequence's part of `frame_annotations.jgz`. PyTorch3D's R has the camera's left, up and forward axes as columns; T is minus the eye along them."""
    (w, h), frames = capture.size, []
    scale = [min(w, h) / 2] * 2 if intrinsics_format == "ndc_isotropic" else [w / 2, h / 2]
    for i, (name, K, T) in enumerate(zip(capture.names, capture.K, capture.T_world_cam, strict=True)):
        R = np.column_stack([-T[:3, 0], T[:3, 1], -T[:3, 2]])
        viewpoint = {
            "R": R.tolist(),
            "T": (-T[:3, 3] @ R).tolist(),
            "focal_length": [K[0, 0] / scale[0], K[1, 1] / scale[1]],
            "principal_point": [(w / 2 - K[0, 2]) / scale[0], (h / 2 - K[1, 2]) / scale[1]],
            "intrinsics_format": intrinsics_format,
        }
        image = {"path": f"{category}/{sequence}/images/{name}", "size": [h, w]}
        frames.append({"sequence_name": sequence, "frame_number": i, "frame_timestamp": i / 10, "image": image, "mask": None, "viewpoint": viewpoint})
    return frames


def write_co3d(category: Path, captures: dict[str, ToyCapture]) -> None:
    """A category of CO3D with these sequences."""
    for sequence, capture in captures.items():
        write_pictures(category / sequence / "images", capture)
    frames = [frame for sequence, capture in captures.items() for frame in co3d_frames(capture, category.name, sequence)]
    (category / "frame_annotations.jgz").write_bytes(gzip.compress(json.dumps(frames).encode(), mtime=0))
    sequences = [{"sequence_name": sequence, "category": category.name, "viewpoint_quality_score": 1.0} for sequence in captures]
    (category / "sequence_annotations.jgz").write_bytes(gzip.compress(json.dumps(sequences).encode(), mtime=0))


def write_capture(folder: Path, capture: ToyCapture, form: str) -> None:
    """The capture in one of four forms: colmap-binary, colmap-text, transforms, co3d (whose annotations lie beside its folder)."""
    if form == "co3d":
        write_co3d(folder.parent, {folder.name: capture})
        return
    write_pictures(folder / "images", capture)
    if form == "transforms":
        (folder / "transforms.json").write_text(json.dumps(transforms_of(capture)), encoding="utf-8")
    else:
        write_colmap(folder, colmap_model(capture), binary=form == "colmap-binary")


def limits(**changes: Any) -> Captures:
    """What captures must be like, a little more lenient than the profiles."""
    return replace(Captures(min_views=6, max_views=None, longest_side_px=448, max_up_error_deg=3.0, max_center_error_r=0.1, licence=""), **changes)


def motions(T_world_cam: np.ndarray, center: np.ndarray) -> Motion:
    i, j = np.nonzero(~np.eye(len(T_world_cam), dtype=bool))
    return motion_between(T_world_cam[i], T_world_cam[j], center)


def assert_same_motions(a: Motion, b: Motion, tolerance: float) -> None:
    for name, x, y in zip(Motion._fields, a, b, strict=True):
        off = (x - y + 180) % 360 - 180 if name.endswith("_deg") else x - y
        assert np.array_equal(np.isnan(x), np.isnan(y)) and np.abs(off[~np.isnan(off)]).max(initial=0.0) < tolerance, name


def origin_in(T_world_cam: np.ndarray, aligned: np.ndarray) -> np.ndarray:
    """Where the aligned world's origin is in the world of `T_world_cam`, by what the first camera sees of it."""
    span = lambda T: np.linalg.norm(T[:, None, :3, 3] - T[None, :, :3, 3], axis=-1).max()
    return transformed(T_world_cam[0], inverse(aligned[0])[:3, 3] * span(T_world_cam) / span(aligned))


def ring(rng: np.random.Generator, n: int, *, roll_deg: float = 0.0, aim_r: float = 0.0, arc_deg: float = 360.0) -> np.ndarray:
    """Hand-held cameras around the origin at varied heights and distances, with scatter of roll and aim."""
    azimuth = np.radians(np.linspace(0, arc_deg, n, endpoint=arc_deg < 360) + rng.uniform(-2, 2, n))
    height = np.radians(rng.uniform(5, 50, n))
    eyes = np.column_stack([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)]) * rng.uniform(1.5, 2.5, (n, 1))
    rolls = np.radians(roll_deg) * rng.normal(size=n)
    return np.stack([look_at(eye, 2 * aim_r * rng.normal(size=3), roll) for eye, roll in zip(eyes, rolls, strict=True)])


def lenses(n: int, fov_deg: float = 50.0) -> list[Lens]:
    return [Lens(SIDE_PX, SIDE_PX, tuple(intrinsics(SIDE_PX, SIDE_PX, fov_deg).ravel()), ())] * n


NO_POINTS = np.empty((0, 3))
