"""Dense text about a pair of pictures: where every coloured part appears in each, on a coarse grid; and on which side of the subject it is.

A *place* is the grid's column that a part's centre appears in, and the row that the ground straight below it appears in: columns have small letters
from the left, rows capital letters from the top, so `red cK near` is centred in column c above ground in row K, on the near side. Where a thing stands on the
ground tells its distance to whoever knows how; how high it appears does not, since parts stand at all heights. The subject's middle has a place too.
"""

from __future__ import annotations

import functools
import string

from actial.questions.kinds_2d import DRIFT, LEAN, Asked
from actial.questions.sight import Sighting, has_sides, lowness, nearness, pixel_in, shows_subject, sightings, spoken_names
from actial.records import SceneObject, View

SIDE_SHARE = 0.07
"""A part is called near or far when it is nearer or farther than the subject's middle by more than this share of the subject's extent."""

Grid = tuple[int, int]
"""Columns and rows."""

Places = tuple[str, str]
"""Where something is in each of two pictures."""

WAYS: dict[str, str] = {"left": "left", "right": "right", "none": "still"}
"""What short texts call the way that something went."""


@functools.lru_cache(maxsize=4096)
def place(p_world: tuple[float, float, float], view: View, grid: Grid) -> str:
    """Column of a point and row of the ground straight below it; what lies beyond the picture's edge is told as its last column or row.

    Args:
        p_world: three numbers, metres, before the camera.
    """
    u, _ = pixel_in(view, p_world)
    columns, rows = grid
    column = min(max(int(u / view.camera.width_px * columns), 0), columns - 1)
    row = min(int(lowness(p_world, view) * rows), rows - 1)
    return string.ascii_lowercase[column] + string.ascii_uppercase[row]


def describe_pair(first: View, second: View, wording: str, grid: Grid, *, sides: bool) -> str:
    """Where the subject's middle and the parts are in both pictures, left to right. Empty where a picture shows no part that can be named, or not the middle.

    Args:
        sides: also tell which parts are on the subject's near and far side; without this the text is about the pictures alone.
    """
    names = spoken_names(first.objects, with_shape=wording == "full")
    lines = []
    for number, view in enumerate((first, second), start=1):
        parts = [(names[name], s) for name, s in sightings(view).items() if name in names]
        if not parts or not shows_subject(view):
            return ""
        told = [(name, place(s.part.center_m, view, grid), _side(s, view) if sides else "") for name, s in parts]
        middle = place(view.objects[0].center_m, view, grid)
        if wording == "short":
            lines.append(f"{number}: middle {middle}, " + ", ".join(f"{name} {at} {side}".rstrip() for name, at, side in told) + ".")
        else:
            said = "; ".join(f"the {name} at {at}" + f" on the {side} side" * bool(side) for name, at, side in told)
            last_column, last_row = string.ascii_lowercase[grid[0] - 1], string.ascii_uppercase[grid[1] - 1]
            by = f"by column a to {last_column}, and row A to {last_row} of the ground below"
            lines.append(f"Picture {number}, {by}: the middle of the object at {middle}; {said}.")
    return " ".join(lines)


def reason_2d(asked: Asked, first: View, second: View, grid: Grid) -> str:
    """The short chain of thought of a 2D question: places of the parts asked about; for a shift, of all parts seen in both pictures; where one part is
    asked about against another also how far apart the two are in each picture, and which way, and how far, the one went against the other."""
    if len(asked.pictures) == 2:
        places = located(seen_in_both(first, second, with_shape=False), first, second, grid)
        against = asked.question.kind in (DRIFT, LEAN)
        told = asked.parts if against else tuple(places)
        called = ("lowest ", "highest ") if asked.question.kind == LEAN else ("",) * len(told)
        text = ", ".join(which + " ".join([name, *places[name]]) for which, name in zip(called, told, strict=True))
        if against:
            one, other = (places[name] for name in told)
            text += f", {in_short(one, other, WAYS[asked.question.label_of(asked.question.truth)])}"
        return text + "."
    view = (first, second)[asked.pictures[0]]
    names = spoken_names(view.objects, with_shape=False)
    at = {names[name]: place(s.part.center_m, view, grid) for name, s in sightings(view).items() if name in names}
    return ", ".join(f"{name} {at[name]}" for name in asked.parts) + "."


def apart(one: Places, other: Places) -> tuple[int, int]:
    """How many columns right of the other the one is, in each picture."""
    a, b = (ord(x[0]) - ord(y[0]) for x, y in zip(one, other, strict=True))
    return a, b


def columns_gone(at: Places) -> int:
    """How many columns something went between two pictures."""
    return abs(ord(at[1][0]) - ord(at[0][0]))


def columns_slid(one: Places, other: Places) -> int:
    """How many columns the one went against the other."""
    before, after = apart(one, other)
    return abs(after - before)


def in_short(one: Places, other: Places, way: str) -> str:
    """How far apart two parts are, which way the one went against the other, and by how many columns: `apart -2 +1 right 3`."""
    before, after = apart(one, other)
    return f"apart {before:+d} {after:+d} {way} {columns_slid(one, other)}"


def middle_in_both(first: View, second: View, grid: Grid) -> Places:
    """Where the subject's middle is."""
    return place(first.objects[0].center_m, first, grid), place(second.objects[0].center_m, second, grid)


Both = dict[str, tuple[SceneObject, SceneObject]]
"""The named parts seen in both of two pictures, as each has them, by what they are called; left to right as in the first."""


def seen_in_both(first: View, second: View, with_shape: bool) -> Both:
    """The parts of which a pair can be told, see `Both`."""
    names, there = spoken_names(first.objects, with_shape), sightings(second)
    return {names[name]: (s.part, there[name].part) for name, s in sightings(first).items() if name in names and name in there}


def located(parts: Both, first: View, second: View, grid: Grid) -> dict[str, Places]:
    """Where they are."""
    return {name: (place(a.center_m, first, grid), place(b.center_m, second, grid)) for name, (a, b) in parts.items()}


def _side(s: Sighting, view: View) -> str:
    """`near` or `far`, against the subject's middle; empty where it is neither, clearly."""
    if not has_sides(view):
        return ""
    share = nearness(view)[s.part.name]
    return "" if abs(share) < SIDE_SHARE else "near" if share > 0 else "far"
