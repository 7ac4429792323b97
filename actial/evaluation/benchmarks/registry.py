"""Which benchmarks there are, and which of them can be asked here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actial.errors import UserError
from actial.evaluation.benchmarks.all_angles import ALL_ANGLES
from actial.evaluation.benchmarks.benchmark import Benchmark
from actial.evaluation.benchmarks.blink import BLINK
from actial.evaluation.benchmarks.cv_bench import CV_BENCH
from actial.evaluation.benchmarks.mindcube import MINDCUBE, MINDCUBE_TINY
from actial.evaluation.benchmarks.mmsi_bench import MMSI_BENCH, MMSI_BENCH_CIRCULAR
from actial.evaluation.benchmarks.ours import OURS, OurTest
from actial.evaluation.benchmarks.published import published_files
from actial.evaluation.benchmarks.sat import SAT_REAL, SAT_VAL
from actial.evaluation.benchmarks.spar_bench import SPAR_BENCH, SPAR_BENCH_TINY
from actial.evaluation.benchmarks.three_d_sr_bench import THREE_D_SR_BENCH
from actial.evaluation.benchmarks.view_spatial import VIEW_SPATIAL
from actial.evaluation.benchmarks.viewpoint_100k import VIEWPOINT_100K
from actial.evaluation.benchmarks.vsi_bench import VSI_BENCH, VSI_BENCH_DEBIASED
from actial.questions.external_files import BENCHMARKS as FOLDER
from actial.questions.external_files import NotFetched, hub_folder

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        CV_BENCH,
        THREE_D_SR_BENCH,
        BLINK,
        MMSI_BENCH,
        MMSI_BENCH_CIRCULAR,
        SAT_REAL,
        SAT_VAL,
        VIEWPOINT_100K,
        MINDCUBE,
        MINDCUBE_TINY,
        VIEW_SPATIAL,
        VSI_BENCH,
        VSI_BENCH_DEBIASED,
        SPAR_BENCH,
        SPAR_BENCH_TINY,
        ALL_ANGLES,
    )
}
"""Published ones."""

FILES_LISTED = 3
"""Patterns of files that a sentence names."""


@dataclass(frozen=True)
class Found:
    """A benchmark whose files are there."""

    benchmark: Benchmark
    folder: Path


@dataclass(frozen=True)
class NotRun:
    """A benchmark that is not asked."""

    name: str
    reason: str
    """A sentence."""


def named(names: Sequence[str]) -> list[Benchmark]:
    """Benchmarks by name, each once.

    Raises:
        UserError: there is none of that name.
    """
    for name in names:
        if name not in BENCHMARKS | OURS:
            raise UserError(f"there is no benchmark {name!r}: take one of {', '.join(BENCHMARKS | OURS)}")
    return [(BENCHMARKS | OURS)[name] for name in dict.fromkeys(names)]


def find(benchmark: Benchmark, root: Path) -> Found | NotRun:
    """Where a benchmark's files are: in its folder where there is one, else in the hub's cache (fetched into it where there is a network).

    Args:
        root: `data/external`; the benchmark's folder is `benchmarks/<name>` in it, or that of the one it shares its files with.

    Raises:
        UserError: its folder is there, but lacks a file.
    """
    folder = root / FOLDER / (benchmark.home or benchmark.name)
    if not folder.exists():
        return _on_hub(benchmark, folder)
    try:
        published_files(benchmark.title, folder, benchmark.files, at_least_one=benchmark.at_least_one)
    except UserError as why:
        if not benchmark.home:
            raise
        return NotRun(benchmark.name, str(why))  # the folder is there for another's sake
    return Found(benchmark, folder)


def find_ours(benchmark: OurTest, outputs: Path) -> Found | NotRun:
    """The project's own test, in its outputs.

    Raises:
        UserError: a file is there, but not readable.
    """
    why = benchmark.lacking(outputs)
    return Found(benchmark, outputs) if why is None else NotRun(benchmark.name, why)


def _on_hub(benchmark: Benchmark, folder: Path) -> Found | NotRun:
    listed = ", ".join(benchmark.files[:FILES_LISTED]) + (f" and {len(benchmark.files) - FILES_LISTED} more" if len(benchmark.files) > FILES_LISTED else "")
    aid = f"put its files ({listed}; see {benchmark.url}) into {folder}"
    if benchmark.hub is None or benchmark.revision is None:
        return NotRun(benchmark.name, f"{folder} does not exist, and the hub has no commit of it, or nothing that can be asked as it is: {aid}")
    try:
        cached = hub_folder(benchmark.hub, benchmark.revision, (*benchmark.files, *benchmark.beside))
        published_files(benchmark.title, cached, benchmark.files, at_least_one=benchmark.at_least_one)
    except NotFetched as why:
        return NotRun(benchmark.name, f"{folder} does not exist, and {benchmark.hub} at {benchmark.revision} {why}: {aid}")
    except UserError:
        return NotRun(benchmark.name, f"{folder} does not exist, and of {benchmark.hub} at {benchmark.revision} this machine's cache has not every file: {aid}")
    return Found(benchmark, cached)
