"""Stage evaluate: the base, SFT and GRPO checkpoints and five stand-ins on the held-out test questions, scored."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

from actial.answers import read_answer
from actial.errors import UnreadablePicture, UserError
from actial.evaluation.completions import CompletionLog, ask, log_name
from actial.evaluation.score import MODES, accuracy_rows, score, score_table, summary, verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.params import Params
from actial.prompts import prompt_messages, prompt_sha
from actial.records import LETTERS, Mode, Question, Verdict
from actial.rng import seed_for
from actial.shards import ViewStore, read_questions, write_json
from tasks.body import RUNS, Job, Made, main

TEST = "test.parquet"
LOGS = RUNS / "evaluate" / "records"
"""Completions by model content and settings, shared by all runs of the stage: a new GRPO checkpoint never re-asks the base model."""

Verdicts = dict[tuple[str, Mode], list[Verdict]]


def make(job: Job) -> Made:
    """Score every model of `params.evaluate.models` and the stand-ins; see `actial.evaluation.score` for scores.json.

    Raises:
        UserError: there is no test question, a truth or an option set is unusable, too many pictures are unreadable, a checkpoint is missing.
    """
    params, modes = job.params, _modes(job.params)
    test = job.inputs["build_qa"] / TEST
    views = ViewStore(job.inputs["render_views"] / "views")
    drawn = draw_questions(read_questions(test), params.evaluate.n_questions, params.seed)
    if not drawn:
        raise UserError(f"{test} holds no questions: give build_qa.splits.test or render_views.n_scenes a larger value")
    check_truths(drawn, test)
    questions, n_unreadable = set_aside_unreadable(drawn, views)
    if n_unreadable > params.evaluate.max_refused_share * len(drawn):
        raise UserError(
            f"{n_unreadable} of {len(drawn)} test questions have an unreadable picture, more than evaluate.max_refused_share "
            f"({params.evaluate.max_refused_share}) allows: rerun render_views (`actial run --force render_views`) or raise the share"
        )
    verdicts = judge_standins(questions, modes, params)
    check_oracle(verdicts, questions, test)
    verdicts = judge_models(job, questions, modes, views) | verdicts
    write_records(job.out, verdicts)
    scores = score(questions, verdicts, {"a picture cannot be read": n_unreadable})
    write_scores(job.out, scores)
    print(score_table(scores), flush=True)
    n_models = len(params.evaluate.models)
    return Made(
        {"questions": len(questions), "verdicts": n_models * len(modes) * len(questions)}, {"questions with an unreadable picture": n_unreadable}, "scores.md"
    )


def draw_questions(questions: list[Question], n: int | None, root_seed: int) -> list[Question]:
    """`n` of the questions, drawn by the seed and their ids, in their own order; all where `n` is None or as large."""
    if n is None or n >= len(questions):
        return questions
    chosen = set(sorted((q.question_id for q in questions), key=lambda question_id: seed_for(root_seed, f"{question_id}/evaluate"))[:n])
    return [q for q in questions if q.question_id in chosen]


def check_truths(questions: list[Question], path: Path) -> None:
    """Every truth is the letter of an option.

    Raises:
        UserError: it is not.
    """
    for question in questions:
        letters = LETTERS[: len(question.options)]
        if len(question.truth) != 1 or question.truth not in letters or len(question.labels) != len(question.options):
            raise UserError(
                f"{path}: question {question.question_id} has the truth {question.truth!r}, {len(question.options)} options and {len(question.labels)} labels; "
                f"the truth must be one of {', '.join(letters) or 'its options'} with one label an option: rebuild the questions with build_qa"
            )


def set_aside_unreadable(questions: list[Question], views: ViewStore) -> tuple[list[Question], int]:
    """The questions whose pictures all decode, and how many others there are."""
    unreadable = set()
    for view_id in sorted({v for q in questions for v in q.view_ids}):
        try:
            views.picture(view_id)
        except UnreadablePicture as error:
            print(f"evaluate: set aside: {error}", flush=True)
            unreadable.add(view_id)
    readable = [q for q in questions if not unreadable.intersection(q.view_ids)]
    return readable, len(questions) - len(readable)


def judge_standins(questions: list[Question], modes: list[Mode], params: Params) -> Verdicts:
    """What the five stand-ins write, read and judged like any model."""
    sha = prompt_sha(params.prompt)
    verdicts: Verdicts = {}
    for standin in STANDINS:
        for mode in modes:
            texts = standin_completions(standin, questions, mode, params.prompt.answer, params.seed)
            verdicts[standin, mode] = [verdict_of(q, standin, mode, text, 0, sha) for q, text in zip(questions, texts, strict=True)]
    return verdicts


def check_oracle(verdicts: Verdicts, questions: list[Question], path: Path) -> None:
    """The right answer, written out, is read as the right answer: else the options of a question cannot be told apart.

    Raises:
        UserError: for the first question where it is not.
    """
    for (standin, _), found in verdicts.items():
        for question, verdict in zip(questions, found, strict=True):
            if standin == "oracle" and not verdict.correct:
                raise UserError(
                    f"{path}: the right answer of question {question.question_id} is read as {read_answer(verdict.completion, question.options)}: "
                    f"its options {list(question.options)} cannot be told apart; reword them, or set prompt.answer to letter"
                )


def judge_models(job: Job, questions: list[Question], modes: list[Mode], views: ViewStore) -> Verdicts:
    """Ask every checkpoint what is not yet on disk, and judge all of it."""
    params, sha = job.params, prompt_sha(job.params.prompt)
    asks = {mode: [ask(q, mode, prompt_messages(params.prompt, q, mode), views, params.evaluate.max_new_tokens[mode]) for q in questions] for mode in modes}
    sources = {name: params.model.base if name == "base" else str(job.inputs[name] / "model") for name in params.evaluate.models}
    logs = {name: CompletionLog(LOGS / f"{log_name(source, params.model)}.jsonl") for name, source in sources.items()}  # checks all before any is asked
    verdicts: Verdicts = {}
    for name, log in logs.items():
        if missing := log.missing(a for of_mode in asks.values() for a in of_mode):
            from actial.evaluation.generate import load_and_complete  # torch: only where there is something to ask

            load_and_complete(sources[name], params.model, job.machine, missing, views, log, name)
        for mode, of_mode in asks.items():
            found = [log.known[a.key] for a in of_mode]
            verdicts[name, mode] = [verdict_of(q, name, mode, c.text, c.n_tokens, sha) for q, c in zip(questions, found, strict=True)]
    return verdicts


def write_records(out: Path, verdicts: Verdicts) -> None:
    """One JSONL file a model and mode, one line a question."""
    folder = out / "records"
    folder.mkdir()
    for (model, mode), found in verdicts.items():
        lines = [json.dumps(dataclasses.asdict(v), sort_keys=True, ensure_ascii=False) + "\n" for v in found]
        (folder / f"{model}-{mode}.jsonl").write_text("".join(lines), encoding="utf-8")


def write_scores(out: Path, scores: dict) -> None:
    """scores.json (all), metrics.json (its summary, for `dvc metrics`), accuracy.csv (for `dvc plots`), scores.md (to read)."""
    write_json(out / "scores.json", scores)
    write_json(out / "metrics.json", summary(scores))
    (out / "scores.md").write_text(score_table(scores), encoding="utf-8")
    rows = accuracy_rows(scores)
    with (out / "accuracy.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _modes(params: Params) -> list[Mode]:
    return [mode for mode in MODES if mode in params.evaluate.max_new_tokens]


if __name__ == "__main__":
    main("evaluate", make)
