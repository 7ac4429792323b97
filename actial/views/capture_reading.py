"""One capture read into scratch, with a note of how well it is known, or of why it was refused; as a program, the worker of `capture_scenes`."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from actial.errors import RefusedCapture
from actial.params_views import Captures
from actial.views import committed
from actial.views.captures import MASKS, Capture, Origin, ingest_capture
from actial.views.supervisor import Job

DIGITS = 6
LICENCE_STEMS, LICENCE_SUFFIXES = ("licence", "license"), ("", ".txt", ".md")
"""Names of a file, in capitals or not, whose first line that is not empty is the licence of all captures in its folder and below."""
LICENCE_BYTES, LICENCE_CHARS = 65536, 200


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
    licence: str | None = None
    """Of its photographs; None for a refused capture, as all below."""
    pictures: tuple[str, ...] = ()
    """The file that each view was made from."""
    set_aside: dict[str, int] | None = None
    """Pictures that were not used, by reason."""
    masks_set_aside: dict[str, int] | None = None
    """Masks that were not used, by reason."""
    left_out: int | None = None
    """Pictures beyond `captures.max_views`, which were not opened."""
    quality: dict[str, float] | None = None
    """See `captures.Quality`."""


def read_scene(root: Path, folder: Path, scene_id: str, scratch: Path, settings: Captures) -> CaptureNote:
    """Read a capture below `root` and commit its views and its note to scratch."""
    name = relative_name(root, folder)
    try:
        _refuse_links(folder)
        origin = origin_of(root, folder, licence_of(root, folder) or settings.licence)
        capture = ingest_capture(folder, scene_id, origin, settings, _parallel_masks(root, folder))
    except RefusedCapture as error:
        note = CaptureNote(name, scene_id, error.reason, _printable(str(error)))
    else:
        committed.commit_views(scratch, scene_id, capture.views)
        note = _note(name, scene_id, origin.licence, capture)
    committed.write_whole(_note_file(scratch, scene_id), json.dumps(asdict(note)).encode())
    return note


def note_of(scratch: Path, scene_id: str) -> CaptureNote | None:
    """The note of a capture that was read to its end, and whose views are whole."""
    try:
        read = json.loads(_note_file(scratch, scene_id).read_bytes())
    except (OSError, ValueError):
        return None
    note = CaptureNote(**read | {"pictures": tuple(read["pictures"])})
    return note if note.refused or committed.is_whole(scratch, scene_id, len(note.pictures)) else None


def origin_of(root: Path, folder: Path, licence: str) -> Origin:
    """Where a capture's views say they come from: the source is the first folder of its path below `root`; the family, which can be held out of training,
    the path of the folder it lies in (MVImgNet's class, CO3D's category), or its own name where it lies in `root` itself."""
    parts = [_printable(part) for part in folder.relative_to(root).parts] or [root.name]
    return Origin(parts[0], licence, "/".join(parts[:-1]) or parts[0])


def licence_of(root: Path, folder: Path) -> str | None:
    """What the nearest licence file says, in the capture's folder or one above it up to `root`; None where there is none.

    Raises:
        RefusedCapture: that file is empty or no UTF-8 text, or leads out of its folder: no licence is guessed.
    """
    for place in (folder, *folder.parents):
        for name in sorted(os.listdir(place)):
            if name.lower() in _LICENCE_NAMES and not (place / name).is_dir():
                return _first_line(place / name)
        if place == root:
            break
    return None


_LICENCE_NAMES = {stem + suffix for stem in LICENCE_STEMS for suffix in LICENCE_SUFFIXES}


def _first_line(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        raise RefusedCapture(f"{path} is no plain file: write the licence into it", LICENCE_UNREADABLE)
    try:
        with path.open("rb") as file:
            text = file.read(LICENCE_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedCapture(f"{path} is not readable as text: {error}", LICENCE_UNREADABLE) from None
    lines = [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]
    if not lines or not lines[0].isprintable():
        raise RefusedCapture(f"{path} is empty or no text: its first line must name the licence, for example CC-BY-4.0", LICENCE_UNREADABLE)
    return lines[0][:LICENCE_CHARS]


LICENCE_UNREADABLE = "licence not readable"


def relative_name(root: Path, folder: Path) -> str:
    """A capture's folder below the folder of captures, as text."""
    return _printable(folder.relative_to(root).as_posix())


def _refuse_links(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() and path.is_dir():
            raise RefusedCapture(f"{path} is a symbolic link, through which DVC sees no change: put the folder itself there", "symbolic link to a folder")


def _parallel_masks(root: Path, folder: Path) -> Path | None:
    """The folder of a capture's masks where it is not in its own: MVImgNet has `masks/<class>/<instance>` beside its classes."""
    place = folder.relative_to(root).parts[-2:]
    beside = folder.parent.parent / MASKS / Path(*place)
    return beside if len(place) == 2 and not (folder / MASKS).is_dir() and beside.is_dir() and beside.resolve().is_relative_to(root.resolve()) else None


def _note(name: str, scene_id: str, licence: str, capture: Capture) -> CaptureNote:
    return CaptureNote(
        name,
        scene_id,
        licence=licence,
        pictures=tuple(map(_printable, capture.names)),
        set_aside=capture.set_aside,
        masks_set_aside=capture.masks_set_aside,
        left_out=capture.left_out,
        quality={key: round(value, DIGITS) for key, value in asdict(capture.quality).items()},
    )


def _note_file(scratch: Path, scene_id: str) -> Path:
    return scratch / f"{scene_id}.json"


def _printable(text: str) -> str:
    """A path without the bytes that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def reading(root: Path, scratch: Path, settings: Captures) -> Job:
    """The job of reading captures below `root` and committing their scenes to `scratch`."""
    return {"root": str(root), "scratch": str(scratch), "settings": asdict(settings)}


def serve(reply_fd: int) -> None:
    """Read the captures that arrive on standard input, each a JSON list of a scene's id and a folder, until it closes (see `supervisor`)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it
    cv2.setNumThreads(1)
    with os.fdopen(reply_fd, "w", buffering=1, encoding="utf-8") as replies:
        job: Job = json.loads(sys.stdin.readline())
        root, scratch, settings = Path(job["root"]), Path(job["scratch"]), Captures(**job["settings"])
        print(json.dumps({"ready": True}), file=replies)
        for line in sys.stdin:
            scene_id, folder = json.loads(line)
            reply: dict[str, Any] = {"done": scene_id}
            try:
                read_scene(root, Path(folder), scene_id, scratch, settings)
            except OSError as error:
                if error.errno is None:
                    raise
                reply = {"errno": error.errno, "file": _printable(str(error.filename))}
            print(json.dumps(reply), file=replies)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
