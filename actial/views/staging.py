"""What is put into a scene that was drawn: companions around the subject, a second state in which one of them stands elsewhere or the subject itself is
altered, a face on its front.

All of it is drawn from generators of its own, so that a scene is otherwise the same with and without.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from actial.rng import generator_for
from actial.views.alterations import alter_asset, draw_alteration
from actial.views.arrangements import GAP_M, PART_SHAPES, Solid, overlap
from actial.views.asset_scenes import AssetScene
from actial.views.cameras import AWAY, Shot
from actial.views.companions import Companions
from actial.views.fronts import draw_front
from actial.views.labels import offered_labels
from actial.views.scenes import PALETTE, STAND_RGB, Scene

WIDTH_M, HEIGHT_M = (0.32, 0.55), (0.32, 0.62)
"""Of companions: lower than most subjects, so that they hide little."""
APART_M = 0.15
"""Least gap between the outlines on the ground of a companion and of anything else."""
NEAREST_M, BEYOND_M = 0.5, 0.65
"""A companion's middle is at least so far from the subject's, on the ground, and at most so far beyond the subject's outline."""
TRIES = 300
FEWEST_IN_FIRST = 4
"""Views of the first of two states: so many can offer every label."""


class NoRoom(Exception):
    """Companions find no place in a scene (the scene is set aside)."""


class Staging(Protocol):
    """What is wanted (section `render_views.scenes`)."""

    @property
    def companions(self) -> tuple[int, int]: ...
    @property
    def two_state_share(self) -> float: ...
    @property
    def displacement_m(self) -> tuple[float, float]: ...
    @property
    def altered_share(self) -> float: ...


class Stage(Protocol):
    """A scene of any kind of subject, as companions need to know it."""

    @property
    def scene_id(self) -> str: ...
    @property
    def companions(self) -> Companions: ...
    @property
    def altered(self) -> object: ...
    def subject_center(self) -> np.ndarray: ...
    def footprints(self) -> tuple[Solid, ...]: ...
    def own_colors(self) -> set[str]: ...


AnyStage = TypeVar("AnyStage", bound=Stage)


def with_front(scene: Scene, root_seed: int) -> Scene:
    """The scene with a head at its subject's front."""
    front = draw_front(scene.subject_solids, scene.subject_center()[:2], generator_for(root_seed, f"{scene.scene_id}/front"))
    stands = tuple(s.with_look(f"front_stand_{i}", "gray", STAND_RGB) for i, s in enumerate(front.stands))
    return replace(scene, front=replace(front, stands=stands))


def with_alteration(scene: AnyStage, staging: Staging, root_seed: int) -> AnyStage:
    """The scene with a second state in which its subject is altered, where it is drawn to have one."""
    if not staging.altered_share:
        return scene
    rng = generator_for(root_seed, f"{scene.scene_id}/altered")
    if rng.random() >= staging.altered_share:
        return scene
    if isinstance(scene, Scene):
        return replace(scene, altered=draw_alteration(scene.parts, scene.stands, scene.front, scene.subject_center()[:2], rng))
    assert isinstance(scene, AssetScene), "captures are not composed"
    return replace(scene, altered=alter_asset(np.reshape(scene.T_world_asset, (4, 4)), scene.foot_m(), rng))


def with_companions(scene: AnyStage, staging: Staging, root_seed: int) -> AnyStage:
    """The scene with companions; unchanged where none are wanted.

    Raises:
        NoRoom: they find no place.
    """
    least, most = staging.companions
    if not most:
        return scene
    rng = generator_for(root_seed, f"{scene.scene_id}/companions")
    first = _companions(scene, int(rng.integers(least, most + 1)), rng)
    two_states = rng.random() < staging.two_state_share
    second = _one_moved(scene, first, staging.displacement_m, rng) if first and two_states and not scene.altered else ()
    return replace(scene, companions=Companions(first, second))  # type: ignore[type-var]  # scenes are dataclasses


def in_states(scene: Stage, shots: list[Shot], root_seed: int) -> list[Shot]:
    """Which shots show the second state of a scene, where it has one: half of them, but those of the first state still offer every label that all do, or as
    many as in any of the choices tried."""
    n_second = min(len(shots) // 2, len(shots) - FEWEST_IN_FIRST)
    if not (scene.companions.second or scene.altered) or n_second < 1:
        return shots
    rng, poses = generator_for(root_seed, f"{scene.scene_id}/states"), np.stack([shot.camera.pose() for shot in shots])
    in_sight = np.array([shot.role != AWAY for shot in shots])
    n_offered = lambda chosen: sum(n > 0 for n in offered_labels(poses[chosen], scene.subject_center(), in_sight[chosen]).values())
    most, best, found = n_offered(slice(None)), -1, np.zeros(len(shots), bool)
    for _ in range(TRIES):
        second = rng.permutation(len(shots)) < n_second
        if (n := n_offered(~second)) > best:
            best, found = n, second
        if best == most:
            break
    return [replace(shot, state=int(state)) for shot, state in zip(shots, found, strict=True)]


def _companions(scene: Stage, n: int, rng: np.random.Generator) -> tuple[Solid, ...]:
    reach_m = _reach_m(scene)
    looks = _looks(sorted(set(PALETTE) - scene.own_colors()), rng)
    standing = [_pillar(s) for s in scene.footprints()]
    companions: list[Solid] = []
    for color, shape in looks[:n]:
        width, depth, height = rng.uniform(*WIDTH_M), rng.uniform(*WIDTH_M), rng.uniform(*HEIGHT_M)
        size = (width, depth, height) if shape == "box" else (width, width, width if shape == "sphere" else height)
        new = Solid(shape, size, (0.0, 0.0, GAP_M + size[2] / 2), float(rng.uniform(-np.pi, np.pi))).with_look(f"{color}_{shape}", color, PALETTE[color])
        anywhere = ((float(reach), float(azimuth)) for reach, azimuth in zip(rng.uniform(*reach_m, TRIES), rng.uniform(-np.pi, np.pi, TRIES), strict=True))
        places = (_at(new, scene.subject_center()[:2], reach, azimuth) for reach, azimuth in anywhere)
        placed = next((s for s in places if _is_free(s, standing)), None)
        if placed is None:
            raise NoRoom(f"there is no room for {n} companions")
        companions.append(placed)
        standing.append(_pillar(placed))
    return tuple(companions)


def _looks(colors: list[str], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Every colour with every shape, in an order in which each colour comes once before one comes again."""
    shapes = {color: [str(s) for s in rng.permutation(PART_SHAPES)] for color in colors}
    return [(color, shapes[color][turn]) for turn in range(len(PART_SHAPES)) for color in map(str, rng.permutation(colors))]


def _one_moved(scene: Stage, first: tuple[Solid, ...], displacement_m: tuple[float, float], rng: np.random.Generator) -> tuple[Solid, ...]:
    """The companions with one of them moved."""
    center, (nearest_m, farthest_m) = scene.subject_center()[:2], _reach_m(scene)
    for i in rng.permutation(len(first)):
        standing = [_pillar(s) for s in (*scene.footprints(), *first[:i], *first[i + 1 :])]
        for _ in range(TRIES):
            moved = _at(first[i], np.array(first[i].center_m[:2]), float(rng.uniform(*displacement_m)), float(rng.uniform(-np.pi, np.pi)))
            if nearest_m <= np.linalg.norm(np.array(moved.center_m[:2]) - center) <= farthest_m and _is_free(moved, standing):
                return (*first[:i], moved, *first[i + 1 :])
    raise NoRoom("no companion finds another place")


def _reach_m(scene: Stage) -> tuple[float, float]:
    """Least and largest distance of a companion's middle from the subject's, on the ground."""
    out = lambda s: np.linalg.norm(np.array(s.center_m[:2]) - scene.subject_center()[:2]) + (np.hypot(*s.size_m[:2]) if s.shape == "box" else s.size_m[0]) / 2
    return NEAREST_M, BEYOND_M + float(max(map(out, scene.footprints())))


def _at(solid: Solid, middle: np.ndarray, distance_m: float, azimuth_rad: float) -> Solid:
    x, y = middle + distance_m * np.array([np.cos(azimuth_rad), np.sin(azimuth_rad)])
    return replace(solid, center_m=(float(x), float(y), solid.center_m[2]))


def _pillar(solid: Solid) -> Solid:
    """A solid of one height for all, that has the outline of this one on the ground."""
    return replace(solid, size_m=(*solid.size_m[:2], 1.0), center_m=(*solid.center_m[:2], 0.5))


def _is_free(solid: Solid, standing: list[Solid]) -> bool:
    return not any(overlap(_pillar(solid), other, APART_M) for other in standing)
