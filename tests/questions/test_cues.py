"""The 2D cues: their rules in pictures made for them, and what is written beside every question."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toy_scenes import PLAIN_PICTURE, at, toy_settings, toy_views

from actial import ids
from actial.geometry.poses import look_at, rotated_about
from actial.geometry.projection import intrinsics, project
from actial.questions.build import Built, build_questions
from actial.questions.cues import CUE_WORDS, CUES, LEAST_SHIFT, cue_codes, in_picture
from actial.questions.kinds import KINDS, LEFT
from actial.questions.scan import scan_scenes
from actial.records import MIRRORED, OPPOSITE, Camera, Question, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_questions

SETTINGS = toy_settings()
SPLITS = ("train", "rl", "val", "test")
PLACES = arrays(np.float64, (1, 5, 2), elements=st.floats(-1, 1, width=16))


def questions_about(folder: Path, views: list[View]) -> tuple[Built, list[Question]]:
    with ViewWriter(folder / "views", shard_mb=64) as writer:
        for view in views:
            writer.add(view, PLAIN_PICTURE)
    built = build_questions(scan_scenes(folder / "views"), folder / "out", SETTINGS, 7)
    return built, [q for split in SPLITS for q in read_questions(folder / "out" / f"{split}.parquet")]


def floor_views(n_scenes: int, n_parts: int, height_m: float) -> list[View]:
    """Parts that all stand on one floor, seen from above on an orbit, with views that moved sideways, turned and stayed."""
    views = []
    for index in range(n_scenes):
        scene_id = ids.scene_id(index)
        rng = generator_for(5, scene_id)
        parts = [SceneObject(c, "box", "boxes", c, at(np.append(rng.uniform(-0.6, 0.6, 2), height_m)), (0.2,) * 3, "subject") for c in "abcdefgh"[:n_parts]]
        objects = (SceneObject("subject", "composite", "boxes", "", at(np.array([0, 0, height_m])), (1.0,) * 3), *parts)
        angles = rng.uniform(0, 6) + np.cumsum(rng.uniform(0.3, 0.6, 5))
        poses = [look_at(np.array([3 * np.cos(a), 3 * np.sin(a), 1.2]), np.zeros(3)) for a in angles]
        turned, moved, stayed = poses[0].copy(), poses[0].copy(), poses[0].copy()
        c, s = np.cos(0.2), np.sin(0.2)
        turned[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ turned[:3, :3]  # 11 degrees to the left
        moved[:3, 3] += 0.5 * moved[:3, 0]
        stayed[:3, 3] += 0.002
        for i, T in enumerate([*poses, turned, moved, stayed]):
            K = tuple(intrinsics(84, 84, 60.0).ravel().tolist())
            views.append(View(ids.view_id(scene_id, i), scene_id, Camera(84, 84, K, tuple(T.ravel().tolist())), objects, "toy", "CC0-1.0"))
    return views


def test_on_one_floor_the_floor_cue_gives_the_orbit_away(tmp_path: Path) -> None:
    """As measured on the boxes of the first experiments, where it was right in 98.7 % of pairs."""
    _, questions = questions_about(tmp_path, floor_views(40, 5, 0.1))
    for kind in ("orbit", "perspective"):
        told = Counter(q.cue for q in questions if q.kind == kind and q.label_of(q.truth) != "none")
        assert told["aligned"] > 0.95 * (told["aligned"] + told["conflict"]) and told["aligned"] > 0.9 * told.total()


def test_a_camera_that_only_turns_or_only_steps_aside_is_given_away_by_the_slide(tmp_path: Path) -> None:
    _, questions = questions_about(tmp_path, floor_views(40, 5, 0.1))
    only = {"lateral": {0, 6}, "turn": {0, 5}}
    told = Counter((q.kind, q.cue) for q in questions for parts in [ids.parse(q.question_id)] if {parts.first, parts.second} == only.get(q.kind))
    assert told["lateral", "aligned"] > 10 and told["turn", "aligned"] > 10
    assert {cue for _, cue in told} == {"aligned"}


def test_a_subject_without_parts_slides_but_has_no_far_and_near(tmp_path: Path) -> None:
    _, questions = questions_about(tmp_path, floor_views(40, 0, 0.5))
    told = {kind: {q.cue for q in questions if q.kind == kind} for kind in SETTINGS.kinds}
    assert told["orbit"] == told["perspective"] == {"none"}
    assert {"aligned", "none"} <= told["lateral"] and {"aligned", "none"} <= told["turn"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[ViewStore, Built, list[Question]]:
    folder = tmp_path_factory.mktemp("cues")
    built, questions = questions_about(folder, [v for scene in range(30) for v in toy_views(scene, n_parts=3 + scene % 3)])  # rows of unequal length
    return ViewStore(folder / "views"), built, questions


def test_every_cue_is_what_its_rule_says_of_the_stored_views(toy: tuple[ViewStore, Built, list[Question]]) -> None:
    """The rules once more, point by point, with the projection of the geometry module."""
    store, _, questions = toy
    checked = Counter[str]()
    for q in questions:
        pixels = []
        for view in (store[v] for v in q.view_ids):
            uv, _ = project(np.array([o.center() for o in view.objects[1:]]), view.camera.intrinsics(), view.camera.pose())
            pixels.append(np.where(((uv >= 0) & (uv <= 84)).all(axis=1)[:, None], uv, np.nan))
        seen = ~np.isnan(pixels[0] + pixels[1]).any(axis=1)
        (u1, v1), (u2, v2) = (p[seen].T / 84 for p in pixels)
        shift, height = u2 - u1, -(v1 + v2) / 2
        value = np.nan
        if seen.any():
            spread = np.std(height)
            slope = np.mean((height - height.mean()) * (shift - shift.mean())) / spread if spread else np.nan
            value = shift.mean() if q.kind in ("lateral", "turn") else slope
        label = q.label_of(q.truth)
        expected = "none" if label == "none" or not abs(value) >= LEAST_SHIFT else "aligned" if (value > 0) == (label == "left") else "conflict"
        assert q.cue == expected
        checked[q.cue] += 1
    assert min(checked[word] for word in CUE_WORDS) > 50


def test_the_card_counts_them(toy: tuple[ViewStore, Built, list[Question]]) -> None:
    _, built, questions = toy
    counted = Counter[tuple[str, str]]()
    for (_, kind, cue), n in built.cues.items():
        counted[kind, cue] += n
    assert counted == Counter((q.kind, q.cue) for q in questions)


def test_both_orders_of_a_pair_agree(toy: tuple[ViewStore, Built, list[Question]]) -> None:
    """Every rule changes its sign with the order, and so does every truth that flips."""
    by_pair = {(q.kind, q.view_ids): q for q in toy[2]}
    for (kind, pair), q in by_pair.items():
        other = by_pair[kind, pair[::-1]]
        flips = q.label_of(q.truth) != other.label_of(other.truth)
        if q.label_of(q.truth) != "none" and q.cue != "none":
            assert (q.cue == other.cue) == flips


@given(PLACES, PLACES)
def test_rules_change_their_sign_with_the_order_and_with_a_mirror_as_their_labels_do(first: np.ndarray, second: np.ndarray) -> None:
    mirror = np.array([-1, 1])
    for cue in {cue.rule.name: cue for cues in CUES.values() for cue in cues}.values():
        rule = cue.rule.value
        value = rule(first, second)
        sign = -1 if cue.positive in MIRRORED else 1
        assert np.allclose(value, -rule(second, first), atol=1e-9, equal_nan=True)
        assert np.allclose(value, sign * rule(first * mirror, second * mirror), atol=1e-9, equal_nan=True)


@given(PLACES, PLACES, st.sampled_from(sorted(CUES)))
def test_a_cue_is_aligned_with_one_label_and_in_conflict_with_its_opposite(first: np.ndarray, second: np.ndarray, kind: str) -> None:
    labels = KINDS[kind].labels
    told = {label: CUE_WORDS[cue_codes(kind, first, second, np.array([place]))[0]] for place, label in enumerate(labels)}
    assert told.pop(labels[-1]) == "none"
    assert all({word, told[OPPOSITE[label]]} in ({"none"}, {"aligned", "conflict"}) for label, word in told.items())


def test_cues_of_moves_that_they_fit_are_aligned() -> None:
    """A camera without parallax: the parts stand in one plane before it, so what the pictures suggest is what happened."""
    rng = generator_for(5, "plane")
    points = np.column_stack([rng.uniform(-0.8, 0.8, 6), np.zeros(6), rng.uniform(-0.8, 0.8, 6)])
    T, K = look_at(np.array([0.0, -4, 0]), np.zeros(3)), intrinsics(84, 84, 60.0)
    right, ahead, up = T[:3, 0], -T[:3, 2], T[:3, 1]

    def seen(step: np.ndarray, R: np.ndarray | None = None) -> np.ndarray:
        moved = T.copy()
        moved[:3, 3] += step
        moved[:3, :3] = moved[:3, :3] if R is None else R @ moved[:3, :3]
        return in_picture(points[None], moved[None], K[None], np.array([[84.0, 84.0]]))

    still = np.zeros(3)
    cases = {
        "lateral": ("right", seen(right * 0.6)),
        "forward": ("forward", seen(ahead * 0.6)),
        "radial": ("farther", seen(-ahead * 0.6)),
        "vertical": ("up", seen(up * 0.6)),
        "turn": ("left", seen(still, rotated_about(up, 0.2))),
        "pitch": ("up", seen(still, rotated_about(right, 0.2))),
        "roll": ("clockwise", seen(still, rotated_about(ahead, 0.2))),
    }
    for kind, (label, second) in cases.items():
        assert CUE_WORDS[cue_codes(kind, seen(still), second, np.array([KINDS[kind].labels.index(label)]))[0]] == "aligned", kind
    for label, step in {"left": -right, "back": -ahead, "down": -up}.items():
        assert CUE_WORDS[cue_codes("direction", seen(still), seen(step * 0.6), np.array([KINDS["direction"].labels.index(label)]))[0]] == "aligned"


def test_every_kind_has_a_cue_but_those_that_are_said_to_have_none() -> None:
    assert set(KINDS) - set(CUES) == {"front", "moved", "turned", "consistency", "alteration"}


def test_nothing_in_both_pictures_is_no_cue() -> None:
    nowhere = np.full((1, 4, 2), np.nan)
    assert all(CUE_WORDS[cue_codes(kind, nowhere, nowhere, np.array([LEFT]))[0]] == "none" for kind in CUES)


def test_points_behind_a_camera_or_beside_its_picture_are_not_in_it() -> None:
    T, K = look_at(np.array([3.0, 0, 0]), np.zeros(3)), intrinsics(84, 42, 60.0)
    p = np.array([[0.0, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [5, 0, 0], [0, 3, 0], [0, 0, 1.5], [np.nan] * 3])
    place = in_picture(p[None], T[None], K[None], np.array([[84.0, 42.0]]))[0]
    assert np.isnan(place[3:]).all() and not np.isnan(place[:3]).any()
    assert place[0] == pytest.approx([0.5, -0.25])
    assert place[1, 0] > place[0, 0] and place[1, 1] == pytest.approx(place[0, 1])  # seen from +X, +Y is to the right
    assert place[2, 1] > place[0, 1]
