"""Stage render_views: scenes of procedural objects or of assets, their cameras, their pictures; or captures, read from photographs."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from actial import ids
from actial.errors import UserError
from actial.json_files import write_json
from actial.params_views import RenderViews
from actial.shards import ViewWriter, decode_picture, encode_png, encoded_views
from actial.views import boxes, committed
from actial.views.asset_shelf import look_at_assets, summary
from actial.views.assets import pybullet_folder
from actial.views.blender import rendering
from actial.views.cameras import NoCameras
from actial.views.capture_scenes import ingest_captures
from actial.views.committed import Plan
from actial.views.launcher import Launcher
from actial.views.progress import ViewProgress
from actial.views.scenes import Scene
from actial.views.staging import NoRoom
from actial.views.supervisor import LOST, Done
from actial.views.visibility import HiddenSubject
from tasks import body
from tasks.body import Job, Made

CONTACT_SHEET = "contact_sheet.png"
SHEET_SCENES, SHEET_VIEWS = 12, 8
ASSET_LIMIT_S = 180.0
"""An asset that takes Blender longer to read counts as hung."""
Thing = TypeVar("Thing")


def make(job: Job) -> Made:
    """Make every scene that is not whole in scratch yet, then write all of them in order."""
    folder = job.scratch / "scenes"
    folder.mkdir(parents=True, exist_ok=True)
    committed.sweep(folder)
    shutil.rmtree(job.scratch / "logs" / LOST, ignore_errors=True)
    whole, refused, facts = (_photographed if job.params.render_views.backend == "captures" else _composed)(job, folder)
    licences: Counter[str] = Counter()
    with ViewWriter(job.out / "views", job.params.render_views.shard_mb) as writer:
        for scene_id in whole:
            table = committed.read(folder, scene_id)
            writer.add_table(table)
            licences.update(table["licence"].to_pylist())
            refused.update({f"views ({reason})": n for reason, n in committed.left_out(folder, scene_id).items()})
    _keep_lost_logs(job)
    (job.out / CONTACT_SHEET).write_bytes(encode_png(contact_sheet(folder, whole)))
    return Made(
        counts={"scenes": len(whole), "views": writer.n_views},
        refused=dict(sorted(refused.items())),
        look=CONTACT_SHEET,
        licences=dict(sorted(licences.items())),
        facts=facts,
    )


def _composed(job: Job, folder: Path) -> tuple[list[str], Counter[str], dict[str, str]]:
    """Render procedural scenes into `folder`: the ids of those that stand there, what was refused, and facts of this run."""
    settings = job.params.render_views
    plan = Plan(
        job.params.seed,
        settings.backend,
        settings.views_per_scene,
        settings.width_px,
        settings.height_px,
        settings.samples,
        **asdict(settings.look),
        **asdict(settings.scenes),
        moves=settings.moves,
        passes=settings.passes,
    )
    set_aside: Counter[str] = Counter()
    if settings.assets.source != "procedural":
        plan, set_aside = _with_assets(job, plan)
    scene_ids = [ids.scene_id(i) for i in range(settings.n_scenes)]
    todo = [s for s in scene_ids if not committed.is_whole(folder, s, settings.views_per_scene)]
    if len(todo) < len(scene_ids):
        print(f"render_views: {len(scene_ids) - len(todo)} of {len(scene_ids)} scenes stand from a run before", flush=True)
    refused: dict[str, str] = {}
    launcher = Launcher(rendering(plan, folder.resolve()), job.scratch / "logs", job.machine, _scene_limit_s(plan))
    with ViewProgress(len(scene_ids) * settings.views_per_scene, (len(scene_ids) - len(todo)) * settings.views_per_scene) as progress:
        for done in _drawn(plan, folder, todo) if plan.source == "boxes" else launcher.work(todo):
            if done.refused is not None:
                refused[done.name] = done.refused
                _check_share(refused, settings, job.scratch / "logs")
            progress.add(settings.views_per_scene, set_aside=done.refused is not None)
    facts = {"render_device": launcher.devices} if launcher.devices else {}
    return [s for s in scene_ids if s not in refused], set_aside + Counter(f"scenes ({reason})" for reason in refused.values()), facts


def _with_assets(job: Job, plan: Plan) -> tuple[Plan, Counter[str]]:
    """The plan with assets as subjects; each is looked at before, and what is known of it written beside the views. Also the assets refused, by reason."""
    settings, shelf = job.params.render_views, job.scratch / "assets"
    root = job.inputs["assets"] if settings.assets.source == "folder" else pybullet_folder()
    work = lambda what, names: Launcher(what, job.scratch / "logs", job.machine, ASSET_LIMIT_S).work(names)
    notes = look_at_assets(root, shelf, settings, job.params.seed, work)
    write_json(job.out / "assets.json", summary(notes))
    return replace(plan, assets=str(root.resolve()), shelf=str(shelf.resolve())), Counter(f"assets ({note.refused})" for note in notes if note.refused)


def _photographed(job: Job, folder: Path) -> tuple[list[str], Counter[str], dict[str, str]]:
    """The same for captures; what is known of each is written beside the views."""
    settings, seed, machine = job.params.render_views, job.params.seed, job.machine
    notes = ingest_captures(job.inputs["captures"], folder, job.scratch / "logs", settings, seed, machine.workers, machine.worker_memory_mb)
    write_json(job.out / "captures.json", {note.capture: asdict(note) for note in notes})
    refused = Counter(f"captures ({note.refused})" for note in notes if note.refused)
    for note in notes:
        refused.update({f"pictures ({reason})": n for reason, n in (note.set_aside or {}).items()})
        refused.update({f"masks ({reason})": n for reason, n in (note.masks_set_aside or {}).items()})
    return [note.scene_id for note in notes if not note.refused], refused, {}


def _keep_lost_logs(job: Job) -> None:
    """Scratch goes away at the end: what workers logged over what they were lost over stays beside it until the next run ends."""
    logs, kept = job.scratch / "logs" / LOST, job.scratch.parent / LOST
    shutil.rmtree(kept, ignore_errors=True)
    if logs.is_dir():
        logs.rename(kept)
        n = len(list(kept.iterdir()))
        print(
            f"render_views: workers were lost over {n} thing{'s' if n > 1 else ''} (crashed, hung, or took too much memory): their logs are in {kept}",
            flush=True,
        )


def contact_sheet(folder: Path, scene_ids: list[str]) -> np.ndarray:
    """Rows of scenes, columns of views, (h, w, 3) uint8, evenly chosen from finished scenes below `folder` and from their views."""
    rows = []
    for scene_id in _evenly(scene_ids, SHEET_SCENES):
        views = _evenly(encoded_views(committed.read(folder, scene_id)), SHEET_VIEWS)
        tiles = [np.pad(np.asarray(decode_picture(picture, view.view_id)), ((2, 2), (2, 2), (0, 0)), constant_values=255) for view, picture, _ in views]
        rows.append(_joined(tiles, axis=1))
    return _joined(rows, axis=0)


def _evenly(things: list[Thing], most: int) -> list[Thing]:
    return [things[i] for i in np.linspace(0, len(things) - 1, min(most, len(things))).astype(int)]


def _joined(pictures: list[np.ndarray], axis: int) -> np.ndarray:
    """Pictures in a row (axis 1) or a column (axis 0), on white where they differ in size."""
    longest = max(p.shape[1 - axis] for p in pictures)
    pad = lambda p: [(0, longest - p.shape[i] if i == 1 - axis else 0) for i in range(3)]
    return np.concatenate([np.pad(p, pad(p), constant_values=255) for p in pictures], axis=axis)


def _drawn(plan: Plan, folder: Path, todo: list[str]) -> Iterator[Done]:
    for scene_id in todo:
        try:
            scene, shots = committed.composed(plan, scene_id)
            assert isinstance(scene, Scene), "params leave assets to Blender"
            committed.commit(folder, plan, scene, shots, boxes.render_scene(scene, shots))
            yield Done(scene_id, None)
        except (NoCameras, NoRoom, HiddenSubject) as error:
            yield Done(scene_id, str(error))


def _scene_limit_s(plan: Plan) -> float:
    """Beyond this a scene counts as hung: two minutes, and fifty times what Cycles takes for its samples on one core (measured: 2 µs each)."""
    return 120 + 50 * 2e-6 * plan.width_px * plan.height_px * plan.samples * plan.views_per_scene


def _check_share(refused: dict[str, str], settings: RenderViews, logs: Path) -> None:
    if len(refused) > settings.max_refused_share * settings.n_scenes or len(refused) == settings.n_scenes:
        reason = Counter(refused.values()).most_common(1)[0][0]
        share = f"render_views.max_refused_share ({settings.max_refused_share:g})"
        raise UserError(
            f"{len(refused)} of {settings.n_scenes} scenes had to be set aside, more than {share} allows; most often because: {reason}; logs are in {logs}"
        )


if __name__ == "__main__":
    body.main("render_views", make)
