"""Assets are looked at once, by Blender's workers: which can be used is noted on the run's shelf in scratch, before any scene is rendered."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from actial.errors import UserError
from actial.params_views import RenderViews
from actial.rng import generator_for
from actial.views import committed
from actial.views.asset_notes import ASSETS_FILE, STANDING_FILE, AssetNote, asset_name, note_file, read_note
from actial.views.assets import PYBULLET_LICENCE, SUFFIXES, Asset, find_assets
from actial.views.progress import ViewProgress
from actial.views.refusals import check_refused
from actial.views.supervisor import Done, Job


@dataclass(frozen=True, slots=True)
class Look:
    """The job of looking at assets: what workers are told of it."""

    root: str
    shelf: str
    max_faces: int
    max_mb: float
    keep_round: bool


def look_at_assets(root: Path, shelf: Path, settings: RenderViews, seed: int, work: Callable[[Job, list[str]], Iterator[Done]]) -> list[AssetNote]:
    """Look at as many assets of a folder as there are scenes, drawn by the seed where there are more, and note on the shelf which can be used.

    Args:
        shelf: folder in scratch; what stands there from a run before is not done again.
        work: has a job done for named things by Blender's workers.

    Returns:
        A note an asset, by name.

    Raises:
        UserError: there is no asset, or the share of refused ones is too large.
    """
    from_package = settings.assets.source == "pybullet"
    found = find_assets(root, PYBULLET_LICENCE, "pybullet") if from_package else find_assets(root, settings.assets.licence)
    if not found:
        raise UserError(
            f"{root} holds no asset ({', '.join(SUFFIXES)}): put some there ({root}/README.md says how), or set render_views.assets.source: procedural"
        )
    drawn = sorted(generator_for(seed, "assets").permutation(len(found))[: settings.n_scenes])
    if len(drawn) < len(found):
        print(f"render_views: {len(drawn)} of {len(found)} assets are taken (render_views.n_scenes), drawn by the seed", flush=True)
    shelf.mkdir(exist_ok=True)
    committed.sweep(shelf)
    taken = [found[i] for i in drawn]
    committed.write_whole(shelf / ASSETS_FILE, json.dumps([asdict(asset) for asset in taken]).encode())
    todo = {asset_name(place): place for place in range(len(taken)) if not _stands(shelf, place)}
    look = Look(str(root.resolve()), str(shelf.resolve()), settings.assets.max_faces, settings.assets.max_mb, settings.assets.keep_round)
    lost: dict[int, AssetNote] = {}
    with ViewProgress(len(taken), len(taken) - len(todo), "asset") as progress:
        for done in work({"look": asdict(look)}, list(todo)):
            if done.refused is not None:
                place = todo[done.name]
                why = f"{taken[place].name}: {done.refused} over it, twice"
                lost[place] = AssetNote(taken[place], "", refused=done.refused, why=why)  # not kept, so that another run tries again
            progress.add(1)
    notes = [lost.get(place) or read_note(note_file(shelf, place)) for place in range(len(taken))]
    check_refused("asset", notes, settings.max_refused_share)
    standing = [place for place, note in enumerate(notes) if note.refused is None]
    committed.write_whole(shelf / STANDING_FILE, json.dumps(standing).encode())
    return notes


@functools.lru_cache(maxsize=1)
def assets_to_look_at(shelf: Path) -> dict[str, tuple[int, Asset]]:
    """The assets of `ASSETS_FILE` with their places, by the names they have between the stage and its workers."""
    return {asset_name(place): (place, Asset(**read)) for place, read in enumerate(json.loads((shelf / ASSETS_FILE).read_bytes()))}


def write_note(shelf: Path, place: int, note: AssetNote) -> None:
    """Put a note on the shelf, in one step."""
    committed.write_whole(note_file(shelf, place), json.dumps(asdict(note)).encode())


def summary(notes: list[AssetNote]) -> dict[str, dict[str, object]]:
    """What is told of each asset beside the views, by name; the hull is left out."""
    return {note.asset.name: _told(note) for note in notes}


def _told(note: AssetNote) -> dict[str, object]:
    told: dict[str, object] = {"family": note.asset.family, "licence": note.asset.licence, "front": note.asset.front, "sha256": note.sha256}
    told |= {"refused": note.refused, "why": note.why, "repaired": note.repaired}
    if note.shape is not None:
        told |= {"n_faces": note.shape.n_faces, "extent": note.shape.extent().tolist(), "is_round": note.shape.is_round, "has_textures": note.has_textures}
    return told


def _stands(shelf: Path, place: int) -> bool:
    try:
        read_note(note_file(shelf, place))
    except (OSError, ValueError):
        return False
    return True
