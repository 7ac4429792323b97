"""Where the cameras of a scene stand. The views of one scene are paired with each other in every order, so each is drawn in relation
to one drawn before it:

anchor    anywhere around the subject
turned    the same place, turned                       no translation, no orbit; a turn
orbit     a step around the subject                    orbit; whatever turn its aim gives
shifted   another place, the same direction            translation; no turn
still     the same place, the same direction           no movement at all, yet never the same pixels
radial    nearer, farther, higher or lower             no orbit; translation; whatever turn its aim gives
counter   a small step, turned against it              lateral translation and turn that do not go together
free      anywhere within an orbit step

Where the subject sits in a picture is drawn for each view on its own wherever the relation leaves it free, so that one picture alone does not tell
the motion. Where it does not (`turned`, `shifted`), both places are symmetric about a wide random middle. The order of the views is shuffled at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from actial.geometry.angles import Motion, motion_between
from actial.geometry.projection import intrinsics, project
from actial.records import Camera
from actial.views.scenes import SceneSettings

ROLES = ("anchor", "turned", "orbit", "shifted", "still", "radial", "counter", "free")
"""In order of need: the first four already offer every label of every kind."""

ORBIT_STEP_DEG = (16.0, 60.0)
COUNTER_STEP_DEG = (9.5, 14.5)
COUNTER_TURN_FROM_DEG = 10.2
TURN_STEP_DEG = (11.0, 30.0)
SHIFT_R = (0.25, 0.35)
ELEVATION_DEG = (4.0, 34.0)
RANGE_FACTOR = (0.9, 1.15)
AIM_DEG = (12.0, 7.0)
"""Largest angle between the viewing direction and the subject's centre, sideways and up or down."""
FOV_DEG = (64.0, 72.0)
SPHERE_SHARE = (0.41, 0.51)
"""Half the angle under which a scene's cameras see the sphere around the subject, as a share of the field of view across: near cameras see
parallax, far ones none."""
MARGIN = 0.03
"""Share of the picture's shorter side that stays free around the subject."""
SMALLEST = 0.45
"""The subject's longer side is at least this share of the picture's shorter side."""
LOWEST_CAMERA_M = 0.25
_COUNTER_STEP_RAD = np.radians(COUNTER_STEP_DEG)
_AIM_DEG = np.array(AIM_DEG)


@dataclass(frozen=True, slots=True)
class Shot:
    """A camera and what else differs from picture to picture."""

    camera: Camera
    role: str
    exposure_ev: float
    sun_factor: float
    """Multiplies the sun's strength."""
    sun_shift_rad: float
    """Added to the sun's azimuth."""
    noise_seed: int


@dataclass(frozen=True, slots=True)
class _Stance:
    """Where a camera stands and looks."""

    eye: np.ndarray
    yaw_rad: float
    """Direction of view, counter-clockwise from +X."""
    pitch_rad: float
    """Upward positive."""
    fov_deg: float

    def pose(self) -> np.ndarray:
        (cy, sy), (cp, sp) = ((math.cos(a), math.sin(a)) for a in (self.yaw_rad, self.pitch_rad))
        x, y, z = self.eye
        return np.array([[sy, -sp * cy, -cp * cy, x], [-cy, -sp * sy, -cp * sy, y], [0, cp, -sp, z], [0, 0, 0, 1]])


class Subject(Protocol):
    """What cameras go around."""

    def subject_corners(self) -> np.ndarray:
        """(n, 3) points whose convex hull holds the subject, world, metres."""

    def subject_center(self) -> np.ndarray:
        """(3,) middle of its bounding box, world, metres."""


class NoCameras(Exception):
    """No set of cameras was found for a scene."""


def sample_cameras(scene: Subject, settings: SceneSettings, rng: np.random.Generator) -> list[Shot]:
    """Draw `settings.views_per_scene` shots of a scene in which every label of every kind can be asked.

    Raises:
        NoCameras: none was found in many tries (the scene is set aside).
    """
    sampler = _Sampler(scene, settings, rng)
    for _ in range(300):
        stances = sampler.stances()
        if stances is None:
            continue
        order = rng.permutation(len(stances))
        poses = np.stack([stances[i].pose() for i in order])
        if all(offered_labels(poses, sampler.center).values()):
            return [sampler.shot(stances[i], _role(int(i))) for i in order]
    raise NoCameras("no set of cameras shows the whole subject and offers every label")


def offered_labels(poses: np.ndarray, center: np.ndarray) -> dict[str, int]:
    """How many ordered pairs of n cameras offer each label, as `kind/label`, by DESIGN's default margins.

    Args:
        poses: (n, 4, 4) `T_world_cam`.
        center: (3,) the subject's centre.
    """
    n = len(poses)
    i, j = np.nonzero(~np.eye(n, dtype=bool))
    m = motion_between(poses[i], poses[j], center)
    return {f"{kind}/{label}": int(np.sum(mask)) for kind, labels in label_masks(m).items() for label, mask in labels.items()}


def label_masks(m: Motion) -> dict[str, dict[str, np.ndarray]]:
    """Which pairs offer which label of lateral translation, orbit sense and turn, by DESIGN's default margins."""
    turns = (np.abs(m.turn_deg) >= 10) & (np.abs(m.turn_deg) <= 150)
    orbits = (np.abs(m.orbit_deg) >= 15) & (np.abs(m.orbit_deg) <= 150) & (m.min_level_distance_r > 0.3)
    return {
        "lateral": {"left": m.lateral_r <= -0.15, "right": m.lateral_r >= 0.15, "none": m.distance_r < 0.01},
        "turn": {"left": turns & (m.turn_deg > 0), "right": turns & (m.turn_deg < 0), "none": np.abs(m.turn_deg) < 1},
        "orbit": {"left": orbits & (m.orbit_deg < 0), "right": orbits & (m.orbit_deg > 0), "none": np.abs(m.orbit_deg) < 1},
    }


def _role(i: int) -> str:
    return ROLES[i] if i < len(ROLES) else ROLES[1 + (i - 1) % (len(ROLES) - 1)]


class _Sampler:
    """Draws the stances of one scene."""

    def __init__(self, scene: Subject, settings: SceneSettings, rng: np.random.Generator) -> None:
        self.rng, self.settings = rng, settings
        self.corners = scene.subject_corners()
        self.center = scene.subject_center()
        self.radius_m = float(np.linalg.norm(self.corners - self.center, axis=1).max())
        self.fov_deg = float(rng.uniform(*FOV_DEG))
        self.range_m = 0.0

    def stances(self) -> list[_Stance] | None:
        """One set of stances, or None where a relation could not be met."""
        found: list[_Stance] = []
        width_px, height_px = self.settings.width_px, self.settings.height_px
        across_rad = 2 * np.arctan(np.tan(np.radians(self.fov_deg) / 2) * width_px / max(width_px, height_px))
        self.range_m = self.radius_m / np.sin(across_rad * self.rng.uniform(*SPHERE_SHARE))
        for i in range(self.settings.views_per_scene):
            draw = getattr(self, f"_{_role(i)}")
            for _ in range(150):
                stance = draw(found)
                if stance is not None and self._sees_subject(stance):
                    found.append(stance)
                    break
            else:
                return None
        return found

    def shot(self, stance: _Stance, role: str) -> Shot:
        width_px, height_px = self.settings.width_px, self.settings.height_px
        K = intrinsics(width_px, height_px, stance.fov_deg)
        camera = Camera(width_px, height_px, tuple(K.ravel().tolist()), tuple(stance.pose().ravel().tolist()))
        rng = self.rng
        return Shot(camera, role, rng.uniform(-0.2, 0.2), rng.uniform(0.85, 1.15), np.radians(rng.uniform(-3, 3)), int(rng.integers(2**31)))

    def _anchor(self, _: list[_Stance]) -> _Stance:
        return self._around(self.rng.uniform(-np.pi, np.pi))

    def _turned(self, found: list[_Stance]) -> _Stance | None:
        base = self._base(found)
        aim = self._aim()
        turned = self._aimed(base.eye + self._jitter(base), aim)
        step_deg = np.degrees(abs(_wrapped(turned.yaw_rad - base.yaw_rad)))
        return turned if TURN_STEP_DEG[0] <= step_deg <= TURN_STEP_DEG[1] else None

    def _orbit(self, found: list[_Stance]) -> _Stance:
        return self._around(self._azimuth(self._base(found)) + self._either(*np.radians(ORBIT_STEP_DEG)))

    def _shifted(self, found: list[_Stance]) -> _Stance:
        base, rng = self._base(found), self.rng
        right = np.array([np.sin(base.yaw_rad), -np.cos(base.yaw_rad), 0.0])
        ahead = np.array([np.cos(base.yaw_rad), np.sin(base.yaw_rad), 0.0])
        r = _length(base.eye - self.center)
        eye = base.eye + r * (right * self._either(*SHIFT_R) + ahead * rng.uniform(-0.12, 0.12) + [0, 0, rng.uniform(-0.1, 0.1)])
        return self._same_direction(base, eye)

    def _still(self, found: list[_Stance]) -> _Stance:
        base = self._base(found)
        return self._same_direction(base, base.eye + self._jitter(base))

    def _radial(self, found: list[_Stance]) -> _Stance:
        base, rng = self._base(found), self.rng
        b = base.eye - self.center
        r = _length(b)
        elevation_rad = float(np.arcsin(b[2] / r))
        if rng.random() < 0.5:
            r = r * np.exp(self._either(np.log(1.17), np.log(1.45)))
        else:
            elevation_rad = elevation_rad + self._either(*np.radians((9.0, 26.0)))
        azimuth = self._azimuth(base) + np.radians(rng.uniform(-0.7, 0.7))
        return self._aimed(self._eye(azimuth, elevation_rad, r), self._aim())

    def _counter(self, found: list[_Stance]) -> _Stance | None:
        base = self._base(found)
        step_rad = self._either(*_COUNTER_STEP_RAD)
        stance = self._around(self._azimuth(base) + step_rad)
        turn_deg = np.degrees(_wrapped(stance.yaw_rad - base.yaw_rad)) * np.sign(step_rad)
        return stance if turn_deg < -COUNTER_TURN_FROM_DEG else None

    def _free(self, found: list[_Stance]) -> _Stance:
        return self._around(self._azimuth(self._base(found)) + self.rng.uniform(-1, 1) * np.radians(ORBIT_STEP_DEG[1]))

    def _base(self, found: list[_Stance]) -> _Stance:
        return found[int(self.rng.integers(len(found)))]

    def _around(self, azimuth_rad: float) -> _Stance:
        """A stance anywhere at that azimuth, with its own height, distance and aim."""
        elevation_rad = np.radians(self.rng.uniform(*ELEVATION_DEG))
        return self._aimed(self._eye(azimuth_rad, elevation_rad, self.range_m * self.rng.uniform(*RANGE_FACTOR)), self._aim())

    def _eye(self, azimuth_rad: float, elevation_rad: float, r_m: float) -> np.ndarray:
        c = np.cos(elevation_rad)
        return self.center + r_m * np.array([c * np.cos(azimuth_rad), c * np.sin(azimuth_rad), np.sin(elevation_rad)])

    def _azimuth(self, stance: _Stance) -> float:
        b = stance.eye - self.center
        return float(np.arctan2(b[1], b[0]))

    def _aim(self) -> np.ndarray:
        """(2,) how far the subject sits right of and below the middle of the picture, radians."""
        return np.radians(self.rng.uniform(-1, 1, size=2) * _AIM_DEG)

    def _aimed(self, eye: np.ndarray, aim_rad: np.ndarray) -> _Stance:
        to = self.center - eye
        yaw_rad = np.arctan2(to[1], to[0]) + aim_rad[0]
        pitch_rad = np.arcsin(to[2] / _length(to)) + aim_rad[1]
        return _Stance(eye, float(yaw_rad), float(pitch_rad), self._fov())

    def _same_direction(self, base: _Stance, eye: np.ndarray) -> _Stance:
        yaw_rad, pitch_rad = np.array([base.yaw_rad, base.pitch_rad]) + np.radians(self.rng.uniform(-0.7, 0.7, size=2))
        return _Stance(eye, float(yaw_rad), float(pitch_rad), self._fov())

    def _fov(self) -> float:
        return self.fov_deg * float(self.rng.uniform(0.97, 1.03))

    def _jitter(self, base: _Stance) -> np.ndarray:
        """(3,) a displacement below 0.008 r."""
        direction = self.rng.normal(size=3)
        return 0.008 * _length(base.eye - self.center) * self.rng.uniform(0.1, 1) * direction / _length(direction)

    def _either(self, low: float, high: float) -> float:
        """Between `low` and `high`, of either sign."""
        sign = (-1.0, 1.0)[int(self.rng.integers(2))]
        return float(sign * self.rng.uniform(low, high))

    def _sees_subject(self, stance: _Stance) -> bool:
        """The whole subject is in the picture, not too small, and the camera stands above the ground and not too steep."""
        if stance.eye[2] < LOWEST_CAMERA_M or abs(stance.pitch_rad) > np.radians(58):
            return False
        size = np.array([self.settings.width_px, self.settings.height_px], float)
        uv, _ = project(self.corners, intrinsics(self.settings.width_px, self.settings.height_px, stance.fov_deg), stance.pose())
        margin = MARGIN * size.min()
        if np.isnan(uv).any() or (uv < margin).any() or (uv > size - margin).any():
            return False
        return bool(np.ptp(uv, axis=0).max() >= SMALLEST * size.min())


def _length(v: np.ndarray) -> float:
    """As `np.linalg.norm` of a vector, to the bit, for a third of its time: cameras are drawn by the thousand."""
    return math.sqrt(v.dot(v))


def _wrapped(angle_rad: float) -> float:
    return float(np.arctan2(np.sin(angle_rad), np.cos(angle_rad)))
