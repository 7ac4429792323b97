"""ViewSpatial-Bench (Li et al., arXiv 2505.21500): directions from the camera's and from a person's point of view, in ScanNet rooms and COCO pictures.

Published: lidingm/ViewSpatial-Bench on the hub, `ViewSpatial-Bench.json` (5,712 rows, also in github.com/ZJU-REAL/ViewSpatial-Bench at 2e85a5e, `eval/`) and
two archives beside it, `scannetv2_val.zip` and `val2017.zip`, which need not be unpacked. A full commit of the data set was not to be found: its files are
read from disk. Fields: question_type, image_path (1 to 32 paths), question, answer (`A. right`), choices (one text, a line a choice, each behind its
letter). No id: a row's number is its id.

Metric: the share that is right, over all and over each of five types. Chance over the file: 25.76 % (173 rows have two choices), where the authors' README
says 26.33 %.

Prompt: as both kits have it, after the pictures. (The authors' evaluate.py writes the choices right behind the question, without even a space between.)

Traps: image_path begins with `ViewSpatial-Bench/`, which the archives do not have; the authors' reader takes the first lone letter a to d of the last line,
so that "a chair to the left" is A.
"""

from __future__ import annotations

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import micro, within
from actial.evaluation.benchmarks.picture_files import named_pictures
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item, pictures_before
from actial.questions.external_rows import lettered_options

NAME = "viewspatial"
ARCHIVE = "ViewSpatial-Bench"
TYPES = (
    "Camera perspective - Relative Direction",
    "Camera perspective - Object View Orientation",
    "Person perspective - Object View Orientation",
    "Person perspective - Relative Direction",
    "Person perspective - Scene Simulation Relative Direction",
)


def _read(row: Row, row_id: str) -> Item:
    question, choices, names, kind = row.text("question"), row.text("choices"), row.texts("image_path"), row.text("question_type")
    _, options = lettered_options(choices)
    pictures = named_pictures(row.folder, names, without=ARCHIVE)
    return item(
        NAME,
        row,
        row_id,
        text=question,
        options=options,
        truth=row.text("answer"),
        pictures=pictures,
        task=kind,
        prompt=pictures_before(f"Question: {question}\nChoices: {choices}\nReply only to the corresponding option.\nAnswer:", len(pictures)),
        strata={"type": kind, "perspective": kind.partition(" ")[0]},
        scene=_scene(names[0]),
    )


def _scene(name: str) -> str:
    """The ScanNet room of a picture, or the picture itself."""
    return name.partition("/original_images/")[0]


VIEW_SPATIAL = Benchmark(
    name=NAME,
    title="ViewSpatial-Bench",
    version="the file of github.com/ZJU-REAL/ViewSpatial-Bench at 2e85a5e: 5,712 rows",
    hub=None,
    revision=None,
    files=("ViewSpatial-Bench.json",),
    columns=("question_type", "image_path", "question", "answer", "choices"),
    licence="Apache-2.0",
    url="https://huggingface.co/datasets/lidingm/ViewSpatial-Bench",
    protocol="Question and choices after the pictures, and a request for the option, as both kits ask; right is the letter, or the choice's text.",
    row_id=lambda row: str(row.number),
    read=_read,
    metrics=(
        micro("overall", "the share of all questions that is right"),
        *(micro(kind, f"the share of the questions of the type {kind} that is right", within("type", kind)) for kind in TYPES),
    ),
    primary="overall",
    beside=("*.zip",),
)
