"""Scores of published benchmarks as one table: a row a model and mode, a group of columns a benchmark, what is quoted of it first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actial.report.outputs import in_order
from actial.report.page import Html, join, missing, table, tag
from actial.report.results import CERTAINTY, CERTAINTY_COLUMNS, certainty_cells, percent, with_error

_HOW_TO_READ = (
    "Right answers in percent ± one standard error, clustered by picture; what could not be read, or never came, is wrong. The first column of a benchmark "
    "is the number that is quoted of it. Chance is that of its metric, majority what the best of those comes to who always answer with one letter; – where "
    "there is none."
)


def benchmarks_section(scores: Mapping[str, Any]) -> Html:
    """The table, what each metric means, and what was not run and why.

    Args:
        scores: `benchmarks` of scores.json, see `evaluation.benchmarks.results`.
    """
    asked, not_run = scores["asked"], scores["not_run"]
    parts = []
    if asked:
        parts += [tag("p", _HOW_TO_READ, class_="faint"), _table(asked)]
        if certain := _certainty_rows(asked):
            header = ["benchmark", "model", "mode", *CERTAINTY_COLUMNS]
            parts += [tag("h3", "How sure is it, and is it right as often?"), tag("p", CERTAINTY, class_="faint")]
            parts.append(table(header, certain, caption="Probability and accuracy of answers among options", numeric=range(3, len(header)), class_="scores"))
        parts.append(_about(asked))
    if not_run:
        parts.append(table(["benchmark", "why not"], sorted(not_run.items()), caption="Not run"))
    return join(parts) if parts else missing("No benchmark was named.")


def _metrics(of: Mapping[str, Any]) -> list[str]:
    """The one that is quoted first."""
    return sorted(of["metrics"], key=lambda name: (name != of["primary"], list(of["metrics"]).index(name)))


def _table(asked: Mapping[str, Any]) -> Html:
    columns = [(name, metric) for name, of in asked.items() for metric in _metrics(of)]
    who = sorted({(model, mode) for of in asked.values() for model, by_mode in of["models"].items() for mode in by_mode}, key=in_order)
    rows: list[Sequence[object]] = [[tag("strong", model), mode, *(_cell(asked[name], model, mode, metric) for name, metric in columns)] for model, mode in who]
    for guess in ("chance", "majority"):
        shares = [asked[name]["metrics"][metric].get(guess) for name, metric in columns]
        rows.append([tag("em", guess), "", *("–" if share is None else percent(share) for share in shares)])
    rows.append([tag("em", "questions"), "", *(f"{asked[name]['metrics'][metric]['n']:,}" for name, metric in columns)])
    header = ["model", "mode", *(metric for _, metric in columns)]
    groups = [("", 2), *((of["title"], len(of["metrics"])) for of in asked.values())]
    return table(header, rows, caption="Benchmarks", numeric=range(2, len(header)), class_="scores", groups=groups)


def _cell(of: Mapping[str, Any], model: str, mode: str, metric: str) -> Html:
    cell = of["models"].get(model, {}).get(mode)
    return tag("span", "not asked", class_="faint") if cell is None else with_error(cell["metrics"][metric]["value"], cell["metrics"][metric]["stderr"])


def _certainty_rows(asked: Mapping[str, Any]) -> list[list[object]]:
    """Of every model and mode of which any answer's probability is known."""
    return [
        [of["title"], tag("strong", model), mode, *certainty_cells(found)]
        for of in asked.values()
        for model, mode in sorted(((model, mode) for model, by_mode in of["models"].items() for mode in by_mode), key=in_order)
        if (found := of["models"][model][mode].get("certainty", {"n": 0}))["n"]
    ]


def _about(asked: Mapping[str, Any]) -> Html:
    rows = [
        [of["title"], metric, of["metrics"][metric]["formula"], of["version"], of["protocol"], _refused(of)] for of in asked.values() for metric in _metrics(of)
    ]
    shown = table(["benchmark", "metric", "formula", "version", "prompt", "rows refused"], rows, caption="What is measured, and how")
    return tag("details", tag("summary", "Formulas, versions and prompts"), shown)


def _refused(of: Mapping[str, Any]) -> str:
    return ", ".join(f"{reason} ({n:,})" for reason, n in of["refused"].items() if n) or "none"
