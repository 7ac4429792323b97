"""Dense 2D text about a pair of pictures: where every coloured part appears in each, on a coarse grid."""

from __future__ import annotations

from actial.mix.sight import sightings, spoken_names
from actial.records import View


def describe_pair(first: View, second: View, wording: str, grid_cells: int) -> str:
    """Where the parts are in both pictures, left to right; columns and rows are counted from 1 at the top left. Empty where none can be named."""
    names = spoken_names(first.objects, with_shape=wording == "full")
    lines = []
    for number, view in enumerate((first, second), start=1):
        width_px, height_px = view.camera.width_px, view.camera.height_px
        places = [
            (names[name], int(s.pixel[0] / width_px * grid_cells) + 1, int(s.pixel[1] / height_px * grid_cells) + 1)
            for name, s in sightings(view).items()
            if name in names
        ]
        if not places:
            return ""
        if wording == "short":
            lines.append(f"{number}: " + ", ".join(f"{name} {column} {row}" for name, column, row in places) + ".")
        else:
            said = "; ".join(f"the {name} in column {column}, row {row}" for name, column, row in places)
            lines.append(f"Picture {number}, on a grid of {grid_cells} by {grid_cells}: {said}.")
    return " ".join(lines)
