"""Runs side by side on one page: curves of each, and changed answers with their pictures in a browser."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import CHROMIUM, Tab, chromium_tab
from toy_outputs import write_toy_outputs

from actial.records import Verdict
from actial.report.compare import AskedAbout, ComparedRun, changed_answers, write_comparison
from actial.report.outputs import Outputs


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    folder = tmp_path_factory.mktemp("compared") / "outputs"
    write_toy_outputs(folder, n_asked=12)
    return Outputs(folder)


def run_of(name: str, verdicts: list[Verdict], outputs: Outputs, tested_on: str = "abc") -> ComparedRun:
    curves = {stage: outputs.curve(stage) for stage in ("sft", "grpo")}
    return ComparedRun(name * 8, f"run {name}", "2026-01-01 10:00", "", {"seed": name}, {"accuracy/grpo.think": 0.5}, verdicts, tested_on, curves)


@pytest.fixture(scope="module")
def runs(outputs: Outputs) -> list[ComparedRun]:
    """B answers the first two questions otherwise than A, C only the second."""
    plain = [v for v in outputs.verdicts if (v.model, v.mode, v.condition) == ("grpo", "think", "plain")]
    other = lambda v: replace(v, answer=None, rule="ambiguous", correct=False, completion="A or B")
    b, c = ([other(v) if i in changed else v for i, v in enumerate(plain)] for changed in ((0, 1), (1,)))
    return [run_of("1", plain, outputs), run_of("2", b, outputs), run_of("3", c, outputs)]


@pytest.fixture(scope="module")
def page(runs: list[ComparedRun], outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    assert outputs.views is not None
    write_comparison(runs, [{}, {}], folder, AskedAbout(outputs.questions["test"], outputs.views))
    return folder / "index.html"


def test_changed_answers_are_those_that_differ_from_a_in_any_run(runs: list[ComparedRun]) -> None:
    changed = changed_answers(runs)
    assert [c.of_a() for c in changed] == list(runs[0].verdicts[:2])
    assert [[w is not None and w.answer is None for w in c.verdicts] for c in changed] == [[False, True, False], [False, True, True]]
    elsewhere = replace(runs[2], tested_on="other questions")
    assert [c.verdicts[2] for c in changed_answers([*runs[:2], elsewhere])] == [None, None]


def test_curves_of_all_runs_share_a_chart(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    loss = text.split("<figcaption>Loss: training</figcaption>")[1].split("</figure>")[0]
    assert [f">{letter} (bold" in loss or f"</i>{letter}<" in loss for letter in "ABC"] == [True] * 3


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with chromium_tab() as tab:
        yield tab


def test_a_changed_answer_is_shown_with_its_pictures(tab: Tab, page: Path, runs: list[ComparedRun]) -> None:
    wanted = runs[0].verdicts[1].question_id
    tab.open(f"{page.as_uri()}#{wanted}")
    tab.wait_for(f"document.querySelector('#shown article')?.id === '{wanted}'")
    assert tab.value("document.getElementById('place').textContent") == "2 of 2"
    assert tab.value("[...document.querySelectorAll('#shown .completion b')].map((b) => b.textContent)") == ["A grpo", "B grpo", "C grpo"]
    assert tab.value("document.querySelectorAll('#shown img[src]').length") == 2
    assert tab.complaints == []


def test_without_the_questions_it_is_tables_alone(runs: list[ComparedRun], tmp_path: Path) -> None:
    write_comparison(runs[:2], [{}], tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'id="questions"' not in text and runs[0].verdicts[0].question_id in text and "<script" not in text
