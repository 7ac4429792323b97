"""CV-Bench (Tong et al., Cambrian-1, arXiv 2406.16860): where things stand, how many, how near, in one picture.

Published: nyu-visionx/CV-Bench, `test_2d.parquet` and `test_3d.parquet`, 2,638 rows in all (older commits: one `test.parquet` of the same columns).
Columns used: idx, type (2D, 3D), task (Relation, Count, Depth, Distance), source (ADE20K, COCO, Omni3D), image (Hugging Face Image form), question,
choices, answer (`(A)` to `(F)`), prompt (question and choices, each behind its letter in brackets).

Three averages are in circulation under one name. With a_x the accuracy over the questions of source or task x:

- official (data card, github.com/cambrian-mllm/cambrian):  ½ · ((a_ADE20K + a_COCO) / 2 + a_Omni3D)
- micro (lmms-eval's `cv_bench_acc`):                        all 2,638 questions alike
- tasks (Actial's paper):                                    the mean of a_Relation, a_Count, a_Depth, a_Distance

Chance: 1 / number of choices, averaged in the same way. VLMEvalKit's `CV-Bench-2D` is (a_ADE20K + a_COCO) / 2, its `CV-Bench-3D` a_Omni3D.

Traps: Count has up to six choices, so that letters go to F; answers stand in brackets; idx is counted over both files.
Where idx began anew in each file (not checked), the second would be refused as an id that stood before: the id therefore has the type before it.
"""

from __future__ import annotations

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import by_strata, equal_strata, micro, within
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item

NAME = "cv_bench"
TASKS = ("Relation", "Count", "Depth", "Distance")
DIRECTLY = "Answer with the option's letter from the given choices directly."
"""What Cambrian-1's evaluation (eval/eval/ade/ade_eval.py, `--question_extension`) puts below the prompt of a row."""


def _read(row: Row, row_id: str) -> Item:
    task = row.text("task")
    return item(
        NAME,
        row,
        row_id,
        text=row.text("question"),
        options=row.texts("choices"),
        truth=row.text("answer"),
        pictures=row.cells.get("image"),
        task=task,
        prompt=f"\n{row.text('prompt')}\n{DIRECTLY}",
        strata={"source": row.text("source"), "task": task, "type": row.text("type")},
    )


CV_BENCH = Benchmark(
    name=NAME,
    title="CV-Bench",
    version="test of bc284db: 2,638 rows",
    hub="nyu-visionx/CV-Bench",
    revision="bc284db50d036958861cb60cdd7b77612052ce0d",
    files=("test_2d.parquet", "test_3d.parquet"),
    columns=("idx", "type", "task", "image", "question", "choices", "answer", "prompt", "source"),
    licence="Apache-2.0",
    url="https://huggingface.co/datasets/nyu-visionx/CV-Bench",
    protocol="The row's own prompt and a line that asks for the letter, as Cambrian-1 does; right is the letter, or the choice's text.",
    row_id=lambda row: f"{row.text('type')}-{row.text('idx')}",
    read=_read,
    metrics=(
        by_strata(
            "official",
            "half the mean of the accuracies over ADE20K and over COCO, plus half the accuracy over Omni3D",
            "source",
            {"ADE20K": 0.25, "COCO": 0.25, "Omni3D": 0.5},
        ),
        micro("micro", "the share of all questions that is right"),
        equal_strata("tasks", "the mean of the accuracies over Relation, Count, Depth and Distance", "task", TASKS),
        equal_strata("2d", "the mean of the accuracies over ADE20K and over COCO", "source", ("ADE20K", "COCO")),
        micro("3d", "the share of the questions about Omni3D that is right", within("source", "Omni3D")),
        *(micro(task, f"the share of the questions of the task {task} that is right", within("task", task)) for task in TASKS),
    ),
    primary="official",
)
