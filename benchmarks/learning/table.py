"""The rows as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actial.comparisons import OverSeeds
from learning.arms import PIPELINE, RIVALS, VARIANTS
from learning.rows import Rows, median

NOT_MEASURED = "not measured yet"
SHOWN = (
    *((arm, mode) for arm in PIPELINE for mode in ("think", "direct")),
    *((arm, mode) for arm in RIVALS for mode in ("think", "direct")),
    *((arm, mode) for arm in VARIANTS for mode in (("direct",) if arm == "auxiliary" else ("think", "direct"))),
)
"""Who is shown in which mode; `auxiliary` never learned to answer in mode think."""
ALSO = ("directional", "orbit and lateral", "cue conflict", "new families")


def tables(rows: Rows) -> str:
    """All tables, or a sentence that nothing was measured."""
    if not rows.by:
        return f"{NOT_MEASURED.capitalize()}: no rows are committed.\n"
    some = next(iter(rows.by.values()))
    head = (
        f"Commit `{some['commit'][:12]}`, params `{some['params_sha']}`, seeds {', '.join(map(str, rows.seeds))}. Accuracies in % of held-out test questions."
    )
    parts = [head, "### Accuracy, every seed", _accuracy(rows), "### Differences", _differences(rows), "### Sampled answers, mode think", _sampled(rows)]
    parts += [
        "### Does the answer follow the chain?",
        _given_chains(rows),
        "### Controls of the final model, mode think",
        _controls(rows),
        "### Compute",
        _compute(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _accuracy(rows: Rows) -> str:
    head = ["arm", "mode", "median", *(f"seed {seed}" for seed in rows.seeds), *(f"median, {group}" for group in ALSO)]
    lines = []
    for arm, mode in SHOWN:
        found = rows.accuracies(arm, mode, "overall")
        if found:
            also = [_percent(median([*rows.accuracies(arm, mode, group).values()])) for group in ALSO]
            lines.append([arm, mode, _percent(median([*found.values()])), *(_percent(found.get(seed)) for seed in rows.seeds), *also])
    missing = [arm for arm in (*PIPELINE, *RIVALS, *VARIANTS) if not rows.of(arm)]
    return _markdown(head, lines) + (f"\n\nNot measured yet: {', '.join(missing)}." if missing else "")


def _differences(rows: Rows) -> str:
    """GRPO against SFT on every group; against rivals, and variants against SFT, overall. Each in the mode it was trained to answer in."""
    asked = [(("grpo", "think"), ("sft", "think"), group) for group in dict.fromkeys(["overall", *ALSO, *rows.groups()])]
    asked += [(("grpo", "think"), (arm, "think"), "overall") for arm in RIVALS]
    asked += [(("sft", "think"), (arm, "direct" if arm == "auxiliary" else "think"), "overall") for arm in VARIANTS]
    asked += [(("sft", "think"), ("sft", "direct"), "overall"), (("grpo", "think"), ("grpo", "direct"), "overall")]
    lines = []
    for one, other, group in asked:
        if rows.of(one[0]) and rows.of(other[0]) and (found := rows.compare(one, other, group)):
            lines.append([f"{one[0]} {one[1]} − {other[0]} {other[1]}", group, *_difference(found)])
    note = "Points. Interval (95 %) and two-sided p are of the mean over seeds, by a hierarchical bootstrap (seeds, then scenes within seeds; 10,000 draws)."
    return (
        f"{note}\n\n{_markdown(['difference', 'questions', 'seeds', 'median', 'mean', 'interval', 'p'], lines)}" if lines else f"{NOT_MEASURED.capitalize()}."
    )


def _difference(found: OverSeeds) -> list[str]:
    if found.low is None or found.high is None or found.p is None:
        return [str(found.n_seeds), f"{100 * found.median:+.1f}", f"{100 * found.mean:+.1f}", "–", "–"]
    return [
        str(found.n_seeds),
        f"{100 * found.median:+.1f}",
        f"{100 * found.mean:+.1f}",
        f"{100 * found.low:+.1f} to {100 * found.high:+.1f}",
        f"{found.p:.4f}",
    ]


def _sampled(rows: Rows) -> str:
    names = ("greedy", "mean", "majority", "best")
    lines = []
    for arm in PIPELINE:
        found = [row["sampled"] for row in rows.of(arm) if row["sampled"]]
        if found:
            lines.append([arm, *(_percent(median([one[name] for one in found])) for name in names)])
    return _markdown(["arm", *(f"median {name}" for name in names)], lines) if lines else f"{NOT_MEASURED.capitalize()}."


def _given_chains(rows: Rows) -> str:
    lines = []
    for arm in ("sft", "grpo"):
        found = [row["given_chains"] for row in rows.of(arm) if row["given_chains"]]
        for condition in ("true", "opposite"):
            cells = [one[condition] for one in found if condition in one]
            if cells:
                shares = [_percent(median([cell[name]["share"] for cell in cells])) for name in ("follows", "accuracy", "unparsed")]
                lines.append([arm, condition, str(round(sum(cell["n"] for cell in cells) / len(cells))), *shares])
    head = ["model", "chain given", "questions a seed", "answer follows the chain", "answer is right", "unparsed"]
    return _markdown(head, lines) + "\n\nMedians over seeds." if lines else f"{NOT_MEASURED.capitalize()}."


def _controls(rows: Rows) -> str:
    lines = []
    found = [row["controls"] for row in rows.of("grpo") if row["controls"]]
    for name in dict.fromkeys(name for one in found for name in one):
        cells = [one[name] for one in found if name in one]
        lines.append([name, *(_percent(median([cell[key] for cell in cells if cell[key] is not None])) for key in ("accuracy", "plain"))])
    return _markdown(["control", "median", "the same questions asked plainly"], lines) if lines else f"{NOT_MEASURED.capitalize()}."


def _compute(rows: Rows) -> str:
    lines = []
    for arm in ("sft", "grpo", *RIVALS, *VARIANTS):
        of_arm = rows.of(arm)
        if of_arm:
            parts = list(dict.fromkeys(part for row in of_arm for part in row["cpu_s"]))
            said = ", ".join(f"{part} {median([row['cpu_s'][part] for row in of_arm]):.0f}" for part in parts)
            right = [row["right_share"] for row in of_arm if "right_share" in row]
            lines.append([arm, said, f"{median([row['steps'] for row in of_arm]):.0f}", _percent(median(right)) if right else "–"])
    return _markdown(["arm", "median CPU seconds", "median optimizer steps", "sampled answers that were right"], lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    rule = "|".join("---" for _ in head)
    return "\n".join([f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(map(str, line))} |" for line in lines)])
