"""What was set aside is said, and too much of it is a mistake of the user's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from actial.errors import UserError

SAID = 20


class Note(Protocol):
    """What became of an asset or a capture."""

    @property
    def refused(self) -> str | None:
        """Why it was set aside, in a few words."""

    @property
    def why(self) -> str | None:
        """The same in a sentence."""


def check_refused(kind: str, notes: Sequence[Note], limit: float) -> None:
    """Print what was set aside, and see that it is not too much.

    Args:
        kind: what it is, in the singular: asset, capture.
        limit: share of `notes` that may be set aside.

    Raises:
        UserError: it is more, or all.
    """
    refused = [note for note in notes if note.refused]
    for note in refused[:SAID]:
        print(f"render_views: set aside: {note.why}", flush=True)
    if len(refused) > SAID:
        print(f"render_views: … and {len(refused) - SAID} more", flush=True)
    if not refused:
        return
    reason = Counter(note.refused for note in refused).most_common(1)[0][0]
    said = f"{len(refused)} of {len(notes)} {kind}s had to be set aside, most often because: {reason}; the first: {refused[0].why}"
    if len(refused) == len(notes):
        raise UserError(f"no {kind} can be used: {said}")
    if len(refused) > limit * len(notes):
        raise UserError(f"more {kind}s are refused than render_views.max_refused_share ({limit:g}) allows: {said}")
