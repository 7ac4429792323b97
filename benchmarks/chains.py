"""100,000 chains of thought, written and verified: CPU seconds on one core. `python -m benchmarks.chains`.

Scenes and cameras of the tiny profile, and their mirror images; every question that a chain can be told of gets one. Fewer chains are made, and the time is
scaled: reading and measuring views is shared by the questions about a scene, so it grows with them. Making the scenes and the questions does not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from actial import ids
from actial.mirror import mirrored_question
from actial.mix.conversations import Scribe, written_chains
from actial.params import load_params
from actial.questions.balance import SPLITS
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.records import View
from actial.shards import ViewStore, ViewWriter, encode_png
from actial.tables import read_questions
from actial.views import committed
from actial.views.committed import Plan

SEED, LIMIT_S = 7, 60.0
TINY = load_params(Path(__file__).parents[1] / "profiles/tiny.yaml")


def write_views(folder: Path, n_scenes: int) -> None:
    """Views as the tiny profile has them, but for their pictures, which are plain."""
    views = TINY.render_views
    plan = Plan(SEED, "boxes", views.views_per_scene, views.width_px, views.height_px, 1, moves=views.moves)
    picture = encode_png(np.full((views.height_px, views.width_px, 3), 128, np.uint8))
    with ViewWriter(folder, shard_mb=64) as writer:
        for scene_id in map(ids.scene_id, range(n_scenes)):
            scene, shots = committed.composed(plan, scene_id)
            for i, shot in enumerate(shots):
                writer.add(View(ids.view_id(scene_id, i), scene_id, shot.camera, scene.objects(shot.state), "plain", committed.LICENCE), picture)


def main() -> int:
    """Measure, print, and say whether the limit holds.

    Returns:
        The exit code: 0, or 1 where 100,000 chains take longer.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--wording", choices=("short", "full"), default=TINY.cold_start_mix.wording)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_views(folder / "views", args.scenes)
        asked = replace(TINY.build_qa, splits={split: float(split == SPLITS[0]) for split in SPLITS}, held_out_families=(), n_questions_2d=0, caliper=None)
        build_questions(scan_scenes(folder / "views"), folder / "out", asked, SEED)
        questions = read_questions(folder / "out" / f"{SPLITS[0]}.parquet")
        questions += [mirrored_question(question) for question in questions]
        store = ViewStore(folder / "views")
        settings = replace(TINY.cold_start_mix, wording=args.wording)
        start_s = time.process_time()
        chains = written_chains(Scribe(TINY.prompt, settings, store.__getitem__, None, SEED), questions, len(questions))[0]
        cpu_s = time.process_time() - start_s
    per_100k_s = cpu_s / len(chains) * 100_000
    print(f"{len(chains):,} chains of {len(questions):,} questions in {args.wording} wording, written and verified: {cpu_s:.1f} CPU s")
    print(f"100,000 chains: {per_100k_s:.0f} CPU s on one core; ratio to the limit of {LIMIT_S:g} s: {per_100k_s / LIMIT_S:.2f}")
    return 0 if per_100k_s <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
