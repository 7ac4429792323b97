"""MindCube (Wang et al., arXiv 2506.21458): what a scene looks like from where no picture was taken, from 2 to 4 pictures of it.

Published: MLL-Lab/MindCube on the hub, one `data.zip`; unpacked, `raw/MindCube.jsonl` (21,154 rows), `raw/MindCube_tinybench.jsonl` (1,050: 600 among, 250
around, 200 rotation) and the pictures in `other_all_image/`, all below `data/`, which is the benchmark's folder here. Commit
9c941b46a6bd65b6914669ef7a579948fc9c8467 is the one after the repair of March 2026 (README of github.com/mll-lab-nu/MindCube): results before and after it
differ. Fields: id, category, type, meta_info, question (with its options behind letters, on one line), images (paths, in the order that "image 1, 2, …"
means), gt_answer (a letter).

Metric: the share that is right. The setting (among, around, rotation, translation, other) is read out of the id as the authors do, around first; translation
does not count in the authors' overall (`include_in_overall`), nor here. lmms-eval goes by the word before the first `_` and counts everything. Chance: 1 /
number of options, averaged; the paper says 32.35 % of the whole set.

Prompt: the authors' `raw_qa` (src/prompt_generation/templates.py), after the pictures; it asks for `<answer>A. Above</answer>`.

Traps: ids that begin with `aroundnew_`; questions that hold `<image>` marks in conversions of the data; options with letters of their own ("A. It would be a
tie"); the authors' own reader of answers takes the last "X." of a completion, so that a list of all options in a thought wins.
"""

from __future__ import annotations

import functools

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import micro, within
from actial.evaluation.benchmarks.picture_files import named_pictures
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item, pictures_before
from actial.prompts import IMAGE_MARK
from actial.questions.external_rows import lettered_options

SETTINGS = ("around", "rotation", "translation", "among")
"""In the order in which the authors look for them in an id."""
COUNTED = ("around", "rotation", "among", "other")
RAW_QA = (
    "[Task]\nYour task is to analyze the spatial arrangement of objects in the scene by examining the provided images, which show the scene from different "
    "viewpoints.\n[Answer Instruction]\nYou only need to provide *ONE* correct answer selecting from the options listed below. For example, if you think the "
    "correct answer is 'A. Above' from 'A. Above B. Under C. Front D. Behind', your response should **only** be '<answer>A. Above</answer>'.\n\n[Question]\n"
)


def setting_of(row_id: str) -> str:
    """What a row's id says it is about."""
    return next((setting for setting in SETTINGS if setting in row_id.lower()), "other")


def _read(name: str, row: Row, row_id: str) -> Item:
    asked, names = row.text("question").replace(IMAGE_MARK, "").strip(), row.texts("images")
    text, options = lettered_options(asked)
    setting = setting_of(row_id)
    pictures = named_pictures(row.folder, names)
    return item(
        name,
        row,
        row_id,
        text=text,
        options=options,
        truth=row.text("gt_answer"),
        pictures=pictures,
        task=setting,
        prompt=pictures_before(RAW_QA + asked, len(pictures)),
        strata={"setting": setting},
        scene=names[0].rpartition("/")[0],
    )


def _benchmark(name: str, title: str, file: str, n: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        version=f"{file} of 9c941b4 (March 2026): {n} rows",
        hub=None,
        revision=None,
        files=(f"raw/{file}",),
        columns=("id", "question", "images", "gt_answer"),
        licence="MIT",
        url="https://huggingface.co/datasets/MLL-Lab/MindCube",
        protocol="The authors' raw_qa prompt after the pictures; right is the letter, or the option's text. Questions of the setting translation do not count.",
        row_id=lambda row: row.text("id"),
        read=functools.partial(_read, name),
        metrics=(
            micro("overall", "the share of the questions that is right, without those of the setting translation", within("setting", *COUNTED)),
            *(micro(setting, f"the share of the questions of the setting {setting} that is right", within("setting", setting)) for setting in SETTINGS),
        ),
        primary="overall",
        home="mindcube",
    )


MINDCUBE = _benchmark("mindcube", "MindCube", "MindCube.jsonl", "21,154")
MINDCUBE_TINY = _benchmark("mindcube_tiny", "MindCube (tiny)", "MindCube_tinybench.jsonl", "1,050")
