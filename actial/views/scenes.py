"""What stands in a procedural scene, as pure data: a subject made of coloured parts, a patterned ground, surroundings, sun and sky.

The parts stand at varied heights, on one another, on stands or on arms: a scene in which everything stood on one floor would give
depth away by height in the picture. The surroundings stand outside the ring of cameras, so they never hide the subject, and no
picture is without something that stays put.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from actial.records import SceneObject
from actial.rng import generator_for
from actial.views.alterations import Altered
from actial.views.arrangements import ARRANGEMENTS, Solid
from actial.views.companions import ALONE, Companions
from actial.views.fronts import FACE, Front

Rgb = tuple[float, float, float]

PALETTE: dict[str, Rgb] = {
    "red": (0.70, 0.02, 0.02),
    "orange": (0.90, 0.24, 0.01),
    "yellow": (0.90, 0.68, 0.02),
    "green": (0.03, 0.38, 0.04),
    "cyan": (0.03, 0.62, 0.66),
    "blue": (0.02, 0.07, 0.62),
    "pink": (0.86, 0.10, 0.48),
    "white": (0.88, 0.88, 0.86),
}
"""The colours of parts, as linear albedo."""

STAND_RGB: Rgb = (0.10, 0.10, 0.11)

MUTED: tuple[Rgb, ...] = (
    (0.22, 0.16, 0.11),
    (0.30, 0.26, 0.20),
    (0.12, 0.15, 0.11),
    (0.16, 0.19, 0.23),
    (0.28, 0.28, 0.29),
    (0.20, 0.13, 0.12),
    (0.10, 0.11, 0.14),
    (0.33, 0.30, 0.27),
)
"""Colours of surroundings and grounds, away from the palette of parts."""

PATTERNS = ("checker", "stripes", "patches")
PLAIN = "plain"
"""A ground of one tone."""
LIGHTS = ("sun", "three_point", "hdri")
HDRIS = ("city", "courtyard", "forest", "interior", "sunrise", "sunset")
"""Surroundings as photographs with all their light; they come with Blender (CC0, Poly Haven)."""

PLINTH = "plinth"
"""Name of the solid among the surroundings that a subject stands on."""
SURROUNDINGS_FROM_M = 7.0
"""No surrounding thing comes nearer to the subject than this; cameras stay well inside."""


class SceneSettings(Protocol):
    """What of the params a scene depends on (section `render_views`)."""

    @property
    def views_per_scene(self) -> int: ...
    @property
    def width_px(self) -> int: ...
    @property
    def height_px(self) -> int: ...
    @property
    def moves(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """The plane z = 0 with its pattern."""

    pattern: str
    tones: tuple[Rgb, Rgb]
    """Linear albedo of the two tones; `patches` lie between them."""
    cell_m: float
    yaw_rad: float


@dataclass(frozen=True, slots=True)
class Sky:
    """Sun and sky light."""

    sun_azimuth_rad: float
    """Where the sun stands, counter-clockwise from +X."""
    sun_elevation_rad: float
    sun_strength: float
    """Irradiance, W/m2, as Blender's sun lights have it."""
    horizon: Rgb
    zenith: Rgb
    """Linear radiance."""
    light: str = "sun"
    """One of `LIGHTS`. The sun shines with `sun`; `three_point` lamps stand around the subject as if its sun were the key light."""
    hdri: str = ""
    """One of `HDRIS`, where the light is one."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A procedural scene; metres, +Z up, the ground at z = 0."""

    scene_id: str
    family: str
    """Name of the arrangement: the unit that can be held out."""
    parts: tuple[Solid, ...]
    stands: tuple[Solid, ...]
    """Grey posts, legs and arms that carry parts."""
    surroundings: tuple[Solid, ...]
    ground: Ground
    sky: Sky
    front: Front | None = None
    """A head at the subject's front, which belongs to the subject."""
    companions: Companions = ALONE
    altered: Altered | None = None
    """The subject in a second state, where it is altered there."""

    def in_state(self, state: int) -> Scene:
        """The scene with its subject as it is in state 0 or 1; a subject that is never altered is the same in both."""
        if not state or self.altered is None:
            return self
        return replace(self, parts=self.altered.parts, stands=self.altered.stands, front=self.altered.front, altered=None)

    @property
    def subject_solids(self) -> tuple[Solid, ...]:
        """All that the subject is made of, in the first state."""
        return self.parts + self.stands + (self.front.head + self.front.stands if self.front else ())

    def _solids_of_states(self) -> tuple[Solid, ...]:
        return self.subject_solids + (self.in_state(1).subject_solids if self.altered else ())

    def subject_box(self) -> tuple[np.ndarray, np.ndarray]:
        """(3,) lowest and (3,) highest corner of the subject's bounding box, world, metres."""
        corners = np.concatenate([s.corners() for s in self.subject_solids])
        return corners.min(axis=0), corners.max(axis=0)

    def subject_center(self) -> np.ndarray:
        """(3,) middle of the subject's bounding box, world, metres."""
        low, high = self.subject_box()
        return (low + high) / 2

    def subject_corners(self) -> np.ndarray:
        """(8 n, 3) corners of the boxes around the n parts and stands, of both states where there are two, world, metres."""
        return np.concatenate([s.corners() for s in self._solids_of_states()])

    def outline(self) -> np.ndarray:
        """(8 n, 3) corners of the boxes around the parts and the face, which masks show, without stands, world, metres."""
        return np.concatenate([s.corners() for s in self.parts + (self.front.head if self.front else ())])

    def sight_points(self) -> np.ndarray:
        """(n, 3) points all over the parts, world, metres: how much of the subject is seen is the share of them that nothing hides."""
        parts = self.parts + (self.altered.parts if self.altered else ())
        return np.concatenate([p.center_m + spread * (p.corners() - p.center_m) for p in parts for spread in (0.4, 0.8)])

    def footprints(self) -> tuple[Solid, ...]:
        """What companions stand clear of."""
        return self._solids_of_states()

    def own_colors(self) -> set[str]:
        """Colours that companions do not have."""
        return {p.color for p in self.parts}

    def objects(self, state: int = 0) -> tuple[SceneObject, ...]:
        """The subject, its coloured parts, its face, its companions. Stands count to the subject's box and have no row of their own."""
        if state and self.altered:
            return self.in_state(state).objects(state)
        low, high = self.subject_box()
        T = np.eye(4)
        T[:3, 3] = self.subject_center()
        pose, front = tuple(T.ravel().tolist()), self.front.direction if self.front else None
        subject = SceneObject("subject", "composite", self.family, "", pose, tuple((high - low).tolist()), front=front)
        rows = [SceneObject(p.name, p.shape, self.family, p.color, tuple(p.pose().ravel().tolist()), p.size_m, part_of="subject") for p in self.parts]
        if self.front:
            face_pose = tuple(self.front.pose().ravel().tolist())
            rows.append(SceneObject(FACE, "composite", self.family, "", face_pose, self.front.size_m(), part_of="subject"))
        return (subject, *rows, *self.companions.rows(state))


def compose_scene(root_seed: int, scene_id: str) -> Scene:
    """Draw a scene. The result depends on the seed and the id only."""
    rng = generator_for(root_seed, f"{scene_id}/scene")
    family = str(rng.choice(sorted(ARRANGEMENTS)))
    parts, stands = ARRANGEMENTS[family](rng)
    parts, stands = _placed(parts, stands, rng)
    colors = [str(c) for c in rng.permutation(sorted(PALETTE))[: len(parts)]]
    parts = [p.with_look(f"{color}_{p.shape}", color, PALETTE[color]) for p, color in zip(parts, colors, strict=True)]
    stands = [s.with_look(f"stand_{i}", "gray", STAND_RGB) for i, s in enumerate(stands)]
    return Scene(scene_id, family, tuple(parts), tuple(stands), draw_surroundings(rng), draw_ground(rng), draw_sky(rng))


def _placed(parts: list[Solid], stands: list[Solid], rng: np.random.Generator) -> tuple[list[Solid], list[Solid]]:
    """Scale and turn the whole subject and put its middle near the origin."""
    scale, yaw_rad = rng.uniform(0.9, 1.1), rng.uniform(-np.pi, np.pi)
    corners = np.concatenate([s.corners() for s in parts + stands])
    middle = (corners.min(axis=0) + corners.max(axis=0))[:2] / 2
    target = rng.uniform(-0.4, 0.4, size=2)
    return [s.moved(middle, scale, yaw_rad, target) for s in parts], [s.moved(middle, scale, yaw_rad, target) for s in stands]


@dataclass(frozen=True, slots=True)
class Look:
    """What of light, ground and surroundings is drawn; the rest of a scene is the same for every look."""

    lights: tuple[str, ...] = ("sun",)
    grounds: tuple[str, ...] = PATTERNS
    surroundings: bool = True


AnyScene = TypeVar("AnyScene", bound="SceneWithLook")


class SceneWithLook(Protocol):
    """A scene of any kind of subject."""

    @property
    def scene_id(self) -> str: ...
    @property
    def ground(self) -> Ground: ...
    @property
    def sky(self) -> Sky: ...
    @property
    def surroundings(self) -> tuple[Solid, ...]: ...


def with_look(scene: AnyScene, look: Look, root_seed: int) -> AnyScene:
    """The scene with light and ground drawn among those of `look`; unchanged where that is the usual one."""
    rng = generator_for(root_seed, f"{scene.scene_id}/look")
    light, hdri, pattern = str(rng.choice(look.lights)), str(rng.choice(HDRIS)), str(rng.choice(look.grounds))
    sky = scene.sky if light == "sun" else replace(scene.sky, light=light, hdri=hdri if light == "hdri" else "")
    ground = scene.ground
    if look.grounds != PATTERNS:
        tone = ground.tones[int(rng.integers(2))]
        ground = replace(ground, pattern=PATTERNS[0], tones=(tone, tone)) if pattern == PLAIN else replace(ground, pattern=pattern)
    solids = scene.surroundings if look.surroundings else tuple(s for s in scene.surroundings if s.name == PLINTH)
    return replace(scene, sky=sky, ground=ground, surroundings=solids)  # type: ignore[type-var]  # scenes are dataclasses


def draw_surroundings(rng: np.random.Generator) -> tuple[Solid, ...]:
    """What stands around a subject, beyond the ring of cameras."""
    n = int(rng.integers(6, 10))
    start = rng.uniform(0, 2 * np.pi)
    solids = []
    for i in range(n):
        azimuth = start + 2 * np.pi * (i + rng.uniform(-0.3, 0.3)) / n
        width, depth, height = rng.uniform(0.9, 2.6), rng.uniform(0.9, 2.0), rng.uniform(0.7, 3.6)
        distance = SURROUNDINGS_FROM_M + np.hypot(width, depth) / 2 + rng.uniform(0, 3.5)
        shape = str(rng.choice(["box", "box", "cylinder", "cone"]))
        center = (float(distance * np.cos(azimuth)), float(distance * np.sin(azimuth)), float(height / 2))
        size = (float(width), float(depth if shape == "box" else width), float(height))
        rgb = MUTED[int(rng.integers(len(MUTED)))]
        solids.append(Solid(shape, size, center, float(rng.uniform(-np.pi, np.pi)), f"surrounding_{i}", "", rgb))
    return tuple(solids)


def draw_ground(rng: np.random.Generator) -> Ground:
    """The ground's pattern and tones."""
    base = np.array(MUTED[int(rng.integers(len(MUTED)))])
    base = base * (rng.uniform(0.16, 0.30) / base.mean())
    contrast = rng.uniform(1.35, 1.9)
    tones = tuple(tuple(float(x) for x in base * f) for f in (1 / np.sqrt(contrast), np.sqrt(contrast)))
    return Ground(str(rng.choice(PATTERNS)), (tones[0], tones[1]), float(rng.uniform(0.5, 1.1)), float(rng.uniform(-np.pi, np.pi)))  # type: ignore[arg-type]  # tuples of three


def draw_sky(rng: np.random.Generator) -> Sky:
    """Sun and sky light."""
    warm = rng.uniform(-0.06, 0.06)
    horizon, zenith = rng.uniform(0.75, 1.0), rng.uniform(0.45, 0.7)
    return Sky(
        sun_azimuth_rad=float(rng.uniform(-np.pi, np.pi)),
        sun_elevation_rad=float(np.radians(rng.uniform(32, 65))),
        sun_strength=float(rng.uniform(1.6, 2.8)),
        horizon=(float(horizon * (0.92 + warm)), float(horizon * 0.94), float(horizon * (0.98 - warm))),
        zenith=(float(zenith * (0.62 + warm)), float(zenith * 0.80), float(zenith * (1.05 - warm))),
    )
