"""3DSRBench (Ma et al., arXiv 2412.07825): heights, places, orientations and several objects in one photograph, 12 categories of 4 types.

Published: ccvl/3DSRBench, `3dsrbench_v1_vlmevalkit_circular.tsv`: every question also on the mirrored picture, and both with their options in other orders.
Columns used: index, qid, question, A to D, answer (a letter), category, image (base64, or the index of the row that holds it). There may be further ones.
qid is the question's own id (8 characters), then `-flip` on the mirrored picture, then `-1`, … for another order: `VIN6MS3J-flip-1`.

Four accuracies, as VLMEvalKit's class `_3DSRBench` defines them (vlmeval/dataset/image_mcq.py at e8e78f0):

- vanilla:       all rows alike, mirrored and reordered ones too
- flip:          a question in one order is right if it is on the picture and on its mirror image
- circular:      a question on one picture is right if it is in every order (what the authors' script reports)
- flip_circular: a question is right if it is in every order on both

and under `circular` the four types. Chance is that of guessing every row for itself.

Traps: two options leave C and D empty, which pandas writes as nan; the order of the rows is no order of groups; rows of one question share its picture
and are not independent (clusters join them).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import all_right, micro, within
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item
from actial.questions.external_rows import RefusedRow
from actial.records import LETTERS

NAME = "3dsrbench"
TYPES = ("height", "location", "orientation", "multi_object")
"""A category's name begins with its type's."""
_QID = re.compile(r"(?P<question>[^-]+)(?P<flip>-flip)?(?P<order>-\d+)?")
_VARIANTS = {(False, False): "", (False, True): "circular", (True, False): "flip", (True, True): "flip_circular"}


def mcq_prompt(question: str, options: tuple[str, ...]) -> str:
    """VLMEvalKit's prompt for multiple choice below the pictures (`ImageMCQDataset.build_prompt`), for a row without a hint."""
    listed = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, options, strict=False))
    return f"Question: {question}\nOptions:\n{listed}Please select the correct answer from the options above. \n"


def _read(row: Row, row_id: str) -> Item:
    parts = _QID.fullmatch(row_id)
    if parts is None:
        raise RefusedRow("a qid of another form")
    category = row.text("category")
    kind = next((kind for kind in TYPES if category.startswith(f"{kind}_")), None)
    if kind is None:
        raise RefusedRow("a category of none of the four types")
    options = row.lettered("ABCD")
    return item(
        NAME,
        row,
        row_id,
        text=row.text("question"),
        options=options,
        truth=row.text("answer"),
        pictures=row.base64_pictures(),
        task=category,
        group=parts["question"],
        variant=_VARIANTS[parts["flip"] is not None, parts["order"] is not None],
        prompt=mcq_prompt(row.text("question"), options),
        strata={
            "category": category,
            "type": kind,
            "question and order": parts["question"] + (parts["order"] or ""),
            "question and picture": parts["question"] + (parts["flip"] or ""),
        },
    )


def _of(stratum: str) -> Callable[[Item], str]:
    return lambda item: item.strata[stratum]


THREE_D_SR_BENCH = Benchmark(
    name=NAME,
    title="3DSRBench",
    version="v1, circular, of 24bc485: 2,772 questions, each mirrored where that is possible and in every order",
    hub="ccvl/3DSRBench",
    revision="24bc4854ead64eb7d1442da7e4789d2c807816b2",
    files=("3dsrbench_v1_vlmevalkit_circular.tsv",),
    columns=("index", "qid", "question", "A", "B", "C", "D", "answer", "category", "image"),
    licence="CC-BY-4.0",
    url="https://huggingface.co/datasets/ccvl/3DSRBench",
    protocol="VLMEvalKit's prompt for multiple choice; right is the letter, or the option's text.",
    row_id=lambda row: row.text("qid"),
    read=_read,
    metrics=(
        micro("vanilla", "the share of all rows that is right, mirrored and reordered ones too"),
        all_right("flip", "the share of questions in one order that are right on the picture and on its mirror image", _of("question and order")),
        all_right("circular", "the share of questions on one picture that are right in every order", _of("question and picture")),
        all_right("flip_circular", "the share of questions that are right in every order, on the picture and on its mirror image", lambda i: i.group),
        *(all_right(kind, f"circular, over the questions of the type {kind}", _of("question and picture"), within("type", kind)) for kind in TYPES),
    ),
    primary="circular",
)
