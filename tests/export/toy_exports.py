"""Exports of toy outputs, and toy outputs with something wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from actial.export.export import export
from actial.records import View
from actial.shards import EncodedView, ViewStore, ViewWriter

COMMIT = "commit 0123abc"


def exported(outputs: Path, to: str, out: Path, *splits: str) -> Path:
    """The folder of an export."""
    said = export(outputs, to, splits, out, COMMIT)
    assert said.count("\n") == 2
    return out


def change_views(outputs: Path, change: Callable[[View, bytes], tuple[View, bytes]]) -> None:
    """Write the views anew."""
    folder = outputs / "render_views" / "views"
    store = ViewStore(folder)
    changed: list[EncodedView] = [(*change(view, store.picture_bytes(view.view_id) or b""), None) for view in store]
    shutil.rmtree(folder)
    with ViewWriter(folder, shard_mb=64) as writer:
        for encoded in changed:
            writer.add(*encoded)


def cut_off(*view_ids: str) -> Callable[[View, bytes], tuple[View, bytes]]:
    """The pictures of these views end too early."""
    return lambda view, data: (view, data[: len(data) // 2] if view.view_id in view_ids else data)


def licensed(licence: str) -> Callable[[View, bytes], tuple[View, bytes]]:
    return lambda view, data: (replace(view, licence=licence), data)
