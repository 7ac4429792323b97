"""Two runs or more side by side: settings that differ, curves, scores with errors, answers that changed. Knows records only, not where runs are kept.

The first run, A, is what the others are held against.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from actial.records import LETTERS, Question, Verdict
from actial.report.curves import Rows, compared_curves
from actial.report.outputs import in_order
from actial.report.packing import picture_blocks
from actial.report.page import Html, asset, join, page, table, tag
from actial.report.thumbnails import thumbnails
from actial.report.viewer import Shown, browser_data, question_browser
from actial.shards import ViewStore

LISTED = 200
"""Changed answers that are listed in the page and the Markdown; the CSV file holds all."""


@dataclass(frozen=True)
class ComparedRun:
    """One of them."""

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
    curves: Mapping[str, Rows] = field(default_factory=dict)
    """What the trainers logged, by stage."""


@dataclass(frozen=True)
class Difference:
    """A run's accuracy minus A's over the same questions, paired by question; the error is clustered by scene."""

    mean: float
    stderr: float | None


@dataclass(frozen=True)
class AskedAbout:
    """The questions that the runs were tested on, where they are at hand, to show changed answers beside their pictures."""

    questions: Sequence[Question]
    views: ViewStore


@dataclass(frozen=True)
class Part:
    """A titled table of a comparison, before it is Markdown or HTML."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    numeric: tuple[int, ...] = field(default=())


Pair = tuple[Verdict, Verdict]
Asked = tuple[str, str, str, str]
"""Question, model, mode, condition."""


@dataclass(frozen=True)
class Changed:
    """Answers to one question by one model in one mode, of which at least one is not A's."""

    verdicts: tuple[Verdict | None, ...]
    """Run by run; None where a run did not ask it, or was tested on other questions."""

    def of_a(self) -> Verdict:
        found = self.verdicts[0]
        assert found is not None  # A's answers are what others differ from
        return found


def write_comparison(runs: Sequence[ComparedRun], differences: Sequence[Mapping[str, Difference]], folder: Path, tested: AskedAbout | None = None) -> str:
    """Write `index.html`, `compare.md` and `changed_answers.csv` into `folder`.

    Args:
        runs: A, B and further ones.
        differences: of each run but A, by "model.mode"; for the rows that both have and that could be paired.
        folder: made where it is not there.
        tested: what changed answers are shown with.

    Returns:
        The Markdown text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = changed_answers(runs)
    parts = [_runs(runs), _settings(runs), *_scores(runs, differences), _other_numbers(runs), _answers(runs), _changed(runs, changed)]
    title = " and ".join(f"{run.name} ({run.run_id[:8]})" for run in runs)
    text = f"# {title}\n\n" + "\n".join(_markdown(part) for part in parts)
    (folder / "compare.md").write_text(text, encoding="utf-8")
    (folder / "index.html").write_text(_page(title, runs, parts, changed, tested), encoding="utf-8")
    _write_changed(folder / "changed_answers.csv", len(runs), changed)
    return text


def _page(title: str, runs: Sequence[ComparedRun], parts: Sequence[Part], changed: Sequence[Changed], tested: AskedAbout | None) -> str:
    sections = [(f"part-{i}", part.title, _html(part)) for i, part in enumerate(parts)]
    curves = compared_curves({letter: run.curves for letter, run in zip(LETTERS, runs, strict=False)})
    if curves is not None:
        sections.insert(2, ("curves", "Curves", curves))
    shown = _shown(changed, tested)
    if shown is None or not shown.questions:
        return page(title, sections, lead=_LEAD)
    pictures, level = thumbnails((v for q in shown.questions for v in q.view_ids if v in tested.views), tested.views) if tested else ({}, None)
    sections.append(("questions", "Changed answers and their pictures", question_browser(shown, shown.questions, f"Their pictures are {level}.")))
    data = join([browser_data(shown), picture_blocks(pictures)])
    return page(title, sections, lead=_LEAD, data=data, script=asset("pictures.js") + asset("viewer.js"))


_LEAD = "A is on the left; the others are held against it."


def _shown(changed: Sequence[Changed], tested: AskedAbout | None) -> Shown | None:
    """Questions whose answers changed, with what every run answered; None where they are not at hand."""
    if tested is None:
        return None
    by_id = {q.question_id: q for q in tested.questions}
    verdicts: dict[str, list[Verdict]] = {}
    for of_runs in changed:
        question_id = of_runs.of_a().question_id
        if question_id in by_id:
            found = [replace(v, model=f"{letter} {v.model}") for letter, v in zip(LETTERS, of_runs.verdicts, strict=False) if v is not None]
            verdicts.setdefault(question_id, []).extend(found)
    return Shown([q for q in tested.questions if q.question_id in verdicts], verdicts, tested.views)


def paired(a: ComparedRun, b: ComparedRun) -> list[Pair]:
    """Verdicts of A and B on the same question by the same model in the same mode and condition; none where the test questions differ."""
    if not a.tested_on or a.tested_on != b.tested_on:
        return []
    of_b = {_asked(v): v for v in b.verdicts}
    return [(v, of_b[_asked(v)]) for v in a.verdicts if _asked(v) in of_b]


def _asked(v: Verdict) -> Asked:
    return v.question_id, v.model, v.mode, v.condition


def changed_answers(runs: Sequence[ComparedRun]) -> list[Changed]:
    """In A's order."""
    others = [{_asked(v): w for v, w in paired(runs[0], run)} for run in runs[1:]]
    every = (Changed((v, *(of_run.get(_asked(v)) for of_run in others))) for v in runs[0].verdicts)
    return [changed for changed in every if any(w is not None and w.answer != changed.of_a().answer for w in changed.verdicts)]


def _letters(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    return tuple(LETTERS[: len(runs)])


def _runs(runs: Sequence[ComparedRun]) -> Part:
    rows = [
        ("run", *(run.name for run in runs)),
        ("MLflow id", *(run.run_id for run in runs)),
        ("started", *(run.started for run in runs)),
        ("code", *(run.commit or "unknown" for run in runs)),
    ]
    return Part("Runs", ("what", *_letters(runs)), rows)


def _settings(runs: Sequence[ComparedRun]) -> Part:
    keys = list(dict.fromkeys(key for run in runs for key in run.settings))
    rows = [(key, *values) for key in keys if len(set(values := [run.settings.get(key, "—") for run in runs])) > 1]
    return Part("Settings that differ", ("setting", *_letters(runs)), rows, "" if rows else f"None: all {len(keys)} settings are the same.")


def _scores(runs: Sequence[ComparedRun], differences: Sequence[Mapping[str, Difference]]) -> Iterator[Part]:
    """Accuracy by model and mode, then by kind; percent ± one standard error, clustered by scene."""
    for prefix, title in (("accuracy/", "Accuracy, %"), ("accuracy_by_kind/", "Accuracy by kind, %")):
        whole = prefix == "accuracy/"
        rows = []
        for name in sorted({key.removeprefix(prefix) for run in runs for key in run.metrics if key.startswith(prefix)}, key=_order):
            values = [run.metrics.get(prefix + name) for run in runs]
            errors = [run.metrics.get(f"accuracy_stderr/{name}") if whole else None for run in runs]
            gains = [_gain(values[0], value, of_run.get(name) if whole else None) for value, of_run in zip(values[1:], differences, strict=True)]
            rows.append((name.replace(".", " "), *map(_percent, values, errors), *gains))
        note = "Differences from A are paired by question; ± is one standard error, clustered by scene." if whole and any(differences) else ""
        header = ("what", *_letters(runs), *(f"{letter} − A" for letter in _letters(runs)[1:]))
        yield Part(title, header, rows, note if rows else "No run has scores.", tuple(range(1, len(header))))


def _other_numbers(runs: Sequence[ComparedRun]) -> Part:
    names = [n for n in dict.fromkeys(n for run in runs for n in sorted(run.metrics)) if not n.startswith("accuracy")]
    said = lambda run, name: f"{run.metrics[name]:.6g}" if name in run.metrics else "—"
    rows = [(name, *(said(run, name) for run in runs)) for name in names if len({run.metrics.get(name) for run in runs}) > 1]
    return Part("Other numbers that differ", ("what", *_letters(runs)), rows, "" if rows else "None.", tuple(range(1, len(runs) + 1)))


def _answers(runs: Sequence[ComparedRun]) -> Part:
    header = ("runs", "model and mode", "questions", "other answer", "wrong → right", "right → wrong")
    rows, notes = [], []
    for letter, run in zip(_letters(runs)[1:], runs[1:], strict=True):
        pairs = paired(runs[0], run)
        if not pairs:
            notes.append(_why_unpaired(runs[0], letter, run))
        for group in sorted({(p.model, p.mode) for p, _ in pairs}, key=in_order):
            inside = [(p, q) for p, q in pairs if (p.model, p.mode) == group]
            counts = (
                len(inside),
                sum(p.answer != q.answer for p, q in inside),
                sum(q.correct > p.correct for p, q in inside),
                sum(p.correct > q.correct for p, q in inside),
            )
            rows.append((f"A, {letter}", " ".join(group), *(f"{n:,}" for n in counts)))
    return Part("Answers to the same questions", header, rows, " ".join(notes), (2, 3, 4, 5))


def _why_unpaired(a: ComparedRun, letter: str, run: ComparedRun) -> str:
    for side, one in (("A", a), (letter, run)):
        if not one.verdicts:
            return f"{side} has no evaluation records, so answers cannot be compared."
    if not a.tested_on or a.tested_on != run.tested_on:
        return (
            f"A and {letter} were tested on different questions ({a.tested_on or 'unknown'} and {run.tested_on or 'unknown'}), "
            "so their answers cannot be paired."
        )
    return f"A and {letter} have no question, model and mode in common."


def _changed(runs: Sequence[ComparedRun], changed: Sequence[Changed]) -> Part:
    header = ("question", "kind", "model and mode", "truth", *_letters(runs))
    rows = []
    for of_runs in changed[:LISTED]:
        v = of_runs.of_a()
        rows.append((v.question_id, v.kind, f"{v.model} {v.mode}", v.truth, *map(_answer, of_runs.verdicts)))
    note = f"The first {LISTED} of {len(changed):,}; changed_answers.csv holds all, with the completions." if len(changed) > LISTED else ""
    return Part("Changed answers", header, rows, note if changed else "None.")


def _write_changed(path: Path, n_runs: int, changed: Sequence[Changed]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        fields = ("answer", "correct", "completion")
        rows.writerow(("question_id", "kind", "model", "mode", "truth", *(f"{f}_{LETTERS[i].lower()}" for f in fields for i in range(n_runs))))
        for of_runs in changed:
            v = of_runs.of_a()
            cells = [None if w is None else getattr(w, f) for f in fields for w in of_runs.verdicts]
            rows.writerow((v.question_id, v.kind, v.model, v.mode, v.truth, *cells))


def _answer(verdict: Verdict | None) -> str:
    if verdict is None:
        return "—"
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
