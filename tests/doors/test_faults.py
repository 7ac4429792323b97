"""What changed decides what runs, through any door; then every other door finds nothing to do."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable

import pytest
from project import ALL, REPO, Flow, Project, change_sft

sys.path.insert(0, str(REPO / "tests" / "tracking"))
from tracked_project import evaluation

FRESH = dict.fromkeys(ALL, "Cached")


def states(**but: str) -> dict[str, str]:
    return FRESH | but


def change_code(project: Project) -> None:
    project.edit("toy/build_qa.py", 'EFFECT = "1"', 'EFFECT = "2"')


def change_comment(project: Project) -> None:
    project.edit("toy/build_qa.py", "EFFECT", "# says nothing new\nEFFECT")


def delete_output(project: Project) -> None:
    for path in (project.root / "outputs/sft").iterdir():
        path.unlink()
    (project.root / "outputs/sft").rmdir()


def delete_metric(project: Project) -> None:
    (project.root / "outputs/evaluate/metric.json").unlink()


def corrupt_output(project: Project) -> None:
    path = project.root / "outputs/sft/digest.txt"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


FAULTS = {
    "parameter": (change_sft, states(sft="Completed", grpo="Completed", evaluate="Completed")),
    "code": (change_code, states(build_qa="Completed", cold_start_mix="Completed", sft="Completed", grpo="Completed", evaluate="Completed")),
    "comment": (change_comment, states(build_qa="Completed")),
    "output deleted": (delete_output, states(sft="Restored")),
    "metric deleted": (delete_metric, states(evaluate="Restored")),
    "output corrupted": (corrupt_output, states(sft="Restored")),
}


@pytest.mark.parametrize("door", ["dvc", "flow"])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fault: str, door: str, project: Project, made: Project, flow: Flow) -> None:
    harm, expected = FAULTS[fault]
    harm(project)
    if door == "dvc":
        project.dvc("repro")
    else:
        assert flow() == expected
    assert project.ran() == [stage for stage in ALL if expected[stage] == "Completed"]
    if fault not in ("parameter", "code"):
        assert project.outputs() == made.outputs()
    else:
        assert project.outputs() != made.outputs()
    assert flow() == FRESH
    assert "are up to date" in project.dvc("repro").stdout
    assert project.ran() == []


@pytest.mark.parametrize("door", ["dvc", "flow"])
@pytest.mark.parametrize("with_checkout", [True, False], ids=["dvc checkout", "no dvc checkout"])
def test_older_commit(with_checkout: bool, door: str, project: Project, made: Project, flow: Flow) -> None:
    change_sft(project)
    project.dvc("repro")
    project.commit("changed")
    project.git("checkout", "-q", "HEAD~1")
    project.ran()
    if with_checkout:
        project.dvc("checkout")
        assert project.outputs() == made.outputs()
    if door == "dvc":
        project.dvc("repro")
    elif with_checkout:
        assert flow() == FRESH
    else:
        assert flow() == states(sft="Restored", grpo="Restored", evaluate="Restored")
    assert project.ran() == []
    assert project.outputs() == made.outputs()
    assert project.git("status", "--porcelain") == ""


def test_push_and_pull_in_a_second_clone(project: Project, made: Project, served: Project, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    store, clone = project.root.parent / "store", project.root.parent / "clone"
    project.dvc("remote", "add", "--default", "store", str(store))
    project.commit("a remote")
    project.dvc("push")
    project.git("clone", "-q", ".", str(clone))
    second = Project(clone)
    second.dvc("pull")
    assert second.outputs() == made.outputs()
    monkeypatch.chdir(clone)
    assert flow() == FRESH
    assert "are up to date" in second.dvc("repro").stdout
    assert second.ran() == []


def while_held(project: Project, stage: str, act: Callable[[], None]) -> threading.Thread:
    """Do something once the body of a stage is at work, then let it go on."""
    project.hold(stage)

    def wait() -> None:
        project.wait_until_held(stage)
        act()
        project.release(stage)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_params_of_a_later_stage_edited_during_a_flow(project: Project, flow: Flow) -> None:
    change_code(project)
    editing = while_held(project, "build_qa", lambda: change_sft(project))
    said = flow()
    editing.join()
    assert said["stopped"] == "Refused"
    assert "params.yaml was edited while the flow ran: it stopped before cold_start_mix" in said["because"]
    assert project.ran() == ["build_qa"]
    assert flow()["sft"] == "Completed"
    assert project.ran() == ["cold_start_mix", "sft", "grpo", "evaluate"]


@pytest.mark.parametrize("door", ["dvc", "flow"])
def test_params_of_a_stage_edited_while_it_runs(door: str, project: Project, flow: Flow) -> None:
    """DVC alone would record the new settings as those the old result was made with."""
    project.change_params("sft", freeze_vision=False)
    editing = while_held(project, "sft", lambda: project.change_params("sft", freeze_vision=True))
    said = project.dvc("repro", check=False).stdout if door == "dvc" else flow()["because"]
    editing.join()
    assert "the params, code or inputs of sft were edited while it ran" in said
    assert project.ran() == ["sft"]
    assert flow() == states(sft="Restored")
    assert project.ran() == []


def test_stages_run_singly(project: Project, made: Project, flow: Flow) -> None:
    assert flow(only=["grpo"], force=["grpo"]) == {"grpo": "Completed"}
    assert flow(from_stage="sft", force=["evaluate"]) == {"sft": "Cached", "grpo": "Cached", "evaluate": "Completed"}
    assert project.ran() == ["grpo", "evaluate"]
    assert project.outputs() == made.outputs()
    change_sft(project)
    assert flow(only=["build_qa", "cold_start_mix"]) == {"build_qa": "Cached", "cold_start_mix": "Cached"}
    said = flow(only=["evaluate"])
    assert said["stopped"] == "Refused"
    assert said["because"].startswith("evaluate is not run, because its input sft is stale (params.yaml: sft.freeze_vision true -> false)")
    assert "to be forced, but is not among" in flow(only=["evaluate"], force=["sft"])["because"]
    assert "both given" in flow(only=["evaluate"], from_stage="sft")["because"]
    assert project.ran() == []


def test_tables_and_charts_of_the_report_stand_on_the_page_of_the_flow_run(project: Project, flow: Flow) -> None:
    from prefect.artifacts import Artifact

    given = project.root / "runs/give-evaluate"
    given.mkdir(parents=True)
    evaluation({"base": range(0, 12, 3), "sft": range(0, 12, 2), "grpo": range(11)})(given)
    assert flow(only=["evaluate"], force=["evaluate"]) == {"evaluate": "Completed"}
    accuracy, chart = (Artifact.get(key) for key in ("scores-accuracy", "chart-scores-accuracy-overall"))
    assert accuracy is not None and chart is not None and (accuracy.type, chart.type) == ("table", "image")
    (cell,) = (row["overall n=12"] for row in json.loads(str(accuracy.data)) if (row["model"], row["mode"]) == ("grpo", "think"))
    scores = json.loads((project.root / "outputs/evaluate/scores.json").read_text())
    assert cell.startswith(f"{100 * scores['models']['grpo']['think']['overall']['accuracy']:.1f} ± ")
    assert str(chart.data).startswith("data:image/svg+xml;base64,")
    assert {p.name for p in (project.root / "runs/report/results").iterdir()} >= {"tables.md", "scores-accuracy.csv", "scores-accuracy-overall.svg"}
    assert flow(only=["evaluate"]) == {"evaluate": "Cached"}
    again = Artifact.get("scores-accuracy")
    assert again is not None and again.id == accuracy.id, "a run in which nothing ran does not take the time"
