"""Pictures of scenes with Cycles. Runs in the workers alone.

BlenderProc builds what is seen; the render call goes straight to Cycles, which is measurably faster than BlenderProc's own (it keyframes every camera, denoises
in the compositor and reads pictures back through several layers).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from actial.records import SUBJECT_IN_MASK, Camera
from actial.rng import generator_for
from actial.views import boxes
from actial.views.arrangements import Solid
from actial.views.asset_scenes import AssetScene
from actial.views.cameras import Shot
from actial.views.committed import Plan
from actial.views.inside_assets import loaded
from actial.views.inside_start import Matrix, bmesh, bpy, load_blenderproc
from actial.views.scenes import HDRIS, Ground, Scene, Sky

PRIMITIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "box": ("CUBE", {"size": 1}),
    "sphere": ("SPHERE", {"radius": 0.5, "segments": 48, "ring_count": 24}),
    "cylinder": ("CYLINDER", {"radius": 0.5, "depth": 1, "vertices": 64}),
    "cone": ("CONE", {"radius1": 0.5, "radius2": 0.002, "depth": 1, "vertices": 64}),  # a point would have one normal for all sides
}
"""BlenderProc's word and arguments for each of our shapes, filling a unit cube."""

GROUND_SIDE_M = 400.0
FINISHES = {
    "matt": {"Roughness": 0.7, "Specular IOR Level": 0.2},
    "satin": {"Roughness": 0.35, "Specular IOR Level": 0.5},
    "glossy": {"Roughness": 0.08, "Specular IOR Level": 0.5},
    "metal": {"Roughness": 0.3, "Metallic": 1.0},
}
"""Inputs of Blender's principled shader."""
LAMPS = {"key": (0.0, 0.75, 420.0), "fill": (-1.75, 0.45, 140.0), "rim": (2.8, 0.9, 260.0)}
"""Three-point light: azimuth from the key light's and elevation, radians, and power in watts."""
LAMP_DISTANCE_M, LAMP_SIDE_M = 6.0, 2.0
THREE_POINT_SKY = 0.5
"""How bright the sky is behind lamps, as a share of what it is with the sun."""
HDRI_RADIANCE = 1.1
"""Mean of what comes from above, to which every HDRI is brought: they differ thirtyfold."""
KEPT_SCENES = 20
"""After so many scenes Cycles forgets what it keeps between pictures. Kept, it saves 8 ms a picture, but each scene adds 0.024 ms to all pictures to come."""


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
        self.plan = plan
        self.passes_fd = os.memfd_create("passes")
        layer = bpy.context.view_layer
        layer.use_pass_object_index, layer.use_pass_z, layer.use_pass_normal = plan.assets is not None, "depth" in plan.passes, "normals" in plan.passes
        _fast_cycles(plan.samples)
        self.shapes = {shape: self._prototype(shape) for shape in PRIMITIVES}
        self.materials: dict[tuple[tuple[float, ...], str], Any] = {}
        self.sun = self.bproc.light.Light("SUN", name="sun")
        self.sun.blender_obj.data.angle = np.radians(3.0)
        self.lamps = [self._lamp(name) for name in LAMPS] if "three_point" in plan.lights else []
        self.ground = self.bproc.object.create_primitive("PLANE", size=GROUND_SIDE_M)
        self.ground_materials = {pattern: _GroundMaterial(self.bproc, pattern) for pattern in ("checker", "stripes", "patches")}
        self.sky = _SkyNodes(bpy.context.scene.world, HDRIS if "hdri" in plan.lights else ())
        self.solids: list[Any] = []
        self.changing, self.placed = list[Any](), list[Solid]()
        """What may stand elsewhere in another state of the scene, and where it stands now."""
        self.upright = bpy.data.objects.new("upright", None)
        self.frame: tuple[float, ...] = ()
        """Of the last camera, all but its focal length: its picture's size, the pixels' aspect, the principal point."""

    def render(self, scene: Scene | AssetScene, shots: list[Shot]) -> list[boxes.Picture]:
        """Render every shot of a scene.

        Raises:
            RefusedAsset: the scene's asset cannot be used.
        """
        self.n_scenes += 1
        if isinstance(scene, AssetScene):
            return self._render_asset(scene, shots)
        subject = (scene.subject_solids, scene.in_state(1).subject_solids)
        self._build(scene, subject[0] + scene.surroundings)
        self.changing, self.placed = self.solids[: len(subject[0])] + self.changing, [*subject[0], *self.placed]
        masks = boxes.part_masks(scene, shots)
        pictures = []
        for shot, mask in zip(shots, masks, strict=True):
            self._place(subject[shot.state] + scene.companions.in_state(shot.state))
            pictures.append(self._picture(scene.sky, shot, shot is shots[-1], mask))
        return pictures

    def _render_asset(self, scene: AssetScene, shots: list[Shot]) -> list[boxes.Picture]:
        assert self.plan.assets is not None
        self._build(scene, scene.surroundings)
        bare = self._material(scene.rgb, self._finish(scene.scene_id, "bare")).blender_obj
        with loaded(scene.asset, Path(self.plan.assets)) as asset:
            for blender_object in asset.objects:
                blender_object.pass_index = SUBJECT_IN_MASK
                if not any(blender_object.data.materials):
                    blender_object.data.materials.clear()
                    blender_object.data.materials.append(bare)
            pictures, placed = [], None
            for shot in shots:
                if (T_world_asset := scene.in_state(shot.state).T_world_asset) != placed:
                    for blender_object in asset.objects:
                        self._stand(blender_object, np.reshape(T_world_asset, (4, 4)))
                    placed = T_world_asset
                self._place(scene.companions.in_state(shot.state))
                pictures.append(self._picture(scene.sky, shot, shot is shots[-1]))
            return pictures

    def _picture(self, sky: Sky, shot: Shot, last: bool, mask: np.ndarray | None = None) -> boxes.Picture:
        """Render a shot, with the passes of the plan; where no mask is given, it comes from the same render."""
        bpy.context.scene.render.use_persistent_data = not (last and self.n_scenes % KEPT_SCENES == 0)
        pixels = self._render(sky, shot)
        passes = self._passes() if mask is None or self.plan.passes else {}
        if mask is None:
            mask = passes["IndexOB.X"].astype(np.uint8)
        depth_m = passes["Depth.Z"] if "depth" in self.plan.passes else None
        normals = None
        if "normals" in self.plan.passes:
            normals = np.stack([passes[f"Normal.{axis}"] for axis in "XYZ"], axis=-1) @ shot.camera.pose()[:3, :3]  # world's axes to the camera's
        return boxes.Picture(pixels, mask, depth_m, normals)

    def _passes(self) -> dict[str, np.ndarray]:
        """(h, w) float32 of each pass of the last picture."""
        scene, path = bpy.context.scene, f"/proc/self/fd/{self.passes_fd}"
        settings = scene.render.image_settings
        os.ftruncate(self.passes_fd, 0)
        settings.file_format, settings.exr_codec, settings.color_depth = "OPEN_EXR_MULTILAYER", "NONE", "32"
        bpy.data.images["Render Result"].save_render(path, scene=scene)
        _write_plain(settings)
        layer = f"{bpy.context.view_layer.name}."
        return {name.removeprefix(layer): channel.pixels for name, channel in OpenEXR.File(path, separate_channels=True).channels().items()}

    def _prototype(self, shape: str) -> Any:
        primitive, arguments = PRIMITIVES[shape]
        mesh = self.bproc.object.create_primitive(primitive, **arguments)
        if shape != "box":
            _set_exact_normals(mesh.blender_obj.data, shape)
        mesh.add_material(self.bproc.material.create("none"))
        bpy.context.collection.objects.unlink(mesh.blender_obj)
        return mesh

    def _lamp(self, name: str) -> Any:
        lamp = self.bproc.light.Light("AREA", name=name).blender_obj
        lamp.data.size = LAMP_SIDE_M
        return lamp

    def _build(self, scene: Scene | AssetScene, solids: tuple[Solid, ...]) -> None:
        bpy.data.batch_remove([entity.blender_obj for entity in self.solids])
        self.solids = [self._stood(solid, scene.scene_id) for solid in solids]
        self.placed = list(scene.companions.first)
        self.changing = [self._stood(solid, scene.scene_id) for solid in self.placed]
        for number, entity in enumerate(self.changing, start=1):
            entity.blender_obj.pass_index = number  # in the masks of assets; solids have theirs from `boxes`
        self.solids += self.changing
        material = self.ground_materials[scene.ground.pattern]
        material.set(scene.ground)
        self.ground.replace_materials(material.material)

    def _stood(self, solid: Solid, scene_id: str) -> Any:
        entity = self.shapes[solid.shape].duplicate(duplicate_children=False, linked=True)
        entity.blender_obj.name = solid.name
        slot = entity.blender_obj.material_slots[0]
        slot.link = "OBJECT"
        slot.material = self._material(solid.rgb, self._finish(scene_id, solid.name)).blender_obj
        self._stand(entity.blender_obj, _placing(solid))
        return entity

    def _place(self, solids: tuple[Solid, ...]) -> None:
        """Put what may change where it stands in a state; what stands there already is left alone."""
        for i, (entity, solid) in enumerate(zip(self.changing, solids, strict=True)):
            if solid != self.placed[i]:
                self._stand(entity.blender_obj, _placing(solid))
                self.placed[i] = solid

    def _stand(self, blender_object: Any, T_world_mesh: np.ndarray) -> None:
        """Put an object where a matrix says. Blender keeps no shear in an object's own place: one that leans gets it as the place of a parent's."""
        axes = T_world_mesh[:3, :3].T @ T_world_mesh[:3, :3]
        leans = np.abs(axes - np.diag(np.diag(axes))).max() > 1e-9
        if leans:
            blender_object.parent = self.upright
            blender_object.matrix_parent_inverse = Matrix(T_world_mesh.tolist())
            blender_object.matrix_basis = Matrix.Identity(4)
        else:
            if blender_object.parent is not None:
                blender_object.parent = None
            blender_object.matrix_world = Matrix(T_world_mesh.tolist())

    def _finish(self, scene_id: str, name: str) -> str:
        """Of what is called `name` there, drawn by the seed."""
        finishes = self.plan.finishes
        return finishes[0] if len(finishes) == 1 else str(generator_for(self.plan.root_seed, f"{scene_id}/{name}/finish").choice(finishes))

    def _material(self, rgb: tuple[float, ...], finish: str) -> Any:
        if (rgb, finish) not in self.materials:
            material = self.bproc.material.create(finish)
            for value, of_finish in FINISHES[finish].items():
                material.set_principled_shader_value(value, of_finish)
            material.set_principled_shader_value("Base Color", [*rgb, 1.0])
            self.materials[rgb, finish] = material
        return self.materials[rgb, finish]

    def _render(self, sky: Sky, shot: Shot) -> np.ndarray:
        scene, camera = bpy.context.scene, shot.camera
        self._set_intrinsics(camera)
        scene.camera.matrix_world = Matrix(camera.pose().tolist())
        azimuth_rad = sky.sun_azimuth_rad + shot.sun_shift_rad
        self.sun.blender_obj.data.energy = sky.sun_strength * shot.sun_factor if sky.light == "sun" else 0.0
        self.sun.blender_obj.rotation_euler = (np.pi / 2 - sky.sun_elevation_rad, 0.0, azimuth_rad + np.pi / 2)
        for lamp, (around_rad, elevation_rad, power_w) in zip(self.lamps, LAMPS.values(), strict=False):
            _aim(lamp, azimuth_rad + around_rad, elevation_rad)
            lamp.data.energy = power_w * shot.sun_factor if sky.light == "three_point" else 0.0
        self.sky.set(sky, azimuth_rad, shot.sun_factor)
        scene.view_settings.exposure = shot.exposure_ev
        scene.cycles.seed = shot.noise_seed
        start_s = time.process_time()
        bpy.ops.render.render(write_still=False)
        self.cycles_s += time.process_time() - start_s
        bpy.data.images["Render Result"].save_render(f"/proc/self/fd/{self.picture_fd}", scene=scene)
        n_bytes = 4 * camera.width_px * camera.height_px  # the last of the file
        data = os.pread(self.picture_fd, n_bytes, os.fstat(self.picture_fd).st_size - n_bytes)
        return np.frombuffer(data, np.uint8).reshape(camera.height_px, camera.width_px, 4)[..., :3]

    def _set_intrinsics(self, camera: Camera) -> None:
        """By BlenderProc where more than the focal length changes, or for the first time: it sets a dozen values, which takes longer than a mask."""
        K = camera.intrinsics()
        frame = (camera.width_px, camera.height_px, K[1, 1] / K[0, 0], K[0, 2], K[1, 2])
        if frame == self.frame:
            lens = bpy.context.scene.camera.data
            lens.lens = float(np.float32(K[0, 0])) * lens.sensor_width / max(camera.width_px, camera.height_px)  # in BlenderProc's single precision
            return
        self.frame = frame
        K_centres = K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]  # BlenderProc counts pixels from their centres
        self.bproc.camera.set_intrinsics_from_K_matrix(K_centres, camera.width_px, camera.height_px, clip_start=0.05, clip_end=1000)


def _placing(solid: Solid) -> np.ndarray:
    """(4, 4) brings a unit cube around one of `PRIMITIVES` to where the solid stands."""
    return np.asarray(solid.pose() @ np.diag([*solid.size_m, 1.0]))


def _set_exact_normals(mesh: Any, shape: str) -> None:
    """Round sides smooth and flat ends flat, by formula: ends are cut off from sides, then each vertex gets its normal.

    Blender's own smooth normals differ in their last bit from run to run (threads sum the faces around a vertex in any order); denoised, that
    shows in some pixels. Cycles takes one custom normal a vertex, whatever its corners say: hence the cut.
    """
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
    _write_plain(r.image_settings)
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    r.dither_intensity = 0.0


def _write_plain(settings: Any) -> None:
    """TIFF without compression: a header, then the pixels from the top down. Targa and BMP seek back before each row, which takes a quarter longer."""
    settings.file_format, settings.tiff_codec = "TIFF", "NONE"
    settings.color_mode, settings.color_depth = "RGBA", "8"  # without alpha, Blender mixes first


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
    """A world that fades from the horizon's colour to the zenith's, or is a photograph of surroundings."""

    def __init__(self, world: Any, hdris: tuple[str, ...]) -> None:
        world.use_nodes = True
        self.settings = world.cycles
        self.settings.sample_map_resolution = 256  # automatically it takes 2 s more for each new photograph
        nodes, self.links = world.node_tree.nodes, world.node_tree.links
        nodes.clear()
        direction, split, self.mix = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeSeparateXYZ"), nodes.new("ShaderNodeMix")
        self.background, output = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeOutputWorld")
        self.mix.data_type = "RGBA"
        self.links.new(direction.outputs["Generated"], split.inputs[0])
        self.links.new(split.outputs["Z"], self.mix.inputs[0])  # the factor is clamped to 0..1
        self.links.new(self.background.outputs[0], output.inputs["Surface"])
        self.shown: tuple[Sky, float, float] | None = None
        self.photographs = {name: _photograph(name) for name in hdris}
        if hdris:
            self.mapping, self.texture = nodes.new("ShaderNodeMapping"), nodes.new("ShaderNodeTexEnvironment")
            self.links.new(direction.outputs["Generated"], self.mapping.inputs["Vector"])
            self.links.new(self.mapping.outputs["Vector"], self.texture.inputs["Vector"])

    def set(self, sky: Sky, azimuth_rad: float, factor: float) -> None:
        azimuth_rad, factor = (azimuth_rad, factor) if sky.light == "hdri" else (0.0, 1.0)
        if self.shown == (sky, azimuth_rad, factor):  # each value that is set costs as much as a solid of a scene
            return
        self.shown = (sky, azimuth_rad, factor)
        if sky.light == "hdri":
            self.texture.image, radiance = self.photographs[sky.hdri]
            self.mapping.inputs["Rotation"].default_value = (0.0, 0.0, azimuth_rad)
            self._show(self.texture.outputs["Color"], "MANUAL", HDRI_RADIANCE / radiance * factor)
            return
        for socket, rgb in zip((6, 7), (sky.horizon, sky.zenith), strict=True):
            self.mix.inputs[socket].default_value = (*rgb, 1.0)
        self._show(self.mix.outputs[2], "NONE", THREE_POINT_SKY if sky.light == "three_point" else 1.0)

    def _show(self, source: Any, sampling: str, strength: float) -> None:
        if not self.background.inputs["Color"].links or self.background.inputs["Color"].links[0].from_socket != source:
            self.links.new(source, self.background.inputs["Color"])
        self.settings.sampling_method = sampling
        self.background.inputs["Strength"].default_value = strength


def _photograph(name: str) -> tuple[Any, float]:
    """An HDRI of Blender's own, and the mean radiance of its upper half."""
    image = bpy.data.images.load(f"{bpy.utils.system_resource('DATAFILES')}/studiolights/world/{name}.exr")
    pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    rows = pixels.reshape(image.size[1], image.size[0], image.channels)[image.size[1] // 2 :, :, :3].mean(axis=(1, 2))
    elevation_rad = (np.arange(len(rows)) + 0.5) / len(rows) * np.pi / 2
    return image, float(np.average(rows, weights=np.cos(elevation_rad)))


def _aim(lamp: Any, azimuth_rad: float, elevation_rad: float) -> None:
    """Put a lamp around the subject and let it shine on it."""
    across, up = LAMP_DISTANCE_M * np.cos(elevation_rad), LAMP_DISTANCE_M * np.sin(elevation_rad)
    lamp.location = (across * np.cos(azimuth_rad), across * np.sin(azimuth_rad), up)
    lamp.rotation_euler = (np.pi / 2 - elevation_rad, 0.0, azimuth_rad + np.pi / 2)
