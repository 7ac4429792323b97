"""Assets inside Blender: loaded, checked, mended, baked into plain meshes, measured. Runs in the workers alone, as `inside_blender` does.

Nothing of an asset is evaluated or drawn before what it refers to has been checked: no script of a .blend runs (Blender's automatic execution is off, and
expressions of drivers with it), and a texture, library or cache that lies outside the folder of assets is not used.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from actial.errors import RefusedAsset
from actial.rng import generator_for
from actial.views.asset_notes import AssetNote
from actial.views.asset_shapes import shape_of
from actial.views.asset_shelf import Look, assets_to_look_at, write_note
from actial.views.assets import Asset, check_files, checksum
from actial.views.inside_start import bmesh, bpy

SOLID_TYPES = frozenset({"MESH", "CURVE", "SURFACE", "META", "FONT"})
FARTHEST = 1e4
"""Vertices are stored with seven digits: an asset farther from its origin than so many times its size has lost its shape."""
MOST_BROKEN = 0.1
"""Share of vertices that may be no numbers before an asset counts as broken."""
MOST_INSTANCES = 100_000
ID_BLOCKS = (
    "objects", "meshes", "materials", "images", "textures", "collections", "armatures", "actions", "curves", "lights", "cameras", "node_groups", "libraries",
    "cache_files", "volumes", "movieclips", "sounds", "fonts", "texts", "worlds", "scenes", "shape_keys", "lattices", "metaballs", "particles", "speakers",
    "lightprobes", "pointclouds", "hair_curves", "grease_pencils", "masks", "linestyles", "brushes", "palettes",
)  # fmt: skip
"""Collections of `bpy.data` that a file may bring something into."""


@dataclass
class Loaded:
    """An asset in Blender's scene: meshes without parents, in the asset's own axes, +Z up."""

    objects: list[Any]
    repaired: Counter[str] = field(default_factory=Counter)
    has_textures: bool = False

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) vertices and (m, 3) triangles of all of it."""
        all_vertices, all_triangles, n = [np.empty((0, 3))], [np.empty((0, 3), int)], 0
        for blender_object in self.objects:
            mesh = blender_object.data
            all_vertices.append(_array(mesh.vertices, "co", 3))
            mesh.calc_loop_triangles()
            all_triangles.append(_array(mesh.loop_triangles, "vertices", 3, np.int32) + n)
            n += len(mesh.vertices)
        return np.concatenate(all_vertices), np.concatenate(all_triangles)


def looked_at(look: Look, name: str) -> dict[str, Any]:
    """Load an asset, measure it, take it out again and note what was found.

    Returns:
        The worker's reply.
    """
    place, asset = assets_to_look_at(Path(look.shelf))[name]
    try:
        write_note(Path(look.shelf), place, _note_of(asset, Path(look.root), look))
    except OSError as error:
        if error.errno is None:
            raise
        return {"done": name, "errno": error.errno, "file": look.shelf}
    return {"done": name}


def _note_of(asset: Asset, root: Path, look: Look) -> AssetNote:
    path, sha256 = root / asset.name, ""
    try:
        if path.stat().st_size > look.max_mb * 1e6:
            raise RefusedAsset("too large", f"it has {path.stat().st_size / 1e6:.0f} MB, more than render_views.assets.max_mb ({look.max_mb:g})")
        sha256 = checksum(path)
        with loaded(asset, root, look.max_faces) as found:
            shape = shape_of(*found.mesh(), generator_for(0, sha256))
            note = AssetNote(asset, sha256, shape, found.has_textures, dict(sorted(found.repaired.items())))
        if shape.is_round and not note.has_textures and not look.keep_round:
            raise RefusedAsset("looks the same from all around", "it looks the same from all around: no question about it has an answer (assets.keep_round)")
        return note
    except RefusedAsset as refusal:
        return AssetNote(asset, sha256, refused=refusal.reason, why=f"{asset.name}: {refusal.why}")


@contextmanager
def loaded(asset: Asset, root: Path, max_faces: int = sys.maxsize) -> Iterator[Loaded]:
    """An asset in the scene; at the end it and all that came with it is gone.

    Raises:
        RefusedAsset: it cannot be used.
    """
    check_files(root / asset.name, root)
    before = {id_block.as_pointer() for id_block in _id_blocks()}
    try:
        _open(root / asset.name, asset.up)
        new = [id_block for id_block in _id_blocks() if id_block.as_pointer() not in before]
        repaired = Counter(_without_foreign_files(new, root))
        meshes = _baked({b.as_pointer() for b in new if isinstance(b, bpy.types.Object)}, max_faces)
        for blender_object in new:
            if isinstance(blender_object, bpy.types.Object):
                bpy.data.objects.remove(blender_object)
        found = Loaded(meshes, repaired, any(_has_textures(m) for o in meshes for m in o.data.materials))
        _mend(found)
        yield found
    finally:
        bpy.data.batch_remove([b for b in _id_blocks() if b.as_pointer() not in before])


def _id_blocks() -> Iterator[Any]:
    for name in ID_BLOCKS:
        yield from getattr(bpy.data, name, ())


def _open(path: Path, up: str | None) -> None:
    """Import a file with Blender's own importer for it."""
    axes = {} if up is None else {"up_axis": up.upper(), "forward_axis": "Y" if up == "z" else "NEGATIVE_Z"}
    name = str(path)
    try:
        match path.suffix.lower():
            case ".glb" | ".gltf":
                bpy.ops.import_scene.gltf(filepath=name)
            case ".obj":
                bpy.ops.wm.obj_import(filepath=name, **axes)
            case ".ply":
                bpy.ops.wm.ply_import(filepath=name, **axes)
            case ".stl":
                bpy.ops.wm.stl_import(filepath=name, **axes)
            case ".fbx":
                bpy.ops.import_scene.fbx(filepath=name, use_anim=False)
            case ".blend":
                _append(name)
            case _:
                bpy.ops.wm.usd_import(filepath=name, import_cameras=False, import_lights=False, import_textures_mode="IMPORT_PACK")
    except Exception as error:  # importers of Blender's own are Python: anything may come out of them
        raise RefusedAsset("cannot be read", f"Blender cannot read it ({_said(error)})") from None


def _said(error: Exception) -> str:
    """The last line of an importer's message that says something, without this machine's paths."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("Location:")]
    return re.sub(r"'?/[^\s']+'?", "…", (lines or [type(error).__name__])[-1])[:160]


def _append(name: str) -> None:
    with bpy.data.libraries.load(name, link=False) as (there, here):
        here.objects = there.objects
    for blender_object in here.objects:
        if blender_object is not None:
            bpy.context.scene.collection.objects.link(blender_object)


def _without_foreign_files(new: list[Any], root: Path) -> dict[str, int]:
    """See that nothing is drawn from outside the folder of assets; textures that are missing or outside become plain.

    Returns:
        What was mended.
    """
    repaired: Counter[str] = Counter()
    for block in new:
        if isinstance(block, bpy.types.NodeTree) and any(node.bl_idname.startswith("GeometryNodeImport") for node in block.nodes):
            raise RefusedAsset("names a file outside its folder", f"its node group {block.name[:40]!r} reads files")
        filepath = getattr(block, "filepath", "")
        if not filepath or getattr(block, "packed_file", None) is not None or isinstance(block, bpy.types.Text) or filepath == "<builtin>":
            continue
        inside = Path(bpy.path.abspath(filepath, library=block.library)).resolve().is_relative_to(root.resolve())
        if isinstance(block, bpy.types.Image):
            reason = "textures outside the folder" if not inside else "textures missing or broken" if not _opens(block) else None
            if reason is not None:
                repaired[reason] += 1
                _blank(block)
        elif not inside:
            raise RefusedAsset("names a file outside its folder", f"it refers to {filepath[:80]!r}, which lies outside the folder of assets")
    return repaired


def _opens(image: Any) -> bool:
    return image.source in ("GENERATED", "TILED") or min(image.size) > 0


def _blank(image: Any) -> None:
    """Make a picture one of Blender's own, light grey."""
    image.filepath = ""
    image.source = "GENERATED"
    image.generated_width = image.generated_height = 4
    image.generated_color = (0.6, 0.6, 0.6, 1.0)


def _baked(imported: set[int], max_faces: int) -> list[Any]:
    """Every solid of what was imported, with its modifiers, bones and instances, as a mesh of its own in world coordinates."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    meshes, n_faces, n_instances = [], 0, 0
    for instance in graph.object_instances:
        owner = instance.parent.original if instance.is_instance and instance.parent is not None else instance.object.original
        if owner.as_pointer() not in imported or instance.object.type not in SOLID_TYPES or instance.object.hide_render:
            continue
        mesh = bpy.data.meshes.new_from_object(instance.object, depsgraph=graph)
        mesh.transform(instance.matrix_world)
        n_faces, n_instances = n_faces + len(mesh.polygons), n_instances + 1
        if n_faces > max_faces or n_instances > MOST_INSTANCES:
            raise RefusedAsset("too many faces", f"it has more than {max_faces:,} faces (render_views.assets.max_faces)")
        if len(mesh.polygons):
            meshes.append(mesh)
    if not meshes:
        raise RefusedAsset("holds no mesh", "it holds no face")
    objects = []
    for i, mesh in enumerate(meshes):
        objects.append(bpy.data.objects.new(f"asset_{i}", mesh))
        bpy.context.scene.collection.objects.link(objects[-1])
    return objects


def _mend(found: Loaded) -> None:
    """Leave out vertices that are no numbers, and see that the rest keeps its shape."""
    n_vertices = sum(len(o.data.vertices) for o in found.objects)
    for blender_object in found.objects:
        broken = ~np.isfinite(_array(blender_object.data.vertices, "co", 3)).all(axis=1)
        if broken.any():
            found.repaired["vertices that are no numbers"] += int(broken.sum())
            _delete_vertices(blender_object.data, np.nonzero(broken)[0])
    n_broken = found.repaired["vertices that are no numbers"]
    if n_broken > MOST_BROKEN * n_vertices:
        raise RefusedAsset("broken vertices", f"{n_broken} of its {n_vertices} vertices are no numbers")
    if not n_broken:
        del found.repaired["vertices that are no numbers"]
    vertices, triangles = found.mesh()
    if len(triangles):
        used = vertices[np.unique(triangles)]
        if np.abs(used).max() > FARTHEST * max(np.ptp(used, axis=0).max(), 1e-30):
            raise RefusedAsset("far from its origin", f"it lies {np.abs(used).max():.3g} from its origin, and is but {np.ptp(used, axis=0).max():.3g} large")
    n_bare = sum(not any(o.data.materials) for o in found.objects)
    if n_bare:
        found.repaired["parts without a material"] = n_bare


def _delete_vertices(mesh: Any, places: np.ndarray) -> None:
    edited = bmesh.new()
    edited.from_mesh(mesh)
    edited.verts.ensure_lookup_table()
    bmesh.ops.delete(edited, geom=[edited.verts[i] for i in places], context="VERTS")
    edited.to_mesh(mesh)
    edited.free()


def _has_textures(material: Any) -> bool:
    return material is not None and material.use_nodes and any(node.type == "TEX_IMAGE" and node.image is not None for node in material.node_tree.nodes)


def _array(collection: Any, attribute: str, width: int, dtype: type = np.float32) -> np.ndarray:
    values: np.ndarray = np.empty(len(collection) * width, dtype)
    collection.foreach_get(attribute, values)
    return values.reshape(-1, width)
