"""The shortcut audit in words: a table, a line on how to read it, and the sentence a stage fails with."""

from __future__ import annotations

from actial.questions.readings import PROBES
from actial.questions.shortcuts import LEAK, LEAST_QUESTIONS, Audit, Finding

HOW_TO_READ = (
    "How to read it: each line is the better of the learners, asked about scenes it was not trained on; "
    "leak: it beats the best constant answer though it has no right to know; "
    "at chance: shown to lie within {bound:g} points of it; undecided: shown neither; may know: the reading decides that kind. More in docs/audit.md."
)


def audit_table(audit: Audit) -> str:
    """Markdown: the table, the ceiling where it was measured, and how to read them."""
    head = ["kind", "probe", "learner", "questions", "scenes", "chance", "right (90 %)", "verdict", "cue aligned", "cue in conflict", "no cue"]
    blocks = [_markdown(head, [_row(f) for f in audit.worst()]), HOW_TO_READ.format(bound=100 * audit.settings.bound)]
    few = [kind for kind, n in audit.n_questions.items() if n < LEAST_QUESTIONS]
    if few:
        blocks.append(f"Too few questions for a verdict, at least {LEAST_QUESTIONS:,} of a kind are needed: {', '.join(few)}.")
    if audit.ceiling:
        blocks += ["Ceiling, not a shortcut: points matched between the pictures (SIFT), an essential matrix, and the subject's place:", _ceiling(audit)]
    return "\n\n".join(blocks) + "\n"


def audit_section(audit: Audit) -> str:
    """For the dataset card."""
    probes = "\n".join(f"- {name}: {PROBES[name]}" for name in audit.settings.probes)
    return f"## Shortcut audit\n\nProbes trained afresh on less than what is asked about, and asked about other scenes:\n\n{probes}\n\n{audit_table(audit)}"


def complaint(audit: Audit) -> str:
    """One sentence on the largest leak beyond what the settings allow; empty where there is none."""
    beyond = audit.too_large()
    if not beyond:
        return ""
    f = beyond[0]
    others = f" (and {len(beyond) - 1} more leaks are beyond theirs)" if len(beyond) > 1 else ""
    return (
        f"questions of kind {f.kind} are answered without reasoning about space: probe {f.reading} has {_percent(f.accuracy)} right where guessing has "
        f"{_percent(f.chance)}, more than build_qa.audit.probes.{f.probe} ({audit.settings.probes[f.probe]:g}) allows{others}: "
        "mend the sampling of cameras, leave out the kind, or allow more"
    )


def _row(f: Finding) -> list[str]:
    interval = "" if f.low is None or f.high is None else f" ({100 * f.low:.1f} to {100 * f.high:.1f})"
    cues = [_percent(accuracy) for _, accuracy in (f.by_cue or {}).values()] or [""] * 3
    verdict = f"**{f.verdict}**" if f.verdict == LEAK else f.verdict
    return [f.kind, f.reading, f.learner, f"{f.n:,}", f"{f.n_scenes:,}", _percent(f.chance), _percent(f.accuracy) + interval, verdict, *cues]


def _ceiling(audit: Audit) -> str:
    rows = [[kind, f"{c['n']:,}", f"{c['n_answered']:,}", _percent(c["accuracy"]), _percent(c["accuracy_of_answered"])] for kind, c in audit.ceiling.items()]
    return _markdown(["kind", "left or right", "answered", "right of all", "right of answered"], rows)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table that is as readable in a terminal."""
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines)
