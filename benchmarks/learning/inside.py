"""What runs inside a scratch project, with the project's own code: `python -m learning.inside TASK JSON`. Writes one JSON file."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from actial.evaluation.completions import Ask, Completion, CompletionLog, Sampling, ask, log_name
from actial.evaluation.interventions import GivenChain, ask_after, follow_scores, verdicts_after
from actial.evaluation.score import verdict_of
from actial.jobs import die_with_parent
from actial.json_files import write_json
from actial.machine import load_machine
from actial.mirror import mirrored_question
from actial.params import Params, load_params
from actial.prompts import prompt_messages, prompt_sha
from actial.records import Conversation, Message, Mode, Question, is_viewpoint
from actial.rng import seed_for
from actial.shards import ViewStore
from actial.stats import clustered_mean
from actial.tables import read_conversations, read_questions, write_conversations

VIEWS = Path("outputs/render_views/views")
MIX = Path("outputs/cold_start_mix")
QUESTIONS = Path("outputs/build_qa")
LOGS = Path("inside/completions")
MIRRORED = {"left": "right", "right": "left"}


def completions(sources: Sequence[str], params: Params, asks: Sequence[Ask]) -> dict[str, list[Completion]]:
    """What the models of some folders write, in the order of the asks; known completions are not asked for again."""
    from actial.evaluation.generate import Interview, hold

    logs = {source: CompletionLog(LOGS / f"{log_name(source, params.model)}.jsonl") for source in dict.fromkeys(sources)}
    missing = [Interview(source, source, log.path, log.missing(asks)) for source, log in logs.items()]
    hold([interview for interview in missing if interview.asks], params.model, load_machine(), [VIEWS])
    known = {source: CompletionLog(log.path).known for source, log in logs.items()}
    return {source: [of_source[a.key] for a in asks] for source, of_source in known.items()}


def drawn(questions: Sequence[Question], n: int, root_seed: int) -> list[Question]:
    """`n` of the questions, drawn by the seed and their ids."""
    return sorted(questions, key=lambda q: seed_for(root_seed, f"{q.question_id}/learning"))[:n]


def rejection() -> dict[str, Any]:
    """Sample GRPO's own prompts as GRPO does, from the SFT model in `start`, and write the right, well-formed answers as rows for SFT.

    The prompts and their order are those of stage grpo under the same seed, with as many completions for each. Every right completion is a row.
    """
    from actial.answers import is_well_formed
    from actial.training.data import schedule

    params, views = load_params("params.yaml"), ViewStore(VIEWS)
    settings, rows = params.grpo, read_conversations(Path("grpo_prompts/rl.parquet"))
    questions = _with_mirror_images(read_questions(QUESTIONS / "rl.parquet"))
    order = schedule(len(rows), settings.rollouts * settings.prompts_per_rollout, params.seed, "grpo")
    asked: list[tuple[Conversation, Ask]] = []
    seen: dict[int, int] = {}
    for i in order:
        for _ in range(settings.n_generations):
            number = seen[i] = seen.get(i, -1) + 1
            draw = Sampling(settings.temperature, number, params.seed)
            asked.append((rows[i], ask(questions[rows[i].question_id], rows[i].mode, rows[i].messages, views, settings.max_new_tokens, sampling=draw)))
    written = completions(["start"], params, [a for _, a in asked])["start"]
    right = []
    for (row, _), completion in zip(asked, written, strict=True):
        verdict = verdict_of(questions[row.question_id], "sft", row.mode, completion.text, completion.n_tokens, row.prompt_sha)
        if verdict.correct and is_well_formed(completion.text, row.mode):
            right.append(dataclasses.replace(row, messages=(*row.messages, Message("assistant", completion.text))))
    MIX.mkdir(parents=True, exist_ok=True)
    write_conversations(MIX / "sft.parquet", right)
    return {"n_prompts": len(order), "n_completions": len(asked), "right_share": len(right) / len(asked)}


def _with_mirror_images(questions: Sequence[Question]) -> dict[str, Question]:
    """By their ids; prompts may be about the mirror image of a scene (`cold_start_mix.mirror_images`)."""
    return {q.question_id: q for original in questions for q in (original, mirrored_question(original))}


def curve(models: dict[str, str], n_questions: int) -> dict[str, Any]:
    """Accuracy of generated, greedy answers to validation questions, by model and mode. `models` names folders."""
    params, views = load_params("params.yaml"), ViewStore(VIEWS)
    questions = drawn([q for q in read_questions(QUESTIONS / "val.parquet") if is_viewpoint(q.kind)], n_questions, params.seed)
    posed = [(q, mode) for mode in _modes(params) for q in questions]
    asks = [ask(q, mode, prompt_messages(params.prompt, q, mode), views, params.evaluate.max_new_tokens[mode]) for q, mode in posed]
    written, sha = completions(list(models.values()), params, asks), prompt_sha(params.prompt)
    points: dict[str, Any] = {}
    for name, source in models.items():
        verdicts = [verdict_of(q, name, mode, c.text, c.n_tokens, sha) for (q, mode), c in zip(posed, written[source], strict=True)]
        points[name] = {"n": len(questions)}
        for mode in _modes(params):
            of_mode = [v for v in verdicts if v.mode == mode]
            mean = clustered_mean([float(v.correct) for v in of_mode], [v.scene_id for v in of_mode])
            points[name][mode] = {"accuracy": mean.mean, "stderr": mean.stderr}
    return points


def given_chains(models: dict[str, str], n_questions: int) -> dict[str, Any]:
    """Does the answer follow the chain? True chains of test questions whose truth has a direction, and the same chains turned round."""
    from actial.mix.conversations import Scribe, written_chains
    from actial.mix.variants import opposite

    params, views = load_params("params.yaml"), ViewStore(VIEWS)
    chosen = drawn([q for q in read_questions(QUESTIONS / "test.parquet") if is_viewpoint(q.kind)], n_questions, params.seed)
    scribe = Scribe(params.prompt, dataclasses.replace(params.cold_start_mix, chains=None), views.__getitem__, None, params.seed)
    chains = [(q, chain) for q, chain in written_chains(scribe, chosen, len(chosen)).told if q.label_of(q.truth) in MIRRORED]
    given = [GivenChain(q, "true", chain, q.truth) for q, chain in chains]
    given += [GivenChain(q, "opposite", opposite(chain), q.letter_of(MIRRORED[q.label_of(q.truth)])) for q, chain in chains]
    asks = [ask_after(g, params.prompt, views, params.evaluate.max_new_tokens["direct"]) for g in given]
    written = completions(list(models.values()), params, asks)
    return {name: follow_scores(given, verdicts_after(given, written[source], name, params.prompt)) for name, source in models.items()}


def scenes(model: str) -> dict[str, Any]:
    """Right answers of a model by scene: what a bootstrap over scenes needs, for each group of test questions and each mode.

    `weights[group]` and `right[mode][group]` have one number a scene, in the order of `scenes`. Questions of one tied class about the same views
    ask one bit: where a group holds m of them, each weighs 1/m.
    """
    params = load_params("params.yaml")
    test = {q.question_id: q for path in QUESTIONS.glob("test*.parquet") for q in read_questions(path)}
    found: dict[str, Any] = {"scenes": [], "weights": {}, "right": {}}
    for mode in _modes(params):
        lines = Path(f"outputs/evaluate/records/{model}-{mode}.jsonl").read_text(encoding="utf-8").splitlines()
        correct = {v["question_id"]: v["correct"] for v in map(json.loads, lines) if v["condition"] == "plain"}
        questions = [test[name] for name in correct]
        found["scenes"] = sorted({q.scene_id for q in questions})
        found["right"][mode] = {}
        for group, belongs in [*GROUPS.items(), *((kind, _of_kind(kind)) for kind in sorted({q.kind for q in questions}))]:
            inside = [q for q in questions if belongs(q)]
            sizes = Counter(map(_bit, inside))
            weights, right = defaultdict[str, float](float), defaultdict[str, float](float)
            for q in inside:
                weights[q.scene_id] += 1 / sizes[_bit(q)]
                right[q.scene_id] += correct[q.question_id] / sizes[_bit(q)]
            found["weights"][group], found["right"][mode][group] = ([_short(of[name]) for name in found["scenes"]] for of in (weights, right))
    return found


def _short(number: float) -> float:
    """As few digits as rows need, of which the file has half a million."""
    return int(number) if number.is_integer() else round(number, 4)


GROUPS: dict[str, Callable[[Question], bool]] = {
    "overall": lambda q: is_viewpoint(q.kind),
    "directional": lambda q: is_viewpoint(q.kind) and q.label_of(q.truth) in MIRRORED,
    "orbit and lateral": lambda q: q.kind in ("orbit", "lateral"),
    "cue conflict": lambda q: is_viewpoint(q.kind) and q.cue == "conflict",
    "new families": lambda q: is_viewpoint(q.kind) and q.held_out,
}


def _of_kind(kind: str) -> Callable[[Question], bool]:
    return lambda q: q.kind == kind


def _bit(question: Question) -> Any:
    return (question.tied_class, question.view_ids) if question.tied_class else question.question_id


def _modes(params: Params) -> list[Mode]:
    return [mode for mode in ("think", "direct") if mode in params.evaluate.max_new_tokens]


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"rejection": rejection, "curve": curve, "given_chains": given_chains, "scenes": scenes}

if __name__ == "__main__":
    die_with_parent()
    wanted = json.loads(sys.argv[2])
    write_json(Path(wanted["out"]), TASKS[sys.argv[1]](**wanted["arguments"]))
