"""`actial plan`, `actial why` and `actial use`: what would run, and which settings it would run with."""

from __future__ import annotations

import difflib
import shutil
import subprocess
from pathlib import Path

from actial.errors import UserError
from actial.params import STAGES, load_params
from flows.results import INSTALLED_PROFILES
from tasks import versioning
from tasks.body import durations_s, stage_spec

PARAMS = Path("params.yaml")
PROFILES = Path("profiles")
"""Of the project; outside of one those hold that came with the program."""


def plan() -> int:
    """Print for every stage whether it would run, how long it last took, and why.

    Raises:
        UserError: params.yaml is invalid, or this is no checkout.
    """
    versioning.require_checkout()
    load_params(PARAMS)
    changes = versioning.all_changes()
    rows, expected_s, unknown = [], 0.0, []
    for stage in STAGES:
        would, why = verdict(stage, changes)
        took = durations_s(stage)
        rows.append((stage, would, f"{took[-1]:.1f} s" if took else "never ran", why))
        if would != "fresh":
            expected_s += took[-1] if took else 0.0
            unknown += [] if took else [stage]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    print("\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]).rstrip() for row in rows))
    if any(row[1] != "fresh" for row in rows):
        print(f"at most {expected_s:.0f} s by the last runs" + (f", and what {', '.join(unknown)} take, which never ran here" if unknown else ""))
    return 0


def verdict(stage: str, changes: dict[str, versioning.Reasons]) -> tuple[str, str]:
    """What would happen to a stage (fresh, run, restore or run, perhaps run) and why."""
    above = [s for s in versioning.ancestors(stage) if changes[s]]
    not_yet = {stage_spec(s).out for s in above}  # these are brought up to date first, and may come out as they were
    reasons = {what: how for what, how in changes[stage].items() if not_yet.isdisjoint([Path(what), *Path(what).parents])}
    if not reasons:
        return ("perhaps run", f"runs if {', '.join(above)} give another output") if above else ("fresh", "")
    only_outputs = all(what.startswith("output ") for what in reasons)
    return "restore or run" if only_outputs else "run", versioning.why_text(reasons)


def why(stage: str) -> int:
    """Print every reason why a stage is stale, also those above it.

    Raises:
        UserError: this is no checkout.
    """
    versioning.require_checkout()
    changes = versioning.all_changes()
    would, because = verdict(stage, changes)
    print(
        f"{stage}: {would}" + ("; dvc.lock matches its inputs, code, params and outputs" if would == "fresh" else f"; {because}" if not changes[stage] else "")
    )
    for name in (stage, *reversed(versioning.ancestors(stage))):
        if changes[name]:
            print(f"{name} is stale:\n" + "\n".join(f"  {what} {how}" for what, how in changes[name].items()))
    return 0


def use(profile: str) -> int:
    """Copy a profile to params.yaml.

    Raises:
        UserError: there is no such profile, it is invalid, or params.yaml holds edits that stand nowhere else.
    """
    folder = _profiles()
    source = folder / f"{profile}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if profile not in known:
        near = difflib.get_close_matches(profile, known, n=1, cutoff=0.0)
        raise UserError(f"there is no profile {profile} in {folder.resolve()}" + (f"; the nearest is {near[0]} (of {', '.join(known)})" if near else ""))
    load_params(source)
    if PARAMS.exists() and not _is_saved(PARAMS):
        raise UserError(f"{PARAMS} holds edits that stand in no profile and no commit: commit it, or copy it to {PROFILES}/<name>.yaml, then use {profile}")
    unfinished = PARAMS.with_name(f".{PARAMS.name}.unfinished")
    shutil.copyfile(source, unfinished)
    unfinished.replace(PARAMS)
    print(f"{PARAMS} is now profile {profile}" + ("; `actial plan` says what it would run" if Path("dvc.yaml").exists() else ""))
    return 0


def _profiles() -> Path:
    return PROFILES if PROFILES.is_dir() else INSTALLED_PROFILES


def _is_saved(path: Path) -> bool:
    """Whether this very content is a profile's, or stands in git."""
    content = path.read_bytes()
    if any(profile.read_bytes() == content for profile in _profiles().glob("*.yaml")):
        return True
    blob = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=False)
    return blob.returncode == 0 and subprocess.run(["git", "cat-file", "-e", blob.stdout.strip()], capture_output=True, check=False).returncode == 0
