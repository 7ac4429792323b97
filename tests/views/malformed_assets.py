"""Malformed assets, made from sound ones: each with the reasons for which it may be refused, none where it may also come out mended."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

UNREADABLE, OUTSIDE, FLAT, EMPTY = "cannot be read", "names a file outside its folder", "has no depth", "holds no mesh"
FORMATS = ("binary.glb", "text.gltf", "wavefront.obj", "polygons.ply", "triangles.stl", "film.fbx", "stage.usda", "stage.usdc", "stage.usdz", "own.blend")
ANY = frozenset(
    {UNREADABLE, OUTSIDE, FLAT, EMPTY, "too large", "too many faces", "far from its origin", "broken vertices", "looks the same from all around", "renderer"}
)


def write_malformed(good: Path, bad: Path) -> dict[str, frozenset[str] | None]:
    """Malformed assets below a folder, and for each the reasons one of which must be given; None where it may also be used."""
    expected: dict[str, frozenset[str] | None] = {}

    def asset(name: str, data: bytes, *reasons: str) -> None:
        path = bad / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        expected[f"bad/{name}"] = frozenset(reasons) or None

    for name in FORMATS:
        stem, suffix = name.split(".")
        data = (good / name).read_bytes()
        for share in (0.0, 0.3, 0.9):
            asset(f"cut_{stem}/{int(share * 100)}.{suffix}", data[: int(share * len(data))])
        for seed in (0, 1):
            asset(f"flipped_{stem}/{seed}.{suffix}", _flipped(data, seed))
        asset(f"disguised_{stem}.{suffix}", b"#!/bin/sh\necho this is no asset\n" * 40, UNREADABLE, EMPTY)
    for name in ("cut_binary/0.glb", "cut_binary/30.glb", "cut_binary/90.glb", "cut_stage/0.usdc", "cut_own/0.blend", "cut_own/30.blend"):
        expected[f"bad/{name}"] = frozenset({UNREADABLE, EMPTY, "renderer"})
    for name, change in _gltf_changes().items():
        scene = json.loads((good / "text.gltf").read_bytes())
        reason = change(scene)
        asset(f"gltf/{name}.gltf", json.dumps(scene).encode(), *reason)
    shutil.copy(good / "text.bin", bad / "gltf" / "text.bin")
    asset("gltf/no_text.gltf", b"\xff\xfe\x00" * 100, UNREADABLE)
    asset("gltf/deep.gltf", b"[" * 200_000, UNREADABLE)
    for name, text, *reasons in _wavefronts():
        asset(f"obj/{name}.obj", text.encode(), *reasons)
    (bad / "obj" / "sly.mtl").write_text("newmtl a\nmap_Kd ../../../../../etc/hostname\n")
    asset("sheet.stl", _stl(np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[1, 0, 0], [1, 1, 0], [0, 1, 0]]])), FLAT)
    asset("point.stl", _stl(np.zeros((4, 3, 3))), FLAT, EMPTY)
    asset("boastful.stl", b"\0" * 80 + struct.pack("<I", 4_000_000_000) + b"\0" * 50)
    tetrahedron = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)[[[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]]
    asset("units/nanometres.stl", _stl(tetrahedron * 1e-9))
    asset("units/light_years.stl", _stl(tetrahedron * 1e16))
    asset("units/far_away.stl", _stl(tetrahedron + 1e6), "far from its origin")
    asset("units/no_number.stl", _stl(np.where(tetrahedron == 1, np.nan, tetrahedron)), "broken vertices", FLAT, EMPTY, "cannot be read")
    asset("usd/reference.usda", b'#usda 1.0\ndef "a" (references = @/etc/hostname@) {}\n', OUTSIDE)
    asset("usd/up.usda", b'#usda 1.0\n(subLayers = [@../../../../../outside.usda@])\ndef Xform "a" {}\n', OUTSIDE)
    asset("usd/itself.usda", b'#usda 1.0\ndef Xform "a" (references = @itself.usda@</a>) {}\n', EMPTY, UNREADABLE)
    asset("empty_name.glb", b"glTF", UNREADABLE)
    os.symlink("/etc", bad / "linked_folder")
    os.symlink(good / "binary.glb", bad / "linked.glb")
    return expected


def _flipped(data: bytes, seed: int) -> bytes:
    rng, flipped = np.random.default_rng(seed), bytearray(data)
    for place in rng.integers(0, len(data), size=max(4, len(data) // 200)):
        flipped[place] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def _gltf_changes() -> dict[str, Callable[[dict[str, Any]], tuple[str, ...]]]:
    def node_of_itself(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["nodes"][0]["children"] = [0]
        return (UNREADABLE,)

    def cycle(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["nodes"][0]["children"], scene["nodes"][1]["children"] = [1], [0]
        return (UNREADABLE,)

    def buffer(uri: str) -> Callable[[dict[str, Any]], tuple[str, ...]]:
        def change(scene: dict[str, Any]) -> tuple[str, ...]:
            scene["buffers"][0]["uri"] = uri
            return (UNREADABLE,) if uri == "missing.bin" else (OUTSIDE,)

        return change

    def picture(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["images"] = [{"uri": "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.png"}]
        return (OUTSIDE,)

    def no_meshes(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["meshes"] = []
        return (EMPTY,)

    def child_of_nobody(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["nodes"][0]["children"] = [10**9]
        return (UNREADABLE,)

    def huge_accessor(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["accessors"][0]["count"] = 2**31
        return (UNREADABLE, "renderer")

    def needs_the_unknown(scene: dict[str, Any]) -> tuple[str, ...]:
        scene["extensionsRequired"], scene["extensionsUsed"] = ["ACME_secret_sauce"], ["ACME_secret_sauce"]
        return (UNREADABLE,)

    return {
        "node_of_itself": node_of_itself,
        "cycle": cycle,
        "absolute": buffer("/etc/hostname"),
        "above": buffer("../../../../../../etc/hostname"),
        "web": buffer("https://example.org/x.bin"),
        "missing": buffer("missing.bin"),
        "picture": picture,
        "no_meshes": no_meshes,
        "child_of_nobody": child_of_nobody,
        "huge_accessor": huge_accessor,
        "needs_the_unknown": needs_the_unknown,
    }


def _wavefronts() -> Iterator[tuple[str, ...]]:
    yield "no_faces", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", EMPTY
    yield "faces_of_nothing", "v 0 0 0\nf 1 2 3\nf 7 8 9\n", EMPTY, FLAT, UNREADABLE
    yield "words", "v a b c\nf x y z\n", EMPTY, FLAT, UNREADABLE
    yield "library_above", "mtllib ../../../../../etc/hostname\nv 0 0 0\nv 1 0 0\nv 0 1 1\nf 1 2 3\n", OUTSIDE
    yield "sly_library", "mtllib sly.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 1\nf 1 2 3\n", OUTSIDE


def _stl(triangles: np.ndarray) -> bytes:
    rows = b"".join(struct.pack("<12f", 0, 0, 1, *triangle.ravel()) + b"\0\0" for triangle in triangles.astype(np.float32))
    return b"\0" * 80 + struct.pack("<I", len(triangles)) + rows
