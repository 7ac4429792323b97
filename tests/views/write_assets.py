"""Program: writes real assets with Blender's own exporters into a folder. bpy never enters the test's process.

    python write_assets.py FOLDER

`FOLDER/good/` holds the same object in every format: a blue ball on a grey foot, a red arm to +X and a green one to +Y, 2.0 x 1.5 x 1.2 with +Z up.
`FOLDER/odd/` holds what needs mending or is refused, `FOLDER/hostile/` what must not run or be read, `FOLDER/partly/` what is not to be seen from some sides.
"""

import os
import sys
from pathlib import Path

import bpy
import numpy as np


def main(folder: Path) -> None:
    good, odd, hostile = (folder / name for name in ("good", "odd", "hostile"))
    for each in (good, odd, hostile, folder / "outside", folder / "partly"):
        each.mkdir(parents=True, exist_ok=True)
    marker()
    bpy.ops.export_scene.gltf(filepath=str(good / "binary.glb"))
    bpy.ops.export_scene.gltf(filepath=str(good / "text.gltf"), export_format="GLTF_SEPARATE")
    bpy.ops.wm.obj_export(filepath=str(good / "wavefront.obj"))
    bpy.ops.wm.ply_export(filepath=str(good / "polygons.ply"), up_axis="Z", forward_axis="Y")
    bpy.ops.wm.stl_export(filepath=str(good / "triangles.stl"))
    bpy.ops.export_scene.fbx(filepath=str(good / "film.fbx"))
    for suffix in ("usda", "usdc", "usdz"):
        bpy.ops.wm.usd_export(filepath=str(good / f"stage.{suffix}"))
    bpy.ops.wm.save_as_mainfile(filepath=str(good / "own.blend"))
    bent(odd / "skinned.glb")
    textured(odd)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_cylinder_add(vertices=48)
    bpy.ops.wm.stl_export(filepath=str(odd / "can.stl"))
    ghost(folder / "partly" / "ghost.glb")
    scripted(hostile / "scripted.blend", folder / "outside" / "written_by_a_script")
    linked(hostile / "linked.blend", folder / "outside" / "library.blend")
    peeking(hostile / "peeking.blend", folder / "outside" / "secret.png")
    sys.stdout.flush()
    os._exit(0)


def marker() -> None:
    """The object of all formats."""
    bpy.ops.wm.read_homefile(use_empty=True)
    block("foot", (0.25, 0.0, 0.1), (1.5, 0.5, 0.2), (0.3, 0.3, 0.3))
    block("post", (0.0, 0.0, 0.45), (0.2, 0.2, 0.5), (0.3, 0.3, 0.3))
    block("arm_x", (0.75, 0.0, 0.6), (1.0, 0.2, 0.2), (0.8, 0.01, 0.01))
    block("arm_y", (0.0, 0.75, 0.6), (0.2, 1.0, 0.2), (0.01, 0.5, 0.01))
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.25, location=(-0.5, 0.0, 0.95))
    painted(bpy.context.object, (0.01, 0.02, 0.8))


def block(name: str, middle: tuple[float, float, float], size: tuple[float, float, float], rgb: tuple[float, float, float]) -> None:
    bpy.ops.mesh.primitive_cube_add(size=1, location=middle)
    bpy.context.object.scale = size
    bpy.context.object.name = name
    painted(bpy.context.object, rgb)


def painted(blender_object: bpy.types.Object, rgb: tuple[float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.new("paint")
    material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*rgb, 1.0)
    blender_object.data.materials.append(material)
    return material


def bent(path: Path) -> None:
    """A column whose upper half an armature bends to +X: at rest it is 3 high, posed 1.5 high."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2)
    bpy.data.objects.remove(bpy.context.object)
    bpy.ops.object.armature_add(enter_editmode=True)
    armature = bpy.context.object
    lower = armature.data.edit_bones[0]
    lower.head, lower.tail = (0, 0, 0), (0, 0, 1.5)
    upper = armature.data.edit_bones.new("upper")
    upper.head, upper.tail, upper.parent = (0, 0, 1.5), (0, 0, 3.0), lower
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.mesh.primitive_cube_add(size=1, location=(0, 0, 1.5))
    column = bpy.context.object
    column.scale = (0.4, 0.3, 3.0)
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.subdivide(number_cuts=9)
    bpy.ops.object.mode_set(mode="OBJECT")
    for name, above in ((lower.name if lower else "Bone", False), ("upper", True)):
        group = column.vertex_groups.new(name=name)
        group.add([v.index for v in column.data.vertices if (v.co.z > 1.5) == above], 1.0, "REPLACE")
    column.modifiers.new("bones", "ARMATURE").object = armature
    column.parent = armature
    armature.pose.bones["upper"].rotation_mode = "XYZ"
    armature.pose.bones["upper"].rotation_euler = (0.0, 0.0, np.pi / 2)
    armature.pose.bones["upper"].keyframe_insert("rotation_euler", frame=1)
    bpy.ops.export_scene.gltf(filepath=str(path), export_animations=True)


def textured(folder: Path) -> None:
    """A monkey with a picture on it; of the copy in lost.gltf the picture is missing."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    image = bpy.data.images.new("stripes", 64, 64)
    pixels = np.ones((64, 64, 4), np.float32)
    pixels[::8, :, 1:3] = 0.1
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    material = painted(bpy.context.object, (1, 1, 1))
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    material.node_tree.links.new(texture.outputs[0], material.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    bpy.ops.export_scene.gltf(filepath=str(folder / "textured.glb"))
    bpy.ops.export_scene.gltf(filepath=str(folder / "lost.gltf"), export_format="GLTF_SEPARATE")
    for picture in folder.glob("*.png"):
        picture.unlink()


def ghost(path: Path) -> None:
    """A box with another beside it that is there and cannot be seen: from where they stand side by side, half of the whole is missing."""
    bpy.ops.wm.read_homefile(use_empty=True)
    block("seen", (0.0, 0.0, 0.25), (0.5, 0.4, 0.5), (0.8, 0.3, 0.1))
    block("unseen", (1.0, 0.0, 0.25), (0.5, 0.4, 0.5), (0.8, 0.3, 0.1))
    material = bpy.context.object.data.materials[0]
    material.node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = 0.0
    bpy.ops.export_scene.gltf(filepath=str(path))


def scripted(path: Path, written: Path) -> None:
    """Text that Blender would run as a script, and a driver's expression, both of which write a file."""
    marker()
    text = bpy.data.texts.new("autorun.py")
    text.use_module = True
    text.write(f"open({str(written)!r}, 'w').write('a script ran')\n")
    driver = bpy.context.scene.objects["arm_x"].driver_add("location", 0).driver
    driver.type = "SCRIPTED"
    driver.expression = f"open({str(written)!r}, 'w').write('a driver ran')"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))


def linked(path: Path, library: Path) -> None:
    """Objects whose meshes are another file's."""
    marker()
    bpy.ops.wm.save_as_mainfile(filepath=str(library))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(library), link=True) as (there, here):
        here.meshes = there.meshes
    for mesh in here.meshes:
        bpy.context.scene.collection.objects.link(bpy.data.objects.new("borrowed", mesh))
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)


def peeking(path: Path, secret: Path) -> None:
    """An object that wears a picture from elsewhere on the machine."""
    marker()
    image = bpy.data.images.new("secret", 8, 8)
    image.filepath_raw, image.file_format = str(secret), "PNG"
    image.save()
    material = bpy.context.scene.objects["arm_x"].data.materials[0]
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(str(secret))
    material.node_tree.links.new(texture.outputs[0], material.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
    bpy.data.images.remove(image)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
