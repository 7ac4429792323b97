"""A small but whole `outputs/` made of the real records, by the real writers and scorer: for tests of the report and of trace.

Three test scenes, one scene of each other split, four views each. The "trained" models are written down here, wrong and unreadable answers included.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from actial import ids
from actial.evaluation.score import score, verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at
from actial.geometry.projection import intrinsics, project
from actial.params import load_params
from actial.prompts import completion_text, prompt_messages, prompt_sha
from actial.records import Camera, Conversation, Message, Mode, Question, Rollout, SceneObject, Verdict, View
from actial.report.sketch import footprint
from actial.shards import ViewWriter, encode_png, write_conversations, write_json, write_questions, write_rollouts
from tasks.body import Made, write_manifest

ROOT = Path(__file__).parents[2]
SIZE_PX = 84
HOSTILE = 'I think </script><script>document.title="pwned"</script><img src=x onerror="document.title=1"> & "left" <answer>A</answer> \u2028 ]]>'
"""A completion that attacks the page it is shown in."""

ATTACKED_SPLIT, SPLIT_OF_SCENE = "test", {0: "train", 1: "rl", 2: "val", 3: "test", 4: "test", 5: "test"}
MODELS = ("base", "sft", "grpo")
MODES: tuple[Mode, ...] = ("think", "direct")
_COLORS = {"red": (216, 58, 52), "blue": (60, 111, 214), "green": (63, 158, 77), "gray": (141, 144, 150)}


def write_toy_outputs(outputs: Path, n_pairs: int = 4) -> list[Question]:
    """Write `outputs` whole; returns the test questions (a pair gives two)."""
    params = load_params(ROOT / "profiles" / "tiny.yaml")
    views = [v for scene in SPLIT_OF_SCENE for v in toy_views(scene)]
    with ViewWriter(outputs / "render_views" / "views", shard_mb=64) as writer:
        for view in views:
            writer.add(view, encode_png(toy_picture(view)))
    write_manifest(outputs / "render_views", "render_views", params, Made({"views": len(views), "scenes": 6}, {"the subject leaves the picture": 2}, "views"))

    questions: dict[str, list[Question]] = {split: [] for split in ("train", "rl", "val", "test")}
    for scene, split in SPLIT_OF_SCENE.items():
        questions[split] += toy_questions([v for v in views if v.scene_id == ids.scene_id(scene)], n_pairs)
    for split, of_split in questions.items():
        write_questions(outputs / "build_qa" / f"{split}.parquet", of_split)
    write_manifest(outputs / "build_qa", "build_qa", params, Made({f"{k} questions": len(v) for k, v in questions.items()}, {"margin too small": 5}, ""))

    for mix, split in (("sft", "train"), ("rl", "rl")):
        rows = [_conversation(q, mode, mix) for q in questions[split] for mode in MODES]
        write_conversations(outputs / "cold_start_mix" / f"{mix}.parquet", rows)
    write_manifest(outputs / "cold_start_mix", "cold_start_mix", params, Made({"sft rows": 16, "rl rows": 16}, {}, ""))
    write_toy_training(outputs, questions["rl"])
    for stage in ("sft", "grpo"):
        write_manifest(outputs / stage, stage, params, Made({"steps": 40}, {}, "curve.csv"))
    write_toy_records(outputs, questions["test"])
    write_manifest(outputs / "evaluate", "evaluate", params, Made({"verdicts": len(questions["test"]) * 6}, {}, "scores.json"))
    return questions["test"]


def toy_views(scene: int, n_views: int = 4) -> list[View]:
    """Views of one scene: a red box with a blue sphere on it, a green companion, cameras on an orbit."""
    at = lambda x, y, z: tuple(np.block([[np.eye(3), np.array([[x], [y], [z]])], [np.zeros((1, 3)), np.ones((1, 1))]]).ravel())  # noqa: E731
    objects = (
        SceneObject("subject", "composite", "stacked", "", at(0, 0, 0.5), (1.0, 0.6, 1.0)),
        SceneObject("part-0", "box", "stacked", "red", at(0, 0, 0.3), (1.0, 0.6, 0.6), part_of="subject"),
        SceneObject("part-1", "sphere", "stacked", "blue", at(0.2, 0, 0.8), (0.4, 0.4, 0.4), part_of="subject"),
        SceneObject("companion-0", "cylinder", "companion", "green", at(-1.1, 0.7, 0.25), (0.3, 0.3, 0.5)),
    )
    K = tuple(intrinsics(SIZE_PX, SIZE_PX, 50).ravel())
    found = []
    for i in range(n_views):
        azimuth_rad = np.radians(100 * scene + 50 * i)
        eye = np.array([3 * np.cos(azimuth_rad), 3 * np.sin(azimuth_rad), 1.4])
        pose = look_at(eye, np.array([0, 0, 0.4]))
        camera = Camera(SIZE_PX, SIZE_PX, K, tuple(pose.ravel()))
        found.append(View(ids.view_id(ids.scene_id(scene), i), ids.scene_id(scene), camera, objects, "boxes", "CC0-1.0"))
    return found


def toy_picture(view: View) -> np.ndarray:
    """(h, w, 3) uint8: every object's footprint at its top and bottom, filled, far ones first."""
    import cv2

    picture = np.full((view.camera.height_px, view.camera.width_px, 3), 225, np.uint8)
    K, T = view.camera.intrinsics(), view.camera.pose()
    for o in sorted(view.objects[1:], key=lambda o: -float(np.linalg.norm(o.center() - T[:3, 3]))):
        outline = footprint(o)
        z = [np.full(len(outline), o.center()[2] + s * o.size_m[2] / 2) for s in (-1, 1)]
        uv, _ = project(np.concatenate([np.column_stack([outline[:, :2], h]) for h in z]), K, T)
        cv2.fillConvexPoly(picture, cv2.convexHull(uv.astype(np.float32)).astype(np.int32), _COLORS[o.color])
    return picture


def toy_questions(views: list[View], n_pairs: int) -> list[Question]:
    """Two kinds about each of the first `n_pairs` ordered pairs, with true answers."""
    found = []
    for first, second in [(a, b) for a in views for b in views if a is not b][:n_pairs]:
        motion = motion_between(first.camera.pose()[None], second.camera.pose()[None], first.objects[0].center())
        pair = ids.pair_id(first.view_id, second.view_id)
        for kind, quantity, value, text in (
            ("ego_lateral", "lateral_r", motion.lateral_r[0], "Between the two pictures, to which side did the camera move?"),
            (
                "orbit",
                "orbit_deg",
                -motion.orbit_deg[0],
                "Seen from above, which way round the object did the camera go: left for clockwise, right for counter-clockwise?",
            ),
        ):
            labels = ("right", "none", "left")
            truth = "right" if value > 0 else "left"
            options = ("to the right", "it did not move", "to the left")
            found.append(
                Question(
                    question_id=ids.question_id(pair, kind),
                    kind=kind,
                    family_id=pair,
                    view_ids=(first.view_id, second.view_id),
                    text=text,
                    options=options,
                    labels=labels,
                    truth="ABC"[labels.index(truth)],
                    deciding_quantity=quantity,
                    deciding_value=float(value),
                    margin=abs(float(value)) / 0.15 - 1,
                    scene_id=first.scene_id,
                    tied_class="side",
                    source="boxes",
                )
            )
    return found


def toy_completion(model: str, mode: Mode, place: int, question: Question) -> str:
    """Base rambles, SFT is right two times of three, GRPO nine of ten; one completion of SFT attacks the page."""
    wrong = next(c for c in "ABC" if c != question.truth)
    if model == "base":
        return ("The camera moved.", f"The answer is {wrong}.", "")[place % 3]
    if model == "sft" and place == 0:
        return HOSTILE
    letter = question.truth if place % (3 if model == "sft" else 10) else wrong
    return completion_text(mode, letter, "The red box is left of the middle in picture 1 and right of it in picture 2, so the camera moved.")


def write_toy_records(outputs: Path, questions: list[Question]) -> None:
    params = load_params(ROOT / "profiles" / "tiny.yaml")
    sha = prompt_sha(params.prompt)
    verdicts: dict[tuple[str, Mode], list[Verdict]] = {}
    for mode in MODES:
        for model in MODELS:
            written = [toy_completion(model, mode, i, q) for i, q in enumerate(questions)]
            verdicts[model, mode] = [verdict_of(q, model, mode, text, len(text.split()), sha) for q, text in zip(questions, written, strict=True)]
        for standin in STANDINS:
            written = standin_completions(standin, questions, mode, "letter", 7)
            verdicts[standin, mode] = [verdict_of(q, standin, mode, text, 0, sha) for q, text in zip(questions, written, strict=True)]
    records = outputs / "evaluate" / "records"
    records.mkdir(parents=True)
    for (model, mode), of_model in verdicts.items():
        (records / f"{model}-{mode}.jsonl").write_text("".join(json.dumps(asdict(v), ensure_ascii=False) + "\n" for v in of_model), encoding="utf-8")
    write_json(outputs / "evaluate" / "scores.json", score(questions, verdicts, {"a picture cannot be read": 1}))


def _conversation(question: Question, mode: Mode, mix: str) -> Conversation:
    prompt = load_params(ROOT / "profiles" / "tiny.yaml").prompt
    messages = prompt_messages(prompt, question, mode)
    if mix == "sft":
        messages += (Message("assistant", completion_text(mode, question.truth, "The sphere went to the other side.")),)
    q = question
    return Conversation(
        q.question_id, q.view_ids, q.kind, mode, messages, q.options, q.labels, q.truth, q.scene_id, prompt_sha(prompt), n_tokens=80 + 10 * len(messages)
    )


def write_toy_training(outputs: Path, questions: list[Question]) -> None:
    """Curves that fall and rise, and four rollouts of one question a step."""
    steps = range(1, 41)
    curves = {
        "sft": [{"step": s, "loss": 3 / s + 0.1 * (s % 3), "mean_token_accuracy": 1 - 1 / s} for s in steps],
        "grpo": [{"step": s, "reward": 0.5 + s / 80 + 0.05 * (s % 2), "kl": 0.001 * s} for s in steps],
    }
    for stage, rows in curves.items():
        (outputs / stage).mkdir(parents=True)
        with (outputs / stage / "curve.csv").open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    rollouts = [
        Rollout(
            questions[s % len(questions)].question_id, s, HOSTILE if i == 3 else f"<answer>{'ABC'[i % 3]}</answer>", {"accuracy": float(i == 1), "format": 1.0}
        )
        for s in steps
        for i in range(4)
    ]
    write_rollouts(outputs / "grpo" / "rollouts.parquet", rollouts)
