"""Dense text about a pair of pictures: where every coloured part appears in each, and how large, on a coarse grid; and on which side of the subject it is.

The grid's columns have letters from the left, its rows numbers from the top, as on a chessboard. A *place* is the column and row of a part's centre, then its
width and height in widths of a column: `red c542 near` is centred in column c, row 5, 4 columns wide and as high as 2 columns are wide, on the near side.
Letters and single figures are one token each for most tokenizers.
"""

from __future__ import annotations

import string

import numpy as np

from actial.geometry.poses import box_corners
from actial.geometry.projection import about_subject, project
from actial.questions.kinds_2d import DRIFT, NONE_BELOW, Asked, drifts
from actial.questions.sight import Sighting, has_sides, sightings, spoken_names
from actial.records import View

LARGEST = 9
"""A width or height is told up to this many columns."""
SIDE_SHARE = 0.07
"""A part is called near or far when it is nearer or farther than the subject's middle by more than this share of the subject's extent."""


def column_letter(u_px: float, width_px: int, columns: int) -> str:
    """The letter of the column that holds a pixel column."""
    return string.ascii_lowercase[min(int(u_px / width_px * columns), columns - 1)]


def describe_pair(first: View, second: View, wording: str, columns: int, rows: int, *, sides: bool) -> str:
    """Where the parts are in both pictures, left to right, and how large. Empty where none can be named.

    Args:
        sides: also tell which parts are on the subject's near and far side; without this the text is about the pictures alone.
    """
    names = spoken_names(first.objects, with_shape=wording == "full")
    lines = []
    for number, view in enumerate((first, second), start=1):
        parts = [(names[name], s) for name, s in sightings(view).items() if name in names]
        if not parts:
            return ""
        told = [(name, _place(s, view, columns, rows), _side(s, view) if sides else "") for name, s in parts]
        if wording == "short":
            lines.append(f"{number}: " + ", ".join(f"{name} {place} {side}".rstrip() for name, place, side in told) + ".")
        else:
            said = "; ".join(f"the {name} at {place}" + f" on the {side} side" * bool(side) for name, place, side in told)
            last = string.ascii_lowercase[columns - 1]
            lines.append(f"Picture {number}, by column a to {last}, row 1 to {rows}, width and height in columns: {said}.")
    return " ".join(lines)


def reason_2d(asked: Asked, first: View, second: View, columns: int) -> str:
    """The short chain of thought of a 2D question: columns of the parts asked about; for a shift, of all parts seen in both pictures; for a drift
    also which way each went against the others."""
    if len(asked.pictures) == 2:
        drift = _drift_words(first, second) if asked.question.kind == DRIFT else {}
        return ", ".join(f"{name} {a} {b} {drift.get(name, '')}".rstrip() for name, a, b in columns_in_both(first, second, columns, with_shape=False)) + "."
    view = (first, second)[asked.pictures[0]]
    names = spoken_names(view.objects, with_shape=False)
    at = {names[name]: _column(s, view, columns) for name, s in sightings(view).items() if name in names}
    return ", ".join(f"{name} {at[name]}" for name in asked.parts) + "."


def _drift_words(first: View, second: View) -> dict[str, str]:
    """Which way each part went against the others: left, right, still."""
    names = spoken_names(first.objects, with_shape=False)
    shares = [{names[n]: s.pixel[0] / v.camera.width_px for n, s in sightings(v).items() if n in names} for v in (first, second)]
    return {name: "still" if abs(d) < NONE_BELOW else "right" if d > 0 else "left" for name, d in drifts(*shares)}


def columns_in_both(first: View, second: View, columns: int, with_shape: bool) -> list[tuple[str, str, str]]:
    """Name, column in the first picture, column in the second, of every named part seen in both; left to right as in the first."""
    return [(name, a[0], b[0]) for name, a, b in places_in_both(first, second, columns, 1, with_shape)]


def places_in_both(first: View, second: View, columns: int, rows: int, with_shape: bool) -> list[tuple[str, str, str]]:
    """Name, place in the first picture, place in the second, of every named part seen in both; left to right as in the first."""
    names = spoken_names(first.objects, with_shape)
    there = sightings(second)
    return [
        (names[name], _place(s, first, columns, rows), _place(there[name], second, columns, rows))
        for name, s in sightings(first).items()
        if name in names and name in there
    ]


def _column(s: Sighting, view: View, columns: int) -> str:
    return column_letter(s.pixel[0], view.camera.width_px, columns)


def _place(s: Sighting, view: View, columns: int, rows: int) -> str:
    row = min(int(s.pixel[1] / view.camera.height_px * rows), rows - 1) + 1
    uv, _ = project(box_corners(np.array(s.part.T_world_obj).reshape(4, 4), s.part.size_m), view.camera.intrinsics(), view.camera.pose())
    size = (np.nanmax(uv, axis=0) - np.nanmin(uv, axis=0)) / view.camera.width_px * columns
    width, height = np.clip(np.round(size), 1, LARGEST).astype(int)
    return f"{_column(s, view, columns)}{row}{width}{height}"


def _side(s: Sighting, view: View) -> str:
    """`near` or `far`, against the subject's middle; empty where it is neither, clearly."""
    if not has_sides(view):
        return ""
    subject = view.objects[0]
    _, nearer_m = about_subject(view.camera.pose()[:3, 3], subject.center(), s.part.center()[None])
    share = float(nearer_m[0]) / max(subject.size_m)
    return "" if abs(share) < SIDE_SHARE else "near" if share > 0 else "far"
