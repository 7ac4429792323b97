"""Frames of a video as pictures: a folder of them that somebody took before, or taken here from the file, or out of an archive, at evenly spaced times."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actial.evaluation.benchmarks.archives import archived
from actial.shards import encode_png

if TYPE_CHECKING:
    import cv2

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


def evenly_spaced(n: int, wanted: int) -> list[int]:
    """Places of at most `wanted` of n things, the first and the last among them, evenly spaced and rounded down, as both kits take frames."""
    if n <= wanted:
        return list(range(n))
    return [place * (n - 1) // (wanted - 1) for place in range(wanted)] if wanted > 1 else [0]


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names: frame-2 comes before frame-10."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(files, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)])


def frames_of(folder: Path, name: str, wanted: int) -> Sequence[bytes]:
    """Encoded frames of the video `name` of a benchmark: the pictures of a folder of that name, or else frames of `name`.mp4 as PNG, without further loss.

    Where there are fewer than wanted, all; none where there is neither, or it cannot be read.
    """
    if (folder / name).is_dir():
        files = frame_files(folder / name)
        return [files[i].read_bytes() for i in evenly_spaced(len(files), wanted)]
    if (video := folder / f"{name}.mp4").exists():
        return _decoded(video, wanted)
    if (data := archived(folder, f"{name}.mp4")) is None:
        return []
    with tempfile.NamedTemporaryFile(suffix=".mp4") as copy:
        copy.write(data)
        copy.flush()
        return _decoded(Path(copy.name), wanted)


def _decoded(video: Path, wanted: int) -> list[bytes]:
    """Read from the start: a seek lands on the nearest key frame in some files. Where a file holds fewer frames than it says, they are counted."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a broken file is our sentence to say
    import cv2

    n = int(cv2.VideoCapture(str(video), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT))
    found = _taken(cv2.VideoCapture(str(video), cv2.CAP_FFMPEG), evenly_spaced(n, wanted))
    if not found:
        counting, n = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG), 0
        while counting.grab():
            n += 1
        found = _taken(cv2.VideoCapture(str(video), cv2.CAP_FFMPEG), evenly_spaced(n, wanted))
    return found


def _taken(capture: cv2.VideoCapture, places: Sequence[int]) -> list[bytes]:
    """The frames at some places; none where the last of them is not reached."""
    found = []
    for place in range(places[-1] + 1 if places else 0):
        if not capture.grab():
            return []
        if place in places:
            found.append(encode_png(capture.retrieve()[1][..., ::-1]))
    return found
