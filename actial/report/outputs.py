"""What the stages have left in `outputs/`, read once for the report and for `actial trace`. What is not there is None or empty, never a zero."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from actial.errors import UserError
from actial.json_files import read_jsonl
from actial.mirror import mirrored_question, original_id
from actial.params import STAGES
from actial.records import Conversation, Question, Rollout, Verdict
from actial.shards import ViewStore, view_folders
from actial.tables import read_conversations, read_questions, read_rollouts

SPLITS = ("train", "rl", "val", "test", "test_2d")
MIXES = ("sft", "rl")
STAND_INS = ("oracle", "mirror", "random", "constant", "silent")
"""Models that know the truth and check the scorer (actial/evaluation/standins.py); no result of training."""


def in_order(model_and_mode: tuple[str, str]) -> tuple[int, str, int, str]:
    """Sorts base, sft, grpo and the stand-ins, each in the modes think, direct; others after them by name."""
    place = lambda name, known: known.index(name) if name in known else len(known)
    model, mode = model_and_mode
    return place(model, ("base", "sft", "grpo", *STAND_INS)), model, place(mode, ("think", "direct")), mode


@dataclass(frozen=True)
class Outputs:
    """The folder `outputs/`; each part is read when it is first asked for."""

    folder: Path
    scene_id: str | None = None
    """Where given, only the questions and conversations about this scene are read."""

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """By stage, for the stages that were run."""
        paths = {stage: self.folder / stage / "manifest.json" for stage in STAGES}
        return {stage: _read_json(path) for stage, path in paths.items() if path.exists()}

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """By stage, the params it was made with: from dvc.lock, which is written when a stage has run."""
        lock = self.folder.parent / "dvc.lock"
        if not lock.exists():
            return {}
        stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
        return {stage: entry["params"]["params.yaml"] for stage, entry in stages.items() if entry.get("params")}

    @cached_property
    def views(self) -> ViewStore | None:
        folders = view_folders(self.folder)
        return ViewStore(*folders) if folders else None

    @cached_property
    def captures(self) -> list[dict[str, Any]]:
        """What is told of each capture beside its views, by path; empty where scenes were composed."""
        path = self.folder / "render_views" / "captures.json"
        return list(_read_json(path).values()) if path.exists() else []

    @cached_property
    def assets(self) -> dict[str, dict[str, Any]]:
        """What is told of each asset, by path; empty where no folder of assets was read."""
        path = self.folder / "render_views" / "assets.json"
        return _read_json(path) if path.exists() else {}

    @cached_property
    def questions(self) -> dict[str, list[Question]]:
        """By split; those about a mirror image if conversations are about it."""
        paths = {split: self.folder / "build_qa" / f"{split}.parquet" for split in SPLITS}
        scene_id, original = self.scene_id, original_id(self.scene_id or "")
        mirrored = original is not None and any(self.conversations.values())
        found = {split: read_questions(path, original if mirrored else scene_id) for split, path in paths.items() if path.exists()}
        return {split: list(map(mirrored_question, questions)) for split, questions in found.items()} if mirrored else found

    @cached_property
    def conversations(self) -> dict[str, list[Conversation]]:
        """By use: sft, rl."""
        paths = {mix: self.folder / "cold_start_mix" / f"{mix}.parquet" for mix in MIXES}
        return {mix: read_conversations(path, self.scene_id) for mix, path in paths.items() if path.exists()}

    @cached_property
    def verdicts(self) -> list[Verdict]:
        paths = sorted((self.folder / "evaluate" / "records").glob("*.jsonl"))
        return [_verdict(row, path) for path in paths for row in read_jsonl(path)]

    @cached_property
    def scores(self) -> Any:
        path = self.folder / "evaluate" / "scores.json"
        if not path.exists():
            return None
        scores = _read_json(path)
        if not isinstance(scores, dict) or "models" not in scores:
            raise UserError(f"{path} is no table of scores: restore it with `dvc checkout`, or run evaluate again")
        return scores

    @cached_property
    def rollouts(self) -> list[Rollout]:
        path = self.folder / "grpo" / "rollouts.parquet"
        return read_rollouts(path) if path.exists() else []

    def curve(self, stage: str) -> list[dict[str, float | None]]:
        """The rows a trainer logged, numbers only; empty where the stage has not run."""
        path = self.folder / stage / "curve.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as lines:
            return curve_rows(lines)


def curve_rows(lines: Iterable[str]) -> list[dict[str, float | None]]:
    """The rows of a curve.csv."""
    return [{k: float(v) if v else None for k, v in row.items()} for row in csv.DictReader(lines)]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): restore it with `dvc checkout`, or run its stage again") from None


def _verdict(row: dict[str, Any], path: Path) -> Verdict:
    try:
        return Verdict(**row)
    except TypeError as error:
        raise UserError(f"{path} holds a row that is no verdict ({error}): run evaluate again") from None
