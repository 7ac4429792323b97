"""Companions, second states and fronts: they stand apart and are seen, one of them moves and nothing else, a face is on the side that the front says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_scenes import REPO, make_project, run_stage

from actial import ids
from actial.errors import UserError
from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics, project
from actial.params import load_params
from actial.records import Camera, View
from actial.report.view_checks import beyond_box_px, doubts
from actial.shards import ViewStore
from actial.views import boxes, committed
from actial.views.arrangements import Solid, overlap
from actial.views.asset_scenes import AssetScene, compose_asset_scene
from actial.views.asset_shapes import AssetShape
from actial.views.assets import Asset
from actial.views.cameras import Shot, sample_cameras
from actial.views.committed import Plan
from actial.views.companions import ALONE
from actial.views.labels import offered_labels
from actial.views.scenes import PALETTE, Scene, compose_scene
from actial.views.staging import APART_M, NoRoom, with_companions, with_front

PLAN = Plan(7, "boxes", 8, 112, 112, 2, companions=(1, 4), two_state_share=0.6, fronts=True)
SCENES = [committed.composed(PLAN, ids.scene_id(i)) for i in range(16)]
PLAIN = replace(PLAN, companions=(0, 0), two_state_share=0.0, fronts=False)
OPEN_BOX = AssetShape(10, (-0.5, -0.2, 0.0), (0.5, 0.2, 0.8), tuple((x, y, z) for x in (-0.5, 0.5) for y in (-0.2, 0.2) for z in (0.0, 0.8)), is_round=False)


def flat(solid: Solid) -> Solid:
    return replace(solid, size_m=(*solid.size_m[:2], 1.0), center_m=(*solid.center_m[:2], 0.5))


def asset_scene(index: int) -> AssetScene:
    return compose_asset_scene(3, ids.scene_id(index), Asset("a.glb", "things", "CC0-1.0", "+x", None), OPEN_BOX)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.booleans())
def test_companions_stand_apart_on_the_ground_and_have_names_of_their_own(root_seed: int, of_asset: bool) -> None:
    bare: Scene | AssetScene = asset_scene(root_seed % 1000) if of_asset else with_front(compose_scene(root_seed, "scene-000000"), root_seed)
    scene = with_companions(bare, replace(PLAN, companions=(2, 5), two_state_share=0.5), root_seed)
    assert replace(scene, companions=ALONE) == bare, "nothing else of the scene changes"
    first, second = scene.companions.first, scene.companions.second
    assert 2 <= len(first) <= 5 and len(second) in (0, len(first))
    for standing in (first, second):
        everything = [flat(s) for s in (*scene.footprints(), *standing)]
        assert not [
            (a, b) for i, a in enumerate(everything) for b in everything[: min(i, len(standing) and i)] if b in everything[-len(standing) :] and overlap(a, b)
        ]
        assert not [s for s in standing for other in scene.footprints() if overlap(flat(s), flat(other), APART_M - 1e-9)]
        assert all(0 < s.bottom_m < 0.01 for s in standing)
    assert (
        len({(s.color, s.shape) for s in first}) == len(first)
        and not {s.color for s in first} & scene.own_colors()
        and {s.color for s in first} <= set(PALETTE)
    )
    moved = [(a, b) for a, b in zip(first, second, strict=False) if a != b]
    assert len(moved) == bool(second)
    for a, b in moved:
        assert replace(b, center_m=a.center_m) == a and a.center_m[2] == b.center_m[2]
        assert PLAN.displacement_m[0] <= np.hypot(*np.subtract(a.center_m, b.center_m)[:2]) <= PLAN.displacement_m[1]


def test_without_them_a_scene_is_as_it_always_was() -> None:
    scene, _ = committed.composed(PLAIN, "scene-000003")
    assert (scene.companions, scene.front) == (ALONE, None) and isinstance(scene, Scene)
    staged = SCENES[3][0]
    assert isinstance(staged, Scene) and replace(staged, companions=ALONE, front=None) == scene


def views_of(scene: Scene, shots: list[Shot]) -> list[View]:
    return [View(ids.view_id(scene.scene_id, i), scene.scene_id, s.camera, scene.objects(s.state), "boxes", "CC0-1.0") for i, s in enumerate(shots)]


def test_masks_are_those_of_the_rows_and_every_companion_is_whole_in_every_picture() -> None:
    n_seen = 0
    for scene, shots in SCENES:
        assert isinstance(scene, Scene)
        for view, shot in zip(views_of(scene, shots), shots, strict=True):
            picture = boxes.render(scene, shot)
            np.testing.assert_array_equal(picture.mask, boxes.part_masks(scene, [shot])[0])
            assert doubts(view, picture.pixels, picture.mask, estimated=False) == []
            for number, o in enumerate(view.objects):
                if o.part_of is None and number:
                    uv, depth_m = project(boxes_corners(o), shot.camera.intrinsics(), shot.camera.pose())
                    assert (depth_m > 0).all() and (uv > 0).all() and (uv < 112).all()
                    (solid,) = [s for s in scene.companions.in_state(shot.state) if s.name == o.name]
                    alone = boxes.part_masks(replace(scene, parts=(solid,), stands=(), front=None, companions=ALONE), [shot])[0] == 1
                    seen = picture.mask == number
                    assert not (seen & ~alone).any(), "it is seen only where it would be seen alone"
                    beyond = beyond_box_px(o, shot.camera, np.argwhere(alone)[:, ::-1] + 0.5)
                    assert beyond is not None and beyond.max() < 0.01 and beyond.min() < -1
                    n_seen += bool(seen.sum() > 0.5 * alone.sum())
    assert n_seen > 150, "most are not hidden behind the subject"


def boxes_corners(o: object) -> np.ndarray:
    from actial.geometry.poses import box_corners

    return box_corners(np.array(o.T_world_obj).reshape(4, 4), o.size_m)  # type: ignore[attr-defined]


def test_companions_hide_little_of_the_subject() -> None:
    shares = []
    for scene, shots in SCENES:
        assert isinstance(scene, Scene)
        of_subject = len(scene.parts) + 1
        both = zip(boxes.part_masks(scene, shots), boxes.part_masks(replace(scene, companions=ALONE), shots), strict=True)
        shares += [np.mean((with_them > 0) & (with_them <= of_subject)) / np.mean(alone > 0) for with_them, alone in both]
    assert min(shares) > 0.75 and np.mean(shares) > 0.97


def test_cameras_of_assets_know_companions_too() -> None:
    for index in range(6):
        scene = with_companions(asset_scene(index), PLAN, 3)
        shots = sample_cameras(scene, PLAN, np.random.Generator(np.random.PCG64(index)))
        for shot in shots:
            uv, _ = project(np.concatenate([scene.subject_corners(), scene.companions.corners()]), shot.camera.intrinsics(), shot.camera.pose())
            assert (uv > 0).all() and (uv < 112).all()
            assert scene.companions.hidden_share(shot.camera.pose()[:3, 3], scene.sight_points()) <= 0.15


def test_some_scenes_have_two_states_and_the_first_offers_every_label() -> None:
    states = [[shot.state for shot in shots] for _, shots in SCENES]
    assert 0.3 < np.mean([max(s) for s in states]) < 0.9
    assert {sum(s) for s in states} == {0, 4}
    for scene, shots in SCENES:
        first = np.stack([shot.camera.pose() for shot in shots if not shot.state])
        assert min(offered_labels(first, scene.subject_center()).values()) >= 1
        rows = [scene.objects(shot.state) for shot in shots]
        differing = [sum(a != b for a, b in zip(rows[0], other, strict=True)) for other in rows]
        assert differing == [int(shot.state != shots[0].state) for shot in shots], "one object moved between states, none within one"


@pytest.mark.parametrize("n_views", [5, 6, 9])
def test_four_views_stay_in_the_first_state(n_views: int) -> None:
    _, shots = committed.composed(replace(PLAN, views_per_scene=n_views, two_state_share=1.0), "scene-000001")
    assert sum(shot.state for shot in shots) == min(n_views // 2, n_views - 4)


def test_no_room_is_said() -> None:
    with pytest.raises(NoRoom, match="no companion finds another place"):
        committed.composed(replace(PLAN, two_state_share=1.0, displacement_m=(3.0, 3.0), companions=(1, 1)), "scene-000000")


def test_the_face_is_on_the_side_that_the_front_says() -> None:
    """A turntable: from all around, the face lies on the side to which the front projects; its pupils are seen from before it and never from behind."""
    for scene, _ in SCENES[:6]:
        assert isinstance(scene, Scene) and scene.front is not None
        scene = replace(scene, companions=ALONE)
        subject, (*_, face) = scene.objects()[0], scene.objects()
        assert face.name == "face" and face.part_of == "subject" and subject.front == scene.front.direction
        front, center = np.array(subject.front), subject.center()
        assert np.isclose(np.linalg.norm(front), 1) and front[2] == 0
        number = len(scene.parts) + 1
        for turn_deg in range(0, 360, 20):
            a = np.radians(turn_deg) + np.arctan2(front[1], front[0])
            eye = center + 5.0 * np.array([np.cos(a), np.sin(a), 0.25])
            K = intrinsics(224, 224, 60.0)
            camera = Camera(224, 224, tuple(K.ravel()), tuple(look_at(eye, center).ravel()))
            shot = Shot(camera, "anchor", 0.0, 1.0, 0.0, 5)
            picture = boxes.render(scene, shot)
            pixels = np.argwhere(picture.mask == number)
            if len(pixels) < 40:
                continue  # hidden behind the subject
            ahead, beside = project(np.stack([center, center + 0.5 * front]), K, camera.pose())[0][:, 0]
            if abs(beside - ahead) > 10:
                assert np.sign(pixels[:, 1].mean() - ahead) == np.sign(beside - ahead)
            balls = tuple(s for s in scene.front.head if "head" in s.name or "pupil" in s.name)
            only = boxes.part_masks(replace(scene, parts=balls, stands=(), front=None), [shot])[0]
            pupils = np.isin(only, [i for i, s in enumerate(balls, start=1) if "pupil" in s.name]).sum()
            before = np.cos(np.radians(turn_deg))
            assert before < 0.5 or pupils > 4
            assert before > -0.9 or pupils <= 2, "what stands out of the ball on either side"


def test_the_head_is_seen_from_before_it() -> None:
    for scene, _ in SCENES:
        assert isinstance(scene, Scene) and scene.front is not None
        scene = replace(scene, companions=ALONE)
        center, front = scene.subject_center(), np.array(scene.front.direction)
        camera = Camera(224, 224, tuple(intrinsics(224, 224, 60.0).ravel()), tuple(look_at(center + 5.0 * front + [0, 0, 0.5], center).ravel()))
        mask = boxes.part_masks(scene, [Shot(camera, "anchor", 0.0, 1.0, 0.0, 5)])[0]
        alone = boxes.part_masks(replace(scene, parts=(), stands=()), [Shot(camera, "anchor", 0.0, 1.0, 0.0, 5)])[0]
        assert (mask == len(scene.parts) + 1).sum() > 0.9 * (alone == 1).sum()


@pytest.fixture(scope="module")
def project_of_two_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    staged = {"companions": [1, 3], "two_state_share": 0.5, "displacement_m": [0.6, 1.4], "altered_share": 0.0, "fronts": True}
    render = {"backend": "boxes", "n_scenes": 40, "views_per_scene": 8, "width_px": 56, "height_px": 56, "scenes": staged}
    root = make_project(
        tmp_path_factory.mktemp("two_states") / "project", 0, **{f"render_views__{k}": v for k, v in render.items()}, build_qa__n_questions_2d=0
    )
    for stage in ("render_views", "build_qa"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    return root


def test_no_question_is_asked_across_states_and_all_labels_within_one(project_of_two_states: Path) -> None:
    import json

    from actial.tables import read_questions

    store = ViewStore(project_of_two_states / "outputs/render_views/views")
    moved = {scene_id for scene_id, views in store.scenes().items() if len({v.objects for v in views}) > 1}
    assert 10 < len(moved) < 30
    asked: dict[str, set[str]] = {}
    for split in ("train", "rl", "val", "test"):
        for q in read_questions(project_of_two_states / f"outputs/build_qa/{split}.parquet"):
            first, second = (store[v] for v in q.view_ids)
            assert first.objects == second.objects
            if q.scene_id in moved:
                asked.setdefault(q.kind, set()).add(q.label_of(q.truth))
    assert asked == {kind: {"left", "right", "none"} for kind in ("lateral", "orbit", "turn", "perspective")}
    refused = json.loads((project_of_two_states / "outputs/build_qa/manifest.json").read_text())["refused"]
    assert refused["turn: something beside the subject moved between the views"] == len(moved) * 2 * 4 * 4


def test_the_pair_of_states_is_told_from_records_alone(project_of_two_states: Path) -> None:
    """What a question on object motion needs: one object moved, by a distance in range, the camera moved or not."""
    store = ViewStore(project_of_two_states / "outputs/render_views/views")
    by_m, stayed = [], 0
    for views in store.scenes().values():
        for a in views:
            for b in views:
                moved = [(x, y) for x, y in zip(a.objects, b.objects, strict=True) if x.T_world_obj != y.T_world_obj]
                assert len(moved) <= 1 and all(x.part_of is None and x.name != "subject" for x, _ in moved)
                by_m += [float(np.linalg.norm(x.center() - y.center())) for x, y in moved]
                m = motion_between(a.camera.pose()[None], b.camera.pose()[None], a.objects[0].center()[None])
                stayed += bool(moved) and bool(m.distance_r[0] < 0.01 and abs(m.turn_deg[0]) < 1)
    assert min(by_m) >= 0.6 and max(by_m) <= 1.4 and np.ptp(by_m) > 0.5
    assert stayed > 4, "in some pairs only the object moved"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenes": {"companions": [3, 1]}}, r"render_views.scenes.companions is \[3, 1\]; the first number is the least"),
        ({"scenes": {"displacement_m": [1.4, 0.6], "companions": [1, 1]}}, r"render_views.scenes.displacement_m is \[1.4, 0.6\]"),
        ({"scenes": {"companions": [1, 9]}}, r"companions\[1\] is 9; it must be at most 8"),
        ({"scenes": {"two_state_share": 0.5}, "views_per_scene": 8}, r"two_state_share is 0.5 and companions is \[0, 0\]: what moves is a companion"),
        ({"scenes": {"two_state_share": 0.5, "companions": [1, 2]}, "views_per_scene": 4}, "views_per_scene is 4; give it at least 5"),
        ({"backend": "boxes", "look": {"lights": ["hdri"]}}, r"lights is \['hdri'\] and render_views.backend is boxes; only blender has other lights than sun"),
        ({"backend": "boxes", "look": {"finishes": ["matt", "metal"]}}, "only blender has other finishes than matt"),
        ({"look": {"finishes": []}}, "render_views.look.finishes is empty; name at least one"),
        ({"look": {"finishes": ["shiny"]}}, "finishes.*shiny.*must be"),
        ({"scenes": {"fronts": True}, "assets": {"source": "folder"}}, "only procedural subjects are given a front"),
    ],
)
def test_a_mistake_gets_a_sentence(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    params = yaml.safe_load((REPO / "profiles/tiny.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        params["render_views"][key] = params["render_views"][key] | value if isinstance(value, dict) else value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        load_params(tmp_path / "params.yaml")


def test_scenes_without_room_are_counted_and_too_many_of_them_fail(tmp_path: Path) -> None:
    staged = {"companions": [1, 1], "two_state_share": 1.0, "displacement_m": [2.7, 2.7], "altered_share": 0.0, "fronts": False}
    render = {"backend": "boxes", "n_scenes": 12, "views_per_scene": 5, "width_px": 28, "height_px": 28, "scenes": staged, "max_refused_share": 0.95}
    root = make_project(tmp_path / "project", 0, **{f"render_views__{k}": v for k, v in render.items()})
    done = run_stage(root, "render_views")
    assert done.returncode == 0, done.stderr
    assert "scenes (no companion finds another place)" in done.stdout
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["render_views"]["max_refused_share"] = 0.05
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    done = run_stage(root, "render_views")
    assert done.returncode == 2 and "most often because: no companion finds another place" in done.stderr and "Traceback" not in done.stderr
