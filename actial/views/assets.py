"""3D assets on disk: which files below a folder are assets, what people noted about them, and which files they may draw in.

An asset is data of unknown origin. What its text says of other files is read here before Blender opens it, and nothing may lie outside the folder of assets;
what only Blender can tell (textures of FBX, libraries of .blend) is checked once it is loaded (`inside_assets`), before anything of it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from actial.errors import RefusedAsset, UserError
from actial.typed_yaml import parse_typed, setting
from actial.views import usd_files

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".fbx", ".usd", ".usda", ".usdc", ".usdz", ".blend")
NOTES = "assets.yaml"
DIRECTIONS = {"+x": (1.0, 0.0, 0.0), "-x": (-1.0, 0.0, 0.0), "+y": (0.0, 1.0, 0.0), "-y": (0.0, -1.0, 0.0)}
"""What a front is noted as: axes of the asset as Blender shows it, +Z up."""
LARGEST_TEXT_MB = 64
"""Of JSON and of material files; what is larger is no description of a mesh."""


@dataclass(frozen=True)
class Notes:
    """What is known of the assets of a folder, from `assets.yaml`; null where nothing is said."""

    licence: str | None = setting("Licence, as it is written into each view; the nearest folder's wins.")
    family: str | None = setting("Geometry family, which can be held out; null for the path of the folder the asset lies in.")
    front: str | None = setting("Where the objects' own front points, seen in Blender with +Z up.", choices=tuple(DIRECTIONS))
    up: str | None = setting("Axis that points up in files of formats that do not say it (.obj, .ply, .stl).", choices=("y", "z"))
    skip: bool | None = setting("Leave these assets out.")


UNKNOWN = Notes(None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that holds an object."""

    name: str
    """Path below the folder of assets, with slashes."""
    family: str
    licence: str
    front: str | None
    up: str | None


def find_assets(root: Path, licence: str, family: str | None = None) -> list[Asset]:
    """The assets below a folder, by name.

    Args:
        licence: of those about which `assets.yaml` says nothing.
        family: the same; None for the folder an asset lies in.

    Raises:
        UserError: `root` is no folder, or an `assets.yaml` is wrong.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder: assets are looked for in it and below")
    return sorted(_below(root, root, replace(UNKNOWN, family=family), licence), key=lambda asset: asset.name)


def _below(root: Path, folder: Path, notes: Notes, licence: str) -> Iterator[Asset]:
    notes, of_files = _noted(folder, notes)
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _below(root, path, notes, licence)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            own = of_files.get(path.name, notes)
            name = path.relative_to(root).as_posix()
            if not own.skip:
                yield Asset(name, own.family or name.rpartition("/")[0] or path.stem, own.licence or licence, own.front, own.up)


def _noted(folder: Path, above: Notes) -> tuple[Notes, dict[str, Notes]]:
    """What holds for a folder, and what for single files in it."""
    path = folder / NOTES
    if not path.is_file():
        return above, {}
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(read, dict) or not isinstance(read.get("files", {}), dict):
        raise UserError(f"{path} must be a map of {', '.join(asdict(UNKNOWN))}, and files: a map of file names to such maps")
    files = read.pop("files", {})
    here = _laid_over(above, read, "", path)
    for name in files:
        if not (folder / str(name)).is_file():
            raise UserError(f"{path}: files.{name} is not in that folder")
    return here, {str(name): _laid_over(here, of_file, f"files.{name}", path) for name, of_file in files.items()}


def _laid_over(above: Notes, said: Any, key: str, path: Path) -> Notes:
    said = {} if said is None else said
    notes = parse_typed(Notes, asdict(UNKNOWN) | said if isinstance(said, dict) else said, key, str(path))
    return replace(above, **{name: value for name, value in asdict(notes).items() if value is not None})


PYBULLET_LICENCE = "Zlib (package pybullet)"


def pybullet_folder() -> Path:
    """The thousand meshes that the package pybullet ships: all of one family.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec("pybullet_data")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("render_views.assets.source is pybullet, and its package is not installed: `pip install 'actial[pybullet]'`, or use source: folder")
    return Path(next(iter(spec.submodule_search_locations))) / "random_urdfs"


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(path: Path, root: Path) -> None:
    """See that nothing which the asset's own text names lies outside `root`, and that its nodes form no cycle.

    Raises:
        RefusedAsset: something does, or the file is no such asset.
    """
    suffix = path.suffix.lower()
    if suffix in (".glb", ".gltf"):
        scene = _gltf(path)
        named = [item["uri"] for kind in ("buffers", "images") for item in _dicts(scene.get(kind)) if isinstance(item.get("uri"), str)]
        named = [unquote(uri) for uri in named if not uri.startswith("data:")]
        _check_tree(scene)
    elif suffix == ".obj":
        named = list(_obj_files(path, root))
    elif suffix in (".usd", ".usda", ".usdc", ".usdz"):
        named = usd_files.named_files(path)
    else:
        named = []
    for name in named:
        _inside(path, name, root)


def _inside(path: Path, name: str, root: Path) -> Path:
    """The file an asset names, which must lie below `root` whether it is there or not."""
    if "://" in name or "\\" in name or "\0" in name:
        raise RefusedAsset("names a file outside its folder", f"it names {name[:80]!r}, which is no path below its folder")
    target = (path.parent / name).resolve()
    if not target.is_relative_to(root.resolve()):
        raise RefusedAsset("names a file outside its folder", f"it names {name[:80]!r}, which lies outside the folder of assets")
    return target


def _gltf(path: Path) -> dict[str, Any]:
    """The JSON of a glTF file or of the first chunk of a binary one."""
    with path.open("rb") as file:
        if path.suffix.lower() == ".glb":
            head = file.read(20)
            if len(head) < 20 or head[:4] != b"glTF" or head[16:20] != b"JSON":
                raise RefusedAsset("cannot be read", "it is no binary glTF: its header is wrong or cut off")
            length = struct.unpack("<I", head[12:16])[0]
            if struct.unpack("<I", head[8:12])[0] > path.stat().st_size:
                raise RefusedAsset("cannot be read", "it is cut off: shorter than its header says")
        else:
            length = path.stat().st_size
        if length > LARGEST_TEXT_MB * 1e6:
            raise RefusedAsset("too large", f"its JSON has {length / 1e6:.0f} MB, more than {LARGEST_TEXT_MB}")
        data = file.read(length)
    try:
        scene = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedAsset("cannot be read", f"its JSON is not valid ({str(error)[:80]})") from None
    if not isinstance(scene, dict) or not _dicts(scene.get("meshes")):
        raise RefusedAsset("holds no mesh", "it holds no mesh")
    return scene


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _check_tree(scene: dict[str, Any]) -> None:
    """glTF 2.0, section 3.5.2: nodes form strict trees; a node with two parents, or among its own descendants, is none."""
    nodes = scene.get("nodes", [])
    parents = [0] * len(nodes) if isinstance(nodes, list) else []
    for node in _dicts(nodes):
        for child in node.get("children", []) if isinstance(node.get("children", []), list) else []:
            if not isinstance(child, int) or not 0 <= child < len(parents):
                raise RefusedAsset("cannot be read", f"a node has the child {str(child)[:20]!r}, which does not exist")
            parents[child] += 1
    reached, waiting = 0, [i for i, n in enumerate(parents) if n == 0]
    while waiting:
        reached += 1
        children = nodes[waiting.pop()].get("children", [])
        waiting += [child for child in children if parents[child] == 1]
    if any(n > 1 for n in parents) or reached < len(parents):
        raise RefusedAsset("cannot be read", "its nodes form no tree: one has two parents or is its own descendant")


def _obj_files(path: Path, root: Path) -> Iterator[str]:
    """Material files that an OBJ names, and the textures that those name."""
    for name in _after(path, re.compile(rb"^\s*mtllib\s+(.+?)\s*$", re.MULTILINE)):
        yield name
        library = _inside(path, name, root)
        if library.is_file():
            if library.stat().st_size > LARGEST_TEXT_MB * 1e6:
                raise RefusedAsset("too large", f"its material file {name[:80]!r} has more than {LARGEST_TEXT_MB} MB")
            for texture in _after(library, re.compile(rb"^\s*(?:map_\w+|bump|disp|decal|refl|norm)\s+(.+?)\s*$", re.MULTILINE | re.IGNORECASE)):
                yield texture.split()[-1] if texture.startswith("-") else texture


def _after(path: Path, pattern: re.Pattern[bytes]) -> list[str]:
    data = path.read_bytes()
    return [match.decode("utf-8", "replace").replace("\\", "/") for match in pattern.findall(data)]
