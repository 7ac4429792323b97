"""Which number each kit gives for which benchmark: its rules for reading, its own formula, its name.

The formulas are those of our benchmarks (`evaluation.benchmarks`), which state whose they are; so the same formula over our own readings stands beside, and
all of the difference lies in single rows. Prompts differ, too: a number here is what a kit's rules make of completions to our prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actial.evaluation.benchmarks.benchmark import Item, Metric
from actial.evaluation.benchmarks.blink import BLINK
from actial.evaluation.benchmarks.cv_bench import CV_BENCH
from actial.evaluation.benchmarks.metrics import micro, within
from actial.evaluation.benchmarks.mmsi_bench import MMSI_BENCH, MMSI_BENCH_CIRCULAR
from actial.evaluation.benchmarks.three_d_sr_bench import THREE_D_SR_BENCH
from actial.evaluation.parity import lmms_eval, vlmevalkit
from actial.evaluation.parity.reading import Reading
from actial.evaluation.parity.records import Record

VLMEVALKIT, LMMS_EVAL = "VLMEvalKit", "lmms-eval"


@dataclass(frozen=True)
class KitTask:
    """A task of a kit."""

    kit: str
    name: str
    benchmark: str
    """Ours, of which it scores rows."""
    read: Callable[[Record], Reading]
    metrics: tuple[tuple[str, Metric], ...]
    """What the kit calls a number, and its formula."""
    only: Callable[[Item], bool] = lambda item: True
    """Which rows it scores."""


def kit_tasks(split_think: bool) -> tuple[KitTask, ...]:
    """All tasks.

    Args:
        split_think: whether VLMEvalKit's environment sets SPLIT_THINK.
    """
    cut = vlmevalkit.after_thought if split_think else lambda text: text
    by_options = lambda record: vlmevalkit.by_options(cut(record.completion), record.options)
    by_tail = lambda record: vlmevalkit.by_tail(cut(record.completion))
    by_statement = lambda record: lmms_eval.by_statement(record.completion, record.options)
    first_letter = lambda record: lmms_eval.by_first_letter(record.completion)
    two_d, three_d = within("type", "2D"), within("type", "3D")
    of_three_d_sr = tuple((name, THREE_D_SR_BENCH.metric(name)) for name in ("vanilla", "flip", "circular", "flip_circular"))
    accuracy = lambda name, only=lambda item: True: ((name, micro("accuracy", "the share of the rows that is right", only)),)
    return (
        KitTask(VLMEVALKIT, "CV-Bench-2D", CV_BENCH.name, by_options, (("Overall", CV_BENCH.metric("2d")),), two_d),
        KitTask(VLMEVALKIT, "CV-Bench-3D", CV_BENCH.name, by_options, accuracy("Overall"), three_d),
        KitTask(LMMS_EVAL, "cv_bench", CV_BENCH.name, first_letter, accuracy("cv_bench_acc")),
        KitTask(LMMS_EVAL, "cv_bench_2d", CV_BENCH.name, first_letter, accuracy("cv_bench_acc"), two_d),
        KitTask(LMMS_EVAL, "cv_bench_3d", CV_BENCH.name, first_letter, accuracy("cv_bench_acc"), three_d),
        KitTask(VLMEVALKIT, "3DSRBench", THREE_D_SR_BENCH.name, by_options, of_three_d_sr),
        KitTask(LMMS_EVAL, "3dsrbench_circular", THREE_D_SR_BENCH.name, lambda r: lmms_eval.by_patterns(r.completion), of_three_d_sr),
        KitTask(VLMEVALKIT, "BLINK", BLINK.name, by_options, (("Overall", BLINK.metric("micro")),)),
        KitTask(LMMS_EVAL, "blink", BLINK.name, by_statement, (("blink_acc", BLINK.metric("micro")),)),
        KitTask(LMMS_EVAL, "blink until 0.7.2", BLINK.name, first_letter, (("blink_acc", BLINK.metric("micro")),)),
        *(
            task
            for benchmark in (MMSI_BENCH, MMSI_BENCH_CIRCULAR)
            for task in (
                KitTask(VLMEVALKIT, "MMSIBench_wo_circular", benchmark.name, by_tail, accuracy("overall"), lambda item: not item.variant),
                KitTask(
                    LMMS_EVAL,
                    "mmsi_bench",
                    benchmark.name,
                    lambda r: lmms_eval.by_backticks(r.completion),
                    accuracy("average"),
                    lambda item: not item.variant,
                ),
            )
        ),
        KitTask(VLMEVALKIT, "MMSIBench_circular", MMSI_BENCH_CIRCULAR.name, by_options, (("Overall", MMSI_BENCH_CIRCULAR.metric("circular")),)),
    )
