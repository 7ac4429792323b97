"""Stage evaluate: the base, SFT and GRPO checkpoints and five stand-ins on the held-out test questions, with controls and sampled answers, scored."""

from __future__ import annotations

import csv
import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from actial.answers import read_answer, thought_of
from actial.errors import UnreadablePicture, UserError
from actial.evaluation.benchmarks.answered import Manner
from actial.evaluation.benchmarks.results import Places, benchmark_scores, gather, judged_by_benchmark, posed_by_benchmark, write_benchmark_records
from actial.evaluation.completions import Ask, CompletionLog, Sampling, ask, log_name
from actial.evaluation.conditions import FAMILY, PLAIN, SAMPLED, posed
from actial.evaluation.families import AskedFamily, family_scores
from actial.evaluation.gains import MODES
from actial.evaluation.score import Asked, Verdicts, score, verdict_of
from actial.evaluation.standins import STANDINS, standin_completions
from actial.evaluation.tables import accuracy_rows, score_table, summary
from actial.ids import question_of
from actial.json_files import write_json
from actial.mix.verification import NEAR_CELLS, claims_of
from actial.params import Params
from actial.prompts import completion_text, prompt_messages, prompt_sha
from actial.questions.baselines import baseline_answers
from actial.questions.contradictions import FAMILIES, contradicts, read_families
from actial.questions.external_files import BENCHMARKS
from actial.questions.view_angles import rotations_deg
from actial.records import LETTERS, Mode, Question, Verdict, is_viewpoint
from actial.rng import seed_for
from actial.shards import ViewStore
from actial.tables import read_questions
from tasks.body import RUNS, Job, Made, main

TEST, TEST_2D = "test.parquet", "test_2d.parquet"
LOGS = RUNS / "evaluate" / "records"
"""Completions by model content and settings, shared by all runs of the stage: a new GRPO checkpoint never re-asks the base model."""


STORE = RUNS / "evaluate" / "benchmarks"
"""Benchmarks' questions and pictures, by the content of their files."""


@dataclass(frozen=True)
class Item:
    """One thing a model is asked: a question under a condition."""

    question: Question
    """With the truth that holds under the condition."""
    mode: Mode
    condition: str
    ask: Ask


def make(job: Job) -> Made:
    """Score every model of `params.evaluate.models` and the stand-ins; see `actial.evaluation.score` for scores.json.

    Raises:
        UserError: there is no test question, a truth or an option set is unusable, too many pictures are unreadable, a checkpoint is missing.
    """
    params, modes = job.params, _modes(job.params)
    test = job.inputs["build_qa"] / TEST
    views = ViewStore(job.inputs["render_views"] / "views")
    every = read_questions(test)
    drawn = draw_questions(every, params.evaluate.n_questions, params.seed)
    if not drawn:
        raise UserError(f"{test} holds no questions: give build_qa.splits.test or render_views.n_scenes a larger value")
    if (flat := test.with_name(TEST_2D)).exists():
        drawn = [*drawn, *read_questions(flat)]
    check_truths(drawn, test)
    questions, n_unreadable = set_aside_unreadable(drawn, views)
    if n_unreadable > params.evaluate.max_refused_share * len(drawn):
        raise UserError(
            f"{n_unreadable} of {len(drawn)} test questions have an unreadable picture, more than evaluate.max_refused_share "
            f"({params.evaluate.max_refused_share}) allows: rerun render_views (`actial run --force render_views`) or raise the share"
        )
    standins = judge_standins(questions, modes, params)
    check_oracle(standins, questions, test)
    families, of_families, n_broken = asked_families(test.with_name(FAMILIES), every, views)
    benchmarks, not_run = gather(params.evaluate.benchmarks, Places(job.inputs[BENCHMARKS].parent, Path("outputs"), STORE, hub=False))
    limits = {mode: params.evaluate.max_new_tokens[mode] for mode in modes}
    posed_too = posed_by_benchmark(benchmarks, Manner(params.prompt, limits, params.seed, controls=params.evaluate.benchmark_controls))
    items, left_out = plan_items(params, questions, of_families, {q.question_id: q for q in every}, modes, views)
    of_benchmarks = [p.ask for posed_items in posed_too.values() for p in posed_items]
    pictures = [views.folders[0], *(folder for benchmark in benchmarks for folder in benchmark.views)]
    logs = ask_models(job, {name: [*(i.ask for i in of_model), *of_benchmarks] for name, of_model in items.items()}, pictures)
    verdicts = judge_models(items, logs, prompt_sha(params.prompt), functools.partial(with_claims, views=views, grid=params.cold_start_mix.grid))
    baselines = baseline_answers(test.with_name("train.parquet"), [*questions, *of_families], views, params.seed)
    asked = replace(
        sorted_out(verdicts, standins, left_out, params.evaluate.sampled.temperature), baselines=baselines, angles_deg=rotations_deg(questions, views)
    )
    write_records(job.out, [*verdicts.values(), *standins.values()])
    scores = score(questions, asked, {"a picture cannot be read": n_unreadable}, params.evaluate, params.seed)
    if families:
        guessed = judge_standins(of_families, modes, params)
        answered = {(model, mode): found for (model, mode, condition), found in verdicts.items() if condition == FAMILY}
        guessed |= judge_baselines(baselines, of_families)
        scores["families"] = family_scores(families, {q.question_id: q for q in of_families}, answered | guessed, params.seed)
    if params.evaluate.benchmarks:
        judged = {name: judged_by_benchmark(posed_too, log, {}) for name, log in logs.items()}
        for name, log in logs.items():
            write_benchmark_records(job.out / "benchmarks", judged[name], name, log.path.stem, f"{name}-")
        scores["benchmarks"] = benchmark_scores(benchmarks, judged, not_run)
    write_scores(job.out, scores)
    print(score_table(scores), flush=True)
    refused = {"questions with an unreadable picture": n_unreadable}
    refused |= {f"rows of {benchmark.title} with {reason}": n for benchmark in benchmarks for reason, n in benchmark.refused.items()}
    refused |= {"families with an unreadable picture": n_broken} if n_broken else {}
    refused |= {f"questions under {condition}, whose truth is not known there": n for condition, n in left_out.items() if n}
    return Made({"questions": len(questions), "verdicts": sum(map(len, verdicts.values()))}, refused, "scores.md")


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


def asked_families(path: Path, test: list[Question], views: ViewStore) -> tuple[list[AskedFamily], list[Question], int]:
    """The families that build_qa wrote, if any, the questions that they hold, in the order of the test, and how many others show an unreadable picture.

    Raises:
        UserError: the file is no table of families, or names a question that is not in the test.
    """
    if not path.exists():
        return [], [], 0
    families = read_families(path)
    wanted = {question_id for family in families for question_id in family.claims}
    questions = [q for q in test if q.question_id in wanted]
    if missing := wanted - {q.question_id for q in questions}:
        raise UserError(f"{path} names {min(missing)}, which is not among the test questions: rebuild the questions with build_qa")
    readable, _ = set_aside_unreadable(questions, views)
    known = {q.question_id for q in readable}
    whole = [family for family in families if family.claims.keys() <= known]
    held = {question_id for family in whole for question_id in family.claims}
    asked = [AskedFamily(f.sort, f.scene_id, tuple(f.claims), functools.partial(contradicts, f)) for f in whole]
    return asked, [q for q in readable if q.question_id in held], len(families) - len(whole)


def judge_standins(questions: list[Question], modes: list[Mode], params: Params) -> Verdicts:
    """What the five stand-ins write, read and judged like any model."""
    sha = prompt_sha(params.prompt)
    verdicts: Verdicts = {}
    for standin in STANDINS:
        for mode in modes:
            texts = standin_completions(standin, questions, mode, params.prompt.answer, params.seed)
            verdicts[standin, mode] = [verdict_of(q, standin, mode, text, 0, sha) for q, text in zip(questions, texts, strict=True)]
    return verdicts


def judge_baselines(baselines: Mapping[str, Mapping[str, str]], questions: list[Question]) -> Verdicts:
    """What those who read less than the pictures show say to questions that all are of a kind they know; others are left out."""
    knowing = {name: letters for name, letters in baselines.items() if all(q.question_id in letters for q in questions)}
    return {
        (name, "direct"): [verdict_of(q, name, "direct", completion_text("direct", letters[q.question_id]), 0, "") for q in questions]
        for name, letters in knowing.items()
    }


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


def plan_items(
    params: Params, questions: list[Question], of_families: list[Question], test: dict[str, Question], modes: list[Mode], views: ViewStore
) -> tuple[dict[str, list[Item]], dict[str, int]]:
    """What each model is asked, and how many questions each control leaves out since their truth is not known there.

    Controls and samples are about the same draw of questions as far as they reach: the first of it, by the seed.

    Args:
        of_families: asked plainly, too, in every mode; what is asked already is not asked again.
        test: all questions of the split, by id.
    """
    evaluate = params.evaluate

    def item(question: Question, mode: Mode, condition: str, hidden: tuple[int, ...] = (), sampling: Sampling | None = None) -> Item:
        messages = prompt_messages(params.prompt, question, mode)
        return Item(question, mode, condition, ask(question, mode, messages, views, evaluate.max_new_tokens[mode], hidden=hidden, sampling=sampling))

    viewpoint = [q for q in questions if is_viewpoint(q.kind)]
    plain = [item(q, mode, PLAIN) for mode in modes for q in questions]
    plain += [item(q, mode, FAMILY) for mode in modes for q in of_families]
    controls, left_out = [], {}
    for condition in evaluate.controls.conditions if evaluate.controls.models else ():
        about = draw_questions(viewpoint, evaluate.controls.n_questions, params.seed)
        found = [known for q in about if (known := posed(condition, q, test)) is not None]
        left_out[condition] = len(about) - len(found)
        controls += [item(p.question, "think", condition, hidden=p.hidden) for p in found]
    drawn = draw_questions(viewpoint, evaluate.sampled.n_questions, params.seed) if evaluate.sampled.models else []
    numbers = [Sampling(evaluate.sampled.temperature, number, params.seed) for number in range(evaluate.sampled.n)]
    samples = [item(q, "think", SAMPLED, sampling=sampling) for q in drawn for sampling in numbers]
    items = {
        name: plain + (controls if name in evaluate.controls.models else []) + (samples if name in evaluate.sampled.models else []) for name in evaluate.models
    }
    return items, left_out


def ask_models(job: Job, asks: Mapping[str, list[Ask]], views: list[Path]) -> dict[str, CompletionLog]:
    """Ask every checkpoint what is not yet on disk.

    Args:
        asks: by model.
        views: folders of shards.

    Returns:
        The log of each model.
    """
    params = job.params
    sources = {name: params.model.base if name == "base" else str(job.inputs[name] / "model") for name in asks}
    paths = {name: LOGS / f"{log_name(source, params.model)}.jsonl" for name, source in sources.items()}  # checks all before any is asked
    missing = {name: CompletionLog(paths[name]).missing(of_model) for name, of_model in asks.items()}
    if any(missing.values()):
        from actial.evaluation.generate import Interview, hold  # torch: only where there is something to ask

        interviews = [Interview(name, sources[name], paths[name], of_model) for name, of_model in missing.items()]
        hold(interviews, params.model, job.machine, views)
    return {name: CompletionLog(path) for name, path in paths.items()}


def judge_models(
    items: Mapping[str, list[Item]], logs: Mapping[str, CompletionLog], sha: str, claims: Callable[[Verdict, Item], Verdict]
) -> dict[tuple[str, Mode, str], list[Verdict]]:
    """What the models wrote, judged; by model, mode and condition.

    Args:
        claims: `with_claims` of a verdict and what was asked.
    """
    verdicts: dict[tuple[str, Mode, str], list[Verdict]] = {}
    for name, of_model in items.items():
        for i in of_model:
            written, sampling = logs[name].known[i.ask.key], i.ask.sampling
            number = None if sampling is None else sampling.number
            verdict = verdict_of(i.question, name, i.mode, written.text, written.n_tokens, sha, i.condition, number)
            verdicts.setdefault((name, i.mode, i.condition), []).append(claims(replace(verdict, answer_logprob=written.answer_logprob), i))
    return verdicts


def with_claims(verdict: Verdict, item: Item, views: ViewStore, grid: tuple[int, int]) -> Verdict:
    """The verdict with how many claims its thought makes, and how many of them are true; as it is where nothing can be checked."""
    question = item.question
    if item.mode != "think" or item.condition != PLAIN or len(question.view_ids) != 2:
        return verdict
    first, second = (views[view_id] for view_id in question.view_ids)
    chain = thought_of(verdict.completion)
    exact, near = (claims_of(chain, question.kind, first, second, grid, slack_cells) for slack_cells in (0, NEAR_CELLS))
    if exact is None or near is None or not exact.n_understood:
        return verdict
    return replace(verdict, n_claims=exact.n, n_claims_understood=exact.n_understood, n_claims_true=exact.n_true, n_claims_near=near.n_true)


def sorted_out(verdicts: dict[tuple[str, Mode, str], list[Verdict]], standins: Verdicts, left_out: dict[str, int], temperature: float) -> Asked:
    """Verdicts by what they are for."""
    plain = {(model, mode): found for (model, mode, condition), found in verdicts.items() if condition == PLAIN}
    controls = {(model, condition): found for (model, _, condition), found in verdicts.items() if condition not in (PLAIN, SAMPLED, FAMILY)}
    samples = {
        model: [list(group) for _, group in itertools.groupby(found, key=lambda v: question_of(v.question_id))]
        for (model, _, condition), found in verdicts.items()
        if condition == SAMPLED
    }
    return Asked(plain | standins, controls, left_out, samples, temperature)


def write_records(out: Path, verdicts: list[list[Verdict]]) -> None:
    """One JSONL file a model, mode and condition, one line a completion."""
    folder = out / "records"
    folder.mkdir()
    for found in verdicts:
        lines = [json.dumps(dataclasses.asdict(v), sort_keys=True, ensure_ascii=False) + "\n" for v in found]
        v = found[0]
        name = f"{v.model}-{v.mode}" + ("" if v.condition == PLAIN else f"-{v.condition}")
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


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
