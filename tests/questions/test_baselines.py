"""The rows beside chance: who reads only the words, one picture or how things slide finds what was planted there for it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import plant

from actial.questions.baselines import BASELINES, LEAST_TAUGHT, baseline_answers
from actial.questions.view_angles import rotations_deg
from actial.records import Question
from actial.shards import ViewStore
from actial.tables import read_questions, write_questions

N = 900


def split(folder: Path, n_taught: int = 600) -> tuple[list[Question], ViewStore]:
    """Writes `train.parquet`; returns the other questions."""
    questions = read_questions(folder / "questions.parquet")
    write_questions(folder / "train.parquet", questions[:n_taught])
    taught = {q.scene_id for q in questions[:n_taught]}
    return [q for q in questions[n_taught:] if q.scene_id not in taught], ViewStore(folder / "views")


@pytest.mark.parametrize(
    ("leak", "found_by"), [("text", {"text only"}), ("letter", {"text only"}), ("first", {"first picture"}), ("shift", {"2D probe"}), ("none", set())]
)
def test_each_finds_what_it_can_read(tmp_path: Path, leak: str, found_by: set[str]) -> None:
    asked, store = split(plant(tmp_path, leak, N))
    answers = baseline_answers(tmp_path / "train.parquet", asked, store, 7)
    sides = [q for q in asked if q.label_of(q.truth) != "none"]
    right = {name: np.mean([letters[q.question_id] == q.truth for q in sides]) for name, letters in answers.items()}
    assert all(right[name] > 0.65 for name in found_by), right
    assert right["text only"] < 0.6 or "text only" in found_by
    assert answers == baseline_answers(tmp_path / "train.parquet", asked[::-1], store, 7), "the order of the questions changes nothing"


def test_who_was_taught_nothing_answers_nothing(tmp_path: Path) -> None:
    asked, store = split(plant(tmp_path, "none", 400), LEAST_TAUGHT - 1)
    nothing = {name: {} for name in BASELINES}
    assert baseline_answers(tmp_path / "train.parquet", asked, store, 7) == nothing, "too few"
    assert baseline_answers(tmp_path / "no.parquet", asked, store, 7) == nothing, "no training questions"
    write_questions(tmp_path / "train.parquet", read_questions(tmp_path / "questions.parquet")[:LEAST_TAUGHT])
    other = [replace(q, kind="place_2d") for q in asked]
    assert baseline_answers(tmp_path / "train.parquet", other, store, 7) == nothing, "another kind"


def test_the_angle_between_cameras_is_scipys(tmp_path: Path) -> None:
    from scipy.spatial.transform import Rotation

    asked, store = split(plant(tmp_path, "none", 40), 10)
    found = rotations_deg(asked, store)
    for q in asked:
        one, other = (Rotation.from_matrix(store[view_id].camera.pose()[:3, :3]) for view_id in q.view_ids)
        assert found[q.question_id] == pytest.approx(np.degrees((one.inv() * other).magnitude()), abs=1e-6)
    assert rotations_deg([replace(q, view_ids=q.view_ids[:1]) for q in asked], store) == {}
