"""The peer of benchmarks/render.py: a script as BlenderProc's manual teaches, which knows nothing of Actial.

    python benchmarks/rendering/plain_blenderproc.py JOB.json FOLDER

For each scene of the job: clean up, add primitives with materials, ground, sky and sun, register the cameras, render, write HDF5. With "fast" it takes the
same settings as Actial (samples, bounces, denoiser, one thread); otherwise BlenderProc's defaults. CPU seconds go to FOLDER/times.json.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import bpy
import numpy as np

PRIMITIVES = {"box": "CUBE", "sphere": "SPHERE", "cylinder": "CYLINDER", "cone": "CONE"}
UNIT = {"CUBE": {"size": 1}, "SPHERE": {"radius": 0.5}, "CYLINDER": {"radius": 0.5, "depth": 1}, "CONE": {"radius1": 0.5, "radius2": 0, "depth": 1}}


def load_blenderproc(temporary: Path) -> types.SimpleNamespace:
    """`import blenderproc` and `init()`, next to the bpy wheel: 2.8.0 itself only starts inside the Blender that it downloads."""
    spec = importlib.util.find_spec("blenderproc")
    assert spec is not None and spec.submodule_search_locations is not None
    os.environ["INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"] = "1"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    package = types.ModuleType("blenderproc")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["blenderproc"] = package
    names = ("camera", "material", "object", "renderer", "types", "writer")
    bproc = types.SimpleNamespace(**{name: importlib.import_module(f"blenderproc.api.{name}") for name in names})
    importlib.import_module("blenderproc.python.utility.SetupUtility").SetupUtility.setup_utility_paths(str(temporary))
    initializer = importlib.import_module("blenderproc.python.utility.Initializer")
    bproc.clean_up = initializer.clean_up
    bproc.clean_up(clean_up_camera=True)
    bpy.context.scene.render.engine = "CYCLES"
    bproc.renderer.set_render_devices()
    initializer._Initializer.set_default_parameters()
    return bproc


def take_fast_settings(bproc: types.SimpleNamespace, samples: int) -> None:
    """Those of Actial, by BlenderProc's functions where it has one."""
    bproc.renderer.set_cpu_threads(1)
    bproc.renderer.set_max_amount_of_samples(samples)
    bproc.renderer.set_noise_threshold(0)
    bproc.renderer.set_light_bounces(2, 2, 0, 2, 2, 4, 0)
    bproc.renderer.set_denoiser(None)  # in the compositor it takes several times as long as in Cycles
    cycles = bpy.context.scene.cycles
    cycles.use_denoising, cycles.denoiser, cycles.denoising_quality, cycles.denoising_prefilter = True, "OPENIMAGEDENOISE", "FAST", "NONE"
    bpy.context.view_layer.cycles.use_denoising = True


def build(bproc: types.SimpleNamespace, scene: dict[str, Any]) -> None:
    for solid in scene["solids"]:
        kind = PRIMITIVES[solid["shape"]]
        entity = bproc.object.create_primitive(kind, **UNIT[kind])
        entity.set_local2world_mat(np.array(solid["pose"]) @ np.diag([*solid["size_m"], 1.0]))
        entity.set_shading_mode("FLAT" if kind == "CUBE" else "SMOOTH")
        matt = bproc.material.create("matt")
        matt.set_principled_shader_value("Base Color", [*solid["rgb"], 1.0])
        matt.set_principled_shader_value("Roughness", 0.7)
        entity.replace_materials(matt)
    ground = bproc.object.create_primitive("PLANE", size=400.0)
    tiles = bproc.material.create("tiles")
    checker = tiles.new_node("ShaderNodeTexChecker")
    checker.inputs["Scale"].default_value = 400.0 / scene["cell_m"]
    for name, tone in zip(("Color1", "Color2"), scene["tones"], strict=True):
        checker.inputs[name].default_value = (*tone, 1.0)
    tiles.set_principled_shader_value("Base Color", checker.outputs["Color"])
    tiles.set_principled_shader_value("Roughness", 0.9)
    ground.replace_materials(tiles)
    bproc.renderer.set_world_background(list(scene["sky"]))
    sun = bproc.types.Light("SUN")
    sun.set_energy(scene["sun_strength"])
    sun.set_rotation_euler(scene["sun_euler_rad"])
    for pose in scene["cameras"]:
        bproc.camera.add_camera_pose(np.array(pose))


def main() -> None:
    job, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    bproc = load_blenderproc(folder)
    if job["fast"]:
        take_fast_settings(bproc, job["samples"])
    start_s = time.process_time()
    for scene in job["scenes"]:
        bproc.clean_up()
        bproc.camera.set_intrinsics_from_K_matrix(np.array(scene["K"]), job["width_px"], job["height_px"])
        build(bproc, scene)
        bproc.writer.write_hdf5(str(folder), bproc.renderer.render(), append_to_existing_output=True)
    times = {"start_s": start_s, "work_s": time.process_time() - start_s, "pictures": len(list(folder.glob("*.hdf5")))}
    (folder / "times.json").write_text(json.dumps(times))
    sys.stdout.flush()
    os._exit(0)  # with BlenderProc loaded, the interpreter hangs at exit


if __name__ == "__main__":
    main()
