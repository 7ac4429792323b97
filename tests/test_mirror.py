"""Mirror images of views and questions, against the geometry they must obey."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_scenes import toy_views

from actial.errors import UnreadablePicture, UserError
from actial.geometry.angles import motion_between
from actial.geometry.projection import project
from actial.mirror import mirrored_id, mirrored_question, mirrored_view, original_id
from actial.questions.kinds import KINDS
from actial.records import Question, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewStore, ViewWriter, encode_png

VIEWS = [view for i in range(6) for view in toy_views(i)]
FLIPPED = np.array([-1.0, 1.0, 1.0])


@pytest.mark.parametrize("view", VIEWS[::5], ids=lambda v: v.view_id)
def test_a_mirrored_point_is_seen_in_the_mirrored_column(view: View) -> None:
    skewed = replace(view, camera=replace(view.camera, K=(90.0, 2.0, 40.0, 0.0, 95.0, 38.0, 0.0, 0.0, 1.0)))
    image = mirrored_view(skewed)
    points = generator_for(0, "points").normal(size=(20, 3)) * 0.5 + skewed.objects[0].center()
    uv, depth_m = project(points, skewed.camera.intrinsics(), skewed.camera.pose())
    mirrored_uv, mirrored_depth_m = project(points * FLIPPED, image.camera.intrinsics(), image.camera.pose())
    assert np.allclose(mirrored_uv, np.stack([skewed.camera.width_px - uv[:, 0], uv[:, 1]], axis=1)) and np.allclose(mirrored_depth_m, depth_m)


@pytest.mark.parametrize("view", VIEWS[::5], ids=lambda v: v.view_id)
def test_boxes_are_the_mirror_images_of_boxes(view: View) -> None:
    """Corners as a set: a box reflected is a box of the same size, in a right-handed pose."""
    tilted = replace(view.objects[1], T_world_obj=tuple((_rotation(3) @ np.array(view.objects[1].T_world_obj).reshape(4, 4)).ravel()), size_m=(0.1, 0.2, 0.4))
    image = mirrored_view(replace(view, objects=(view.objects[0], replace(tilted, front=(0.6, 0.0, 0.8))))).objects[1]
    assert np.linalg.det(np.array(image.T_world_obj).reshape(4, 4)) == pytest.approx(1.0)
    expected, found = (_corners(o) for o in (tilted, image))
    assert np.allclose(_in_order(expected * FLIPPED), _in_order(found))
    assert image.front == (-0.6, 0.0, 0.8)
    assert "-0.0," not in str(mirrored_view(view))


def test_questions_have_the_truth_of_the_mirrored_cameras() -> None:
    """By the quantities computed from the mirrored poses: each is the negative of the original's (all kinds: tests/questions/test_truth.py)."""
    checked = set()
    for first, second in itertools.pairwise(VIEWS):
        if first.scene_id != second.scene_id:
            continue
        motion, mirrored = (
            motion_between(a.camera.pose()[None], b.camera.pose()[None], a.objects[0].center())
            for a, b in ((first, second), (mirrored_view(first), mirrored_view(second)))
        )
        for kind in (KINDS[name] for name in ("lateral", "orbit", "turn", "perspective")):
            value, other = (float(getattr(m, kind.quantity)[0]) for m in (motion, mirrored))
            assert other == pytest.approx(-value)
            (axis,) = kind.axes
            label = "none" if abs(value) < 1e-6 else axis.positive if value > 0 else axis.negative
            image = mirrored_question(_question(f"{first.view_id}-{second.view_id.split('.')[1]}.{kind.name}", label, value, kind.quantity))
            assert image.label_of(image.truth) == ("none" if label == "none" else axis.positive if other > 0 else axis.negative)
            assert image.deciding_value == pytest.approx(other)
            checked.add((kind.name, label))
    assert len(checked) >= 8


def test_ids_of_mirror_images_are_ids() -> None:
    for identifier in ("scene-000042", "scene-000042.v03", "scene-000042.v03-v11", "scene-000042.v03-v11.orbit"):
        assert original_id(mirrored_id(identifier)) == identifier and original_id(identifier) is None


def test_a_store_opens_the_mirror_image_of_each_of_its_views(tmp_path: Path) -> None:
    pixels = generator_for(0, "pixels").integers(0, 256, (20, 30, 3), dtype=np.uint8)
    view, broken = VIEWS[0], VIEWS[1]
    with ViewWriter(tmp_path, 1) as writer:
        writer.add(view, encode_png(pixels))
        writer.add(broken, b"no picture")
    store, image = ViewStore(tmp_path), mirrored_id(view.view_id)
    assert store[image] == mirrored_view(view) and image in store and len(store) == 2
    assert np.array_equal(np.asarray(store.picture(image)), pixels[:, ::-1])
    with pytest.raises(UserError, match=f"view {image} is not in"):
        store.picture_bytes(image)
    with pytest.raises(UnreadablePicture, match=broken.view_id):
        store.picture(mirrored_id(broken.view_id))
    other = mirrored_id(VIEWS[2].view_id)
    assert other not in store
    with pytest.raises(UserError, match=f"view {other} is not in"):
        store[other]


def _question(question_id: str, label: str, value: float, quantity: str) -> Question:
    return Question(
        question_id=question_id,
        kind="orbit",
        family_id=question_id,
        view_ids=("scene-000000.v00", "scene-000000.v01"),
        text="",
        options=("a", "b", "c"),
        labels=("right", "none", "left"),
        truth="ABC"[("right", "none", "left").index(label)],
        deciding_quantity=quantity,
        deciding_value=value,
        margin=1.0,
        scene_id="scene-000000",
        tied_class="",
        source="",
    )


def _rotation(seed: int) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = np.linalg.qr(generator_for(seed, "rotation").normal(size=(3, 3)))[0]
    T[:3, :3] *= np.linalg.det(T[:3, :3])
    return T


def _corners(o: SceneObject) -> np.ndarray:
    T, half = np.array(o.T_world_obj).reshape(4, 4), np.array(o.size_m) / 2
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    return signs * half @ T[:3, :3].T + T[:3, 3]


def _in_order(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(np.round(points, 6).T)]
