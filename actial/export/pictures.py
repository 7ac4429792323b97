"""Encoded pictures for an export: the stored bytes, each looked at once, the unusable ones set aside by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from actial.mirror import mirrored_id, original_id
from actial.prompts import IMAGE_MARK
from actial.questions.scan import picture_is_whole
from actial.records import Conversation, View
from actial.shards import ViewStore, encode_png

NO_PICTURE = "no picture is stored"
UNREADABLE = "the picture cannot be read"


@dataclass(frozen=True, slots=True)
class Picture:
    """A view with its encoded picture."""

    view: View
    data: bytes

    @property
    def extension(self) -> str:
        """What a file of these bytes is called after the dot."""
        if self.data.startswith(b"\x89PNG"):
            return "png"
        if self.data.startswith(b"\xff\xd8\xff"):
            return "jpg"
        import io

        from PIL import Image

        with Image.open(io.BytesIO(self.data)) as picture:
            return (picture.format or "image").lower()


class Pictures:
    """Opens pictures by id. A mirror image has no stored bytes: its pixels, turned over, are encoded as PNG."""

    def __init__(self, store: ViewStore) -> None:
        self.store = store
        self.broken: dict[str, str] = {}
        """Views that cannot be shown, and why."""
        self._whole: set[str] = set()

    def open(self, view_id: str) -> Picture | None:
        """A view's picture, or None where it is in `broken`.

        Raises:
            UserError: there is no such view.
        """
        view, stored_id = self.store[view_id], self._stored_id(view_id)
        if stored_id in self.broken:
            return None
        data = self.store.picture_bytes(stored_id)
        if stored_id not in self._whole:
            if not data or not picture_is_whole(data):
                self.broken[stored_id] = UNREADABLE if data else NO_PICTURE
                return None
            self._whole.add(stored_id)
        if stored_id == view_id:
            return Picture(view, data or b"")
        import numpy as np

        return Picture(view, encode_png(np.asarray(self.store.picture(view_id))))

    def open_all(self, view_ids: Sequence[str]) -> list[Picture] | None:
        """The pictures of a row, or None where one of them is in `broken`."""
        opened = [self.open(view_id) for view_id in view_ids]
        whole = [picture for picture in opened if picture is not None]
        return whole if len(whole) == len(opened) else None

    def in_stored_order(self, wanted: Collection[str]) -> Iterator[Picture]:
        """The pictures of these views and mirror images that are not `broken`, one at a time, so that every shard is read once.

        Raises:
            UserError: there is no such view.
        """
        n_met = 0
        for stored_id in self.store.view_ids():
            for view_id in (stored_id, mirrored_id(stored_id)):
                if view_id in wanted:
                    n_met += 1
                    if (picture := self.open(view_id)) is not None:
                        yield picture
        if n_met < len(wanted):
            self.open(next(view_id for view_id in wanted if view_id not in self.store))

    def _stored_id(self, view_id: str) -> str:
        """The view whose bytes are stored."""
        original = original_id(view_id)
        return original if original is not None and original in self.store else view_id


def each_picture_has_its_mark(row: Conversation) -> bool:
    """Whether a conversation says as often where a picture goes as it has pictures."""
    return sum(message.content.count(IMAGE_MARK) for message in row.messages) == len(row.view_ids)
