"""The report's tables and charts among the artifacts of MLflow runs: of the stage evaluate, of a pipeline, of `actial evaluate`."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from test_pipeline_run import RIGHT
from tracked_project import REPO, Project, evaluation, toy_questions

sys.path.insert(0, str(REPO / "tests" / "endpoint"))
from scripted_server import ScriptedServer, said

from actial.report.build import write_report
from actial.tables import write_questions
from flows import cli
from tasks import tracking

CURVE = "step,loss\n1,3.0\n2,2.5\n3,2.0\n"


def artifact(project: Project, run: Any, path: str) -> str:
    return Path(project.client.download_artifacts(run.info.run_id, path)).read_text(encoding="utf-8")


def names(project: Project, run: Any) -> set[str]:
    return {Path(a.path).name for a in project.client.list_artifacts(run.info.run_id, tracking.RESULTS)}


def write_test_questions(out: Path) -> None:
    write_questions(out / "test.parquet", toy_questions())


def test_of_a_stage_and_of_its_pipeline(project: Project) -> None:
    project.run_stage("build_qa", write_test_questions)
    project.run_stage("sft", lambda out: (out / "curve.csv").write_text(CURVE))
    with tracking.pipeline_run("brave-otter") as pipeline:
        pipeline.begin()
        project.run_stage("evaluate", evaluation(RIGHT))
        pipeline.finished("evaluate", "ran")
        write_report(Path("outputs"), Path("runs/report/index.html"), tables=Path("runs/report/results"))
        pipeline.results = Path("runs/report/results")
    parent, stage = (project.runs(f"tags.stage = '{which}'")[0] for which in ("pipeline", "evaluate"))
    assert (parent.info.status, stage.info.status) == ("FINISHED", "FINISHED")
    scores = json.loads(artifact(project, stage, "scores.json"))
    for run in (parent, stage):
        assert names(project, run) >= {"tables.md", "tables.tex", "scores-accuracy.csv", "scores-accuracy-overall.svg", "training-sft-loss.svg"}
        rows = {(row["model"], row["mode"]): row for row in csv.DictReader(artifact(project, run, "results/scores-accuracy.csv").splitlines())}
        assert float(rows["grpo", "think"]["overall n=12"]) == round(100 * scores["models"]["grpo"]["think"]["overall"]["accuracy"], 1)
        assert artifact(project, run, "results/scores-accuracy-overall.svg").startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    gains = artifact(project, stage, "results/scores-gain-in-percentage-points-paired-by-question.csv")
    assert gains == artifact(project, parent, "results/scores-gain-in-percentage-points-paired-by-question.csv") and "grpo − sft,think" in gains


def test_an_input_that_cannot_be_read_costs_the_tables_and_nothing_else(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.run_stage("build_qa", lambda out: (out / "test.parquet").write_text("no table"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tracking, "_datasets", lambda *_, **__: [])  # they read the table, too
        project.run_stage("evaluate", evaluation(RIGHT))
    (run,) = project.runs("tags.stage = 'evaluate'")
    assert run.info.status == "FINISHED" and names(project, run) == set() and "accuracy/grpo.think" in run.data.metrics
    assert "warning: no tables of results in MLflow: " in capsys.readouterr().err


def test_of_an_evaluation_outside_of_the_pipeline(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    sys.path.insert(0, str(REPO / "tests" / "evaluation"))
    from toy_evaluation import toy_questions as seen_questions
    from toy_evaluation import write_views

    write_views(Path("outputs/render_views/views"), 4)
    write_questions(Path("outputs/build_qa/test.parquet"), seen_questions(4))
    with ScriptedServer(lambda body, before: said("<answer>A</answer>")) as server, pytest.raises(SystemExit, match="0"):
        cli.main(["evaluate", "--model", "org/m", "--endpoint", server.url, "--benchmarks", "viewpoint", "--modes", "direct"])
    (run,) = project.runs()
    assert (run.info.run_name, run.info.status, run.data.tags["stage"]) == ("evaluate org/m", "FINISHED", "benchmarks"), capsys.readouterr()
    scores = json.loads(artifact(project, run, "scores.json"))
    value = scores["asked"]["viewpoint"]["models"]["org/m"]["direct"]["metrics"][scores["asked"]["viewpoint"]["primary"]]["value"]
    assert run.data.metrics[f"benchmark/viewpoint.{scores['asked']['viewpoint']['primary']}/direct"] == pytest.approx(value)
    (row, *_) = csv.DictReader(artifact(project, run, "results/benchmarks-benchmarks.csv").splitlines())
    assert row["model"] == "org/m" and f"{100 * value:.1f}" in row.values()
    assert "seed" in run.data.params and artifact(project, run, "params.yaml").startswith("seed: ")
