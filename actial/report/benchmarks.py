"""Scores of published benchmarks as one table: a row a model and mode, a group of columns a benchmark, what is quoted of it first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actial.report.outputs import in_order
from actial.report.page import Html, join, missing, table, tag
from actial.report.results import CERTAINTY, CERTAINTY_COLUMNS, certainty_cells, percent, with_error

_HOW_TO_READ = (
    "Right answers in percent ± one standard error, clustered by picture; what could not be read, or never came, is wrong. The first column of a benchmark "
    "is the number that is quoted of it. Chance is that of its metric, majority what the best of those comes to who always answer with one letter; – where "
    "there is none."
)
_WITH_LESS = (
    "Rows with less to see: the same questions to the same model without any picture, or with all of several pictures gray but the first, or the last. A model "
    "that scores no more with all of them gets nothing from the pictures, or from what lies between them. – where no picture was there to hide."
)
_Who = tuple[str, str, str]
"""A model, a mode, and what less they saw; empty where all was shown."""


def benchmarks_section(scores: Mapping[str, Any]) -> Html:
    """The table, what each metric means, and what was not run and why.

    Args:
        scores: `benchmarks` of scores.json, see `evaluation.benchmarks.results`.
    """
    asked, not_run = scores["asked"], scores["not_run"]
    parts = []
    if asked:
        parts.append(tag("p", _HOW_TO_READ, class_="faint"))
        if any(who[2] for of in asked.values() for who in _cells(of)):
            parts.append(tag("p", _WITH_LESS, class_="faint"))
        parts.append(_table(asked))
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
    cells = {name: _cells(of) for name, of in asked.items()}
    rows: list[Sequence[object]] = [
        [tag("strong", who[0]), _mode(who), *(_cell(cells[name].get(who), metric, who) for name, metric in columns)] for who in _in_order(cells.values())
    ]
    for guess in ("chance", "majority"):
        shares = [asked[name]["metrics"][metric].get(guess) for name, metric in columns]
        rows.append([tag("em", guess), "", *("–" if share is None else percent(share) for share in shares)])
    rows.append([tag("em", "questions"), "", *(f"{asked[name]['metrics'][metric]['n']:,}" for name, metric in columns)])
    header = ["model", "mode", *(metric for _, metric in columns)]
    groups = [("", 2), *((of["title"], len(of["metrics"])) for of in asked.values())]
    return table(header, rows, caption="Benchmarks", numeric=range(2, len(header)), class_="scores", groups=groups)


def _cells(of: Mapping[str, Any]) -> dict[_Who, Mapping[str, Any]]:
    """Scores of a benchmark; after those of a model and mode those of its controls."""
    found: dict[_Who, Mapping[str, Any]] = {}
    for model, by_mode in of["models"].items():
        for mode, cell in by_mode.items():
            found |= {(model, mode, ""): cell} | {(model, mode, control["title"]): control for control in cell.get("controls", {}).values()}
    return found


def _in_order(cells: Iterable[Mapping[_Who, object]]) -> list[_Who]:
    """All of them, each once: controls below what they are controls of."""
    return sorted(dict.fromkeys(who for of in cells for who in of), key=lambda who: in_order(who[:2]))


def _mode(who: _Who) -> str:
    return f"{who[1]}, {who[2]}" if who[2] else who[1]


def _cell(cell: Mapping[str, Any] | None, metric: str, who: _Who) -> Html | str:
    found = None if cell is None else cell["metrics"][metric]
    if who[2] and (found is None or found["value"] is None):
        return "–"
    return tag("span", "not asked", class_="faint") if found is None else with_error(found["value"], found["stderr"])


def _certainty_rows(asked: Mapping[str, Any]) -> list[list[object]]:
    """Of every model and mode of which any answer's probability is known."""
    return [
        [of["title"], tag("strong", who[0]), _mode(who), *certainty_cells(found)]
        for of in asked.values()
        for cells in [_cells(of)]
        for who in _in_order([cells])
        if (found := cells[who].get("certainty", {"n": 0}))["n"]
    ]


def _about(asked: Mapping[str, Any]) -> Html:
    rows = [
        [of["title"], metric, of["metrics"][metric]["formula"], of["version"], of["protocol"], _refused(of)] for of in asked.values() for metric in _metrics(of)
    ]
    shown = table(["benchmark", "metric", "formula", "version", "prompt", "rows refused"], rows, caption="What is measured, and how")
    return tag("details", tag("summary", "Formulas, versions and prompts"), shown)


def _refused(of: Mapping[str, Any]) -> str:
    return ", ".join(f"{reason} ({n:,})" for reason, n in of["refused"].items() if n) or "none"
