"""The captures below a folder as scenes: which there are, which are taken, and whether too many were refused."""

from __future__ import annotations

from pathlib import Path

from actial import ids
from actial.errors import UserError
from actial.params import RenderViews
from actial.rng import generator_for
from actial.views.capture_reading import CaptureNote, note_of, relative_name
from actial.views.capture_workers import CaptureWorkers
from actial.views.captures import MASKS, find_captures
from actial.views.progress import ViewProgress
from actial.views.refusals import check_refused


def ingest_captures(root: Path, scratch: Path, settings: RenderViews, seed: int, n_workers: int) -> list[CaptureNote]:
    """Read every capture below a folder that does not stand in scratch yet.

    Args:
        root: the folder of captures.
        scratch: where the scenes are committed to, `scene-000000` being the first capture by path.
        n_workers: processes that read captures; the result does not depend on it.

    Returns:
        A note a capture, by path.

    Raises:
        UserError: there is no capture, or the share of refused ones is too large.
    """
    found = _candidates(root)
    if not found:
        raise UserError(
            f"{root} holds no capture: put each into a folder of its own there, photographs with a COLMAP model, a transforms.json or CO3D's annotations "
            f"({root}/README.md says how), or choose another render_views.backend"
        )
    drawn = sorted(generator_for(seed, "captures").permutation(len(found))[: settings.n_scenes])
    if len(drawn) < len(found):
        print(f"render_views: {len(drawn)} of {len(found)} captures are taken (render_views.n_scenes), drawn by the seed", flush=True)
    taken = {ids.scene_id(i): found[place] for i, place in enumerate(drawn)}
    notes = {scene_id: note for scene_id in taken if (note := note_of(scratch, scene_id))}
    if notes:
        print(f"render_views: {len(notes)} of {len(taken)} captures stand from a run before", flush=True)
    todo = {scene_id: folder for scene_id, folder in taken.items() if scene_id not in notes}
    with ViewProgress(len(taken), len(notes), "capture") as progress:
        for scene_id, lost in CaptureWorkers(root, scratch, settings.captures, n_workers).read(todo):
            note = note_of(scratch, scene_id) if lost is None else _lost(root, todo[scene_id], scene_id, lost)
            assert note is not None, "what a worker has read stands in scratch"
            notes[scene_id] = note
            progress.add(1)
    ordered = [notes[scene_id] for scene_id in taken]
    check_refused("capture", ordered, settings.max_refused_share)
    return ordered


def _candidates(root: Path) -> list[Path]:
    """Captures below a folder, by path, and its sub-folders that hold none: someone took them for captures."""
    found = find_captures(root)
    if found == [root]:
        return found
    holding = {folder for capture in found for folder in (capture, *capture.parents)}
    return sorted([*found, *(f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".") and f.name != MASKS and f not in holding)])


def _lost(root: Path, folder: Path, scene_id: str, how: str) -> CaptureNote:
    """The note of a capture over which workers died or hung; it is not kept, so that another run tries again."""
    name = relative_name(root, folder)
    return CaptureNote(name, scene_id, f"reader {how}", f"{root / name}: the process that read it {how}, twice")
