"""The captures below a folder as scenes: which there are, which are taken, and whether too many were refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from actial import ids
from actial.errors import UserError
from actial.params_views import RenderViews
from actial.rng import generator_for
from actial.views.capture_reading import CaptureNote, note_of, reading, relative_name
from actial.views.captures import MASKS, find_captures
from actial.views.progress import ViewProgress
from actial.views.refusals import check_refused
from actial.views.supervisor import Done, Supervisor, Worker

LIMIT_S = 3600.0
"""A capture that takes longer counts as hung; a thousand pictures of 20 megapixels take a quarter of that."""


@dataclass
class Readers(Supervisor):
    """Reads captures, named by their scenes' ids."""

    folders: dict[str, Path] = field(default_factory=dict)
    """Where each is."""

    module = "actial.views.capture_reading"
    word = "reader"
    software = "a reader of captures"

    def _line(self, name: str) -> str:
        return json.dumps([name, str(self.folders[name])])

    def _ended_by_itself(self, worker: Worker) -> None:
        """Raises RuntimeError where no signal ended it: captures are refused, they raise nothing."""
        if worker.process.returncode >= 0:
            what = "captures" if worker.in_hand is None else self.folders[worker.in_hand]
            raise RuntimeError(f"reading {what} ended with exit code {worker.process.returncode}; the traceback is in {worker.log}")


def ingest_captures(
    root: Path, scratch: Path, logs: Path, settings: RenderViews, seed: int, n_workers: int = 0, memory_mb: int = 0, limit_s: float = LIMIT_S
) -> list[CaptureNote]:
    """Read every capture below a folder that does not stand in scratch yet.

    Args:
        root: the folder of captures.
        scratch: where the scenes are committed to, `scene-000000` being the first capture by path.
        logs: where the processes that read them write their logs.
        n_workers: how many of these there are, 0 for one a CPU core; the result does not depend on it.
        memory_mb: machine setting `worker_memory_mb`.
        limit_s: a capture that takes longer is set aside.

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
        readers = Readers(reading(root, scratch, settings.captures), logs, n_workers, limit_s, memory_mb=memory_mb, folders=todo)
        for done in readers.work(todo):
            note = note_of(scratch, done.name) if done.refused is None else _lost(root, todo[done.name], done)
            assert note is not None, "what a worker has read stands in scratch"
            notes[done.name] = note
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


def _lost(root: Path, folder: Path, done: Done) -> CaptureNote:
    """The note of a capture over which workers died or hung; it is not kept, so that another run tries again."""
    name = relative_name(root, folder)
    how = str(done.refused).removeprefix(Readers.word)
    return CaptureNote(name, done.name, done.refused, f"{root / name}: the process that read it{how}, twice")
