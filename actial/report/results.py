"""The numbers: scores with errors, chance and majority; training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actial.report.charts import Interval, Series, interval_chart, line_chart
from actial.report.outputs import STAND_INS, Outputs, in_order
from actial.report.page import Html, join, missing, table, tag

_HOW_TO_READ = (
    "Accuracy in percent ± one standard error, clustered by scene: questions about one scene are not independent. "
    "Where all answers are right, or all wrong, there is no spread, and ± 0.0 does not mean certainty. "
    "An unparsed answer counts as wrong and is never guessed. Chance is 1 / number of options. "
    "Majority is the best constant answer of each kind. Strict counts only right answers in exactly the form that was asked for."
)


def score_section(outputs: Outputs) -> Html:
    """The headline table, the paired differences from base, and the stand-ins, folded away."""
    scores = outputs.scores
    if scores is None:
        return missing("There are no scores yet: the stage evaluate has not run.")
    models = {m: v for m, v in scores["models"].items() if m not in STAND_INS}
    stand_ins = {m: v for m, v in scores["models"].items() if m in STAND_INS}
    parts = [_chart(scores, models), _score_table(scores, models, "Accuracy")] if models else [missing("No model was evaluated, only the stand-ins.")]
    parts.append(tag("p", _HOW_TO_READ, class_="faint"))
    if any(scores.get("versus_base", {}).values()):
        parts.append(_difference_table(scores))
    if said := ", ".join(f"{reason} ({n:,})" for reason, n in scores.get("set_aside", {}).items() if n):
        parts.append(tag("p", f"Not asked: {said}."))
    if stand_ins:
        why = (
            "They know the truth and go through the same reader and scorer: oracle must get 100, silent 0 with all unparsed, constant exactly the majority row."
        )
        parts.append(tag("details", tag("summary", "Stand-ins: does the scorer work?"), tag("p", why), _score_table(scores, stand_ins, "Stand-ins")))
    return join(parts)


def _chart(scores: Mapping[str, Any], models: Mapping[str, Any]) -> Html:
    found = [(model, mode, by_group["overall"]) for model, mode, by_group in _by_model(models)]
    intervals = [Interval(model, mode, cell["accuracy"], cell["stderr"]) for model, mode, cell in found if cell["accuracy"] is not None]
    marks = {name: share for name in ("chance", "majority") if (share := scores["questions"]["overall"][name]) is not None}
    return interval_chart("Accuracy overall, with two standard errors to either side", intervals, marks)


def _score_table(scores: Mapping[str, Any], models: Mapping[str, Any], caption: str) -> Html:
    facts = scores["questions"]
    groups = _overall_first(facts)
    header = ["model", "mode", *(join([g, tag("small", f" n={facts[g]['n']:,}")]) for g in groups), "unparsed", "strict"]
    rows: list[list[object]] = []
    for model, mode, by_group in _by_model(models):
        cells = [with_error(by_group[g]["accuracy"], by_group[g]["stderr"]) for g in groups]
        rows.append([tag("strong", model), mode, *cells, percent(by_group["overall"]["unparsed"]), percent(by_group["overall"]["strict"])])
    for baseline in ("chance", "majority"):
        rows.append([tag("em", baseline), "", *(percent(facts[g][baseline]) for g in groups), "", ""])
    overall = facts["overall"]
    caption = f"{caption}: {overall['n']:,} held-out questions about {overall['n_scenes']:,} scenes"
    return table(header, rows, caption=caption, numeric=range(2, len(header)), class_="scores")


def _difference_table(scores: Mapping[str, Any]) -> Html:
    groups = _overall_first(scores["questions"])
    rows = [
        [tag("strong", model), mode, *(with_error(by_group[g]["difference"], by_group[g]["stderr"], signed=True) for g in groups)]
        for model, mode, by_group in _by_model(scores["versus_base"])
    ]
    caption = "Difference from base in the same mode, percentage points, paired by question"
    return table(["model", "mode", *groups], rows, caption=caption, numeric=range(2, len(groups) + 2), class_="scores")


def _by_model(by_model: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Any]]:
    found = [(model, mode, by_group) for model, by_mode in by_model.items() for mode, by_group in by_mode.items()]
    return sorted(found, key=lambda entry: in_order(entry[:2]))


def _overall_first(groups: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return sorted(groups, key=lambda g: (g != "overall", g != "directional", g))


def with_error(share: float | None, stderr: float | None, *, signed: bool = False) -> Html:
    """A share in percent ± its standard error, or why there is none."""
    if share is None:
        return tag("span", "no data", class_="faint")
    error = "± n/a" if stderr is None else f"± {100 * stderr:.1f}"
    return join([f"{100 * share:+.1f} " if signed else f"{100 * share:.1f} ", tag("span", error, class_="faint")])


def percent(share: float | None) -> str:
    return "no data" if share is None else f"{100 * share:.1f}"


_CHARTS = (
    ("sft", "SFT loss", ("loss", "eval_loss"), "loss, nats per token"),
    ("sft", "SFT token accuracy", ("mean_token_accuracy", "eval_mean_token_accuracy"), "share of target tokens"),
    ("grpo", "GRPO rewards", ("reward", "accuracy_reward", "format_reward"), "mean reward"),
    ("grpo", "GRPO groups without a gradient", ("frac_reward_zero_std",), "share of groups with equal rewards"),
    ("grpo", "GRPO completion length", ("completion_length",), "tokens, mean"),
    ("grpo", "GRPO KL from the SFT checkpoint", ("kl",), "nats per token"),
)
"""Stage, title, columns of its curve, label with unit; a chart whose columns were not logged is left out."""


def curves_section(outputs: Outputs) -> Html:
    """Loss and rewards by step."""
    parts = []
    for stage in ("sft", "grpo"):
        rows = outputs.curve(stage)
        if not rows:
            parts.append(missing(f"There is no curve of {stage} yet: the stage has not run."))
            continue
        for of_stage, title, columns, label in _CHARTS:
            series = [Series(c, [r["step"] or 0.0 for r in rows], [r.get(c) for r in rows]) for c in columns if any(r.get(c) is not None for r in rows)]
            if of_stage == stage and series:
                parts.append(line_chart(title, series, "optimizer step", label))
    return tag("div", *parts, class_="charts")
