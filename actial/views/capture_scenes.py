"""The captures below a folder as scenes: each is read into scratch once, with a note of how well it is known, or of why it was refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from actial import ids
from actial.errors import RefusedCapture, UserError
from actial.params import RenderViews
from actial.rng import generator_for
from actial.views import committed
from actial.views.captures import Origin, find_captures, ingest_capture
from actial.views.progress import ViewProgress

REFUSALS_SAID = 20
DIGITS = 6


@dataclass(frozen=True, slots=True)
class CaptureNote:
    """What is told of a capture beside its views."""

    capture: str
    """Its folder, below the folder of captures; `.` for that folder itself."""
    scene_id: str
    refused: str | None = None
    """Why it was refused, in a few words."""
    why: str | None = None
    """The same in a sentence, with the number and the limit."""
    pictures: tuple[str, ...] = ()
    """The file that each view was made from."""
    set_aside: dict[str, int] | None = None
    """Pictures that were not used, by reason; None for a refused capture."""
    quality: dict[str, float] | None = None
    """See `captures.Quality`."""


def ingest_captures(root: Path, scratch: Path, settings: RenderViews, seed: int) -> list[CaptureNote]:
    """Read every capture below a folder that does not stand in scratch yet.

    Args:
        root: the folder of captures.
        scratch: where the scenes are committed to, `scene-000000` being the first capture by path.

    Returns:
        A note a capture, by path.

    Raises:
        UserError: there is no capture, or the share of refused ones is too large.
    """
    found = _candidates(root)
    if not found:
        raise UserError(
            f"{root} holds no capture: put each into a folder of its own there, photographs with a COLMAP model or a transforms.json "
            f"({root}/README.md says how), or choose another render_views.backend"
        )
    drawn = sorted(generator_for(seed, "captures").permutation(len(found))[: settings.n_scenes])
    if len(drawn) < len(found):
        print(f"render_views: {len(drawn)} of {len(found)} captures are taken (render_views.n_scenes), drawn by the seed", flush=True)
    taken = {ids.scene_id(i): found[place] for i, place in enumerate(drawn)}
    notes = {scene_id: note for scene_id in taken if (note := _standing(scratch, scene_id))}
    if notes:
        print(f"render_views: {len(notes)} of {len(taken)} captures stand from a run before", flush=True)
    with ViewProgress(len(taken), len(notes), "capture") as progress:
        for scene_id, folder in taken.items():
            if scene_id not in notes:
                notes[scene_id] = _ingested(root, folder, scene_id, scratch, settings)
                progress.add(1)
    ordered = [notes[scene_id] for scene_id in taken]
    _check_share(ordered, settings.max_refused_share)
    return ordered


def _candidates(root: Path) -> list[Path]:
    """Captures below a folder, by path, and its sub-folders that hold none: someone took them for captures."""
    found = find_captures(root)
    if found == [root]:
        return found
    holding = {folder for capture in found for folder in (capture, *capture.parents)}
    return sorted([*found, *(f for f in root.iterdir() if f.is_dir() and not f.name.startswith(".") and f not in holding)])


def _ingested(root: Path, folder: Path, scene_id: str, scratch: Path, settings: RenderViews) -> CaptureNote:
    name = _printable(folder.relative_to(root).as_posix())
    try:
        for path in (folder, *folder.rglob("*")):
            if path.is_symlink() and path.is_dir():
                raise RefusedCapture(f"{path} is a symbolic link, through which DVC sees no change: put the folder itself there", "symbolic link to a folder")
        capture = ingest_capture(folder, scene_id, origin_of(root, folder, settings.captures.licence), settings.captures)
    except RefusedCapture as error:
        note = CaptureNote(name, scene_id, error.reason, _printable(str(error)))
    else:
        committed.commit_views(scratch, scene_id, capture.views)
        quality = {key: round(value, DIGITS) for key, value in asdict(capture.quality).items()}
        note = CaptureNote(name, scene_id, pictures=tuple(map(_printable, capture.names)), set_aside=capture.set_aside, quality=quality)
    committed.write_whole(_note_file(scratch, scene_id), json.dumps(asdict(note)).encode())
    return note


def origin_of(root: Path, folder: Path, licence: str) -> Origin:
    """Where a capture's views say they come from: the source is the first folder of its path below `root`; the family, which can be held out of training,
    the path of the folder it lies in (MVImgNet's class), or its own name where it lies in `root` itself."""
    parts = [_printable(part) for part in folder.relative_to(root).parts] or [root.name]
    return Origin(parts[0], licence, "/".join(parts[:-1]) or parts[0])


def _standing(scratch: Path, scene_id: str) -> CaptureNote | None:
    """The note of a capture that a run before came to an end with, and whose views are whole."""
    try:
        read = json.loads(_note_file(scratch, scene_id).read_bytes())
    except (OSError, ValueError):
        return None
    note = CaptureNote(**read | {"pictures": tuple(read["pictures"])})
    return note if note.refused or committed.is_whole(scratch, scene_id, len(note.pictures)) else None


def _note_file(scratch: Path, scene_id: str) -> Path:
    return scratch / f"{scene_id}.json"


def _check_share(notes: list[CaptureNote], limit: float) -> None:
    refused = [note for note in notes if note.refused]
    for note in refused[:REFUSALS_SAID]:
        print(f"render_views: set aside: {note.why}", flush=True)
    if len(refused) > REFUSALS_SAID:
        print(f"render_views: … and {len(refused) - REFUSALS_SAID} more", flush=True)
    if not refused:
        return
    reason = Counter(note.refused for note in refused).most_common(1)[0][0]
    said = f"{len(refused)} of {len(notes)} captures had to be set aside, most often because: {reason}; the first: {refused[0].why}"
    if len(refused) == len(notes):
        raise UserError(f"no capture can be used: {said}")
    if len(refused) > limit * len(notes):
        raise UserError(f"more captures are refused than render_views.max_refused_share ({limit:g}) allows: {said}")


def _printable(text: str) -> str:
    """A path without the bytes that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")
