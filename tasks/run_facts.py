"""What is worth writing down about a run, as plain values: settings, scores, versions of code and data. Knows nothing of MLflow."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from actial.errors import UserError
from actial.params import Params, load_params
from tasks.body import MANIFEST, RUNS, plain

TABLES = {  # stage: (the stage that made the table, the table, MLflow's word for its use)
    "build_qa": (("render_views", "views", "views"),),
    "cold_start_mix": (("build_qa", "train.parquet", "training"), ("build_qa", "rl.parquet", "training")),
    "sft": (("cold_start_mix", "sft.parquet", "training"),),
    "grpo": (("cold_start_mix", "rl.parquet", "training"),),
    "evaluate": (("build_qa", "test.parquet", "test"),),
}
"""What a stage learns from or is tested on."""

SMALL_SUFFIXES = {".json", ".md", ".html", ".csv", ".png", ".jpg", ".svg"}
SMALL_BYTES = 5_000_000


def process_tags() -> dict[str, str]:
    """Where a run is at work, and at which commit; no commit outside git."""
    tags = {"process": f"{socket.gethostname()}:{os.getpid()}"}
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags |= {"git.commit": commit, "git.dirty": str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()}
    return tags


def commit_in_words() -> str | None:
    """The commit of the checkout in the present folder, and whether files have been edited since; None outside git."""
    tags = process_tags()
    return f"commit {tags['git.commit']}" + (" with uncommitted edits" if tags["git.dirty"] == "true" else "") if "git.commit" in tags else None


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None  # no git here, or no checkout


def nearest_profile(params: Params) -> tuple[str, dict[str, tuple[str, str]]]:
    """The profile that params.yaml equals or comes nearest to, and the settings that differ: {"grpo.beta": ("0.04", "0.0 in tiny")}.

    The name counts them: `tiny`, `tiny+2`; it is `custom` where there are no profiles.
    """
    here = flat_settings(plain(params))
    best: tuple[str, dict[str, tuple[str, str]]] | None = None
    for path in sorted(Path("profiles").glob("*.yaml")):
        try:
            there = flat_settings(plain(load_params(path)))
        except UserError:
            continue  # nobody's nearest
        differing = {key: (here.get(key, "absent"), there.get(key, "absent")) for key in {**here, **there} if here.get(key) != there.get(key)}
        if best is None or len(differing) < len(best[1]):
            best = (path.stem, differing)
    return best or ("custom", {})


def settings(params: Params, sections: Iterable[str]) -> dict[str, str]:
    """The settings of some sections, flattened. Prompts stay in the params file, which is an artifact."""
    return flat_settings({section: plain(getattr(params, section)) for section in sections if section != "prompt"})


def flat_settings(value: Any, key: str = "") -> dict[str, str]:
    """Settings by dotted key, as text: {"sft.lora.rank": "16"}."""
    if isinstance(value, dict):
        return {k: v for name, inner in value.items() for k, v in flat_settings(inner, f"{key}.{name}" if key else str(name)).items()}
    return {key: value if isinstance(value, str) else json.dumps(value)}


def score_metrics(scores: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that pipelines are compared by: {"accuracy/grpo.think": 0.81, "accuracy_stderr/grpo.think": 0.02, …}.

    The stand-ins, which only check the scorer, are left out. What has no data has no entry.
    """
    numbers: dict[str, float | None] = {}
    for model, mode, groups in _models(scores):
        whole = groups["overall"]
        numbers |= {
            f"accuracy/{model}.{mode}": whole["accuracy"],
            f"accuracy_stderr/{model}.{mode}": whole["stderr"],
            f"unparsed/{model}.{mode}": whole["unparsed"],
        }
    numbers |= {f"accuracy/{row}": scores["questions"]["overall"][row] for row in ("chance", "majority")}
    return {name: value for name, value in numbers.items() if value is not None}


def kind_metrics(scores: Mapping[str, Any]) -> dict[str, float]:
    """Accuracy by kind of question: {"accuracy_by_kind/grpo.think.turn": 0.78, …}."""
    of_kind = {
        f"accuracy_by_kind/{model}.{mode}.{kind}": group["accuracy"]
        for model, mode, groups in _models(scores)
        for kind, group in groups.items()
        if kind != "overall"
    }
    return {name: value for name, value in of_kind.items() if value is not None}


def benchmark_metrics(scores: Mapping[str, Any]) -> dict[str, float]:
    """Every metric of every benchmark: {"benchmark/cv_bench.combined/grpo.think": 0.71, …}; without the name of a model that alone was asked."""
    found = scores.get("benchmarks", {"asked": {}})
    alone = "model" in found
    of_metric = {
        f"benchmark/{name}.{metric}/{mode if alone else f'{model}.{mode}'}": cell["value"]
        for name, of in found["asked"].items()
        for model, by_mode in of["models"].items()
        for mode, scored in by_mode.items()
        for metric, cell in scored["metrics"].items()
    }
    return {name: value for name, value in of_metric.items() if value is not None}


def _models(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """What was trained most comes first, as the first thing to look at."""
    for model in ("grpo", "sft", "base"):
        for mode, groups in scores["models"].get(model, {}).items():
            yield model, mode, groups


def curve_points(out: Path) -> Iterator[tuple[str, int, float]]:
    """Name, step and value of every point of a training stage's curve.csv; none where there is no curve."""
    path = out / "curve.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                yield from ((f"curve/{name}", int(float(row["step"])), float(value)) for name, value in row.items() if value and name != "step")


def metric_name(text: str) -> str:
    """As MLflow allows names."""
    return re.sub(r"[^0-9A-Za-z_\-. :/]", "_", text)


def small_files(folder: Path) -> Iterator[Path]:
    """What a person would look at in a stage's output: cards, tables, sheets, curves. Never weights, shards or a tokenizer."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        place = path.relative_to(folder)
        of_model = "model" in place.parts and place.name != "README.md"
        if place.suffix in SMALL_SUFFIXES and len(place.parts) <= 2 and not of_model and path.stat().st_size <= SMALL_BYTES:
            yield path


def weights(out: Path) -> dict[str, str]:
    """SHA-256 of each weights file of a stage's output, from its manifest; {} where it holds no model."""
    files = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["files"]
    return {name: sha for name, sha in files.items() if name.startswith("model/") and name.endswith(".safetensors")}


def table_digest(folder: Path) -> str:
    """A short digest of an output folder that stands for it where DVC is not at work: its manifest's."""
    return f"manifest-{md5_of(folder / MANIFEST)[:8]}"


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)


def local_minute(time_ms: int) -> str:
    """Local date and time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(time_ms / 1000))


# ------------------------------------------------------------------------------------------------ notes in runs/


LAST_PIPELINE = RUNS / "pipeline.json"
"""The newest parent run, and the outputs it stands for."""


def produced_file(stage: str) -> Path:
    """Which run made the stage's newest output, and whether it carries DVC's hashes yet."""
    return RUNS / stage / "tracked.json"


def read_note(path: Path) -> dict[str, Any]:
    """The note in `path`; {} where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_note(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, sort_keys=True), encoding="utf-8")
    partial.rename(path)
