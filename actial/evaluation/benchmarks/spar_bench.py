"""SPAR-Bench (Zhang et al., From Flatland to Space, arXiv 2503.22976): depths, distances, directions and camera moves in one to three pictures of a room.

Published: jasonzhango/SPAR-Bench on the hub, `data/test-*.parquet`: 7,211 rows at commit ee12287 (the card says 7,207); jasonzhango/SPAR-Bench-Tiny has
1,000 of them, 50 a task, in the same columns. Fields: id, img_type (single_view, multi_view), format_type (fill, select), task (20), source, image (a list
in Hugging Face Image form), question, answer (a letter, a number, or a move). Options stand in the question, on lines or in one, behind letters, and above
"Your answer can only include one of options A, B, C or D."

Metrics: overall is the mean of the 20 tasks' means; low, middle and high those over 8, 3 and 9 tasks. Eleven tasks are multiple choice, eight are numbers in
metres, which earn their mean relative accuracy, and view_change_infer has its own score (see relative_accuracy, camera_moves). Chance: 1 / number of
options; none for the rest, hence none overall.

Prompt: the authors' (lmms-eval/lmms_eval/tasks/sparbench/utils.py at 1cc0475), after the pictures: an empty line first, and one before the request for a
letter.

Traps: a depth that differs by 0, of which no error is a share: there the absolute error counts; options such as "left, , front" whose empty part means
"cannot be told"; the letters of the last sentence; the authors' reader takes an answer for right that is *part* of the truth, or begins with it ("c" of
"chair"), reads the first number of a completion about one picture and the last about several, and never a minus; the authors and lmms-eval let a model write
100 tokens; the authors' reader of camera moves takes nothing but the list itself.
"""

from __future__ import annotations

import functools

from actial.evaluation.benchmarks.benchmark import Benchmark, Item, Quantity
from actial.evaluation.benchmarks.camera_moves import CameraMove, read_move
from actial.evaluation.benchmarks.credits import as_written
from actial.evaluation.benchmarks.metrics import equal_strata, micro, within
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item, number_of, pictures_before
from actial.questions.external_rows import RefusedRow, lettered_options

LOW = tuple(f"{what}_prediction_{of}{views}" for what in ("depth", "distance") for of in ("oc", "oo") for views in ("", "_mv"))
MOVE = "view_change_infer"
BOXED = ("position_matching", "camera_motion_infer")
MIDDLE = (*BOXED, MOVE)
HIGH = (
    *("distance_infer_center_oo", "distance_infer_center_oo_mv", "obj_spatial_relation_oc_mv", "obj_spatial_relation_oo", "obj_spatial_relation_oo_mv"),
    *("spatial_imagination_oc", "spatial_imagination_oc_mv", "spatial_imagination_oo", "spatial_imagination_oo_mv"),
)
TASKS = (*LOW, *MIDDLE, *HIGH)
BELOW_OPTIONS = "Your answer can only include one of options"
"""Where options stand on one line, what is below them would be read as part of the last."""
BRIEFLY, DIRECTLY = "Please answer the question using a single word or phrase.", "Answer with the option's letter from the given choices directly."
OF_BOXES = "The values represent the bounding box coordinates normalized to a 0-1000 scale, with the top-left corner as the origin of the image."


def _turn(task: str, question: str) -> str:
    if task in LOW:
        return f"\n{question}\n{BRIEFLY}"
    return f"\n{question}\n\n" if task == MOVE else f"\n{question}\n{OF_BOXES if task in BOXED else ''}\n{DIRECTLY}"


def _read(name: str, row: Row, row_id: str) -> Item:
    task, question, answer = row.text("task"), row.text("question"), row.text("answer")
    if task not in TASKS:
        raise RefusedRow("a task that the benchmark does not have")
    text = question
    number: Quantity | CameraMove | None = None
    options: tuple[str, ...] = ()
    if task in LOW:
        number = Quantity(number_of(answer), "m")
    elif task == MOVE:
        number = _move(answer)
    else:
        text, options = lettered_options(question.partition(BELOW_OPTIONS)[0])
    pictures = row.cells["image"]
    return item(
        name,
        row,
        row_id,
        text=text,
        options=options,
        truth=answer,
        number=number,
        pictures=pictures,
        task=task,
        prompt=pictures_before(_turn(task, question), len(pictures or ())),
        strata={"task": task, "views": row.word("img_type"), "source": row.word("source")},
    )


def _move(answer: str) -> CameraMove:
    move = read_move(answer)
    if move is None:
        raise RefusedRow("a truth that is no camera move")
    return move


def _benchmark(name: str, title: str, version: str, hub: str, revision: str) -> Benchmark:
    overall = equal_strata("overall", "the mean of the 20 tasks' means: accuracy, mean relative accuracy, score of camera moves", "task", TASKS)
    levels = (("low", LOW), ("middle", MIDDLE), ("high", HIGH))
    return Benchmark(
        name=name,
        title=title,
        version=version,
        hub=hub,
        revision=revision,
        files=("data/test-*.parquet",),
        columns=("id", "task", "image", "question", "answer"),
        optional=("img_type", "source"),
        licence="not stated",
        url=f"https://huggingface.co/datasets/{hub}",
        protocol="The authors' prompt after the pictures; letters are right or wrong, numbers and camera moves earn what the authors' code gives them.",
        row_id=lambda row: row.text("id"),
        read=functools.partial(_read, name),
        metrics=(
            overall,
            as_written(overall, "overall_as_written", "overall, with numbers earning what the paper's formula gives where an error falls on a threshold"),
            *(equal_strata(level, f"the mean of the means of the {len(tasks)} tasks of the {level} level", "task", tasks) for level, tasks in levels),
            *(micro(task, f"the mean over the questions of the task {task}", within("task", task)) for task in TASKS),
        ),
        primary="overall",
    )


SPAR_BENCH = _benchmark("spar_bench", "SPAR-Bench", "test of ee12287: 7,211 rows", "jasonzhango/SPAR-Bench", "ee122877c25c8bb08539b07e06d872152c9968f1")
SPAR_BENCH_TINY = _benchmark(
    "spar_bench_tiny", "SPAR-Bench-Tiny", "test of 74c70df: 1,000 rows", "jasonzhango/SPAR-Bench-Tiny", "74c70df9a963c9cdad8fd8196abeb05f331bf719"
)
