"""The data card and the settings: what was made, what was refused and why, and how to make every number again."""

from __future__ import annotations

from collections import Counter
from typing import Any

from actial.params import STAGES
from actial.records import Question
from actial.report.outputs import SPLITS, Outputs
from actial.report.page import Html, join, missing, table, tag


def data_section(outputs: Outputs) -> Html:
    """Counts by stage, refusals by reason, questions by split, kind and truth, sources and licences."""
    if not outputs.manifests:
        return missing("No stage has run yet.")
    rows = []
    for stage in STAGES:
        manifest = outputs.manifests.get(stage)
        if manifest is None:
            rows.append([stage, tag("span", "not run yet", class_="faint"), ""])
        else:
            rows.append([stage, _counts(manifest["made"]) or "nothing", _counts(manifest["refused"]) or "nothing"])
    parts: list[Html | None] = [table(["stage", "made", "refused"], rows, caption="From each stage's manifest.json")]
    parts.append(_questions_table(outputs.questions) if outputs.questions else missing("There are no questions yet: the stage build_qa has not run."))
    if outputs.views is not None:
        sources = Counter((v.source, v.licence) for v in outputs.views)
        parts.append(table(["source", "licence", "views"], [[*key, f"{n:,}"] for key, n in sorted(sources.items())], caption="Views", numeric=[2]))
    return join(parts)


def settings_section(outputs: Outputs) -> Html:
    """For each stage: the command, the seed, the versions, the params it was made with."""
    how = tag(
        "p",
        "Every number above is made by these six commands in this order; ",
        tag("code", "dvc repro"),
        " or ",
        tag("code", "actial run"),
        " run those whose code, settings or inputs have changed. Scores are means over the records in outputs/evaluate/records; ",
        tag("code", "actial trace ID"),
        " prints how one question became part of them.",
    )
    return join([how, *(_stage(stage, outputs) for stage in STAGES)])


def _stage(stage: str, outputs: Outputs) -> Html:
    summary = tag("summary", tag("code", f"python -m tasks.{stage}"))
    manifest = outputs.manifests.get(stage)
    if manifest is None:
        return tag("details", summary, missing(f"{stage} has not run."))
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    params = outputs.settings.get(stage)
    if params is None:
        shown = missing("dvc.lock holds no settings of this stage: it was run outside of `dvc repro` and `actial run`.")
    else:
        shown = table(["setting", "value"], [[tag("code", k), tag("code", v)] for k, v in _flat(params)], caption="From dvc.lock")
    return tag("details", summary, tag("p", f"Seed {manifest['seed']}; {versions}."), shown)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)


def _questions_table(questions: dict[str, list[Question]]) -> Html:
    splits = [s for s in SPLITS if s in questions]
    kinds = sorted({q.kind for of_split in questions.values() for q in of_split})
    rows = []
    for kind in kinds:
        row: list[object] = [kind]
        for split in splits:
            labels = Counter(q.label_of(q.truth) for q in questions[split] if q.kind == kind)
            row.append(_shares(labels))
        rows.append(row)
    scenes = ["scenes", *(f"{len({q.scene_id for q in questions[s]}):,}" for s in splits)]
    return table(["kind", *splits], [*rows, scenes], caption="Questions by kind and split, with the share of each truth")


def _shares(labels: Counter[str]) -> Html | str:
    total = sum(labels.values())
    if not total:
        return "0"
    said = ", ".join(f"{label} {100 * n / total:.0f} %" for label, n in sorted(labels.items()))
    return join([f"{total:,} ", tag("small", said, class_="faint")])


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in _flat(v, f"{prefix}.{k}" if prefix else str(k))]
    return [(prefix, str(value))]
