"""Training curves: what was learned, and what to look for in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actial.report.charts import Series, line_chart
from actial.report.outputs import Outputs
from actial.report.page import Html, join, missing, tag

SHARE = (0.0, 1.0)
Rows = Sequence[Mapping[str, float | None]]
"""What a trainer logged, step by step."""


@dataclass(frozen=True)
class CurveChart:
    """A chart of one or more columns of a stage's curve."""

    title: str
    columns: Mapping[str, str]
    """Column -> what the legend calls it."""
    unit: str
    reading: str
    limits: tuple[float, float] | None = None
    """Of the vertical axis; None for what the curve needs."""


_STAGES = {
    "sft": (
        "SFT: learning from written answers",
        (
            CurveChart(
                "Loss",
                {"loss": "training", "eval_loss": "held out"},
                "nats per target token",
                "A plateau of hundreds of steps and then a break is normal for a small model: first it learns the words, then what they refer to.",
            ),
            CurveChart(
                "Token accuracy",
                {"mean_token_accuracy": "training", "eval_mean_token_accuracy": "held out"},
                "share of target tokens",
                "Counts the easy tokens too: judge by generated answers, in the scores above.",
                SHARE,
            ),
        ),
    ),
    "grpo": (
        "GRPO: learning from its own sampled answers",
        (
            CurveChart("Reward", {"reward": "weighted mean"}, "reward", "Of fresh prompts sampled at each step. It should rise and not fall back."),
            CurveChart(
                "What is rewarded",
                {"accuracy_reward": "right answer", "format_reward": "right format", "claims_reward": "true claims"},
                "share of completions, of claims",
                "Format should be near 1 throughout; the right answers are what is learned. True claims are those of the thoughts, where they are rewarded.",
                SHARE,
            ),
            CurveChart(
                "Prompts too easy or too hard",
                {"dead_groups": "answered all right or all wrong"},
                "share of prompts",
                "Sampled answers to such a prompt are all right or all wrong, and say nothing of how to answer. Near 1 there is nothing left to learn here.",
                SHARE,
            ),
            CurveChart(
                "Completion length",
                {"completion_length": "mean"},
                "tokens",
                "A collapse to a few tokens, or a rise to the limit, is a warning.",
            ),
            CurveChart("Entropy", {"entropy": "mean"}, "nats per token", "How undecided the model is. Near 0 its samples are all alike, and learning ends."),
            CurveChart("Distance from the SFT checkpoint", {"kl": "KL divergence"}, "nats per token", "How far the model has moved from where it started."),
        ),
    ),
}
"""Stage -> heading and charts; a chart whose columns were not logged is left out."""


def curves_section(outputs: Outputs) -> Html:
    """Both stages, one after the other, their charts side by side."""
    parts: list[Html] = []
    for stage, (heading, charts) in _STAGES.items():
        rows = outputs.curve(stage)
        parts.append(tag("h3", heading))
        if rows:
            parts.append(tag("div", *(_chart(chart, rows) for chart in charts), class_="charts"))
        else:
            parts.append(missing(f"There is no curve of {stage} yet: the stage has not run."))
    return join(parts)


def _chart(chart: CurveChart, rows: Rows) -> Html | None:
    logged = {column: name for column, name in chart.columns.items() if any(row.get(column) is not None for row in rows)}
    if not logged:
        return None
    series = [Series(name, [row["step"] or 0.0 for row in rows], [row.get(column) for row in rows]) for column, name in logged.items()]
    return line_chart(chart.title, series, "optimizer step", chart.unit, reading=chart.reading, y_limits=chart.limits)


def compared_curves(runs: Mapping[str, Mapping[str, Rows]]) -> Html | None:
    """Every chart with the first of its columns in each run; None where no run has curves.

    Args:
        runs: by the run's letter, curves by stage.
    """
    parts: list[Html] = []
    for stage, (heading, charts) in _STAGES.items():
        found = {letter: of_run[stage] for letter, of_run in runs.items() if of_run.get(stage)}
        drawn = [_compared(chart, found) for chart in charts]
        if any(drawn):
            parts += [tag("h3", heading), tag("div", *drawn, class_="charts")]
    return join(parts) if parts else None


def _compared(chart: CurveChart, runs: Mapping[str, Rows]) -> Html | None:
    for column, name in chart.columns.items():
        logged = {letter: rows for letter, rows in runs.items() if any(row.get(column) is not None for row in rows)}
        if logged:
            series = [Series(letter, [row["step"] or 0.0 for row in rows], [row.get(column) for row in rows]) for letter, rows in logged.items()]
            return line_chart(f"{chart.title}: {name}", series, "optimizer step", chart.unit, reading=chart.reading, y_limits=chart.limits)
    return None
