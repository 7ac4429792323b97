"""Malformed captures of every format, in a folder where a third of all captures are bad: no crash, no hang, each refused or read, with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from malformed_captures import write_good, write_malformed
from toy_captures import limits

from actial.params import load_params
from actial.views import committed
from actial.views.capture_scenes import ingest_captures

SETTINGS = replace(
    load_params(Path(__file__).parents[2] / "profiles/tiny.yaml").render_views, captures=limits(licence="CC0-1.0"), max_refused_share=0.34, n_scenes=10**6
)


@pytest.mark.slow
def test_every_malformed_capture_is_refused_with_its_reason_and_costs_no_other(tmp_path: Path) -> None:
    root, scratch = tmp_path / "captures", tmp_path / "scratch"
    scratch.mkdir()
    reasons = write_malformed(root)
    bad = {name: reason for name, reason in reasons.items() if reason}
    n_good = 2 * len(bad) - (len(reasons) - len(bad))
    write_good(root, n_good)
    assert len(reasons) >= 90 and len(bad) >= 70
    notes = {note.capture: note for note in ingest_captures(root, scratch, tmp_path / "logs", SETTINGS, seed=0, n_workers=2, limit_s=300)}
    for name in reasons:
        note = notes[name]
        print(f"{name:75} {note.why.replace(str(root), '…')[:150] if note.why else f'{len(note.pictures)} views; {note.set_aside} {note.masks_set_aside}'}")
    assert {name: notes[name].refused for name in reasons} == reasons
    assert len(notes) == 3 * len(bad) == len(reasons) + n_good and Counter(bool(note.refused) for note in notes.values()) == {
        True: len(bad),
        False: 2 * len(bad),
    }
    for note in notes.values():
        if note.refused:
            assert note.why and len(note.why) < 700 and "\n" not in note.why and not note.pictures
        else:
            assert committed.is_whole(scratch, note.scene_id, len(note.pictures)) and 6 <= len(note.pictures) <= 8
            assert len(note.pictures) + sum((note.set_aside or {}).values()) == 8
