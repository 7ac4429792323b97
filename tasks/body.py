"""What the six stage programs share: params, inputs, scratch, the atomic move into place, the manifest, the three closing lines.

A stage is one function `make(job) -> Made`. `dvc.yaml` is the one truth of what it depends on: this module reads the stage's
`deps`, `params` and `outs` there, so that the fingerprint of its scratch folder and DVC's idea of freshness have the same ingredients.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from actial.errors import UserError, exit_on_user_error
from actial.jobs import die_with_parent, exit_on_terminate
from actial.json_files import write_json
from actial.machine import Machine, load_machine
from actial.params import Params, load_params

MANIFEST = "manifest.json"
RUNS = Path("runs")
DURATIONS_KEPT = 20
NO_DATA = "{} needs the folder {}, which does not exist: make it; an empty one will do where no setting asks for what belongs into it"


@dataclass(frozen=True)
class Job:
    """What a stage's body gets."""

    stage: str
    params: Params
    machine: Machine
    inputs: dict[str, Path]
    """Input folder by its name, which for most is that of the stage that made it."""
    out: Path
    """Folder to write into: empty, in scratch; it is moved to `outputs/<stage>` when the body returns."""
    scratch: Path
    """Resumable work of exactly this stage, params, inputs and code: survives a kill."""


@dataclass(frozen=True)
class Made:
    """What a stage's body returns."""

    counts: dict[str, int]
    """What was made, by noun: {"views": 720}."""
    refused: dict[str, int]
    """What was set aside, by reason."""
    look: str
    """File or folder below the output that a person would open first; empty for the folder itself."""
    licences: dict[str, int] = field(default_factory=dict)
    """Of how many of the made things each licence is, where they bring any."""
    facts: dict[str, str] = field(default_factory=dict)
    """Of this run on this machine: tags of the tracked run, never written into the output."""


@dataclass(frozen=True)
class StageSpec:
    """A stage's entry in dvc.yaml."""

    name: str
    sources: tuple[Path, ...]
    """Source files it runs."""
    inputs: dict[str, Path]
    """Output folders of earlier stages (and other data) it reads, by folder name."""
    sections: tuple[str, ...]
    """Sections of params.yaml it reads."""
    out: Path

    def is_made(self, folder: Path) -> bool:
        """Whether an input is a stage's output or a part of one; else it is data that someone puts there."""
        return self.out.parent in folder.parents


def stage_spec(stage: str, root: Path = Path(".")) -> StageSpec:
    """Read a stage's entry in dvc.yaml.

    Raises:
        UserError: there is no dvc.yaml here, or no such stage in it.
    """
    try:
        entry = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    except FileNotFoundError:
        raise UserError(f"{(root / 'dvc.yaml').resolve()} does not exist: run stages from the project's folder") from None
    except KeyError:
        raise UserError(f"dvc.yaml has no stage {stage}") from None
    deps = [Path(d) for d in entry.get("deps", [])]
    sources = tuple(d for d in deps if d.suffix == ".py")
    inputs = {d.name: d for d in deps if d.suffix != ".py"}
    return StageSpec(stage, sources, inputs, tuple(entry.get("params", [])), Path(_only_name(entry["outs"][0])))


def main(stage: str, make: Callable[[Job], Made]) -> None:
    """The program of a stage: parse the command line, run the body, exit."""
    sys.exit(exit_on_user_error(lambda: run(stage, make)))


def run(stage: str, make: Callable[[Job], Made]) -> int:
    """Run a stage's body in the current folder and move its result into place.

    Raises:
        UserError: the user can mend it: params, inputs, disk space; or they were edited while the body ran.
    """
    die_with_parent()
    exit_on_terminate()
    start_s = time.monotonic()
    spec = stage_spec(stage)
    _parse_arguments(spec)
    params, machine = load_params("params.yaml"), load_machine()
    for path in spec.inputs.values():
        if not path.exists():
            if not spec.is_made(path):
                raise UserError(NO_DATA.format(stage, path))
            raise UserError(f"{stage} needs {path}, which does not exist: run `actial run` or `dvc repro`, which make what is missing first")
    scratch = RUNS / stage / fingerprint(spec, params)
    with stage_lock(stage), _disk_full_is_a_user_error(stage):
        out = scratch / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        job = Job(stage, params, machine, spec.inputs, out, scratch)
        from tasks import tracking  # mlflow takes seconds to import: after every check that can refuse

        with tracking.stage_run(job) as finish:
            made = make(job)
            write_manifest(out, stage, params, made)
            refuse_if_edited(spec, scratch)
            finish(made)
        move_into_place(out, spec.out)
        note_duration(stage, time.monotonic() - start_s)
        shutil.rmtree(scratch, ignore_errors=True)  # gigabytes of checkpoints, and a forced rerun must really run
    print_summary(stage, spec.out, made)
    return 0


def fingerprint(spec: StageSpec, params: Params) -> str:
    """Sixteen hex digits that name everything a stage's result depends on: params sections, input manifests, source text."""
    digest = hashlib.sha256(spec.name.encode())
    for section in spec.sections:
        digest.update(json.dumps([section, plain(getattr(params, section))], sort_keys=True).encode())
    for source in spec.sources:
        digest.update(source.as_posix().encode() + source.read_bytes())
    for name, folder in sorted(spec.inputs.items()):
        manifest = folder / MANIFEST
        digest.update(name.encode() + (manifest.read_bytes() if spec.is_made(folder) and manifest.exists() else _folder_digest(folder)))
    return digest.hexdigest()[:16]


def refuse_if_edited(spec: StageSpec, scratch: Path) -> None:
    """Check that settings, code and inputs are still those the body began with.

    DVC hashes them again after the body has ended: without this, an edit in between would be recorded as what the result was made from.

    Raises:
        UserError: they are not.
    """
    if fingerprint(stage_spec(spec.name), load_params("params.yaml")) != scratch.name:
        raise UserError(
            f"the params, code or inputs of {spec.name} were edited while it ran, so its result was not put into {spec.out}: "
            f"run again (it starts anew), or undo the edit first (it goes on from {scratch})"
        )


def note_duration(stage: str, seconds: float) -> None:
    """Remember how long the stage took, for `actial plan`; the newest comes last."""
    path = RUNS / stage / "durations.json"
    write_json(path, [*durations_s(stage), round(seconds, 1)][-DURATIONS_KEPT:])


def durations_s(stage: str) -> list[float]:
    """How long the stage took when it last ran in this checkout, seconds, newest last; empty where it never ran."""
    path = RUNS / stage / "durations.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def write_manifest(out: Path, stage: str, params: Params, made: Made) -> None:
    """Counts made, counts refused by reason, licences of what brings any, seed, versions of what drew or trained, and a checksum of every file."""
    files = {p.relative_to(out).as_posix(): _sha256(p) for p in sorted(out.rglob("*")) if p.is_file()}
    told = {"stage": stage, "seed": params.seed, "made": made.counts, "refused": made.refused, "look": made.look, "versions": _versions(stage), "files": files}
    write_json(out / MANIFEST, told | ({"licences": made.licences} if made.licences else {}))


def move_into_place(finished: Path, target: Path) -> None:
    """Put a finished folder where it belongs, in one step; what stood there goes away."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        old = finished.parent / "replaced"
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        finished.rename(target)
        shutil.rmtree(old)
    else:
        finished.rename(target)


def print_summary(stage: str, out: Path, made: Made) -> None:
    """The three lines a stage ends with: what was made, what was refused and why, where to look."""
    said = lambda counts: ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
    print(f"{stage}: made {said(made.counts) or 'nothing'}")
    print(f"{stage}: refused {said(made.refused) or 'nothing'}")
    print(f"{stage}: look at {out / made.look if made.look else out}", flush=True)


@contextmanager
def stage_lock(stage: str) -> Iterator[None]:
    """At most one body of a stage at a time in this checkout, whoever started it; a second one waits."""
    path = RUNS / stage / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{stage}: another run of this stage is at work here; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def plain(value: Any) -> Any:
    """A params section (or any value in it) as plain JSON types."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


@contextmanager
def _disk_full_is_a_user_error(stage: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free_mb = shutil.disk_usage(".").free // 1_000_000
        raise UserError(
            f"the disk is full ({free_mb} MB free) while {stage} was writing {error.filename or RUNS / stage}: "
            "free some space and run again; it goes on from where it stopped"
        ) from None


def _parse_arguments(spec: StageSpec) -> None:
    parser = argparse.ArgumentParser(prog=f"python -m tasks.{spec.name}", formatter_class=argparse.RawDescriptionHelpFormatter, description=_help_text(spec))
    parser.parse_args()


def _help_text(spec: StageSpec) -> str:
    """Inputs, output, and the params section: every field with its sentence, unit and present value."""
    lines = [f"Stage {spec.name}: reads {', '.join(map(str, spec.inputs.values())) or 'no other stage'}; makes {spec.out}.", "", "Settings, in params.yaml:"]
    hints = {f.name: f for f in fields(Params)}
    try:
        params: Params | None = load_params("params.yaml")
    except UserError:
        params = None
    for section in spec.sections:
        value = getattr(params, section) if params else None
        lines.append(f"  {section}:" if is_dataclass(value) else f"  {section}: {value}  {hints[section].metadata['doc']}")
        lines += _setting_lines(value, "    ")
    return "\n".join([*lines, "", "`actial run` or `dvc repro` run this and all it needs; `actial why " + spec.name + "` says why it would run."])


def _setting_lines(section: Any, indent: str) -> list[str]:
    if not is_dataclass(section):
        return []
    lines = []
    for f in fields(section):
        value = getattr(section, f.name)
        lines += [f"{indent}{f.name}:" + ("" if is_dataclass(value) else f" {plain(value)}"), f"{indent}    {f.metadata.get('doc', '')}"]
        lines += _setting_lines(value, indent + "  ")
    return lines


def _only_name(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _folder_digest(path: Path) -> bytes:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return b"".join(os.fsencode(p.relative_to(path.parent)) + _sha256(p).encode() for p in files)


_VERSIONED = {  # what the bytes of a stage's output depend on
    "render_views": ("bpy", "blenderproc", "numpy", "opencv-contrib-python-headless", "pillow", "pyarrow"),
    "build_qa": ("numpy", "pyarrow", "scikit-learn", "scipy"),
    "sft": ("torch", "transformers", "trl", "peft", "accelerate"),
    "grpo": ("torch", "transformers", "trl", "peft", "accelerate"),
    "evaluate": ("numpy", "scikit-learn", "scipy", "torch", "transformers"),
}


def _versions(stage: str) -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in _VERSIONED.get(stage, ("numpy", "pyarrow"))}
