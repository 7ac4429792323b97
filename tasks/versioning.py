"""DVC, the one truth of what is fresh: the only module that imports it.

It is read in process (status, lock file) and written through its command line only (`dvc repro`), as a job that can be stopped.
Everything works in the current folder, which must be the project's.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from actial.errors import UserError
from actial.jobs import JobFailed, run_job
from actial.params import STAGES
from tasks.body import NO_DATA

if TYPE_CHECKING:
    from dvc.repo import Repo

Reasons = dict[str, str]
"""Why a stage is stale: what differs from dvc.lock -> how (modified, deleted, new, …). Empty for a clean stage."""

How = Literal["ran", "restored", "clean"]

LOCK_POLL_S = 1.0


@dataclass(frozen=True)
class StageRecord:
    """A stage's entry in dvc.lock: what it was last made from, and what came out."""

    cmd: str
    deps: dict[str, str]
    """md5 by path."""
    params: dict[str, Any]
    """Value by section of params.yaml."""
    out: str
    """md5 of its output folder."""


def require_checkout() -> None:
    """Check, without loading DVC, that the current folder is a project of ours.

    Raises:
        UserError: there is no dvc.yaml here, or the folder is under no DVC or no git.
    """
    here = Path.cwd()
    if not (here / "dvc.yaml").exists():
        raise UserError(f"{here} holds no dvc.yaml: run from the project's folder")
    if not (here / ".dvc").is_dir():
        raise UserError(_NO_DVC.format(here))
    if not any((folder / ".git").exists() for folder in (here, *here.parents)) and "no_scm" not in (here / ".dvc/config").read_text(encoding="utf-8"):
        raise UserError(_NO_GIT.format(here))


_NO_DVC = "{} is no DVC project: clone the project with git, or run `git init && dvc init` here"
_NO_GIT = "{} is not under git: clone the project with git, or run `git init` here"


def all_changes(log: Callable[[str], None] = print) -> dict[str, Reasons]:
    """Why each stage would run, in one pass of DVC; {} for one whose inputs, code, params and outputs are as in dvc.lock.

    Each is judged on its own: a stage below a stale one is clean as long as its own inputs are unchanged.

    Raises:
        UserError: the folder is no DVC checkout, dvc.yaml is invalid, or data that a stage reads is missing.
    """
    while True:
        _wait_for_writers(log)
        with _repo() as repo, _patient(log) as lock:
            status = repo.status(targets=["dvc.yaml"])  # asked by their names, DVC would read dvc.yaml and dvc.lock anew for each stage
        if not lock.busy:
            break
    _refuse_missing_data()
    return {stage: _reasons(stage, status.get(stage, [])) for stage in STAGES}


def _refuse_missing_data() -> None:
    entries = _stages_in(Path("dvc.yaml"))
    maker = _makers(entries)
    for stage, entry in entries.items():
        for dep in entry.get("deps", ()):
            if not dep.endswith(".py") and _maker_of(dep, maker) is None and not Path(dep).exists():
                raise UserError(NO_DATA.format(stage, dep))


class Freshness:
    """What DVC says of all stages, asked in one pass, and asked anew only when one may have run: in between a flow writes nothing that DVC watches."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._changes: dict[str, Reasons] | None = None

    def reasons(self, stage: str) -> Reasons:
        """Why a stage would run, as in `all_changes`."""
        if self._changes is None:
            self._changes = all_changes(self._log)
        return self._changes[stage]

    def forget(self) -> None:
        """To be called whenever a stage may have run."""
        self._changes = None


def ancestors(stage: str) -> tuple[str, ...]:
    """The stages whose outputs a stage reads, directly or not, in pipeline order."""
    entries = _stages_in(Path("dvc.yaml"))
    maker = _makers(entries)
    above: set[str] = set()
    waiting = [stage]
    while waiting:
        makers = {_maker_of(dep, maker) for dep in entries[waiting.pop()].get("deps", ())}
        new = {name for name in makers if name is not None} - above
        above |= new
        waiting += new
    return tuple(s for s in STAGES if s in above)


def _makers(entries: dict[str, Any]) -> dict[str, str]:
    """The stage that makes each output."""
    return {out if isinstance(out, str) else next(iter(out)): name for name, entry in entries.items() for out in entry["outs"]}


def _maker_of(dep: str, maker: dict[str, str]) -> str | None:
    """The stage that makes what another depends on, which may be a part of its output; None where none does."""
    path = Path(dep)
    return next((maker[above.as_posix()] for above in (path, *path.parents) if above.as_posix() in maker), None)


def locked(stage: str) -> StageRecord:
    """What dvc.lock says about a stage.

    Raises:
        KeyError: the stage has no entry: it has not been made here.
    """
    entry = _stages_in(Path("dvc.lock"))[stage]
    md5s = lambda kind: {item["path"]: item["md5"] for item in entry.get(kind, [])}
    params = {key: value for file in entry.get("params", {}).values() for key, value in file.items()}
    return StageRecord(entry["cmd"], md5s("deps"), params, entry["outs"][0]["md5"])


def _stages_in(path: Path) -> dict[str, Any]:
    """The stages of dvc.yaml or dvc.lock; {} where there is no such file."""
    return _parsed_stages(path.read_text(encoding="utf-8")) if path.exists() else {}


@functools.lru_cache(maxsize=2)
def _parsed_stages(text: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times as fast, where PyYAML was built with it
    return (yaml.load(text, loader) or {}).get("stages", {})


def output_md5(stage: str) -> str:
    """What DVC calls a stage's output; empty where it was never made."""
    try:
        return locked(stage).out
    except KeyError:
        return ""


def why_text(reasons: Reasons, most: int = 6) -> str:
    """Reasons as one line: `params.yaml: sft.n_steps 60 -> 80, tasks/sft.py modified`."""
    said = [f"{what} {how}" for what, how in reasons.items()]
    return ", ".join(said[:most]) + (f" and {len(said) - most} more" if len(said) > most else "")


def reproduce(stage: str, log: Callable[[str], None], force: bool = False, env: dict[str, str] | None = None) -> How:
    """Bring one stage up to date with `dvc repro --single-item`; its output goes to `log` while it runs.

    Where another DVC process is at work on the same files, it is waited for.

    Raises:
        UserError: the stage refused its params or inputs, or the folder is no DVC checkout.
        JobFailed: the stage failed.
    """
    # --wait-for-lock: a stage that ran for hours must not fail because someone looks at `dvc status` when it ends
    cmd = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *(["--force"] if force else []), stage]
    waiting = False
    while True:
        lines: list[str] = []

        def heard(line: str, lines: list[str] = lines) -> None:
            lines.append(line)
            if not any(says in line for says in _BUSY + _ADVICE):
                log(line)

        try:
            run_job(cmd, heard, env)
        except JobFailed:
            began = any(line.startswith(f"Running stage '{stage}'") for line in lines)
            if not began and any(says in line for line in lines for says in _BUSY):
                if not waiting:
                    log(f"{stage}: another DVC process is at work on its files; waiting for it")
                waiting = True
                time.sleep(LOCK_POLL_S)
                continue
            raise
        return _how(stage, lines)


_ADVICE = ("To track the changes with git", "git add dvc.lock", "To enable auto staging", "dvc config core.autostage", "Use `dvc push`")
_BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")


def _how(stage: str, lines: list[str]) -> How:
    said: dict[str, How] = {
        f"Running stage '{stage}'": "ran",
        f"Stage '{stage}' is cached - skipping run, checking out outputs": "restored",
        f"Stage '{stage}' didn't change, skipping": "clean",
    }
    for line in lines:
        for sentence, how in said.items():
            if line.startswith(sentence):
                return how
    raise RuntimeError(f"dvc did not say what it did with {stage}: {lines}")


@contextmanager
def _repo() -> Iterator[Repo]:
    """A fresh `Repo` (it remembers what it saw) on the current folder."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with Repo(".") as repo:
            _ = repo.scm
            yield repo
    except NotDvcRepoError:
        raise UserError(_NO_DVC.format(Path.cwd())) from None
    except SCMError:
        raise UserError(_NO_GIT.format(Path.cwd())) from None
    except DvcException as error:
        raise UserError(f"dvc: {error}") from None
    except (FileNotFoundError, PermissionError) as error:
        raise UserError(f"DVC cannot read {error.filename} ({error.strerror}), which a stage depends on: remove it, or mend what it leads to") from None


_RWLOCK = Path(".dvc/tmp/rwlock")
"""Where DVC notes who reads and writes which files, as JSON."""


def _wait_for_writers(log: Callable[[str], None]) -> None:
    """Wait while a process runs a stage: asking for the status meanwhile takes the lock that it needs when its stage ends, and it would not wait long."""
    import psutil

    waiting = False
    while True:
        try:
            writers = json.loads(_RWLOCK.read_text(encoding="utf-8")).get("write", {}).values()
        except (FileNotFoundError, json.JSONDecodeError):  # none yet, or it is being written
            writers = []
        if not any(psutil.pid_exists(writer["pid"]) for writer in writers):
            return
        if not waiting:
            log("another DVC process is at work; waiting for it")
        waiting = True
        time.sleep(LOCK_POLL_S)


@dataclass
class _Lock:
    busy: bool = False


@contextmanager
def _patient(log: Callable[[str], None]) -> Iterator[_Lock]:
    """Around a read that DVC refuses while another process holds its lock: says so and sets `busy` instead of raising."""
    from dvc.lock import LockError

    lock = _Lock()
    try:
        yield lock
    except LockError:
        lock.busy = True
        log("another DVC process is at work; waiting for it")
        time.sleep(LOCK_POLL_S)


def _reasons(stage: str, status: list[Any]) -> Reasons:
    reasons: Reasons = {}
    for entry in status:
        if isinstance(entry, str):
            reasons[entry.removeprefix("changed ")] = "modified"
            continue
        for path, how in entry.get("changed deps", {}).items():
            if isinstance(how, dict):  # params.yaml: {dotted key: how}
                for section, how_section in how.items():
                    reasons |= _edited_settings(stage, path, section) or {f"{path}: {section}": how_section}
            else:
                reasons[path] = how
        reasons |= {f"output {path}": how for path, how in entry.get("changed outs", {}).items()}
    if reasons and not output_md5(stage):
        return {"its output": "was never made here"}
    return reasons


def _edited_settings(stage: str, path: str, section: str) -> Reasons:
    """What differs inside a params section, key by key; DVC itself only names the section."""
    try:
        before = locked(stage).params[section]
    except KeyError:
        return {}
    now = (yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}).get(section)
    old, new = _flat(before, section), _flat(now, section)
    keys = [*new, *(key for key in old if key not in new)]
    said = lambda values, key: json.dumps(values[key], ensure_ascii=False) if key in values else "absent"
    return {f"{path}: {key}": f"{said(old, key)} -> {said(new, key)}" for key in keys if old.get(key, _ABSENT) != new.get(key, _ABSENT)}


_ABSENT = object()


def _flat(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    return {k: v for name, below in value.items() for k, v in _flat(below, f"{key}.{name}").items()}
