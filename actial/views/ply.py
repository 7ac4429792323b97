"""Points of PLY files, as reconstructions write them beside their cameras."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from actial.errors import RefusedCapture


def ply_points(path: Path) -> np.ndarray:
    """(n, 3) float64 vertices of a PLY file, text or binary (G. Turk, "The PLY Polygon File Format", 1994).

    Raises:
        RefusedCapture: it is missing, truncated, or no PLY file that begins with vertices.
    """
    if not path.is_file():  # a named pipe would never end
        raise RefusedCapture(f"{path} cannot be read: there is no such file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RefusedCapture(f"{path} cannot be read: {error.strerror}") from None
    header = _PLY_HEADER.match(data)
    properties = [line.split() for line in header["properties"].decode("latin-1").splitlines() if not line.startswith("comment")] if header else []
    columns = [(words[2], _PLY_TYPES.get(words[1], "")) for words in properties if len(words) == 3]
    names = [name for name, _ in columns]
    if header is None or len(columns) < len(properties) or len(set(names)) < len(names) or not {"x", "y", "z"} <= set(names) or "" in dict(columns).values():
        raise RefusedCapture(f"{path} is no PLY file that begins with vertices of x, y, z")
    n, body = int(header["n"]), data[header.end() :]
    order = {b"binary_little_endian": "<", b"binary_big_endian": ">"}.get(header["format"])
    try:
        if order:
            vertices = np.frombuffer(body, np.dtype([(name, order + kind) for name, kind in columns]), count=n)
            return np.column_stack([vertices[axis] for axis in "xyz"]).astype(np.float64)
        rows = np.array(body.split(maxsplit=n * len(columns))[: n * len(columns)], dtype=np.float64).reshape(n, len(columns))
    except (ValueError, OverflowError):
        raise RefusedCapture(f"{path} does not hold the {n} vertices it announces: it is truncated or damaged") from None
    return rows[:, [names.index(axis) for axis in "xyz"]]


_PLY_HEADER = re.compile(
    rb"ply\r?\nformat (?P<format>ascii|binary_little_endian|binary_big_endian) 1\.0\r?\n((comment|obj_info)[^\n]*\n)*"
    rb"element vertex (?P<n>\d{1,9})\r?\n(?P<properties>((property|comment)[^\n]*\n)+)(element[^\n]*\n((property|comment)[^\n]*\n)*)*end_header\r?\n"
)
_PLY_TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8"}
_PLY_TYPES |= {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"}
