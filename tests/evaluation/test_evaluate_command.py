"""`actial evaluate` against a real server that errs, and against a model that is asked here."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from toy_evaluation import ROOT, toy_questions, write_views

sys.path.insert(0, str(Path(__file__).parents[1] / "endpoint"))
sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from scripted_server import Answer, Script, ScriptedServer, last_words, said
from test_cv_bench import ROWS_2D, ROWS_3D, SCHEMA, row
from toy_benchmarks import write_parquet

from actial.tables import write_questions
from flows import cli

pytestmark = pytest.mark.usefixtures("no_proxy")
Run = Callable[..., int]


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with our test questions, CV-Bench as published (one row of it unusable), and nothing else."""
    write_views(tmp_path / "outputs" / "render_views" / "views", 4)
    write_questions(tmp_path / "outputs" / "build_qa" / "test.parquet", toy_questions(4))
    folder = tmp_path / "data" / "external" / "benchmarks" / "cv_bench"
    write_parquet(folder / "test_2d.parquet", SCHEMA, [*ROWS_2D, row(7, "Relation", "COCO", ["left", "right"], "(E)")])
    write_parquet(folder / "test_3d.parquet", SCHEMA, ROWS_3D)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIAL_TRACKING", "off")  # tests/tracking looks at the runs
    return tmp_path


def evaluate(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def at_server(script: Script, *arguments: str) -> tuple[int, ScriptedServer]:
    with ScriptedServer(script) as running:
        return evaluate("--model", "m", "--endpoint", running.url, "--profile", "tiny", *arguments), running


def always_a(body: dict[str, Any], before: int) -> Answer:
    thinks = "<think>" in body["messages"][0]["content"]
    return said("<think>So.</think><answer>A</answer>" if thinks else "A", tokens=(100, 7))


def scores(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "scores.json").read_text())


def records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in sorted((folder / "records").iterdir())}


RESULTS = Path("runs/evaluate/results/m")


def test_a_served_model_is_scored_on_benchmarks_and_every_number_can_be_opened(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, running = at_server(always_a, "--benchmarks", "viewpoint", "cv_bench", "sat_style")
    assert code == 0
    found = scores(RESULTS)
    cv = found["asked"]["cv_bench"]
    assert (cv["n_rows"], cv["n"], cv["refused"]) == (8, 7, {"an answer that is no option": 1})
    think = cv["models"]["m"]["think"]
    assert (RESULTS / "results" / "benchmarks-benchmarks.csv").read_text().startswith("model,mode,")
    # always A is right in ADE20K 1 of 3, COCO 1 of 2, Omni3D 1 of 2
    assert think["metrics"]["official"]["value"] == pytest.approx((1 / 3 + 1 / 2) / 4 + 1 / 4)
    assert think["metrics"]["micro"]["value"] == pytest.approx(3 / 7) == cv["metrics"]["micro"]["majority"], "no letter is right more often"
    assert think["metrics"]["micro"]["strict"] == pytest.approx(3 / 7)
    direct = cv["models"]["m"]["direct"]
    assert direct["metrics"]["micro"]["value"] == pytest.approx(3 / 7)
    assert direct["metrics"]["micro"]["strict"] == 0, "a bare letter is not the form asked for"
    assert (think["unparsed"], think["no_reply"], think["mean_tokens"]) == (0, 0, 7)
    ours = found["asked"]["viewpoint"]["models"]["m"]["think"]["metrics"]
    right = {kind: [q.truth == "A" for q in toy_questions(4) if q.kind == kind] for kind in ("lateral", "orbit", "turn")}
    for kind, of_kind in right.items():
        assert ours[kind]["value"] == pytest.approx(sum(of_kind) / 4)
    tied = [(a + b) / 2 for a, b in zip(right["lateral"], right["orbit"], strict=True)]
    assert ours["overall"]["value"] == pytest.approx((sum(tied) + sum(right["turn"])) / 8)
    assert "holds nothing that our SAT-style test asks" in found["not_run"]["sat_style"]
    told = capsys.readouterr().out
    assert "profile tiny" in told and "Not run:" in told and "1 rows of CV-Bench (an answer that is no option)" in told

    of_mode = records(RESULTS)
    assert sorted(of_mode) == ["cv_bench-direct", "cv_bench-think", "viewpoint-direct", "viewpoint-think"]
    first = of_mode["cv_bench-think"][0]
    assert (first["row_id"], first["truth"], first["answer"], first["rule"], first["correct"]) == ("2D-0", "F", "A", "tag_letter", False)
    assert first["completion"] == "<think>So.</think><answer>A</answer>" and first["options"] == ["0", "3", "2", "1", "4", "5"]
    assert first["settings"] == {"max_new_tokens": 64, "sampling": None} and first["prompt"][1]["content"].startswith("<image>\nQuestion 0?")
    assert all(body["temperature"] == 0 and "seed" not in body for body in running.asked)
    assert len(running.asked) == 2 * (7 + 12)
    url = running.asked[0]["messages"][1]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")


def test_what_is_known_is_not_asked_again_and_needs_no_server(project: Path) -> None:
    at_server(always_a, "--benchmarks", "cv_bench")
    before = (RESULTS / "scores.json").read_bytes()
    assert evaluate("--model", "m", "--endpoint", "http://127.0.0.1:9/v1", "--profile", "tiny", "--benchmarks", "cv_bench") == 0
    assert (RESULTS / "scores.json").read_bytes() == before
    (log,) = Path("runs/evaluate/records").iterdir()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-2]) + lines[-2][:20])
    _, running = at_server(always_a, "--benchmarks", "cv_bench")
    assert len(running.asked) == 2
    assert (RESULTS / "scores.json").read_bytes() == before
    shards = [*Path("runs/evaluate/benchmarks").glob("cv_bench-*/views/*.parquet")]
    assert len(shards) == 1, "its pictures are stored once"


@pytest.mark.parametrize(
    "err",
    [Answer(b"busy", 429, {"Retry-After": "0"}), Answer(b"oops", 500), Answer(b"<html>", 200), Answer(b"", 200), Answer(b'{"choices": [{"mess', 200)],
    ids=["429", "500", "HTML", "empty", "half JSON"],
)
def test_a_server_that_errs_once_is_asked_again(project: Path, err: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actial.endpoint.client._backoff_s", lambda *_: 0.01)
    now_and_then = lambda body, before: err if before == 0 and len(last_words(body)) % 2 else always_a(body, before)
    code, _ = at_server(now_and_then, "--benchmarks", "cv_bench", "--modes", "think")
    assert code == 0
    assert scores(RESULTS)["asked"]["cv_bench"]["models"]["m"]["think"]["metrics"]["micro"]["value"] == pytest.approx(3 / 7)


def test_nothing_that_was_paid_for_is_lost_when_the_server_dies(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("actial.endpoint.client._backoff_s", lambda *_: 0.001)
    n = iter(range(1000))
    dies = lambda body, before: always_a(body, before) if next(n) < 5 else Answer(b"", drop=True)
    code, _ = at_server(dies, "--benchmarks", "viewpoint", "--modes", "think", "--concurrency", "2")
    assert code == 2 and "gave no reply to the last" in capsys.readouterr().err
    assert not RESULTS.exists()
    (log,) = Path("runs/evaluate/records").iterdir()
    assert len(log.read_bytes().splitlines()) == 5
    code, running = at_server(always_a, "--benchmarks", "viewpoint", "--modes", "think")
    assert code == 0 and len(running.asked) == 12 - 5


def test_a_question_that_the_server_refuses_is_counted_and_wrong(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuses = lambda body, before: Answer(b'{"error": "policy"}', 400) if "Question 5" in last_words(body) else always_a(body, before)
    assert at_server(refuses, "--benchmarks", "cv_bench", "--modes", "think")[0] == 2
    assert "1 of 7 requests got no reply (no reply: status 400)" in capsys.readouterr().err
    settings = yaml.safe_load((ROOT / "profiles" / "tiny.yaml").read_text())
    settings["evaluate"]["max_refused_share"] = 0.5
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    with ScriptedServer(refuses) as running:
        assert evaluate("--model", "m", "--endpoint", running.url, "--benchmarks", "cv_bench", "--modes", "think") == 0
    think = scores(RESULTS)["asked"]["cv_bench"]["models"]["m"]["think"]
    assert think["no_reply"] == 1 and think["metrics"]["micro"]["value"] == pytest.approx(2 / 7)
    refused = next(r for r in records(RESULTS)["cv_bench-think"] if r["row_id"] == "3D-5")
    assert (refused["completion"], refused["answer"], refused["rule"]) == (None, None, "no reply: status 400")


def test_how_sure_a_served_model_is_stands_beside_how_often_it_is_right(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def sure(body: dict[str, Any], before: int) -> Answer:
        assert body["logprobs"] is True
        p = 0.9 if "Question 0" in last_words(body) else 0.6
        return said(
            "<think>So.</think><answer>A</answer>", logprobs=[("<think>So.</think>", -3.0), ("<answer>", -1.0), ("A", math.log(p)), ("</answer>", -2.0)]
        )

    assert at_server(sure, "--benchmarks", "cv_bench", "--modes", "think")[0] == 0
    found = scores(RESULTS)["asked"]["cv_bench"]["models"]["m"]["think"]["certainty"]
    of_row = {r["row_id"]: r for r in records(RESULTS)["cv_bench-think"]}
    assert {name: r["answer_logprob"] for name, r in of_row.items()} == {name: round(math.log(0.9 if name == "2D-0" else 0.6), 3) for name in of_row}
    assert (found["n"], found["right"]) == (7, pytest.approx(3 / 7)) and not of_row["2D-0"]["correct"]
    assert found["confidence"] == pytest.approx((0.9 + 6 * 0.6) / 7, abs=0.001)
    assert found["ece"] == pytest.approx((0.9 + 6 * abs(3 / 6 - 0.6)) / 7, abs=0.001)
    assert found["brier"] == pytest.approx((0.81 + 3 * 0.36 + 3 * 0.16) / 7, abs=0.001)
    row = "| CV-Bench  | m     | think | 64.3 |  42.9 | 21.4 | 0.339 |       7 |"
    assert row in capsys.readouterr().out and row in (RESULTS / "scores.md").read_text()
    assert any("Brier" in path.read_text() for path in (RESULTS / "results").glob("*.csv"))
    at_server(lambda body, before: always_a(body, before), "--benchmarks", "cv_bench", "--modes", "think", "--samples", "2", "--out", "sampled")
    assert scores(Path("sampled"))["asked"]["cv_bench"]["models"]["m"]["think"]["certainty"]["n"] == 0
    assert "log-probabilities" not in capsys.readouterr().out, "samples are asked for none"


@pytest.mark.parametrize("refusal", [Answer(b'{"error": "logprobs is not supported for this model"}', 400), None], ids=["refuses", "is silent"])
def test_a_server_without_log_probabilities_is_asked_all_the_same_and_it_is_said_once(
    project: Path, refusal: Answer | None, capsys: pytest.CaptureFixture[str]
) -> None:
    without = lambda body, before: refusal if refusal and "logprobs" in body else always_a(body, before)
    assert at_server(without, "--benchmarks", "cv_bench", "--modes", "think")[0] == 0
    of = scores(RESULTS)["asked"]["cv_bench"]["models"]["m"]["think"]
    assert of["metrics"]["micro"]["value"] == pytest.approx(3 / 7)
    assert of["certainty"] == {"n": 0, "right": None, "confidence": None, "ece": None, "brier": None, "reliability": []}
    told = capsys.readouterr().out
    assert told.count("tells no log-probabilities") == 1 and "How sure" not in told


def test_what_was_cut_off_is_kept_as_it_was_written(project: Path) -> None:
    at_server(lambda body, before: said("<think>I look and look", finish="length"), "--benchmarks", "cv_bench", "--modes", "think")
    think = scores(RESULTS)["asked"]["cv_bench"]["models"]["m"]["think"]
    assert (think["cut_off"], think["unparsed"]) == (1, 1)
    assert {(r["completion"], r["finish"], r["rule"]) for r in records(RESULTS)["cv_bench-think"]} == {
        ("<think>I look and look", "length", "unfinished thought")
    }


def test_a_judge_reads_what_no_rule_could_in_columns_of_its_own(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--benchmarks", "cv_bench", "--modes", "think")
    mumble = lambda body, before: said("<think>So.</think>I would say the first of them")
    at_server(mumble, *asked, "--out", "without")
    with ScriptedServer(lambda body, before: said("A")) as judge:
        judging = ("--judge", "j", "--judge-endpoint", judge.url)
        assert at_server(mumble, *asked, *judging)[0] == 0
        n = len(judge.asked)
        assert at_server(mumble, *asked, *judging)[0] == 0
    assert n == len(judge.asked) == 7, "what it said before is not asked again"
    found, without = scores(RESULTS), scores(Path("without"))
    of = found.pop("judge")["asked"]["cv_bench"]["think"]
    assert found == without, "no number of the rules changes"
    assert (of["judged"], of["chose"], of["right"], of["right_by_rules"], of["right_with_judge"]) == (7, 7, 3, 0, pytest.approx(3 / 7))
    assert len((RESULTS / "judgements.jsonl").read_text().splitlines()) == 7 and "read by j" in capsys.readouterr().out


def test_with_less_to_see_all_is_asked_again_and_the_plain_scores_stay_as_they_are(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--benchmarks", "viewpoint", "cv_bench", "--modes", "direct")
    at_server(always_a, *asked, "--out", "plain")
    _, running = at_server(always_a, *asked, "--controls", "blind", "last_only")
    parts = [body["messages"][1]["content"] for body in running.asked]
    blind = [part for part in parts if isinstance(part, str)]
    assert len({*blind}) == len(blind) and all("picture" not in text.lower() for text in blind), "the same words are asked once"
    shown = [[part["image_url"]["url"] for part in content if part["type"] == "image_url"] for content in parts if not isinstance(content, str)]
    assert len(shown) == 12 and {len(urls) for urls in shown} == {2}, "CV-Bench shows one picture: nothing of it is asked with the last alone"
    assert len({urls[0] for urls in shown}) == 1, "gray"
    gray = Image.open(io.BytesIO(base64.b64decode(shown[0][0].partition(",")[2])))
    assert gray.size == (84, 84) and gray.getcolors() == [(84 * 84, (128, 128, 128))]

    found, plain = scores(RESULTS), scores(Path("plain"))
    controls = {name: of["models"]["m"]["direct"].pop("controls") for name, of in found["asked"].items()}
    assert found == plain, "no other number changes"
    assert {name: list(of) for name, of in controls.items()} == {"viewpoint": ["blind", "last_only"], "cv_bench": ["blind"]}
    assert controls["cv_bench"]["blind"]["metrics"]["official"]["lost"] == {"value": 0, "stderr": 0}
    assert sorted(records(RESULTS)) == ["cv_bench-direct", "cv_bench-direct-blind", "viewpoint-direct", "viewpoint-direct-blind", "viewpoint-direct-last_only"]
    assert records(RESULTS)["cv_bench-direct"] == records(Path("plain"))["cv_bench-direct"]
    assert re.search(r"direct, last picture only +\| +0\.0 ± 0\.0 \|", capsys.readouterr().out)


def test_samples_are_asked_with_seeds_of_their_own_and_averaged(project: Path) -> None:
    odd = lambda body, before: said(f"<think>So.</think><answer>{'AB'[body['seed'] % 2]}</answer>")
    _, running = at_server(odd, "--benchmarks", "cv_bench", "--modes", "think", "--samples", "3", "--temperature", "0.5")
    assert len(running.asked) == len({json.dumps(body) for body in running.asked}) == 21
    assert {body["temperature"] for body in running.asked} == {0.5}
    of_row: dict[str, list[bool]] = {}
    for r in records(RESULTS)["cv_bench-think"]:
        of_row.setdefault(r["row_id"], []).append(r["correct"])
    micro = scores(RESULTS)["asked"]["cv_bench"]["models"]["m"]["think"]["metrics"]["micro"]["value"]
    assert micro == pytest.approx(sum(sum(of) / 3 for of in of_row.values()) / 7)


def test_n_draws_the_same_questions_every_time_and_variants_together(project: Path) -> None:
    _, first = at_server(always_a, "--benchmarks", "cv_bench", "--modes", "think", "--n", "3")
    assert len(first.asked) == 3
    _, then = at_server(always_a, "--benchmarks", "cv_bench", "--modes", "think", "--n", "5", "--out", "elsewhere")
    assert len(then.asked) == 2, "the first three are among the five"
    assert scores(Path("elsewhere"))["asked"]["cv_bench"]["n"] == 5
    at_server(always_a, "--benchmarks", "viewpoint", "--modes", "think", "--n", "5")
    groups = [r["group"] for r in records(RESULTS)["viewpoint-think"]]
    assert all(groups.count(group) == (1 if group.endswith("turn") else 2) for group in groups), "lateral and orbit ask one bit"


@pytest.mark.parametrize(
    ("arguments", "said_of_it"),
    [
        (("--model", "m", "--endpoint", "localhost:8000"), "--endpoint is 'localhost:8000'"),
        (("--model", "m", "--endpoint", "http://127.0.0.1:9/v1"), "start the server, or give --endpoint its address"),
        (("--model", "m", "--endpoint", "http://h/v1", "--key-variable", "NO_SUCH_KEY"), "--key-variable is NO_SUCH_KEY"),
        (
            (
                "--model",
                "no/where/at/all",
            ),
            "neither a folder nor a hub id",
        ),
        (
            (
                "--model",
                "nobody/nothing",
            ),
            "the hub cannot be reached",
        ),
        (
            (
                "--model",
                "outputs",
            ),
            "holds no model",
        ),
        (("--model", "outputs", "--revision", "main"), "is a folder, which has none"),
        (("--model", "m", "--endpoint", "http://h/v1", "--benchmarks", "cv_bunch"), "there is no benchmark 'cv_bunch'"),
        (("--model", "m", "--endpoint", "http://h/v1", "--profile", "huge"), "--profile is huge"),
        (("--model", "m", "--endpoint", "http://127.0.0.1:9/v1", "--out", "data"), "a folder with other things in it"),
        (("--model", "m", "--endpoint", "http://h/v1", "--judge", "j"), "give --judge-endpoint"),
        (("--model", "m", "--endpoint", "http://h/v1", "--judge-endpoint", "http://h/v1"), "name it with --judge"),
    ],
)
def test_a_mistake_gets_one_sentence(project: Path, arguments: tuple[str, ...], said_of_it: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*arguments, "--n", "1", *([] if "--profile" in arguments else ["--profile", "tiny"])) == 2
    *progress, told = capsys.readouterr().err.splitlines()
    assert said_of_it in told and not any("error" in line for line in progress)


def test_nothing_to_run_is_no_success(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("outputs")
    assert evaluate("--model", "m", "--endpoint", "http://127.0.0.1:9/v1", "--benchmarks", "viewpoint") == 1
    told = capsys.readouterr().out
    assert "viewpoint: outputs/build_qa/test.parquet does not exist" in told and "profile single-gpu, since there is no params.yaml here" in told


def test_a_checkpoint_is_asked_here_with_its_pictures_from_several_places(project: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIAL_DEVICE", "cpu")
    asked = ("--model", str(checkpoints["base"]), "--profile", "tiny", "--benchmarks", "viewpoint", "cv_bench", "--modes", "direct", "--max-new-tokens", "4")
    assert evaluate(*asked, "--out", "first") == 0
    found = scores(Path("first"))["asked"]
    assert (found["viewpoint"]["n"], found["cv_bench"]["n"]) == (12, 7)
    assert {r["n_tokens"] for of in records(Path("first")).values() for r in of} <= set(range(5))
    monkeypatch.setattr("actial.evaluation.generate.hold", lambda *_: pytest.fail("it was all asked before"))
    assert evaluate(*asked, "--out", "second") == 0
    assert (Path("first") / "scores.json").read_bytes() == (Path("second") / "scores.json").read_bytes()
