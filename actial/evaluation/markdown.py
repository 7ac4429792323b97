"""Tables in Markdown that are read in a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int]) -> str:
    """A table whose columns are aligned in a terminal too: those of words to the left, those of numbers to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    aligned = lambda i, cell: cell.ljust(widths[i]) if i in text else cell.rjust(widths[i])
    line = lambda row: "| " + " | ".join(aligned(i, cell) for i, cell in enumerate(row)) + " |"
    rule = "|" + "|".join("-" * (width + 2) if i in text else "-" * (width + 1) + ":" for i, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
