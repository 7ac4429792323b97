"""The report: one self-contained HTML file that people look at. `python -m actial.report.build` writes runs/report/index.html."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from actial.errors import UserError, exit_on_user_error
from actial.mirror import mirrored_question, original_id
from actial.report import gallery
from actial.report.curves import curves_section
from actial.report.outputs import SPLITS, Outputs
from actial.report.page import asset, data_block, page, tag, write_page
from actial.report.provenance import data_section, settings_section
from actial.report.results import score_section
from actial.report.reviews import reviews_section, standing_reviews
from actial.report.rollouts import groups_shown, rollout_section

N_QUESTIONS = 200
"""Test questions shown."""


def write_report(outputs: Path, target: Path, n_questions: int = N_QUESTIONS) -> Path:
    """Write the report on a folder of stage outputs to `target` (an .html file); returns it. What is missing is said, not an error.

    Raises:
        UserError: there is no such folder, or a file in it is damaged.
    """
    if not outputs.is_dir():
        raise UserError(f"{outputs} does not exist: run `actial run` or `dvc repro` first, which make what the report shows")
    return write_page(report(Outputs(outputs), n_questions), target)


def report(outputs: Outputs, n_questions: int = N_QUESTIONS) -> str:
    """The whole page."""
    test = [q for split in ("test", "test_2d") for q in outputs.questions.get(split, [])]
    views, verdicts = outputs.views, gallery.shown_verdicts(outputs.verdicts)
    questions = gallery.sample_of(test, verdicts, n_questions)
    groups = groups_shown(outputs.rollouts)
    by_id = {q.question_id: q for of_split in outputs.questions.values() for q in of_split}
    by_id |= {question_id: mirrored_question(by_id[original]) for _, question_id, _ in groups if (original := original_id(question_id)) in by_id}
    shown = [*questions, *(by_id[question_id] for _, question_id, _ in groups if question_id in by_id)]
    encoded = {} if views is None else gallery.pictures((v for q in shown for v in q.view_ids if v in views), views)
    sections = [
        ("scores", "Scores", score_section(outputs)),
        ("training", "Training", curves_section(outputs)),
        ("questions", "Questions", gallery.question_browser(questions, test, verdicts, views)),
        ("rollouts", "Rollouts", rollout_section(groups, outputs.rollouts, by_id, views)),
        ("reviews", "People's answers", reviews_section(*standing_reviews(outputs.folder, SPLITS))),
        ("data", "Data", data_section(outputs)),
        ("settings", "Settings", settings_section(outputs)),
    ]
    lead = tag("p", "What the models learned about viewpoints, and every record behind it.", class_="faint")
    return page("Actial report", sections, lead=lead, data=data_block("pictures", encoded), script=asset("pictures.js") + asset("browse.js"))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m actial.report.build", description="Write the report on outputs/ as one HTML file.")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of stage outputs")
    parser.add_argument("--target", type=Path, default=Path("runs/report/index.html"), help="file to write")
    parser.add_argument("--questions", type=int, default=N_QUESTIONS, help="test questions shown")
    arguments = parser.parse_args()
    print(write_report(arguments.outputs, arguments.target, arguments.questions))
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
