"""The conventions page, and the only conversion between Blender's and OpenCV's camera axes.

World           right-handed, +Z up, metres.
Camera          +X right, +Y up, looks along -Z (OpenGL, Blender). All poses of the project are stored so.
OpenCV camera   +X right, +Y down, looks along +Z. Used by `K`, by COLMAP and by OpenCV.
Pixels          u to the right, v down; the centre of the top-left pixel is (0.5, 0.5).
Transforms      `T_a_b` takes coordinates in b to coordinates in a: p_a = T_a_b p_b. Products chain by equal
                neighbours: T_world_b = T_world_a @ T_a_b. Points `p_world`, directions `dir_cam`.
Angles          names end in _deg or _rad. Turns and orbits are positive to the left: counter-clockwise from above.

        +Y  (camera's up)
         |
         |____ +X (camera's right)           looks into the page, along -Z
"""

from __future__ import annotations

import numpy as np

UP = np.array([0.0, 0.0, 1.0])
"""The world's up."""

_FLIP_YZ = np.diag([1.0, -1.0, -1.0, 1.0])


def opencv_from_blender(T_world_cam: np.ndarray) -> np.ndarray:
    """`T_world_cam` with OpenCV's camera axes, from one with Blender's. Shape (..., 4, 4)."""
    return T_world_cam @ _FLIP_YZ


def blender_from_opencv(T_world_cam: np.ndarray) -> np.ndarray:
    """`T_world_cam` with Blender's camera axes, from one with OpenCV's. Shape (..., 4, 4)."""
    return T_world_cam @ _FLIP_YZ
