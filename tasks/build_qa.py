"""Stage build_qa: views -> questions about one view, pairs and three of them, with answers computed from geometry; those of data sets from outside join them.

`python -m tasks.build_qa`.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from actial.errors import UserError
from actial.json_files import write_json
from actial.questions.balance import SPLITS
from actial.questions.build import build_questions
from actial.questions.card import write_card
from actial.questions.contradictions import FAMILIES, write_families
from actial.questions.external import Joined, join_external
from actial.questions.external_card import external_section
from actial.questions.external_files import BENCHMARKS, find_external
from actial.questions.families import families_of
from actial.questions.kinds_2d import balanced_2d, pairs_asked
from actial.questions.leakage import Leakage, benchmarks, find_leaks
from actial.questions.scan import scan_scenes
from actial.questions.shortcut_table import audit_section, complaint
from actial.questions.shortcuts import audit_questions
from actial.records import SAT_KINDS, Question
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.tables import stream_questions, write_questions
from actial.views.progress import ViewProgress
from tasks import body


def make(job: body.Job) -> body.Made:
    """Write the four splits, the 2D questions about pairs of the test, the pictures that came from outside, and the dataset card."""
    settings, joined = job.params.build_qa, _joined(job)
    views = job.inputs["render_views"] / "views"
    store = ViewStore(views) if set(settings.kinds) & set(SAT_KINDS) else None
    built = build_questions(scan_scenes(views), job.out, settings, job.params.seed, store)
    audit, leakage = _audited(job), _leakage(job, joined)
    splits = [split for split, questions in joined.questions.items() if questions]
    write_card(job.out / "README.md", built, settings, job.params.seed, audit, external_section(settings.external, joined, leakage), splits)
    counts = {f"{name} questions": built.total(name) + len(joined.questions.get(name, ())) for name in built.n_scenes}
    refused = dict(built.refused)
    if settings.n_questions_2d:
        pairs = pairs_asked(stream_questions(job.out / "test.parquet"))
        counts["2D questions"] = write_questions(job.out / "test_2d.parquet", _questions_2d(job, pairs))
        if not counts["2D questions"]:
            refused["pairs without 2D questions (no named part is seen, or an answer never occurs)"] = len(pairs)
    if settings.n_families:
        counts["families of test questions"], not_made = _families(job)
        refused |= not_made
    for split in splits:
        _append(job.out / f"{split}.parquet", joined.questions[split])
    counts |= {f"of these from {entry.name}": sum(q.source == entry.name for s in splits for q in joined.questions[s]) for entry in settings.external}
    counts |= {f"pictures of {data_set} that are in {name}": n for (data_set, name), n in sorted(leakage.n_leaks().items())} if leakage else {}
    refused |= {f"{name}: rows with {reason}": n for (name, reason), n in sorted(joined.refused.items())}
    return body.Made(counts=counts, refused=refused, look="README.md")


def _families(job: body.Job) -> tuple[int, dict[str, int]]:
    """Write families.jsonl; returns how many there are, and why others are none."""
    store = ViewStore(job.inputs["render_views"] / "views")
    families, refused = families_of([job.out / "test.parquet"], store.__getitem__, job.params.build_qa, job.params.seed)
    write_families(job.out / FAMILIES, families)
    return len(families), dict(refused)


def _joined(job: body.Job) -> Joined:
    """The questions of data sets from outside; all their files are looked for before any is read."""
    found, views = find_external(job.params.build_qa.external, job.inputs["external"]), job.out / "views"
    if not found:
        return join_external(found, views, job.params.seed)
    with ViewProgress(sum(data_set.n_wanted for data_set in found), 0, "row", "build_qa") as progress:
        return join_external(found, views, job.params.seed, lambda refused: progress.add(1, set_aside=refused))


def _append(path: Path, questions: list[Question]) -> None:
    """Put questions behind those of a table."""
    whole = path.with_suffix(".whole")
    write_questions(whole, itertools.chain(stream_questions(path), questions))
    whole.replace(path)


def _leakage(job: body.Job, joined: Joined) -> Leakage | None:
    """What training shares with benchmarks; every find stands in leakage.json. None where there is nothing to compare."""
    root = job.inputs["external"] / BENCHMARKS
    if not joined.n_views and not benchmarks(root):
        return None
    made, outside = ViewStore(job.inputs["render_views"] / "views"), ViewStore(job.out / "views")
    shown = {name: {v for q in stream_questions(job.out / f"{name}.parquet") for v in q.view_ids} for name in ("train", "rl", "test")}
    leakage = find_leaks(made, shown, outside, joined.scenes, root)
    write_json(job.out / "leakage.json", leakage.as_json())
    return leakage


def _audited(job: body.Job) -> str:
    """The shortcut audit's section of the card; its numbers stand in audit.json.

    Raises:
        UserError: a leak is larger than the settings allow. The numbers are then to be found in scratch.
    """
    settings = job.params.build_qa.audit
    if not settings.probes:
        return ""
    audit = audit_questions([job.out / f"{name}.parquet" for name in SPLITS], job.inputs["render_views"] / "views", settings, job.params.seed)
    write_json(job.out / "audit.json", audit.as_json())
    if said := complaint(audit):
        raise UserError(f"{said}; all numbers are in {job.out / 'audit.json'}")
    return audit_section(audit)


def _questions_2d(job: body.Job, pairs: np.ndarray) -> list[Question]:
    """2D questions about some of these pairs (see `pairs_asked`), drawn by the seed."""
    store = ViewStore(job.inputs["render_views"] / "views")
    drawn = (pairs[i].decode().split() for i in generator_for(job.params.seed, "questions_2d").permutation(len(pairs)))
    return balanced_2d(((store[first], store[second]) for first, second in drawn), job.params.build_qa.n_questions_2d, job.params.seed)


if __name__ == "__main__":
    body.main("build_qa", make)
