"""SAT (Ray et al., Spatial Aptitude Training, arXiv 2412.07755): its test on photographs (SAT-real) and its synthetic validation rows.

Published: array/SAT, `SAT_test.parquet` (150 rows) and `SAT_val.parquet` (about 4,000). Columns used: image_bytes (a list of one or two encoded pictures),
question, answers (a list of texts), question_type, correct_answer (one of them). No commit's full hash was to be found, so that the files must be put there.
What is known of the rows, and mended, stands in `questions.external_rows` (format `sat`): what `build_qa` trains on is read by the same lines.

Its `answers` stand in no order of chance ("please randomize or perform circular eval", data card; the authors' script asks the two orders of SAT-real).
So every question is asked with its options in every rotation, which no seed decides:

- accuracy: the mean over questions of the share of its rotations that is right, which is what a random order comes to on average
- circular: a question is right if it is in every rotation
- macro:    the mean of the accuracies of the five dynamic kinds, ego_movement, obj_movement, action_consequence, perspective, goal_aim

Chance: 1 / number of options (mostly two), circular to the power of that number. The prompt is our `prompt` section's: the authors publish none with the data.
Traps: nested bytes that no Arrow array of a whole row group holds; " in the first frame" behind some answers; kinds spelled in two ways.
"""

from __future__ import annotations

from collections.abc import Callable

from actial.evaluation.benchmarks.benchmark import Benchmark, Item
from actial.evaluation.benchmarks.metrics import all_right, equal_strata, micro, within
from actial.evaluation.benchmarks.outside import outside_entry, read_outside
from actial.evaluation.benchmarks.published import Row
from actial.evaluation.benchmarks.variants import rotations
from actial.params_external import SAT_COLUMNS

DYNAMIC = ("ego_movement", "obj_movement", "action_consequence", "perspective", "goal_aim")
STATIC = "static"
_ENTRY = outside_entry("sat", "sat", {})


def _reader(name: str) -> Callable[[Row, str], Item]:
    return lambda row, row_id: read_outside(name, _ENTRY, row, row_id)


def _sat(name: str, title: str, version: str, file: str, kinds: tuple[str, ...]) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        version=version,
        hub=None,
        revision=None,
        files=(file,),
        columns=tuple(SAT_COLUMNS.values()),
        licence="MIT",
        url="https://huggingface.co/datasets/array/SAT",
        protocol="Our prompt, with the options in every rotation; right is the letter, or the option's text.",
        row_id=lambda row: f"row {row.number}",
        read=_reader(name),
        variants=rotations,
        metrics=(
            micro("accuracy", "the mean over all questions of the share of its rotations that is right", variants_share=True),
            all_right("circular", "the share of questions that are right with their options in every rotation", lambda i: i.group),
            equal_strata("macro", "the mean of the accuracies of the five dynamic kinds", "kind", DYNAMIC, variants_share=True),
            *(micro(kind, f"the accuracy over the questions of the kind {kind}", within("kind", kind), variants_share=True) for kind in kinds),
        ),
        primary="accuracy",
    )


SAT_REAL = _sat("sat_real", "SAT-real", "SAT_test.parquet: 150 rows on photographs", "SAT_test.parquet", DYNAMIC)
SAT_VAL = _sat("sat_val", "SAT val", "SAT_val.parquet: about 4,000 synthetic rows", "SAT_val.parquet", (*DYNAMIC, STATIC))
