"""The stage's program, `python -m tasks.evaluate`, in a toy project."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from toy_evaluation import evaluate, make_project, program_environment, toy_questions, with_other_truth, write_views

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from test_cv_bench import ROWS_2D, ROWS_3D, SCHEMA
from toy_benchmarks import write_parquet

from actial.answers import Answer, read_answer
from actial.evaluation.standins import STANDINS
from actial.records import Question
from actial.tables import write_questions

N_ASKS = 2 * 36


def asked(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many questions each model was asked in a run, from its progress bars."""
    return {model: int(n) for model, n in re.findall(r"ask (\w+): 100%.*?\| \d+/(\d+)", run.stderr)}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def finished(checkpoints, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    project = make_project(tmp_path_factory.mktemp("evaluate") / "project", checkpoints["base"], {"sft": checkpoints["sft"]})
    run = evaluate(project)
    assert run.returncode == 0, run.stderr
    return project, run


@pytest.mark.slow
def test_the_stage_scores_checkpoints_and_stand_ins_in_both_modes(finished):
    project, run = finished
    out = project / "outputs" / "evaluate"
    assert asked(run) == {"base": N_ASKS, "sft": N_ASKS}
    assert {p.name for p in out.iterdir()} == {"records", "scores.json", "scores.md", "metrics.json", "accuracy.csv", "manifest.json"}
    models = ("base", "sft", *STANDINS)
    assert {p.name for p in (out / "records").iterdir()} == {f"{model}-{mode}.jsonl" for model in models for mode in ("think", "direct")}
    questions = {q.question_id: q for q in toy_questions()}
    for path in (out / "records").iterdir():
        verdicts = lines(path)
        assert [v["question_id"] for v in verdicts] == list(questions)
        for verdict in verdicts:
            reading = read_answer(verdict["completion"], questions[verdict["question_id"]].options)
            assert verdict["answer"] == (reading.letter if isinstance(reading, Answer) else None)
            assert verdict["correct"] == (verdict["answer"] == questions[verdict["question_id"]].truth)
    scores = json.loads((out / "scores.json").read_text())
    for mode in ("think", "direct"):
        overall = {model: scores["models"][model][mode]["overall"] for model in models}
        assert overall["oracle"]["accuracy"] == 1.0
        assert scores["models"]["mirror"][mode]["directional"]["accuracy"] == 0.0
        assert overall["constant"]["accuracy"] == scores["questions"]["overall"]["majority"]
        assert (overall["silent"]["accuracy"], overall["silent"]["unparsed"]) == (0.0, 1.0)
        assert abs(overall["random"]["accuracy"] - 1 / 3) < 4 * overall["random"]["stderr"]
        assert all(v["n_tokens"] > 0 for v in lines(out / "records" / f"base-{mode}.jsonl"))
    assert (out / "scores.md").read_text() in run.stdout
    assert run.stdout.splitlines()[-3].startswith("evaluate: made 36 questions, 144 verdicts")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["made"] == {"questions": 36, "verdicts": 144}


@pytest.mark.slow
def test_a_new_grpo_checkpoint_is_asked_and_nobody_else(finished, checkpoints, tmp_path):
    project = shutil.copytree(finished[0], tmp_path / "project")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("- sft\n", "- sft\n  - grpo\n"))
    shutil.copytree(checkpoints["grpo"], project / "outputs" / "grpo" / "model")
    run = evaluate(project)
    assert run.returncode == 0, run.stderr
    assert asked(run) == {"grpo": N_ASKS}
    before, after = contents(finished[0] / "outputs" / "evaluate" / "records"), contents(project / "outputs" / "evaluate" / "records")
    assert {name: after[name] for name in before} == before
    assert after["grpo-think.jsonl"].replace(b'"grpo"', b'"base"') != before["base-think.jsonl"]
    assert set(json.loads((project / "outputs" / "evaluate" / "scores.json").read_text())["comparisons"]) == {"sft - base", "grpo - base", "grpo - sft"}


@pytest.mark.slow
def test_controls_and_samples_are_asked_once_recorded_apart_and_scored(finished, tmp_path):
    """The other order is in the test for one scene only; nothing that was asked plainly is asked again."""
    project = shutil.copytree(finished[0], tmp_path / "project")
    questions = toy_questions()
    turned = [with_reversed_views(q, "left") for q in questions[:3]]
    write_questions(project / "outputs" / "build_qa" / "test.parquet", [*questions, *turned])
    flat = [replace(q, question_id=q.question_id.replace("lateral", "place_2d"), kind="place_2d", text="Where is red?") for q in questions[:6:3]]
    write_questions(project / "outputs" / "build_qa" / "test_2d.parquet", flat)
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["evaluate"]["controls"] = {"models": ["sft"], "conditions": ["first_only", "same_twice", "swapped"], "n_questions": None}
    params["evaluate"]["sampled"] = {"models": ["base", "sft"], "n": 3, "temperature": 1.0, "n_questions": 5}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    run = evaluate(project)
    assert run.returncode == 0, run.stderr
    n_swapped = 6  # three questions with their other orders, both ways
    assert asked(run)["base"] == 2 * (3 + 2) + 3 * 5
    out = project / "outputs" / "evaluate"
    records = {path.stem: lines(path) for path in (out / "records").iterdir() if path.stem.startswith(("base", "sft"))}
    assert {name: len(rows) for name, rows in records.items()} == {
        **{f"{model}-{mode}": 39 + 2 for model in ("base", "sft") for mode in ("think", "direct")},
        **{"base-think-sampled": 15, "sft-think-sampled": 15},
        **{"sft-think-first_only": 39, "sft-think-same_twice": 39, "sft-think-swapped": n_swapped},
    }
    assert {v["condition"] for v in records["sft-think-swapped"]} == {"swapped"}
    by_id = {q.question_id: q for q in [*questions, *turned]}
    assert all(by_id[v["question_id"]].label_of(v["truth"]) == "none" for v in records["sft-think-same_twice"])
    truths = {v["question_id"]: by_id[v["question_id"]].label_of(v["truth"]) for v in records["sft-think-swapped"]}
    assert truths == {**{q.question_id: "left" for q in questions[:3]}, **{t.question_id: q.label_of(q.truth) for t, q in zip(turned, questions, strict=False)}}
    assert len({v["question_id"] for v in records["base-think-sampled"]}) == 15
    assert len({v["completion"] for v in records["base-think-sampled"]}) > 5
    scores = json.loads((out / "scores.json").read_text())
    assert scores["controls"]["sft"]["swapped"]["left_out"] == 33
    assert "33 questions under swapped, whose truth is not known there" in run.stdout
    assert scores["sampled"]["models"]["base"]["overall"]["n"] == 5
    assert (scores["questions"]["overall"]["n"], scores["questions"]["2d"]["n"]) == (39, 2)
    for said in ("2D test", "Teach or sharpen?", "first_only", "same_twice", "swapped"):
        assert said in (out / "scores.md").read_text()
    again = evaluate(project)
    assert again.returncode == 0 and asked(again) == {}


def with_reversed_views(question: Question, label: str) -> Question:
    """The same kind's question about the other order, with a truth of its own."""
    first, second = question.view_ids
    name = f"{second}-{first.rsplit('.', 1)[1]}.{question.kind}"
    return replace(question, question_id=name, view_ids=(second, first), truth=question.letter_of(label))


@pytest.mark.slow
def test_a_killed_run_loses_at_most_a_batch_and_ends_with_the_same_bytes(finished, checkpoints, tmp_path):
    project = make_project(tmp_path / "project", checkpoints["base"], {"sft": checkpoints["sft"]})
    logs = project / "runs" / "evaluate" / "records"
    program = subprocess.Popen(
        [sys.executable, "-m", "tasks.evaluate"], cwd=project, env=program_environment(ACTIAL_GENERATE_ROWS="1"), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    while sum(path.read_bytes().count(b"\n") for path in logs.glob("*.jsonl")) < 5:
        assert program.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert not (project / "outputs" / "evaluate").exists()
    (log,) = logs.glob("*.jsonl")
    whole = log.read_bytes().count(b"\n")
    assert 5 <= whole < N_ASKS
    with log.open("ab") as file:
        file.write(b'{"key": "a line cut in the mid')
    run = evaluate(project)
    assert run.returncode == 0, run.stderr
    assert asked(run) == {"base": N_ASKS - whole, "sft": N_ASKS}
    assert contents(project / "outputs" / "evaluate") == contents(finished[0] / "outputs" / "evaluate")


@pytest.mark.slow
def test_an_unreadable_picture_sets_its_questions_aside_and_they_are_never_scored(checkpoints, tmp_path):
    project = make_project(tmp_path / "project", checkpoints["base"], {}, n_questions=None, max_new_tokens={"direct": 2})
    shutil.rmtree(project / "outputs" / "render_views")
    write_views(project / "outputs" / "render_views" / "views", unreadable=("scene-000003.v01",))
    run = evaluate(project)
    assert run.returncode == 0, run.stderr
    assert "evaluate: refused 3 questions with an unreadable picture" in run.stdout
    out = project / "outputs" / "evaluate"
    scores = json.loads((out / "scores.json").read_text())
    assert scores["set_aside"] == {"a picture cannot be read": 3}
    assert scores["questions"]["overall"]["n"] == 33
    assert scores["models"]["oracle"]["direct"]["overall"]["accuracy"] == 1.0
    assert all("scene-000003" not in path.read_text() for path in (out / "records").iterdir())
    assert {path.stem for path in (out / "records").iterdir()} == {f"{model}-direct" for model in ("base", *STANDINS)}


def refused(project: Path) -> str:
    """The one sentence of a run that ends with exit code 2 and leaves no output."""
    run = evaluate(project)
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert not (project / "outputs" / "evaluate").exists()
    sentences = [line for line in run.stderr.splitlines() if line.startswith("actial: error: ")]
    assert len(sentences) == 1
    return sentences[0]


def test_what_cannot_be_scored_is_refused_in_one_sentence(checkpoints, tmp_path):
    questions = toy_questions()
    project = make_project(tmp_path / "project", checkpoints["base"], {}, with_other_truth(questions, 4, "D"))
    sentence = refused(project)
    assert questions[4].question_id in sentence
    assert "'D'" in sentence
    assert "A, B, C" in sentence

    test = project / "outputs" / "build_qa" / "test.parquet"
    write_questions(test, [])
    assert "holds no questions" in refused(project)

    write_questions(test, questions)
    shutil.rmtree(project / "outputs" / "render_views")
    write_views(project / "outputs" / "render_views" / "views", unreadable=tuple(f"scene-{i:06d}.v00" for i in range(9)))
    assert "27 of 36 test questions have an unreadable picture, more than evaluate.max_refused_share (0.2)" in refused(project)


def test_a_checkpoint_that_is_missing_or_no_model_is_refused(checkpoints, tmp_path):
    project = make_project(tmp_path / "project", checkpoints["base"], {"sft": checkpoints["sft"]})
    (project / "outputs" / "sft" / "model" / "config.json").unlink()
    assert "outputs/sft/model holds no model" in refused(project)
    assert not list((project / "runs" / "evaluate" / "records").glob("*")), "the base was asked before the checkpoint was looked at"


def test_drawn_questions_are_the_same_for_a_seed_and_keep_their_order():
    from tasks.evaluate import draw_questions

    questions = toy_questions()
    drawn = draw_questions(questions, 10, 7)
    assert len(drawn) == 10
    assert drawn == [q for q in questions if q in drawn]
    assert drawn == draw_questions(questions, 10, 7) != draw_questions(questions, 10, 8)
    assert {q.question_id for q in drawn} < {q.question_id for q in draw_questions(questions, 11, 7)}
    assert draw_questions(questions, None, 7) == draw_questions(questions, 99, 7) == questions


def test_options_that_cannot_be_told_apart_are_refused():
    from dataclasses import replace

    from toy_evaluation import ROOT

    from actial.errors import UserError
    from actial.params import load_params
    from tasks.evaluate import check_oracle, judge_standins

    params = load_params(ROOT / "profiles" / "tiny.yaml")
    params = replace(params, prompt=replace(params.prompt, answer="text"))
    questions = [replace(toy_questions(1)[0], options=("It moved.", "it MOVED", "It stayed."), truth="A", labels=("left", "right", "none"))]
    with pytest.raises(UserError, match="cannot be told apart"):
        check_oracle(judge_standins(questions, ["think"], params), questions, Path("test.parquet"))


@pytest.mark.slow
def test_benchmarks_are_asked_of_every_model_and_what_is_not_there_is_listed(finished, checkpoints, tmp_path):
    plain, _ = finished
    asking = {"benchmarks": ["cv_bench", "blink"], "benchmark_controls": ["blind", "first_only"]}
    project = make_project(tmp_path / "project", checkpoints["base"], {"sft": checkpoints["sft"]}, **asking)
    shutil.copytree(plain / "runs" / "evaluate" / "records", project / "runs" / "evaluate" / "records")
    folder = project / "data" / "external" / "benchmarks" / "cv_bench"
    write_parquet(folder / "test_2d.parquet", SCHEMA, [*ROWS_2D, ROWS_2D[0]])
    write_parquet(folder / "test_3d.parquet", SCHEMA, ROWS_3D)
    run = evaluate(project)
    assert run.returncode == 0, run.stderr
    assert asked(run) == {"base": 2 * 2 * 7, "sft": 2 * 2 * 7}, "plainly and blind; nothing else is asked again, and nothing with its only picture"
    out = project / "outputs" / "evaluate"
    scores = json.loads((out / "scores.json").read_text())
    cv = scores.pop("benchmarks")
    assert scores == json.loads((plain / "outputs" / "evaluate" / "scores.json").read_text())
    assert cv["asked"]["cv_bench"]["refused"] == {"an id that stood before": 1}
    assert list(cv["not_run"]) == ["blink"] and "data/external/benchmarks/blink does not exist" in cv["not_run"]["blink"]
    names = {f"{model}-cv_bench-{mode}{control}" for model in ("base", "sft") for mode in ("think", "direct") for control in ("", "-blind")}
    assert {p.stem for p in (out / "benchmarks").iterdir()} == names
    for model in ("base", "sft"):
        for mode in ("think", "direct"):
            cell = cv["asked"]["cv_bench"]["models"][model][mode]
            for control, found in (("", cell), ("-blind", cell["controls"]["blind"])):
                credits = [row["credit"] for row in lines(out / "benchmarks" / f"{model}-cv_bench-{mode}{control}.jsonl")]
                assert found["metrics"]["micro"]["value"] == pytest.approx(sum(credits) / 7)
    assert "| CV-Bench" in run.stdout and "- blink:" in (out / "scores.md").read_text()


def test_params_name_every_published_benchmark():
    from actial.evaluation.benchmarks.registry import BENCHMARKS
    from actial.params_external import PUBLISHED_BENCHMARKS

    assert tuple(BENCHMARKS) == PUBLISHED_BENCHMARKS
