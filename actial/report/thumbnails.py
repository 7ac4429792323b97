"""Pictures small enough that a page can hold thousands of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from actial.errors import UnreadablePicture
from actial.mirror import original_id
from actial.report.page import data_uri
from actial.rng import seed_for
from actial.shards import PNG_SIGNATURE, ViewStore

BUDGET_CHARACTERS = 20_000_000
"""What all pictures of a page may take; the file is to stay below 60 MB."""
TRIED = 48
"""Pictures, drawn by a hash of their ids, that tell how large the others will be."""


@dataclass(frozen=True)
class Level:
    """A way to write pictures down."""

    longest_side_px: int
    jpeg_quality: int | None
    """None: as it is stored where it is no larger than that, else PNG."""

    def __str__(self) -> str:
        exact = self.jpeg_quality is None
        return f"as they are, up to {self.longest_side_px} pixels" if exact else f"JPEG, at most {self.longest_side_px} pixels wide and high"


LEVELS = (Level(448, None), Level(448, 85), Level(336, 80), Level(224, 80), Level(160, 80), Level(112, 75), Level(80, 70), Level(56, 60))
"""Best first."""


def thumbnails(view_ids: Iterable[str], views: ViewStore, budget_characters: int = BUDGET_CHARACTERS) -> tuple[dict[str, str], Level]:
    """Each view's picture once, as an address for an `img`, all at the best level that fits into the budget (or the smallest), and which that is.

    A picture that cannot be read is left out: the page says so in its place.
    """
    wanted = sorted(set(view_ids))
    tried = [p for view_id in sorted(wanted, key=lambda v: seed_for(0, v))[:TRIED] if (p := _opened(view_id, views)) is not None]
    level = _level_for(tried, budget_characters * len(tried) / max(len(wanted), 1))
    return {view_id: _address(p, level) for view_id in wanted if (p := _opened(view_id, views)) is not None}, level


@dataclass(frozen=True)
class _Opened:
    picture: Image.Image
    stored: bytes | None
    """As it is stored, PNG or JPEG; None of mirror images and of other formats."""


def _level_for(pictures: Sequence[_Opened], budget_characters: float) -> Level:
    sizes: dict[Level, int] = {}
    for level in LEVELS:
        sizes[level] = sum(len(_address(p, level)) for p in pictures)
        if sizes[level] <= budget_characters:
            return level
    return min(LEVELS, key=lambda level: sizes[level])


def _opened(view_id: str, views: ViewStore) -> _Opened | None:
    try:
        picture = views.picture(view_id)
    except UnreadablePicture:
        return None
    stored = views.picture_bytes(view_id) if original_id(view_id) is None else None
    return _Opened(picture, stored if stored and _kind(stored) else None)


def _kind(data: bytes) -> str | None:
    return "png" if data.startswith(PNG_SIGNATURE) else "jpeg" if data.startswith(b"\xff\xd8\xff") else None


def _address(opened: _Opened, level: Level) -> str:
    picture = opened.picture
    if max(picture.size) > level.longest_side_px:
        picture = picture.copy()
        picture.thumbnail((level.longest_side_px, level.longest_side_px), Image.Resampling.LANCZOS)
    elif level.jpeg_quality is None and opened.stored is not None:
        return data_uri(_kind(opened.stored) or "png", opened.stored)
    buffer = io.BytesIO()
    if level.jpeg_quality is None:
        picture.save(buffer, format="PNG")
        return data_uri("png", buffer.getvalue())
    picture.save(buffer, format="JPEG", quality=level.jpeg_quality)
    return data_uri("jpeg", buffer.getvalue())
