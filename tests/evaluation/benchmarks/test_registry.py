"""Which benchmarks there are, and what becomes of those whose files are not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from toy_evaluation import toy_questions

from actial.errors import UserError
from actial.evaluation.benchmarks.benchmark import Benchmark
from actial.evaluation.benchmarks.ours import OURS
from actial.evaluation.benchmarks.registry import BENCHMARKS, Found, NotRun, find, find_ours, named
from actial.tables import write_questions


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=lambda b: b.name)
def test_every_benchmark_says_what_it_is(benchmark: Benchmark) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9_]*", benchmark.name)
    assert (benchmark.hub is None) == (benchmark.revision is None)
    assert benchmark.revision is None or re.fullmatch(r"[0-9a-f]{40}", benchmark.revision)
    assert benchmark.url.startswith("https://")
    assert benchmark.licence and benchmark.protocol and benchmark.version and benchmark.files
    assert len({metric.name for metric in benchmark.metrics}) == len(benchmark.metrics)
    assert benchmark.metric(benchmark.primary).formula
    assert all(metric.value([]) is None and metric.chance([]) is None and metric.mean([]).mean is None for metric in benchmark.metrics)


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=lambda b: b.name)
def test_a_benchmark_that_cannot_be_had_is_not_run_for_a_reason(benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    found = find(benchmark, tmp_path)
    assert isinstance(found, NotRun) and found.name == benchmark.name
    assert str(tmp_path / "benchmarks" / (benchmark.home or benchmark.name)) in found.reason and benchmark.url in found.reason


def test_the_hubs_cache_is_taken_where_it_has_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    benchmark = BENCHMARKS["cv_bench"]
    snapshot = tmp_path / "cache" / "datasets--nyu-visionx--CV-Bench" / "snapshots" / str(benchmark.revision)
    snapshot.mkdir(parents=True)
    (snapshot / "test_2d.parquet").touch()
    found = find(benchmark, tmp_path)
    assert isinstance(found, NotRun) and "this machine's cache has not every file: put its files (test_2d.parquet, test_3d.parquet; see" in found.reason
    (snapshot / "test_3d.parquet").touch()
    assert find(benchmark, tmp_path) == Found(benchmark, snapshot)


def test_its_folder_is_taken_where_there_is_one(tmp_path: Path) -> None:
    benchmark = BENCHMARKS["cv_bench"]
    folder = tmp_path / "benchmarks" / "cv_bench"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match=r"lacks test_2d.parquet and test_3d.parquet"):
        find(benchmark, tmp_path)
    for name in benchmark.files:
        (folder / name).touch()
    assert find(benchmark, tmp_path) == Found(benchmark, folder)


def test_benchmarks_that_share_a_folder_are_found_each_by_its_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks" / "mindcube"
    (folder / "raw").mkdir(parents=True)
    (folder / "raw" / "MindCube_tinybench.jsonl").touch()
    assert find(BENCHMARKS["mindcube_tiny"], tmp_path) == Found(BENCHMARKS["mindcube_tiny"], folder)
    assert find(BENCHMARKS["mindcube"], tmp_path) == NotRun(
        "mindcube", f"{folder} lacks raw/MindCube.jsonl, which MindCube is published in: put the files there as they are published"
    )


def test_our_own_tests_lie_in_the_outputs(tmp_path: Path) -> None:
    sat, families = OURS["sat_style"], OURS["families"]
    assert named(["sat_style", "families"]) == [sat, families]
    test = tmp_path / "build_qa" / "test.parquet"
    assert find_ours(sat, tmp_path) == NotRun("sat_style", f"{test} does not exist: run build_qa, with the questions that our SAT-style test asks")
    write_questions(test, toy_questions(1))
    said = f"{test} holds nothing that our SAT-style test asks: give build_qa.kinds a value that makes some"
    assert find_ours(sat, tmp_path) == NotRun("sat_style", said) and find_ours(OURS["viewpoint"], tmp_path) == Found(OURS["viewpoint"], tmp_path)
    (tmp_path / "build_qa" / "families.jsonl").touch()
    found = find_ours(families, tmp_path)
    assert isinstance(found, NotRun) and found.reason.endswith("give build_qa.n_families a value that makes some")


def test_a_name_that_no_benchmark_has_ends_in_a_sentence() -> None:
    assert named(["cv_bench", "cv_bench"]) == [BENCHMARKS["cv_bench"]]
    with pytest.raises(UserError, match=r"there is no benchmark 'cvbench': take one of cv_bench, 3dsrbench, blink"):
        named(["cvbench"])
