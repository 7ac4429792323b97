"""The card of a mixture: its rule, its counts, and a row of each mode as the model sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from actial.mix.conversations import TOLD
from actial.mix.teacher import prompt_sha
from actial.mix.variants import SAID
from actial.params import ColdStartMix
from actial.records import Conversation

_TEXT = """---
configs:
- config_name: sft
  data_files: sft.parquet
- config_name: rl
  data_files: rl.parquet
{teacher}---
# Conversations for a cold start

`sft.parquet`: {n_rows:,} rows of the train split, made by stage `cold_start_mix` with seed {seed}. `rl.parquet`: {n_rl:,} prompts of the rl split, other
scenes, without an answer.{replay} Pictures are named by `view_ids`; each `<image>` stands for the next one.{mirrored}

Rule: every sort of rows gets its share. Within a sort each distinct row stands equally often, once more for those that a seeded permutation
puts first where the number does not divide; then all rows are shuffled together by the seed.

| sort | share | rows | distinct rows | each stands |
| --- | --- | --- | --- | --- |
{table}

`2d` marks questions about the pictures alone; everything else needs the third dimension.

{reasoning}

{written}{chains}

Reasons of 2D questions are read off the projected parts and not checked again.{untold} Left out:

{refused}

{samples}"""


_MIRRORED = """
Half of the pairs to draw from are mirror images: `scene-000042_mirrored.v03` is the picture of `scene-000042.v03` turned over left to right; what is said of
it is true of that mirror image. No picture of it is stored."""

_BY_GEOMETRY = """\
Chains of thought are written from true geometry, evenly over the labels of each kind, and each claim in them was read back and checked by other code against
the cameras and the projected parts. A question gets one where its pictures show clear evidence that agrees with the answer:"""
_BY_TEACHER = """\
Chains of thought are written by the model {model} (prompt {sha}), which saw both pictures and was given the true answer and how the camera moved, evenly
over the labels of each kind. Each was used only where its answer is the truth and every claim in it (sides, directions, sizes, distances, angles) was found
true of the stored cameras, one at least about the pictures and one that decides the question. Words between the claims were not checked. `teacher.parquet` has
a row for each reply, with what became of it."""


def write_card(
    path: Path,
    settings: ColdStartMix,
    seed: int,
    shares: Mapping[str, float],
    rows: Mapping[str, int],
    distinct: Mapping[str, int],
    n_rl: int,
    untold: Sequence[str],
    tried: Mapping[str, Mapping[str, int]],
    refused: Mapping[str, int],
    samples: Sequence[Conversation],
) -> None:
    """Write the card as Markdown; of the kinds `untold` no chains are written, `tried` says how the tries of the others ended (`conversations.TOLD` or
    why not), `samples` are shown in full."""
    table = "\n".join(f"| {sort} | {shares[sort]:.0%} | {rows.get(sort, 0):,} | {n:,} | {_often(rows.get(sort, 0), n)} |" for sort, n in distinct.items())
    text = _TEXT.format(
        n_rows=settings.n_rows,
        seed=seed,
        n_rl=n_rl,
        replay="" if settings.replay is None else f" Of these {settings.replay:.0%} ask how the camera moved, the others are about things, or from outside.",
        mirrored=_MIRRORED if settings.mirror_images else "",
        teacher="- config_name: teacher\n  data_files: teacher.parquet\n" if settings.source == "teacher" else "",
        reasoning=SAID[settings.reasoning],
        table=table,
        written=_BY_TEACHER.format(model=settings.teacher.model, sha=prompt_sha()) if settings.source == "teacher" else _BY_GEOMETRY,
        chains="\n\n" + _share_told(tried) if tried else "",
        untold=f"\nOf these kinds no chains are written, they are asked directly alone, as prompts too: {', '.join(untold)}." if untold else "",
        refused="\n".join(f"- {n:,} {reason}" for reason, n in sorted(refused.items()) if n) or "- nothing",
        samples="\n\n".join(_sample(c) for c in samples),
    )
    path.write_text(text + "\n", encoding="utf-8")


def _share_told(tried: Mapping[str, Mapping[str, int]]) -> str:
    """A table of the kinds: how many of the questions tried got a chain, and what was most often the matter with the others."""
    lines = ["| kind | questions tried | with a chain | why most of the others have none |", "| --- | --- | --- | --- |"]
    for kind, ends in tried.items():
        n, others = sum(ends.values()), Counter({end: k for end, k in ends.items() if end != TOLD})
        reasons = "; ".join(f"{reason} ({k:,})" for reason, k in others.most_common(2))
        lines.append(f"| {kind} | {n:,} | {ends.get(TOLD, 0) / n:.0%} | {reasons} |" if n else f"| {kind} | 0 | | |")
    return "\n".join(lines)


def _often(rows: int, distinct: int) -> str:
    if not rows:
        return "never"
    times, extra = divmod(rows, distinct)
    return f"{times} times" if not extra else f"{times} or {times + 1} times"


def _sample(conversation: Conversation) -> str:
    turns = "\n\n".join(f"{m.role}:\n{m.content}" for m in conversation.messages)
    return (
        f"## {conversation.mode}, kind {conversation.kind}\n\n`{conversation.question_id}`, {conversation.n_tokens or 'uncounted'} tokens\n\n```\n{turns}\n```"
    )
