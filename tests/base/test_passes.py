"""Depth and normals come back as they were, as well as their pictures can hold them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from actial.errors import UnreadablePicture
from actial.passes import decode_depth, decode_normals, encode_depth, encode_normals
from actial.rng import generator_for


def test_depth_is_millimetres_in_16_bits() -> None:
    depth_m = generator_for(0, "depth").uniform(0.001, 65.5, (20, 30))
    depth_m[0, :4] = 0.0, np.inf, np.nan, 65.6
    stored = cv2.imdecode(np.frombuffer(encode_depth(depth_m), np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16 and not stored[0, :4].any() and np.array_equal(stored[1:], np.round(depth_m[1:] * 1000))
    decoded = decode_depth(encode_depth(depth_m))
    assert decoded.dtype == np.float32 and np.isnan(decoded[0, :4]).all() and np.abs(decoded[1:] - depth_m[1:]).max() < 0.000501


def test_normals_are_known_to_half_a_percent_or_not_at_all() -> None:
    normals = generator_for(0, "normals").normal(size=(20, 30, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0] = 0
    decoded = decode_normals(encode_normals(normals))
    assert decoded.dtype == np.float32 and np.isnan(decoded[0]).all() and np.abs(decoded[1:] - normals[1:]).max() < 0.00395


@pytest.mark.parametrize("decode", [decode_depth, decode_normals])
def test_a_truncated_pass_is_named(decode: object) -> None:
    data = encode_depth(np.ones((9, 9)))
    for n in (0, 20, len(data) - 30):
        with pytest.raises(UnreadablePicture):
            decode(data[:n])  # type: ignore[operator]  # one of two functions
