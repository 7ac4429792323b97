"""A small but whole `outputs/`, for tests of the report and of trace: real records, by the real question builder, writers, reader and scorer.

Only the pictures are plain, and the models' completions are written down here: right, wrong, unreadable and hostile ones.
"""

from __future__ import annotations

import csv
import functools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from toy_scenes import toy_settings, toy_views

from actial.evaluation.conditions import CONTROLS, posed
from actial.evaluation.score import Asked, score, verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.geometry.projection import project
from actial.json_files import write_json
from actial.params import Params, load_params
from actial.prompts import completion_text, prompt_messages, prompt_sha
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.records import LETTERS, Conversation, Message, Mode, Question, Rollout, Verdict, View
from actial.report.sketch import footprint
from actial.shards import ViewWriter, encode_png
from actial.tables import read_questions, write_conversations, write_rollouts
from tasks.body import Made, write_manifest

ROOT = Path(__file__).parents[1]
HOSTILE = 'I think </script><script>document.title="pwned"</script><img src=x onerror="document.title=1"> & "left" <answer>A</answer> \u2028 ]]>'
"""A completion that attacks the page it is shown in."""
MODELS, MODES = ("base", "sft", "grpo"), ("think", "direct")
SPLITS = ("train", "rl", "val", "test")
_RGB = {
    "red": (216, 58, 52),
    "blue": (60, 111, 214),
    "green": (63, 158, 77),
    "yellow": (232, 198, 42),
    "purple": (141, 79, 196),
    "orange": (238, 138, 34),
}


@functools.cache
def toy_params() -> Params:
    """The tiny profile, with splits that leave none of a dozen scenes' four parts empty."""
    tiny = load_params(ROOT / "profiles" / "tiny.yaml")
    return replace(tiny, build_qa=toy_settings(splits={"train": 0.6, "rl": 0.2, "val": 0.05, "test": 0.15}))


def write_toy_outputs(outputs: Path, n_scenes: int = 12, n_asked: int = 30) -> list[Question]:
    """Write `outputs` whole; returns the test questions that were asked (those that carry verdicts)."""
    params = toy_params()
    with ViewWriter(outputs / "render_views" / "views", shard_mb=64) as writer:
        for view in [v for scene in range(n_scenes) for v in toy_views(scene)]:
            writer.add(view, encode_png(toy_picture(view)))
    _manifest(outputs, "render_views", Made({"views": writer.n_views, "scenes": n_scenes}, {"scenes whose subject left the picture": 2}, "views"))

    built = build_questions(scan_scenes(outputs / "render_views" / "views"), outputs / "build_qa", params.build_qa, params.seed)
    _manifest(outputs, "build_qa", Made({f"{split} questions": built.total(split) for split in SPLITS}, built.refused, ""))
    questions = {split: read_questions(outputs / "build_qa" / f"{split}.parquet") for split in SPLITS}

    for mix, split in (("sft", "train"), ("rl", "rl")):
        rows = [toy_conversation(q, mode, mix) for q in questions[split] for mode in MODES]
        write_conversations(outputs / "cold_start_mix" / f"{mix}.parquet", rows)
    _manifest(outputs, "cold_start_mix", Made({"rows": len(questions["train"]) * 2}, {}, ""))
    write_toy_training(outputs, questions["rl"])
    asked = questions["test"][:: max(1, len(questions["test"]) // n_asked)][:n_asked]
    write_toy_records(outputs, asked)
    return asked


def toy_picture(view: View) -> np.ndarray:
    """(h, w, 3) uint8: the outline of every part, filled, far ones first."""
    import cv2

    picture = np.full((view.camera.height_px, view.camera.width_px, 3), 225, np.uint8)
    K, T = view.camera.intrinsics(), view.camera.pose()
    for o in sorted(view.objects[1:], key=lambda o: -float(np.linalg.norm(o.center() - T[:3, 3]))):
        levels_m = [o.center()[2] + s * o.size_m[2] / 2 for s in (-1, 1)]
        uv, _ = project(np.concatenate([footprint(o) * [1, 1, 0] + [0, 0, z] for z in levels_m]), K, T)
        if np.isfinite(uv).all():
            cv2.fillConvexPoly(picture, cv2.convexHull(uv.astype(np.float32)).astype(np.int32), _RGB[o.color])
    return picture


def toy_conversation(question: Question, mode: Mode, mix: str) -> Conversation:
    prompt, q = toy_params().prompt, question
    messages = prompt_messages(prompt, q, mode)
    if mix == "sft":
        messages += (Message("assistant", completion_text(mode, q.truth, "The red box went to the other side.")),)
    n_tokens = 80 + 10 * len(messages)
    return Conversation(q.question_id, q.view_ids, q.kind, mode, messages, q.options, q.labels, q.truth, q.scene_id, prompt_sha(prompt), n_tokens)


def write_toy_training(outputs: Path, questions: list[Question], n_steps: int = 40) -> None:
    """Curves that fall and rise, and four rollouts of one question a step, a hostile one among them."""
    steps = range(1, n_steps + 1)
    curves = {
        "sft": [{"step": s, "loss": 3 / s + 0.1 * (s % 3), "mean_token_accuracy": 1 - 1 / s} for s in steps],
        "grpo": [
            {"step": s, "reward": 0.5 + s / 80 + 0.05 * (s % 2), "dead_groups": s / 80, "completion_length": 20.0, "entropy": 1 / s, "kl": 0.001 * s}
            for s in steps
        ],
    }
    for stage, rows in curves.items():
        write_curve(outputs / stage / "curve.csv", rows)
    rollouts = [
        Rollout(
            questions[s % len(questions)].question_id, s, HOSTILE if i == 3 else f"<answer>{LETTERS[i]}</answer>", {"accuracy": float(i == 1), "format": 1.0}
        )
        for s in steps
        for i in range(4)
    ]
    write_rollouts(outputs / "grpo" / "rollouts.parquet", rollouts)
    _manifest(outputs, "sft", Made({"steps": n_steps}, {}, "curve.csv"))
    _manifest(outputs, "grpo", Made({"steps": n_steps, "rollouts": len(rollouts)}, {}, "curve.csv"))


def write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def toy_completion(model: str, mode: Mode, place: int, question: Question) -> str:
    """Base rambles, SFT is right two times of three, GRPO nine of ten; the first completion of SFT is hostile."""
    wrong = next(c for c in "ABC" if c != question.truth)
    if model == "base":
        return ("The camera moved.", f"The answer is {wrong}.", "")[place % 3]
    if model == "sft" and place == 0:
        return HOSTILE
    letter = question.truth if place % (3 if model == "sft" else 10) else wrong
    return completion_text(mode, letter, "The red box is left of the middle in picture 1 and right of it in picture 2, so the camera moved.")


def write_toy_records(outputs: Path, questions: list[Question]) -> None:
    """Verdicts of three models and five stand-ins in both modes, of GRPO under controls and sampled, and their scores."""
    sha = prompt_sha(toy_params().prompt)
    verdicts: dict[tuple[str, Mode], list[Verdict]] = {}
    for mode in MODES:
        texts = {model: [toy_completion(model, mode, i, q) for i, q in enumerate(questions)] for model in MODELS}
        texts |= {standin: standin_completions(standin, questions, mode, "letter", 7) for standin in STANDINS}
        for model, of_model in texts.items():
            found = [verdict_of(q, model, mode, text, len(text.split()), sha) for q, text in zip(questions, of_model, strict=True)]
            verdicts[model, mode] = [replace(v, answer_logprob=-0.1 * (i % 8) if model in MODELS else None) for i, v in enumerate(found)]
        if mode == "think":
            claims = lambda i: {"n_claims": 7, "n_claims_understood": 7 - (i % 5 == 0), "n_claims_true": 5 - i % 2, "n_claims_near": 6 + (i % 5 > 0)}
            verdicts["grpo", mode] = [replace(v, **claims(i)) if i % 3 else v for i, v in enumerate(verdicts["grpo", mode])]
    by_id = {q.question_id: q for q in questions}
    controls = {}
    for condition in CONTROLS:
        known = [p.question for q in questions if (p := posed(condition, q, by_id)) is not None]
        controls["grpo", condition] = [verdict_of(q, "grpo", "think", "<answer>A</answer>", 1, sha, condition) for q in known]
    samples = {
        model: [
            [verdict_of(q, model, "think", f"<answer>{LETTERS[(i + n) % 3]}</answer>", 1, sha, number=n) for n in range(4)] for i, q in enumerate(questions)
        ]
        for model in ("sft", "grpo")
    }
    records = {f"{model}-{mode}": found for (model, mode), found in verdicts.items()}
    records |= {f"{model}-think-{condition}": found for (model, condition), found in controls.items()}
    records |= {f"{model}-think-sampled": [v for of_question in found for v in of_question] for model, found in samples.items()}
    for name, found in records.items():
        path = outputs / "evaluate" / "records" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(asdict(v), sort_keys=True, ensure_ascii=False) + "\n" for v in found), encoding="utf-8")
    baselines = {name: {q.question_id: LETTERS[i % n] for i, q in enumerate(questions)} for name, n in (("text only", 1), ("2D probe", 3))}
    angles_deg = {q.question_id: 25.0 + i % 50 for i, q in enumerate(questions)}
    asked = Asked(verdicts, {of: found for of, found in controls.items() if found}, {}, samples, 1.0, baselines, angles_deg)
    write_json(outputs / "evaluate" / "scores.json", score(questions, asked, {"questions with an unreadable picture": 1}, toy_params().evaluate, root_seed=7))
    _manifest(outputs, "evaluate", Made({"questions": len(questions), "verdicts": len(questions) * 6}, {}, "scores.json"))


def _manifest(outputs: Path, stage: str, made: Made) -> None:
    write_manifest(outputs / stage, stage, toy_params(), made)
