"""The `actial` command: what a person reads, and what a mistake gets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from project import ALL, REPO, Project
from test_faults import change_comment

from actial.params import load_params

PROFILES = sorted(p.stem for p in (REPO / "profiles").glob("*.yaml"))


def test_plan_why_and_durations(project: Project) -> None:
    lines = project.actial("plan").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[stage, "fresh"] for stage in ALL]
    assert all(line.rstrip().endswith(" s") for line in lines), "durations of the last runs"
    project.change_params("sft", freeze_vision=False)
    shutil.rmtree(project.root / "outputs/build_qa")
    plan = dict(line.split(maxsplit=1) for line in project.actial("plan").stdout.splitlines())
    assert plan["render_views"].startswith("fresh")
    assert plan["build_qa"].startswith("restore or run")
    assert plan["sft"].startswith("run") and plan["sft"].endswith("params.yaml: sft.freeze_vision true -> false")
    assert plan["evaluate"].startswith("perhaps run") and plan["evaluate"].endswith("runs if build_qa, cold_start_mix, sft, grpo give another output")
    why = project.actial("why", "grpo").stdout
    assert "params.yaml: sft.freeze_vision true -> false" in why
    assert "output outputs/build_qa deleted" in why
    assert project.ran() == []


def test_a_capture_makes_the_views_stale_and_a_missing_folder_of_captures_is_one_sentence(project: Project) -> None:
    picture = project.root / "data/captures/mug/images/1.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    assert project.actial("why", "render_views").stdout.splitlines()[-1] == "  data/captures modified"
    project.dvc("repro", "render_views")
    assert project.ran() == ["render_views"]
    (project.root / "data/captures/mug/lost").symlink_to("nowhere")
    dangling = project.actial("plan", check=False)
    assert (
        dangling.returncode == 2 and dangling.stdout.count("\n") == 1 and "DVC cannot read" in dangling.stdout and "data/captures/mug/lost" in dangling.stdout
    )
    shutil.rmtree(project.root / "data/captures")
    for door in ("plan", "why sft"):
        done = project.actial(*door.split(), check=False)
        assert done.returncode == 2 and done.stdout.splitlines() == [
            "actial: error: render_views needs the folder data/captures, which does not exist: make it; "
            "an empty one will do where no setting asks for what belongs into it"
        ], done.stdout


def test_why_a_fresh_stage(project: Project) -> None:
    assert project.actial("why", "sft").stdout.startswith("sft: fresh; dvc.lock matches")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_loads_and_plans(profile: str, project: Project) -> None:
    load_params(project.root / f"profiles/{profile}.yaml")
    project.actial("use", profile)
    assert (project.root / "params.yaml").read_bytes() == (project.root / f"profiles/{profile}.yaml").read_bytes()
    lines = project.actial("plan").stdout.splitlines()
    assert [line.split()[0] for line in lines[:6]] == ALL


def test_use_keeps_edits(project: Project) -> None:
    project.edit("params.yaml", "seed: ", "seed: 1")
    refused = project.actial("use", "tiny", check=False)
    assert refused.returncode == 2
    assert refused.stdout.startswith("actial: error: params.yaml holds edits that stand in no profile and no commit")
    project.commit("an experiment")
    project.actial("use", "tiny")
    unknown = project.actial("use", "tinny", check=False)
    assert unknown.returncode == 2
    assert "the nearest is tiny" in unknown.stdout


def test_a_users_mistake_in_a_stage_is_one_sentence_and_code_2(project: Project, served: Project) -> None:
    project.env |= {name: served.env[name] for name in ("PREFECT_API_URL", "PREFECT_HOME")}
    change_comment(project)
    (project.root / "runs/refuse-build_qa").touch()
    done = project.actial("run", check=False)
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == "actial: error: build_qa refuses: runs/refuse-build_qa exists; remove it"
    assert "Traceback" not in done.stdout
    assert project.ran() == ["build_qa"]


@pytest.mark.parametrize(
    ("command", "folder"), [("plan", "empty"), ("run", "empty"), ("up", "empty"), ("why sft", "empty"), ("run", "dvc.yaml only"), ("plan", "git, no dvc")]
)
def test_outside_of_a_checkout(command: str, folder: str, tmp_path: Path) -> None:
    if folder != "empty":
        shutil.copy(REPO / "dvc.yaml", tmp_path)
    if folder == "git only":
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    done = actial_in(tmp_path, *command.split())
    assert done.returncode == 2
    assert done.stdout.startswith("actial: error: ") and done.stdout.count("\n") == 1, done.stdout
    assert str(tmp_path) in done.stdout
    assert [p.name for p in tmp_path.iterdir() if p.name not in ("dvc.yaml", ".git")] == []


@pytest.mark.parametrize("option", ["--prefect-port", "--mlflow-port"])
def test_up_with_a_taken_port(option: str, project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = project.actial("up", option, str(port), check=False)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 is taken" in done.stdout and option in done.stdout
    assert project.processes() == []


def test_help_imports_nothing_heavy() -> None:
    text = "import sys\nfrom flows import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], cwd=REPO, capture_output=True, text=True, check=True)
    heavy = {"prefect", "dvc", "mlflow", "torch", "numpy", "pandas", "pydantic", "transformers", "PIL", "pyarrow"}
    assert heavy.isdisjoint(done.stdout.splitlines()[-1].split())


def actial_in(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(REPO), "DVC_SITE_CACHE_DIR": str(folder.parent / "dvc-site")}
    command = [sys.executable, "-m", "flows.cli", *args]
    return subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def test_data_from_outside_makes_the_questions_stale_and_pictures_that_are_gone_what_trains_on_them(project: Project) -> None:
    (project.root / "data/external/SAT.parquet").write_bytes(b"rows")
    assert project.actial("why", "build_qa").stdout.splitlines()[-1] == "  data/external modified"
    project.dvc("repro")
    assert project.ran() == ["build_qa"], "a file for training scores nothing anew"
    (project.root / "data/external/benchmarks/blink.parquet").write_bytes(b"rows")
    assert project.actial("why", "evaluate").stdout.splitlines()[-1] == "  data/external modified", "of build_qa, which compares pictures with it"
    project.dvc("repro")
    assert project.ran() == ["build_qa", "evaluate"]
    assert project.actial("why", "grpo").stdout.startswith("grpo: fresh")
    shutil.rmtree(project.root / "outputs/build_qa/views")
    assert "outputs/build_qa/views deleted" in project.actial("why", "grpo").stdout
    project.dvc("repro")
    assert project.ran() == [] and (project.root / "outputs/build_qa/views/digest.txt").exists(), "restored from DVC's cache"
