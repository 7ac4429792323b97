"""All-Angles Bench (Yeh et al., arXiv 2504.15280): people and things in two to five simultaneous views of one scene.

Published: ch-chenyu/All-Angles-Bench on the hub, `data.json` (2,132 rows about 90 scenes) and the pictures of the EgoHumans scenes beside it, which 170 of
the rows show, as others counted; those of Ego-Exo4D have to be requested from its makers and prepared with the authors' scripts. A full commit of the data
set was not to be found: its files are read from disk. Fields: index, folder (the scene), category (six), pair_idx, image_path (paths in the order that "View
1, 2, …" means), question, A, B, C, answer (a letter), sourced_dataset.

Metrics: the share that is right, over all and by category (the authors' fork of VLMEvalKit reports both). `pair_idx` names a row's twin, the same question
asked otherwise (other words, or seen from another view), which most rows have; the paper looks at whether both of a pair are right: `pairs`. A row whose
twin was not asked is in no pair. Chance: 1/3, of pairs 1/9.

Prompt: the fork's (vlmeval/dataset/image_mcq.py at 0e1d210), after the pictures, its trailing space included.

Traps: rows whose pictures are not there, counted; `index` a number in one row and a text in another; a pair_idx that is empty or names the row itself. A
conversion of another kit strips the options and all commas out of the question: here it stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from actial.evaluation.benchmarks.benchmark import Benchmark, Item, Metric, Scored, Unit
from actial.evaluation.benchmarks.metrics import all_right, micro, within
from actial.evaluation.benchmarks.picture_files import named_pictures
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.rows import item, pictures_before

NAME = "all_angles"
CATEGORIES = ("counting", "attribute_identification", "relative_distance", "relative_direction", "manipulation", "camera_pose_estimation")
LETTERS = "ABC"


def _read(row: Row, row_id: str) -> Item:
    question, options, category = row.text("question"), row.lettered(LETTERS), row.text("category")
    pictures = named_pictures(row.folder, row.texts("image_path"))
    listed = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, options, strict=False))
    twin = row.word("pair_idx")
    return item(
        NAME,
        row,
        row_id,
        text=question,
        options=options,
        truth=row.text("answer"),
        pictures=pictures,
        task=category,
        group="-".join(sorted({row_id, twin})) if twin else row_id,
        prompt=pictures_before(f"Question: {question}\nOptions:\n{listed}Please select the correct answer from the options above. \n", len(pictures)),
        strata={"category": category, "source": row.word("sourced_dataset")},
        scene=row.word("folder"),
    )


def _pairs() -> Metric:
    both = all_right("pairs", "the share of the questions with a twin, the same asked otherwise, where both are right", lambda item: item.group)

    def units(scored: Sequence[Scored]) -> list[Unit]:
        sizes = Counter(s.item.group for s in scored)
        return both.units([s for s in scored if sizes[s.item.group] > 1])

    return Metric(both.name, both.formula, units)


ALL_ANGLES = Benchmark(
    name=NAME,
    title="All-Angles Bench",
    version="data.json: 2,132 rows",
    hub=None,
    revision=None,
    files=("data.json",),
    columns=("index", "category", "image_path", "question", "A", "B", "C", "answer"),
    optional=("folder", "pair_idx", "sourced_dataset"),
    licence="MIT; the pictures of Ego-Exo4D under its own licence",
    url="https://huggingface.co/datasets/ch-chenyu/All-Angles-Bench",
    protocol="Question and options after the pictures, as the authors' fork of VLMEvalKit asks; right is the letter, or the option's text.",
    row_id=lambda row: row.text("index"),
    read=_read,
    metrics=(
        micro("overall", "the share of all questions that is right"),
        _pairs(),
        *(micro(category, f"the share of the questions of the category {category} that is right", within("category", category)) for category in CATEGORIES),
    ),
    primary="overall",
)
