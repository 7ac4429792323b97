"""Rendered-looking scenes with companions, without a renderer's cost: real masks, plain pictures, free cameras; some things out of every picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actial import ids
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics
from actial.params_views import SceneContents
from actial.records import Camera, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png
from actial.views.boxes import part_masks
from actial.views.cameras import Shot
from actial.views.scenes import compose_scene
from actial.views.staging import with_companions

SIDE_PX = 140
PLAIN = encode_png(np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8))
CONTENTS = SceneContents(companions=(4, 6), two_state_share=0.6, displacement_m=(0.8, 1.4), altered_share=0.0, fronts=False)


def views_with_masks(index: int, n_views: int = 6, seed: int = 11) -> list[tuple[View, np.ndarray]]:
    """One scene's views; from the middle of them on in its second state, where it has one."""
    scene_id = ids.scene_id(index)
    scene = with_companions(compose_scene(seed, scene_id), CONTENTS, seed)
    rng, center = generator_for(seed, f"{scene_id}/toy"), scene.subject_center()
    K = tuple(intrinsics(SIDE_PX, SIDE_PX, 55.0).ravel().tolist())
    shots, azimuth = [], rng.uniform(-np.pi, np.pi)
    for i in range(n_views):
        azimuth += rng.uniform(0.15, 0.6) * rng.choice([-1, 1])
        eye = center + rng.uniform(4.2, 5.5) * np.array([np.cos(azimuth), np.sin(azimuth), rng.uniform(0.1, 0.7)])
        aside = np.cross([0, 0, 1.0], center - eye) * rng.choice([0, 0, -0.4, 0.4])
        T = look_at(eye, center + aside + rng.uniform(-0.6, 0.6, 3) * [1, 1, 0.3])
        state = int(i >= n_views // 2 and bool(scene.companions.second))
        shots.append(Shot(Camera(SIDE_PX, SIDE_PX, K, tuple(T.ravel().tolist())), "free", 0.0, 1.0, 0.0, 0, state))
    views = [View(ids.view_id(scene_id, i), scene_id, shot.camera, scene.objects(shot.state), "toy", "CC0-1.0") for i, shot in enumerate(shots)]
    return list(zip(views, part_masks(scene, shots), strict=True))


def write_scenes(folder: Path, n_scenes: int, n_views: int = 6) -> None:
    """Shards of them, below `folder`."""
    with ViewWriter(folder, shard_mb=64) as writer:
        for index in range(n_scenes):
            for view, mask in views_with_masks(index, n_views):
                writer.add(view, PLAIN, encode_png(mask))
