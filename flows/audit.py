"""`actial audit`: the shortcut audit of any questions, with all probes or some, whatever the stage ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from actial.errors import UserError
from actial.params import load_params
from actial.questions.balance import SPLITS
from actial.questions.probes import LEARNERS
from actial.questions.readings import PROBES
from actial.questions.shortcut_table import audit_table, complaint
from actial.questions.shortcuts import audit_questions


def audit(questions: str, views: str, probes: Sequence[str] | None, n_ceiling: int | None) -> int:
    """Print the table for the questions of a folder or a Parquet file, by the settings in params.yaml, but with every learner.

    Args:
        probes: those that are run; all where None. A leak of one that the settings do not name never fails.
        n_ceiling: in place of the settings'.

    Returns:
        0, or 1 where a leak is larger than the settings allow.

    Raises:
        UserError: there are no questions, their views are not there, or there is no such probe.
    """
    if unknown := [name for name in probes or () if name not in PROBES]:
        raise UserError(f"there is no probe {unknown[0]}; name some of {', '.join(PROBES)}")
    params = load_params("params.yaml")
    stage = params.build_qa.audit
    allowed = {name: stage.probes.get(name, 1.0) for name in probes or PROBES}
    settings = replace(stage, probes=allowed, learners=tuple(LEARNERS), n_ceiling=stage.n_ceiling if n_ceiling is None else n_ceiling)
    found = audit_questions(question_files(Path(questions)), Path(views), settings, params.seed)
    print(audit_table(found), end="")
    said = complaint(found)
    if said:
        print(f"\n{said[0].upper()}{said[1:]}.")
    return 1 if said else 0


def question_files(path: Path) -> list[Path]:
    """The Parquet file named, or those of a folder: of a folder that build_qa made, its splits.

    Raises:
        UserError: there is none.
    """
    if path.is_file():
        return [path]
    files = [path / f"{name}.parquet" for name in SPLITS if (path / f"{name}.parquet").exists()] or sorted(path.glob("*.parquet"))
    if not files:
        raise UserError(f"{path} holds no questions (*.parquet): run build_qa first, or name another folder")
    return files
