"""Kinds about things from rendered scenes to GRPO's prompts, a trace and exports: questions of one picture go the way of those of two."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from toy_scenes import make_project, run_stage

from actial.errors import UserError
from actial.export.export import export
from actial.prompts import IMAGE_MARK
from actial.records import SAT_KINDS, is_viewpoint
from actial.tables import read_conversations, read_questions
from actial.trace import trace

pytestmark = pytest.mark.slow

SCENES = {"companions": [4, 6], "two_state_share": 0.5, "displacement_m": [0.6, 1.4], "altered_share": 0.0, "fronts": False}
RENDERED = {"backend": "boxes", "n_scenes": 16, "views_per_scene": 6, "width_px": 84, "height_px": 84, "scenes": SCENES, "max_refused_share": 0.5}
DIRECT = {"modes": {"think": 0.0, "direct": 1.0, "describe": 0.0}, "share_2d": 0.0, "n_rows": 300}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {f"render_views__{key}": value for key, value in RENDERED.items()} | {f"cold_start_mix__{key}": value for key, value in DIRECT.items()}
    root = make_project(tmp_path_factory.mktemp("sat_stage") / "project", 0, **changes, build_qa__kinds=[*SAT_KINDS, "turn"], build_qa__audit__probes={})
    for stage in ("render_views", "build_qa", "cold_start_mix"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    return root


def test_the_card_tells_of_them(project: Path) -> None:
    card = (project / "outputs/build_qa/README.md").read_text(encoding="utf-8")
    assert "## Kinds about things" in card and "| depth | one | Which is nearer to the camera, {a} or {b}? |" in card and "| train | depth |" in card
    assert "one picture, or two of one scene" in card and "depth: about as far as each other" in card
    flat = read_questions(project / "outputs/build_qa/test_2d.parquet")
    assert all(len(q.view_ids) == 2 for q in flat)


def test_prompts_show_as_many_pictures_as_their_questions(project: Path) -> None:
    asked = {q.question_id: q for q in read_questions(project / "outputs/build_qa/rl.parquet")}
    prompts = read_conversations(project / "outputs/cold_start_mix/rl.parquet")
    assert len(prompts) == 2 * len(asked), "each, and its mirror image"
    shown = Counter()
    for c in prompts:
        assert c.messages[-1].content.count(IMAGE_MARK) == len(c.view_ids) and c.n_tokens > 0
        assert c.mode == "direct" or c.kind == "turn"
        shown[len(c.view_ids)] += 1
    assert shown[1] and shown[2] and {c.kind for c in prompts} <= {*SAT_KINDS, "turn"}
    rows = read_conversations(project / "outputs/cold_start_mix/sft.parquet")
    assert {c.kind for c in rows} & set(SAT_KINDS) and any(is_viewpoint(c.kind) for c in rows)


def test_one_question_about_one_picture_is_traced(project: Path) -> None:
    question = next(q for q in read_questions(project / "outputs/build_qa/rl.parquet") if len(q.view_ids) == 1)
    told = trace(question.question_id, project / "outputs")
    assert question.text in told and "conversations for rl" in told and "true motion" not in told and told.count("T_world_cam") == 1
    assert question.question_id in trace(question.view_ids[0], project / "outputs")
    with pytest.raises(UserError, match="nearest one"):
        trace(f"{question.view_ids[0]}.orbit", project / "outputs")


@pytest.mark.parametrize("to", ["hf", "vlmeval", "llamafactory"])
def test_exports_hold_them(project: Path, tmp_path: Path, to: str) -> None:
    said = export(project / "outputs", to, (), tmp_path / to, "commit 0123abc")
    assert "set aside nothing" in said, said
    assert len(list((tmp_path / to).rglob("*"))) >= 2
