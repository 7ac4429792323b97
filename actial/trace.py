"""The life of one question: every record that descends from an id, from the camera to the decimal of the benchmark.

`actial trace ID`, or `python -m actial.trace ID`, for the id of a scene, a view, a pair, three views or a question (of a completion: its question).
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from actial import ids
from actial.errors import UserError, exit_on_user_error
from actial.geometry.angles import motion_between
from actial.geometry.arcs import arc_of_three, azimuth_deg
from actial.mirror import mirrored_id, mirrored_view
from actial.records import LETTERS, Conversation, Question, Rollout, Verdict, View, is_viewpoint
from actial.report.outputs import STAND_INS, Outputs, in_order


def trace(identifier: str, outputs: Path) -> str:
    """What descends from `identifier`, as text to print.

    A question, a pair or a triple is told whole. A scene or a view is told with one line for each of its questions.

    Raises:
        UserError: nothing was rendered yet, or no record has this id (the nearest one is named).
    """
    identifier = ids.question_of(identifier)
    scene = identifier.split(".")[0]
    found = Outputs(outputs, scene)
    if found.views is None:
        raise UserError(f"{outputs} holds no views to trace: run `actial run` or `dvc repro` first")
    views = [v for v in found.views if v.scene_id == scene] or [mirrored_view(v) for v in found.views if mirrored_id(v.scene_id) == scene]
    parts = _known_parts(identifier, views, found)
    questions = [(split, q) for split, of_split in found.questions.items() for q in of_split]
    if parts.first is None:
        return _text(identifier, _scene(views), _brief(questions, found))
    if parts.second is None and parts.kind is None:
        return _text(identifier, _view(found.views[identifier]), _brief([(s, q) for s, q in questions if identifier in q.view_ids], found))
    shown = ids.view_ids_of(identifier)
    asked = [(split, q) for split, q in questions if q.view_ids == shown and identifier in (q.question_id, ids.group_id(*shown))]
    described = [c for c in found.conversations.get("sft", []) if c.question_id not in {q.question_id for _, q in questions} and c.view_ids == shown]
    of_question = [found.views[v] for v in shown]
    return _text(
        identifier,
        *map(_view, of_question),
        *([_motion(*of_question)] if len(of_question) == 2 else [_arc(of_question)] if len(of_question) == 3 else []),
        *(_question(split, question, found) for split, question in asked),
        _conversations("sft", [c for c in described if identifier in (c.question_id, ids.group_id(*shown))]),
    )


def _text(identifier: str, *parts: Iterable[str]) -> str:
    return "\n".join([identifier, *(line for part in parts for line in part)])


# ------------------------------------------------------------------------------------------------ finding


def _known_parts(identifier: str, views: Sequence[View], found: Outputs) -> ids.IdParts:
    """The parts of an id that some record carries.

    Raises:
        UserError: none does.
    """
    assert found.views is not None
    asked = [q for of_split in found.questions.values() for q in of_split] + [c for of_mix in found.conversations.values() for c in of_mix]
    below = dict.fromkeys(part for q in asked for part in (ids.group_id(*q.view_ids), q.question_id))
    known = [views[0].scene_id, *(v.view_id for v in views), *below] if views else []
    if identifier in known:
        return ids.parse(identifier)
    nearest = difflib.get_close_matches(identifier, known or sorted({v.scene_id for v in found.views}), n=1, cutoff=0.0)[0]
    raise UserError(f"no record in {found.folder} has the id {identifier!r}; the nearest one is {nearest}")


# ------------------------------------------------------------------------------------------------ telling


def _scene(views: Sequence[View]) -> Iterator[str]:
    yield from _heading("scene", "outputs/render_views")
    for o in views[0].objects:
        what = " ".join(word for word in (o.color, o.shape) if word)
        yield f"  {o.name}: {what}, centre {_numbers(o.center())} m, size {_numbers(o.size_m)} m" + (f", part of {o.part_of}" if o.part_of else "")
    for view in views:
        yield f"  {view.view_id}: {_stands(view)}"


def _view(view: View) -> Iterator[str]:
    yield from _heading(f"view {view.view_id}", "outputs/render_views/views")
    camera = view.camera
    yield f"  picture      {camera.width_px} x {camera.height_px} px, {view.source}, {view.licence}"
    yield f"  camera       {_stands(view)}"
    if camera.K:
        yield f"  K            {_matrix(camera.intrinsics())} px"
    if camera.T_world_cam is not None:
        yield f"  T_world_cam  {_matrix(camera.pose()[:3])} m"


def _stands(view: View) -> str:
    """Where a camera stands and looks."""
    if view.camera.T_world_cam is None:
        return "unknown"
    T = view.camera.pose()
    f = -T[:3, 2]
    heading_deg, pitch_deg = np.degrees(np.arctan2(f[1], f[0])), np.degrees(np.arcsin(np.clip(f[2], -1, 1)))
    return f"at {_numbers(T[:3, 3])} m, heading {heading_deg:+.1f} deg (left of +X), pitch {pitch_deg:+.1f} deg"


def _motion(first: View, second: View) -> Iterator[str]:
    yield from _heading("true motion from the first to the second view", "actial/geometry/angles.py; r is the first camera's distance to the subject")
    if first.camera.T_world_cam is None or second.camera.T_world_cam is None or not first.objects:
        yield "  unknown: a camera or the subject is not known"
        return
    motion = motion_between(first.camera.pose()[None], second.camera.pose()[None], first.objects[0].center())
    for name, value in motion._asdict().items():
        yield f"  {name:20s} {value[0]:+.4f}"


def _arc(views: Sequence[View]) -> Iterator[str]:
    yield from _heading("where the cameras stand around the subject", "actial/geometry/arcs.py; counter-clockwise from above")
    if any(v.camera.T_world_cam is None or not v.objects for v in views):
        yield "  unknown: a camera or the subject is not known"
        return
    azimuth = azimuth_deg(np.stack([v.camera.pose()[:3, 3] for v in views]), views[0].objects[0].center())
    for view, angle in zip(views, azimuth, strict=True):
        yield f"  {view.view_id:20s} azimuth {angle:+.4f} deg"
    arc = arc_of_three(azimuth[None])
    yield f"  along the arc: pictures {', '.join(str(i + 1) for i in arc.order[0])}, gaps {' and '.join(f'{gap:.4f}' for gap in arc.gaps_deg[0])} deg"


def _question(split: str, question: Question, found: Outputs) -> Iterator[str]:
    q = question
    yield from _heading(f"question {q.question_id}", f"outputs/build_qa/{split}.parquet")
    yield f"  {q.text}"
    for letter, label, option in zip(LETTERS, q.labels, q.options, strict=False):
        yield f"    {letter}. {option} [{label}]" + ("  <- truth" if letter == q.truth else "")
    if q.deciding_quantity:
        yield f"  decided by   {q.deciding_quantity} = {q.deciding_value:+.4f}, {100 * q.margin:.0f} % clear of the nearest boundary"
    else:
        yield f"  decided by   the authors of {q.source}"
    yield f"  belongs to   kind {q.kind}, family {q.family_id}" + (f", tied class {q.tied_class}" if q.tied_class else "")
    for mix, rows in found.conversations.items():
        yield from _conversations(mix, [c for c in rows if c.question_id == q.question_id])
    yield from _rollouts([r for r in found.rollouts if r.question_id == q.question_id])
    yield from _verdicts(q, found)


def _conversations(mix: str, rows: Sequence[Conversation]) -> Iterator[str]:
    if rows:
        yield from _heading(f"conversations for {mix}", f"outputs/cold_start_mix/{mix}.parquet")
    for c, n in Counter(rows).items():
        yield f"  mode {c.mode}, {c.n_tokens} tokens, prompt {c.prompt_sha}" + (f", in the mix {n} times" if n > 1 else "")
        for message in c.messages:
            yield from _block(message.content, f"    {message.role + ':':10s} ")


def _rollouts(rollouts: Sequence[Rollout]) -> Iterator[str]:
    if rollouts:
        yield from _heading(f"{len(rollouts)} GRPO rollouts", "outputs/grpo/rollouts.parquet")
    for r in rollouts:
        rewards = ", ".join(f"{name} {'not given' if value is None else f'{value:g}'}" for name, value in r.rewards.items())
        yield f"  step {r.step}: {rewards}"
        yield from _block(r.completion, "    ")


def _verdicts(question: Question, found: Outputs) -> Iterator[str]:
    verdicts = [v for v in found.verdicts if ids.question_of(v.question_id) == question.question_id]
    if not verdicts:
        return
    yield from _heading("answers", "outputs/evaluate/records")
    for v in sorted(verdicts, key=lambda v: (in_order((v.model, v.mode)), v.condition != "plain", v.condition)):
        condition = "" if v.condition == "plain" else f" / {v.condition}, where {question.label_of(v.truth)} is right"
        yield f"  {v.model} / {v.mode}{condition}: {_said(v, question)}"
        if v.model not in STAND_INS:
            yield from _block(v.completion, "    ")
            if v.condition == "plain":
                yield f"    {_contribution(v, question, found)}"


def _contribution(verdict: Verdict, question: Question, found: Outputs) -> str:
    """What one verdict adds to the decimals of scores.json."""
    v = verdict
    peers = [p for p in found.verdicts if (p.model, p.mode, p.condition) == (v.model, v.mode, v.condition)]
    of_kind = [p for p in peers if p.kind == v.kind]
    right = sum(p.correct for p in of_kind)
    said = f"{int(v.correct)} of n={len(of_kind)} in {v.mode}/{v.kind}: {right} right, accuracy {right / len(of_kind):.3f}"
    if found.scores is None or not is_viewpoint(v.kind):
        return said
    told = found.scores["models"][v.model][v.mode]["overall"]["accuracy"]
    n_counted = found.scores["questions"]["overall"]["n_counted"]
    tied = sum(p.tied_class == v.tied_class and ids.view_ids_of(p.question_id) == question.view_ids for p in peers) if v.tied_class else 1
    return f"{said}; {v.correct / tied:g} of {n_counted:g} in {v.mode}/overall: accuracy {told:.3f}"


def _brief(questions: Iterable[tuple[str, Question]], found: Outputs) -> Iterator[str]:
    """One line a question, with what became of it."""
    listed = list(questions)
    yield from _heading(f"{len(listed)} questions", "`actial trace QUESTION` tells one whole")
    counts = {
        "SFT rows": Counter(c.question_id for c in found.conversations.get("sft", [])),
        "GRPO prompts": Counter(c.question_id for c in found.conversations.get("rl", [])),
        "rollouts": Counter(r.question_id for r in found.rollouts),
    }
    judged: dict[str, list[Verdict]] = {}
    for v in found.verdicts:
        if v.model not in STAND_INS and v.condition == "plain":
            judged.setdefault(v.question_id, []).append(v)
    for split, q in listed:
        became = [f"{rows[q.question_id]} {what}" for what, rows in counts.items() if rows[q.question_id]]
        verdicts = sorted(judged.get(q.question_id, []), key=lambda v: in_order((v.model, v.mode)))
        became += [f"{v.model}/{v.mode} {'right' if v.correct else 'unparsed' if v.answer is None else 'wrong'}" for v in verdicts]
        decided = f"truth {q.truth} [{q.label_of(q.truth)}]" + (f", {q.deciding_quantity} {q.deciding_value:+.3f}" if q.deciding_quantity else "")
        yield f"  {q.question_id}  {split}, {decided}  {', '.join(became)}".rstrip()


def _said(v: Verdict, question: Question) -> str:
    if v.answer is None:
        return f"no answer ({v.rule}), counts as wrong"
    return f"{v.answer} [{question.label_of(v.answer)}] read by rule {v.rule}, {'right' if v.correct else 'wrong'}, {v.n_tokens} tokens"


def _heading(title: str, where: str) -> Iterator[str]:
    yield ""
    yield f"{title}  ({where})"


def _block(text: str, prefix: str) -> Iterator[str]:
    """Lines of a model's or a prompt's text; control characters are shown, not sent to the terminal."""
    shown = "".join(c if c == "\n" or c.isprintable() else repr(c)[1:-1] for c in text) or "(nothing written)"
    for i, line in enumerate(shown.split("\n")):
        yield f"{prefix if i == 0 else ' ' * len(prefix)}{line}"


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return "(" + ", ".join(f"{v:.3f}" for v in values) + ")"


def _matrix(M: np.ndarray) -> str:
    return "[" + "; ".join(" ".join(f"{v:.4g}" for v in row) for row in M) + "]"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m actial.trace", description="Print every record that descends from an id.")
    parser.add_argument("id", help="scene-000042, scene-000042.v03, scene-000042.v03-v11 or scene-000042.v03-v11.orbit")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of stage outputs")
    arguments = parser.parse_args()
    print(trace(arguments.id, arguments.outputs))
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
