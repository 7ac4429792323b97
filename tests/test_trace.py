"""trace: every record that descends from an id, with numbers that are those on disk."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_outputs import HOSTILE, toy_conversation, write_toy_outputs

from actial import ids
from actial.errors import UserError
from actial.geometry.angles import motion_between
from actial.mirror import mirrored_question
from actial.records import Question
from actial.report.outputs import Outputs
from actial.tables import read_conversations, write_conversations
from actial.trace import trace

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trace") / "outputs"
    write_toy_outputs(folder)
    return folder


@pytest.fixture(scope="module")
def asked(outputs: Path) -> Question:
    """The first test question that models were asked."""
    found = Outputs(outputs)
    return next(q for q in found.questions["test"] if q.question_id == found.verdicts[0].question_id)


def test_a_test_question_is_told_from_the_camera_to_the_decimal(outputs: Path, asked: Question) -> None:
    told = trace(asked.question_id, outputs)
    found = Outputs(outputs)
    assert found.views is not None
    first, second = (found.views[v] for v in asked.view_ids)
    for view in (first, second):
        x, y, z = view.camera.pose()[:3, 3]
        assert f"at ({x:.3f}, {y:.3f}, {z:.3f}) m" in told
    motion = motion_between(first.camera.pose()[None], second.camera.pose()[None], first.objects[0].center())
    for name, value in motion._asdict().items():
        assert re.search(rf"^  {name} +{re.escape(f'{value[0]:+.4f}')}$", told, re.MULTILINE), name
    assert f"{asked.deciding_quantity} = {asked.deciding_value:+.4f}" in told
    assert re.search(rf"^    {asked.truth}\. .* <- truth$", told, re.MULTILINE)
    of_question = [v for v in found.verdicts if ids.question_of(v.question_id) == asked.question_id]
    assert len(re.findall(r"( tokens|counts as wrong)$", told, re.MULTILINE)) == len(of_question)
    assert (
        [v.condition for v in of_question].count("plain") == 16 and "sft / think / sampled" in told and "grpo / think / same_twice, where none is right" in told
    )
    scores = found.scores["models"]
    contributions = re.findall(r"of n=(\d+) in (\w+)/(\w+): (\d+) right, accuracy ([\d.]+); [\d.]+ of [\d.]+ in \w+/overall: accuracy ([\d.]+)", told)
    expected = [
        (
            str(scores[m][mode][asked.kind]["n"]),
            mode,
            asked.kind,
            f"{scores[m][mode][asked.kind]['accuracy']:.3f}",
            f"{scores[m][mode]['overall']['accuracy']:.3f}",
        )
        for m in ("base", "sft", "grpo")
        for mode in ("think", "direct")
    ]
    assert [(n, mode, kind, share, overall) for n, mode, kind, _, share, overall in contributions] == expected


def test_the_contributions_of_all_questions_add_up_to_the_score(outputs: Path) -> None:
    found = Outputs(outputs)
    total, n_counted = 0.0, 0.0
    for question_id in {v.question_id for v in found.verdicts if v.condition == "plain"}:
        (part, n) = re.findall(r"; ([\d.]+) of ([\d.]+) in think/overall", trace(question_id, outputs).split("grpo / think:")[1])[0]
        total, n_counted = total + float(part), float(n)
    assert total / n_counted == pytest.approx(found.scores["models"]["grpo"]["think"]["overall"]["accuracy"], abs=1e-3)


def test_a_training_question_is_told_with_its_conversations(outputs: Path) -> None:
    row = Outputs(outputs).conversations["sft"][0]
    told = trace(row.question_id, outputs)
    assert "conversations for sft" in told and f"mode {row.mode}, {row.n_tokens} tokens, prompt {row.prompt_sha}" in told
    for message in row.messages:
        assert message.content.splitlines()[0] in told
    assert "answers  (" not in told and "rollouts" not in told


def test_a_prompt_of_grpo_is_told_with_all_its_rollouts(outputs: Path) -> None:
    rollouts = Outputs(outputs).rollouts
    question_id = rollouts[0].question_id
    told = trace(f"{question_id}#5", outputs)
    n = sum(r.question_id == question_id for r in rollouts)
    assert f"{n} GRPO rollouts" in told
    assert told.count("  step ") == n
    assert "accuracy 1, format 1" in told


def test_a_view_and_a_scene_name_all_that_descends_from_them(outputs: Path, asked: Question) -> None:
    everything = [q for of_split in Outputs(outputs).questions.values() for q in of_split if q.scene_id == asked.scene_id]
    of_scene, of_view = trace(asked.scene_id, outputs), trace(asked.view_ids[1], outputs)
    assert all(q.question_id in of_scene for q in everything)
    assert {q.question_id for q in everything if q.question_id in of_view} == {q.question_id for q in everything if asked.view_ids[1] in q.view_ids}
    assert "grpo/think " in of_scene


def test_a_pair_is_told_with_its_questions_and_descriptions(outputs: Path, tmp_path: Path) -> None:
    question = Outputs(outputs).questions["train"][0]
    pair = ids.group_id(*question.view_ids)
    (tmp_path / "cold_start_mix").mkdir()
    (tmp_path / "render_views").symlink_to(outputs / "render_views")
    (tmp_path / "build_qa").symlink_to(outputs / "build_qa")
    rows = read_conversations(outputs / "cold_start_mix" / "sft.parquet")
    described = toy_conversation(question, "describe", "sft")
    described = type(described)(**{name: getattr(described, name) for name in described.__slots__} | {"question_id": f"{pair}.describe"})
    write_conversations(tmp_path / "cold_start_mix" / "sft.parquet", [*rows, described, described])
    of_pair = trace(pair, tmp_path)
    assert of_pair.count("in the mix 2 times") == 1
    assert "mode describe" in of_pair and f"question {question.question_id}" in of_pair
    assert of_pair.count("true motion") == 1
    assert "mode describe" in trace(f"{pair}.describe", tmp_path)
    assert "mode describe" not in trace(question.question_id, tmp_path)


def test_a_row_about_a_mirror_image_is_told_with_its_mirrored_cameras(outputs: Path, tmp_path: Path) -> None:
    shutil.copytree(outputs, tmp_path, dirs_exist_ok=True)
    question = Outputs(outputs).questions["train"][0]
    image = mirrored_question(question)
    assert image.question_id not in trace(image.scene_id, tmp_path)
    write_conversations(tmp_path / "cold_start_mix" / "sft.parquet", [toy_conversation(image, "think", "sft")])
    told, plain = trace(image.question_id, tmp_path), trace(question.question_id, tmp_path)
    turn = re.compile(r"^  turn_deg +([+-])([\d.]+)$", re.MULTILINE)
    (sign, size), (plain_sign, plain_size) = (turn.findall(text)[0] for text in (told, plain))
    assert size == plain_size and sign != plain_sign
    assert re.search(rf"^    {image.truth}\. .* <- truth$", told, re.MULTILINE) and image.question_id in trace(image.scene_id, tmp_path)
    assert "mode think" in told and "mode think" not in trace(f"{image.scene_id}.v00", tmp_path)


def test_control_characters_of_a_model_do_not_reach_the_terminal(outputs: Path, asked: Question, tmp_path: Path) -> None:
    records = tmp_path / "evaluate" / "records"
    records.mkdir(parents=True)
    for name in ("render_views", "build_qa"):
        (tmp_path / name).symlink_to(outputs / name)
    verdict = json.loads((outputs / "evaluate" / "records" / "sft-think.jsonl").read_text(encoding="utf-8").split("\n")[0])
    (records / "sft-think.jsonl").write_text(json.dumps(verdict | {"completion": f"\x1b[2J\x07{HOSTILE}\nsecond line"}) + "\n", encoding="utf-8")
    told = trace(verdict["question_id"], tmp_path)
    assert "\\x1b[2J\\x07I think" in told and "\n    second line" in told
    assert all(c == "\n" or c.isprintable() for c in told)


@pytest.mark.parametrize("change", [lambda q: q + "x", lambda q: q.replace("scene-", "scene"), lambda q: q.split(".")[0] + ".v99", lambda q: "nonsense"])
def test_an_unknown_id_is_answered_with_the_nearest_one(outputs: Path, asked: Question, change) -> None:  # type: ignore[no-untyped-def]  # a lambda above
    with pytest.raises(UserError, match=r"no record in .* has the id .*; the nearest one is (scene-\d{6}[^ ]*)$") as refused:
        trace(change(asked.question_id), outputs)
    nearest = str(refused.value).rsplit(" ", 1)[1]
    assert trace(nearest, outputs).startswith(nearest)
    if change(asked.question_id).endswith("x"):
        assert nearest == asked.question_id


def test_the_command_line(outputs: Path, asked: Question, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "actial.trace", asked.question_id, "--outputs"]
    done = subprocess.run([*call, str(outputs)], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == trace(asked.question_id, outputs) + "\n"
    refused = subprocess.run([*call, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True)
    assert refused.returncode == 2 and "no views to trace" in refused.stderr and "Traceback" not in refused.stderr
