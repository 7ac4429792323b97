"""Tables as Markdown, CSV and LaTeX: the page's own numbers, in a form that its reader takes."""

import base64
import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_outputs import HOSTILE, write_toy_outputs

from actial.report.build import write_report
from actial.report.charts import Interval, interval_chart
from actial.report.exports import ShownTable, escaped, latex, names_of, slug, tables_of, write_results
from actial.report.figures import charts_of
from actial.report.outputs import Outputs
from actial.report.page import join, page, table, tag


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    write_toy_outputs(folder / "outputs")
    write_report(folder / "outputs", folder / "index.html", tables=folder / "tables")
    return folder


def tex_complaints(text: str) -> list[str]:
    """What TeX would stumble over in a file of booktabs tables: braces, environments, specials, and rows of another number of cells than columns."""
    found = []
    text = re.sub(r"(?m)^%.*$", "", text)
    for n, body in re.findall(r"\\begin\{tabular\}\{([lrc]+)\}(.*?)\\end\{tabular\}", text, re.S):
        for line in (row for row in body.splitlines() if row.strip().endswith(r"\\")):
            spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            cells = len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) - len(spans)
            found += [] if cells == len(n) else [f"{cells} cells in {len(n)} columns: {line}"]
    opened = re.findall(r"\\(begin|end)\{(\w+)\}", text)
    stack: list[str] = []
    for what, name in opened:
        if what == "begin":
            stack.append(name)
        elif not stack or stack.pop() != name:
            found.append(f"\\end{{{name}}} does not match")
    bare = re.sub(r"\\[&%$#_{}\\]", "", text)
    found += [] if bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0 and not stack else ["unbalanced"]
    outside = re.sub(r"\$[^$]*\$|\\\w+(\(lr\))?|\{[\w:-]*\}", "", bare)
    found += [f"a bare {c}" for c in "#%^_~$" if c in outside]
    found += [f"{c!r} is not known to plain LaTeX" for c in set(outside) if ord(c) > 255]
    return found


def test_every_table_of_results_is_written_in_three_forms(written: Path) -> None:
    tables = tables_of((written / "index.html").read_text(encoding="utf-8"))
    assert {t.section for t in tables} >= {"scores", "data", "made"} and not {t.section for t in tables} & {"questions", "rollouts", "settings"}
    folder = written / "tables"
    files = sorted(folder.glob("*.csv"))
    assert len(files) == len(tables) == (folder / "tables.md").read_text().count("\n|--") == (folder / "tables.tex").read_text().count(r"\toprule")
    assert tex_complaints((folder / "tables.tex").read_text(encoding="utf-8")) == []
    assert all(len(t.header) == len(row) for t in tables for row in t.rows)


def test_numbers_are_those_of_scores_json_with_errors_in_columns_of_their_own(written: Path) -> None:
    scores = Outputs(written / "outputs").scores
    with (written / "tables" / "scores-accuracy.csv").open(newline="") as file:
        rows = {(row["model"], row["mode"]): row for row in csv.DictReader(file)}
    for model in ("base", "sft", "grpo"):
        for mode in ("think", "direct"):
            cell, (column, _) = scores["models"][model][mode]["overall"], (f"overall n={scores['questions']['overall']['n']:,}", "")
            assert float(rows[model, mode][column]) == round(100 * cell["accuracy"], 1)
            assert float(rows[model, mode][f"{column} stderr"]) == round(100 * cell["stderr"], 1)
            assert rows[model, mode][f"{column} note"] == cell["versus_chance"]["verdict"]


def test_groups_of_columns_are_told(tmp_path: Path) -> None:
    shown = table(["model", "Avg", "Count"], [["a_b", "1.0 ± 0.5", "–"]], caption="B & C", numeric=[1, 2], groups=[("", 1), ("CV-Bench", 2)])
    whole = page("T", [("benchmarks", "Benchmarks", join([tag("p", "x"), shown]))])
    (found,) = tables_of(whole)
    assert found.columns() == ["model", "CV-Bench: Avg", "CV-Bench: Count"] and found.title() == "Benchmarks: B & C" and found.numeric == {1, 2}
    text = latex(found)
    assert r"\multicolumn{2}{c}{CV-Bench}" in text and r"\cmidrule(lr){2-3}" in text and r"a\_b & 1.0 $\pm$ 0.5 & --" in text
    assert tex_complaints(text) == []
    assert [p.name for p in write_results(whole, tmp_path)] == ["tables.md", "tables.tex", "benchmarks-b-c.csv"]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_no_text_breaks_a_table(text: str) -> None:
    (found,) = tables_of(page("T", [("scores", text, table(["a", text], [[text, "1"]], caption=text))]))
    assert tex_complaints(latex(found)) == []
    assert found.rows == [[" ".join(text.split()), "1"]]


def test_a_hostile_text_is_text(tmp_path: Path) -> None:
    assert "\n" not in escaped(HOSTILE.replace("\u2028", " ")) and tex_complaints(escaped(HOSTILE.replace("\u2028", " "))) == []


def test_charts_are_pictures_of_their_own_that_need_no_style_sheet(written: Path) -> None:
    charts = charts_of((written / "index.html").read_text(encoding="utf-8"))
    assert [c.title for c in charts if c.section == "scores"] == ["Accuracy overall, with two standard errors to either side"]
    assert {c.heading for c in charts if c.section == "training"} == {"SFT: learning from written answers", "GRPO: learning from its own sampled answers"}
    files = {path.stem: path.read_text(encoding="utf-8") for path in (written / "tables").glob("*.svg")}
    assert len(files) == len(charts) and {"scores-accuracy-overall", "training-sft-loss", "training-grpo-reward"} <= files.keys()
    for chart in charts:
        assert chart.svg in files.values() and "var(" not in chart.svg
        drawing = ElementTree.fromstring(chart.svg)
        texts = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert chart.title in texts and base64.b64decode(chart.address().partition(",")[2]).decode() == chart.svg
    assert "training" in files["training-sft-loss"] and "nats per target token" in files["training-sft-loss"]


def test_names_are_the_same_for_other_numbers_and_none_comes_twice() -> None:
    tables = [ShownTable("scores", "Scores", f"Accuracy: {n} held-out questions about {n} scenes") for n in ("30", "1,200")]
    assert slug(tables[0]) == slug(tables[1]) == "scores-accuracy"
    assert names_of([*tables, ShownTable("data", "Data", "")]) == ["scores-accuracy", "scores-accuracy-2", "data-data"]


@pytest.mark.parametrize("title", [HOSTILE, 'a < b & "c"', "]]>"])
def test_a_hostile_title_of_a_chart_is_text(title: str) -> None:
    (chart,) = charts_of(page("T", [("scores", title, join([tag("h3", title), interval_chart(title, [Interval(title, title, 0.5, 0.1)], {title: 0.2})]))]))
    assert ElementTree.fromstring(chart.svg).tag.endswith("svg") and "<script" not in chart.svg and chart.title == chart.heading == title
