"""Frames of a video as pictures: a folder of them that somebody took before, or taken here from the file at evenly spaced times."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from actial.shards import encode_png

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


def frames_of(place: Path, wanted: int) -> Sequence[bytes] | None:
    """Encoded frames of a video: pictures out of the folder `place`, or else frames of `place`.mp4 as PNG; None where there is neither, or it cannot be read.

    A folder that holds fewer pictures than wanted gives them all.
    """
    if place.is_dir():
        files = frame_files(place)
        return [files[i].read_bytes() for i in evenly_spaced(len(files), wanted)] or None
    return _decoded(place.with_name(f"{place.name}.mp4"), wanted)


def _decoded(video: Path, wanted: int) -> list[bytes] | None:
    """Read from the start: a seek lands on the nearest key frame in some files."""
    if not video.exists():
        return None
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a broken file is our sentence to say
    import cv2

    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    try:
        places = evenly_spaced(_count(capture), wanted)
        capture.open(str(video), cv2.CAP_FFMPEG)
        found = []
        for number in range(places[-1] + 1 if places else 0):
            if not capture.grab():
                return None
            if number in places:
                found.append(encode_png(capture.retrieve()[1][..., ::-1]))
        return found or None
    finally:
        capture.release()


def _count(capture: object) -> int:
    """Frames that can really be read: a file's own count is now and then larger."""
    n = 0
    while capture.grab():  # type: ignore[attr-defined]  # cv2.VideoCapture, which is loaded late
        n += 1
    return n
