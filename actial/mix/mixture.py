"""The mixing rule. Each sort of rows gets its share of `n_rows` (largest remainder). Within a sort every distinct row stands equally often, or once more
where the number does not divide: a seeded permutation of the rows is read round and round until the share is full. Then all rows are shuffled together
by the seed.

A sort is a mode, and for questions about the pictures alone the mode with ` 2d` behind it.

GRPO's prompts stand once each, shuffled by the seed. `replay` of them ask how the camera moved, as exactly as whole prompts allow: of those that are too many
for it, a seeded draw leaves some out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from actial import ids
from actial.errors import UserError
from actial.params import ColdStartMix
from actial.records import Mode, Question, is_viewpoint
from actial.rng import generator_for

OF_PICTURES = " 2d"


def mode_of(sort: str) -> Mode:
    """The mode of a sort's rows."""
    return cast(Mode, sort.removesuffix(OF_PICTURES))


def shares_of(settings: ColdStartMix) -> dict[str, float]:
    """The share of each sort, in the order of the modes."""
    shares: dict[str, float] = {}
    for mode, share in settings.modes.items():
        of_pictures = 0.0 if mode == "describe" else settings.share_2d
        shares[mode] = share * (1 - of_pictures)
        if of_pictures:
            shares[mode + OF_PICTURES] = share * of_pictures
    return shares


def rows_of_sorts(n_rows: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of `n_rows` each sort gets: its share, rounded so that the sum is `n_rows`."""
    exact = {sort: share * n_rows for sort, share in shares.items()}
    rows = {sort: int(x + 1e-9) for sort, x in exact.items()}
    by_remainder = sorted(exact, key=lambda sort: (rows[sort] - exact[sort], sort))
    for sort in by_remainder[: n_rows - sum(rows.values())]:
        rows[sort] += 1
    return rows


def mixed(distinct: Mapping[str, int], refused: Counter[str], n_rows: int, shares: Mapping[str, float], seed: int) -> list[tuple[str, int]]:
    """The rows of a mixture, in order: (sort, place among the sort's distinct rows).

    Args:
        refused: why rows could not be made, for the message.

    Raises:
        UserError: a sort with a share has no rows.
    """
    rows: list[tuple[str, int]] = []
    sizes = rows_of_sorts(n_rows, shares)
    for sort in distinct:
        n = sizes[sort]
        if n and not distinct[sort]:
            raise UserError(
                f"cold_start_mix.{'share_2d' if sort.endswith(OF_PICTURES) else 'modes'} gives rows of {sort} a share of {shares[sort]:g}, "
                "but not one such row could be made" + "".join(f"; {n:,} {reason}" for reason, n in refused.most_common(3))
            )
        if n:
            once = generator_for(seed, f"mixture/{sort}").permutation(distinct[sort])
            rows += [(sort, int(i)) for i in np.resize(once, n)]
    order = generator_for(seed, "mixture/order").permutation(len(rows))
    return [rows[i] for i in order]


def with_replay(questions: Sequence[Question], share: float | None, refused: Counter[str], seed: int) -> list[Question]:
    """The questions that become prompts, in their order: the most among which a share asks how the camera moved; all where it is None.

    Args:
        refused: what is left out is counted here.

    Raises:
        UserError: it leaves nothing, since all questions there are, or none, ask how the camera moved.
    """
    if share is None:
        return list(questions)
    ours = np.array([is_viewpoint(q.kind) and not ids.is_external(q.question_id) for q in questions], dtype=bool)
    sorts = {"viewpoint": np.flatnonzero(ours), "other": np.flatnonzero(~ours)}
    total = int(min(len(of) / part for of, part in zip(sorts.values(), (share, 1 - share), strict=True) if part) + 1e-9)
    if not total:
        raise UserError(
            f"cold_start_mix.replay is {share:g}, but split rl has {len(sorts['viewpoint']):,} questions about viewpoints and {len(sorts['other']):,} others: "
            "set it to null, or ask both (build_qa.kinds, build_qa.sat_splits, build_qa.external)"
        )
    n_replayed = round(share * total)
    kept = []
    for (sort, of), n in zip(sorts.items(), (n_replayed, total - n_replayed), strict=True):
        kept.append(generator_for(seed, f"mixture/replay/{sort}").permutation(of)[:n])
        refused[f"prompts: more {sort} questions than cold_start_mix.replay takes"] += len(of) - n
    return [questions[i] for i in np.sort(np.concatenate(kept))]
