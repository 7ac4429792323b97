"""Scenes that are done: each is a folder with one small shard in scratch, put in place whole, so that a killed run goes on where it stopped."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from actial import ids
from actial.errors import UserError
from actial.records import View
from actial.rng import generator_for
from actial.shards import ViewStore, ViewWriter, decode_picture, encode_png
from actial.views.boxes import Picture
from actial.views.cameras import Shot, sample_cameras
from actial.views.scenes import Scene, compose_scene

LICENCE = "CC0-1.0"
"""Of pictures of procedural scenes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the pictures of a run depend on."""

    root_seed: int
    source: str
    """The backend's name."""
    views_per_scene: int
    width_px: int
    height_px: int
    samples: int


def composed(plan: Plan, scene_id: str) -> tuple[Scene, list[Shot]]:
    """The scene of that id and its shots.

    Raises:
        NoCameras: no set of cameras was found.
    """
    scene = compose_scene(plan.root_seed, scene_id)
    return scene, sample_cameras(scene, plan, generator_for(plan.root_seed, f"{scene_id}/cameras"))


def commit(folder: Path, plan: Plan, scene: Scene, shots: list[Shot], pictures: list[Picture]) -> None:
    """Write a finished scene to `folder/<scene id>`, in one step; what stood there goes away."""
    objects = scene.objects()
    half, whole = folder / f".{scene.scene_id}-{os.getpid()}", folder / scene.scene_id
    try:
        with ViewWriter(half, shard_mb=1_000_000) as writer:
            for i, (shot, picture) in enumerate(zip(shots, pictures, strict=True)):
                view = View(ids.view_id(scene.scene_id, i), scene.scene_id, shot.camera, objects, plan.source, LICENCE)
                writer.add(view, encode_png(picture.pixels), encode_png(picture.mask))
        shutil.rmtree(whole, ignore_errors=True)
        os.replace(half, whole)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def read(scene_folder: Path) -> list[tuple[View, bytes, bytes | None]]:
    """The views of a finished scene with their encoded pictures and masks.

    Raises:
        UserError: the shard is missing, truncated or none.
    """
    store = ViewStore(scene_folder)
    return [(view, store.picture_bytes(view.view_id) or b"", store.picture_bytes(view.view_id, "mask")) for view in store]


def is_whole(scene_folder: Path, n_views: int) -> bool:
    """Whether a scene was finished before and every picture of it still decodes."""
    if not scene_folder.exists():
        return False
    try:
        views = read(scene_folder)
        for view, picture, mask in views:
            decode_picture(picture, view.view_id)
            decode_picture(mask or b"", view.view_id)
    except (UserError, OSError):
        return False
    return len(views) == n_views


def sweep(folder: Path) -> None:
    """Remove what killed workers left half done."""
    for half in folder.glob(".scene-*"):
        shutil.rmtree(half, ignore_errors=True)
