"""The report: one self-contained HTML file that people look at. `python -m actial.report.build` writes runs/report/index.html."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from actial.errors import UserError, exit_on_user_error
from actial.mirror import mirrored_question, original_id
from actial.records import Question
from actial.report import gallery
from actial.report.benchmarks import benchmarks_section
from actial.report.curves import curves_section
from actial.report.exports import write_results
from actial.report.failures import failures_section
from actial.report.made import made_section
from actial.report.outputs import SPLITS, Outputs
from actial.report.packing import picture_blocks
from actial.report.page import Html, asset, join, page, tag, write_page
from actial.report.provenance import data_section, settings_section
from actial.report.results import score_section
from actial.report.reviews import reviews_section, standing_reviews
from actial.report.rollouts import groups_shown, rollout_section
from actial.report.thumbnails import thumbnails
from actial.report.viewer import Shown, browser_data, file_name, question_browser
from actial.shards import ViewStore

N_QUESTIONS = 10_000
"""Test questions shown at most."""
PICTURES = "pictures"
"""Folder beside the page with the full pictures, where these are asked for."""
Section = tuple[str, str, Html]
"""Id, title, content."""


def write_report(outputs: Path, target: Path, n_questions: int = N_QUESTIONS, full_pictures: bool = False, tables: Path | None = None) -> Path:
    """Write the report on a folder of stage outputs to `target` (an .html file); returns it. What is missing is said, not an error.

    Args:
        outputs: the folder above the stages'.
        target: file to write.
        n_questions: test questions shown at most.
        full_pictures: also write the questions' pictures, as they are stored, into a folder beside the page, which links them.
        tables: folder to which its tables and charts are written, too (`exports.write_results`).

    Raises:
        UserError: there is no such folder, or a file in it is damaged.
    """
    if not outputs.is_dir():
        raise UserError(f"{outputs} does not exist: run `actial run` or `dvc repro` first, which make what the report shows")
    text = report(Outputs(outputs), n_questions, target.parent / PICTURES if full_pictures else None)
    if tables is not None:
        write_results(text, tables)
    return write_page(text, target)


def report(outputs: Outputs, n_questions: int = N_QUESTIONS, full_pictures: Path | None = None) -> str:
    """The whole page.

    Args:
        outputs: what is shown.
        n_questions: test questions shown at most.
        full_pictures: folder beside the page to write the questions' full pictures to.
    """
    test = _test_questions(outputs)
    views, verdicts = outputs.views, gallery.shown_verdicts(outputs.verdicts)
    questions = gallery.sample_of(test, verdicts, n_questions)
    groups = groups_shown(outputs.rollouts)
    by_id = {q.question_id: q for of_split in outputs.questions.values() for q in of_split}
    by_id |= {question_id: mirrored_question(by_id[original]) for _, question_id, _ in groups if (original := original_id(question_id)) in by_id}
    in_groups = [by_id[question_id] for _, question_id, _ in groups if question_id in by_id]
    encoded, note = _pictures([*questions, *in_groups], views)
    full = {} if full_pictures is None or views is None else write_full_pictures(questions, views, full_pictures)
    shown = Shown(questions, verdicts, views, full.get)
    sections = [
        *_results(outputs, shown),
        ("questions", "Questions", question_browser(shown, test, note)),
        ("rollouts", "Rollouts", rollout_section(groups, outputs.rollouts, by_id, views)),
        ("reviews", "People's answers", reviews_section(*standing_reviews(outputs.folder, SPLITS))),
        *_provenance(outputs),
        ("settings", "Settings", settings_section(outputs)),
    ]
    lead = tag("p", "What the models learned about viewpoints, and every record behind it.", class_="faint")
    data = join([browser_data(shown), picture_blocks(encoded)])
    return page("Actial report", sections, lead=lead, data=data, script=asset("pictures.js") + asset("viewer.js"))


def results(outputs: Outputs) -> str:
    """The page without questions and pictures: what its tables and charts are read back from in a small part of the time."""
    verdicts = gallery.shown_verdicts(outputs.verdicts)
    shown = Shown(gallery.sample_of(_test_questions(outputs), verdicts, N_QUESTIONS), verdicts, outputs.views)
    return page("Actial results", [*_results(outputs, shown), *_provenance(outputs)])


def _test_questions(outputs: Outputs) -> list[Question]:
    return [q for split in ("test", "test_2d") for q in outputs.questions.get(split, [])]


def _results(outputs: Outputs, shown: Shown) -> list[Section]:
    scores = outputs.scores
    return [
        *([("benchmarks", "Benchmarks", benchmarks_section(scores["benchmarks"]))] if scores and "benchmarks" in scores else []),
        ("scores", "Scores", score_section(outputs)),
        ("failures", "Where it fails", failures_section(shown)),
        ("training", "Training", curves_section(outputs)),
    ]


def _provenance(outputs: Outputs) -> list[Section]:
    return [("data", "Data", data_section(outputs)), ("made", "How each number was made", made_section(outputs))]


def _pictures(questions: Sequence[Question], views: ViewStore | None) -> tuple[dict[str, str], str]:
    """Addresses of the questions' pictures, and what the page says of their size."""
    if views is None:
        return {}, ""
    encoded, level = thumbnails((v for q in questions for v in q.view_ids if v in views), views)
    return encoded, f"Their pictures are {level}." if encoded else ""


def write_full_pictures(questions: Sequence[Question], views: ViewStore, folder: Path) -> dict[str, str]:
    """Write every picture of the questions into a folder, byte for byte as it is stored; returns their addresses, relative to the folder above.

    Of mirror images and of views without a picture there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {}
    stored = set(views.view_ids())
    for view_id in sorted({v for q in questions for v in q.view_ids} & stored):
        if data := views.picture_bytes(view_id):
            name = file_name(view_id, data)
            (folder / name).write_bytes(data)
            addresses[view_id] = f"{folder.name}/{name}"
    return addresses


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m actial.report.build", description="Write the report on outputs/ as one HTML file.")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of stage outputs")
    parser.add_argument("--target", type=Path, default=Path("runs/report/index.html"), help="file to write")
    parser.add_argument("--questions", type=int, default=N_QUESTIONS, help=f"test questions shown at most (default: {N_QUESTIONS:,})")
    parser.add_argument("--pictures", action="store_true", help=f"also write the full pictures, into {PICTURES}/ beside the page")
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="also write its tables as Markdown, CSV and LaTeX, its charts as SVG")
    arguments = parser.parse_args()
    print(write_report(arguments.outputs, arguments.target, arguments.questions, arguments.pictures, arguments.tables))
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
