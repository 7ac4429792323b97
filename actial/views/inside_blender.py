"""The worker program that renders with Blender: the only file that imports bpy and BlenderProc.

`python -m actial.views.inside_blender FD` reads JSON lines on standard input (first the job, then one scene id a line) and
answers JSON lines on file descriptor FD. BlenderProc builds what is seen; the render call goes straight to Cycles, which is
measurably faster than BlenderProc's own (it keyframes every camera, denoises in the compositor and reads pictures back through
several layers). It must end with `os._exit`: with BlenderProc loaded, the interpreter hangs at exit.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

from actial.shards import view_table
from actial.views import boxes, committed
from actial.views.cameras import NoCameras, Shot
from actial.views.committed import Plan
from actial.views.scenes import Ground, Scene, Sky


def _import_bpy() -> Any:
    """Blender, with no threads of its own: TBB counts the processors it may use when it is loaded.

    Otherwise it keeps a thread for every further processor, which waits for work in a loop and burns a third of the CPU time of small pictures.
    """
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cpus)[os.getpid() % len(cpus)]})
    try:
        return importlib.import_module("bpy")
    finally:
        os.sched_setaffinity(0, cpus)


bpy = _import_bpy()
Matrix = importlib.import_module("mathutils").Matrix  # exists once bpy is imported

PRIMITIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "box": ("CUBE", {"size": 1}),
    "sphere": ("SPHERE", {"radius": 0.5, "segments": 48, "ring_count": 24}),
    "cylinder": ("CYLINDER", {"radius": 0.5, "depth": 1, "vertices": 64}),
    "cone": ("CONE", {"radius1": 0.5, "radius2": 0.002, "depth": 1, "vertices": 64}),  # a point would have one normal for all sides
}
"""BlenderProc's word and arguments for each of our shapes, filling a unit cube."""

GROUND_SIDE_M = 400.0
KEPT_SCENES = 20
"""After so many scenes Cycles forgets what it keeps between pictures. Kept, it saves 8 ms a picture, but each scene adds 0.024 ms to all pictures to come."""
TARGA_HEADER = 18
"""Bytes before the pixels of a raw Targa file: rows from the bottom up, blue, green, red, alpha."""


def load_blenderproc() -> types.SimpleNamespace:
    """What we use of BlenderProc 2.8.0, in this interpreter next to the bpy wheel, with Cycles initialised.

    Its own `__init__` only runs inside the Blender that it downloads: it takes site-packages off `sys.path`, installs packages with pip and sets a UI language
    that the wheel does not have. So a bare package stands in for it, and its modules are imported one by one, which also halves the start.
    """
    spec = importlib.util.find_spec("blenderproc")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("blenderproc is not installed")
    os.environ["INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"] = "1"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    package = types.ModuleType("blenderproc")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["blenderproc"] = package
    module = lambda name: importlib.import_module(f"blenderproc.python.{name}")
    bproc = types.SimpleNamespace(
        camera=module("camera.CameraUtility"),
        light=module("types.LightUtility"),
        material=module("material.MaterialLoaderUtility"),
        object=module("types.MeshObjectUtility"),
        renderer=module("renderer.RendererUtility"),
    )
    initializer = module("utility.Initializer")
    initializer.clean_up(clean_up_camera=True)
    bpy.context.scene.render.engine = "CYCLES"
    bproc.renderer.set_render_devices(use_only_cpu=True)
    initializer._Initializer.set_default_parameters()
    return bproc


class Studio:
    """One Blender with everything that stays from scene to scene: meshes, materials, ground, sky, sun, camera.

    Every value a picture depends on is set anew for each scene, so a scene never depends on the one before it.
    """

    def __init__(self, plan: Plan) -> None:
        self.picture_fd = os.memfd_create("view")  # pictures leave Blender through memory
        self.bproc = load_blenderproc()
        self.n_scenes = 0
        self.cycles_s = 0.0
        """CPU seconds inside the render call so far."""
        _fast_cycles(plan.samples)
        self.shapes = {shape: self._prototype(shape) for shape in PRIMITIVES}
        self.materials: dict[tuple[float, ...], Any] = {}
        self.sun = self.bproc.light.Light("SUN", name="sun")
        self.sun.blender_obj.data.angle = np.radians(3.0)
        self.ground = self.bproc.object.create_primitive("PLANE", size=GROUND_SIDE_M)
        self.ground_materials = {pattern: _GroundMaterial(self.bproc, pattern) for pattern in ("checker", "stripes", "patches")}
        self.sky = _SkyNodes(bpy.context.scene.world)
        self.solids: list[Any] = []

    def render(self, scene: Scene, shots: list[Shot]) -> list[boxes.Picture]:
        """Render every shot of a scene."""
        self._build(scene)
        self.n_scenes += 1
        masks = boxes.part_masks(scene, [shot.camera for shot in shots])
        pictures = []
        for i, (shot, mask) in enumerate(zip(shots, masks, strict=True)):
            forget = self.n_scenes % KEPT_SCENES == 0 and i == len(shots) - 1
            bpy.context.scene.render.use_persistent_data = not forget
            pictures.append(boxes.Picture(self._render(scene.sky, shot), mask))
        return pictures

    def _prototype(self, shape: str) -> Any:
        primitive, arguments = PRIMITIVES[shape]
        mesh = self.bproc.object.create_primitive(primitive, **arguments)
        if shape != "box":
            _set_exact_normals(mesh.blender_obj.data, shape)
        mesh.add_material(self.bproc.material.create("none"))
        bpy.context.collection.objects.unlink(mesh.blender_obj)
        return mesh

    def _build(self, scene: Scene) -> None:
        for solid in self.solids:
            bpy.data.objects.remove(solid.blender_obj, do_unlink=True)
        self.solids = []
        for solid in scene.subject_solids + scene.surroundings:
            entity = self.shapes[solid.shape].duplicate(linked=True)
            entity.blender_obj.name = solid.name
            slot = entity.blender_obj.material_slots[0]
            slot.link = "OBJECT"
            slot.material = self._material(solid.rgb).blender_obj
            entity.blender_obj.matrix_world = Matrix((solid.pose() @ np.diag([*solid.size_m, 1.0])).tolist())
            self.solids.append(entity)
        material = self.ground_materials[scene.ground.pattern]
        material.set(scene.ground)
        self.ground.replace_materials(material.material)
        self.sky.set(scene.sky)

    def _material(self, rgb: tuple[float, ...]) -> Any:
        if rgb not in self.materials:
            material = self.bproc.material.create("matt")
            material.set_principled_shader_value("Base Color", [*rgb, 1.0])
            material.set_principled_shader_value("Roughness", 0.7)
            material.set_principled_shader_value("Specular IOR Level", 0.2)
            self.materials[rgb] = material
        return self.materials[rgb]

    def _render(self, sky: Sky, shot: Shot) -> np.ndarray:
        scene, camera = bpy.context.scene, shot.camera
        K = camera.intrinsics() - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]  # BlenderProc counts pixels from their centres
        self.bproc.camera.set_intrinsics_from_K_matrix(K, camera.width_px, camera.height_px, clip_start=0.05, clip_end=1000)
        scene.camera.matrix_world = Matrix(camera.pose().tolist())
        self.sun.blender_obj.data.energy = sky.sun_strength * shot.sun_factor
        self.sun.blender_obj.rotation_euler = (np.pi / 2 - sky.sun_elevation_rad, 0.0, sky.sun_azimuth_rad + shot.sun_shift_rad + np.pi / 2)
        scene.view_settings.exposure = shot.exposure_ev
        scene.cycles.seed = shot.noise_seed
        start_s = time.process_time()
        bpy.ops.render.render(write_still=False)
        self.cycles_s += time.process_time() - start_s
        bpy.data.images["Render Result"].save_render(f"/proc/self/fd/{self.picture_fd}", scene=scene)
        data = os.pread(self.picture_fd, TARGA_HEADER + 4 * camera.width_px * camera.height_px, 0)
        return np.frombuffer(data, np.uint8, offset=TARGA_HEADER).reshape(camera.height_px, camera.width_px, 4)[::-1, :, 2::-1]


def _set_exact_normals(mesh: Any, shape: str) -> None:
    """Round sides smooth and flat ends flat, by formula: ends are cut off from sides, then each vertex gets its normal.

    Blender's own smooth normals differ in their last bit from run to run (threads sum the faces around a vertex in any order); denoised, that
    shows in some pixels. Cycles takes one custom normal a vertex, whatever its corners say: hence the cut.
    """
    import bmesh  # exists once bpy is imported

    shape_mesh = bmesh.new()
    shape_mesh.from_mesh(mesh)
    bmesh.ops.split_edges(shape_mesh, edges=[e for e in shape_mesh.edges if e.calc_face_angle(0.0) > np.radians(40)])
    shape_mesh.to_mesh(mesh)
    shape_mesh.free()
    points = np.array([v.co for v in mesh.vertices], np.float64)
    normals = points.copy()
    if shape != "sphere":
        normals[:, 2] = 0.0
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        normals[:, 2] = 0.5 if shape == "cone" else 0.0
        for polygon in mesh.polygons:
            end = list(polygon.vertices)
            if np.ptp(points[end, 2]) < 1e-6:
                normals[end] = [0, 0, np.sign(points[end[0], 2])]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    mesh.shade_smooth()
    mesh.attributes.new("custom_normal", "FLOAT_VECTOR", "POINT").data.foreach_set("vector", normals.astype(np.float32).ravel())


def _fast_cycles(samples: int) -> None:
    scene = bpy.context.scene
    c, r = scene.cycles, scene.render
    r.engine, c.device = "CYCLES", "CPU"
    c.samples, c.use_adaptive_sampling = samples, False
    c.use_denoising, c.denoiser, c.denoising_quality, c.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST", "NONE"
    bpy.context.view_layer.cycles.use_denoising = True
    c.max_bounces = c.diffuse_bounces = c.glossy_bounces = c.transmission_bounces = 2
    c.transparent_max_bounces, c.volume_bounces = 4, 0
    c.caustics_reflective = c.caustics_refractive = False
    r.threads_mode, r.threads = "FIXED", 1
    r.use_compositing = r.use_sequencer = False
    r.resolution_percentage = 100
    r.image_settings.file_format, r.image_settings.color_mode = "TARGA_RAW", "RGBA"  # without alpha, Blender mixes first
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    r.dither_intensity = 0.0


class _GroundMaterial:
    """A matt material that shows one pattern in world coordinates."""

    def __init__(self, bproc: Any, pattern: str) -> None:
        self.material = bproc.material.create(f"ground_{pattern}")
        new, link = self.material.new_node, self.material.link
        self.mapping = new("ShaderNodeMapping")
        link(new("ShaderNodeNewGeometry").outputs["Position"], self.mapping.inputs["Vector"])
        in_plane = new("ShaderNodeVectorMath")  # in the middle of a cell upward; stripes do not vary along y
        in_plane.operation = "MULTIPLY_ADD"
        in_plane.inputs[1].default_value = (1, 0, 0) if pattern == "stripes" else (1, 1, 0)
        in_plane.inputs[2].default_value = (0, 0.5, 0.5) if pattern == "stripes" else (0, 0, 0.5)
        link(self.mapping.outputs["Vector"], in_plane.inputs[0])
        self.mix = new("ShaderNodeMix")
        self.mix.data_type = "RGBA"
        if pattern == "patches":
            cell = new("ShaderNodeVectorMath")
            cell.operation = "FLOOR"
            share = new("ShaderNodeTexWhiteNoise")
            link(in_plane.outputs[0], cell.inputs[0])
            link(cell.outputs[0], share.inputs["Vector"])
            link(share.outputs["Value"], self.mix.inputs[0])
        else:
            share = new("ShaderNodeTexChecker")
            share.inputs["Scale"].default_value = 1.0
            link(in_plane.outputs[0], share.inputs["Vector"])
            link(share.outputs["Fac"], self.mix.inputs[0])
        self.material.set_principled_shader_value("Base Color", self.mix.outputs[2])
        self.material.set_principled_shader_value("Roughness", 0.9)
        self.material.set_principled_shader_value("Specular IOR Level", 0.0)

    def set(self, ground: Ground) -> None:
        self.mapping.inputs["Rotation"].default_value = (0, 0, ground.yaw_rad)
        self.mapping.inputs["Scale"].default_value = (1 / ground.cell_m,) * 3
        for socket, tone in zip((6, 7), ground.tones, strict=True):
            self.mix.inputs[socket].default_value = (*tone, 1.0)


class _SkyNodes:
    """A world that fades from the horizon's colour to the zenith's."""

    def __init__(self, world: Any) -> None:
        world.use_nodes = True
        world.cycles.sampling_method = "NONE"
        nodes, links = world.node_tree.nodes, world.node_tree.links
        nodes.clear()
        direction, split, self.mix = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeSeparateXYZ"), nodes.new("ShaderNodeMix")
        background, output = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeOutputWorld")
        self.mix.data_type = "RGBA"
        links.new(direction.outputs["Generated"], split.inputs[0])
        links.new(split.outputs["Z"], self.mix.inputs[0])  # the factor is clamped to 0..1
        links.new(self.mix.outputs[2], background.inputs["Color"])
        links.new(background.outputs[0], output.inputs["Surface"])

    def set(self, sky: Sky) -> None:
        for socket, radiance in zip((6, 7), (sky.horizon, sky.zenith), strict=True):
            self.mix.inputs[socket].default_value = (*radiance, 1.0)


def serve(reply_fd: int) -> None:
    """Render the scenes that arrive on standard input until it closes.

    Replies: {"ready": true, "cpu_s": s}; then for each scene {"scene": id, "cycles_s": s, "cpu_s": s}, or with "refused": reason, or
    with "errno" and "file" where the system failed to write.
    """
    with os.fdopen(reply_fd, "w", buffering=1, encoding="utf-8") as replies:
        job = json.loads(sys.stdin.readline())
        plan, folder = Plan(**job["plan"]), Path(job["folder"])
        studio = Studio(plan)
        view_table(())  # pyarrow loads pandas for its first table
        print(json.dumps({"ready": True, "cpu_s": time.process_time()}), file=replies)
        for line in sys.stdin:
            print(json.dumps(_rendered(studio, plan, folder, line.strip())), file=replies)


def _rendered(studio: Studio, plan: Plan, folder: Path, scene_id: str) -> dict[str, Any]:
    reply: dict[str, Any] = {"scene": scene_id}
    try:
        scene, shots = committed.composed(plan, scene_id)
        committed.commit(folder, plan, scene, shots, studio.render(scene, shots))
    except NoCameras as error:
        reply["refused"] = str(error)
    except OSError as error:
        if error.errno is None:
            raise
        reply |= {"errno": error.errno, "file": str(folder / scene_id)}
    return reply | {"cycles_s": studio.cycles_s, "cpu_s": time.process_time()}


if __name__ == "__main__":
    code = 1
    try:
        serve(int(sys.argv[1]))
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    if "bpy" in sys.modules:  # Blender would empty its folder at the exit that never comes
        shutil.rmtree(sys.modules["bpy"].app.tempdir, ignore_errors=True)
    sys.stderr.flush()
    os._exit(code)
