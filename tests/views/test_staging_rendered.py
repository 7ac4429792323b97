"""Companions, second states and fronts through Blender: the pictures show what records and masks say, whatever the number of workers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_blender import PLAN as STILL
from test_blender import middle, near_mask, of_color, scene_bytes, views

from actial import ids
from actial.report.view_checks import doubts
from actial.shards import decode_picture
from actial.views.blender import Renderers, rendering

pytestmark = pytest.mark.slow

PLAN = replace(STILL, width_px=140, height_px=140, companions=(2, 4), two_state_share=1.0, fronts=True)
SCENE_IDS = [ids.scene_id(i) for i in (0, 1, 3)]


@pytest.fixture(scope="module")
def studios(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for folder, n_workers in ((one, 1), (two, 2)):
        (folder / "scenes").mkdir()
        assert not any(done.refused for done in Renderers(rendering(PLAN, folder / "scenes"), folder / "logs", n_workers, 240, print).work(SCENE_IDS))
    return one, two


def test_one_worker_and_two_draw_the_same(studios: tuple[Path, Path]) -> None:
    one, two = studios
    assert [scene_bytes(one, s) for s in SCENE_IDS] == [scene_bytes(two, s) for s in SCENE_IDS]


def test_companions_appear_where_the_masks_of_both_states_say(studios: tuple[Path, Path]) -> None:
    off: dict[str, list[float]] = {"moved": [], "stayed": []}
    for scene_id in SCENE_IDS:
        found = views(studios[0], scene_id)
        first = found[0][0].objects
        for view, picture, mask_png in found:
            pixels = np.asarray(decode_picture(picture, view.view_id), float)
            mask = np.asarray(decode_picture(mask_png or b"", view.view_id))[..., 0]
            assert doubts(view, pixels.astype(np.uint8), mask, estimated=False) == []
            for number, o in enumerate(view.objects):
                if number and o.part_of is None and o.color != "white" and (mask == number).sum() > 60:
                    distance = np.linalg.norm(middle(near_mask(mask == number) & of_color(pixels, o.color)) - middle(mask == number))
                    off["stayed" if o == first[number] else "moved"].append(float(distance))
    assert len(off["moved"]) >= 4 and len(off["stayed"]) > 10
    for distances in off.values():
        assert np.median(distances) < 0.5 and np.quantile(distances, 0.9) < 1.5


def test_white_eyes_are_seen_from_before_the_front_alone(studios: tuple[Path, Path]) -> None:
    """From before it, some of the head is bright and some nearly black, which none of its back is."""
    n_before = n_behind = 0
    for scene_id in SCENE_IDS:
        for view, picture, mask_png in views(studios[0], scene_id):
            subject, number = view.objects[0], [o.name for o in view.objects].index("face")
            to_eye = view.camera.pose()[:3, 3] - view.objects[number].center()
            before = float(to_eye @ np.array(subject.front) / np.linalg.norm(to_eye))
            head = np.asarray(decode_picture(mask_png or b"", view.view_id))[..., 0] == number
            if head.sum() < 60 or abs(before) < 0.5:
                continue
            pixels = np.asarray(decode_picture(picture, view.view_id), float).mean(axis=-1)[head]
            contrast = np.quantile(pixels, 0.97) / max(np.quantile(pixels, 0.03), 1)
            n_before, n_behind = n_before + (before > 0), n_behind + (before < 0)
            assert contrast > 3.5 if before > 0 else contrast < 3.5, (view.view_id, before, contrast)
    assert n_before + n_behind >= 5
