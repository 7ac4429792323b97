"""Scenes that are done: each is one small file in scratch, put in place whole, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from actial import ids
from actial.passes import encode_depth, encode_normals
from actial.records import View, subject_in_mask
from actial.rng import generator_for
from actial.shards import EncodedView, encode_png, picture_is_whole, view_table
from actial.views.asset_notes import asset_of_scene
from actial.views.asset_scenes import AssetScene, compose_asset_scene
from actial.views.boxes import Picture
from actial.views.cameras import MOVES, Shot, sample_cameras
from actial.views.scenes import PATTERNS, Look, Scene, compose_scene, with_look
from actial.views.staging import in_states, with_alteration, with_companions, with_front
from actial.views.visibility import faults

LICENCE = "CC0-1.0"
"""Of pictures of procedural scenes."""
LEFT_OUT = b"left_out"
"""In the metadata of a finished scene's file: how many of its views were left out, by reason, as JSON."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the pictures of a run depend on."""

    root_seed: int
    source: str
    """The backend's name."""
    views_per_scene: int
    width_px: int
    height_px: int
    samples: int
    assets: str | None = None
    """The folder of assets, where those are the subjects."""
    shelf: str | None = None
    """The folder with what is known of them (see `asset_notes`)."""
    lights: tuple[str, ...] = ("sun",)
    grounds: tuple[str, ...] = PATTERNS
    surroundings: bool = True
    """See `scenes.Look`."""
    finishes: tuple[str, ...] = ("matt",)
    """Among which that of each solid is drawn."""
    moves: tuple[str, ...] = MOVES
    """How each view stands to one drawn before, see `cameras`."""
    passes: tuple[str, ...] = ()
    """What is kept of each pixel beside its colour: depth, normals."""
    companions: tuple[int, int] = (0, 0)
    """Fewest and most of them."""
    two_state_share: float = 0.0
    """Of scenes in which a companion stands elsewhere in some views."""
    displacement_m: tuple[float, float] = (0.6, 1.4)
    """How far from its first place."""
    fronts: bool = False
    """Whether procedural subjects have a face."""
    altered_share: float = 0.0
    """Of scenes, of those whose companions never move, in which the subject is altered in some views."""


def composed(plan: Plan, scene_id: str) -> tuple[Scene | AssetScene, list[Shot]]:
    """The scene of that id and its shots.

    Raises:
        NoCameras: no set of cameras was found.
        NoRoom: companions find no place.
    """
    scene: Scene | AssetScene
    look = Look(tuple(plan.lights), tuple(plan.grounds), plan.surroundings)
    if plan.shelf is None:
        scene = with_look(compose_scene(plan.root_seed, scene_id), look, plan.root_seed)
        scene = with_front(scene, plan.root_seed) if plan.fronts else scene
    else:
        note = asset_of_scene(Path(plan.shelf), plan.root_seed, scene_id)
        assert note.shape is not None
        scene = with_look(compose_asset_scene(plan.root_seed, scene_id, note.asset, note.shape), look, plan.root_seed)
    scene = with_companions(with_alteration(scene, plan, plan.root_seed), plan, plan.root_seed)
    shots = sample_cameras(scene, plan, generator_for(plan.root_seed, f"{scene_id}/cameras"))
    return scene, in_states(scene, shots, plan.root_seed)


def file_of(folder: Path, scene_id: str) -> Path:
    """Where a finished scene is: an Arrow file with the rows of its views."""
    return folder / f"{scene_id}.arrow"


def commit(folder: Path, plan: Plan, scene: Scene | AssetScene, shots: list[Shot], pictures: list[Picture]) -> None:
    """Write a finished scene in one step; what stood there goes away. Views that do not show the subject as they should are left out, and counted
    in the file by reason; the others keep their numbers.

    Raises:
        HiddenSubject: too few views show it.
    """
    states = {shot.state for shot in shots}
    objects, outlines = {state: scene.objects(state) for state in states}, {state: scene.in_state(state).outline() for state in states}
    of_subject = np.zeros(256, np.uint8)
    of_subject[list(subject_in_mask(objects[shots[0].state]))] = 1
    why = faults(shots, [of_subject[p.mask] for p in pictures], np.stack([outlines[shot.state] for shot in shots]))
    kept = [i for i, reason in enumerate(why) if reason is None]
    pictures = [pictures[i] for i in kept]
    source, licence = (scene.asset.name, scene.asset.licence) if isinstance(scene, AssetScene) else (plan.source, LICENCE)
    views = [View(ids.view_id(scene.scene_id, i), scene.scene_id, shots[i].camera, objects[shots[i].state], source, licence) for i in kept]
    passes = {}
    if "depth" in plan.passes:
        passes["depth"] = [encode_depth(p.depth_m) for p in pictures if p.depth_m is not None]
    if "normals" in plan.passes:
        passes["normals"] = [encode_normals(p.normals) for p in pictures if p.normals is not None]
    encoded = ((view, encode_png(p.pixels), encode_png(p.mask)) for view, p in zip(views, pictures, strict=True))
    commit_views(folder, scene.scene_id, encoded, passes, Counter(reason for reason in why if reason))


def commit_views(
    folder: Path,
    scene_id: str,
    views: Iterable[EncodedView],
    passes: Mapping[str, Sequence[bytes]] | None = None,
    left_out: Mapping[str, int] | None = None,
) -> None:
    """The same for views with their pictures, and how many others there were, by the reason why they are left out."""
    table = view_table(views, passes)
    if left_out:
        table = table.replace_schema_metadata({**table.schema.metadata, LEFT_OUT: json.dumps(left_out, sort_keys=True)})
    data = pa.BufferOutputStream()
    with pa.ipc.new_file(data, table.schema) as writer:
        writer.write_table(table)
    write_whole(file_of(folder, scene_id), data.getvalue())


def write_whole(path: Path, data: bytes | pa.Buffer) -> None:
    """Write a file in scratch in one step; what a kill leaves half done is what `sweep` removes."""
    half = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        half.write_bytes(data)
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def read(folder: Path, scene_id: str) -> pa.Table:
    """A finished scene, as rows of a shard.

    Raises:
        pa.ArrowInvalid: the file is truncated or none.
        OSError: it cannot be read.
    """
    table = pa.ipc.open_file(file_of(folder, scene_id).read_bytes()).read_all()
    return table.replace_schema_metadata({name: value for name, value in table.schema.metadata.items() if name != LEFT_OUT})


def left_out(folder: Path, scene_id: str) -> Counter[str]:
    """How many views of a finished scene were left out, by reason.

    Raises:
        pa.ArrowInvalid: its file is truncated or none.
        OSError: it cannot be read.
    """
    with pa.OSFile(str(file_of(folder, scene_id))) as file:
        return Counter(json.loads(pa.ipc.open_file(file).schema.metadata.get(LEFT_OUT, b"{}")))


def is_whole(folder: Path, scene_id: str, n_views: int) -> bool:
    """Whether a scene was finished before, with so many views together with those left out, and every picture of it is as it was written: of masks, depth and
    normals, too."""
    try:
        table = read(folder, scene_id)
        table.validate(full=True)
        n_left_out = left_out(folder, scene_id).total()
    except (OSError, pa.ArrowException):
        return False
    columns = [field.name for field in table.schema if field.type == table.schema.field("image").type]
    cells = [(name, cell) for name in columns for cell in table[name].to_pylist()]
    return table.num_rows + n_left_out == n_views and all(picture_is_whole(cell["bytes"]) if cell else name == "mask" for name, cell in cells)


def sweep(folder: Path) -> None:
    """Remove what a kill left half done in a folder that `write_whole` writes into."""
    for half in folder.glob(".*-[0-9]*"):
        half.unlink()
