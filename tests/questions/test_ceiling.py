"""Points matched between pictures tell how the camera moved, where the pictures have something to match."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "views"))

from textured_scene import SUBJECT_SIZE, photographs
from toy_scenes import at

from actial import ids
from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics
from actial.questions.ceiling import LEAST_MATCHES, SIGNED, ceiling_accuracy, matched_motion, matched_points, matched_value
from actial.records import Camera, Question, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewStore, ViewWriter, encode_png

SIZE = (360, 270)
SCENE = ids.scene_id(0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ViewStore:
    """A textured box from five places a step apart, at different heights and distances; then a gray picture."""
    rng = generator_for(3, "ceiling")
    K, center = intrinsics(*SIZE, 50.0), np.array([0, 0, SUBJECT_SIZE[2] / 2])
    places = [(a, rng.uniform(1.7, 2.3), rng.uniform(0.5, 1.0)) for a in np.radians([0, 14, 27, 42, 55])]
    poses = [look_at(np.array([r * np.cos(a), r * np.sin(a), z]), center + rng.uniform(-0.15, 0.15, 3)) for a, r, z in places]
    pictures = [*photographs(rng, np.array(poses), K, SIZE), np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)]
    subject = (SceneObject("subject", "box", "boxes", "", at(center), tuple(SUBJECT_SIZE)),)
    folder = tmp_path_factory.mktemp("ceiling")
    with ViewWriter(folder, shard_mb=64) as writer:
        for i, (T, picture) in enumerate(zip([*poses, poses[0]], pictures, strict=True)):
            writer.add(View(ids.view_id(SCENE, i), SCENE, Camera(*SIZE, tuple(K.ravel()), tuple(T.ravel())), subject, "toy", "CC0-1.0"), encode_png(picture))
    return ViewStore(folder)


def question(store: ViewStore, first: int, second: int, quantity: str) -> Question:
    views = [store[ids.view_id(SCENE, i)] for i in (first, second)]
    m = motion_between(*(v.camera.pose()[None] for v in views), views[0].objects[0].center())
    value = float(getattr(m, quantity)[0])
    pair = ids.group_id(views[0].view_id, views[1].view_id)
    labels = ("left", "right", "none")
    return Question(f"{pair}.k", "k", pair, (views[0].view_id, views[1].view_id), "?", labels, labels, "A", quantity, value, 1.0, SCENE, "", "toy")


def test_signs_of_every_quantity_come_out_of_pictures(store: ViewStore) -> None:
    least = dict.fromkeys(SIGNED, 0.08) | {"turn_deg": 3, "pitch_deg": 3, "orbit_deg": 3, "roll_deg": np.inf}
    signs = []
    for first, second in [(i, i + 1) for i in range(4)] + [(i + 1, i) for i in range(4)]:
        views = [store[ids.view_id(SCENE, i)] for i in (first, second)]
        found = matched_motion(*views, *(np.asarray(store.picture(v.view_id)) for v in views))
        true = motion_between(*(v.camera.pose()[None] for v in views), views[0].objects[0].center())
        signs += [(name, np.sign(getattr(found, name)) == np.sign(getattr(true, name))) for name in least if abs(getattr(true, name)) > least[name]]
    assert len(signs) >= 30 and {name for name, _ in signs} == SIGNED - {"roll_deg"}
    assert sum(bool(right) for _, right in signs) >= 0.95 * len(signs)


def test_pictures_without_anything_to_match_are_not_answered(store: ViewStore) -> None:
    q = question(store, 1, 5, "orbit_deg")
    assert matched_value(q, store) is None
    assert ceiling_accuracy([q], store, 10) == {"n": 1, "n_answered": 0, "accuracy": 0.0, "accuracy_of_answered": None}
    gray = np.asarray(store.picture(q.view_ids[1]))
    assert len(matched_points(gray, gray)[0]) < LEAST_MATCHES


def test_kinds_that_no_sign_decides_are_not_asked(store: ViewStore) -> None:
    assert ceiling_accuracy([question(store, 0, 1, "distance_r")], store, 10) == {"n": 0, "n_answered": 0, "accuracy": None, "accuracy_of_answered": None}
