"""`actial compare A B`, on two pipelines whose runs are in a real MLflow database."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_pipeline_run import RIGHT, run_pipeline
from tracked_project import MODES, REPO, Project, evaluation, toy_questions

from actial.errors import UserError
from actial.params import STAGES
from flows.compare import compare
from tasks import tracked_runs

BETTER = {**RIGHT, "grpo": range(1, 12)}
"""The second pipeline's GRPO: right on question 11, wrong on question 0 (which is an A that it names by luck), else as before."""


pytestmark = pytest.mark.xdist_group("compare")  # the two pipelines are made once


@pytest.fixture(scope="module")
def two(shared_project: Project) -> tuple[str, str]:
    """Two pipelines: the second with another setting of GRPO."""
    first = run_pipeline(shared_project, STAGES)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("lora: {rank: 16, alpha: 32, dropout: 0.0}", "lora: {rank: 8, alpha: 32, dropout: 0.0}"))
    second = run_pipeline(shared_project, ("grpo", "evaluate"), BETTER)
    assert first and second
    return first, second


def changed_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "changed_answers.csv").open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def test_settings_scores_and_changed_answers(two: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = compare(two[0][:10], two[1])
    said = capsys.readouterr().out
    assert folder == Path(f"runs/compare/{two[0][:8]}-{two[1][:8]}") and str(folder / "index.html") in said
    text = (folder / "compare.md").read_text()
    assert "| grpo.lora.rank " in text and "| render_views.n_scenes" not in text
    grpo = next(line for line in text.splitlines() if line.startswith("| grpo think"))
    assert "±" in grpo and said.count("grpo think") >= 2
    assert "| grpo think turn" in text
    rows = changed_rows(folder)
    # question 11 was unreadable ("no idea") and is now right; question 0 was right by its own letter and is now right by luck
    assert {(r["question_id"], r["model"], r["mode"]) for r in rows} == {(toy_questions()[11].question_id, "grpo", mode) for mode in MODES}
    assert {(r["answer_a"], r["answer_b"], r["correct_a"], r["correct_b"]) for r in rows} == {("", "C", "False", "True")}
    page = (folder / "index.html").read_text()
    assert page.startswith("<!doctype html>") and "http://" not in page.split("</head>")[0] and toy_questions()[11].question_id in page


def test_the_difference_is_paired_and_weighted_as_the_scores_are(two: tuple[str, str]) -> None:
    a, b = (tracked_runs.read_run(run_id) for run_id in two)
    row = next(line for line in (compare(*two) / "compare.md").read_text().splitlines() if line.startswith("| grpo direct"))
    gain = 100 * (b.metrics["accuracy/grpo.direct"] - a.metrics["accuracy/grpo.direct"])
    assert row.split("|")[4].split("±")[0].strip() == f"{gain:+.1f}" and gain > 0
    unchanged = next(line for line in (compare(*two) / "compare.md").read_text().splitlines() if line.startswith("| base direct"))
    assert unchanged.split("|")[4].strip() == "+0.0 ± 0.0"


def test_three_runs_stand_side_by_side(two: tuple[str, str]) -> None:
    folder = compare(two[0], two[1], two[0])
    text = (folder / "compare.md").read_text()
    header = next(line for line in text.splitlines() if "B − A" in line)
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["what", "A", "B", "C", "B − A", "C − A"]
    row = [cell.strip() for cell in next(line for line in text.splitlines() if line.startswith("| grpo direct")).strip("|").split("|")]
    assert row[1] == row[3] != row[2] and row[5] == "+0.0 ± 0.0"
    (changed, *_) = changed_rows(folder)
    assert (changed["answer_a"], changed["answer_b"], changed["answer_c"]) == ("", "C", "")
    with pytest.raises(UserError, match="1 runs were named: name 2 to 26"):
        compare(two[0])


def test_a_stage_can_be_compared_with_a_stage(shared_project: Project, two: tuple[str, str]) -> None:
    first, second = (run.info.run_id for run in shared_project.runs("tags.stage = 'evaluate'")[:2])
    assert len(changed_rows(compare(first, second))) == 2


def test_answers_to_different_questions_are_not_paired(shared_project: Project, two: tuple[str, str]) -> None:
    other = run_pipeline(shared_project, ("build_qa", "cold_start_mix", "evaluate"))
    shared_project.run_stage("build_qa", lambda out: pq.write_table(pa.table({"question_id": ["other"]}), out / "test.parquet"))
    run_pipeline(shared_project, ("evaluate",), BETTER)
    newest = shared_project.runs("tags.stage = 'pipeline'")[-1].info.run_id
    folder = compare(other or "", newest)
    assert "tested on different questions" in (folder / "compare.md").read_text() and changed_rows(folder) == []


def test_an_unknown_id_is_one_sentence_with_the_newest_ids(two: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=f"'nonsense' is no MLflow run's id; the newest are .*{two[1][:8]}"):
        compare(two[0], "nonsense")
    with pytest.raises(UserError, match="'' is no MLflow run's id"):
        compare("", two[0])
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "compare", two[0], "nonsense"], env=os.environ | {"PYTHONPATH": str(REPO)}, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and two[1][:8] in done.stderr


def test_lost_records_are_said(shared_project: Project, two: tuple[str, str]) -> None:
    evaluated = shared_project.runs("tags.stage = 'evaluate'")[0].info.run_id
    packed = next(Path("mlruns").rglob(f"{evaluated}/artifacts/records/grpo-think.jsonl.gz"))
    whole = packed.read_bytes()
    for damaged in (b"cut off", whole[: len(whole) // 2]):
        packed.write_bytes(damaged)
        with pytest.raises(UserError, match="gone or damaged"):
            compare(*two)
    packed.write_bytes(whole)


def test_stages_without_records_are_compared_by_their_numbers(project: Project) -> None:
    for steps in (10, 20):
        project.run_stage("sft", lambda out: (out / "curve.csv").write_text("step,loss\n1,3.0\n2,2.5\n"), counts={"steps": steps})
    a, b = (run.info.run_id for run in project.runs("tags.stage = 'sft'"))
    text = (compare(a, b) / "compare.md").read_text()
    assert "| made/steps" in text and "has no evaluation records" in text
    assert "<figcaption>Loss: training</figcaption>" in (Path("runs/compare") / f"{a[:8]}-{b[:8]}" / "index.html").read_text()


def test_an_empty_database_says_so(project: Project) -> None:
    with pytest.raises(UserError, match="`actial run` makes the first"):
        compare("a", "b")


def test_the_evaluation_bodies_here_are_scored_by_the_real_scorer(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    evaluation({"grpo": range(12)})(out)
    assert '"accuracy": 1.0' in (out / "scores.json").read_text()
