"""Questions distributed as the published ones: what their cameras and answers are, and the table they stand in beside ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import audit
import numpy as np
import pytest
from auditing.published import ANGLE_DEG, published

from actial.geometry.angles import motion_between
from actial.questions.balance import SPLITS
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.records import Question
from actial.shards import ViewStore
from actial.tables import read_questions

N_SCENES = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    audit.write_scenes(folder, N_SCENES, audit.of_paper)
    settings = replace(published(audit.TINY.build_qa), held_out_families=())
    build_questions(scan_scenes(folder / "views"), folder / "out", settings, audit.SEED)
    return folder


@pytest.fixture(scope="module")
def questions(made: Path) -> list[Question]:
    return [q for name in SPLITS for q in read_questions(made / "out" / f"{name}.parquet")]


def test_two_level_cameras_on_one_circle_aimed_at_the_object(made: Path) -> None:
    scenes = list(ViewStore(made / "views").scenes().values())
    assert len(scenes) == N_SCENES and {len(views) for views in scenes} == {2}
    angles_deg = []
    for first, second in scenes:
        T1, T2 = (view.camera.pose() for view in (first, second))
        center = first.objects[0].center()
        motion = motion_between(T1[None], T2[None], center[None])
        angles_deg.append(abs(float(motion.orbit_deg[0])))
        assert abs(motion.turn_deg[0] - motion.orbit_deg[0]) < 7, "who circles a thing and looks at it turns by as much"
        assert abs(motion.radial_log[0]) < 0.07 and abs(motion.up_r[0]) < 0.08, "at one height and distance"
        assert max(abs(T[2, 0]) for T in (T1, T2)) < 1e-9, "held level"
    assert ANGLE_DEG[0] <= min(angles_deg) < 35 and 85 < max(angles_deg) <= ANGLE_DEG[1]


def test_none_is_offered_and_never_right_and_both_sides_as_often(questions: list[Question]) -> None:
    assert {len(q.options) for q in questions} == {3} and all("none" in q.labels for q in questions)
    truths = Counter((q.kind, q.label_of(q.truth)) for q in questions)
    assert {label for _, label in truths} == {"left", "right"}
    for kind in ("lateral", "turn", "perspective"):
        assert truths[kind, "left"] == truths[kind, "right"] > 0.9 * N_SCENES
    one_bit = {(q.view_ids, {"lateral": "right", "turn": "left", "perspective": "left"}[q.kind] == q.label_of(q.truth)) for q in questions}
    assert len(one_bit) == len({q.view_ids for q in questions}), "the three kinds are one bit of a pair"


def test_one_table_shows_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("actial.questions.shortcuts.LEAST_QUESTIONS", 40)
    monkeypatch.setattr(audit, "LEARNERS", {"linear": None})
    monkeypatch.setattr(audit, "TINY", replace(audit.TINY, build_qa=replace(audit.TINY.build_qa, caliper=None)))  # few scenes hold few twins
    ours, paper = audit.both_audited(tmp_path, 16)
    lines = audit.table_of_both(ours, paper).splitlines()
    assert {line.split(" | ")[0] for line in lines[2:-2]} == {"| lateral", "| turn", "| perspective"}
    assert {line.count(" | ") for line in lines[:1] + lines[2:-2]} == {7}
    assert lines[-1].startswith("Questions: ours ")
    (of_lateral,) = (line.split(" | ") for line in lines if " | the answer to lateral | " in line)
    n_scenes = paper.turn_from_lateral[1].n_clusters
    least = float(of_lateral[6].removeprefix("100.0 % (").removesuffix(" to 100.0)"))
    assert (least / 100) ** n_scenes == pytest.approx(0.05, rel=0.05), "were that many right in truth, all would be one time in twenty"
    assert of_lateral[7] == "**leak** |"
    of_text = [line.split(" | ") for line in lines if " | text | " in line]
    assert [cells[5].strip() for cells in of_text] == ["50.0 %"] * 3, "where none is never right, guessing has half"
    assert np.all(["33." in cells[2] for cells in of_text])
