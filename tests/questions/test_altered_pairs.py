"""Was the object altered? Residuals against OpenCV and scipy, planted cases that nobody can decide, and the questions about scenes of every sort."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from toy_scenes import PLAIN_PICTURE, at, toy_settings

from actial import ids
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics
from actial.geometry.two_views import Matches, residuals_px, smallest_residual_px
from actial.questions import altered_pairs
from actial.questions.build import build_questions
from actial.questions.kinds import CHANGE_KINDS
from actial.questions.scan import PosedScene, scan_scenes
from actial.records import Camera, Question, SceneObject, View
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_questions
from actial.views import committed
from actial.views.cameras import NoCameras, Shot
from actial.views.committed import Plan
from actial.views.scenes import Scene

PLAN = Plan(7, "boxes", 10, 448, 448, 2, companions=(2, 4), altered_share=0.8)
N_SCENES = 40
WORDS = {"moved": "part_moved", "mirrored": "mirrored", "scaled": "resized", "sheared": "skewed"}
K = intrinsics(448, 448, 68.0)
PLACES = np.array([[0.7, 0.1, 0.3], [-0.6, 0.3, 0.8], [0.1, -0.7, 1.2], [-0.1, 0.6, 0.4], [0.4, 0.5, 1.4]])
FIRST = look_at(np.array([0.3, -4.5, 1.6]), np.array([0.0, 0.0, 0.8]))
SECOND = look_at(np.array([2.4, -3.8, 2.1]), np.array([0.1, 0.0, 0.7]))


def boxes(places: np.ndarray, yaw_rad: float = 0.4, size_m: tuple[float, float, float] = (0.3, 0.2, 0.35)) -> tuple[SceneObject, ...]:
    """A subject of five boxes, and two others beside it that always stand where they stand."""
    turned = lambda p: tuple(np.block([[Rotation.from_euler("Z", yaw_rad).as_matrix(), p[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]]).ravel().tolist())
    parts = [SceneObject(f"part_{i}", "box", "toy", "red", turned(p), size_m, part_of="subject") for i, p in enumerate(places)]
    subject = SceneObject("subject", "composite", "toy", "", at(places.mean(axis=0)), (1.6, 1.6, 1.6))
    beside = [SceneObject(f"beside_{i}", "box", "toy", "blue", at(np.array(p)), (0.4, 0.3, 0.4)) for i, p in enumerate([(1.5, 0.2, 0.2), (-1.4, -0.3, 0.2)])]
    return (subject, *parts, *beside)


def scene_of(folder: Path, poses: list[np.ndarray], objects: list[tuple[SceneObject, ...]]) -> PosedScene:
    with ViewWriter(folder, shard_mb=256) as writer:
        for i, (T, of_view) in enumerate(zip(poses, objects, strict=True)):
            camera = Camera(448, 448, tuple(K.ravel().tolist()), tuple(T.ravel().tolist()))
            writer.add(View(ids.view_id("scene-000000", i), "scene-000000", camera, of_view, "toy", "CC0-1.0"), PLAIN_PICTURE)
    (scene,) = scan_scenes(folder)
    return scene


def least_px(folder: Path, after: tuple[SceneObject, ...], second: np.ndarray = SECOND, before: tuple[SceneObject, ...] | None = None) -> float:
    """The smallest residual of two views of the toy subject, which is altered between them."""
    scene = scene_of(folder, [FIRST, second], [before or boxes(PLACES), after])
    matches = altered_pairs.matches_of(scene, np.array([[0, 1]]), altered_pairs.things_seen(scene))
    assert matches.known.any(axis=2).sum() >= 6, "nearly everything is seen in both"
    return float(smallest_residual_px(matches)[0])


def test_nothing_altered_leaves_no_residual_and_one_part_moved_does(tmp_path: Path) -> None:
    assert least_px(tmp_path / "same", boxes(PLACES)) < 1e-6
    moved = PLACES + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0.35]])
    assert least_px(tmp_path / "moved", boxes(moved)) > 3


def test_a_part_moved_along_its_epipolar_lines_is_undecidable(tmp_path: Path) -> None:
    """In a pair that is a pure translation: along it, what moved looks as if it stood nearer or farther; across it, as what it is."""
    along = FIRST[:3, 0]
    second = FIRST.copy()
    second[:3, 3] += 1.2 * along
    shift = np.zeros((5, 3))
    shift[2] = 0.6 * along
    assert least_px(tmp_path / "along", boxes(PLACES + shift), second) < 0.05
    shift[2] = 0.6 * FIRST[:3, 1]
    assert least_px(tmp_path / "across", boxes(PLACES + shift), second) > 2


def test_what_only_a_point_behind_a_camera_explains_is_impossible(tmp_path: Path) -> None:
    """Under the true movement: a part that goes along its epipolar lines, but farther than to infinity, misses it by all the way beyond."""
    along, second, shift = FIRST[:3, 0], FIRST.copy(), np.zeros((5, 3))
    second[:3, 3] += 1.2 * along
    found = []
    for i, share in enumerate((0.5, 1.0, 1.5)):  # of the camera's step: at 1 the part appears where it did before, as if infinitely far away
        shift[2] = 1.2 * share * along
        scene = scene_of(tmp_path / str(i), [FIRST, second], [boxes(PLACES), boxes(PLACES + shift)])
        matches = altered_pairs.matches_of(scene, np.array([[0, 1]]), altered_pairs.things_seen(scene))
        found.append(residuals_px(matches, matches.T_2_1)[0, 3])
    depth_m = (PLACES[2] - FIRST[:3, 3]) @ -FIRST[:3, 2]
    assert found[0] < 1e-6 and found[1] < 1e-3 and found[2] == pytest.approx(K[0, 0] * 0.6 / depth_m / np.sqrt(2), rel=0.05)


def test_a_mirrored_symmetric_object_is_undecidable_and_another_is_not(tmp_path: Path) -> None:
    """Boxes of square base stand on the mirror's plane, turned by 45 degrees: mirrored, each looks as before, though its records say another turn."""
    on_plane, square = PLACES * [1, 0, 1], (0.3, 0.3, 0.35)
    mirrored = [boxes(on_plane, yaw_rad, square) for yaw_rad in (np.pi / 4, -np.pi / 4)]
    assert mirrored[0] != mirrored[1] and least_px(tmp_path / "symmetric", mirrored[1], before=mirrored[0]) < 1e-6
    flat = boxes(PLACES * [-1, 1, 1], -0.4)
    assert least_px(tmp_path / "other", flat) > 3


def test_a_subject_alone_that_grew_is_a_nearer_one(tmp_path: Path) -> None:
    """Without anything beside it no picture tells size from distance."""
    alone = lambda objects: objects[:-2]
    grown = boxes(PLACES * 1.3, 0.4, (0.39, 0.26, 0.455))
    both = scene_of(tmp_path / "alone", [FIRST, SECOND], [alone(boxes(PLACES)), alone(grown)])
    matches = altered_pairs.matches_of(both, np.array([[0, 1]]), altered_pairs.things_seen(both))
    assert smallest_residual_px(matches)[0] < 0.05
    assert least_px(tmp_path / "beside", grown) > 2


@functools.cache
def scenes() -> tuple[tuple[Scene, list[Shot]], ...]:
    """Those for which cameras are found that see past the companions."""
    found = []
    for i in range(N_SCENES):
        try:
            scene, shots = committed.composed(PLAN, ids.scene_id(i))
        except NoCameras:
            continue
        assert isinstance(scene, Scene)
        found.append((scene, shots))
    assert len(found) > 0.8 * N_SCENES
    return tuple(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("altered")
    with ViewWriter(folder / "views", shard_mb=256) as writer:
        for scene, shots in scenes():
            for v, shot in enumerate(shots):
                writer.add(View(ids.view_id(scene.scene_id, v), scene.scene_id, shot.camera, scene.objects(shot.state), "boxes", "CC0-1.0"), PLAIN_PICTURE)
    return folder


SETTINGS = toy_settings(kinds=("orbit", "consistency", "alteration"), pairs_per_kind=9)


@pytest.fixture(scope="module")
def questions(folder: Path) -> list[Question]:
    built = build_questions(scan_scenes(folder / "views"), folder / "out", SETTINGS, 7)
    refused = {reason: n for reason, n in built.refused.items() if reason.startswith("consistency: some movement")}
    assert len(refused) >= 3 and "orbit: subject moved between the views" in built.refused
    return [q for name in ("train", "rl", "val", "test") for q in read_questions(folder / "out" / f"{name}.parquet")]


def states() -> dict[str, tuple[str, int]]:
    """Of each view, what is done to its scene's subject and in which state it shows it."""
    found = {}
    for scene, shots in scenes():
        found |= {ids.view_id(scene.scene_id, v): (scene.altered.what if scene.altered else "", shot.state) for v, shot in enumerate(shots)}
    return found


def test_answers_are_what_the_scenes_were_made_to_be(questions: list[Question]) -> None:
    state_of = states()
    told: Counter[str] = Counter()
    within: Counter[int] = Counter()
    for q in questions:
        (what, first), (_, second) = (state_of[v] for v in q.view_ids)
        label = q.label_of(q.truth)
        if q.kind not in CHANGE_KINDS:
            assert first == second, "how the camera moved is asked of still scenes alone"
        elif first == second:
            assert label == "same" and q.deciding_value < 1e-6 and q.margin == pytest.approx(1.0)
            within[first] += q.kind == "consistency"
        else:
            assert label == ("altered" if q.kind == "consistency" else WORDS[what])
            assert q.deciding_value >= 3 and q.margin == pytest.approx(q.deciding_value / 3 - 1, abs=1e-6)
        told[q.kind, label] += 1  # type: ignore[index]  # counted by pairs of words
    assert told["consistency", "altered"] == told["consistency", "same"] > 100  # type: ignore[index]  # as above
    assert len({label for kind, label in told if kind == "alteration"}) == 5
    assert abs(within[0] - within[1]) < 0.25 * (within[0] + within[1]), "one state as often as the other"
    by_scene = Counter((q.scene_id, q.label_of(q.truth)) for q in questions if q.kind == "consistency")
    assert all(by_scene[scene, "altered"] <= 8 for scene, _ in by_scene)


def test_the_camera_moves_alike_where_something_was_altered_and_where_not(questions: list[Question], folder: Path) -> None:
    """By scipy: neither the distance nor the turn between the cameras tells the answer."""
    from scipy.stats import ks_2samp

    views = {view.view_id: view for view in ViewStore(folder / "views")}
    of: dict[str, list[tuple[float, float]]] = {"altered": [], "same": []}
    for q in questions:
        if q.kind == "consistency":
            T1, T2 = (views[v].camera.pose() for v in q.view_ids)
            turn = (Rotation.from_matrix(T1[:3, :3]).inv() * Rotation.from_matrix(T2[:3, :3])).magnitude()
            of[q.label_of(q.truth)].append((float(np.linalg.norm(T1[:3, 3] - T2[:3, 3])), float(turn)))
    for altered, same in zip(np.array(of["altered"]).T, np.array(of["same"]).T, strict=True):
        assert ks_2samp(altered, same).pvalue > 0.01


def test_no_pose_of_the_known_points_explains_what_is_called_altered(questions: list[Question], folder: Path) -> None:
    """OpenCV's solvePnP knows the first picture's points in space, so it can only do worse than a search that leaves their depths free."""
    scenes = {scene.scene_id: scene for scene in scan_scenes(folder / "views")}
    n = Counter[str]()
    for q in [q for q in questions if q.kind == "consistency"][:80]:
        scene = scenes[q.scene_id]
        a, b = (scene.view_ids.index(v) for v in q.view_ids)
        matches = altered_pairs.matches_of(scene, np.array([[a, b]]), altered_pairs.things_seen(scene))
        known = matches.known[0]
        world = altered_pairs._world_points(scene)[a][known]
        seen = matches.second[0, :, 0][known]
        _, rvec, tvec = cv2.solvePnP(world, seen, scene.K[b], None, flags=cv2.SOLVEPNP_SQPNP)
        rvec, tvec = cv2.solvePnPRefineLM(world, seen, scene.K[b], None, rvec, tvec)
        off = np.linalg.norm(cv2.projectPoints(world, rvec, tvec, scene.K[b], None)[0][:, 0] - seen, axis=1)
        thing = np.nonzero(known)[0]
        largest = max(np.sqrt(np.mean(off[thing == t] ** 2)) for t in np.unique(thing))
        if q.label_of(q.truth) == "same":
            assert largest < 0.01
        else:
            assert largest > 0.95 * q.deciding_value
        n[q.label_of(q.truth)] += 1
    assert min(n["same"], n["altered"]) > 20


def _by_opencv(matches: Matches, rotvec: np.ndarray, t: np.ndarray) -> float:
    """The largest residual of a thing under a movement, where nothing has more than one way to be matched and no point lies behind a camera."""
    R, skew = Rotation.from_rotvec(rotvec).as_matrix(), np.cross(np.eye(3), t / np.linalg.norm(t))
    F = np.linalg.inv(matches.K_2[0]).T @ -skew @ R @ np.linalg.inv(matches.K_1[0])
    worst = 0.0
    for thing in np.flatnonzero(matches.known[0].any(axis=1)):
        there = matches.known[0, thing]
        pairs = zip(matches.first[0, thing, there], matches.second[0, thing, 0, there], strict=True)
        worst = max(worst, float(np.sqrt(np.mean([cv2.sampsonDistance(np.append(p, 1.0)[:, None], np.append(q, 1.0)[:, None], F) for p, q in pairs]))))
    return worst


def test_residuals_are_opencvs_and_no_search_of_scipys_finds_much_smaller_ones(tmp_path: Path) -> None:
    moved = PLACES + np.array([[0, 0, 0.0], [0, 0.2, 0.2], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    scene = scene_of(tmp_path, [FIRST, SECOND], [boxes(PLACES), boxes(moved)])
    matches = altered_pairs.matches_of(scene, np.array([[0, 1]]), altered_pairs.things_seen(scene))
    single = replace(matches, second=matches.second[:, :, :1])
    T = matches.T_2_1[0]
    start = np.concatenate([Rotation.from_matrix(T[:3, :3]).as_rotvec(), T[:3, 3] / np.linalg.norm(T[:3, 3])])
    assert residuals_px(single, matches.T_2_1).max() == pytest.approx(_by_opencv(single, start[:3], start[3:]), rel=1e-6)
    ours = float(smallest_residual_px(single)[0])
    assert ours <= residuals_px(single, matches.T_2_1).max()
    rng = np.random.default_rng(3)
    best = min(
        minimize(lambda x: _by_opencv(single, x[:3], x[3:]), start + s * rng.normal(size=6), method="Powell", options={"maxiter": 8}).fun
        for s in (0, 0.05, 0.2)
    )
    assert 0.85 * ours < best
