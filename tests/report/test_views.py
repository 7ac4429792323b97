"""The gallery of views, from rendered pictures to what a person sees in a browser."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Tab, chromium_tab
from PIL import Image
from test_page import Parsed
from toy_scenes import PLAIN_PICTURE, REPO, at, make_project, run_stage, toy_views

from actial.errors import UserError
from actial.geometry.conventions import opencv_from_blender
from actial.records import SceneObject, View
from actial.report.rasters import shown_depth, shown_mask, shown_normals, shown_picture
from actial.report.scene_numbers import fov_deg, placement
from actial.report.views import rasters, write_gallery
from actial.shards import EncodedView, ViewStore, ViewWriter, encode_png

HOSTILE = '</script><script>document.title="pwned"</script><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered by the stage."""
    settings = {"backend": "boxes", "n_scenes": 5, "views_per_scene": 6, "width_px": 96, "height_px": 72}
    root = make_project(tmp_path_factory.mktemp("gallery") / "project", 0, **{f"render_views__{name}": value for name, value in settings.items()})
    (root / "flows").symlink_to(REPO / "flows")
    done = run_stage(root, "render_views")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def gallery(project: Path) -> Path:
    done = command(project)
    assert done.returncode == 0 and done.stdout == "runs/gallery/index.html\n", done.stderr
    return project / "runs/gallery/index.html"


@pytest.fixture(scope="module")
def store(project: Path) -> ViewStore:
    return ViewStore(project / "outputs/render_views/views")


def command(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "flows.cli", "gallery", *options]
    return subprocess.run(call, cwd=project, env=os.environ | {"ACTIAL_TRACKING": "off"}, capture_output=True, text=True)


def pictures_of(page: str) -> dict[str, str]:
    block = re.search(r'<script type="application/json" id="pictures">(.*?)</script>', page)
    assert block is not None
    return json.loads(block[1])


def decoded(address: str) -> Image.Image:
    kind, data = address.removeprefix("data:image/").split(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == kind.upper()
    return picture


def written(folder: Path, views: list[EncodedView], n_views: int = 12, captures: Any = None) -> str:
    """The gallery on views that are written to `folder` first."""
    with ViewWriter(folder / "outputs/render_views/views", shard_mb=64) as writer:
        for view in views:
            writer.add(*view)
    if captures is not None:
        (folder / "outputs/render_views/captures.json").write_text(json.dumps(captures))
    return write_gallery(folder / "outputs", folder / "index.html", 24, (), n_views).read_text(encoding="utf-8")


def rendered(store: ViewStore, scene_id: str = "scene-000000") -> list[EncodedView]:
    return [(v, store.picture_bytes(v.view_id) or b"", store.picture_bytes(v.view_id, "mask")) for v in store if v.scene_id == scene_id]


def test_every_view_is_there_with_its_pixels_and_its_mask_and_nothing_looks_wrong(gallery: Path, store: ViewStore) -> None:
    page, pictures = gallery.read_text(encoding="utf-8"), pictures_of(gallery.read_text(encoding="utf-8"))
    assert set(pictures) == {v.view_id + kind for v in store for kind in ("", "/mask")}
    for view in store:
        assert decoded(pictures[view.view_id]).convert("RGB").tobytes() == store.picture(view.view_id).tobytes()
        assert page.count(pictures[view.view_id]) == 1
        mask = np.asarray(Image.open(io.BytesIO(store.picture_bytes(view.view_id, "mask") or b"")))
        shown = np.asarray(decoded(pictures[f"{view.view_id}/mask"]))
        np.testing.assert_array_equal(shown[..., 3] > 0, mask > 0)
        colours = {number: {tuple(c) for c in shown[mask == number]} for number in np.unique(mask[mask > 0])}
        assert all(len(c) == 1 for c in colours.values()) and len(set.union(*colours.values())) == len(colours), "an object is of one colour of its own"
    assert page.count('class="overlay"') == len(store) and "5 of 5 scenes; 30 views" in page
    assert 'class="doubt"' not in page and "look wrong" not in page


def test_numbers_are_those_of_the_records(gallery: Path, store: ViewStore) -> None:
    page = gallery.read_text(encoding="utf-8")
    article = page.split('<article id="scene-000003"')[1].split("</article>")[0]
    views = [v for v in store if v.scene_id == "scene-000003"]
    center = views[0].objects[0].center()
    distances = [float(np.linalg.norm(v.camera.pose()[:3, 3] - center)) for v in views]
    for view, distance in zip(views, distances, strict=True):
        fx = view.camera.K[0]
        horizontal_deg = 2 * np.degrees(np.arctan(view.camera.width_px / 2 / fx))
        row = re.search(rf"<tr><td>{view.view_id[-2:]}</td>(.*?)</tr>", article)
        assert row is not None
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row[1])
        assert cells[:2] == [f"{distance / distances[0]:.3f}", f"{distance:.3f}"]
        assert cells[5].startswith(f"{horizontal_deg:.1f} × ") and cells[6].startswith(f"{fx:.2f}, ") and cells[8] == "96 × 72"
        assert f"{distance / distances[0]:.2f} r = {distance:.2f} m" in article
    for o in views[0].objects:
        assert f"<td>{o.name}</td>" in article and " × ".join(f"{x:.3f}" for x in o.size_m) in article


def test_elevation_and_azimuth_are_of_the_camera_seen_from_the_subject() -> None:
    view = replace(toy_views(0)[0], objects=())
    for eye, elevation_deg, azimuth_deg in (((1, 0, 0), 0, 0), ((0, 2, 0), 0, 90), ((-1, 0, 1), 45, 180), ((0, -1, -1), -45, 270), ((0, 0, 3), 90, 0)):
        T = np.eye(4)
        T[:3, 3] = eye
        found = placement(replace(view, camera=replace(view.camera, T_world_cam=tuple(T.ravel()))))
        np.testing.assert_allclose(found, (np.linalg.norm(eye), elevation_deg, azimuth_deg), atol=1e-9)
    off_centre = replace(view.camera, K=(84.0, 0.0, 0.0, 0.0, 84.0, 42.0, 0.0, 0.0, 1.0))
    np.testing.assert_allclose(fov_deg(off_centre), (45.0, 2 * np.degrees(np.arctan(0.5))))


def test_the_same_views_make_the_same_bytes(project: Path, gallery: Path, tmp_path: Path) -> None:
    assert write_gallery(project / "outputs", tmp_path / "a.html", 24, (), 12).read_bytes() == gallery.read_bytes()


def test_scenes_are_drawn_by_a_hash_or_named(project: Path, tmp_path: Path) -> None:
    shown = lambda n, named: re.findall(
        r'<article id="([^"]+)"', write_gallery(project / "outputs", tmp_path / "a.html", n, named, 12).read_text(encoding="utf-8")
    )
    three = shown(3, ())
    assert len(three) == 3 and three == sorted(three) and set(shown(2, ())) < set(three)
    assert shown(24, ["scene-000004", "scene-000001.v02", "scene-000004"]) == ["scene-000004", "scene-000001"]


def test_of_many_views_some_are_shown_and_all_cameras_are_in_the_sketches(project: Path, tmp_path: Path) -> None:
    done = command(project, "--scene", "scene-000002", "--views", "3", "--out", str(tmp_path / "few.html"))
    assert done.returncode == 0 and done.stdout == f"{tmp_path / 'few.html'}\n"
    page = (tmp_path / "few.html").read_text(encoding="utf-8")
    assert re.findall(r'<figure class="view" data-camera="([^"]+)"', page) == [f"scene-000002.v0{i}" for i in (0, 2, 5)]
    assert page.count('class="plane"') == 2 * 6 and "3 of 6 views" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scene", "scene-000040"], "scene-000040 is not among the 5 scenes in outputs/render_views; the nearest: scene-00000"),
        (["--scene", "scene-000001_mirrored"], "scene-000001_mirrored is not among the 5 scenes in outputs/render_views; the nearest: scene-000001"),
        (["--scenes", "0"], "--scenes is 0: a gallery shows at least 1"),
        (["--views", "-1"], "--views is -1: a gallery shows at least 1"),
    ],
)
def test_a_mistake_is_one_sentence(project: Path, options: list[str], said: str) -> None:
    done = command(project, *options, "--out", "nowhere.html")
    assert done.returncode == 2 and done.stderr.startswith(f"actial: error: {said}") and done.stderr.count("\n") == 1
    assert not (project / "nowhere.html").exists()


def test_without_views_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"outputs/render_views holds no views: run `actial run --only render_views` first"):
        write_gallery(tmp_path / "outputs", tmp_path / "index.html", 24, (), 12)


def test_a_view_without_a_camera_is_a_picture_alone(store: ViewStore, tmp_path: Path) -> None:
    views = [(replace(v, camera=replace(v.camera, T_world_cam=None), objects=()), p, None) for v, p, _ in rendered(store)]
    page = written(tmp_path, views)
    assert page.count('class="badge">no camera<') == 6 == len(pictures_of(page))
    assert 'class="overlay"' not in page and "No camera of this scene is known." in page and 'class="doubt"' not in page


def test_what_looks_wrong_is_said_and_marked_in_the_list(store: ViewStore, tmp_path: Path) -> None:
    (v0, p0, m0), (v1, p1, m1), (v2, _, m2), (v3, p3, _), (v4, p4, m4), (v5, p5, m5) = rendered(store)
    pose = v0.camera.pose()
    lying = replace(v0, camera=replace(v0.camera, T_world_cam=tuple(opencv_from_blender(pose).ravel())))
    moved = (*v1.objects[1].T_world_obj[:3], v1.objects[1].T_world_obj[3] + 1.0, *v1.objects[1].T_world_obj[4:])
    shifted = replace(v1, objects=(v1.objects[0], replace(v1.objects[1], T_world_obj=moved), *v1.objects[2:]))
    flat = encode_png(np.full((72, 96, 3), 7, np.uint8))
    stretched = replace(v4, camera=replace(v4.camera, T_world_cam=tuple((v4.camera.pose() * 1.1).ravel())))
    empty = encode_png(np.zeros((72, 96), np.uint8))
    page = written(tmp_path, [(lying, p0, m0), (shifted, p1, m1), (v2, flat, m2), (v3, p3[:50], empty), (stretched, p4, m4), (v5, p5, (m5 or b"")[:40])])
    doubts = {part.split('"')[0][-2:]: re.findall(r'class="doubt">(.*?)</p>', part) for part in page.split('<figure class="view" data-camera="')[1:]}
    assert doubts["00"] == ["the subject&#x27;s centre lies behind the camera"]
    assert len(doubts["01"]) == 1 and re.fullmatch(rf"\d+% of the pixels of {v1.objects[1].name} lie outside its box", doubts["01"][0])
    assert doubts["02"] == ["the picture is nearly one colour"]
    assert doubts["03"] == ["the picture cannot be read", "nothing of the subject is seen"]
    assert doubts["04"] == ["the camera&#x27;s pose is no rotation and translation"]
    assert doubts["05"] == ["the mask cannot be read"]
    assert "6 views look wrong" in page and v3.view_id not in pictures_of(page)


def test_a_camera_of_no_numbers_is_said_and_leaves_the_others_drawn(store: ViewStore, tmp_path: Path) -> None:
    views = rendered(store)
    lost, blind = replace(views[1][0].camera, T_world_cam=(float("nan"),) * 16), replace(views[2][0].camera, K=(0.0,) * 9)
    for i, camera in ((1, lost), (2, blind)):
        views[i] = (replace(views[i][0], camera=camera), *views[i][1:])
    page = written(tmp_path, views)
    assert page.count('class="plane"') == 2 * 4 and page.count("the camera&#x27;s pose is no rotation and translation") == 1
    assert page.count("K has no focal lengths, or another last row than 0, 0, 1") == 1
    assert not re.search(r'(?:points|d|cx|x1|viewBox)="[^"]*(?:nan|inf)', page)


def test_a_capture_has_its_quality_and_what_was_set_aside(tmp_path: Path) -> None:
    views = toy_views(0)
    note = {
        "capture": "mugs/blue",
        "scene_id": "scene-000000",
        "refused": None,
        "why": None,
        "licence": "CC",
        "pictures": [f"images/{i}.jpg" for i in range(8)],
    }
    note |= {"set_aside": {"the picture is missing": 3}, "masks_set_aside": {}, "left_out": 20, "quality": {"n_poses": 28, "up_error_deg": 0.4321}}
    bad = {"capture": "mugs/lost", "scene_id": "scene-000001", "refused": "files not readable", "why": "data/captures/mugs/lost is cut short"}
    captured = [(replace(v, objects=(replace(v.objects[0], shape="captured"),)), PLAIN_PICTURE, None) for v in views]
    (tmp_path / "outputs/render_views").mkdir(parents=True)
    (tmp_path / "outputs/render_views/manifest.json").write_text(json.dumps({"made": {}, "refused": {"captures (files not readable)": 1}}))
    assets = {"a.glb": {"refused": "broken", "why": "a.glb holds no mesh"}, "b.glb": {"refused": None, "why": None}}
    (tmp_path / "outputs/render_views/assets.json").write_text(json.dumps(assets))
    page = written(tmp_path, captured, captures={"mugs/blue": note, "mugs/lost": bad})
    article = page.split("<article")[1].split("</article>")[0]
    assert "<b>mugs/blue</b>: <code>n_poses 28 · up_error_deg 0.432</code>" in article
    assert "Set aside: pictures: 3 × the picture is missing; masks: none; 20 more pictures were not needed." in article
    assert "<td>images/7.jpg</td>" in article and "distance, d" in article and " m</text>" not in article
    aside = page.split('id="aside"')[1]
    assert "<td>mugs/lost</td><td>data/captures/mugs/lost is cut short</td>" in aside and "<td>captures (files not readable)</td>" in aside
    assert "<td>a.glb</td><td>a.glb holds no mesh</td>" in aside and "b.glb" not in aside


def test_large_pictures_are_shrunk_and_depth_and_normals_have_their_colours() -> None:
    large = shown_picture(Image.fromarray(np.random.Generator(np.random.PCG64(0)).integers(0, 255, (600, 900, 3)).astype(np.uint8)))
    assert decoded(large).size == (448, 299) and decoded(large).format == "JPEG"
    view, mask = toy_views(0)[0], np.zeros((600, 900), np.uint8)
    mask[100:, 50:] = 2
    assert decoded(shown_mask(mask, view)).size == (448, 299) and len(np.unique(np.asarray(decoded(shown_mask(mask, view))).reshape(-1, 4), axis=0)) == 2
    depth_m = np.linspace(1, 5, 64 * 48).reshape(48, 64)
    depth_m[0, 0] = np.inf
    shades = np.asarray(decoded(shown_depth(depth_m))).astype(int)
    assert tuple(shades[0, 0]) == (128, 128, 128)
    assert shades[1, 1].sum() > shades[24, 30].sum() > shades[47, 0].sum(), "the nearer the brighter"
    assert decoded(shown_depth(np.full((4, 4), np.nan))).getpixel((1, 1)) == (128, 128, 128)
    normals = np.zeros((8, 8, 3))
    normals[:4] = [0, 0, 1]
    normals[4:, :4] = [-1, 0, 0]
    colours = np.asarray(decoded(shown_normals(normals)))
    assert [tuple(colours[at]) for at in ((0, 0), (7, 0), (7, 7))] == [(128, 128, 255), (0, 128, 128), (128, 128, 128)]
    assert set(rasters(None, None, view, depth_m=depth_m, normals=normals)) == {f"{view.view_id}/depth", f"{view.view_id}/normals"}


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with chromium_tab() as tab:
        yield tab


def hostile_views() -> list[EncodedView]:
    scene_id = f'scene-"{HOSTILE}'
    views: list[View] = []
    for i, v in enumerate(toy_views(0)):
        objects = tuple(replace(o, name=HOSTILE, family=HOSTILE, shape=HOSTILE, color=HOSTILE, part_of=HOSTILE) for o in v.objects)
        views.append(replace(v, view_id=f"{scene_id.replace('.', '_')}.v{i:02d}", scene_id=scene_id, objects=objects, source=HOSTILE, licence=HOSTILE))
    return [(v, PLAIN_PICTURE, None) for v in views]


def test_no_name_becomes_markup(tmp_path: Path, tab: Tab) -> None:
    page = written(tmp_path, hostile_views())
    parsed = Parsed(page)
    assert "pwned" in page and [name for name, _ in parsed.tags].count("script") == 2
    assert not [a for name, a in parsed.tags if name == "img" and "data-view" not in a]
    tab.complaints.clear()
    tab.open((tmp_path / "index.html").as_uri())
    tab.press("ArrowRight")
    assert tab.value("document.title") == "Actial views" and tab.complaints == []


SHOWN = "[...document.querySelectorAll('.overlay .{0}, .canvas .{0}')].filter(e => e.getClientRects().length > 0).length"
ON_SCREEN = "[...document.querySelectorAll('article img')].filter(i => i.getBoundingClientRect().top < innerHeight && i.getClientRects().length > 0)"
AT_TOP = """(padding => [...document.querySelectorAll('article')].findIndex(a => Math.abs(a.getBoundingClientRect().top - padding) < 3))(
    parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop))"""


def test_a_person_can_step_through_scenes_and_switch_layers(tab: Tab, gallery: Path) -> None:
    tab.complaints.clear()
    tab.open(gallery.as_uri())
    tab.wait_for(f"{ON_SCREEN}.every(i => i.complete && i.naturalWidth > 0)")
    widths = tab.value(f"{ON_SCREEN}.map(i => i.naturalWidth)")
    assert len(widths) >= 3 and set(widths) == {96}
    for key, layer, at_first in (("a", "axes", True), ("b", "boxes", True), ("c", "cameras", True), ("o", "centre", True), ("m", "mask", False)):
        assert (tab.value(SHOWN.format(layer)) > 0) == at_first, layer
        tab.press(key)
        assert (tab.value(SHOWN.format(layer)) > 0) != at_first, layer
        tab.value(f"document.getElementById('layer-{layer}').click()")
        assert (tab.value(SHOWN.format(layer)) > 0) == at_first, layer
    tab.press("ArrowRight")
    assert tab.value(AT_TOP) == 1 and tab.value("location.hash") == "#scene-000001"
    tab.press("j")
    assert tab.value(AT_TOP) == 2
    tab.press("ArrowLeft")
    assert tab.value(AT_TOP) == 1
    assert tab.complaints == []


def test_the_drawing_lies_exactly_over_its_picture_at_any_size(tab: Tab, gallery: Path) -> None:
    tab.open(gallery.as_uri())
    box = "(e => {{ const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height] }})(document.querySelector('figure.view {}'))"
    wide = []
    for click in ("", "document.querySelector('.canvas').click()"):
        tab.value(click)
        picture, drawing = tab.value(box.format(".picture")), tab.value(box.format("svg"))
        np.testing.assert_allclose(drawing, picture, atol=0.01)
        assert abs(picture[2] / picture[3] - 96 / 72) < 0.01
        wide.append(picture[2])
    assert wide[1] > 1.5 * wide[0] and tab.value("document.querySelector('figure.view button').getAttribute('aria-pressed')") == "true"


def test_pointing_at_a_picture_lights_up_its_camera(tab: Tab, gallery: Path) -> None:
    tab.open(gallery.as_uri())
    x, y = tab.value("(r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelectorAll('.canvas')[2].getBoundingClientRect())")
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    lit = set(tab.value("[...document.querySelectorAll('.lit')].map(e => e.tagName + ' ' + e.dataset.camera)"))
    assert lit == {"FIGURE scene-000000.v02", "g scene-000000.v02"}


def test_a_deep_link_opens_its_scene(tab: Tab, gallery: Path) -> None:
    tab.complaints.clear()
    tab.open(f"{gallery.as_uri()}#scene-000003")
    tab.wait_for("document.querySelector('.list a[aria-current]').textContent === 'scene-000003'")
    assert tab.value(AT_TOP) == 3
    assert tab.complaints == []


def test_every_control_has_a_name_and_every_picture_a_text(gallery: Path) -> None:
    parsed = Parsed(gallery.read_text(encoding="utf-8"))
    found = [attributes["id"] for name, attributes in parsed.tags if "id" in attributes]
    assert len(found) == len(set(found)), "ids are unique"
    assert all("alt" in attributes for name, attributes in parsed.tags if name == "img")
    assert all("aria-label" in attributes for name, attributes in parsed.tags if name == "svg")
    page = gallery.read_text(encoding="utf-8")
    assert len(re.findall(r"<label><input|<label>Size <input", page)) == page.count("<input")


def test_what_moved_is_told_and_fronts_are_drawn(tmp_path: Path) -> None:
    views = toy_views(1, n_views=4)
    front = tuple(np.array([0.6, 0.8, 0.0]).tolist())
    for i, shift_m in enumerate((0.0, 0.7, 0.0, 0.7)):
        company = SceneObject("red_cone", "cone", "solid", "red", at(np.array([1.2 + shift_m, 0.0, 0.2])), (0.4, 0.4, 0.4))
        views[i] = replace(views[i], objects=(replace(views[i].objects[0], front=front), *views[i].objects[1:], company))
    page = written(tmp_path, [(view, PLAIN_PICTURE, None) for view in views])
    assert "in views 01, 03 the red cone stands 0.70 m from where it stands in the first that shows it" in page
    assert page.count(">moved: red cone</p>") == 2
    above, side = re.findall(r'<svg[^>]*class="sketch scene-(?:above|side)">.*?</svg>', page)
    assert above.count('class="thing elsewhere"') == side.count('class="thing elsewhere"') == 1
    ((x1, y1, x2, y2),) = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="front">', above)
    right, up = float(x2) - float(x1), float(y1) - float(y2)
    assert abs(np.arctan2(up, right) - np.arctan2(0.8, 0.6)) < 0.02
    assert "Something moved" not in written(tmp_path / "still", [(view, PLAIN_PICTURE, None) for view in toy_views(1, n_views=4)])


def test_it_fits_a_phone_and_follows_the_dark_mode(tab: Tab, gallery: Path) -> None:
    tab.open(gallery.as_uri(), width_px=360, height_px=740, dark=True)
    assert tab.value("document.documentElement.scrollWidth") == 360
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    tab.press("ArrowRight")
    assert tab.value(AT_TOP) == 1


def test_a_damaged_file_is_one_sentence(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "outputs", tmp_path / "outputs")
    (tmp_path / "outputs/render_views/captures.json").write_text("{")
    with pytest.raises(UserError, match=r"captures\.json is not valid JSON"):
        write_gallery(tmp_path / "outputs", tmp_path / "index.html", 24, (), 12)
    assert not (tmp_path / "index.html").exists()
