"""The worker program of Blender: renders scenes, or looks at assets.

`python -m actial.views.inside_blender FD` reads JSON lines on standard input (first the job, then one name a line) and answers JSON lines on file descriptor
FD. It must end with `os._exit`: with BlenderProc loaded, the interpreter hangs at exit.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actial.errors import RefusedAsset, UserError
from actial.shards import view_table
from actial.views import committed, inside_assets
from actial.views.asset_shelf import Look
from actial.views.cameras import NoCameras, labels_of
from actial.views.committed import Plan
from actial.views.inside_start import bpy, hidden
from actial.views.inside_studio import Studio
from actial.views.render_devices import GPU_KINDS, RenderDevice, gpus_of
from actial.views.staging import NoRoom
from actial.views.visibility import HiddenSubject
from actial.views.worker_log import WorkerLog


def _take_device(wanted: str, slot: int) -> dict[str, Any]:
    """Render on the GPU of this worker's slot, or on the CPU.

    Returns:
        {"device": its name, "n_gpus": how many GPUs there are to share out}.

    Raises:
        UserError: a kind of GPU is asked for that is not there.
    """
    preferences, cycles = bpy.context.preferences.addons["cycles"].preferences, bpy.context.scene.cycles
    kinds = [] if wanted == "cpu" else [kind for kind, *_ in preferences.get_device_types(bpy.context) if kind in GPU_KINDS]
    there = {RenderDevice(name, kind, device_id) for k in kinds for name, kind, device_id, *_ in preferences.get_device_list(k)}
    gpus = gpus_of(sorted(there, key=lambda d: d.id), wanted)
    if not gpus:
        cycles.device = "CPU"
        return {"device": "the CPU", "n_gpus": 0}
    mine = gpus[slot % len(gpus)]
    preferences.compute_device_type = mine.kind
    for device in preferences.devices:
        device.use = (device.id, device.type) == (mine.id, mine.kind)
    cycles.device, cycles.denoising_use_gpu = "GPU", True
    return {"device": f"{mine.name} ({mine.kind})", "n_gpus": len(gpus)}


def serve(reply_fd: int) -> None:
    """Do what the names that arrive on standard input stand for, until it closes: scenes to render or assets to look at.

    Replies: {"ready": true, "cpu_s": s, "device": name, "n_gpus": n}, or {"mistake": sentence}; then for each name
    {"done": name, "cycles_s": s, "cpu_s": s}, or with "refused": reason, or
    with "errno" and "file" where the system failed to write.
    """
    with os.fdopen(reply_fd, "w", buffering=1, encoding="utf-8") as replies:
        job = json.loads(sys.stdin.readline())
        do = _looking(job) if "look" in job else _rendering(job)
        try:
            device = _take_device("cpu" if "look" in job else job["device"], job["slot"])  # what is set up for the CPU is turned over to a GPU
        except UserError as error:
            print(json.dumps({"mistake": str(error)}), file=replies)
            return
        log = WorkerLog()
        print(json.dumps({"ready": True, "cpu_s": time.process_time()} | device), file=replies)
        for line in sys.stdin:
            reply = do(line.strip())
            log.drop_progress()
            print(json.dumps(reply), file=replies)


def _looking(job: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    look = Look(**job["look"])
    bpy.ops.wm.read_homefile(use_empty=True)
    return lambda name: inside_assets.looked_at(look, name) | {"cycles_s": 0.0, "cpu_s": time.process_time()}


def _rendering(job: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    plan, folder = Plan(**job["plan"]), Path(job["folder"])
    studio = Studio(plan)
    with hidden("pandas"):  # pyarrow would load it for its first table
        view_table(())
    labels_of(tuple(plan.moves[: plan.views_per_scene - 1]))  # tried out once, which takes as long as ten scenes
    return lambda scene_id: _rendered(studio, plan, folder, scene_id)


def _rendered(studio: Studio, plan: Plan, folder: Path, scene_id: str) -> dict[str, Any]:
    reply: dict[str, Any] = {"done": scene_id}
    try:
        scene, shots = committed.composed(plan, scene_id)
        committed.commit(folder, plan, scene, shots, studio.render(scene, shots))
    except (NoCameras, NoRoom, HiddenSubject) as error:
        reply["refused"] = str(error)
    except RefusedAsset as error:
        reply["refused"] = f"asset {error.reason}"
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
    shutil.rmtree(bpy.app.tempdir, ignore_errors=True)  # Blender would do so at the exit that never comes
    sys.stderr.flush()
    os._exit(code)
