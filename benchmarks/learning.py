"""Does the tiny model learn, does GRPO add to SFT, and what is thinking good for? Six seeds, rivals at equal compute, variants of reasoning.

    python benchmarks/learning.py                        the tables of the committed rows (seconds)
    python benchmarks/learning.py --run                  measure what is missing: many CPU hours
    python benchmarks/learning.py --docs                 the figure and the tables of docs/learning.md

`--run` renders the views once with the profile's seed. Everything after that uses the seed of the run, so that seeds differ in which scenes are for training
and testing, in questions, order and sampling; the base model is one and the same. Rows are appended to benchmarks/learning/results.jsonl as they are made, and
are to be committed. A killed benchmark goes on where it stopped, with the code and profile it began with (`<project>/code`); only a stage that was cut off
begins anew, so that its CPU seconds are whole. To measure other code, give another --project.

The seeds are fixed here, before any is run; none is ever left out.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from learning.arms import ARMS, Pipeline, Workshop, measured, params_sha
from learning.figure import figure
from learning.rows import RESULTS, Rows, append_row, read_rows
from learning.table import tables

REPO = Path(__file__).resolve().parents[1]
SEEDS = (11, 12, 13, 14, 15, 16)
TINY = REPO / "profiles" / "tiny.yaml"
PAGE, FIGURE = REPO / "docs" / "learning.md", REPO / "docs" / "learning.svg"
ALT = "Learning curves of SFT and GRPO: what the log shows, and held-out accuracy; each seed a thin line, the median a thick one"


def main() -> int:
    options = _options()
    failed = run(options) if options.run else {}
    rows = Rows.newest(read_rows(options.results))
    if options.docs:
        write_docs(rows)
    elif options.figure:
        write_figure(rows)
    if options.table or not (options.run or options.docs or options.figure):
        print(f"From the rows of {options.results.name}; nothing was run (--run does: many CPU hours).\n\n{tables(rows)}")
        if rows.by and params_sha(yaml.safe_load(TINY.read_text(encoding="utf-8"))) not in {row["params_sha"] for row in rows.by.values()}:
            print(f"Mind: {TINY.name} has changed since these rows were measured, or they are of another profile.")
    for name, error in failed.items():
        print(f"{name} has no row: {error}", file=sys.stderr)
    return 1 if failed else 0


def run(options: argparse.Namespace) -> dict[str, Exception]:
    """Measure the rows that are missing, arm by arm for all seeds. Returns what could not be measured, and why; all else is measured nevertheless."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends at once: else the next arm would begin
    shop = Workshop(options.project, options.profile, max(1, (os.cpu_count() or 1) // options.jobs))
    of_experiment = [row for row in read_rows(options.results) if (row["params_sha"], row["commit"]) == (shop.params_sha, shop.commit)]
    known = {(row["seed"], row["arm"]) for row in of_experiment}
    missing = [(seed, arm) for arm in options.arms for seed in options.seeds if (seed, arm) not in known]
    busy, pipelines, failed = {seed: threading.Lock() for seed in options.seeds}, dict[int, Pipeline](), dict[str, Exception]()
    shop.render()

    def measure(wanted: tuple[int, str]) -> None:
        seed, arm = wanted
        try:
            with busy[seed]:
                if seed not in pipelines:
                    pipelines[seed] = Pipeline(shop, seed)
                append_row(measured(pipelines[seed], arm), options.results)
        except RuntimeError as error:
            failed[f"{arm} of seed {seed}"] = error

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(measure, missing))
    return failed


def write_figure(rows: Rows) -> bool:
    """Draw docs/learning.svg, or take it away where no row has a curve; says which."""
    drawn = figure(rows)
    if drawn is None:
        FIGURE.unlink(missing_ok=True)
    else:
        FIGURE.write_text(drawn, encoding="utf-8")
    return drawn is not None


def write_docs(rows: Rows) -> None:
    """Draw the figure, and put it and the tables between their marks in docs/learning.md."""
    shown = f"![{ALT}]({FIGURE.name})" if write_figure(rows) else "Not measured yet: no figure."
    page = with_block(PAGE.read_text(encoding="utf-8"), "figure", shown)
    PAGE.write_text(with_block(page, "tables", tables(rows)), encoding="utf-8")


def with_block(page: str, name: str, text: str) -> str:
    """The page with what stands between the marks of a block replaced."""
    opening, closing = f"<!-- {name}: made by benchmarks/learning.py --docs -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(opening)
    _, ended, after = rest.partition(closing)
    if not found or not ended:
        raise ValueError(f"{PAGE} has no marks {opening} … {closing}")
    return f"{before}{opening}\n\n{text.strip()}\n\n{closing}{after}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure the rows that are missing")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS, metavar="ARM", help=", ".join(ARMS))
    parser.add_argument("--project", type=Path, default=REPO / "runs" / "learning", help="scratch folder (gigabytes)")
    parser.add_argument("--profile", default="tiny", help="name of a profile, or a file")
    parser.add_argument("--jobs", type=int, default=1, choices=(1, 2), help="seeds run at once")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of rows")
    parser.add_argument("--table", action="store_true", help="print the tables")
    parser.add_argument("--figure", action="store_true", help="draw docs/learning.svg")
    parser.add_argument("--docs", action="store_true", help="draw docs/learning.svg and write the tables into docs/learning.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
