"""Dense 2D text about a pair of pictures: where every coloured part appears in each, and how wide, on a coarse grid.

The grid's columns have letters from the left, its rows numbers from the top, as on a chessboard: `red c5x4` is centred in column c, row 5, and
4 columns wide. Letters and single figures are one token each for most tokenizers.
"""

from __future__ import annotations

import string

import numpy as np

from actial.geometry.projection import project
from actial.questions.kinds_2d import DRIFT, NONE_BELOW, ROUND, Asked, drifts
from actial.questions.sight import Sighting, sightings, spoken_names
from actial.records import View

WIDEST = 9
"""A width is told up to this many columns."""


def column_letter(u_px: float, width_px: int, columns: int) -> str:
    """The letter of the column that holds a pixel column."""
    return string.ascii_lowercase[min(int(u_px / width_px * columns), columns - 1)]


def describe_pair(first: View, second: View, wording: str, columns: int, rows: int) -> str:
    """Where the parts are in both pictures, left to right. Empty where none can be named."""
    names = spoken_names(first.objects, with_shape=wording == "full")
    lines = []
    for number, view in enumerate((first, second), start=1):
        parts = [(names[name], s) for name, s in sightings(view).items() if name in names]
        if not parts:
            return ""
        if wording == "short":
            lines.append(f"{number}: " + ", ".join(f"{name} {_cell(s, view, columns, rows)}x{_width(s, view, columns)}" for name, s in parts) + ".")
        else:
            said = "; ".join(f"the {name} at {_cell(s, view, columns, rows)}, {_width(s, view, columns)} wide" for name, s in parts)
            last = string.ascii_lowercase[columns - 1]
            lines.append(f"Picture {number}, in columns a to {last} from the left and rows 1 to {rows} from the top: {said}.")
    return " ".join(lines)


def reason_2d(asked: Asked, first: View, second: View, columns: int, rows: int) -> str:
    """The short chain of thought of a 2D question: columns (for `round_2d` cells) of the parts asked about; for a shift, of all parts seen in
    both pictures; for a drift also which way each went against the others."""
    if len(asked.pictures) == 2:
        drift = _drift_words(first, second) if asked.question.kind == DRIFT else {}
        return ", ".join(f"{name} {a} {b} {drift.get(name, '')}".rstrip() for name, a, b in columns_in_both(first, second, columns, with_shape=False)) + "."
    view = (first, second)[asked.pictures[0]]
    names = spoken_names(view.objects, with_shape=False)
    at = {names[name]: _cell(s, view, columns, rows) for name, s in sightings(view).items() if name in names}
    return ", ".join(f"{name} {at[name] if asked.question.kind == ROUND else at[name][0]}" for name in asked.parts) + "."


def _drift_words(first: View, second: View) -> dict[str, str]:
    """Which way each part went against the others: left, right, still."""
    names = spoken_names(first.objects, with_shape=False)
    shares = [{names[n]: s.pixel[0] / v.camera.width_px for n, s in sightings(v).items() if n in names} for v in (first, second)]
    return {name: "still" if abs(d) < NONE_BELOW else "right" if d > 0 else "left" for name, d in drifts(*shares)}


def columns_in_both(first: View, second: View, columns: int, with_shape: bool) -> list[tuple[str, str, str]]:
    """Name, column in the first picture, column in the second, of every named part seen in both; left to right as in the first."""
    names = spoken_names(first.objects, with_shape)
    there = sightings(second)
    return [
        (names[name], column_letter(s.pixel[0], first.camera.width_px, columns), column_letter(there[name].pixel[0], second.camera.width_px, columns))
        for name, s in sightings(first).items()
        if name in names and name in there
    ]


def _cell(s: Sighting, view: View, columns: int, rows: int) -> str:
    return column_letter(s.pixel[0], view.camera.width_px, columns) + str(min(int(s.pixel[1] / view.camera.height_px * rows), rows - 1) + 1)


def _width(s: Sighting, view: View, columns: int) -> int:
    """Width of the part's projected box in columns, at least 1."""
    T = np.array(s.part.T_world_obj).reshape(4, 4)
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    corners = signs * s.part.size_m @ T[:3, :3].T + T[:3, 3]
    uv, _ = project(corners, view.camera.intrinsics(), view.camera.pose())
    return int(np.clip(round(float(np.nanmax(uv[:, 0]) - np.nanmin(uv[:, 0])) / view.camera.width_px * columns), 1, WIDEST))
