"""Questions distributed as the published ones: the cameras and settings of the data set `paper`, which `benchmarks.audit --paper` audits beside ours.

Viewpoint-100K (arXiv 2511.01618) takes two frames of a video that circles an object, the angle between them 20 to 100 degrees, and asks which way the camera
moved, which way it turned, and the same movement as the object sees it; the third option, none, is never right. Its pictures cannot be passed on; these are
our scenes, seen by such cameras: both at one height and distance, aimed at the object's middle as well as a hand does. What the paper does not say is chosen
here: that height, the angle's distribution (uniform), and how steady the hand is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics
from actial.params_questions import Band, BuildQA
from actial.records import Camera
from actial.views.cameras import Shot
from actial.views.scenes import Scene

ANGLE_DEG = (20.0, 100.0)
ELEVATION_DEG = (10.0, 30.0)
"""Of a scene's circle; both cameras stand on it."""
AIM_DEG = 3.0
"""Largest angle between a camera's aim and the object's middle, to a side and up or down."""
HEIGHT_DEG, DISTANCE_SHARE = 1.0, 0.03
"""How far a camera leaves the circle at most."""
FOV_DEG = 68.0
SEEN_UNDER_DEG = 31.0
"""Half the angle under which the sphere around the object is seen."""


def published(settings: BuildQA) -> BuildQA:
    """Settings with the published kinds and thresholds; a scene has one pair."""
    of_angles = Band(none_below=1.0, asked_from=ANGLE_DEG[0], asked_to=ANGLE_DEG[1])
    kinds = ("lateral", "turn", "perspective")
    # A turn is the angle around, give or take both aims: pairs near either end must not be lost
    turn = replace(of_angles, asked_from=ANGLE_DEG[0] - 2 * AIM_DEG, asked_to=ANGLE_DEG[1] + 2 * AIM_DEG)
    lateral = Band(none_below=0.01, asked_from=0.15, asked_to=None)
    return replace(settings, kinds=kinds, none="never", caliper=None, pairs_per_kind=3, turn=turn, orbit=of_angles, lateral=lateral)


def pair_of_shots(scene: Scene, width_px: int, height_px: int, rng: np.random.Generator) -> list[Shot]:
    """Two frames of a video that circles a scene's subject."""
    center = scene.subject_center()
    radius_m = float(np.linalg.norm(scene.subject_corners() - center, axis=1).max())
    elevation_deg, distance_m = rng.uniform(*ELEVATION_DEG), radius_m / np.sin(np.radians(SEEN_UNDER_DEG))
    azimuth_deg = rng.uniform(-180, 180) + np.array([0.0, rng.choice([-1, 1]) * rng.uniform(*ANGLE_DEG)])
    K = tuple(intrinsics(width_px, height_px, FOV_DEG).ravel().tolist())
    shots = []
    for azimuth_rad in np.radians(azimuth_deg):
        e = np.radians(elevation_deg + rng.uniform(-1, 1) * HEIGHT_DEG)
        r_m = distance_m * (1 + rng.uniform(-1, 1) * DISTANCE_SHARE)
        eye = center + r_m * np.array([np.cos(e) * np.cos(azimuth_rad), np.cos(e) * np.sin(azimuth_rad), np.sin(e)])
        to_side, up = np.tan(np.radians(rng.uniform(-1, 1, 2) * AIM_DEG)) * r_m
        aim = center + to_side * np.array([-np.sin(azimuth_rad), np.cos(azimuth_rad), 0.0]) + [0.0, 0.0, up]
        camera = Camera(width_px, height_px, K, tuple(look_at(eye, aim).ravel().tolist()))
        shots.append(Shot(camera, "published", rng.uniform(-0.2, 0.2), rng.uniform(0.85, 1.15), np.radians(rng.uniform(-3, 3)), int(rng.integers(2**31))))
    return shots
