"""Scores of benchmarks as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actial.evaluation.markdown import markdown_table


def benchmark_table(scores: Mapping[str, Any]) -> str:
    """What is quoted of each benchmark, then all of its metrics, what is lost with less to see where that was asked, how sure the models were where that is
    known, a judge's second opinion if one was asked, and what was not run and why.
    Percent ± standard error.

    Args:
        scores: see `results`.
    """
    blocks = [_quoted(scores["asked"]), *(_metrics(name, of) for name, of in scores["asked"].items() if len(of["metrics"]) > 1)]
    blocks += [_lost(scores["asked"]), _certainty(scores["asked"])]
    blocks += [_judge(scores["judge"], scores["asked"]) if "judge" in scores else "", _not_run(scores["not_run"])]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _cells(of: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Model, mode and scores of a benchmark; after each mode those of its controls, as `think, no picture`."""
    for model, by_mode in of["models"].items():
        for mode, cell in by_mode.items():
            yield model, mode, cell
            for found in cell.get("controls", {}).values():
                yield model, f"{mode}, {found['title']}", found


def _quoted(asked: Mapping[str, Any]) -> str:
    if not asked:
        return ""
    rows = []
    for of in asked.values():
        primary = of["metrics"][of["primary"]]
        for model, mode, cell in _cells(of):
            found = cell["metrics"][of["primary"]]
            shares = [
                percent(primary["chance"]),
                percent(primary["majority"]),
                percent(found["strict"]),
                percent(cell["unparsed"]),
                percent(cell["cut_off"]),
                str(cell["no_reply"]),
            ]
            refused = f"{sum(of['refused'].values()):,}"
            rows.append([of["title"], model, mode, of["primary"], _with_error(found), *shares, f"{cell['n']:,}", refused])
    head = ["benchmark", "model", "mode", "metric", "right", "chance", "majority", "strict", "unparsed", "cut off", "no reply", "questions", "rows refused"]
    said = (
        "Benchmarks: right answers in % ± standard error (clustered by picture); what could not be read, or never came, is wrong.\n"
        "majority: the best of those who always answer with one letter; strict: exactly in the form asked for; cut off: reached the limit of tokens."
    )
    return said + "\n\n" + markdown_table(head, rows, text=[0, 1, 2, 3])


def _metrics(name: str, of: Mapping[str, Any]) -> str:
    columns = list(_cells(of))
    several = len(of["models"]) > 1
    head = [of["title"], *(f"{model} {mode}" if several else mode for model, mode, _ in columns), "chance", "majority", "n"]
    guesses = lambda about: [percent(about["chance"]), percent(about["majority"])]
    rows = [
        [metric, *(_with_error(cell["metrics"][metric]) for _, _, cell in columns), *guesses(about), f"{about['n']:,}"]
        for metric, about in of["metrics"].items()
        if about["n"] or metric == of["primary"]
    ]
    return f"{of['title']} ({name}; {of['version']}):\n\n" + markdown_table(head, rows, text=[0])


def _lost(asked: Mapping[str, Any]) -> str:
    """A row where any control was asked; absent where none was."""
    rows = [
        [of["title"], model, mode, _with_error(found["metrics"][of["primary"]]["lost"]), f"{found['n_showed_less']:,}"]
        for of in asked.values()
        for model, mode, found in _cells(of)
        if "n_showed_less" in found
    ]
    said = (
        "With less to see: the same questions without any picture, or with all of several pictures gray but the first, or the last. Lost: points by which\n"
        "what is quoted of a benchmark falls (± standard error of the paired difference); near 0, its pictures, or all but one, added nothing. Questions:\n"
        "those that showed less; the others show one picture anyway, and count as they were answered plainly."
    )
    return said + "\n\n" + markdown_table(["benchmark", "model", "mode", "lost", "questions"], rows, text=[0, 1, 2]) if rows else ""


def _certainty(asked: Mapping[str, Any]) -> str:
    """A row where any answer's probability is known; absent where none is."""
    rows = [
        [of["title"], model, mode, *(percent(found[name]) for name in ("confidence", "right", "ece")), f"{found['brier']:.3f}", f"{found['n']:,}"]
        for of in asked.values()
        for model, mode, cell in _cells(of)
        if (found := cell["certainty"])["n"]
    ]
    said = (
        "How sure is it, and is it right as often? Sure: the mean probability of an answer among options, after all that was written before it; ECE: how far\n"
        "that is from how often it is right, in points (expected calibration error, 10 bins); Brier: the mean squared distance; answers: those in their tag\n"
        "whose probability is known:"
    )
    return said + "\n\n" + markdown_table(["benchmark", "model", "mode", "sure", "right", "ECE", "Brier", "answers"], rows, text=[0, 1, 2]) if rows else ""


def _judge(judge: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    head = ["benchmark", "mode", "completions", "right by rules", "right with judge", "judged", "it chose", "of these right", "none", "unclear", "no reply"]
    rows = []
    for name, by_mode in judge["asked"].items():
        for mode, of in by_mode.items():
            counts = [str(of[what]) for what in ("judged", "chose", "right", "none", "unclear", "no reply")]
            rows.append([asked[name]["title"], mode, f"{of['n']:,}", percent(of["right_by_rules"]), percent(of["right_with_judge"]), *counts])
    said = (
        f"What no rule could read, read by {judge['model']}, which sees neither truth nor pictures. It enters no number above; shares of all completions, in %:"
    )
    return said + "\n\n" + markdown_table(head, rows, text=[0, 1])


def _not_run(not_run: Mapping[str, str]) -> str:
    return "Not run:\n\n" + "\n".join(f"- {name}: {reason}" for name, reason in not_run.items()) if not_run else ""


def _with_error(cell: Mapping[str, Any]) -> str:
    return percent(cell["value"]) + ("" if cell["stderr"] is None else f" ± {100 * cell['stderr']:.1f}")


def percent(share: float | None) -> str:
    """`n/a` where there is no data."""
    return "n/a" if share is None else f"{100 * share:.1f}"
