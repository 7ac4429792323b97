"""Line charts as inline SVG, drawn from numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actial.report.page import Html, tag

WIDTH, HEIGHT = 560, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 16, 12, 48
_MAX_POINTS = 800
"""A longer curve is drawn by every k-th point; its moving mean is taken before."""


@dataclass(frozen=True)
class Series:
    """A named curve; points whose y is None or not finite are left out, and the line is broken there."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


def line_chart(title: str, series: Sequence[Series], x_label: str, y_label: str, *, reading: str = "", y_limits: tuple[float, float] | None = None) -> Html:
    """A chart with axes, ticks, units and a legend. A noisy curve is drawn faint, with its centred moving mean over it.

    Args:
        reading: a sentence below the chart.
        y_limits: what the vertical axis spans at least; by default what the points need.

    Raises:
        ValueError: no series has a point to draw.
    """
    drawn = [_finite(s) for s in series]
    points = np.concatenate([d[~np.isnan(d[:, 1])] for d in drawn]) if drawn else np.empty((0, 2))
    if not len(points):
        raise ValueError(f"the chart {title!r} has no point to draw")
    x_ticks, y_ticks = _step_ticks(points[:, 0]), nice_ticks(*_limits(np.concatenate([points[:, 1], y_limits or ()])))
    to_x = lambda x: _LEFT + (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (WIDTH - _LEFT - _RIGHT)
    to_y = lambda y: HEIGHT - _BOTTOM - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (HEIGHT - _TOP - _BOTTOM)
    marks = [tag("title", title), *_axes(x_ticks, y_ticks, to_x, to_y, x_label, y_label)]
    legend = []
    for i, (one, curve) in enumerate(zip(series, drawn, strict=True)):
        colour = f"var(--c{i % 6 + 1})"
        window = len(curve) // 20
        mean = moving_mean(curve[:, 1], window) if window >= 3 else None
        marks += _line(curve[:, 0], curve[:, 1], to_x, to_y, colour, faint=mean is not None)
        if mean is not None:
            marks += _line(curve[:, 0], mean, to_x, to_y, colour, faint=False)
        note = f" (bold: mean of {2 * (window // 2) + 1} points)" if mean is not None else ""
        legend.append(tag("span", tag("i", style=f"background:{colour}"), f"{one.name}{note}", class_="key"))
    svg = tag("svg", *marks, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{title}: {y_label} by {x_label}", class_="chart")
    return tag("figure", tag("figcaption", title), svg, tag("div", *legend, class_="legend"), tag("p", reading, class_="note") if reading else None)


@dataclass(frozen=True)
class Interval:
    """A share with its standard error (None: unknown), in a group of rows."""

    group: str
    name: str
    share: float
    stderr: float | None


def interval_chart(title: str, intervals: Sequence[Interval], marks: Mapping[str, float]) -> Html:
    """Dots with two standard errors to either side, on an axis from 0 to 100 %; `marks` are shares drawn as lines across all rows.

    Rows come in the order given; a group's name stands at its first row, and its rows share a colour.
    """
    row_px, top, left = 22, 42, 130
    height = top + row_px * len(intervals) + 34
    to_x = lambda share: left + share * (WIDTH - left - 24)
    groups = list(dict.fromkeys(i.group for i in intervals))
    drawn = [tag("title", title)]
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        x = f"{to_x(share):.1f}"
        drawn.append(tag("line", x1=x, x2=x, y1=top, y2=height - 34, class_="grid"))
        drawn.append(tag("text", f"{100 * share:.0f} %", x=x, y=height - 18, text_anchor="middle"))
    for i, (name, share) in enumerate(marks.items()):
        x = f"{to_x(share):.1f}"
        drawn.append(tag("line", x1=x, x2=x, y1=top - 4, y2=height - 34, class_="mark"))
        drawn.append(tag("text", name, x=x, y=top - 9 - 16 * (i % 2), text_anchor="middle"))
    for i, interval in enumerate(intervals):
        y, colour = top + row_px * (i + 0.5), f"var(--c{groups.index(interval.group) % 6 + 1})"
        if i == 0 or intervals[i - 1].group != interval.group:
            drawn.append(tag("text", interval.group, x=4, y=f"{y + 4:.1f}", class_="strong"))
        drawn.append(tag("text", interval.name, x=left - 10, y=f"{y + 4:.1f}", text_anchor="end"))
        if interval.stderr is not None:
            low, high = (to_x(min(max(interval.share + k * interval.stderr, 0), 1)) for k in (-2, 2))
            drawn.append(tag("line", x1=f"{low:.1f}", x2=f"{high:.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", stroke=colour, stroke_width=2))
        drawn.append(tag("circle", cx=f"{to_x(interval.share):.1f}", cy=f"{y:.1f}", r=5, fill=colour))
    svg = tag("svg", *drawn, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=title, class_="chart")
    return tag("figure", tag("figcaption", title), svg, class_="intervals")


def nice_ticks(low: float, high: float, n: int = 5) -> list[float]:
    """About `n` round numbers (steps of 1, 2 or 5 times a power of ten) that enclose [low, high]."""
    raw = (high - low) / n
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    return [round(i * step, 12) for i in range(first, last + 1)]


def moving_mean(y: np.ndarray, window: int) -> np.ndarray:
    """Mean over `window` points around each point (fewer at the ends, gaps left out); NaN where all are NaN."""
    half, kept = window // 2, ~np.isnan(y)
    total = np.concatenate([[0.0], np.cumsum(np.where(kept, y, 0.0))])
    count = np.concatenate([[0], np.cumsum(kept)])
    low, high = np.maximum(np.arange(len(y)) - half, 0), np.minimum(np.arange(len(y)) + half + 1, len(y))
    n = count[high] - count[low]
    return np.where(n > 0, (total[high] - total[low]) / np.maximum(n, 1), np.nan)


def _finite(series: Series) -> np.ndarray:
    y = np.array([np.nan if v is None else v for v in series.y], dtype=float)
    return np.column_stack([np.array(series.x, dtype=float), np.where(np.isfinite(y), y, np.nan)])


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value; around a single one a tenth of it, and 0 to 1 for zero."""
    low, high = float(values.min()), float(values.max())
    pad = 0.0 if high > low else abs(low) * 0.1
    return (low - pad, high + pad) if high > low or pad else (0.0, 1.0)


def _step_ticks(steps: np.ndarray) -> list[float]:
    """Ticks of an axis that counts: whole numbers where the values are."""
    low, high = _limits(steps)
    whole = bool(np.all(steps == np.round(steps))) and high - low >= 1
    return nice_ticks(low, high, max(1, min(5, int(high - low))) if whole else 5)


def _axes(x_ticks, y_ticks, to_x, to_y, x_label: str, y_label: str) -> list[Html]:  # type: ignore[no-untyped-def]  # two lists of floats, two scales
    bottom, middle = HEIGHT - _BOTTOM, (HEIGHT - _BOTTOM + _TOP) / 2
    marks = []
    for x in x_ticks:
        marks.append(tag("text", f"{x:g}", x=f"{to_x(x):.1f}", y=bottom + 16, text_anchor="middle"))
    for y in y_ticks:
        marks.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=f"{to_y(y):.1f}", y2=f"{to_y(y):.1f}", class_="grid"))
        marks.append(tag("text", f"{y:g}", x=_LEFT - 7, y=f"{to_y(y) + 4:.1f}", text_anchor="end"))
    marks.append(tag("text", x_label, x=(WIDTH + _LEFT - _RIGHT) / 2, y=HEIGHT - 7, text_anchor="middle", class_="label"))
    marks.append(tag("text", y_label, transform=f"translate(14 {middle:.0f}) rotate(-90)", text_anchor="middle", class_="label"))
    return marks


def _line(x: np.ndarray, y: np.ndarray, to_x, to_y, colour: str, *, faint: bool) -> list[Html]:  # type: ignore[no-untyped-def]  # two scales, as above
    step = -(-len(x) // _MAX_POINTS)
    path, pen_down = [], False
    for px, py in zip(x[::step], y[::step], strict=True):
        if np.isnan(py):
            pen_down = False
            continue
        path.append(f"{'L' if pen_down else 'M'}{to_x(px):.1f} {to_y(py):.1f}")
        pen_down = True
    marks = [tag("path", d=" ".join(path), fill="none", stroke=colour, stroke_width=1 if faint else 2, opacity=0.35 if faint else None)]
    if np.count_nonzero(~np.isnan(y)) <= 30 and not faint:
        marks += [tag("circle", cx=f"{to_x(a):.1f}", cy=f"{to_y(b):.1f}", r=2.5, fill=colour) for a, b in zip(x, y, strict=True) if not np.isnan(b)]
    return marks
