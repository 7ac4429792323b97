"""Assets through the whole stage: every format gives the same object in the right place, and no malformed, hostile or odd file does any harm."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malformed_assets import FORMATS, write_malformed
from toy_scenes import make_project, run_stage

from actial.geometry.projection import project
from actial.records import SUBJECT_IN_MASK, View
from actial.report.view_checks import doubts
from actial.shards import ViewStore, decode_picture
from actial.views.scenes import PALETTE

pytestmark = pytest.mark.slow

RENDER = {"render_views__backend": "blender", "render_views__assets__source": "folder", "render_views__views_per_scene": 4, "render_views__samples": 2}
MARKS = {"blue": (-0.5, 0.0, 0.95), "red": (0.75, 0.0, 0.6), "green": (0.0, 0.75, 0.6)}
"""Middles of the ball and the two arms, in the object's own axes."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    program = Path(__file__).with_name("write_assets.py")
    subprocess.run([sys.executable, program, folder], check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def good(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = project_with(tmp_path_factory.mktemp("good"), written / "good", render_views__n_scenes=10)
    done = run_stage(root, "render_views", ACTIAL_WORKERS="2")
    assert done.returncode == 0, done.stderr
    return root


def project_with(folder: Path, assets: Path, **settings: Any) -> Path:
    root = make_project(folder / "project", 0, **RENDER | settings)
    shutil.copytree(assets, root / "data" / "assets", symlinks=True, dirs_exist_ok=True)
    return root


def told(root: Path) -> dict[str, Any]:
    return json.loads((root / "outputs/render_views/assets.json").read_text())


def test_every_format_is_the_same_object(good: Path) -> None:
    notes = told(good)
    assert sorted(notes) == sorted(FORMATS)
    for name, note in notes.items():
        assert note["refused"] is None, note["why"]
        assert np.allclose(note["extent"], (2.0, 1.5, 1.2), atol=0.03), name  # the ball has corners
        assert note["is_round"] is False and note["has_textures"] is False
    assert {notes[n]["n_faces"] for n in FORMATS if n not in ("stage.usdc",)} == {notes["binary.glb"]["n_faces"]}


def test_each_asset_is_shown_once_before_one_comes_again(good: Path) -> None:
    scenes = ViewStore(good / "outputs/render_views/views").scenes()
    assert sorted(views[0].source for views in scenes.values()) == sorted(FORMATS)


def test_its_parts_appear_where_projection_says(good: Path) -> None:
    """Scale, turn, place and mirror image at once: the blob of each colour lies where its own point is projected to."""
    store = ViewStore(good / "outputs/render_views/views")
    off: dict[str, list[float]] = {color: [] for color in MARKS}
    for view in store:
        if view.source in ("polygons.ply", "triangles.stl"):
            continue  # without colours
        pixels = np.asarray(store.picture(view.view_id), float) / 255
        for color, place in MARKS.items():
            blob = of_color(pixels, color)
            if blob.sum() < 12:
                continue
            (column, row) = projected(view, np.array(place))
            off[color].append(np.abs(np.argwhere(blob).mean(axis=0) + 0.5 - (row, column)).max())
    assert min(map(len, off.values())) > 15
    print({color: np.quantile(px, (0.5, 0.9)) for color, px in off.items()})
    assert np.median(off["blue"]) < 1.0 and np.quantile(off["blue"], 0.9) < 3.0
    assert max(np.quantile(off[arm], 0.9) for arm in ("red", "green")) < 9.0, "the post hides some of an arm"


def test_companions_of_assets_are_solids_with_numbers_of_their_own(written: Path, tmp_path: Path) -> None:
    """They are in the mask of the same render, in both states, and the asset is still whole and large enough."""
    staged = {"companions": [2, 3], "two_state_share": 1.0, "displacement_m": [0.6, 1.4], "altered_share": 0.0, "fronts": False}
    root = project_with(tmp_path, written / "good", render_views__n_scenes=2, render_views__scenes=staged, render_views__views_per_scene=6)
    done = run_stage(root, "render_views", ACTIAL_WORKERS="2")
    assert done.returncode == 0, done.stderr
    store, n_seen = ViewStore(root / "outputs/render_views/views"), 0
    for views in store.scenes().values():
        assert len({v.objects for v in views}) == 2
        for view in views:
            pixels = np.asarray(store.picture(view.view_id))
            mask = np.asarray(decode_picture(store.picture_bytes(view.view_id, "mask") or b"", view.view_id))[..., 0]
            assert doubts(view, pixels, mask, estimated=False) == []
            assert set(np.unique(mask)) <= {0, SUBJECT_IN_MASK, *range(1, len(view.objects))} and SUBJECT_IN_MASK in mask
            assert all(o.family == "solid" and o.part_of is None for o in view.objects[1:])
            for number, o in enumerate(view.objects[1:], start=1):
                if (mask == number).sum() > 30 and o.color != "white":
                    own = np.array(PALETTE[o.color]) / sum(PALETTE[o.color])
                    shown = ((pixels[mask == number] / 255) ** 2.2).mean(axis=0)
                    assert np.linalg.norm(shown / shown.sum() - own) < 0.5 * np.linalg.norm(own - 1 / 3)
                    n_seen += 1
    assert n_seen > 10


def projected(view: View, point: np.ndarray) -> np.ndarray:
    """(2,) pixels of a point of the object, by the record alone: the box's middle is the origin of `T_world_obj`."""
    subject = view.objects[0]
    T, scale = np.reshape(subject.T_world_obj, (4, 4)), np.max(subject.size_m) / 2.0
    world = T[:3, :3] @ ((point - (0.25, 0.5, 0.6)) * scale) + T[:3, 3]
    return project(world[None], view.camera.intrinsics(), view.camera.pose())[0][0]


def of_color(pixels: np.ndarray, color: str) -> np.ndarray:
    channel = ("red", "green", "blue").index(color)
    others = np.delete(pixels, channel, axis=-1).max(axis=-1)
    return pixels[..., channel] > 1.8 * others + 0.08


def test_the_mask_is_the_subject_and_the_box_is_around_it(good: Path) -> None:
    store = ViewStore(good / "outputs/render_views/views")
    for view in store:
        mask = np.asarray(decode_picture(store.picture_bytes(view.view_id, "mask") or b"", view.view_id))[..., 0]
        assert set(np.unique(mask)) == {0, SUBJECT_IN_MASK}
        rows, columns = np.nonzero(mask)
        signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
        T = np.reshape(view.objects[0].T_world_obj, (4, 4))
        uv, _ = project(signs * view.objects[0].size_m @ T[:3, :3].T + T[:3, 3], view.camera.intrinsics(), view.camera.pose())
        assert columns.min() > uv[:, 0].min() - 1.5 and columns.max() < uv[:, 0].max() + 1.5
        assert rows.min() > uv[:, 1].min() - 1.5 and rows.max() < uv[:, 1].max() + 1.5
        assert np.ptp(rows) > 0.4 * np.ptp(uv[:, 1]) and np.ptp(columns) > 0.4 * np.ptp(uv[:, 0])


def test_the_same_bytes_from_one_worker(good: Path, written: Path, tmp_path: Path) -> None:
    root = project_with(tmp_path, written / "good", render_views__n_scenes=10)
    done = run_stage(root, "render_views", ACTIAL_WORKERS="1")
    assert done.returncode == 0, done.stderr
    shard = "outputs/render_views/views/views-00000.parquet"
    assert (root / shard).read_bytes() == (good / shard).read_bytes()


def test_views_that_hide_the_subject_are_left_out_one_by_one(written: Path, tmp_path: Path) -> None:
    """What is seen of this asset spans more than half of it from its ends only. The others of its scenes stay, for any number of workers."""
    outs = []
    for n_workers in ("1", "2"):
        root = project_with(tmp_path / n_workers, written / "partly", render_views__n_scenes=8, render_views__max_refused_share=0.8)
        done = run_stage(root, "render_views", ACTIAL_WORKERS=n_workers)
        assert done.returncode == 0, done.stderr
        outs.append(root / "outputs/render_views")
    made, refused = (json.loads((outs[0] / "manifest.json").read_text())[name] for name in ("made", "refused"))
    print(made, refused)
    scenes = ViewStore(outs[0] / "views").scenes()
    n_scenes_refused = refused.pop("scenes (fewer than 2 views show it: subject hidden)", 0)
    assert made["scenes"] == len(scenes) == 8 - n_scenes_refused and set(refused) == {"views (subject hidden)"}
    assert made["views"] + refused["views (subject hidden)"] == 4 * len(scenes) and all(2 <= len(views) <= 4 for views in scenes.values())
    for view in (view for views in scenes.values() for view in views):
        off = view.camera.pose()[:3, 3] - view.objects[0].center()
        assert abs(np.reshape(view.objects[0].T_world_obj, (4, 4))[:3, 0] @ off) > 0.4 * np.linalg.norm(off[:2]), "seen from an end"
    assert (outs[0] / "views/views-00000.parquet").read_bytes() == (outs[1] / "views/views-00000.parquet").read_bytes()
    assert (outs[0] / "manifest.json").read_bytes() == (outs[1] / "manifest.json").read_bytes()


def test_malformed_assets_are_set_aside_each_with_its_reason(written: Path, tmp_path: Path) -> None:
    """More than 80 broken, hostile or odd files beside sound ones: no crash, no hang, none used that must not be, and the stage ends well."""
    assets = tmp_path / "assets"
    assets.mkdir()
    expected = write_malformed(written / "good", assets / "bad")
    for name in ("odd", "hostile", "good"):
        (assets / name).mkdir()
        for path in (written / name).iterdir():
            (assets / name / path.name).write_bytes(path.read_bytes())
    root = project_with(
        tmp_path, assets, render_views__n_scenes=200, render_views__max_refused_share=0.9, render_views__width_px=56, render_views__height_px=56
    )
    done = run_stage(root, "render_views", ACTIAL_WORKERS="2")
    assert done.returncode == 0, done.stderr
    notes = told(root)
    assert str(tmp_path) not in json.dumps(notes) and sys.prefix not in json.dumps(notes), "no path of this machine in an output"
    for name, note in sorted(notes.items()):
        print(f"{name:45} {note['refused'] or 'used'}: {note['why'] or note['repaired']}")
    assert len(expected) > 80 and set(expected) <= set(notes)
    assert not any("linked" in name for name in notes if name.startswith("bad/")), "links are not followed"
    for name, reasons in expected.items():
        refused = notes[name]["refused"]
        assert reasons is None or (refused is not None and any(refused.startswith(reason) for reason in reasons)), (name, notes[name])
    assert all(notes[f"good/{name}"]["refused"] is None for name in FORMATS)

    assert notes["odd/can.stl"]["refused"] == "looks the same from all around"
    assert notes["odd/textured.glb"]["has_textures"] and notes["odd/textured.glb"]["repaired"] == {}
    assert notes["odd/lost.gltf"]["repaired"] == {"textures missing or broken": 1}
    assert notes["odd/skinned.glb"]["extent"][2] < 2.5, "posed, not at rest"
    assert notes["hostile/linked.blend"]["refused"] == "names a file outside its folder"
    assert (written / "outside/secret.png").exists() and notes["hostile/peeking.blend"]["repaired"] == {"textures outside the folder": 1}
    assert notes["hostile/scripted.blend"]["refused"] is None and not (written / "outside" / "written_by_a_script").exists()
    shown = {view.source for view in ViewStore(root / "outputs/render_views/views")}
    assert shown <= {name for name, note in notes.items() if note["refused"] is None}


def test_assets_belong_to_blender(tmp_path: Path, written: Path) -> None:
    root = project_with(tmp_path, written / "good", render_views__backend="boxes")
    done = run_stage(root, "render_views")
    assert done.returncode == 2 and "only blender renders assets" in done.stderr


def test_an_empty_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    root = project_with(tmp_path, tmp_path / "none")
    done = run_stage(root, "render_views")
    assert done.returncode == 2 and "holds no asset" in done.stderr and "README.md" in done.stderr
