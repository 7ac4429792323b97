"""Where the cameras of a scene stand. The views of one scene are paired with each other in every order. The first, the anchor, is anywhere around the
subject; each other is drawn in relation to one drawn before it, as the next word of `render_views.moves` says:

turned    the same place, turned                       no translation, no orbit; a turn
orbit     a step around the subject                    orbit; whatever turn its aim gives
shifted   another place, the same direction            translation; no turn
still     the same place, the same direction           no movement at all, yet never the same pixels
radial    nearer, farther, higher or lower             no orbit; translation; whatever turn its aim gives
counter   a small step, turned against it              lateral translation and turn that do not go together
free      anywhere within an orbit step
vertical  straight up or down, the same direction      translation along gravity alone
dolly     along its own level direction, which stays   translation forward or backward alone
roll      the same place and aim, the horizon tilted   a roll alone
zoom      the same place and direction                 no movement at all; another focal length
away      the same place, turned off the subject       a turn alone; the subject is gone, or cut through its middle

What stays the same does so up to a jitter too small to be asked about. Nothing is drawn in relation to a view that is rolled, zoomed or turned away.

Where the subject sits in a picture is drawn for each view on its own wherever the relation leaves it free, so that one picture alone does not tell
the motion. Where it does not (`turned`, `shifted`), both places are symmetric about a wide random middle. The order of the views is shuffled at the end.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from actial.geometry.projection import intrinsics
from actial.records import Camera
from actial.rng import generator_for
from actial.views.companions import ALONE, MOST_HIDDEN, Companions
from actial.views.labels import offered_labels
from actial.views.scenes import SURROUNDINGS_FROM_M, SceneSettings
from actial.views.stances import Drawn, Stance, between, length, wrapped

MOVES = ("turned", "orbit", "shifted", "still", "radial", "counter", "free")
"""In order of need: the first three already offer every label of every kind."""
AWAY = "away"
"""The one relation whose views may lack the subject."""
LEAVES = frozenset({"roll", "zoom", AWAY})
"""Nothing is drawn in relation to such views."""
ANCHOR = "anchor"

ORBIT_STEP_DEG = (16.0, 60.0)
COUNTER_STEP_RAD = (math.radians(9.5), math.radians(14.5))
COUNTER_TURN_FROM_DEG = 10.2
TURN_STEP_DEG = (11.0, 30.0)
SHIFT_R = (0.25, 0.35)
VERTICAL_R = DOLLY_R = (0.2, 0.35)
ROLL_DEG = (8.0, 30.0)
ZOOM_FACTOR = (1.15, 1.5)
AWAY_TURN_DEG = (25.0, 120.0)
ELEVATION_DEG = (3.0, 20.0)
RANGE_FACTOR = (0.9, 1.15)
AIM_DEG = (12.0, 7.0)
"""Largest angle between the viewing direction and the subject's centre, sideways and up or down. Sideways larger ones are likelier: `turned` and `shifted` take
the subject across the picture, and where it sits must not tell that two views stand like this."""
FOV_DEG = (64.0, 72.0)
FOV_FACTOR = (0.97, 1.03)
"""Of each picture: no two have quite the same focal length."""
SPHERE_SHARE = (0.41, 0.51)
"""Half the angle under which a scene's cameras see the sphere around the subject, as a share of the field of view across: near cameras see
parallax, far ones none."""
MARGIN = 0.03
"""Share of the picture's shorter side that stays free around the subject."""
SMALLEST = 0.45
"""The subject's longer side is at least this share of the picture's shorter side."""
SMALLEST_IN_COMPANY = 0.36
"""The same where companions must be in the picture, too."""
FARTHEST_M = SURROUNDINGS_FROM_M - 0.6
"""From the world's axis: cameras that companions keep away from the subject still stand inside the ring of surroundings."""
LOWEST_CAMERA_M = 0.25
TRIALS = 40
"""A relation can offer a label that most of so many trials offer, see `labels_of`."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A camera and what else differs from picture to picture."""

    camera: Camera
    role: str
    """The anchor's, or the word of how it stands to a view drawn before."""
    exposure_ev: float
    sun_factor: float
    """Multiplies the sun's strength."""
    sun_shift_rad: float
    """Added to the sun's azimuth."""
    noise_seed: int
    state: int = 0
    """Which state of the scene it shows, see `companions.Companions`."""


class Subject(Protocol):
    """What cameras go around."""

    def subject_corners(self) -> np.ndarray:
        """(n, 3) points whose convex hull holds the subject, world, metres."""

    def subject_center(self) -> np.ndarray:
        """(3,) middle of its bounding box, world, metres."""

    def sight_points(self) -> np.ndarray:
        """(n, 3) points all over it, world, metres: how much of it is seen is the share of them that nothing hides."""

    @property
    def companions(self) -> Companions:
        """What stands around it."""


class NoCameras(Exception):
    """No set of cameras was found for a scene."""


def sample_cameras(scene: Subject, settings: SceneSettings, rng: np.random.Generator) -> list[Shot]:
    """Draw `settings.views_per_scene` shots of a scene in which every label can be asked that their relations can offer.

    Raises:
        NoCameras: none was found in many tries (the scene is set aside).
    """
    sampler = _Sampler(scene, settings, rng)
    asked = labels_of(tuple(settings.moves[: settings.views_per_scene - 1]))
    for _ in range(300):
        stances = sampler.stances()
        if stances is None:
            continue
        order = rng.permutation(len(stances))
        offered = sampler.offered(stances, order)
        if all(offered[label] for label in asked):
            return [sampler.shot(stances[i], sampler.role(int(i))) for i in order]
    company = " and its companions" if scene.companions.first else ""
    raise NoCameras(f"no set of cameras shows the whole subject{company} and offers every label")


@functools.cache
def labels_of(moves: tuple[str, ...]) -> frozenset[str]:
    """The labels, as `kind/label`, that views in these relations can offer: what one of them does to an anchor, on trial, more often than not."""
    return frozenset(label for move in moves for label in _labels_of_move(move))


@functools.cache
def _labels_of_move(move: str) -> frozenset[str]:
    sampler = _Sampler(_Block(), _Trial((move,)), generator_for(0, f"labels of {move}"))
    sets = [stances for stances in (sampler.stances() for _ in range(TRIALS)) if stances is not None]
    times = Counter(label for stances in sets for label, n in sampler.offered(stances, np.arange(2)).items() if n)
    return frozenset(label for label, n in times.items() if n > len(sets) / 2)


class _Block:
    """What relations are tried around: 0.8 m long, 0.6 m deep, 1.6 m high."""

    companions = ALONE

    def subject_corners(self) -> np.ndarray:
        return np.array([[x, y, z] for x in (-0.4, 0.4) for y in (-0.3, 0.3) for z in (0.2, 1.8)])

    def subject_center(self) -> np.ndarray:
        return np.array([0.0, 0.0, 1.0])

    def sight_points(self) -> np.ndarray:
        return self.subject_corners()


@dataclass(frozen=True, slots=True)
class _Trial:
    """An anchor and one more view."""

    moves: tuple[str, ...]
    views_per_scene: int = 2
    width_px: int = 112
    height_px: int = 112


class _Sampler:
    """Draws the stances of one scene."""

    def __init__(self, scene: Subject, settings: SceneSettings, rng: np.random.Generator) -> None:
        self.rng, self.settings = rng, settings
        self.size_px = np.array([settings.width_px, settings.height_px], float)
        self.corners = scene.subject_corners()
        self.companions, self.sight_points = scene.companions, scene.sight_points()
        self.framed = np.concatenate([self.corners, scene.companions.corners()])
        self.smallest = SMALLEST_IN_COMPANY if scene.companions.first else SMALLEST
        self.center = scene.subject_center()
        self.radius_m = float(np.linalg.norm(self.framed - self.center, axis=1).max())
        self.fov_deg = float(rng.uniform(*FOV_DEG))
        self.range_m = 0.0

    def stances(self) -> list[Stance] | None:
        """One set of stances, or None where a relation could not be met."""
        found: list[Stance] = []
        bases: list[Stance] = []
        width_px, height_px = self.settings.width_px, self.settings.height_px
        across_rad = 2 * np.arctan(np.tan(np.radians(self.fov_deg) / 2) * width_px / max(width_px, height_px))
        self.range_m = self.radius_m / np.sin(across_rad * self.rng.uniform(*SPHERE_SHARE))
        for i in range(self.settings.views_per_scene):
            role = self.role(i)
            draw = getattr(self, f"_{role}")
            for _ in range(150):
                stance = draw(bases)
                if stance is not None and self._stands_well(stance) and (self._looks_past(stance) if role == AWAY else self._sees_subject(stance)):
                    found.append(stance)
                    break
            else:
                return None
            if role not in LEAVES:
                bases.append(stance)
        return found

    def role(self, i: int) -> str:
        """Of the view drawn as number i."""
        moves = self.settings.moves
        return moves[(i - 1) % len(moves)] if i else ANCHOR

    def offered(self, stances: list[Stance], order: np.ndarray) -> dict[str, int]:
        """Labels that stances in an order (n,) offer, see `offered_labels`."""
        in_sight = np.array([self.role(int(i)) != AWAY for i in order])
        return offered_labels(np.stack([stances[i].pose() for i in order]), self.center, in_sight)

    def shot(self, stance: Stance, role: str) -> Shot:
        width_px, height_px = self.settings.width_px, self.settings.height_px
        K = intrinsics(width_px, height_px, stance.fov_deg)
        camera = Camera(width_px, height_px, tuple(K.ravel().tolist()), tuple(stance.pose().ravel().tolist()))
        rng = self.rng
        return Shot(camera, role, rng.uniform(-0.2, 0.2), rng.uniform(0.85, 1.15), np.radians(rng.uniform(-3, 3)), int(rng.integers(2**31)))

    def _anchor(self, _: list[Stance]) -> Stance:
        return self._around(self.rng.uniform(-np.pi, np.pi))

    def _turned(self, found: list[Stance]) -> Stance | None:
        base = self._base(found)
        aim_rad = self._aim()
        turned = self._aimed(base.eye + self._jitter(base), aim_rad, self._fov())
        step_deg = np.degrees(abs(wrapped(turned.yaw_rad - base.yaw_rad)))
        return turned if TURN_STEP_DEG[0] <= step_deg <= TURN_STEP_DEG[1] else None

    def _orbit(self, found: list[Stance]) -> Stance:
        return self._around(self._azimuth(self._base(found)) + self._either(*np.radians(ORBIT_STEP_DEG)))

    def _shifted(self, found: list[Stance]) -> Stance:
        base, rng = self._base(found), self.rng
        right = np.array([np.sin(base.yaw_rad), -np.cos(base.yaw_rad), 0.0])
        ahead = np.array([np.cos(base.yaw_rad), np.sin(base.yaw_rad), 0.0])
        r = length(base.eye - self.center)
        eye = base.eye + r * (right * self._either(*SHIFT_R) + ahead * rng.uniform(-0.12, 0.12) + [0, 0, rng.uniform(-0.1, 0.1)])
        return self._same_direction(base, eye)

    def _still(self, found: list[Stance]) -> Stance:
        base = self._base(found)
        return self._same_direction(base, base.eye + self._jitter(base))

    def _radial(self, found: list[Stance]) -> Stance:
        base, rng = self._base(found), self.rng
        b = base.eye - self.center
        r = length(b)
        elevation_rad = float(np.arcsin(b[2] / r))
        if rng.random() < 0.5:
            r = r * np.exp(self._either(np.log(1.17), np.log(1.45)))
        else:
            elevation_rad = elevation_rad + self._either(*np.radians((9.0, 26.0)))
        azimuth = self._azimuth(base) + np.radians(rng.uniform(-0.7, 0.7))
        return self._aimed(self._eye(azimuth, elevation_rad, r), self._aim(), self._fov())

    def _counter(self, found: list[Stance]) -> Stance | None:
        base = self._base(found)
        step_rad = self._either(*COUNTER_STEP_RAD)
        azimuth_rad, shares = self._azimuth(base) + step_rad, self._shares()
        way = math.copysign(1.0, step_rad)
        turn_rad = math.remainder(azimuth_rad + math.pi + _aside_rad(shares[2]) - base.yaw_rad, 2 * math.pi)
        if way * turn_rad > 1e-8 - math.radians(COUNTER_TURN_FROM_DEG):  # most are refused: their yaw, but for rounding, tells that
            return None
        stance = self._at(azimuth_rad, self._drawn(shares))
        return stance if way * math.degrees(wrapped(stance.yaw_rad - base.yaw_rad)) < -COUNTER_TURN_FROM_DEG else None

    def _free(self, found: list[Stance]) -> Stance:
        return self._around(self._azimuth(self._base(found)) + self.rng.uniform(-1, 1) * np.radians(ORBIT_STEP_DEG[1]))

    def _vertical(self, found: list[Stance]) -> Stance:
        base = self._base(found)
        return self._same_direction(base, base.eye + self._jitter(base) + [0, 0, self._distance(base) * self._either(*VERTICAL_R)])

    def _dolly(self, found: list[Stance]) -> Stance:
        base = self._base(found)
        ahead = np.array([np.cos(base.yaw_rad), np.sin(base.yaw_rad), 0.0])
        return self._same_direction(base, base.eye + self._jitter(base) + ahead * self._distance(base) * self._either(*DOLLY_R))

    def _roll(self, found: list[Stance]) -> Stance:
        return replace(self._still(found), roll_rad=self._either(*np.radians(ROLL_DEG)))

    def _zoom(self, found: list[Stance]) -> Stance:
        stance, factor = self._still(found), np.exp(self._either(*np.log(ZOOM_FACTOR)))
        return replace(stance, fov_deg=float(2 * np.degrees(np.arctan(np.tan(np.radians(stance.fov_deg) / 2) / factor))))

    def _away(self, found: list[Stance]) -> Stance:
        """Its pitch lies anywhere between the base's and the horizon, so that it does not look at bare ground."""
        stance = self._still(found)
        yaw_rad = stance.yaw_rad + self._either(*np.radians(AWAY_TURN_DEG))
        return replace(stance, yaw_rad=yaw_rad, pitch_rad=stance.pitch_rad * float(self.rng.uniform()))

    def _base(self, found: list[Stance]) -> Stance:
        return found[int(self.rng.integers(len(found)))]

    def _around(self, azimuth_rad: float) -> Stance:
        """A stance anywhere at that azimuth, with its own height, distance and aim."""
        return self._at(azimuth_rad, self._drawn(self._shares()))

    def _shares(self) -> list[float]:
        """What `_drawn` takes."""
        shares: list[float] = self.rng.random(5).tolist()
        return shares

    def _drawn(self, shares: list[float]) -> Drawn:
        elevation, distance, across, along, fov = shares
        r_m = self.range_m * between(*RANGE_FACTOR, distance)
        return Drawn(math.radians(between(*ELEVATION_DEG, elevation)), r_m, _aim_of(across, along), self.fov_deg * between(*FOV_FACTOR, fov))

    def _at(self, azimuth_rad: float, drawn: Drawn) -> Stance:
        return self._aimed(self._eye(azimuth_rad, drawn.elevation_rad, drawn.r_m), drawn.aim_rad, drawn.fov_deg)

    def _eye(self, azimuth_rad: float, elevation_rad: float, r_m: float) -> np.ndarray:
        c = math.cos(elevation_rad)
        return self.center + r_m * np.array([c * math.cos(azimuth_rad), c * math.sin(azimuth_rad), math.sin(elevation_rad)])

    def _azimuth(self, stance: Stance) -> float:
        b = stance.eye - self.center
        return float(np.arctan2(b[1], b[0]))

    def _aim(self) -> tuple[float, float]:
        """How far the subject sits right of and below the middle of the picture, radians."""
        return _aim_of(self.rng.random(), self.rng.random())

    def _aimed(self, eye: np.ndarray, aim_rad: tuple[float, float], fov_deg: float) -> Stance:
        to = self.center - eye
        yaw_rad = np.arctan2(to[1], to[0]) + aim_rad[0]
        pitch_rad = np.arcsin(to[2] / length(to)) + aim_rad[1]
        return Stance(eye, float(yaw_rad), float(pitch_rad), fov_deg)

    def _same_direction(self, base: Stance, eye: np.ndarray) -> Stance:
        yaw_rad, pitch_rad = np.array([base.yaw_rad, base.pitch_rad]) + np.radians(self.rng.uniform(-0.7, 0.7, size=2))
        return Stance(eye, float(yaw_rad), float(pitch_rad), self._fov())

    def _fov(self) -> float:
        return self.fov_deg * between(*FOV_FACTOR, self.rng.random())

    def _distance(self, stance: Stance) -> float:
        return length(stance.eye - self.center)

    def _jitter(self, base: Stance) -> np.ndarray:
        """(3,) a displacement below 0.008 r."""
        direction = self.rng.normal(size=3)
        return 0.008 * self._distance(base) * self.rng.uniform(0.1, 1) * direction / length(direction)

    def _either(self, low: float, high: float) -> float:
        """Between `low` and `high`, of either sign."""
        sign = (-1.0, 1.0)[int(self.rng.integers(2))]
        return float(sign * between(low, high, self.rng.random()))

    def _stands_well(self, stance: Stance) -> bool:
        """Above the ground, and not too steep."""
        return bool(stance.eye[2] >= LOWEST_CAMERA_M and abs(stance.pitch_rad) <= np.radians(58))

    def _looks_past(self, stance: Stance) -> bool:
        """The subject's middle is not in the picture."""
        uv, size = stance.pixels(self.center[None], self.size_px), self.size_px
        return not bool(((uv >= 0) & (uv <= size)).all())  # NaN, behind the camera, is not inside

    def _sees_subject(self, stance: Stance) -> bool:
        """The whole subject and all its companions are in the picture, it is not too small, and they hide little of it."""
        uv, size = stance.pixels(self.framed, self.size_px), self.size_px
        margin = MARGIN * size.min()
        if np.isnan(uv).any() or (uv < margin).any() or (uv > size - margin).any():
            return False
        if np.ptp(uv[: len(self.corners)], axis=0).max() < self.smallest * size.min():
            return False
        if not self.companions.first:
            return True
        return math.hypot(*stance.eye[:2]) <= FARTHEST_M and self.companions.hidden_share(stance.eye, self.sight_points) <= MOST_HIDDEN


def _aim_of(across: float, along: float) -> tuple[float, float]:
    """Radians, of what was drawn between 0 and 1."""
    return _aside_rad(across), math.radians(AIM_DEG[1] * between(-1, 1, along))


def _aside_rad(share: float) -> float:
    """The angle across the picture, of which large ones are the likelier."""
    across = between(-1, 1, share)
    return math.radians(AIM_DEG[0] * math.copysign(math.sqrt(abs(across)), across))
