"""From verdicts to scores.

scores.json:

    questions    by group (see `groups`): n, n_counted, n_scenes, chance, majority, majority_label
    models       by model, mode and group: n, accuracy, stderr, low, high, versus_chance, unparsed, strict, well_formed, mean_tokens
    comparisons  by "sft - base" (each model minus the base, and minus the one trained before it), mode and group: see `gains`
    primary      the gains that params declare: gain, mode, group
    baselines    by who answers from less than the pictures show (`questions.baselines`): groups, cue and angles, each with cells as below; null where it knows
                 nothing of the kind
    cue          by model, mode, viewpoint kind (and overall) and stratum (aligned, conflict, see `questions.cues`): n, accuracy, stderr, low, high,
                 versus_chance
    angles       as cue, by the angle between the cameras instead (`RANGES`, degrees)
    controls     by model and condition (see `conditions`): left_out, and by group: n, accuracy, stderr, low, high, versus_chance, plain (the same questions
                 asked plainly), versus_plain (see `gains`)
    certainty    by model, mode and group, of answers whose probability is known: n, right, confidence, ece, brier (see `calibration`), reliability (bins:
                 up_to, n, confidence, right)
    claims       by model and group, of thoughts whose claims can be checked: see `true_claims`
    sampled      n, temperature, and by model and group: n, greedy, mean, majority, best (each accuracy and stderr), votes, chance_best, unparsed
    benchmarks   where evaluate.benchmarks names any: see `benchmarks.results`
    families     where build_qa made any: see `families`
    set_aside    test questions that were not asked, by reason
    chance_bound see `stats.chance_test`, which makes versus_chance: verdict, low, high, p; above and below by false discovery rate over all of them
    margin       see `comparisons.margin_test`

Shares lie between 0 and 1; null means no data, or an error that one scene alone cannot give. Low and high are the 95 % interval of `stats.wilson_interval`.

An unparsed answer counts as wrong. *Strict* counts only right answers of well-formed completions whose tag holds the bare letter or text. `n_counted` is the
sum of the weights of a group's questions.

Of n sampled completions of a question, *mean* is the share that is right, *best* whether any is, and *majority* whether the answer given most
often is; unparsed ones do not vote, and of k answers given equally often each is taken to win 1/k of the time, as a drawn lot would have it.
*Votes* is the `calibration` of the majority's answer by the share of completions that give it; *certainty* that of the greedy answer by the probability which
the model gave its tokens, after all that it had written before them.
Guessing finds the right one of m options at least once in n tries with probability 1 - (1 - 1/m)^n (`chance_best`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from actial.answers import Answer, is_well_formed, read_answer
from actial.evaluation.calibration import calibration, certainty
from actial.evaluation.conditions import PLAIN, SAMPLED
from actial.evaluation.gains import gain, gains_of_stages, judge_against_chance, judge_gains
from actial.evaluation.groups import DIRECTIONAL, OVERALL, Group, groups_of
from actial.evaluation.standins import STANDINS, majority_labels
from actial.evaluation.true_claims import claim_scores
from actial.ids import question_of
from actial.params_evaluation import Evaluate
from actial.records import STRICT_RULES, Mode, Question, Verdict, is_viewpoint
from actial.stats import chance_test, wilson_interval

STRATA = ("aligned", "conflict")
RANGE_ENDS_DEG = (30.0, 60.0, 90.0)
RANGES = ("0-30", "30-60", "60-90", "90-180")
"""Angles between cameras, degrees; each without its end."""

Verdicts = dict[tuple[str, Mode], list[Verdict]]


@dataclass(frozen=True)
class Asked:
    """Everything that was asked, as it was answered."""

    plain: Mapping[tuple[str, Mode], Sequence[Verdict]]
    """By model and mode; each as long as the questions and in the same order."""
    controls: Mapping[tuple[str, str], Sequence[Verdict]] = field(default_factory=dict)
    """By model and condition; about some of the questions."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """By condition: questions whose truth is not known there."""
    samples: Mapping[str, Sequence[Sequence[Verdict]]] = field(default_factory=dict)
    """By model: of some of the questions, equally many each."""
    temperature: float | None = None
    """Of the samples."""
    baselines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Letters by baseline and question: what those answer who read less than the pictures show. Questions are missing that they cannot answer."""
    angles_deg: Mapping[str, float] = field(default_factory=dict)
    """By question the angle between its cameras; questions are missing whose cameras are not known."""


def verdict_of(
    question: Question, model: str, mode: Mode, completion: str, n_tokens: int, prompt_sha: str, condition: str = PLAIN, number: int | None = None
) -> Verdict:
    """Read and judge one completion.

    Args:
        question: as it was asked, with the truth that holds under the condition.
        number: which of a question's sampled completions this is; it becomes part of the id.
    """
    reading = read_answer(completion, question.options)
    letter, rule = (reading.letter, reading.rule) if isinstance(reading, Answer) else (None, reading.reason)
    return Verdict(
        question_id=question.question_id if number is None else f"{question.question_id}#{number}",
        scene_id=question.scene_id,
        kind=question.kind,
        tied_class=question.tied_class,
        model=model,
        mode=mode,
        condition=condition if number is None else SAMPLED,
        truth=question.truth,
        completion=completion,
        answer=letter,
        rule=rule,
        correct=letter == question.truth,
        prompt_sha=prompt_sha,
        n_tokens=n_tokens,
    )


def is_strict(verdict: Verdict) -> bool:
    """Whether the answer stands exactly where and how the prompt asked for it."""
    return verdict.rule in STRICT_RULES and is_well_formed(verdict.completion, verdict.mode)


def score(questions: Sequence[Question], asked: Asked, set_aside: Mapping[str, int], settings: Evaluate, root_seed: int) -> dict[str, Any]:
    """The content of scores.json.

    Args:
        questions: the questions asked.
        settings: what is tested, and against which margins.
        root_seed: of the bootstrap and of the sign flips.
    """
    chance_bound = settings.chance_bound
    groups = groups_of(questions)
    strata: dict[str, tuple[Sequence[str], Sequence[str | None]]] = {
        "cue": (STRATA, [q.cue for q in questions]),
        "angles": (RANGES, [angle_range(asked.angles_deg.get(q.question_id)) for q in questions]),
    }
    models: dict[str, Any] = {}
    by_stratum: dict[str, dict[str, Any]] = {name: {} for name in strata}
    for (model, mode), found in asked.plain.items():
        _require_same(questions, found, f"{model} in mode {mode}")
        models.setdefault(model, {})[mode] = {name: _score_group(questions, group, found, chance_bound) for name, group in groups.items()}
        if model not in STANDINS:
            for name, (names, of) in strata.items():
                by_stratum[name].setdefault(model, {})[mode] = _by_stratum(questions, [v.correct for v in found], names, of, chance_bound)
    baselines: dict[str, Any] = {}
    for baseline, letters in asked.baselines.items():
        right = [letters[q.question_id] == q.truth if q.question_id in letters else None for q in questions]
        baselines[baseline] = {"groups": {name: _accuracy(questions, group, right, chance_bound) for name, group in groups.items()}}
        baselines[baseline] |= {name: _by_stratum(questions, right, names, of, chance_bound) for name, (names, of) in strata.items()}
    comparisons = gains_of_stages(groups, asked.plain, settings.margin, settings.primary, root_seed)
    controls = _controls(questions, asked, settings, root_seed)
    judge_gains(_holding("primary", comparisons, controls))
    of_models = {model: by_mode for model, by_mode in models.items() if model not in STANDINS}
    judge_against_chance(cell["versus_chance"] for cell in _holding("versus_chance", of_models, *by_stratum.values(), controls, baselines))
    return {
        "questions": {name: _describe(questions, group) for name, group in groups.items()},
        "models": models,
        "baselines": baselines,
        "comparisons": comparisons,
        "primary": [asdict(endpoint) for endpoint in settings.primary],
        **by_stratum,
        "controls": controls,
        "certainty": {
            model: {mode: {name: _certainty(group, asked.plain[model, mode]) for name, group in groups.items()} for mode in by_mode}
            for model, by_mode in of_models.items()
        },
        "claims": {
            model: {name: claim_scores(group, asked.plain[model, "think"]) for name, group in groups.items()}
            for model, by_mode in of_models.items()
            if "think" in by_mode
        },
        "sampled": _sampled(questions, asked),
        "set_aside": dict(set_aside),
        "chance_bound": chance_bound,
        "margin": settings.margin,
    }


def _holding(key: str, *trees: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every map in these that has a key."""
    for tree in trees:
        if key in tree and isinstance(tree, dict):
            yield tree
        yield from _holding(key, *(branch for branch in tree.values() if isinstance(branch, Mapping)))


def _describe(questions: Sequence[Question], group: Group) -> dict[str, Any]:
    """Size, chance and majority of a group. Chance is 1 / number of options; majority is what the best constant label of each kind scores."""
    labels = majority_labels(questions)
    inside = [questions[i] for i in group.places]
    kinds = {q.kind for q in inside}
    return {
        "n": len(inside),
        "n_counted": sum(group.weights),
        "n_scenes": len(set(group.scenes)),
        "chance": _chance(questions, group),
        "majority": group.mean([float(q.label_of(q.truth) == labels[q.kind]) for q in inside]),
        "majority_label": labels[kinds.pop()] if len(kinds) == 1 else None,
    }


def _chance(questions: Sequence[Question], group: Group) -> float | None:
    return group.mean([1 / len(questions[i].options) for i in group.places])


def _accuracy(questions: Sequence[Question], group: Group, answers: Sequence[bool | None], chance_bound: float) -> dict[str, Any]:
    """Of right and wrong answers to all questions; no data where one of the group has none."""
    if any(answers[i] is None for i in group.places):
        group = Group(questions, [], tied_once=False)
    right = [bool(answers[i]) for i in group.places]
    accuracy = group.clustered([float(r) for r in right])
    low, high = wilson_interval(right, group.scenes, group.weights) or (None, None)
    versus_chance = asdict(chance_test(accuracy, _chance(questions, group), chance_bound))
    return {"n": len(right), "accuracy": accuracy.mean, "stderr": accuracy.stderr, "low": low, "high": high, "versus_chance": versus_chance}


def _score_group(questions: Sequence[Question], group: Group, verdicts: Sequence[Verdict], chance_bound: float) -> dict[str, Any]:
    inside = [verdicts[i] for i in group.places]
    return _accuracy(questions, group, [v.correct for v in verdicts], chance_bound) | {
        "unparsed": group.mean([float(v.answer is None) for v in inside]),
        "strict": group.mean([float(v.correct and is_strict(v)) for v in inside]),
        "well_formed": group.mean([float(is_well_formed(v.completion, v.mode)) for v in inside]),
        "mean_tokens": group.mean([v.n_tokens for v in inside]),
    }


def angle_range(angle_deg: float | None) -> str | None:
    """Which of `RANGES` an angle between cameras lies in; None where it is not known."""
    return None if angle_deg is None else next((name for name, end in zip(RANGES, RANGE_ENDS_DEG, strict=False) if angle_deg < end), RANGES[-1])


def _by_stratum(
    questions: Sequence[Question], right: Sequence[bool | None], names: Sequence[str], of: Sequence[str | None], chance_bound: float
) -> dict[str, Any]:
    """By viewpoint kind (and overall) and stratum.

    Args:
        names: the strata.
        of: for every question the stratum it is in, or another.
    """
    viewpoint = [i for i, q in enumerate(questions) if is_viewpoint(q.kind)]
    strata: dict[str, Any] = {}
    for name in (*sorted({questions[i].kind for i in viewpoint}), OVERALL):
        for stratum in names:
            places = [i for i in viewpoint if of[i] == stratum and name in (questions[i].kind, OVERALL)]
            group = Group(questions, places, tied_once=name == OVERALL)
            strata.setdefault(name, {})[stratum] = _accuracy(questions, group, right, chance_bound)
    return strata


def _controls(questions: Sequence[Question], asked: Asked, settings: Evaluate, root_seed: int) -> dict[str, Any]:
    by_id = {q.question_id: q for q in questions}
    controls: dict[str, Any] = {}
    for (model, condition), found in asked.controls.items():
        about = [by_id[v.question_id] for v in found]
        plain = {v.question_id: v for v in asked.plain[model, "think"]}
        same = [float(plain[v.question_id].correct) for v in found]
        cells = {}
        for name, group in groups_of(about).items():
            if name != DIRECTIONAL:
                differences = [float(found[i].correct) - same[i] for i in group.places]
                cells[name] = _accuracy(about, group, [v.correct for v in found], settings.chance_bound) | {
                    "plain": group.mean([same[i] for i in group.places]),
                    "versus_plain": gain(group, differences, settings.margin, root_seed, f"{model}/{condition}/{name}/control"),
                }
        controls.setdefault(model, {})[condition] = {"left_out": asked.left_out.get(condition, 0), "groups": cells}
    return controls


def _certainty(group: Group, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Of the answers in a group whose probability is known."""
    inside = [verdicts[i] for i in group.places]
    return certainty([v.answer_logprob if v.answer is not None else None for v in inside], [float(v.correct) for v in inside], group.weights)


def _sampled(questions: Sequence[Question], asked: Asked) -> dict[str, Any] | None:
    if not any(asked.samples.values()):
        return None
    by_id = {q.question_id: q for q in questions}
    models: dict[str, Any] = {}
    for model, found in asked.samples.items():
        about = [by_id[question_of(of_question[0].question_id)] for of_question in found]
        plain = {v.question_id: v for v in asked.plain[model, "think"]}
        greedy = [float(plain[q.question_id].correct) for q in about]
        models[model] = {name: _sampled_group(about, group, found, greedy) for name, group in groups_of(about).items()}
    return {"n": len(next(iter(asked.samples.values()))[0]), "temperature": asked.temperature, "models": models}


def _sampled_group(questions: Sequence[Question], group: Group, samples: Sequence[Sequence[Verdict]], greedy: Sequence[float]) -> dict[str, Any]:
    inside = [samples[i] for i in group.places]
    values = {
        "greedy": [greedy[i] for i in group.places],
        "mean": [_mean([v.correct for v in of_question]) for of_question in inside],
        "majority": [majority_of(of_question) for of_question in inside],
        "best": [float(any(v.correct for v in of_question)) for of_question in inside],
    }
    found = {name: group.clustered(of_name) for name, of_name in values.items()}
    votes = calibration([confidence_of(of_question) for of_question in inside], values["majority"], group.weights)
    chance_best = [1 - (1 - 1 / len(questions[i].options)) ** len(samples[i]) for i in group.places]
    return {
        "n": len(inside),
        **{name: {"accuracy": mean.mean, "stderr": mean.stderr} for name, mean in found.items()},
        "votes": asdict(votes),
        "chance_best": group.mean(chance_best),
        "unparsed": group.mean([_mean([v.answer is None for v in of_question]) for of_question in inside]),
    }


def majority_of(samples: Sequence[Verdict]) -> float:
    """How often the answer given most often is right: 1, 0, or 1/k where the right one is among k that were given equally often."""
    votes = Counter(v.answer for v in samples if v.answer is not None)
    winners = [answer for answer, n in votes.items() if n == max(votes.values())]
    return 1 / len(winners) if samples[0].truth in winners else 0.0


def confidence_of(samples: Sequence[Verdict]) -> float:
    """The share of a question's sampled completions that give the answer given most often; 0 where none could be read."""
    return max(Counter(v.answer for v in samples if v.answer is not None).values(), default=0) / len(samples)


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def _require_same(questions: Sequence[Question], verdicts: Sequence[Verdict], whose: str) -> None:
    if [v.question_id for v in verdicts] != [q.question_id for q in questions]:
        raise ValueError(f"the verdicts of {whose} are not those of the questions, in order")
