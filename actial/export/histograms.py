"""How values are distributed, in a row of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from array import array

BARS = " ▁▂▃▄▅▆▇█"
N_STEPS = 16
_UNITS = {"deg": "deg", "r": "r", "m": "m", "px": "px"}


def histogram_rows(values: Mapping[tuple[str, str], array[float]]) -> list[list[str]]:
    """A row for each kind and quantity: names, how many, quantiles with their unit, a histogram."""
    rows = []
    for (kind, quantity), held in sorted(values.items()):
        found = np.frombuffer(held, dtype=np.float64)
        unit = _UNITS.get(quantity.rpartition("_")[2], "")
        quantiles = [f"{q:.3g} {unit}".rstrip() for q in np.quantile(found, [0, 0.05, 0.5, 0.95, 1])]
        rows.append([kind, f"`{quantity}`", f"{len(found):,}", *quantiles, f"`{sparkline(found)}`"])
    return rows


def sparkline(values: np.ndarray) -> str:
    """(n,) values as `N_STEPS` bars from the least to the greatest; a step with any value has a bar."""
    counts, _ = np.histogram(values, bins=N_STEPS)
    heights = np.ceil(counts / max(counts.max(), 1) * (len(BARS) - 1)).astype(int)
    return "".join(BARS[height] for height in heights)
