"""How views stand to one another: each word of `render_views.moves` is what its sentence says, measured without the project's own geometry."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from actial import ids
from actial.params import RenderViews
from actial.rng import generator_for
from actial.views.cameras import LEAVES, MOVES, Shot, labels_of, sample_cameras
from actial.views.labels import offered_labels
from actial.views.scenes import Scene, compose_scene

FIELDS = {f.name: f.metadata for f in fields(RenderViews)}
WORDS: tuple[str, ...] = FIELDS["moves"]["choices"]
JITTER_R, JITTER_DEG = 0.0081, 1.0
"""At most so far and so much are views off that did not move: 0.7 degrees sideways and as much up or down."""


@dataclass(frozen=True)
class Settings:
    moves: tuple[str, ...]
    views_per_scene: int = 2
    width_px: int = 112
    height_px: int = 112


def shots_of(seed: int, settings: Settings) -> tuple[Scene, dict[str, Shot]]:
    """A scene with the last shot of each role."""
    scene = compose_scene(seed, ids.scene_id(seed))
    return scene, {shot.role: shot for shot in sample_cameras(scene, settings, generator_for(seed, "moves"))}


@dataclass(frozen=True)
class Step:
    """From the anchor to another view, by scipy's rotations and plain projections; camera axes as stored: x right, y up, z backward."""

    move_r: np.ndarray
    """(3,) in the anchor's level frame: right, ahead, up."""
    turn: Rotation
    """Of the second camera in the world, after the first."""
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    focal_factor: float
    outside: bool
    """Whether some of the subject's corners are not in the second picture."""
    middle_outside: bool

    @property
    def angle_deg(self) -> float:
        return float(np.degrees(self.turn.magnitude()))

    @property
    def distance_r(self) -> float:
        return float(np.linalg.norm(self.move_r))


def step(scene: Scene, first: Shot, second: Shot) -> Step:
    T1, T2 = (np.array(s.camera.T_world_cam).reshape(4, 4) for s in (first, second))
    K1, K2 = (np.array(s.camera.K).reshape(3, 3) for s in (first, second))
    R1, R2 = (Rotation.from_matrix(T[:3, :3]) for T in (T1, T2))
    (yaw1, pitch1, roll1), (yaw2, pitch2, roll2) = (R.as_euler("ZXZ", degrees=True) for R in (R1, R2))  # yaw, 90 + pitch, and a turn about the backward axis
    level = Rotation.from_euler("Z", yaw1, degrees=True)
    low, high = scene.subject_box()
    r = np.linalg.norm(T1[:3, 3] - (low + high) / 2)
    in_cam = R2.inv().apply(np.concatenate([scene.subject_corners(), [(low + high) / 2]]) - T2[:3, 3])
    uv = K2[0, 0] * in_cam[:, :2] / -in_cam[:, 2:]
    half = np.array([second.camera.width_px, second.camera.height_px]) / 2
    outside = (in_cam[:, 2] >= 0) | (np.abs(uv) > half).any(axis=1)
    wrapped = lambda angle: (angle + 180) % 360 - 180
    turns = (wrapped(yaw2 - yaw1), pitch2 - pitch1, wrapped(roll1 - roll2))
    return Step(level.inv().apply(T2[:3, 3] - T1[:3, 3]) / r, R2 * R1.inv(), *map(float, turns), K2[0, 0] / K1[0, 0], bool(outside.any()), bool(outside[-1]))


def close(limits: tuple[float, float], size: float, slack: float) -> bool:
    return limits[0] - slack <= abs(size) <= limits[1] + slack


MEANING: dict[str, Callable[[Step], bool]] = {
    "vertical": lambda s: s.angle_deg < JITTER_DEG and close((0.2, 0.35), s.move_r[2], JITTER_R) and np.hypot(*s.move_r[:2]) < JITTER_R,
    "dolly": lambda s: s.angle_deg < JITTER_DEG and close((0.2, 0.35), s.move_r[1], JITTER_R) and np.hypot(*s.move_r[[0, 2]]) < JITTER_R,
    "roll": lambda s: s.distance_r < JITTER_R and close((8, 30), s.roll_deg, 1e-6) and max(abs(s.yaw_deg), abs(s.pitch_deg)) < JITTER_DEG,
    "zoom": lambda s: s.distance_r < JITTER_R and s.angle_deg < JITTER_DEG and close((1.08, 1.6), np.exp(abs(np.log(s.focal_factor))), 0),
    "away": lambda s: s.distance_r < JITTER_R and close((25, 120), s.yaw_deg, 0.8) and abs(s.roll_deg) < 1e-6 and s.middle_outside,
    "still": lambda s: s.distance_r < JITTER_R and s.angle_deg < JITTER_DEG and close((1, 1.08), np.exp(abs(np.log(s.focal_factor))), 0),
    "turned": lambda s: s.distance_r < JITTER_R and close((11, 30), s.yaw_deg, 1e-6),
    "shifted": lambda s: s.angle_deg < JITTER_DEG and close((0.25, 0.35), s.move_r[0], 1e-6),
}


@pytest.mark.parametrize("word", MEANING)
def test_a_word_is_what_it_says(word: str) -> None:
    steps = []
    for seed in range(40):
        scene, shots = shots_of(seed, Settings((word,)))
        steps.append(step(scene, shots["anchor"], shots[word]))
        assert shots["anchor"].camera != shots[word].camera and shots["anchor"].noise_seed != shots[word].noise_seed, "never the same pixels"
    assert all(MEANING[word](s) for s in steps)
    assert word == "away" or not any(s.outside for s in steps)
    assert word in ("roll", "zoom") or all(abs(s.roll_deg) < 1e-6 for s in steps)
    signs = {
        "vertical": [s.move_r[2] for s in steps],
        "dolly": [s.move_r[1] for s in steps],
        "roll": [s.roll_deg for s in steps],
        "zoom": [np.log(s.focal_factor) for s in steps],
        "away": [s.yaw_deg for s in steps],
    }
    if word in signs:
        fewest = 2 if word == "dolly" else 8  # coming closer mostly takes a subject that is off the middle out of the picture; pairs are asked in both orders
        assert fewest < sum(x > 0 for x in signs[word]) < 40 - fewest, "both ways are as likely"


def test_all_words_together() -> None:
    """Whole, above the ground, not steep, within the surroundings; only `away` may lack the subject."""
    for seed in range(12):
        scene, shots = shots_of(seed, Settings(WORDS, len(WORDS) + 1))
        assert set(shots) == {"anchor", *WORDS}
        for role, shot in shots.items():
            pose = shot.camera.pose()
            assert step(scene, shots["anchor"], shot).outside == (role == "away")
            assert pose[2, 3] >= 0.25 and np.hypot(*pose[:2, 3]) < 6.5 and np.degrees(np.arcsin(abs(pose[2, 2]))) <= 58


def test_the_list_is_gone_through_in_order_and_begun_again() -> None:
    scene = compose_scene(3, ids.scene_id(3))
    for n, roles in ((3, ["anchor", "vertical", "roll"]), (6, ["anchor", "dolly", "roll", "roll", "vertical", "vertical"])):
        shots = sample_cameras(scene, Settings(("vertical", "roll", "dolly"), n), generator_for(3, "order"))
        assert sorted(s.role for s in shots) == sorted(roles)


def test_labels_asked_for_are_those_that_the_words_can_offer() -> None:
    everything = {f"{kind}/{label}" for kind in ("lateral", "turn", "orbit") for label in ("left", "right", "none")}
    assert labels_of(MOVES[:3]) == everything
    assert labels_of(("zoom", "roll", "still")) == {"lateral/none", "turn/none", "orbit/none"}
    assert labels_of(("away",)) == {"lateral/none", "turn/left", "turn/right"}, "nobody is asked about the way around what a picture does not show"
    assert labels_of(("vertical",)) == {"turn/none", "orbit/none"}
    for words in (("vertical", "orbit"), ("away", "shifted", "roll")):
        for seed in range(10):
            scene = compose_scene(seed, ids.scene_id(seed))
            shots = sample_cameras(scene, Settings(words, 4), generator_for(seed, "labels"))
            seen = np.array([s.role != "away" for s in shots])
            offered = offered_labels(np.stack([s.camera.pose() for s in shots]), scene.subject_center(), seen)
            assert min(offered[label] for label in labels_of(words)) >= 1


def test_params_know_the_words_and_say_their_sizes() -> None:
    assert FIELDS["moves"]["choices"][: len(MOVES)] == MOVES and set(WORDS) > LEAVES
    told = re.findall(r"(\w+): ([^.]+(?:\.\d[^.]*)*)\.", FIELDS["moves"]["doc"])
    assert [word for word, _ in told if word != "r"] == list(WORDS)
