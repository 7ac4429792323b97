"""The report of 10,000 questions, and the scoring of 100,000 records. `python -m benchmarks.report`.

CPU seconds of both, the size of the page, and when a browser paints it: in headless Chromium, where there is one, as wall time, the best of some openings,
since other work on the machine only adds to it. Scenes, questions and completions are the tests' toys (tests/toy_outputs.py), with as much noise in the
pictures as a renderer of few samples leaves.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import CHROMIUM, chromium_tab  # noqa: E402  # from the tests, which are no package
from toy_outputs import MODELS, MODES, toy_completion, toy_params, toy_picture, write_toy_records  # noqa: E402  # likewise
from toy_scenes import toy_settings, toy_views  # noqa: E402  # likewise

from actial.evaluation.score import Asked, score, verdict_of  # noqa: E402  # below the path
from actial.prompts import prompt_sha  # noqa: E402  # below the path
from actial.questions.build import build_questions  # noqa: E402  # below the path
from actial.questions.scan import scan_scenes  # noqa: E402  # below the path
from actial.report.build import write_report  # noqa: E402  # below the path
from actial.shards import ViewWriter, encode_png  # noqa: E402  # below the path
from actial.tables import read_questions  # noqa: E402  # below the path

N_QUESTIONS, N_RECORDS = 10_000, 100_000
GOAL_REPORT_S, GOAL_MB, GOAL_PAINT_S, GOAL_SCORE_S = 30.0, 60.0, 2.0, 20.0
PER_SCENE = 9
"""Test questions that a toy scene gives, about."""
OPENINGS = 5


def write_outputs(outputs: Path, n_questions: int, side_px: int) -> int:
    """Views, test questions and the records of three models; returns how many questions were asked."""
    generator = np.random.default_rng(7)
    with ViewWriter(outputs / "render_views" / "views", shard_mb=256) as writer:
        for scene in range(n_questions // PER_SCENE + 1):
            for view in toy_views(scene):
                picture = np.kron(toy_picture(view), np.ones((side_px // 84, side_px // 84, 1)))
                picture += generator.normal(0, 6, picture.shape)
                writer.add(view, encode_png(np.clip(picture, 0, 255).astype(np.uint8)))
    settings = toy_settings(splits={"train": 0.01, "rl": 0.01, "val": 0.01, "test": 0.97})
    build_questions(scan_scenes(outputs / "render_views" / "views"), outputs / "build_qa", settings, toy_params().seed)
    asked = read_questions(outputs / "build_qa" / "test.parquet")[:n_questions]
    write_toy_records(outputs, asked)
    return len(asked)


def measure_report(outputs: Path, target: Path) -> dict[str, float]:
    """In this process: CPU seconds, peak memory and the page's size."""
    start_s = time.process_time()
    write_report(outputs, target)
    cpu_s = time.process_time() - start_s
    return {"cpu_s": cpu_s, "mb": target.stat().st_size / 1e6, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def measure_score(outputs: Path, n_records: int) -> dict[str, float]:
    """In this process: CPU seconds to read the completions of five models in both modes anew, and to score them."""
    questions = read_questions(outputs / "build_qa" / "test.parquet")[: n_records // 10]
    sha = prompt_sha(toy_params().prompt)
    names = (*MODELS, "other", "another")
    texts = {(name, mode): [toy_completion(MODELS[k % 3], mode, i + k, q) for i, q in enumerate(questions)] for k, name in enumerate(names) for mode in MODES}
    start_s = time.process_time()
    verdicts = {
        (name, mode): [verdict_of(q, name, mode, text, 20, sha) for q, text in zip(questions, written, strict=True)] for (name, mode), written in texts.items()
    }
    read_s = time.process_time() - start_s
    score(questions, Asked(verdicts), {}, toy_params().evaluate, root_seed=7)
    return {"records": sum(map(len, verdicts.values())), "read_s": read_s, "cpu_s": time.process_time() - start_s}


def measure_paint(page: Path) -> dict[str, float]:
    """Seconds from the address to the first paint, and to the first question with its pictures; the best of some openings."""
    painted, shown = [], []
    with chromium_tab() as tab:
        for _ in range(OPENINGS):
            tab.open(page.as_uri())
            tab.wait_for("document.querySelector('#shown img')?.complete === true")
            painted.append(tab.value("performance.getEntriesByType('paint').find((p) => p.name === 'first-contentful-paint').startTime"))
            shown.append(tab.value("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert tab.complaints == [], tab.complaints
        clock = "(async () => { const start = performance.now(); await applyFilters(); return performance.now() - start })()"
        search_ms = tab.value(f"control('text').value = 'no such words', {clock}")
    return {"paint_s": min(painted) / 1000, "loaded_s": min(shown) / 1000, "search_s": search_ms / 1000}


def _measured(what: str, *arguments: object) -> dict[str, float]:
    call = [sys.executable, "-m", "benchmarks.report", what, *map(str, arguments)]
    done = subprocess.run(call, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("report", "score"), help="measure one thing in this process")
    parser.add_argument("folders", nargs="*", type=Path, help="outputs, and the page to write")
    parser.add_argument("--questions", type=int, default=N_QUESTIONS)
    parser.add_argument("--side", type=int, default=84, help="of the pictures, pixels: a multiple of 84")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    if args.what:
        print(json.dumps(measure_report(*args.folders) if args.what == "report" else measure_score(args.folders[0], N_RECORDS)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        outputs, page = Path(folder) / "outputs", Path(folder) / "index.html"
        n = write_outputs(outputs, args.questions, args.side)
        written = [_measured("report", outputs, page) for _ in range(args.runs)]
        scored = [_measured("score", outputs) for _ in range(args.runs)]
        painted = measure_paint(page) if CHROMIUM else None
    report_s, mb, score_s = (float(np.median([run[name] for run in runs])) for runs, name in ((written, "cpu_s"), (written, "mb"), (scored, "cpu_s")))
    print(f"report of {n:,} questions with pictures of {args.side} pixels: {report_s:.1f} CPU s; goal {GOAL_REPORT_S:g}; {mb:.1f} MB; goal {GOAL_MB:g}")
    print(f"peak memory {max(run['peak_mb'] for run in written):.0f} MB")
    read_s = np.median([run["read_s"] for run in scored])
    print(f"scoring of {int(scored[0]['records']):,} records: {score_s:.1f} CPU s, {read_s:.1f} of them reading; goal {GOAL_SCORE_S:g}")
    if painted is None:
        print("no Chromium on this machine: when the page is painted was not measured")
    else:
        print(f"first paint after {painted['paint_s']:.2f} s; goal {GOAL_PAINT_S:g}; all of it read after {painted['loaded_s']:.2f} s")
        print(f"the first search through every word takes {painted['search_s']:.2f} s")
    reached = report_s <= GOAL_REPORT_S and mb <= GOAL_MB and score_s <= GOAL_SCORE_S and (painted is None or painted["paint_s"] < GOAL_PAINT_S)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
