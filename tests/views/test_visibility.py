"""Views that do not show their subject are left out one by one, counted by reason, and the rest of their scene stays."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_scenes import REPO, make_project, run_stage

from actial import ids
from actial.shards import ViewStore, encoded_views
from actial.views import boxes, committed
from actial.views.arrangements import Solid
from actial.views.cameras import Shot
from actial.views.committed import Plan
from actial.views.scenes import Scene
from actial.views.visibility import HiddenSubject, fault, faults

PLAN = Plan(root_seed=5, source="boxes", views_per_scene=6, width_px=84, height_px=84, samples=2)
SCENE_ID = ids.scene_id(0)
RENDER = {"backend": "boxes", "n_scenes": 8, "views_per_scene": 6, "width_px": 56, "height_px": 56}


def composed() -> tuple[Scene, list[Shot]]:
    scene, shots = committed.composed(PLAN, SCENE_ID)
    assert isinstance(scene, Scene)
    return scene, shots


def walled(scene: Scene, shot: Shot, width_m: float) -> Scene:
    """The scene with a wall half a metre before a camera, that much wide."""
    T = shot.camera.pose()
    middle, yaw_rad = T[:3, 3] - 0.5 * T[:3, 2], np.arctan2(T[1, 0], T[0, 0])
    wall = Solid("box", (width_m, 0.01, width_m), tuple(map(float, middle)), float(yaw_rad))
    return replace(scene, surroundings=(*scene.surroundings, wall))


def test_pictures_of_composed_scenes_show_their_subject() -> None:
    for i in range(20):
        scene, shots = committed.composed(PLAN, ids.scene_id(i))
        assert isinstance(scene, Scene)
        assert faults(shots, boxes.part_masks(scene, shots), scene.outline()) == [None] * 6


def test_each_fault_has_its_name() -> None:
    scene, shots = composed()
    shot, outline = shots[0], scene.outline()
    mask = boxes.render(scene, shot).mask
    assert fault(mask, outline, shot.camera) is None
    assert fault(boxes.render(walled(scene, shot, 3.0), shot).mask, outline, shot.camera) == "subject hidden", "all of it"
    columns = np.nonzero(mask.any(axis=0))[0]
    for share, expected in ((0.3, None), (0.7, "subject hidden")):
        partly = mask.copy()
        partly[:, : int(np.quantile(columns, share))] = 0
        assert fault(partly, outline, shot.camera) == expected
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        cut = mask.copy()
        cut[edge] = 1
        assert fault(cut, outline, shot.camera) == "subject cut"
    rows, columns = np.nonzero(mask)
    thin = np.zeros_like(mask)  # spans what the subject spans, with hardly a pixel
    thin[[rows.min(), rows.max()], [columns.min(), columns.max()]] = 1
    assert fault(thin, outline, shot.camera) == "subject tiny"


def test_the_least_number_of_pixels_is_a_share_of_the_picture() -> None:
    scene, shots = composed()
    full = boxes.render(scene, shots[0]).mask
    rows, columns = np.nonzero(full)
    for n, expected in ((28, "subject tiny"), (29, None)):  # 0.4 % of 84 x 84 are 28.2
        mask = np.zeros_like(full)
        mask[np.linspace(rows.min(), rows.max(), n).astype(int), np.linspace(columns.min(), columns.max(), n).astype(int)] = 1
        assert len(np.nonzero(mask)[0]) == n
        assert fault(mask, scene.outline(), shots[0].camera) == expected


def test_two_views_must_show_it_and_those_that_look_away_do_not_count() -> None:
    scene, shots = composed()
    masks = [boxes.render(scene, shot).mask for shot in shots]
    bare = np.zeros_like(masks[0])
    away = [replace(shot, role="away") for shot in shots]
    assert faults([*shots[:2], *away[2:]], [*masks[:2], *[bare] * 4], scene.outline()) == [None] * 6, "nothing is wrong with looking away"
    assert faults(shots, [*masks[:2], *[bare] * 4], scene.outline()) == [None, None, *["subject hidden"] * 4]
    with pytest.raises(HiddenSubject, match="fewer than 2 views show it: subject hidden"):
        faults([shots[0], *shots[1:3], *away[3:]], [masks[0], bare, bare, *masks[3:]], scene.outline())


def test_what_is_left_out_is_known_from_the_scenes_file_alone(tmp_path: Path) -> None:
    """Numbers keep their gap; the scene counts as whole again, though it has fewer views; rows are those of a scene where nothing was left out."""
    scene, shots = composed()
    whole = [boxes.render(scene, shot) for shot in shots]
    hidden = [boxes.render(walled(scene, shot, 3.0), shot) if i in (1, 4) else picture for i, (shot, picture) in enumerate(zip(shots, whole, strict=True))]
    for folder, pictures in (("whole", whole), ("hidden", hidden)):
        (tmp_path / folder).mkdir()
        committed.commit(tmp_path / folder, PLAN, scene, shots, pictures)
        assert committed.is_whole(tmp_path / folder, SCENE_ID, 6) and not committed.is_whole(tmp_path / folder, SCENE_ID, 5)
    assert committed.left_out(tmp_path / "whole", SCENE_ID) == {} and committed.left_out(tmp_path / "hidden", SCENE_ID) == {"subject hidden": 2}
    every, some = (committed.read(tmp_path / folder, SCENE_ID) for folder in ("whole", "hidden"))
    assert some.schema.equals(every.schema, check_metadata=True) and some.equals(every.take([0, 2, 3, 5]))
    assert [view.view_id for view, *_ in encoded_views(some)] == [ids.view_id(SCENE_ID, i) for i in (0, 2, 3, 5)]
    with pytest.raises(HiddenSubject):
        committed.commit(tmp_path, PLAN, scene, shots, [boxes.render(walled(scene, shot, 3.0), shot) for shot in shots])
    assert not committed.file_of(tmp_path, SCENE_ID).exists()


WALLS = """
import os, pathlib
import numpy as np
from actial.views import boxes, committed
from test_visibility import walled

render, commit = boxes.render, committed.commit
HIDDEN = {"scene-000001": {2}, "scene-000002": {0, 1, 2, 3, 4}, "scene-000005": {1, 5}}

def render_scene(scene, shots):
    hidden = HIDDEN.get(scene.scene_id, set())
    return [render(walled(scene, shot, 3.0) if i in hidden else scene, shot) for i, shot in enumerate(shots)]

def commit_until(folder, plan, scene, shots, pictures):
    commit(folder, plan, scene, shots, pictures)
    if scene.scene_id == os.environ.get("LAST"):
        os._exit(9)

boxes.render_scene, committed.commit = render_scene, commit_until
"""
"""Loaded by the stage's own process: a wall before some cameras, and an end in the middle."""


def rendered(folder: Path, **environment: str) -> Path:
    root = folder / "project"
    if not root.exists():
        settings = RENDER | {"max_refused_share": 0.2}
        make_project(root, 0, **{f"render_views__{name}": value for name, value in settings.items()})
        (folder / "sitecustomize.py").write_text(WALLS)
    tests = REPO / "tests"
    done = run_stage(root, "render_views", PYTHONPATH=f"{folder}:{REPO}:{tests}:{tests / 'views'}", **environment)
    assert done.returncode == (9 if environment else 0), done.stderr
    return root / "outputs/render_views"


def test_the_stage_leaves_out_single_views_also_when_it_was_stopped_between(tmp_path: Path) -> None:
    (tmp_path / "stopped").mkdir()
    out = rendered(tmp_path)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["made"] == {"scenes": 7, "views": 7 * 6 - 3}
    assert manifest["refused"] == {"scenes (fewer than 2 views show it: subject hidden)": 1, "views (subject hidden)": 3}
    numbers = {scene_id: [ids.parse(v.view_id).first for v in views] for scene_id, views in ViewStore(out / "views").scenes().items()}
    assert numbers["scene-000001"] == [0, 1, 3, 4, 5] and numbers["scene-000005"] == [0, 2, 3, 4] and "scene-000002" not in numbers
    rendered(tmp_path / "stopped", LAST="scene-000005")
    again = rendered(tmp_path / "stopped")
    assert json.loads((again / "manifest.json").read_text()) == manifest
    assert (again / "views/views-00000.parquet").read_bytes() == (out / "views/views-00000.parquet").read_bytes()


@pytest.mark.parametrize(
    ("moves", "said"),
    [
        ([], "render_views.moves is []: only the first view of a scene would show its subject; name one more, such as orbit"),
        (["away"], "render_views.moves is [away]: only the first view"),
        (["orbit", "roll", "orbit"], "render_views.moves names orbit twice"),
        (["orbit", "rol"], "render_views.moves[1] is 'rol'; it must be one of turned, orbit, shifted,"),
        ("orbit", "render_views.moves must be a list, not 'orbit'"),
    ],
)
def test_lists_that_make_no_views_are_a_sentence(moves: object, said: str, tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 0, render_views__backend="boxes", render_views__n_scenes=2, render_views__moves=moves)
    done = run_stage(root, "render_views")
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (root / "outputs/render_views").exists()
