"""Section `evaluate` of params: which checkpoints are asked what, and which of their gains are tested for their own sake."""

from __future__ import annotations

from dataclasses import dataclass

from actial.params_external import PUBLISHED_BENCHMARKS
from actial.typed_yaml import setting


@dataclass(frozen=True)
class Controls:
    """Questions asked again, in mode think, under conditions that take something away or turn it round (`actial.evaluation.conditions`)."""

    models: tuple[str, ...] = setting("Checkpoints asked; empty for none.", choices=("base", "sft", "grpo"))
    conditions: tuple[str, ...] = setting(
        "Conditions: the second, or the first picture gray; the first twice; in the other order; without any picture.",
        choices=("first_only", "second_only", "same_twice", "swapped", "blind"),
    )
    n_questions: int | None = setting("Test questions asked under each condition, from those asked plainly; null for all of them.", ge=1)


@dataclass(frozen=True)
class Sampled:
    """Several sampled completions of each question, in mode think: does training teach, or sharpen?"""

    models: tuple[str, ...] = setting("Checkpoints asked; empty for none.", choices=("base", "sft", "grpo"))
    n: int = setting("Completions of each question.", ge=2)
    temperature: float = setting("Sampling temperature.", gt=0)
    n_questions: int | None = setting("Test questions asked, from those asked plainly; null for all of them.", ge=1)


@dataclass(frozen=True)
class Endpoint:
    """A gain that is tested for its own sake, named before anything is seen."""

    gain: str = setting("Which model against which.", choices=("sft - base", "grpo - base", "grpo - sft"))
    mode: str = setting("Mode in which both were asked.", choices=("think", "direct"))
    group: str = setting("A kind of questions, or overall, directional, new families, 2d or sat (`actial.evaluation.groups`).")


@dataclass(frozen=True)
class Evaluate:
    """Scores of the base, SFT and GRPO checkpoints."""

    models: tuple[str, ...] = setting("Checkpoints to score.", choices=("base", "sft", "grpo"))
    max_new_tokens: dict[str, int] = setting("Longest completion in each mode, tokens; the modes it names are asked: think, direct.", ge=1)
    n_questions: int | None = setting("Test questions asked, drawn by the seed; null for all.", ge=1)
    chance_bound: float = setting("Largest difference from the accuracy of guessing that still counts as chance.", gt=0, le=0.5)
    margin: float = setting("Loss of accuracy from which on a model counts as worse: smaller ones are shown to be no worse, or equal.", gt=0, le=0.5)
    primary: tuple[Endpoint, ...] = setting("Gains tested for their own sake, p-values by Holm over them; all others by false discovery rate. [] for none.")
    controls: Controls = setting("Controls.")
    sampled: Sampled = setting("Sampled completions.")
    benchmarks: tuple[str, ...] = setting("Asked, too; without files in data/external/benchmarks: not run. [] for none.", choices=PUBLISHED_BENCHMARKS)
    benchmark_controls: tuple[str, ...] = setting(
        "Benchmarks asked again: without any picture; with all pictures gray but the first, or the last. [] for not.",
        choices=("blind", "first_only", "last_only"),
    )
    max_refused_share: float = setting("Share of test questions that may be set aside for unreadable pictures before the stage fails.", ge=0, le=1)
