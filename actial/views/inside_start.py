"""Blender in a worker process: bpy imported as a worker needs it, and the parts of BlenderProc that are used."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from typing import Any


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


os.environ["OCIO_DISABLE_PROCESSOR_CACHES"] = "1"  # it never forgets a picture's exposure: 8 kB more, and 0.5 µs more for each picture to come
bpy = _import_bpy()
bmesh, Matrix = importlib.import_module("bmesh"), importlib.import_module("mathutils").Matrix  # there once bpy is imported


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
