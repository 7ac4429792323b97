"""Blender pictures: exact cameras, the same pixels for any number of workers, workers that die or hang cost a retry and then their scene.

BlenderProc never enters this process: its workers are programs of their own.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import scipy.ndimage

from actial import ids
from actial.errors import UserError
from actial.geometry.projection import project
from actial.passes import decode_depth, decode_normals
from actial.records import Camera
from actial.shards import EncodedView, ViewStore, ViewWriter, decode_picture, encoded_views
from actial.views import boxes, committed, supervisor
from actial.views.blender import Renderers, rendering
from actial.views.committed import Plan
from actial.views.scenes import PALETTE
from actial.views.supervisor import Done

pytestmark = pytest.mark.slow

PLAN = Plan(root_seed=19, source="blender", views_per_scene=6, width_px=112, height_px=112, samples=2)
SCENE_IDS = [ids.scene_id(i) for i in (0, 1, 3, 5)]


def rendered(folder: Path, n_workers: int, scene_ids: list[str] = SCENE_IDS, scene_limit_s: float = 240, on_start: Callable[[int], None] = print) -> list[Done]:
    (folder / "scenes").mkdir(exist_ok=True)
    return list(Renderers(rendering(PLAN, folder / "scenes"), folder / "logs", n_workers, scene_limit_s, on_start).work(scene_ids))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studio")
    done = rendered(folder, n_workers=2)
    assert sorted(d.name for d in done) == SCENE_IDS, "every scene once"
    assert not any(d.refused for d in done)
    assert not any(b"Fra:" in log.read_bytes() for log in (folder / "logs").iterdir()), "nobody wants to read how far each picture was"
    return folder


def scene_bytes(folder: Path, scene_id: str) -> bytes:
    return committed.file_of(folder / "scenes", scene_id).read_bytes()


def views(folder: Path, scene_id: str) -> list[EncodedView]:
    return encoded_views(committed.read(folder / "scenes", scene_id))


def test_parts_appear_where_projection_says(studio: Path) -> None:
    """The blob of a part's colour has its middle where the exact mask has it, within a pixel."""
    off = []
    for scene_id in SCENE_IDS:
        for view, picture, mask_png in views(studio, scene_id):
            pixels = np.asarray(decode_picture(picture, view.view_id), float)
            mask = np.asarray(decode_picture(mask_png or b"", view.view_id))[..., 0]
            for i, part in enumerate(view.objects[1:], start=1):
                if (mask == i).sum() < 60 or part.color == "white":
                    continue
                off.append(middle(near_mask(mask == i) & of_color(pixels, part.color)) - middle(mask == i))
    assert len(off) > 40
    assert np.abs(np.mean(off, axis=0)).max() < 0.15, "a shift of all pictures, as of a half pixel"
    distance = np.linalg.norm(off, axis=1)
    assert np.median(distance) < 0.35 and np.quantile(distance, 0.9) < 1.0


def middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)


def near_mask(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=4)


def of_color(pixels: np.ndarray, color: str) -> np.ndarray:
    """Pixels whose hue is that of a palette colour and which are far more saturated than ground, sky and stands."""
    linear = (pixels / 255) ** 2.2
    chroma = linear / np.maximum(linear.sum(axis=-1, keepdims=True), 1e-6)
    own = np.array(PALETTE[color]) / sum(PALETTE[color])
    return np.linalg.norm(chroma - own, axis=-1) < 0.5 * np.linalg.norm(own - 1 / 3)


def test_lone_spheres_project_onto_their_centres(studio: Path) -> None:
    """Independent of the mask: where no part is near a sphere and no stand before it, the blob of its colour is centred on the ellipse it projects to."""
    off = []
    for scene_id in SCENE_IDS:
        scene, shots = committed.composed(PLAN, scene_id)
        for i, part in enumerate(scene.parts, start=1):
            if part.shape != "sphere" or part.color == "white":
                continue
            for shot, (view, picture, _) in zip(shots, views(studio, scene_id), strict=True):
                whole = boxes.part_masks(replace(scene, parts=(part,), stands=()), [shot])[0] == 1
                seen, around = boxes.part_masks(scene, [shot])[0], near_mask(whole)
                if set(np.unique(seen[around])) != {0, i} or not np.array_equal(seen == i, whole):
                    continue
                pixels = np.asarray(decode_picture(picture, view.view_id), float)
                row, column = middle(around & of_color(pixels, part.color)) + 0.5
                off.append(np.linalg.norm([column, row] - ellipse_center(np.array(part.center_m), part.size_m[0] / 2, shot.camera)))
    assert len(off) >= 3
    assert np.median(off) < 0.4 and max(off) < 1.0


def ellipse_center(center: np.ndarray, radius_m: float, camera: Camera) -> np.ndarray:
    """(2,) pixels: the middle of the outline of a sphere. It lies beyond the projected centre: the rays at an angle of asin(r / d) on
    both sides of the centre's cut the picture at tan(a - asin(r / d)) and tan(a + asin(r / d)), a from the optical axis."""
    uv, depth_m = project(center[None], camera.intrinsics(), camera.pose())
    K, distance_m = camera.intrinsics(), np.linalg.norm(center - camera.pose()[:3, 3])
    a, half = np.arccos(depth_m[0] / distance_m), np.arcsin(radius_m / distance_m)
    return K[:2, 2] + (uv[0] - K[:2, 2]) * (np.tan(a - half) + np.tan(a + half)) / 2 / np.tan(a)


def test_pictures_are_bright_and_parts_are_lit(studio: Path) -> None:
    for view, picture, mask_png in views(studio, SCENE_IDS[0]):
        pixels = np.asarray(decode_picture(picture, view.view_id))
        mask = np.asarray(decode_picture(mask_png or b"", view.view_id))[..., 0]
        assert 70 < pixels.mean() < 225 and pixels.std() > 15
        assert (pixels[mask > 0].max(axis=-1) < 25).mean() < 0.02, "black faces"


def test_round_parts_are_shaded_as_their_surface_turns(studio: Path) -> None:
    """The mean brightness of each part is near the numpy renderer's, which knows the exact normals (a cone with wrong ones came out black)."""
    ratios: dict[str, list[float]] = {}
    for scene_id in SCENE_IDS:
        scene, shots = committed.composed(PLAN, scene_id)
        for shot, (view, picture, _) in zip(shots, views(studio, scene_id), strict=True):
            pixels, drawn = np.asarray(decode_picture(picture, view.view_id), float), boxes.render(scene, shot)
            for i, part in enumerate(scene.parts, start=1):
                if (drawn.mask == i).sum() > 60:
                    ratios.setdefault(part.shape, []).append(pixels[drawn.mask == i].max(axis=-1).mean() / drawn.pixels[drawn.mask == i].max(axis=-1).mean())
    assert set(ratios) == {"box", "sphere", "cylinder", "cone"}
    for shape, found in ratios.items():
        assert 0.75 < np.median(found) < 1.3, shape


def test_the_same_pixels_from_one_worker_after_another_in_another_order(studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RECYCLE_AFTER", 2)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    started: list[int] = []
    done = rendered(tmp_path, n_workers=1, scene_ids=SCENE_IDS[:0:-1], on_start=started.append)
    assert [d.name for d in done] == SCENE_IDS[:0:-1] and len(started) == 2
    assert not list(temporary.iterdir())
    for scene_id in SCENE_IDS[1:]:
        assert scene_bytes(tmp_path, scene_id) == scene_bytes(studio, scene_id)


def test_a_worker_that_dies_costs_a_retry_and_nothing_else(studio: Path, tmp_path: Path) -> None:
    started: list[int] = []
    (tmp_path / "scenes").mkdir()
    renderers = Renderers(rendering(PLAN, tmp_path / "scenes"), tmp_path / "logs", 1, 240, started.append)
    done = []
    for scene in renderers.work(SCENE_IDS[:3]):
        done.append(scene)
        if len(done) == 1:
            os.kill(started[0], signal.SIGKILL)
    assert [d.name for d in done] == SCENE_IDS[:3] and not any(d.refused for d in done)
    assert len(started) == 2
    assert [scene_bytes(tmp_path, s) for s in SCENE_IDS[:3]] == [scene_bytes(studio, s) for s in SCENE_IDS[:3]]
    assert not any(psutil.pid_exists(pid) for pid in started)


def test_a_scene_that_hangs_twice_is_set_aside(tmp_path: Path) -> None:
    """Each worker is frozen as soon as it says that it is ready, so that its first scene never comes back."""

    def freeze(pid: int) -> None:
        def when_rendering() -> None:
            while not is_ready(tmp_path / "logs" / "worker-0.log"):
                time.sleep(0.02)
            os.kill(pid, signal.SIGSTOP)

        threading.Thread(target=when_rendering, daemon=True).start()

    done = rendered(tmp_path, n_workers=1, scene_ids=SCENE_IDS[:1], scene_limit_s=5, on_start=freeze)
    assert done == [Done(SCENE_IDS[0], "renderer hung")]
    assert b"Fra:" in (tmp_path / "logs/lost" / f"{SCENE_IDS[0]}.log").read_bytes(), "what it told last is kept"


def is_ready(log: Path) -> bool:
    """Whether Cycles has begun its first picture."""
    return log.exists() and b"Fra:" in log.read_bytes()


def test_blender_that_does_not_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bpy.py").write_text("raise ImportError('libSM.so.6: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match=r"libSM\.so\.6.*apt-get install"):
        rendered(tmp_path, n_workers=2)


def test_a_bug_of_ours_is_not_said_to_be_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Blender is there by then or not; the traceback is in the log to its end."""
    with pytest.raises(UserError, match=r"^Blender does not start \(KeyError: 'plan'; full text in .*/logs/worker-0\.log\)$"):
        list(Renderers({"no": "plan"}, tmp_path / "logs", 1, 240).work(SCENE_IDS))
    assert (tmp_path / "logs/worker-0.log").read_text().count("Traceback") == 1
    (tmp_path / "bpy.py").write_text("raise ImportError('cannot import name Mesh')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^Blender does not start \(ImportError: cannot import name Mesh; full text in .*/worker-0\.log\)$"):
        rendered(tmp_path, n_workers=1)


def test_depth_and_normals_belong_to_the_picture(tmp_path: Path) -> None:
    """Every pixel put back into the world by its depth lies on the ground or in the box of the part that the mask names; the ground's normal is up."""
    plan = replace(PLAN, views_per_scene=4, passes=("depth", "normals"))
    (tmp_path / "scenes").mkdir()
    done = list(Renderers(rendering(plan, tmp_path / "scenes"), tmp_path / "logs", 1, 240).work(SCENE_IDS[:1]))
    assert not any(d.refused for d in done)
    with ViewWriter(tmp_path / "views", shard_mb=256) as writer:
        writer.add_table(committed.read(tmp_path / "scenes", SCENE_IDS[0]))
    store = ViewStore(tmp_path / "views")
    for view in store:
        depth_m, normals = (decode(store.picture_bytes(view.view_id, name) or b"") for decode, name in ((decode_depth, "depth"), (decode_normals, "normals")))
        mask = np.asarray(decode_picture(store.picture_bytes(view.view_id, "mask") or b"", view.view_id))[..., 0]
        T, K = view.camera.pose(), view.camera.intrinsics()
        v, u = np.mgrid[: view.camera.height_px, : view.camera.width_px] + 0.5
        in_camera = depth_m[..., None] * np.stack([(u - K[0, 2]) / K[0, 0], -(v - K[1, 2]) / K[1, 1], -np.ones_like(u)], axis=-1)
        points = in_camera @ T[:3, :3].T + T[:3, 3]
        inside_mask = mask == scipy.ndimage.minimum_filter(mask, 3)
        for i, part in enumerate(view.objects[1:], start=1):
            seen = (mask == i) & inside_mask & (scipy.ndimage.maximum_filter(mask, 3) == i)
            own = (points[seen] - part.center()) @ np.reshape(part.T_world_obj, (4, 4))[:3, :3]
            assert (np.abs(own) < np.array(part.size_m) / 2 + 0.06).all(axis=-1).mean() > 0.97, part.name
        ground = np.abs(points[..., 2]) < 0.03
        assert ground.mean() > 0.15
        up = normals @ T[:3, :3].T
        assert np.nanquantile(np.abs(up[ground] - [0, 0, 1]), 0.9) < 0.02 and np.isnan(up[ground]).mean() < 0.05
        assert np.isnan(depth_m[0]).any() or view.camera.pose()[2, 2] > 0.5, "no depth in the sky"
        assert np.asarray(store.picture(view.view_id)).shape == (112, 112, 3)
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "views/*.parquet"), split="train", cache_dir=str(tmp_path / "hf"))
    assert np.asarray(rows[0]["depth"]).max() > 1000


def test_finishes_are_drawn_by_solid_and_change_nothing_but_how_it_shines(studio: Path, tmp_path: Path) -> None:
    """Beside the pictures of matt solids: the same masks, some parts the same within the noise of two samples, others lighter or darker."""
    (tmp_path / "scenes").mkdir()
    plan = replace(PLAN, finishes=("matt", "satin", "glossy", "metal"))
    assert not any(d.refused for d in Renderers(rendering(plan, tmp_path / "scenes"), tmp_path / "logs", 1, 240).work(SCENE_IDS[:2]))
    changed: dict[tuple[str, int], list[float]] = {}
    for scene_id in SCENE_IDS[:2]:
        for (view, picture, mask), (_, matt, same_mask) in zip(views(tmp_path, scene_id), views(studio, scene_id), strict=True):
            assert mask == same_mask and picture != matt
            difference = np.asarray(decode_picture(picture, view.view_id), float) - np.asarray(decode_picture(matt, view.view_id), float)
            parts = np.asarray(decode_picture(mask or b"", view.view_id))[..., 0]
            for part in np.unique(parts[parts > 0]):
                changed.setdefault((scene_id, int(part)), []).append(abs(difference[parts == part].mean()))
    by_part = np.array([np.median(of) for of in changed.values()])
    assert (by_part < 2).any() and (by_part > 8).any(), by_part


def test_every_light_shows_the_same_scene_well_lit(studio: Path, tmp_path: Path) -> None:
    """Lamps and HDRIs: pictures neither dark nor burnt out, other than the sun's, with the same masks."""
    (tmp_path / "scenes").mkdir()
    plan = replace(PLAN, lights=("hdri", "three_point"))
    assert not any(d.refused for d in Renderers(rendering(plan, tmp_path / "scenes"), tmp_path / "logs", 1, 240).work(SCENE_IDS))
    assert {committed.composed(plan, scene_id)[0].sky.light for scene_id in SCENE_IDS} == {"hdri", "three_point"}
    for scene_id in SCENE_IDS:
        for (view, picture, mask), (_, by_sun, same_mask) in zip(views(tmp_path, scene_id), views(studio, scene_id), strict=True):
            pixels = np.asarray(decode_picture(picture, view.view_id)).astype(float)
            parts = pixels[np.asarray(decode_picture(mask or b"", view.view_id))[..., 0] > 0]
            assert mask == same_mask and picture != by_sun
            assert 35 < pixels.mean() < 225 and parts.max(axis=-1).mean() > 60 and (parts.min(axis=-1) > 250).mean() < 0.3
