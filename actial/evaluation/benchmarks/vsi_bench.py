"""VSI-Bench (Yang et al., Thinking in Space, arXiv 2412.14171): sizes, distances, counts and ways in a room that a video walks through.

Published: nyu-visionx/VSI-Bench on the hub; commit bdcadb3 has `test.jsonl` (5,130 rows about 288 rooms) and `test_debiased.parquet` (without the 2,768 rows
of `pruned_ids.txt`, which can be answered without looking: VSI-Bench-Debiased, arXiv 2511.04655); the videos are `<dataset>/<scene_name>.mp4` in
arkitscenes.zip, scannet.zip and scannetpp.zip. Fields: id (a number), dataset, scene_name, question_type, question, options (behind letters; null for
numbers), ground_truth (a letter or a number).

Frames: what is asked is pictures, not video. N_FRAMES evenly spaced frames, the first and the last among them, either decoded from the .mp4 or taken out of
a folder `<dataset>/<scene_name>/` of pictures. Published numbers are of 8 to 128 frames: name it with the number.

Metrics: overall is the mean of eight tasks; the task relative direction is the mean of its accuracies over easy, medium and hard. Six question types are
multiple choice, four are numbers, which earn their mean relative accuracy (see relative_accuracy). Where a task was not asked there is no overall (the
authors' code then averages fewer tasks under the same name). Chance: 1 / number of options; none for numbers, hence none overall.

Prompt: the authors' (lmms_eval/tasks/vsibench/utils.py at 51e089c), after the frames. VLMEvalKit asks "Answer briefly and directly in one float number."
instead and leaves out the line "Options:".

Traps: the authors and lmms-eval let a model write 16 tokens; the authors' reader takes the text before the first blank, so that "The answer is B" is "The", and
"about 3 metres" is no number; a number told in another unit than asked earned nothing there, and is converted here.
"""

from __future__ import annotations

import functools
from pathlib import Path

from actial.evaluation.benchmarks.benchmark import Benchmark, Item, Quantity
from actial.evaluation.benchmarks.credits import as_written
from actial.evaluation.benchmarks.frames import frames_of
from actial.evaluation.benchmarks.metrics import by_strata, equal_strata, micro, within
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item, number_of, pictures_before
from actial.questions.external_rows import RefusedRow, lettered_options

N_FRAMES = 32
UNITS = {"object_counting": "count", "object_abs_distance": "m", "object_size_estimation": "cm", "room_size_estimation": "m2"}
"""Question types whose answers are numbers, with the unit that is asked for."""
DIRECTIONS = ("object_rel_direction_easy", "object_rel_direction_medium", "object_rel_direction_hard")
CHOICES = (*DIRECTIONS, "object_rel_distance", "route_planning", "obj_appearance_order")
TASKS = (*UNITS, "object_rel_distance", "object_rel_direction", "route_planning", "obj_appearance_order")
FRAMES, DIRECTLY = "These are frames of a video.", "Answer with the option's letter from the given choices directly."
BRIEFLY = "Please answer the question using a single word or phrase."
SHARES = dict.fromkeys(DIRECTIONS, 1 / 24) | dict.fromkeys((*UNITS, *CHOICES[3:]), 1 / 8)


@functools.lru_cache(maxsize=2)
def _frames(folder: Path, name: str) -> tuple[bytes, ...]:
    return tuple(frames_of(folder, name, N_FRAMES))


def _read(name: str, row: Row, row_id: str) -> Item:
    kind, question = row.text("question_type"), row.text("question")
    data_set, scene = row.text("dataset"), row.text("scene_name")
    if kind not in (*UNITS, *CHOICES):
        raise RefusedRow("a question type that the benchmark does not have")
    if any(part in ("", "..") or "/" in part for part in (data_set, scene)):
        raise RefusedRow("a picture outside the benchmark's folder")
    number: Quantity | None = None
    options: tuple[str, ...] = ()
    turn = f"{FRAMES}\n{question}\n{BRIEFLY}"
    if kind in UNITS:
        number = Quantity(number_of(row.cells["ground_truth"]), UNITS[kind])
        if number.value <= 0:
            raise RefusedRow("a truth of 0 or less, of which no error is a share")
    else:
        listed = "\n".join(row.texts("options"))
        options, turn = lettered_options(listed)[1], f"{FRAMES}\n{question}\nOptions:\n{listed}\n{DIRECTLY}"
    frames = _frames(row.folder, f"{data_set}/{scene}")
    if not frames:
        raise RefusedRow("neither a video nor a folder of frames that can be read")
    return item(
        name,
        row,
        row_id,
        text=question,
        options=options,
        truth="" if number else row.text("ground_truth"),
        number=number,
        pictures=list(frames),
        task=kind,
        prompt=pictures_before(turn, len(frames)),
        strata={"type": kind, "task": "object_rel_direction" if kind in DIRECTIONS else kind, "source": data_set},
    )


def _benchmark(name: str, title: str, file: str, n: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        version=f"{file} of bdcadb3: {n} rows, {N_FRAMES} frames",
        hub="nyu-visionx/VSI-Bench",
        revision="bdcadb3fea447621a828a24911801faba3587c12",
        files=(file,),
        columns=("id", "dataset", "scene_name", "question_type", "question", "options", "ground_truth"),
        licence="Apache-2.0",
        url="https://huggingface.co/datasets/nyu-visionx/VSI-Bench",
        protocol=f"The authors' prompt after {N_FRAMES} evenly spaced frames; letters are right or wrong, numbers earn their mean relative accuracy.",
        row_id=lambda row: row.text("id"),
        read=functools.partial(_read, name),
        metrics=(
            overall := by_strata("overall", "the mean of the eight tasks' means, relative direction being the mean over easy, medium and hard", "type", SHARES),
            as_written(overall, "overall_as_written", "overall, with numbers earning what the paper's formula gives where an error falls on a threshold"),
            *(micro(task, f"the mean over the questions of the task {task}", within("task", task)) for task in TASKS if task != "object_rel_direction"),
            equal_strata("object_rel_direction", "the mean of the accuracies over easy, medium and hard", "type", DIRECTIONS),
        ),
        primary="overall",
        home="vsi_bench",
        beside=("*.zip",),
        together=lambda row: f"{row.cells['dataset']}/{row.cells['scene_name']}",
    )


VSI_BENCH = _benchmark("vsi_bench", "VSI-Bench", "test.jsonl", "5,130")
VSI_BENCH_DEBIASED = _benchmark("vsi_bench_debiased", "VSI-Bench-Debiased", "test_debiased.parquet", "2,362")
