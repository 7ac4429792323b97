"""What GRPO sampled: one group of completions at some of its steps, with every reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actial.records import Question, Rollout
from actial.report.gallery import pair_of_pictures
from actial.report.page import Html, join, missing, tag
from actial.shards import ViewStore

N_STEPS = 12
"""Steps shown, evenly spread."""
N_COMPLETIONS = 8
"""Completions shown of a group."""

Group = tuple[int, str, list[Rollout]]


def groups_shown(rollouts: Sequence[Rollout]) -> list[Group]:
    """(step, question id, its completions) of the first question of each step shown."""
    by_step: dict[int, dict[str, list[Rollout]]] = {}
    for rollout in rollouts:
        by_step.setdefault(rollout.step, {}).setdefault(rollout.question_id, []).append(rollout)
    steps = sorted(by_step)
    n = min(N_STEPS, len(steps))
    chosen = sorted({steps[round(i * (len(steps) - 1) / max(n - 1, 1))] for i in range(n)})
    return [(step, *next(iter(by_step[step].items()))) for step in chosen]


def rollout_section(groups: Sequence[Group], rollouts: Sequence[Rollout], questions: Mapping[str, Question], views: ViewStore | None) -> Html:
    """One fold a step.

    Args:
        groups: those of `groups_shown`.
        rollouts: all of them, for the counts.
        questions: by id.
    """
    if not rollouts:
        return missing("There are no rollouts yet: the stage grpo has not run.")
    n_steps = len({r.step for r in rollouts})
    said = f"The first group of completions at {len(groups)} of {n_steps:,} steps; {len(rollouts):,} rollouts in outputs/grpo/rollouts.parquet."
    return join([tag("p", said, class_="faint"), *(_group(*group, questions.get(group[1]), views) for group in groups)])


def _group(step: int, question_id: str, rollouts: Sequence[Rollout], question: Question | None, views: ViewStore | None) -> Html:
    given = {name: [value for r in rollouts if (value := r.rewards[name]) is not None] for name in rollouts[0].rewards}
    means = ", ".join(f"{name} {sum(values) / len(values):.2f}" for name, values in given.items() if values)
    about: list[Html] = [tag("p", "Question ", tag("code", question_id))]
    if question is not None:
        options = "; ".join(f"{question.letter_of(label)}. {text}" for label, text in zip(question.labels, question.options, strict=True))
        about += [pair_of_pictures(question.view_ids, views), tag("p", question.text, class_="question"), tag("p", f"{options}. Truth: {question.truth}.")]
    more = len(rollouts) - N_COMPLETIONS
    return tag(
        "details",
        tag("summary", f"Step {step:,}: mean rewards {means or 'none'} over {len(rollouts)} completions"),
        *about,
        *(_completion(r) for r in rollouts[:N_COMPLETIONS]),
        tag("p", f"and {more} more", class_="faint") if more > 0 else None,
    )


def _completion(rollout: Rollout) -> Html:
    rewards = ", ".join(f"{name} {'not given' if value is None else f'{value:g}'}" for name, value in rollout.rewards.items())
    text = tag("pre", rollout.completion) if rollout.completion else tag("p", "(nothing written)", class_="faint")
    return tag("div", tag("div", tag("small", rewards)), text, class_="completion")
