"""BLINK (Fu et al., arXiv 2404.12390): what people see at a glance, 14 tasks, one to four pictures.

Published: BLINK-Benchmark/BLINK, one folder a task, `<task>/val-00000-of-00001.parquet`, 1,901 rows in all. Those of `test` keep their answers hidden (EvalAI).
Columns used: idx (`val_Jigsaw_12`), sub_task, question, choices, answer (`(A)`), prompt (question and choices, each behind its letter in brackets),
image_1 to image_4 (Hugging Face Image form, null where there is none).

- macro (the authors' eval/evaluate.py, "Total"): the mean of the 14 tasks' accuracies
- micro (VLMEvalKit's "Overall"):                 all questions alike
- three (Actial's paper):                         the mean over Multi-view_Reasoning, Relative_Depth and Spatial_Relation

Chance: 1 / number of choices, averaged in the same way (two to four choices, 38.1 % in the paper).

Traps: answers stand in brackets; `hidden` is an answer of the test rows; in Visual_Correspondence and others the choices are themselves letters.
Not every task need be there: `macro` is then not defined, the tasks' own accuracies are.
"""

from __future__ import annotations

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import equal_strata, micro, within
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item
from actial.prompts import IMAGE_MARK
from actial.questions.external_rows import RefusedRow

NAME = "blink"
TASKS = (
    *("Art_Style", "Counting", "Forensic_Detection", "Functional_Correspondence", "IQ_Test", "Jigsaw", "Multi-view_Reasoning", "Object_Localization"),
    *("Relative_Depth", "Relative_Reflectance", "Semantic_Correspondence", "Spatial_Relation", "Visual_Correspondence", "Visual_Similarity"),
)
PAPERS_TASKS = ("Multi-view_Reasoning", "Relative_Depth", "Spatial_Relation")
IMAGES = ("image_1", "image_2", "image_3", "image_4")
HIDDEN = "hidden"


def _read(row: Row, row_id: str) -> Item:
    task, answer = row.text("sub_task"), row.text("answer")
    if answer.strip("()").lower() == HIDDEN:
        raise RefusedRow("an answer that is hidden")
    pictures = [row.cells.get(column) for column in IMAGES if row.cells.get(column) is not None]
    return item(
        NAME,
        row,
        row_id,
        text=row.text("question"),
        options=row.texts("choices"),
        truth=answer,
        pictures=pictures,
        task=task,
        prompt=row.text("prompt").replace(IMAGE_MARK, ""),
        strata={"task": task},
    )


BLINK = Benchmark(
    name=NAME,
    title="BLINK",
    version="val of cbb5717: 1,901 rows",
    hub="BLINK-Benchmark/BLINK",
    revision="cbb5717ea541ba92bbf9a63b99972493a1a133b8",
    files=tuple(f"{task}/val-*.parquet" for task in TASKS),
    at_least_one=True,
    columns=("idx", "question", "sub_task", "image_1", "choices", "answer", "prompt"),
    optional=("image_2", "image_3", "image_4"),
    licence="Apache-2.0",
    url="https://huggingface.co/datasets/BLINK-Benchmark/BLINK",
    protocol="The pictures in order, then the row's own prompt; right is the letter, or the choice's text.",
    row_id=lambda row: row.text("idx"),
    read=_read,
    metrics=(
        equal_strata("macro", "the mean of the accuracies of the 14 tasks", "task", TASKS),
        micro("micro", "the share of all questions that is right"),
        equal_strata("three", "the mean of the accuracies of Multi-view_Reasoning, Relative_Depth and Spatial_Relation", "task", PAPERS_TASKS),
        *(micro(task, f"the share of the questions of the task {task} that is right", within("task", task)) for task in TASKS),
    ),
    primary="macro",
)
