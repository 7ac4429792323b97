"""Scenes without a renderer: random cameras around a subject of coloured parts, plain pictures."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from actial import ids
from actial.geometry.poses import look_at, rotated_about
from actial.geometry.projection import intrinsics
from actial.params import load_params
from actial.params_evaluation import Evaluate
from actial.params_questions import BANDS, BuildQA
from actial.records import Camera, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png

COLORS = ("red", "blue", "green", "yellow", "purple", "orange")
PLAIN_PICTURE = encode_png(np.full((84, 84, 3), 128, np.uint8))


def at(p_world: np.ndarray) -> tuple[float, ...]:
    """Row-major pose of an unturned object at `p_world`."""
    T = np.eye(4)
    T[:3, 3] = p_world
    return tuple(T.ravel())


def toy_objects(generator: np.random.Generator, n_parts: int = 4) -> tuple[SceneObject, ...]:
    """A subject at a random place and `n_parts` boxes of different colours in and around its middle."""
    center = generator.uniform([-0.3, -0.3, 0.3], [0.3, 0.3, 0.7])
    parts = []
    for color in generator.permutation(COLORS)[:n_parts]:
        place = center + generator.uniform(-0.45, 0.45, 3)
        parts.append(SceneObject(f"part-{color}", "box", "boxes", str(color), at(place), (0.2, 0.2, 0.2), part_of="subject"))
    return (SceneObject("subject", "composite", "boxes", "", at(center), (1.1, 1.1, 1.1)), *parts)


def toy_cameras(generator: np.random.Generator, center: np.ndarray, n_views: int = 8) -> list[np.ndarray]:
    """Poses on an orbit with free steps; then one that only turned, one that only moved, one that moved straight out, one that stayed."""
    azimuth, poses = generator.uniform(0, 2 * np.pi), []

    def pose(angle: float, distance_m: float, aim: float, height_m: float = 0.8) -> np.ndarray:
        eye = center + distance_m * np.array([np.cos(angle), np.sin(angle), 0.0]) + [0.0, 0.0, height_m]
        return look_at(eye, center + generator.uniform(-aim, aim, 3))

    for _ in range(max(n_views - 4, 1)):
        poses.append(pose(azimuth, generator.uniform(2.6, 3.2), 0.3))
        azimuth += np.radians(generator.uniform(18, 45))
    first = poses[0]
    turn = np.radians(generator.uniform(11, 16)) * generator.choice([-1, 1])
    turned = first.copy()
    turned[:3, :3] = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) @ first[:3, :3]
    moved = first.copy()
    moved[:3, 3] += first[:3, 0] * generator.uniform(0.6, 0.9) * generator.choice([-1, 1])
    away = first.copy()
    away[:2, 3] = center[:2] + (first[:2, 3] - center[:2]) * 1.3
    stayed = first.copy()
    stayed[:3, 3] += 0.003
    return [*poses, turned, moved, away, stayed][:n_views]


def toy_views(scene_index: int, seed: int = 3, n_views: int = 8, n_parts: int = 4) -> list[View]:
    """The views of one toy scene, 84 pixels square."""
    scene_id = ids.scene_id(scene_index)
    generator = generator_for(seed, scene_id)
    objects = toy_objects(generator, n_parts)
    K = tuple(intrinsics(84, 84, 55.0).ravel())
    poses = toy_cameras(generator, objects[0].center(), n_views)
    return [View(ids.view_id(scene_id, i), scene_id, Camera(84, 84, K, tuple(T.ravel())), objects, "toy", "CC0-1.0") for i, T in enumerate(poses)]


def rich_views(scene_index: int, seed: int = 3) -> list[View]:
    """12 views of a scene whose subject has a front, with pairs for every label of every kind: steps around, along each axis, about each axis, and none."""
    scene_id = ids.scene_id(scene_index)
    generator = generator_for(seed, scene_id)
    objects = toy_objects(generator)
    facing = generator.uniform(-np.pi, np.pi)
    objects = (replace(objects[0], front=(float(np.cos(facing)), float(np.sin(facing)), 0.0)), *objects[1:])
    center, azimuth = objects[0].center(), generator.uniform(0, 2 * np.pi)
    either = lambda low, high: float(generator.uniform(low, high) * generator.choice([-1, 1]))

    def pose(angle: float, distance_m: float, roll_rad: float = 0.0) -> np.ndarray:
        eye = center + np.array([distance_m * np.cos(angle), distance_m * np.sin(angle), generator.uniform(0.2, 1.2)])
        return look_at(eye, center + generator.uniform(-0.3, 0.3, 3), roll_rad)

    base = pose(azimuth, generator.uniform(2.6, 3.2))
    right, up = base[:3, 0], np.array([0.0, 0, 1])
    ahead = np.cross(up, right)
    away = base[:3, 3] - center
    stepped = [right * either(0.6, 1.2), ahead * either(0.6, 1.2), up * either(0.6, 1.0), right * 0.002]
    turns = [(up, either(0.2, 0.5)), (right, either(0.16, 0.3)), (base[:3, 2], either(0.16, 0.5))]
    poses = [base, pose(azimuth + either(0.3, 0.6), 2.9), pose(azimuth + either(0.7, 1.1), 2.5, either(0.16, 0.3)), pose(azimuth + either(1.5, 2.4), 3.4)]
    poses += [_moved(base, step) for step in stepped]
    poses += [_moved(base, np.zeros(3), rotated_about(axis, angle)) for axis, angle in turns]
    poses.append(_moved(base, away * either(0.2, 0.3)))
    order = generator.permutation(len(poses))
    K = tuple(intrinsics(84, 84, 70.0).ravel())
    return [
        View(ids.view_id(scene_id, i), scene_id, Camera(84, 84, K, tuple(poses[place].ravel())), objects, "toy", "CC0-1.0") for i, place in enumerate(order)
    ]


def _moved(T_world_cam: np.ndarray, step_m: np.ndarray, R: np.ndarray | None = None) -> np.ndarray:
    """A camera carried by `step_m` and rotated by `R`, both in world coordinates."""
    T = T_world_cam.copy()
    T[:3, 3] += step_m
    T[:3, :3] = T[:3, :3] if R is None else R @ T[:3, :3]
    return T


def write_toy_views(folder: Path, n_scenes: int, n_views: int = 8, seed: int = 3) -> None:
    """Shards of `n_scenes` toy scenes with plain pictures."""
    with ViewWriter(folder, shard_mb=256) as writer:
        for index in range(n_scenes):
            for view in toy_views(index, seed, n_views):
                writer.add(view, PLAIN_PICTURE)


REPO = Path(__file__).resolve().parents[1]


TOY_SPLIT: dict[str, Any] = {"splits": {"train": 0.68, "rl": 0.15, "val": 0.03, "test": 0.14}, "held_out_families": [], "caliper": None, "pairs_per_kind": 6}
"""Fit for a few toy scenes, whose subjects are of one family, and among which few twins are."""
MARGINS = BANDS
"""Those of the profile single-gpu are DESIGN's."""


def put_in_latin_1(path: Path, column: str) -> None:
    """Make one text of a Parquet file's column bytes that are not UTF-8."""
    table = pq.read_table(path)
    texts = pa.array([b"caf\xe9", *[b""] * (table.num_rows - 1)], pa.binary())
    as_text = pa.Array.from_buffers(pa.string(), table.num_rows, texts.buffers())  # a cast would look at them
    pq.write_table(table.set_column(table.column_names.index(column), column, as_text), path)


def tiny_evaluation() -> Evaluate:
    """What the tiny profile tests, and against which margins."""
    return load_params(REPO / "profiles" / "tiny.yaml").evaluate


def toy_settings(**changes: Any) -> BuildQA:
    """The tiny profile's questions, split as fits toy scenes, with DESIGN's margins."""
    tiny, design = (load_params(REPO / f"profiles/{name}.yaml").build_qa for name in ("tiny", "single-gpu"))
    return replace(tiny, **({name: getattr(design, name) for name in MARGINS} | TOY_SPLIT | {"held_out_families": ()} | changes))


def make_project(root: Path, n_scenes: int, **changes: object) -> Path:
    """A project folder with the tiny profile (dotted keys changed), the code, empty folders of assets and captures, and toy views as if rendered."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("actial", "tasks", "assets"):
        (root / name).symlink_to(REPO / name)
    shutil.copy(REPO / "dvc.yaml", root)
    for name in ("assets", "captures", "external"):
        (root / "data" / name).mkdir(parents=True)
    params = yaml.safe_load((REPO / "profiles/tiny.yaml").read_text(encoding="utf-8"))
    design = yaml.safe_load((REPO / "profiles/single-gpu.yaml").read_text(encoding="utf-8"))
    params["build_qa"] |= {name: design["build_qa"][name] for name in MARGINS} | TOY_SPLIT
    for key, value in changes.items():
        *sections, name = key.split("__")
        functools.reduce(dict.__getitem__, sections, params)[name] = value
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    if n_scenes:
        write_toy_views(root / "outputs/render_views/views", n_scenes)
    return root


def run_stage(root: Path, stage: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m tasks.<stage>` in a project folder."""
    env = os.environ | {"ACTIAL_TRACKING": "off"} | environment
    return subprocess.run([sys.executable, "-m", f"tasks.{stage}"], cwd=root, env=env, capture_output=True, text=True, check=False)
