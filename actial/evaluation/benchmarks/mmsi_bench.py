"""MMSI-Bench (Yang et al., arXiv 2505.23764): a thousand questions by hand about two to ten pictures of one place.

Published: RunsenXu/MMSI-Bench, `MMSI_Bench.parquet`, 1,000 rows. Columns used: id, images (a list of encoded pictures), question_type (eleven, such as
`Positional Relationship (Cam.–Obj.)`, `Motion (Cam.)`, `MSR`), question (with its four options behind `Options: A: …, B: …`), answer (a letter).
Also there: thought, mean_normed_duration_seconds, difficulty.

- accuracy: all questions alike. The prompt is the row's question and the line that asks for the letter in `` (the data's README).
- circular: a question is right if it is with its options in all four rotations. VLMEvalKit publishes such a TSV of its own; here the rotations are made from
  the same rows, with the options written as the rows write them. The benchmark `mmsi_bench_circular` asks four times as much and reports both.

Chance 25 %, circular 0.4 %. Traps: options stand in the question's text and hold commas; question types are written with an en dash or a hyphen
(lmms-eval joins both, and so does this).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import all_right, micro
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item, pictures_before
from actial.evaluation.benchmarks.variants import rotations
from actial.prompts import IMAGE_MARK
from actial.questions.external_rows import lettered_options
from actial.records import LETTERS

NAME = "mmsi_bench"
TYPES = (
    *(f"Positional Relationship ({pair})" for pair in ("Cam.-Cam.", "Obj.-Obj.", "Reg.-Reg.", "Cam.-Obj.", "Obj.-Reg.", "Cam.-Reg.")),
    *("Attribute (Meas.)", "Attribute (Appr.)", "Motion (Cam.)", "Motion (Obj.)", "MSR"),
)
ENCLOSED = "\nAnswer with the option's letter from the given choices directly. Enclose the option's letter within ``."


def _reader(name: str) -> Callable[[Row, str], Item]:
    def read(row: Row, row_id: str) -> Item:
        written = row.text("question").replace(IMAGE_MARK, "")
        text, options = lettered_options(written)
        kind = row.text("question_type").replace("–", "-")
        return item(
            name,
            row,
            row_id,
            text=text,
            options=options,
            truth=row.text("answer"),
            pictures=row.cells.get("images"),
            task=kind,
            prompt=written + ENCLOSED,
            strata={"type": kind},
        )

    return read


def _plain(*types: str) -> Callable[[Item], bool]:
    """Whether a question has its options in the order of the row, and is of one of some types."""
    return lambda item: not item.variant and item.strata["type"] in (types or TYPES)


def _reordered(turned: Item) -> str:
    question = turned.question
    listed = ", ".join(f"{letter}: {option}" for letter, option in zip(LETTERS, question.options, strict=False))
    return pictures_before(f"{question.text}\nOptions: {listed}{ENCLOSED}", len(question.view_ids))


def _rotations(first: Item) -> Iterator[Item]:
    return rotations(first, _reordered)


MMSI_BENCH = Benchmark(
    name=NAME,
    title="MMSI-Bench",
    version="ec7c92b: 1,000 rows",
    hub="RunsenXu/MMSI-Bench",
    revision="ec7c92bfaf7728fcca1d61e3e224e190af309436",
    files=("MMSI_Bench.parquet",),
    columns=("id", "images", "question_type", "question", "answer"),
    licence="CC BY-NC 4.0",
    url="https://huggingface.co/datasets/RunsenXu/MMSI-Bench",
    protocol="The pictures in order, the row's question and options, and a line that asks for the letter in ``; right is the letter, or the option's text.",
    row_id=lambda row: row.text("id"),
    read=_reader(NAME),
    metrics=(
        micro("accuracy", "the share of all questions that is right", _plain()),
        *(micro(kind, f"the share of the questions of the type {kind} that is right", _plain(kind)) for kind in TYPES),
    ),
    primary="accuracy",
)
MMSI_BENCH_CIRCULAR = replace(
    MMSI_BENCH,
    name=f"{NAME}_circular",
    home=NAME,
    read=_reader(f"{NAME}_circular"),
    title="MMSI-Bench, circular",
    protocol=f"{MMSI_BENCH.protocol} Each question is asked with its options in all rotations.",
    variants=_rotations,
    metrics=(all_right("circular", "the share of questions that are right with their options in every rotation", lambda i: i.group), *MMSI_BENCH.metrics),
    primary="circular",
)
