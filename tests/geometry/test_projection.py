"""One point projected in plain numbers, and many boxes tried at once, are what the arrays say of each alone."""

from __future__ import annotations

import math

import numpy as np

from actial.geometry.poses import look_at, passes_through_box
from actial.geometry.projection import pixel_of, project
from actial.rng import generator_for


def test_a_single_point_lands_where_it_does_among_others() -> None:
    rng = generator_for(3, "points")
    behind = 0
    for _ in range(300):
        T = look_at(rng.uniform([-3, -3, 1], [3, 3, 7]), rng.uniform(-1, 1, 3), rng.uniform(-0.5, 0.5))
        K = np.array([[rng.uniform(50, 200), rng.uniform(-2, 2), 40.0], [0, rng.uniform(50, 200), 60.0], [0, 0, 1]])
        p = rng.uniform(-8, 8, 3)
        (expected,), _ = project(p[None], K, T)
        found = pixel_of(p.tolist(), tuple(K.ravel()), tuple(T.ravel()))
        behind += math.isnan(found[0])
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)
    assert 10 < behind < 250


def test_boxes_tried_together_are_hit_as_each_alone() -> None:
    rng = generator_for(3, "boxes")
    eye, targets = np.array([5.0, 0.0, 1.0]), rng.uniform(-2, 2, (9, 3))
    targets[0, 1] = 0.0  # along an axis of the boxes that are not turned: a way without any part to a side
    boxes = [look_at(p, p + np.array([0.0, 1.0, 0.0]) if i % 2 else rng.uniform(-9, 9, 3)) for i, p in enumerate(rng.uniform(-2, 2, (7, 3)))]
    sizes = rng.uniform(0.5, 3, (7, 3))
    together = passes_through_box(eye, targets, np.stack(boxes), sizes)
    assert together.shape == (7, 9) and 0 < together.sum() < together.size
    np.testing.assert_array_equal(together, np.stack([passes_through_box(eye, targets, T, size) for T, size in zip(boxes, sizes, strict=True)]))
