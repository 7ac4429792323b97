"""Finding assets, what is noted of them, and what their text may name."""

import importlib
import json
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from actial.errors import RefusedAsset, UserError
from actial.views import usd_files
from actial.views.assets import NOTES, PYBULLET_LICENCE, check_files, find_assets, pybullet_folder


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_assets_are_found_below_with_their_families(tmp_path: Path) -> None:
    for name in ("b.GLB", "chairs/a.obj", "chairs/a.mtl", "chairs/old/c.ply", "notes.txt", ".hidden/d.stl", ".e.stl"):
        touch(tmp_path / name)
    (tmp_path / "link.glb").symlink_to(tmp_path / "b.GLB")
    (tmp_path / "linked").symlink_to(tmp_path / "chairs")
    found = find_assets(tmp_path, "unknown")
    assert [(a.name, a.family, a.licence) for a in found] == [
        ("b.GLB", "b", "unknown"),
        ("chairs/a.obj", "chairs", "unknown"),
        ("chairs/old/c.ply", "chairs/old", "unknown"),
    ]


def test_notes_hold_for_all_below_and_the_nearest_wins(tmp_path: Path) -> None:
    for name in ("a.glb", "chairs/b.glb", "chairs/old/c.stl", "chairs/old/d.stl"):
        touch(tmp_path / name)
    touch(tmp_path / NOTES, "licence: CC0-1.0\nup: y\n")
    touch(tmp_path / "chairs" / NOTES, "licence: MIT\nfiles:\n  b.glb: {front: -y, family: seats}\n")
    touch(tmp_path / "chairs/old" / NOTES, "files: {d.stl: {skip: true}}\n")
    a, b, c = find_assets(tmp_path, "unknown")
    assert (a.licence, a.front, a.up) == ("CC0-1.0", None, "y")
    assert (b.licence, b.front, b.family, b.up) == ("MIT", "-y", "seats", "y")
    assert (c.name, c.licence) == ("chairs/old/c.stl", "MIT")


def test_the_meshes_of_pybullet_are_one_family_with_its_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a package laid out as 3.2.7 is, of whose thousand folders two are here; without it there is a sentence."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UserError, match=r"its package is not installed: `pip install 'actial\[pybullet\]'`, or use source: folder$"):
        pybullet_folder()
    for name in ("__init__.py", "duck.obj", *(f"random_urdfs/{i}/{i}.{suffix}" for i in ("000", "999") for suffix in ("obj", "mtl", "urdf"))):
        touch(tmp_path / "pybullet_data" / name)
    importlib.invalidate_caches()
    found = find_assets(pybullet_folder(), PYBULLET_LICENCE, "pybullet")
    assert [(a.name, a.family, a.licence) for a in found] == [(f"{i}/{i}.obj", "pybullet", PYBULLET_LICENCE) for i in ("000", "999")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("licence: [a]", "licence must be text"),
        ("front: up", "front is 'up'; it must be one of"),
        ("licenc: MIT", "unknown key licenc; the nearest valid one is licence"),
        ("files: {gone.glb: {front: +x}}", "files.gone.glb is not in that folder"),
        ("files: {a.glb: {fron: +x}}", "files.a.glb.fron"),
        ("- a\n- b", "must be a map"),
        ("a: [", "not valid YAML"),
    ],
)
def test_wrong_notes_are_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    touch(tmp_path / "a.glb")
    touch(tmp_path / NOTES, text)
    with pytest.raises(UserError) as error:
        find_assets(tmp_path, "unknown")
    assert said in str(error.value) and NOTES in str(error.value)


def gltf(path: Path, **changes: object) -> Path:
    return touch(path, json.dumps({"asset": {"version": "2.0"}, "meshes": [{"primitives": []}], "nodes": [{"mesh": 0}]} | changes))


def test_files_below_the_root_may_be_named(tmp_path: Path) -> None:
    path = gltf(tmp_path / "in" / "a.gltf", buffers=[{"uri": "a%20b.bin"}], images=[{"uri": "../textures/t.png"}, {"uri": "data:image/png;base64,AA"}])
    check_files(path, tmp_path)
    with pytest.raises(RefusedAsset, match="outside the folder of assets"):
        check_files(path, tmp_path / "in")


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "textures").symlink_to(tmp_path)
    with pytest.raises(RefusedAsset, match="outside"):
        check_files(gltf(tmp_path / "assets" / "a.gltf", images=[{"uri": "textures/secret.png"}]), tmp_path / "assets")


def test_trees_that_are_none(tmp_path: Path) -> None:
    for nodes in ([{"children": [0]}], [{"children": [1]}, {"children": [0]}], [{"children": [2]}, {"children": [2]}, {}], [{"children": [7]}]):
        with pytest.raises(RefusedAsset, match=r"tree|does not exist"):
            check_files(gltf(tmp_path / "a.gltf", nodes=nodes), tmp_path)
    check_files(gltf(tmp_path / "a.gltf", nodes=[{"children": [1, 2]}, {"children": [3]}, {}, {}]), tmp_path)


def binary_layer(tokens: list[str]) -> bytes:
    """A USD crate with nothing but its tokens, stored as literals of one LZ4 block."""
    text = b"".join(token.encode() + b"\0" for token in tokens)
    n = len(text)
    extra = b"" if n < 15 else b"\xff" * ((n - 15) // 255) + bytes([(n - 15) % 255])
    packed = b"\0" + bytes([min(n, 15) << 4]) + extra + text
    section = struct.pack("<QQQ", len(tokens), n, len(packed)) + packed
    contents = 88 + len(section)
    return b"PXR-USDC" + bytes(8) + struct.pack("<q", contents) + bytes(64) + section + struct.pack("<Q16sqq", 1, b"TOKENS".ljust(16, b"\0"), 88, len(section))


def test_what_usd_layers_name(tmp_path: Path) -> None:
    layer = binary_layer(["Mesh", "points", "../../secret.usd", "textures/a.png", "x" * 700])
    (tmp_path / "a.usdc").write_bytes(layer)
    assert usd_files.named_files(tmp_path / "a.usdc") == ["../../secret.usd", "textures/a.png"]
    with zipfile.ZipFile(tmp_path / "b.usdz", "w") as package:
        package.writestr("inner.usdc", layer)
        package.writestr("../up.png", b"")
    assert usd_files.named_files(tmp_path / "b.usdz") == ["inner.usdc", "../up.png", "../../secret.usd", "textures/a.png"]
    touch(tmp_path / "c.usda", '#usda 1.0\ndef "a" (references = [@x.usd@</a>, @@@odd@name.usd@@@]) {}\n')
    assert usd_files.named_files(tmp_path / "c.usda") == ["x.usd", "odd@name.usd"]
    for name in ("a.usdc", "b.usdz"):
        with pytest.raises(RefusedAsset, match="outside"):
            check_files(tmp_path / name, tmp_path)


@pytest.mark.parametrize("length", [0, 8, 20, 60, 100, 110])
def test_a_cut_layer_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.usdc").write_bytes(binary_layer(["a.png"] * 5)[:length])
    with pytest.raises(RefusedAsset):
        usd_files.named_files(tmp_path / "a.usdc")
