"""Two runs side by side: settings that differ, scores with errors, answers that changed. Knows records only, not where runs are kept."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actial.records import Verdict
from actial.report.outputs import in_order
from actial.report.page import Html, join, page, table, tag

LISTED = 200
"""Changed answers that are listed in the page and the Markdown; the CSV file holds all."""


@dataclass(frozen=True)
class ComparedRun:
    """One side."""

    run_id: str
    name: str
    started: str
    commit: str
    """Git commit, with a word when there were uncommitted changes; empty where unknown."""
    settings: Mapping[str, str]
    """By dotted key of params.yaml."""
    metrics: Mapping[str, float]
    verdicts: Sequence[Verdict]
    """Of the models; without the stand-ins. Empty where the run did not evaluate."""
    tested_on: str
    """Digest of the test questions; verdicts of two runs are paired only where it is the same."""


@dataclass(frozen=True)
class Difference:
    """B's accuracy minus A's over the same questions, paired by question; the error is clustered by scene."""

    mean: float
    stderr: float | None


@dataclass(frozen=True)
class Part:
    """A titled table of a comparison, before it is Markdown or HTML."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    numeric: tuple[int, ...] = field(default=())


Pair = tuple[Verdict, Verdict]


def write_comparison(a: ComparedRun, b: ComparedRun, differences: Mapping[str, Difference], folder: Path) -> str:
    """Write `index.html`, `compare.md` and `changed_answers.csv` into `folder`.

    Args:
        differences: by "model.mode"; for the rows that both runs have and that could be paired.

    Returns:
        The Markdown text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = paired(a, b)
    changed = [pair for pair in pairs if pair[0].answer != pair[1].answer]
    parts = [_runs(a, b), _settings(a, b), *_scores(a, b, differences), _other_numbers(a, b), _answers(a, b, pairs), _changed(changed)]
    title = f"{a.name} ({a.run_id[:8]}) and {b.name} ({b.run_id[:8]})"
    text = f"# {title}\n\n" + "\n".join(_markdown(part) for part in parts)
    (folder / "compare.md").write_text(text, encoding="utf-8")
    sections = [(f"part-{i}", part.title, _html(part)) for i, part in enumerate(parts)]
    (folder / "index.html").write_text(page(title, sections, lead="A is on the left, B on the right."), encoding="utf-8")
    _write_changed(folder / "changed_answers.csv", changed)
    return text


def paired(a: ComparedRun, b: ComparedRun) -> list[Pair]:
    """Verdicts of A and B on the same question by the same model in the same mode and condition; none where the test questions differ."""
    if not a.tested_on or a.tested_on != b.tested_on:
        return []
    key = lambda v: (v.question_id, v.model, v.mode, v.condition)
    of_b = {key(v): v for v in b.verdicts}
    return [(v, of_b[key(v)]) for v in a.verdicts if key(v) in of_b]


def _runs(a: ComparedRun, b: ComparedRun) -> Part:
    rows = [
        ("run", a.name, b.name),
        ("MLflow id", a.run_id, b.run_id),
        ("started", a.started, b.started),
        ("code", a.commit or "unknown", b.commit or "unknown"),
    ]
    return Part("Runs", ("", "A", "B"), rows)


def _settings(a: ComparedRun, b: ComparedRun) -> Part:
    keys = list(dict.fromkeys([*a.settings, *b.settings]))
    rows = [(key, a.settings.get(key, "—"), b.settings.get(key, "—")) for key in keys if a.settings.get(key) != b.settings.get(key)]
    return Part("Settings that differ", ("setting", "A", "B"), rows, "" if rows else f"None: all {len(keys)} settings are the same.")


def _scores(a: ComparedRun, b: ComparedRun, differences: Mapping[str, Difference]) -> Iterator[Part]:
    """Accuracy by model and mode, then by kind; percent ± one standard error, clustered by scene."""
    for prefix, title in (("accuracy/", "Accuracy, %"), ("accuracy_by_kind/", "Accuracy by kind, %")):
        rows = []
        for name in sorted({key.removeprefix(prefix) for key in (*a.metrics, *b.metrics) if key.startswith(prefix)}, key=_order):
            values = [run.metrics.get(prefix + name) for run in (a, b)]
            errors = [run.metrics.get(f"accuracy_stderr/{name}") if prefix == "accuracy/" else None for run in (a, b)]
            gain = _gain(values[0], values[1], differences.get(name) if prefix == "accuracy/" else None)
            rows.append((name.replace(".", " "), _percent(values[0], errors[0]), _percent(values[1], errors[1]), gain))
        note = "B − A is paired by question; ± is one standard error, clustered by scene." if prefix == "accuracy/" and differences else ""
        yield Part(title, ("", "A", "B", "B − A"), rows, note if rows else "Neither run has scores.", (1, 2, 3))


def _other_numbers(a: ComparedRun, b: ComparedRun) -> Part:
    names = [n for n in dict.fromkeys([*sorted(a.metrics), *sorted(b.metrics)]) if not n.startswith("accuracy")]
    said = lambda run, name: f"{run.metrics[name]:.6g}" if name in run.metrics else "—"
    rows = [(name, said(a, name), said(b, name)) for name in names if a.metrics.get(name) != b.metrics.get(name)]
    return Part("Other numbers that differ", ("", "A", "B"), rows, "" if rows else "None.", (1, 2))


def _answers(a: ComparedRun, b: ComparedRun, pairs: Sequence[Pair]) -> Part:
    header = ("model and mode", "questions", "other answer", "wrong → right", "right → wrong")
    rows = []
    for group in sorted({(p.model, p.mode) for p, _ in pairs}, key=in_order):
        inside = [(p, q) for p, q in pairs if (p.model, p.mode) == group]
        counts = (
            len(inside),
            sum(p.answer != q.answer for p, q in inside),
            sum(q.correct > p.correct for p, q in inside),
            sum(p.correct > q.correct for p, q in inside),
        )
        rows.append((" ".join(group), *(f"{n:,}" for n in counts)))
    return Part("Answers to the same questions", header, rows, "" if rows else _why_unpaired(a, b), (1, 2, 3, 4))


def _why_unpaired(a: ComparedRun, b: ComparedRun) -> str:
    for side, run in (("A", a), ("B", b)):
        if not run.verdicts:
            return f"{side} has no evaluation records, so answers cannot be compared."
    if not a.tested_on or a.tested_on != b.tested_on:
        return f"The runs were tested on different questions ({a.tested_on or 'unknown'} and {b.tested_on or 'unknown'}), so answers cannot be paired."
    return "The runs have no question, model and mode in common."


def _changed(changed: Sequence[Pair]) -> Part:
    header = ("question", "kind", "model and mode", "truth", "A", "B")
    rows = [(p.question_id, p.kind, f"{p.model} {p.mode}", p.truth, _answer(p), _answer(q)) for p, q in changed[:LISTED]]
    note = f"The first {LISTED} of {len(changed):,}; changed_answers.csv holds all, with the completions." if len(changed) > LISTED else ""
    return Part("Changed answers", header, rows, note if changed else "None.")


def _write_changed(path: Path, changed: Sequence[Pair]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("question_id", "kind", "model", "mode", "truth", "answer_a", "answer_b", "correct_a", "correct_b", "completion_a", "completion_b"))
        for p, q in changed:
            rows.writerow((p.question_id, p.kind, p.model, p.mode, p.truth, p.answer, q.answer, p.correct, q.correct, p.completion, q.completion))


def _answer(verdict: Verdict) -> str:
    return f"{verdict.answer} {'right' if verdict.correct else 'wrong'}" if verdict.answer else f"unread ({verdict.rule})"


def _order(name: str) -> tuple[object, ...]:
    model, _, rest = name.partition(".")
    mode, _, kind = rest.partition(".")
    return (*in_order((model, mode)), kind)


def _percent(value: float | None, stderr: float | None) -> str:
    if value is None:
        return "—"
    return f"{100 * value:.1f}" + ("" if stderr is None else f" ± {100 * stderr:.1f}")


def _gain(a: float | None, b: float | None, difference: Difference | None) -> str:
    if a is None or b is None:
        return ""
    if difference is None:
        return f"{100 * (b - a):+.1f}"
    return f"{100 * difference.mean:+.1f}" + ("" if difference.stderr is None else f" ± {100 * difference.stderr:.1f}")


def _markdown(part: Part) -> str:
    cell = lambda text: text.replace("|", "\\|").replace("\n", " ")
    lines = [f"## {part.title}", ""]
    if part.note:
        lines += [part.note, ""]
    if part.rows:
        widths = [max(len(cell(row[i])) for row in (part.header, *part.rows)) for i in range(len(part.header))]
        line = lambda row: "| " + " | ".join(cell(text).ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        lines += [line(part.header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, part.rows), ""]
    return "\n".join(lines)


def _html(part: Part) -> Html:
    return join([tag("p", part.note) if part.note else None, table(part.header, part.rows, numeric=part.numeric) if part.rows else None])
