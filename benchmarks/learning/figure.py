"""Learning curves as one SVG file: every seed a thin line, the median a thick one. Left what a person sees in the log, right held-out accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from learning.rows import Row, Rows

PANEL_PX, HEIGHT_PX = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 34, 44
COLORS = ("#0b63b5", "#c2560c")
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curves:
    """One quantity: a line a seed."""

    name: str
    color: str
    seeds: Sequence[Points]

    def median(self) -> Points:
        """At every step that all seeds have."""
        steps = [step for step, _ in self.seeds[0] if all(step in dict(points) for points in self.seeds)]
        return [(step, statistics.median(dict(points)[step] for points in self.seeds)) for step in steps]


def figure(rows: Rows) -> str | None:
    """The SVG's text; None where no row has a curve."""
    panels = []
    for stage, logged in (("sft", "mean_token_accuracy"), ("grpo", "accuracy_reward")):
        of_stage = [row for row in rows.of(stage) if row["curve"]]
        if of_stage:
            panels.append((f"{stage.upper()}: what the log shows", [Curves(_LOGGED[logged], COLORS[0], [_training(row, logged) for row in of_stage])]))
            modes = [mode for mode in ("think", "direct") if mode in of_stage[0]["curve"][0]]
            held_out = [Curves(f"mode {mode}", color, [_held_out(row, mode) for row in of_stage]) for mode, color in zip(modes, COLORS, strict=False)]
            panels.append((f"{stage.upper()}: answers to held-out questions", held_out))
    if not panels:
        return None
    columns, lines = 2, (len(panels) + 1) // 2
    width, height = columns * PANEL_PX, lines * HEIGHT_PX + 22
    drawn = [_panel(title, curves, (i % columns) * PANEL_PX, i // columns * HEIGHT_PX) for i, (title, curves) in enumerate(panels)]
    note = f"Thin: seeds {', '.join(map(str, rows.seeds))}. Thick: their median. Dashed: guessing among three options."
    style = "text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.a{stroke:#999;fill:none}.g{stroke:#ddd}.c{stroke:#777;stroke-dasharray:4 3}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>Learning curves of SFT and GRPO</title><style>{style}</style>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(drawn) + f'\n<text x="{LEFT}" y="{height - 8}">{escape(note)}</text>\n</svg>\n'
    )


_LOGGED = {"mean_token_accuracy": "token accuracy on its own rows", "accuracy_reward": "share of right sampled answers"}


def _training(row: Row, name: str) -> Points:
    return list(zip(row["training"]["step"], row["training"][name], strict=True))


def _held_out(row: Row, mode: str) -> Points:
    return [(point["step"], point[mode]["accuracy"]) for point in row["curve"]]


def _panel(title: str, curves: Sequence[Curves], x0: int, y0: int) -> str:
    last = max(step for c in curves for points in c.seeds for step, _ in points)
    x = lambda step: x0 + LEFT + step / last * (PANEL_PX - LEFT - RIGHT)
    y = lambda share: y0 + HEIGHT_PX - BOTTOM - share * (HEIGHT_PX - TOP - BOTTOM)
    marks = [f'<text class="t" x="{x0 + LEFT}" y="{y0 + 18}">{escape(title)}</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(f'<line class="g" x1="{x(0):.1f}" x2="{x(last):.1f}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>')
        marks.append(f'<text x="{x(0) - 6:.1f}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for step in (0, last / 2, last):
        marks.append(f'<text x="{x(step):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">{step:g}</text>')
    marks.append(f'<text x="{x(last / 2):.1f}" y="{y(0) + 32:.1f}" text-anchor="middle">optimizer step</text>')
    if "held-out" in title:
        marks.append(f'<line class="c" x1="{x(0):.1f}" x2="{x(last):.1f}" y1="{y(1 / 3):.1f}" y2="{y(1 / 3):.1f}"/>')
    for i, c in enumerate(curves):
        marks += [_path(points, x, y, c.color, 1, 0.45) for points in c.seeds]
        marks.append(_path(c.median(), x, y, c.color, 3, 1))
        marks.append(f'<text x="{x(last):.1f}" y="{y(0) - 8 - 15 * i:.1f}" text-anchor="end" style="fill:{c.color}">{escape(c.name)}</text>')
    return "\n".join(marks)


def _path(points: Points, x: Callable[[float], float], y: Callable[[float], float], color: str, width: int, opacity: float) -> str:
    places = " ".join(f"{x(step):.1f},{y(share):.1f}" for step, share in points)
    return f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="{width}" opacity="{opacity}"/>'
