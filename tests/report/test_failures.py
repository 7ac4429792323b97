"""Where it fails, how numbers were made, and benchmarks: tables against records counted by hand."""

import math
import re
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs

import pytest
from toy_outputs import write_toy_outputs

from actial.records import Question
from actial.report import failures
from actial.report.benchmarks import benchmarks_section
from actial.report.failures import failures_section, worst_first
from actial.report.gallery import sample_of, shown_verdicts
from actial.report.made import made_section
from actial.report.outputs import Outputs
from actial.report.strata import NOT_KNOWN, NOTHING, in_order, ranges
from actial.report.viewer import Shown


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    folder = tmp_path_factory.mktemp("failures") / "outputs"
    write_toy_outputs(folder, n_asked=60)
    return Outputs(folder)


@pytest.fixture(scope="module")
def shown(outputs: Outputs) -> Shown:
    verdicts = shown_verdicts(outputs.verdicts)
    return Shown(sample_of(outputs.questions["test"], verdicts, 1000), verdicts, outputs.views)


def test_every_question_lies_in_the_range_of_its_value(shown: Shown) -> None:
    labels = ranges(shown.questions)
    for q in shown.questions:
        label, size = labels[q.question_id], abs(q.deciding_value)
        if q.label_of(q.truth) == "none":
            assert label == NOTHING
        elif q.deciding_quantity.endswith("_deg"):
            low, high = map(float, label.rstrip("°").split("–"))
            assert low <= size < high
        else:
            low, high = map(float, label.removeprefix(f"{q.deciding_quantity} ").split(" to "))
            assert low - 0.005 <= size <= high + 0.005
    assert sorted(["90–120°", "0–15°", NOTHING, "60–90°", NOT_KNOWN, "15–30°"], key=in_order) == ["0–15°", "15–30°", "60–90°", "90–120°", NOTHING, NOT_KNOWN]


def test_a_question_without_a_deciding_value_has_no_range_and_counts_are_named(shown: Shown) -> None:
    q: Question = next(q for q in shown.questions if q.label_of(q.truth) != "none")
    unknown, counts = (
        replace(q, question_id="x", deciding_quantity=""),
        [replace(q, question_id=str(n), deciding_quantity="n", deciding_value=n) for n in (1, 3)],
    )
    assert ranges([unknown, *counts]) == {"x": NOT_KNOWN, "1": "n = 1", "3": "n = 3"}


def test_cells_hold_all_their_questions_and_the_worst_is_first(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FEWEST", 3)
    cells = worst_first(shown, ("kind", "range"), "grpo", "think", "base")
    assert cells and all(cell.n >= 3 for cell in cells)
    labels = ranges(shown.questions)
    for cell in cells:
        inside = [q.question_id for q in shown.questions if (q.kind, labels[q.question_id]) == cell.names]
        plain = {v.model: v for i in inside for v in shown.verdicts[i] if v.condition == "plain" and v.mode == "think"}
        right = {m: sum(v.correct for i in inside for v in shown.verdicts[i] if (v.model, v.mode, v.condition) == (m, "think", "plain")) for m in plain}
        assert (cell.n, cell.n_right) == (len(inside), right["grpo"]) and cell.low <= cell.n_right / cell.n <= cell.high
        assert cell.before is not None and math.isclose(cell.before, right["base"] / len(inside))
    assert [cell.high for cell in cells] == sorted(cell.high for cell in cells)


def test_each_number_of_questions_is_a_link_to_them(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FEWEST", 3)
    section = failures_section(shown)
    queries = [parse_qs(unescape(address)) for address in re.findall(r'href="#questions\?([^"]+)"', section)]
    assert queries and all(q["model"] == ["grpo"] and q["kind"][0] in {question.kind for question in shown.questions} for q in queries)
    assert {q["outcome"][0] for q in queries if "outcome" in q} == {"missed"}


def test_without_answers_that_is_said(shown: Shown) -> None:
    assert "has not run" in failures_section(Shown(shown.questions, {}, None))


def test_how_numbers_were_made_names_prompts_checkpoints_and_rules(outputs: Outputs) -> None:
    section = made_section(outputs)
    plain = [v for v in outputs.verdicts if v.condition == "plain" and v.model in ("base", "sft", "grpo")]
    assert f"<code>{plain[0].prompt_sha}</code>" in section
    for rule in {v.rule for v in plain}:
        row = re.search(rf"<tr><td><code>{rule}</code></td>(.*?)</tr>", section)
        assert row is not None
        counts = [int(n.replace(",", "")) for n in re.findall(r'<td class="number">([\d,]+)</td>', row[1])]
        assert sum(counts[:6]) == sum(v.rule == rule for v in plain)
    assert f"n = {outputs.scores['questions']['overall']['n']:,} questions" in section


def test_benchmarks_stand_in_groups_of_columns_with_what_is_quoted_first() -> None:
    def cell(value: float | None) -> dict[str, Any]:
        return {"value": value, "stderr": None if value is None else 0.02, "n_clusters": 9, "strict": value}

    about = {"formula": "mean of right", "n": 90, "chance": 0.5, "majority": 0.555}
    bench = {
        "title": "CV-Bench",
        "version": "2024",
        "protocol": "letter",
        "primary": "average",
        "refused": {"no picture": 3, "no truth": 0},
        "metrics": {"Count": about | {"chance": 0.25}, "average": about | {"chance": None}},
        "models": {
            "grpo": {
                "think": {
                    "certainty": {"n": 80, "right": 0.68, "confidence": 0.91, "ece": 0.23, "brier": 0.25},
                    "metrics": {"Count": cell(0.655), "average": cell(0.7)},
                }
            },
            "base": {"think": {"metrics": {"Count": cell(None), "average": cell(0.6)}}},
        },
    }
    section = benchmarks_section({"asked": {"cv_bench": bench}, "not_run": {"mmsi": "it is not on disk"}})
    assert "less to see" not in section
    assert '<th scope="colgroup" colspan="2">CV-Bench</th>' in section
    assert section.index(">average</th>") < section.index(">Count</th>")
    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    (sure,) = (row for row in rows if "|91.0|" in row)
    assert "|grpo|" in sure and "|23.0|" in sure and "|0.250|" in sure, "of the other, whose probabilities are not known, there is no row"
    base, grpo = (next(row for row in rows if f"|{model}|" in row) for model in ("base", "grpo"))
    assert rows.index(base) < rows.index(grpo)
    assert "70.0" in grpo and "65.5" in grpo and "no data" in base and "± n/a" not in base
    assert any("|chance|" in row and "–" in row and "25.0" in row for row in rows) and any("|majority|" in row and "55.5" in row for row in rows)
    assert "no picture (3)" in section and "no truth" not in section and "it is not on disk" in section


def test_what_benchmarks_come_to_with_less_to_see_stands_below_the_same_model() -> None:
    def cell(value: float | None) -> dict[str, Any]:
        return {"metrics": {"right": {"value": value, "stderr": 0.01}}}

    def bench(title: str, of: dict[str, Any]) -> dict[str, Any]:
        about = {"title": title, "version": "", "protocol": "", "primary": "right", "refused": {}}
        return about | {"metrics": {"right": {"formula": "", "n": 9, "chance": 0.5, "majority": 0.5}}, "models": {"base": of}}

    blind = {"blind": {"title": "no picture"} | cell(0.31)}
    one = bench("One", {"think": cell(0.8) | {"controls": blind}, "direct": cell(0.7)})
    two = bench(
        "Two", {"think": cell(0.6) | {"controls": {"blind": {"title": "no picture"} | cell(None), "last_only": {"title": "last picture"} | cell(0.42)}}}
    )
    section = benchmarks_section({"asked": {"one": one, "two": two}, "not_run": {}})
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    seen = {cells[1]: [re.sub(r"<[^>]+>", "", cell) for cell in cells[2:]] for cells in rows if "base" in cells[0]}
    assert seen == {
        "think": ["80.0 ± 1.0", "60.0 ± 1.0"],
        "think, no picture": ["31.0 ± 1.0", "–"],
        "think, last picture": ["–", "42.0 ± 1.0"],
        "direct": ["70.0 ± 1.0", "not asked"],
    }
    assert list(seen) == ["think", "think, no picture", "think, last picture", "direct"] and "less to see" in section
