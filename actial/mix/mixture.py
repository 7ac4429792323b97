"""The mixing rule. Each mode gets its share of `n_rows` (largest remainder). Within a mode every distinct row stands equally often, or once more where the
number does not divide: a seeded permutation of the rows is read round and round until the share is full. Then all rows are shuffled together by the seed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from actial.errors import UserError
from actial.records import Mode
from actial.rng import generator_for


def rows_of_modes(n_rows: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of `n_rows` each mode gets: its share, rounded so that the sum is `n_rows`."""
    exact = {mode: share * n_rows for mode, share in shares.items()}
    rows = {mode: int(x + 1e-9) for mode, x in exact.items()}
    by_remainder = sorted(exact, key=lambda mode: (rows[mode] - exact[mode], mode))
    for mode in by_remainder[: n_rows - sum(rows.values())]:
        rows[mode] += 1
    return rows


def mixed(distinct: Mapping[Mode, int], n_rows: int, shares: Mapping[str, float], seed: int) -> list[tuple[Mode, int]]:
    """The rows of a mixture, in order: (mode, place among the mode's distinct rows).

    Raises:
        UserError: a mode with a share has no rows.
    """
    rows: list[tuple[Mode, int]] = []
    sizes = rows_of_modes(n_rows, shares)
    for mode in distinct:
        n = sizes[mode]
        if n and not distinct[mode]:
            raise UserError(
                f"cold_start_mix.modes gives {mode} a share of {shares[mode]:g}, but not one row of that mode could be made: see the reasons counted as refused"
            )
        if n:
            once = generator_for(seed, f"mixture/{mode}").permutation(distinct[mode])
            rows += [(mode, int(i)) for i in np.resize(once, n)]
    order = generator_for(seed, "mixture/order").permutation(len(rows))
    return [rows[i] for i in order]
