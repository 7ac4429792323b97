"""The gallery of views: scenes with what each camera says drawn over its picture, so that a wrong convention, box or picture is seen at a glance."""

from __future__ import annotations

import difflib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from actial import ids
from actial.errors import UnreadablePicture, UserError
from actial.passes import decode_depth, decode_normals
from actial.records import SceneObject, View
from actial.report.movements import Movement, movements, told
from actial.report.outputs import Outputs
from actial.report.overlay import number_of, overlay
from actial.report.packing import picture_blocks
from actial.report.page import Html, asset, join, missing, page, table, tag, write_page
from actial.report.rasters import shown_depth, shown_mask, shown_normals, shown_picture
from actial.report.scene_numbers import camera_rows, objects_table, quality_of, view_line
from actial.report.scene_sketch import sketches
from actial.report.view_checks import doubts
from actial.rng import seed_for
from actial.shards import ViewStore

LAYERS = (
    ("axes", "a", "World axes", True),
    ("boxes", "b", "Boxes", True),
    ("centre", "o", "Centre, fronts", True),
    ("cameras", "c", "Other cameras", True),
    ("mask", "m", "Mask", False),
)
"""What can be drawn over pictures: name, key, label, whether at first."""


@dataclass(frozen=True)
class ShownScene:
    """A scene of the page."""

    scene_id: str
    views: tuple[View, ...]
    """All of them, in order."""
    shown: tuple[View, ...]
    """Those whose pictures are shown."""
    capture: dict[str, Any] | None
    """What is told of the capture it was read from."""

    @property
    def unit(self) -> str:
        """What lengths are in: a capture's scale is arbitrary, and its median camera distance is 1."""
        return "m" if self.capture is None else "d"


def write_gallery(outputs: Path, target: Path, n_scenes: int, scene_ids: Sequence[str], n_views: int) -> Path:
    """Write the gallery on a folder of stage outputs to `target` (an .html file); returns it.

    Args:
        outputs: the folder above `render_views`.
        target: file to write.
        n_scenes: scenes shown where none are named, drawn by a hash of their ids.
        scene_ids: just these; ids of views or pairs name their scene.
        n_views: views shown of each scene, evenly chosen.

    Raises:
        UserError: there are no views, no scene has that id, a number is below 1, or a file is damaged.
    """
    for option, n in (("--scenes", n_scenes), ("--views", n_views)):
        if n < 1:
            raise UserError(f"{option} is {n}: a gallery shows at least 1")
    found = Outputs(outputs)
    if found.views is None:
        raise UserError(f"{outputs / 'render_views'} holds no views: run `actial run --only render_views` first, which makes what the gallery shows")
    views_of: dict[str, list[str]] = {}
    for view_id in itertools.filterfalse(ids.is_external, found.views.view_ids()):
        views_of.setdefault(view_id.partition(".")[0], []).append(view_id)
    chosen = _named(scene_ids, list(views_of), outputs) if scene_ids else _sample(list(views_of), n_scenes)
    notes = {note["scene_id"]: note for note in found.captures}
    scenes = [_scene(scene_id, [found.views[v] for v in views_of[scene_id]], n_views, notes.get(scene_id)) for scene_id in chosen]
    return write_page(gallery(scenes, found, len(views_of), drawn=not scene_ids), target)


def gallery(scenes: Sequence[ShownScene], outputs: Outputs, n_scenes: int, drawn: bool) -> str:
    """The whole page on some of `n_scenes` scenes; `drawn` says that they were not chosen by name."""
    assert outputs.views is not None
    pictures: dict[str, str] = {}
    articles, entries = [], []
    for scene in scenes:
        found = {v.view_id: _opened(v, outputs.views, pictures, scene.capture is not None) for v in scene.shown}
        articles.append(_article(scene, found, pictures))
        entries.append(_entry(scene, sum(map(bool, found.values()))))
    n_views, n_shown = sum(len(s.views) for s in scenes), sum(len(s.shown) for s in scenes)
    how = ", drawn by a hash of their ids" if drawn and len(scenes) < n_scenes else ""
    some = "" if n_shown == n_views else f" of {n_views:,}"
    lead = tag(
        "p",
        f"{len(scenes):,} of {n_scenes:,} scenes{how}; {n_shown:,}{some} views. What is drawn over a picture comes from its stored camera and boxes alone: "
        "where it does not fit what the picture shows, one of them is wrong.",
        class_="faint",
    )
    body = join(
        [
            _toolbar(),
            tag("div", tag("ol", *entries, class_="list", aria_label="Scenes"), tag("div", *articles, class_="shown"), class_="browser"),
            tag("noscript", tag("p", "Pictures need JavaScript; drawings and numbers are there without it.", class_="missing")),
        ]
    )
    sections = [("scenes", "Scenes", body), ("aside", "Set aside", _aside(outputs))]
    script, style = asset("pictures.js") + asset("views.js"), asset("views.css")
    return page("Actial views", sections, lead=lead, data=picture_blocks(pictures), script=script, style=style)


def rasters(
    picture: Image.Image | None, mask: np.ndarray | None, view: View, depth_m: np.ndarray | None = None, normals: np.ndarray | None = None
) -> dict[str, str]:
    """Addresses of all that there is of a view in pixels, by the page's key for it.

    Args:
        picture: RGB; None where it cannot be read.
        mask: (h, w) uint8, see `rasters.shown_mask`.
        view: whose they are.
        depth_m: (h, w) metres.
        normals: (h, w, 3) unit vectors.
    """
    found = {
        "": None if picture is None else shown_picture(picture),
        "/mask": None if mask is None else shown_mask(mask, view),
        "/depth": None if depth_m is None else shown_depth(depth_m),
        "/normals": None if normals is None else shown_normals(normals),
    }
    return {view.view_id + kind: address for kind, address in found.items() if address is not None}


def _named(wanted: Sequence[str], scene_ids: list[str], outputs: Path) -> list[str]:
    known, chosen = set(scene_ids), list(dict.fromkeys(w.partition(".")[0] for w in wanted))
    for scene_id in chosen:
        if scene_id not in known:
            near = ", ".join(difflib.get_close_matches(scene_id, scene_ids)) or scene_ids[0]
            raise UserError(f"{scene_id} is not among the {len(scene_ids):,} scenes in {outputs / 'render_views'}; the nearest: {near}")
    return chosen


def _sample(scene_ids: list[str], n: int) -> list[str]:
    kept = set(sorted(scene_ids, key=lambda s: seed_for(0, s))[:n])
    return [s for s in scene_ids if s in kept]


def _scene(scene_id: str, views: Sequence[View], n_views: int, capture: dict[str, Any] | None) -> ShownScene:
    places = np.linspace(0, len(views) - 1, min(n_views, len(views))).round().astype(int)
    return ShownScene(scene_id, tuple(views), tuple(views[i] for i in places), capture)


def _opened(view: View, store: ViewStore, pictures: dict[str, str], estimated: bool) -> list[str]:
    """Put a view's picture and mask among the pictures of the page; returns what is doubtful about it."""
    try:
        picture = store.picture(view.view_id)
    except UnreadablePicture:
        picture = None
    found, mask = [], None
    encoded = store.picture_bytes(view.view_id, "mask")
    if encoded is not None:
        try:
            with Image.open(io.BytesIO(encoded)) as opened:
                mask = np.asarray(opened.convert("L"))
        except (OSError, SyntaxError, ValueError):
            found.append("the mask cannot be read")
    depth, normals = (store.picture_bytes(view.view_id, name) for name in ("depth", "normals"))
    pictures |= rasters(picture, mask, view, decode_depth(depth) if depth else None, decode_normals(normals) if normals else None)
    return doubts(view, None if picture is None else np.asarray(picture), mask, estimated) + found


def _toolbar() -> Html:
    boxes = (
        tag("label", tag("input", type="checkbox", id=f"layer-{name}", checked=at_first, data_key=key), " ", label, " ", tag("kbd", key))
        for name, key, label, at_first in LAYERS
    )
    size = tag("label", "Size ", tag("input", type="range", id="size", min=8, max=40, value=15, step=1))
    keys = tag("span", tag("kbd", "←"), " ", tag("kbd", "→"), " scenes; a click enlarges", class_="faint")
    return tag("div", *boxes, size, keys, class_="layers", role="group", aria_label="Drawn over the pictures")


def _entry(scene: ShownScene, n_doubtful: int) -> Html:
    doubtful = tag("span", "!" * min(n_doubtful, 3), class_="wrong", title=f"{n_doubtful} views look wrong") if n_doubtful else None
    name = None if scene.capture is None else tag("span", scene.capture["capture"], class_="faint name")
    return tag("li", tag("a", tag("span", scene.scene_id), name, tag("span", doubtful, class_="marks"), href=f"#{scene.scene_id}"))


def _article(scene: ShownScene, found: dict[str, list[str]], pictures: dict[str, str]) -> Html:
    first = scene.views[0]
    drawings, moved = sketches(scene.views, scene.unit), movements(scene.views)
    plans = [tag("figure", drawing, tag("figcaption", caption)) for caption, drawing in drawings] or [missing("No camera of this scene is known.")]
    return tag(
        "article",
        tag("h3", tag("a", scene.scene_id, href=f"#{scene.scene_id}")),
        tag("p", _summary(scene, first), class_="faint"),
        tag("p", f"Something moved: {told(moved, scene.unit)}; the sketches show that in broken lines.", class_="moved") if moved else None,
        None if scene.capture is None else quality_of(scene.capture),
        tag(
            "div",
            tag("div", *plans, class_="plans"),
            tag("div", *(_figure(scene, view, found[view.view_id], moved, pictures) for view in scene.shown), class_="pictures"),
            class_="layout",
        ),
        tag(
            "details",
            tag("summary", "Cameras and objects in numbers"),
            camera_rows(scene.views, scene.capture, scene.unit),
            objects_table(scene.views, scene.unit),
        ),
        id=scene.scene_id,
        class_="scene",
    )


def _summary(scene: ShownScene, first: View) -> str:
    n, k = len(scene.views), len(scene.shown)
    parts = [f"{n} views" if n == k else f"{k} of {n} views"]
    if first.objects:
        subject: SceneObject = first.objects[0]
        parts += [f"{subject.family} ({subject.shape})", " × ".join(f"{x:.2f}" for x in subject.size_m) + f" {scene.unit}"]
    return " · ".join([*parts, f"source {first.source}", f"licence {first.licence or 'not stated'}"])


def _figure(scene: ShownScene, view: View, found: Sequence[str], moved: Sequence[Movement], pictures: dict[str, str]) -> Html:
    """One picture with what is drawn over it, and beside it what else there is of it in pixels."""
    drawing = overlay(view, scene.views)
    has = lambda kind: view.view_id + kind in pictures
    shape = f"aspect-ratio:{view.camera.width_px}/{view.camera.height_px}"
    return tag(
        "figure",
        tag(
            "div",
            tag("img", data_view=view.view_id, alt=f"Picture of {view.view_id}", class_="picture"),
            tag("img", data_view=f"{view.view_id}/mask", alt="", class_="mask") if has("/mask") else None,
            drawing if drawing is not None else tag("span", "no camera", class_="badge"),
            class_="canvas",
            style=shape,
        ),
        *(tag("img", data_view=view.view_id + kind, alt=f"{kind[1:]} of {view.view_id}", style=shape) for kind in ("/depth", "/normals") if has(kind)),
        tag(
            "figcaption",
            tag("button", f"v{number_of(view)}", type="button", aria_pressed="false", title="enlarge"),
            " ",
            view_line(view, scene.views, scene.unit),
        ),
        *(tag("p", f"moved: {m.name()}", class_="moved") for m in moved if view in m.views),
        *(tag("p", doubt, class_="doubt") for doubt in found),
        class_="view",
        data_camera=view.view_id,
    )


def _aside(outputs: Outputs) -> Html:
    """What the stage refused, by reason, and each capture and asset that was refused."""
    manifest = outputs.manifests.get("render_views")
    if manifest is None:
        return missing("There is no manifest.json beside the views: nothing says what was refused.")
    told = [*((note["capture"], note) for note in outputs.captures), *outputs.assets.items()]
    refused = [[name, note["why"]] for name, note in told if note["refused"]]
    return join(
        [
            table(["what and why", "number"], [[what, f"{n:,}"] for what, n in sorted(manifest["refused"].items())], numeric=[1])
            if manifest["refused"]
            else tag("p", "Nothing was refused."),
            table(["what", "why it was refused"], refused) if refused else None,
        ]
    )
