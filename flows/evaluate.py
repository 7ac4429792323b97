"""`actial evaluate`: any model, in a folder, on the hub or behind a server, on benchmarks and on our own test questions, without the pipeline."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actial.endpoint.asking import Server, with_key
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies
from actial.errors import UserError
from actial.evaluation.benchmarks.answered import Judged, Manner
from actial.evaluation.benchmarks.results import (
    KNOWN,
    Places,
    benchmark_scores,
    gather,
    judged_by_benchmark,
    plainly,
    posed_by_benchmark,
    write_benchmark_records,
)
from actial.evaluation.benchmarks.table import benchmark_table
from actial.evaluation.completions import CompletionLog
from actial.evaluation.gains import MODES
from actial.evaluation.judge import Judgement, judge_unread, opinion, unread, write_judgements
from actial.evaluation.remote import served_log_name
from actial.evaluation.subjects import Subject, here, served
from actial.json_files import write_json
from actial.machine import load_machine
from actial.params import Params, load_params
from actial.records import Mode
from actial.report.benchmarks import benchmarks_section
from actial.report.exports import write_results
from actial.report.page import page
from flows.results import INSTALLED_PROFILES as PROFILES
from tasks import tracking

PARAMS = Path("params.yaml")
OUTSIDE = "single-gpu"
"""The profile whose settings hold where there is no params.yaml."""
SCORES = "scores.json"
RUNS = Path("runs/evaluate")
LOGS, STORE, JUDGED, RESULTS = RUNS / "records", RUNS / "benchmarks", RUNS / "judged", RUNS / "results"


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    model: str
    benchmarks: Sequence[str]
    """Names; empty for all there are."""
    revision: str | None
    endpoint: str | None
    key_variable: str | None
    concurrency: int
    requests_per_minute: int
    timeout_s: float
    data: Path
    profile: str | None
    modes: Sequence[Mode]
    """Empty for those of the settings."""
    max_new_tokens: int | None
    controls: Sequence[str]
    """Of `conditions.BENCHMARK_CONTROLS`: with less to see, all is asked once more under each."""
    n: int | None
    samples: int | None
    temperature: float
    out: Path | None
    judge: str | None
    """A served model that says what completions chose that no rule could read."""
    judge_endpoint: str | None
    judge_key_variable: str | None


def evaluate(wish: Wish) -> int:
    """Ask, score, write records, scores and tables, track them as an MLflow run, and print the table.

    Returns:
        0, or 1 where none of the benchmarks could be run.

    Raises:
        UserError: there is no such model, benchmark or profile, the server does not answer, or left too many questions without a reply.
    """
    params = _settings(wish.profile)
    subject = _subject(wish, params)
    out = wish.out or RESULTS / (re.sub(r"[^A-Za-z0-9._-]+", "-", subject.name).strip("-.") or "model")
    if out.exists() and not (out / SCORES).exists() and any(out.iterdir()):
        raise UserError(f"--out is {out}, a folder with other things in it, which would be replaced: name another")
    manner, judging = _manner(wish, params), _judging_server(wish)
    benchmarks, not_run = gather(wish.benchmarks or KNOWN, Places(wish.data, Path("outputs"), STORE))
    posed = posed_by_benchmark(benchmarks, manner)
    asks = [p.ask for of_benchmark in posed.values() for p in of_benchmark]
    known = set(CompletionLog(LOGS / f"{subject.fingerprint}.jsonl").known)
    log, refused = subject.ask(asks, list(dict.fromkeys(folder for b in benchmarks for folder in b.views)), LOGS, load_machine())
    judged = judged_by_benchmark(posed, log, refused)
    _refuse_many(judged, params.evaluate.max_refused_share, log.path)
    scores = benchmark_scores(benchmarks, {subject.name: judged}, not_run) | {"model": subject.name, "fingerprint": subject.fingerprint}
    judgements = [] if judging is None else _judgements(wish, judging, plainly(judged))
    if wish.judge is not None:
        scores["judge"] = opinion(plainly(judged), judgements, wish.judge)
    _write(out, judged, scores, judgements)
    tracking.log_evaluation(scores, params, [out / SCORES, out / "scores.md"], out / "results")
    print(benchmark_table(scores))
    n_new = len({a.key for a in asks} - known - refused.keys())
    print(f"made    {n_new:,} new completions of {len({a.key for a in asks}):,}, to {sum(of['n'] for of in scores['asked'].values()):,} questions")
    print(f"refused {_refusals(scores, len(refused))}")
    print(f"look    {out / 'scores.md'}; every answer stands in {out / 'records'}")
    return 0 if benchmarks else 1


def _write(out: Path, judged: Mapping[str, Sequence[Judged]], scores: Mapping[str, Any], judgements: Sequence[Judgement]) -> None:
    """The folder is put into place whole; one that was there from before is replaced."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_benchmark_records(unfinished / "records", judged, scores["model"], scores["fingerprint"])
    if judgements:
        write_judgements(unfinished / "judgements.jsonl", judgements)
    (unfinished / "scores.md").write_text(benchmark_table(scores), encoding="utf-8")
    write_results(page(f"Scores of {scores['model']}", [("benchmarks", "Benchmarks", benchmarks_section(scores))]), unfinished / "results")
    write_json(unfinished / SCORES, scores)
    shutil.rmtree(out, ignore_errors=True)
    unfinished.rename(out)


def _refusals(scores: Mapping[str, Any], n_no_reply: int) -> str:
    reasons = [f"{n:,} rows of {of['title']} ({reason})" for of in scores["asked"].values() for reason, n in of["refused"].items()]
    reasons += [f"{n_no_reply:,} requests without a reply"] if n_no_reply else []
    return "; ".join([*reasons, *(f"{name} was not run" for name in scores["not_run"])]) or "nothing"


def _settings(profile: str | None) -> Params:
    """Of params.yaml where there is one, else of a profile."""
    if profile is None and PARAMS.exists():
        print(f"settings (prompts, limits, picture sizes): {PARAMS}", flush=True)
        return load_params(PARAMS)
    path = PROFILES / f"{profile or OUTSIDE}.yaml"
    if not path.exists():
        raise UserError(f"--profile is {profile}, which is none of {', '.join(sorted(p.stem for p in PROFILES.glob('*.yaml')))}: take one of these")
    print(f"settings (prompts, limits, picture sizes): profile {path.stem}" + ("" if profile else f", since there is no {PARAMS} here"), flush=True)
    return load_params(path)


def _subject(wish: Wish, params: Params) -> Subject:
    if wish.endpoint is None:
        return here(wish.model, wish.revision, params.model)
    if wish.revision is not None:
        raise UserError("--revision is of a hub model that is asked here; what a server serves is its own matter: leave it out, or --endpoint")
    return served(wish.model, _server(wish, "model", wish.endpoint, wish.key_variable, "--"))


def _server(wish: Wish, name: str, url: str, key_variable: str | None, prefix: str) -> Server:
    server = Server(
        name,
        url,
        concurrency=wish.concurrency,
        timeout_s=wish.timeout_s,
        requests_per_minute=wish.requests_per_minute,
        url_setting=f"{prefix}endpoint",
        key_setting=f"{prefix}key-variable",
    )
    return with_key(server, key_variable)


def _judging_server(wish: Wish) -> Server | None:
    """None where no judge is asked."""
    if wish.judge is None and (wish.judge_endpoint or wish.judge_key_variable):
        raise UserError("--judge-endpoint and --judge-key-variable are of a judge: name it with --judge, too")
    if wish.judge is None:
        return None
    if wish.judge_endpoint is None:
        raise UserError(f"--judge is {wish.judge}, but nothing says where it is served: give --judge-endpoint, such as http://localhost:8000/v1")
    return _server(wish, "judge", wish.judge_endpoint, wish.judge_key_variable, "--judge-")


def _judgements(wish: Wish, server: Server, judged: Mapping[str, Sequence[Judged]]) -> list[Judgement]:
    """What it said before is not asked again."""
    assert wish.judge is not None
    with Replies(JUDGED / f"{served_log_name(wish.judge)}.jsonl") as kept:
        return judge_unread(unread(judged), Client(server, kept, ""), wish.judge)


def _manner(wish: Wish, params: Params) -> Manner:
    limits = params.evaluate.max_new_tokens
    modes = [mode for mode in MODES if mode in (wish.modes or limits)]
    if wish.max_new_tokens is None and (unlimited := [mode for mode in modes if mode not in limits]):
        raise UserError(f"evaluate.max_new_tokens has no limit for mode {unlimited[0]}: give --max-new-tokens")
    most = {mode: wish.max_new_tokens or limits[mode] for mode in modes}
    return Manner(params.prompt, most, params.seed, wish.n, wish.samples, wish.temperature, tuple(dict.fromkeys(wish.controls)))


def _refuse_many(judged: Mapping[str, Sequence[Judged]], allowed: float, log: Path) -> None:
    every = [j for of_benchmark in judged.values() for j in of_benchmark]
    lacking = [j for j in every if j.completion is None]
    if len(lacking) > allowed * len(every):
        raise UserError(
            f"{len(lacking)} of {len(every)} requests got no reply ({lacking[0].scored.rule}), more than evaluate.max_refused_share ({allowed:g}) allows: "
            f"what came is kept in {log}, run again and only the rest is asked, or raise the share"
        )
