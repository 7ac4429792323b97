"""Altered subjects: they stand where they stood, one thing is done to them and nothing to what stands around, records and masks say so, whatever draws them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from test_staging import asset_scene
from toy_scenes import REPO

from actial import ids
from actial.errors import UserError
from actial.geometry.poses import box_corners, look_at, passes_through_box
from actial.geometry.projection import intrinsics, project
from actial.mirror import mirrored_view
from actial.params import load_params
from actial.records import SceneObject, View
from actial.report.view_checks import beyond_box_px, doubts
from actial.views import boxes, committed
from actial.views.alterations import ALTERATIONS, alter_asset
from actial.views.arrangements import Solid, overlap
from actial.views.committed import Plan
from actial.views.scenes import Scene

PLAN = Plan(7, "boxes", 8, 112, 112, 2, companions=(1, 3), two_state_share=0.3, altered_share=0.8, fronts=True)


def drawn(n: int) -> list[tuple[Scene, list[committed.Shot]]]:
    found = [committed.composed(PLAN, ids.scene_id(i)) for i in range(n)]
    return [(scene, shots) for scene, shots in found if isinstance(scene, Scene)]


SCENES = drawn(24)
ALTERED = [(scene, shots) for scene, shots in SCENES if scene.altered]


def T(o: SceneObject) -> np.ndarray:
    return np.array(o.T_world_obj).reshape(4, 4)


def test_every_sort_is_drawn_and_nothing_else_of_a_scene_changes() -> None:
    assert {scene.altered.what for scene, _ in ALTERED if scene.altered} == set(ALTERATIONS)
    assert not [scene for scene, _ in ALTERED if scene.companions.second], "one thing changes in a scene"
    assert any(not scene.altered for scene, _ in SCENES)
    for scene, shots in ALTERED:
        assert sum(shot.state for shot in shots) == 4
        bare, _ = committed.composed(replace(PLAN, altered_share=0.0, companions=(0, 0), two_state_share=0.0), scene.scene_id)
        assert isinstance(bare, Scene) and (bare.parts, bare.front, bare.sky) == (scene.parts, scene.front, scene.sky)
        one, other = scene.objects(0), scene.objects(1)
        assert [(o.name, o.shape, o.color) for o in one] == [(o.name, o.shape, o.color) for o in other]
        assert all(a == b for a, b in zip(one, other, strict=True) if a.part_of is None and a.name != "subject")


def test_each_does_what_it_says_and_the_subject_stays_on_the_ground() -> None:
    for scene, _ in ALTERED:
        assert scene.altered is not None
        before, after = ([s for s in scene.in_state(state).subject_solids if s.name] for state in (0, 1))
        assert min(s.bottom_m for s in after) == pytest.approx(min(s.bottom_m for s in before), abs=0.01)
        a, b = (np.array([s.center_m for s in solids]) for solids in (before, after))
        apart = lambda p: np.linalg.norm(p[:, None] - p, axis=2)
        match scene.altered.what:
            case "moved":
                parts = [(s, t) for s, t in zip(scene.parts, scene.altered.parts, strict=True) if s != t]
                assert len(parts) == 1 and np.linalg.norm(np.subtract(parts[0][0].center_m, parts[0][1].center_m)) > 0.25
                solids = scene.in_state(1).subject_solids
                assert not [(s, t) for s in (parts[0][1],) for t in solids if t != s and overlap(s, t)]
            case "mirrored":
                np.testing.assert_allclose(apart(a), apart(b), atol=1e-9)
                triple = lambda p: np.linalg.det(p[1:4] - p[0])
                assert triple(a) == pytest.approx(-triple(b), abs=1e-9)
                front = scene.altered.front
                assert front is not None and scene.front is not None
                eyes = [np.array(s.center_m) for s in front.head[1:3]]  # what was its left eye is its right one
                assert (
                    np.cross(front.direction, eyes[0] - eyes[1])[2]
                    < 0
                    < np.cross(scene.front.direction, np.subtract(*(s.center_m for s in scene.front.head[1:3])))[2]
                )
            case "scaled":
                factor = after[0].size_m[0] / before[0].size_m[0]
                assert max(factor, 1 / factor) == pytest.approx(np.clip(max(factor, 1 / factor), 1.3, 1.5))
                np.testing.assert_allclose(apart(b), factor * apart(a), atol=1e-9)
            case "sheared":
                assert {s.size_m for s in before} == {s.size_m for s in after} and len({s.lean for s in after}) == 1
                np.testing.assert_allclose((b - a)[:, :2], a[:, 2:] * after[0].lean, atol=1e-9)


def test_masks_and_boxes_of_altered_subjects_agree_in_pixels() -> None:
    """A part alone fills its recorded box, skewed or not, and the mask's renderer is the picture's."""
    n_leaning = 0
    for scene, shots in ALTERED[:12]:
        for i, shot in [(i, s) for i, s in enumerate(shots) if s.state][:2]:
            view = View(ids.view_id(scene.scene_id, i), scene.scene_id, shot.camera, scene.objects(1), "boxes", "CC0-1.0")
            picture = boxes.render(scene, shot)
            np.testing.assert_array_equal(picture.mask, boxes.part_masks(scene, [shot])[0])
            assert doubts(view, picture.pixels, picture.mask, estimated=False) == []
            uv, _ = project(scene.subject_corners(), shot.camera.intrinsics(), shot.camera.pose())
            assert (uv > 0).all() and (uv < 112).all(), "the whole subject is in the picture in both states"
            for part, o in zip(scene.in_state(1).parts, view.objects[1:], strict=False):
                alone = boxes.part_masks(
                    replace(scene.in_state(1), parts=(part,), stands=(), front=None, companions=replace(scene.companions, first=())), [shot]
                )
                seen = np.argwhere(alone[0] == 1)[:, ::-1] + 0.5
                beyond = beyond_box_px(o, shot.camera, seen)
                assert beyond is not None and beyond.max() < 0.01
                n_leaning += part.lean != (0.0, 0.0)
    assert n_leaning > 5


def test_a_sight_line_leads_through_a_leaning_box_where_its_outline_is_seen() -> None:
    """Of points far behind the box: those that appear inside the convex hull of its corners, by OpenCV."""
    solid = Solid("box", (0.4, 0.3, 1.0), (0.2, -0.1, 0.6), 0.7, lean=(0.5, -0.3))
    eye = np.array([3.0, -2.0, 1.4])
    pose, K = look_at(eye, np.array(solid.center_m)), intrinsics(100, 100, 60.0)
    targets = eye + 3 * (np.array(solid.center_m) - eye) + np.random.default_rng(1).uniform(-2, 2, size=(400, 3))
    (outline, _), (uv, _) = (project(p, K, pose) for p in (solid.corners(), targets))
    hull = cv2.convexHull(outline.astype(np.float32))
    inside = np.array([cv2.pointPolygonTest(hull, tuple(map(float, point)), measureDist=False) > 0 for point in uv])
    assert 20 < inside.sum() < 380
    np.testing.assert_array_equal(passes_through_box(eye, targets, solid.pose(), np.array(solid.size_m)), inside)


def test_altered_assets_stand_where_they_stood_and_are_larger_or_leaning() -> None:
    seen = set()
    for i in range(12):
        scene = asset_scene(i)
        scene = replace(scene, altered=alter_asset(np.reshape(scene.T_world_asset, (4, 4)), scene.foot_m(), np.random.default_rng(i)))
        np.testing.assert_allclose(scene.in_state(1).foot_m(), scene.foot_m(), atol=1e-9)
        before, after = scene.objects(0)[0], scene.objects(1)[0]
        ratio = np.array(after.size_m) / before.size_m
        leans = not np.allclose(T(after)[:3, :3].T @ T(after)[:3, :3], np.eye(3))
        seen.add("sheared" if leans else "larger" if ratio[0] > 1 else "smaller")
        assert np.allclose(ratio, ratio[0]) and (leans == np.allclose(ratio, 1.0))
        corners = box_corners(T(after), after.size_m)
        np.testing.assert_allclose(
            sorted(corners[:, 2]), sorted(np.repeat([scene.in_state(1).outline()[:, 2].min(), scene.in_state(1).outline()[:, 2].max()], 4))
        )
    assert seen == {"sheared", "larger", "smaller"}


def test_the_mirror_image_of_a_leaning_object_leans_the_other_way() -> None:
    (scene, shots) = next((scene, shots) for scene, shots in ALTERED if scene.altered and scene.altered.what == "sheared")
    shot = next(s for s in shots if s.state)
    view = View(ids.view_id(scene.scene_id, 0), scene.scene_id, shot.camera, scene.objects(1), "boxes", "CC0-1.0")
    image = mirrored_view(view)
    for o, m in zip(view.objects, image.objects, strict=True):
        there, back = (project(box_corners(T(x), x.size_m), v.camera.intrinsics(), v.camera.pose())[0] for x, v in ((o, view), (m, image)))
        order = lambda uv: uv[np.lexsort(np.round(uv.T, 6))]
        np.testing.assert_allclose(order(there * [-1, 1] + [112, 0]), order(back), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"altered_share": 0.5}, r"altered_share is 0.5 and companions is \[0, 0\]: only beside things that stay"),
        ({"altered_share": 0.5, "companions": (1, 2)}, "altered_share is 0.5 and render_views.views_per_scene is 4; give it at least 6"),
    ],
)
def test_what_cannot_be_altered_is_told(changes: dict[str, object], said: str) -> None:
    settings = load_params(REPO / "profiles/tiny.yaml").render_views
    with pytest.raises(UserError, match=said):
        replace(settings, scenes=replace(settings.scenes, **changes))
