"""What questions have in common besides their kind: how large the movement is, and what the scene shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actial.records import ZERO_LABELS, Question
from actial.shards import ViewStore

EDGES_DEG = (0, 15, 30, 45, 60, 90, 120, 180)
NOTHING = "nothing changed"
NOT_KNOWN = "not known"
FEW = 8
"""A quantity that takes so few whole values is not divided into ranges."""


def ranges(questions: Sequence[Question]) -> dict[str, str]:
    """By question id, the range in which the size of its deciding value lies.

    Angles lie in those of `EDGES_DEG`, counts are named, and any other quantity is cut at the thirds of these questions. Apart stand questions that are
    right to say that nothing changed, and those without a deciding value.
    """
    by_quantity: dict[str, list[Question]] = {}
    found = {}
    for q in questions:
        if not q.deciding_quantity:
            found[q.question_id] = NOT_KNOWN
        elif q.label_of(q.truth) in ZERO_LABELS:
            found[q.question_id] = NOTHING
        else:
            by_quantity.setdefault(q.deciding_quantity, []).append(q)
    for quantity, of_quantity in by_quantity.items():
        labels = _labels(quantity, np.abs([q.deciding_value for q in of_quantity]))
        found |= {q.question_id: label for q, label in zip(of_quantity, labels, strict=True)}
    return found


def families(questions: Sequence[Question], views: ViewStore | None) -> dict[str, str]:
    """By question id, the family of the subject of its first view: its geometry family, or what an asset is called."""
    known: dict[str, str] = {}
    for view_id in {q.view_ids[0] for q in questions}:
        objects = views[view_id].objects if views is not None and view_id in views else ()
        known[view_id] = (objects[0].family if objects else "") or NOT_KNOWN
    return {q.question_id: known[q.view_ids[0]] for q in questions}


def in_order(label: str) -> tuple[bool, bool, float, str]:
    """Sorts labels of ranges from small to large, those without a range last."""
    first = label.split(" to ")[0].split(" ")[-1].split("–")[0].rstrip("°")
    number = float(first) if first.replace(".", "", 1).isdigit() else 0.0
    name = label.partition(" ")[0] if "°" not in label else ""
    return label == NOT_KNOWN, label == NOTHING, number if not name else 0.0, f"{name} {number:012.4f}"


def _labels(quantity: str, sizes: np.ndarray) -> list[str]:
    if quantity.endswith("_deg"):
        places = np.clip(np.searchsorted(EDGES_DEG, sizes, side="right") - 1, 0, len(EDGES_DEG) - 2)
        return [f"{EDGES_DEG[i]}–{EDGES_DEG[i + 1]}°" for i in places]
    if len(values := np.unique(sizes)) <= FEW and np.all(values == np.round(values)):
        return [f"{quantity} = {size:.0f}" for size in sizes]
    edges = np.quantile(sizes, [0, 1 / 3, 2 / 3, 1])
    places = np.clip(np.searchsorted(edges, sizes, side="right") - 1, 0, 2)
    return [f"{quantity} {edges[i]:.2f} to {edges[i + 1]:.2f}" for i in places]
