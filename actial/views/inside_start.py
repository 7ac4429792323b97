"""Blender in a worker process: bpy imported as a worker needs it, and the parts of BlenderProc that are used."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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


UNUSED = ("git", "h5py", "imageio", "requests", "rich.console", "rich.progress", "scipy", "trimesh")
"""What BlenderProc imports for functions that we never call: 1.4 s of CPU time, most of it trimesh and scipy.stats."""


class _Unused(types.ModuleType):
    """A module of which names may be imported, and no more."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


@contextmanager
def _stood_in_for(names: Iterable[str]) -> Iterator[None]:
    """Modules with those names are not loaded for what is imported here; afterwards they can be as ever."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update((name, _Unused(name)) for name in absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _Hidden:
    """Finds no module of one name, nor lets others find it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None) -> None:
        if name == self.name:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """A module that is not loaded yet counts as not installed."""
    finder = _Hidden(name)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def load_blenderproc() -> types.SimpleNamespace:
    """What we use of BlenderProc 2.8.0, in this interpreter next to the bpy wheel, with Cycles initialised.

    Its own `__init__` only runs inside the Blender that it downloads: it takes site-packages off `sys.path`, installs packages with pip and sets a UI language
    that the wheel does not have. So a bare package stands in for it, and its modules are imported one by one, without what we do not use of them, which takes
    two thirds off the start.
    """
    spec = importlib.util.find_spec("blenderproc")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("blenderproc is not installed")
    os.environ["INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"] = "1"
    package = types.ModuleType("blenderproc")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["blenderproc"] = package
    module = lambda name: importlib.import_module(f"blenderproc.python.{name}")
    with _stood_in_for(UNUSED):
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
