"""Where it fails: accuracy by kind, size of the movement and what the scene shows, worst first, each cell a choice in the browser of questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from actial.records import Question, Verdict
from actial.report.page import Html, join, missing, table, tag
from actial.report.results import percent
from actial.report.strata import families, ranges
from actial.report.viewer import PLAIN, Shown
from actial.stats import wilson_interval

FEWEST = 10
"""Questions of a cell; smaller ones say too little to be ranked."""
LISTED = 20
"""Cells of a table."""
DIMENSIONS = {"kind": "kind", "range": "size", "family": "shows"}
"""Filter of the browser -> what the page calls it."""
_BY = (("kind", "range", "family"), ("kind", "range"), ("kind", "family"))
_HOW_TO_READ = (
    "Size is the range in which the deciding value of a question lies (of an angle, in degrees); shows is the family of the scene's subject. "
    "In brackets a 95 % interval (Wilson, scenes as clusters). Worst first goes by its upper end, so that a small cell does not lead by bad luck alone; "
    "the worst of many still looks worse than it is. Cells of fewer than {fewest} questions are left out. The number of questions opens them."
)


@dataclass(frozen=True)
class Cell:
    """Questions that are alike."""

    names: tuple[str, ...]
    """In each of the dimensions."""
    n: int
    n_right: int
    low: float
    high: float
    chance: float
    before: float | None
    """Accuracy of the first model on the same questions; None where it was not asked all of them."""


def failures_section(shown: Shown) -> Html:
    """Tables of the model that was trained last, in each mode; the first mode's unfolded."""
    asked = shown.asked()
    if not asked:
        return missing("No model has answered questions yet: the stage evaluate has not run.")
    model, first = asked[-1][0], asked[0][0]
    parts = [tag("p", _HOW_TO_READ.format(fewest=FEWEST), class_="faint")]
    for i, mode in enumerate(mode for name, mode in asked if name == model):
        tables = join([_table(worst_first(shown, by, model, mode, first), by, model, mode, first) for by in _BY])
        parts.append(tables if i == 0 else tag("details", tag("summary", f"{model} in mode {mode}"), tables))
    return join(parts)


def worst_first(shown: Shown, by: Sequence[str], model: str, mode: str, first: str) -> list[Cell]:
    """All cells that are large enough.

    Args:
        shown: questions and verdicts.
        by: dimensions that cells are made by, of `DIMENSIONS`.
        model: whose accuracy.
        mode: in which it was asked.
        first: the model that it is held against.
    """
    names = {
        "kind": {q.question_id: q.kind for q in shown.questions},
        "range": ranges(shown.questions),
        "family": families(shown.questions, shown.views),
    }
    members: dict[tuple[str, ...], list[tuple[Question, Verdict, Verdict | None]]] = {}
    for q in shown.questions:
        plain = {v.model: v for v in shown.verdicts.get(q.question_id, ()) if v.condition == PLAIN and v.mode == mode}
        if model in plain:
            members.setdefault(tuple(names[d][q.question_id] for d in by), []).append((q, plain[model], plain.get(first) if first != model else None))
    cells = [_cell(key, found) for key, found in members.items() if len(found) >= FEWEST]
    return sorted(cells, key=lambda cell: (cell.high, cell.low, cell.names))


def _cell(names: tuple[str, ...], found: Sequence[tuple[Question, Verdict, Verdict | None]]) -> Cell:
    right = [v.correct for _, v, _ in found]
    before = [b.correct for _, _, b in found if b is not None]
    interval = wilson_interval(right, [q.scene_id for q, _, _ in found])
    assert interval is not None  # the cell is not empty
    chance = sum(1 / len(q.options) for q, _, _ in found) / len(found)
    return Cell(names, len(found), sum(right), *interval, chance, sum(before) / len(before) if len(before) == len(found) else None)


def _table(cells: Sequence[Cell], by: Sequence[str], model: str, mode: str, first: str) -> Html:
    title = " × ".join(DIMENSIONS[d] for d in by)
    if len({cell.names[-1] for cell in cells}) < 2 and len(by) == len(_BY[0]):
        return join([])  # one family of things only: the next table says the same
    if not cells:
        return missing(f"{title}: no cell has {FEWEST} questions.")
    against = first != model and all(cell.before is not None for cell in cells)
    rows = []
    for cell in cells[:LISTED]:
        address = "#questions?" + urlencode(dict(zip(by, cell.names, strict=True)) | {"model": model, "mode": mode})
        share = cell.n_right / cell.n
        interval = tag("small", f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]", class_="faint")
        row = [*cell.names, join([f"{100 * share:.1f} ", interval]), percent(cell.chance)]
        if against and cell.before is not None:
            row += [percent(cell.before), f"{100 * (share - cell.before):+.1f}"]
        row += [tag("a", f"{cell.n:,}", href=address), _missed(cell, address)]
        rows.append(row)
    header = [*(DIMENSIONS[d] for d in by), "right", "chance", *([first, "gain"] if against else []), "questions", "missed"]
    caption = f"{model} in mode {mode}, by {title}: the worst {len(rows)} of {len(cells)}" if len(cells) > len(rows) else f"{model} in mode {mode}, by {title}"
    return table(header, rows, caption=caption, numeric=range(len(by), len(header)), class_="scores")


def _missed(cell: Cell, address: str) -> Html | str:
    n = cell.n - cell.n_right
    return tag("a", f"{n:,}", href=f"{address}&outcome=missed") if n else "0"
