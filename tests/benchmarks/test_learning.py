"""benchmarks/learning.py: what its rows say, and that it runs the real stages once each."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from learning.arms import ARMS, Workshop
from learning.figure import figure
from learning.rows import Rows, read_rows
from learning.table import tables

REPO = Path(__file__).parents[2]

N_SCENES = 40


def row(seed: int, arm: str, accuracy: float, **more: Any) -> dict[str, Any]:
    """A row whose model is right on a random set of questions, two a scene."""
    generator = np.random.Generator(np.random.PCG64([seed, ARMS.index(arm)]))
    right = lambda: [float(n) for n in generator.binomial(2, accuracy, N_SCENES)]
    groups = ("overall", "directional", "orbit and lateral", "cue conflict")
    return {
        "seed": seed,
        "arm": arm,
        "commit": "c",
        "params_sha": "p",
        "scenes": [f"scene-{i:06d}" for i in range(N_SCENES)],
        "weights": {group: [2.0] * N_SCENES for group in groups},
        "right": {mode: {group: right() for group in groups} for mode in ("think", "direct")},
        "unparsed": {"think": 0.0, "direct": 0.0},
        "controls": {},
        "sampled": None,
        "steps": 10,
        "cpu_s": {"sft": 5.0},
        "curve": [{"step": step, **{mode: {"accuracy": step / 20} for mode in ("think", "direct")}} for step in (0, 5, 10)],
        "training": {"step": [5, 10], "mean_token_accuracy": [0.2, 0.4], "accuracy_reward": [0.2, 0.4]},
        "given_chains": {},
        **more,
    }


def test_every_seed_has_its_column_and_a_rival_that_wins_is_shown() -> None:
    accuracy = {"base": 0.33, "sft": 0.6, "grpo": 0.7, "continued": 0.9}
    rows = Rows.newest([row(seed, arm, share) for seed in (1, 2, 3, 4) for arm, share in accuracy.items()])
    text = tables(rows)
    found = rows.accuracies("grpo", "think", "overall")
    line = next(line for line in text.splitlines() if line.startswith("| grpo | think |"))
    assert [float(cell) for cell in line.split("|")[4:8]] == [pytest.approx(100 * found[seed], abs=0.05) for seed in (1, 2, 3, 4)]
    against = next(line for line in text.splitlines() if line.startswith("| grpo think − continued think | overall | 4 |")).split("|")
    assert float(against[4]) < -10 and float(against[7]) < 0.05
    assert "Not measured yet: rejection, rejection_gentle, auxiliary, after, filler, shuffled." in text


def test_rows_of_another_experiment_are_left_out_and_other_questions_are_refused() -> None:
    old, new = row(1, "sft", 0.5, params_sha="old"), row(2, "sft", 0.5)
    assert Rows.newest([old, new]).seeds == [2] and tables(Rows.newest([])).startswith("Not measured yet")
    other = row(2, "grpo", 0.5) | {"scenes": ["another"] * N_SCENES}
    with pytest.raises(ValueError, match="not asked the same questions"):
        Rows.newest([new, other]).compare(("grpo", "think"), ("sft", "think"), "overall")


def test_the_figure_has_a_thin_line_a_seed_and_a_thick_median() -> None:
    svg = figure(Rows.newest([row(seed, arm, 0.5) for seed in (1, 2, 3) for arm in ("sft", "grpo")]))
    assert svg is not None
    widths = [line.get("stroke-width") for line in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}polyline")]
    assert (widths.count("1"), widths.count("3")) == (18, 6)  # three curves a stage
    assert figure(Rows.newest([row(1, "base", 0.5, curve=[])])) is None


def test_the_page_shows_what_the_committed_rows_say() -> None:
    rows, page = Rows.newest(read_rows()), (REPO / "docs/learning.md").read_text(encoding="utf-8")
    block = lambda name: page.partition(f"<!-- {name}: made by benchmarks/learning.py --docs -->")[2].partition(f"<!-- end of {name} -->")[0].strip()
    assert block("tables") == tables(rows).strip(), "run: python benchmarks/learning.py --docs"
    drawn = REPO / "docs/learning.svg"
    assert (drawn.read_text(encoding="utf-8") if drawn.exists() else None) == figure(rows)
    assert drawn.exists() == ("](learning.svg)" in block("figure"))


def test_without_arguments_nothing_is_run() -> None:
    done = subprocess.run([sys.executable, "benchmarks/learning.py"], cwd=REPO, capture_output=True, text=True, timeout=60, check=True)
    assert "nothing was run" in done.stdout


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny profile, made as small as it runs."""
    data = yaml.safe_load((REPO / "profiles/tiny.yaml").read_text(encoding="utf-8"))
    data["render_views"] |= {"backend": "boxes", "n_scenes": 24}
    data["build_qa"]["splits"] = {"train": 0.5, "rl": 0.2, "val": 0.1, "test": 0.2}
    data["build_qa"]["caliper"] = None  # few scenes hold few twins
    data["cold_start_mix"]["n_rows"] = 60
    data["sft"] |= {"max_steps": 2, "logging_steps": 1, "batch_rows": 4}
    data["grpo"] |= {"rollouts": 2, "prompts_per_rollout": 1, "n_generations": 2, "max_new_tokens": 8}
    data["evaluate"] |= {"n_questions": 24, "max_new_tokens": {"think": 8, "direct": 4}}
    for name in ("controls", "sampled"):
        data["evaluate"][name]["models"] = []
    path = tmp_path_factory.mktemp("profile") / "small.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_a_finished_stage_is_not_run_again_and_one_that_was_cut_off_begins_anew(profile: Path, tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "work", str(profile), 1)
    shop.render()
    views = tmp_path / "work/views/outputs/render_views"
    project = shop.project(11, "pipeline", {}, {"render_views": views})
    cpu_s = project.run_stage("build_qa")
    manifest = project.output("build_qa") / "manifest.json"
    assert cpu_s > 0.1 and json.loads(manifest.read_text())["seed"] == 11
    made_ns = manifest.stat().st_mtime_ns
    again = Workshop(tmp_path / "work", str(profile), 1).project(11, "pipeline", {}, {"render_views": views})
    assert again.run_stage("build_qa") == pytest.approx(cpu_s, abs=0.06) and manifest.stat().st_mtime_ns == made_ns
    (project.folder / "done/build_qa.json").unlink()  # as if killed before it ended
    left_over = project.folder / "runs/build_qa/1234/half.parquet"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    again.run_stage("build_qa")
    assert manifest.stat().st_mtime_ns > made_ns and not left_over.exists()
    half_sampled = project.folder / "inside/completions/half.jsonl"
    half_sampled.parent.mkdir(parents=True)
    half_sampled.touch()
    with pytest.raises(RuntimeError, match="no_such"):
        again.run_inside("rejection", "no_such")
    assert not half_sampled.exists(), "else its CPU seconds would be those of the rest alone"
    with pytest.raises(RuntimeError, match="cold_start_mix"):
        shop.project(11, "broken", {"cold_start_mix": {"n_rows": 0}}, {"render_views": views}).run_stage("cold_start_mix")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # seven starts of torch: two minutes, but on a busy machine ten
def test_a_run_makes_the_rows_that_are_missing(profile: Path, tmp_path: Path) -> None:
    """Real stages: a pipeline and a rival, one seed."""
    command = [sys.executable, "benchmarks/learning.py", "--run", "--seeds", "11", "--arms", "sft", "continued", "--profile", str(profile)]
    command += ["--project", str(tmp_path / "work"), "--results", str(tmp_path / "rows.jsonl"), "--table"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    rows = Rows.newest(read_rows(tmp_path / "rows.jsonl"))
    sft, continued = rows.by[11, "sft"], rows.by[11, "continued"]
    assert sft["weights"] == continued["weights"] and rows.compare(("continued", "think"), ("sft", "think"), "overall")
    assert [point["step"] for point in sft["curve"]] == [0, 1, 2] and sft["cpu_s"]["sft"] > 3
    assert sft["given_chains"]["true"]["n"] == sft["given_chains"]["opposite"]["n"] > 0
    started = yaml.safe_load((tmp_path / "work/seed-11/continued/params.yaml").read_text())
    assert started["model"]["base"] == "start" and started["seed"] == 11
    again = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    assert "11/" not in again.stdout and len(read_rows(tmp_path / "rows.jsonl")) == 2
    pipeline = Workshop(tmp_path / "work", str(profile), 1).project(11, "pipeline", {}, {})
    pipeline.run_inside("scenes-random", "scenes", model="random")  # as the stage itself scores it
    random = Rows({(11, "random"): pipeline.made_inside("scenes-random") | {"seed": 11}})
    scores = json.loads((pipeline.output("evaluate") / "scores.json").read_text())["models"]["random"]
    for mode in ("think", "direct"):
        for group in ("overall", "directional", "orbit"):
            assert random.accuracies("random", mode, group).get(11) == pytest.approx(scores[mode][group]["accuracy"], abs=1e-3)
