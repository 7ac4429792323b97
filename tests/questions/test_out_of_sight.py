"""All ways in which a camera can move, through three stages: nobody is asked about, or told of, what a picture does not show; rolled cameras tell the truth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from toy_scenes import make_project, run_stage

from actial.mix.descriptions import describe_pair
from actial.mix.reasoning import NoChain, tell
from actial.params import RenderViews
from actial.questions.sight import shows_subject
from actial.records import Question, View
from actial.report.scene_numbers import view_line
from actial.report.view_checks import doubts
from actial.shards import ViewStore, decode_picture
from actial.tables import read_conversations, read_questions

WORDS = list(RenderViews.__dataclass_fields__["moves"].metadata["choices"])
PROJECT = {
    "render_views__backend": "boxes",
    "render_views__n_scenes": 24,
    "render_views__views_per_scene": 13,
    "render_views__moves": WORDS,
    "render_views__width_px": 84,
    "render_views__height_px": 84,
    "build_qa__pairs_per_kind": 60,
    "cold_start_mix__n_rows": 900,
    "cold_start_mix__mirror_images": False,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("moves") / "project", 0, **PROJECT)
    for stage in ("render_views", "build_qa", "cold_start_mix"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    return root / "outputs"


@pytest.fixture(scope="module")
def views(project: Path) -> dict[str, View]:
    return {v.view_id: v for v in ViewStore(project / "render_views/views")}


@pytest.fixture(scope="module")
def questions(project: Path) -> list[Question]:
    return [q for split in ("train", "rl", "val", "test") for q in read_questions(project / f"build_qa/{split}.parquet") if not q.kind.endswith("_2d")]


def euler_deg(view: View) -> np.ndarray:
    """(3,) yaw, pitch and roll with the right side down positive."""
    yaw, up, roll = Rotation.from_matrix(view.camera.pose()[:3, :3]).as_euler("ZXZ", degrees=True)
    return np.array([yaw, up - 90, -roll])


def middle_is_in_picture(view: View) -> bool:
    """By OpenCV, and behind the camera never."""
    T = view.camera.pose()
    R, center = np.diag([1.0, -1.0, -1.0]) @ T[:3, :3].T, view.objects[0].center()
    if (R @ (center - T[:3, 3]))[2] <= 0:
        return False
    (((u, v),),), _ = cv2.projectPoints(center[None], cv2.Rodrigues(R)[0], -R @ T[:3, 3], view.camera.intrinsics(), np.zeros(5))
    return bool(0 <= u <= view.camera.width_px and 0 <= v <= view.camera.height_px)


def test_each_scene_has_one_view_that_looks_past_and_one_that_is_rolled(views: dict[str, View]) -> None:
    for view in views.values():
        assert shows_subject(view) == middle_is_in_picture(view)
    for count in (lambda v: not middle_is_in_picture(v), lambda v: abs(euler_deg(v)[2]) > 1):
        assert sum(map(count, views.values())) == 24


def test_the_way_around_is_asked_where_both_pictures_show_the_subject(views: dict[str, View], questions: list[Question], project: Path) -> None:
    seen = {True: set(), False: set()}
    for q in questions:
        seen[all(middle_is_in_picture(views[v]) for v in q.view_ids)].add(q.kind)
    assert seen == {True: {"lateral", "orbit", "turn", "perspective"}, False: {"lateral", "turn"}}
    refused = json.loads((project / "build_qa/manifest.json").read_text())["refused"]
    assert refused["orbit: subject not in both pictures"] == refused["perspective: subject not in both pictures"] == 24 * 12 * 2


def test_truths_of_rolled_pairs_are_those_of_the_level_frame(views: dict[str, View], questions: list[Question]) -> None:
    n = 0
    for q in questions:
        first, second = (views[v] for v in q.view_ids)
        if max(abs(euler_deg(v)[2]) for v in (first, second)) < 1:
            continue
        n += 1
        d = second.camera.pose()[:3, 3] - first.camera.pose()[:3, 3]
        center = first.objects[0].center()
        if q.kind == "turn":
            value, none, sides = (euler_deg(second)[0] - euler_deg(first)[0] + 180) % 360 - 180, 1.0, ("right", "left")
        elif q.kind == "lateral":
            level = Rotation.from_euler("Z", euler_deg(first)[0], degrees=True)
            value, none, sides = float(level.inv().apply(d)[0] / np.linalg.norm(first.camera.pose()[:3, 3] - center)), 0.01, ("left", "right")
        else:
            on_map = [complex(*(v.camera.pose()[:2, 3] - center[:2])) for v in (first, second)]
            value, none, sides = float(np.degrees(np.angle(on_map[1] / on_map[0]))), 1.0, ("right", "left")
        assert q.label_of(q.truth) == ("none" if abs(value) < none else sides[int(value > 0)])
        assert q.deciding_value == pytest.approx(value, abs=1e-6)
    assert n > 100


def test_nothing_is_told_of_what_a_picture_does_not_show(views: dict[str, View], questions: list[Question], project: Path) -> None:
    """No chain and no description of a pair that lacks the subject, no chain where columns are tilted; direct answers of both there are."""
    reasons = set()
    for q in questions:
        first, second = (views[v] for v in q.view_ids)
        if not all(map(middle_is_in_picture, (first, second))):
            assert describe_pair(first, second, "short", (26, 26), sides=True) == ""
        elif max(abs(euler_deg(v)[2]) for v in (first, second)) < 1:
            continue
        with pytest.raises(NoChain) as refusal:
            tell(q, first, second, with_shape=False, grid=(26, 26))
        reasons.add(str(refusal.value))
    assert reasons == {"subject not in both pictures", "camera rolled"}
    direct = 0
    for row in read_conversations(project / "cold_start_mix/sft.parquet"):
        pair = [views[v] for v in row.view_ids]
        past, rolled = not all(map(middle_is_in_picture, pair)), max(abs(euler_deg(v)[2]) for v in pair) > 1
        assert not past or row.mode == "direct" or row.kind.endswith("_2d")
        assert not rolled or row.mode != "think" or row.kind.endswith("_2d")
        direct += (past or rolled) and row.mode == "direct"
    assert direct > 3


def test_the_gallery_finds_nothing_wrong_with_any_of_them_and_tells_them_apart(views: dict[str, View], project: Path) -> None:
    for view in views.values():
        line, roll_deg = view_line(view, [view], "m"), euler_deg(view)[2]
        assert (f" · roll {roll_deg:+.0f}°" in line) == (abs(roll_deg) > 1) and ("looks past the subject" in line) == (not middle_is_in_picture(view))
    store = ViewStore(project / "render_views/views")
    masks = {v: np.asarray(decode_picture(store.picture_bytes(v, "mask") or b"", v).convert("L")) for v in views}
    assert not [found for v, view in views.items() for found in doubts(view, np.asarray(store.picture(v)), masks[v], estimated=False)]
    past = next(view for view in views.values() if not middle_is_in_picture(view))
    whole = next(masks[v.view_id] for v in views.values() if v.scene_id == past.scene_id and middle_is_in_picture(v))
    assert "centre" in doubts(past, np.asarray(store.picture(past.view_id)), whole, estimated=False)[0], "a mask that shows all of it belies the camera"
