"""The tables of a page as Markdown, CSV and LaTeX, its charts as SVG: read back from the page itself, so that they cannot differ from what it shows."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from actial.report.figures import ShownChart, charts_of

LEFT_OUT = frozenset({"questions", "rollouts", "settings"})
"""Sections whose tables are no results."""
_MATHS = {
    **{"±": r"\pm", "−": "-", "×": r"\times", "·": r"\cdot", "²": "^2", "°": r"^\circ", "√": r"\surd", "Σ": r"\Sigma", "→": r"\to"},
    **{"≤": r"\le", "≥": r"\ge", "<": "<", ">": ">"},
}
_LATEX = {character: f"${maths}$" for character, maths in _MATHS.items()} | {character: f"\\{character}" for character in "&%$#_{}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "—": "---", "…": r"\ldots{}"}
_WITH_ERROR = re.compile(r"(?P<value>[+-]?[\d.,]+) ± (?P<error>[\d.]+|n/a)(?: (?P<rest>.+))?")


@dataclass
class ShownTable:
    """A table as a page shows it, in plain text."""

    section: str
    heading: str
    """The nearest above it."""
    caption: str
    header: list[str] = field(default_factory=list)
    groups: list[tuple[str, int]] = field(default_factory=list)
    """What stands over how many columns; empty where nothing does."""
    rows: list[list[str]] = field(default_factory=list)
    numeric: set[int] = field(default_factory=set)
    """Columns that are set flush right."""

    def title(self) -> str:
        """Its heading and caption."""
        return self.caption if self.caption.startswith(self.heading) else f"{self.heading}: {self.caption}" if self.caption else self.heading

    def columns(self) -> list[str]:
        """Names of the columns, each with what stands over it."""
        over = [name for name, n in self.groups for _ in range(n)] or [""] * len(self.header)
        return [f"{group}: {name}" if group else name for group, name in zip(over, self.header, strict=True)]


class _Reader(HTMLParser):
    """Collects the tables of a page made by `page.page`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[ShownTable] = []
        self._section = self._heading = self._caption = self._above = ""
        self._text: list[str] | None = None
        self._row: list[tuple[str, int]] = []
        self._in_head, self._span = False, 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self._section = given.get("id") or ""
        elif tag == "table":
            self.tables.append(ShownTable(self._section, self._heading, self._caption))
            self._caption = ""
        elif tag in ("thead", "tbody"):
            self._in_head = tag == "thead"
        elif tag == "tr":
            self._row = []
        elif tag in ("th", "td"):
            self._span = int(given.get("colspan") or 1)
            if self._in_head and given.get("class") == "number":
                self.tables[-1].numeric.add(len(self._row))
            self._text = []
        elif tag in ("h2", "h3", "summary") or (tag == "p" and given.get("class") == "caption"):
            self._text = []
        elif tag == "details":
            self._above = self._heading
        elif tag in ("br", "small") and self._text is not None:
            self._text.append(" ")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._end_row()
        elif tag == "details":
            self._heading = self._above
        if self._text is None or tag not in ("th", "td", "h2", "h3", "summary", "p"):
            return
        text, self._text = " ".join("".join(self._text).split()), None
        if tag in ("th", "td"):
            self._row.append((text, self._span))
        elif tag == "p":
            self._caption = text
        else:
            self._heading, self._caption = text, ""

    def _end_row(self) -> None:
        table = self.tables[-1]
        if not self._in_head:
            table.rows.append([text for text, _ in self._row])
        elif any(span > 1 for _, span in self._row):
            table.groups = self._row
        else:
            table.header = [text for text, _ in self._row]


def tables_of(page: str) -> list[ShownTable]:
    """The results that a page made by `page.page` shows as tables, in its order."""
    reader = _Reader()
    reader.feed(page[page.index("<main") : page.index("</main>")])
    return [table for table in reader.tables if table.section not in LEFT_OUT and table.rows]


def write_results(page: str, folder: Path) -> list[Path]:
    """Write `tables.md`, `tables.tex` (to be \\input; needs the package booktabs), a CSV file a table and an SVG file a chart; returns the files.

    Files of the same names are replaced, others are left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables, charts = tables_of(page), charts_of(page)
    texts = {"tables.md": "\n".join(map(markdown, tables)), "tables.tex": "% \\usepackage{booktabs}\n" + "\n".join(map(latex, tables))}
    texts |= {f"{name}.svg": chart.svg for name, chart in zip(names_of(charts), charts, strict=True)}
    written = []
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    for name, table in zip(names_of(tables), tables, strict=True):
        written.append(folder / f"{name}.csv")
        with written[-1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(csv_rows(table))
    return written


def names_of(shown: Sequence[ShownTable] | Sequence[ShownChart]) -> list[str]:
    """A name each, for files and artifacts; none twice."""
    slugs = [slug(one) for one in shown]
    return [f"{name}-{n}" if (n := slugs[: i + 1].count(name)) > 1 else name for i, name in enumerate(slugs)]


def slug(shown: ShownTable | ShownChart) -> str:
    """A name of small letters and hyphens, the same for the next run, whose numbers differ."""
    parts = [shown.caption or shown.heading] if isinstance(shown, ShownTable) else [shown.heading, shown.title]
    said = " ".join([shown.section, *(re.split(r"[:(]|, (?:and|with) ", part)[0] for part in parts)])
    return "-".join(word for word in re.findall(r"[a-z0-9]+", said.lower()) if not word.isdigit())


def markdown(table: ShownTable) -> str:
    """As Markdown, aligned in a terminal too."""
    cell = lambda text: text.replace("|", "\\|")
    lines = [list(map(cell, row)) for row in (table.columns(), *table.rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(table.header))]
    aligned = lambda i, text: text.rjust(widths[i]) if i in table.numeric else text.ljust(widths[i])
    said = ["| " + " | ".join(aligned(i, text) for i, text in enumerate(line)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (w + 1) + ":" if i in table.numeric else "-" * (w + 2) for i, w in enumerate(widths)) + "|"
    return "\n".join([f"## {table.title()}", "", said[0], rule, *said[1:], ""])


def csv_rows(table: ShownTable) -> list[list[str]]:
    """Header and rows; a column of values with errors becomes two, and a third for what is said of them."""
    columns = []
    for i, name in enumerate(table.columns()):
        cells = [row[i] for row in table.rows]
        found = [_WITH_ERROR.fullmatch(cell) for cell in cells]
        if not any(found):
            columns.append([name, *cells])
            continue
        parts = [(m["value"], m["error"], m["rest"] or "") if m else (cell, "", "") for m, cell in zip(found, cells, strict=True)]
        named = [(name, 0), (f"{name} stderr", 1), *([(f"{name} note", 2)] if any(rest for _, _, rest in parts) else [])]
        columns += [[title, *(part[k] for part in parts)] for title, k in named]
    return [list(row) for row in zip(*columns, strict=True)]


def latex(table: ShownTable) -> str:
    """As a floating table in the manner of booktabs."""
    line = lambda cells: "    " + " & ".join(map(escaped, cells)) + r" \\"
    sides = "".join("r" if i in table.numeric else "l" for i in range(len(table.header)))
    over = []
    if table.groups:
        ends, start = [], 1
        for name, n in table.groups:
            if name:
                ends.append(f"\\cmidrule(lr){{{start}-{start + n - 1}}}")
            start += n
        cells = " & ".join(f"\\multicolumn{{{n}}}{{c}}{{{escaped(name)}}}" for name, n in table.groups)
        over = [f"    {cells} \\\\", "    " + " ".join(ends)]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering\small",
            f"  \\caption{{{escaped(table.title())}}}\\label{{tab:{slug(table)}}}",
            f"  \\begin{{tabular}}{{{sides}}}",
            r"    \toprule",
            *over,
            line(table.header),
            r"    \midrule",
            *map(line, table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Text as LaTeX has it."""
    return "".join(_LATEX.get(character, character) for character in text)
