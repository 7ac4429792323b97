"""From verdicts to scores.

scores.json:

    questions   by group: n, n_counted, n_scenes, chance, majority, majority_label
    models      by model, mode and group: n, accuracy, stderr, unparsed, strict, well_formed, mean_tokens
    versus_base by model, mode and group: n, difference, stderr (paired by question)
    set_aside   test questions that were not asked, by reason

Groups are the kinds, `directional` (all questions whose truth is left or right: the bit that "none" cannot help with) and `overall`.
Shares lie between 0 and 1; null means no data, or an error that one scene alone cannot give.

An unparsed answer counts as wrong. *Strict* counts only right answers of well-formed completions whose tag holds the bare letter or text.
Kinds of one tied class ask one bit of one pair: in `directional` and `overall` the m questions of one tied class about the same views weigh
1/m each, so that every bit counts once (`n_counted` is the sum of weights). Within a kind every question weighs 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from actial.answers import STRICT_RULES, Answer, is_well_formed, read_answer
from actial.evaluation.standins import STANDINS, majority_labels
from actial.evaluation.stats import clustered_mean
from actial.records import Mode, Question, Verdict

OVERALL, DIRECTIONAL = "overall", "directional"
BASE = "base"
MODELS = (BASE, "sft", "grpo")
MODES: tuple[Mode, ...] = ("think", "direct")


def verdict_of(question: Question, model: str, mode: Mode, completion: str, n_tokens: int, prompt_sha: str) -> Verdict:
    """Read and judge one completion."""
    reading = read_answer(completion, question.options)
    letter, rule = (reading.letter, reading.rule) if isinstance(reading, Answer) else (None, reading.reason)
    return Verdict(
        question_id=question.question_id,
        scene_id=question.scene_id,
        kind=question.kind,
        tied_class=question.tied_class,
        model=model,
        mode=mode,
        condition="plain",
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


def score(questions: Sequence[Question], verdicts: Mapping[tuple[str, Mode], Sequence[Verdict]], set_aside: Mapping[str, int]) -> dict[str, Any]:
    """The content of scores.json.

    Args:
        questions: the questions asked.
        verdicts: by model and mode; each as long as `questions` and in the same order.
    """
    groups = _groups(questions)
    models: dict[str, Any] = {}
    versus_base: dict[str, Any] = {}
    for (model, mode), found in verdicts.items():
        if [v.question_id for v in found] != [q.question_id for q in questions]:
            raise ValueError(f"the verdicts of {model} in mode {mode} are not those of the questions, in order")
        models.setdefault(model, {})[mode] = {name: _score_group(group, found) for name, group in groups.items()}
        base = verdicts.get((BASE, mode))
        if base is not None and model != BASE and model not in STANDINS:
            versus_base.setdefault(model, {})[mode] = {name: _difference(group, found, base) for name, group in groups.items()}
    return {
        "questions": {name: _describe(questions, group) for name, group in groups.items()},
        "models": models,
        "versus_base": versus_base,
        "set_aside": dict(set_aside),
    }


class _Group:
    """Places of some questions in the list of all, with their weights and clusters."""

    def __init__(self, questions: Sequence[Question], places: Sequence[int], tied_once: bool) -> None:
        self.places = places
        bits = [(questions[i].tied_class, questions[i].view_ids) if questions[i].tied_class else questions[i].question_id for i in places]
        sizes = Counter(bits)
        self.weights = [1 / sizes[bit] if tied_once else 1.0 for bit in bits]
        self.scenes = [questions[i].scene_id for i in places]

    def mean(self, values: Sequence[float]) -> float | None:
        return clustered_mean(values, self.scenes, self.weights).mean


def _groups(questions: Sequence[Question]) -> dict[str, _Group]:
    every = range(len(questions))
    directional = [i for i in every if questions[i].label_of(questions[i].truth) in ("left", "right")]
    groups = {kind: _Group(questions, [i for i in every if questions[i].kind == kind], tied_once=False) for kind in sorted({q.kind for q in questions})}
    return groups | {DIRECTIONAL: _Group(questions, directional, tied_once=True), OVERALL: _Group(questions, every, tied_once=True)}


def _describe(questions: Sequence[Question], group: _Group) -> dict[str, Any]:
    """Size, chance and majority of a group. Chance is 1 / number of options; majority is what the best constant label of each kind scores."""
    labels = majority_labels(questions)
    inside = [questions[i] for i in group.places]
    kinds = {q.kind for q in inside}
    return {
        "n": len(inside),
        "n_counted": sum(group.weights),
        "n_scenes": len(set(group.scenes)),
        "chance": group.mean([1 / len(q.options) for q in inside]),
        "majority": group.mean([float(q.label_of(q.truth) == labels[q.kind]) for q in inside]),
        "majority_label": labels[kinds.pop()] if len(kinds) == 1 else None,
    }


def _score_group(group: _Group, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    inside = [verdicts[i] for i in group.places]
    accuracy = clustered_mean([float(v.correct) for v in inside], group.scenes, group.weights)
    return {
        "n": len(inside),
        "accuracy": accuracy.mean,
        "stderr": accuracy.stderr,
        "unparsed": group.mean([float(v.answer is None) for v in inside]),
        "strict": group.mean([float(v.correct and is_strict(v)) for v in inside]),
        "well_formed": group.mean([float(is_well_formed(v.completion, v.mode)) for v in inside]),
        "mean_tokens": group.mean([v.n_tokens for v in inside]),
    }


def _difference(group: _Group, verdicts: Sequence[Verdict], base: Sequence[Verdict]) -> dict[str, Any]:
    """Accuracy minus the base's, paired by question; the error is clustered by scene like all others."""
    values = [float(verdicts[i].correct) - float(base[i].correct) for i in group.places]
    difference = clustered_mean(values, group.scenes, group.weights)
    return {"n": len(values), "difference": difference.mean, "stderr": difference.stderr}


# ------------------------------------------------------------------------------------------------ tables


def score_table(scores: Mapping[str, Any]) -> str:
    """The scores as Markdown: model rows and mode columns, then every kind, then the stand-ins. Percent ± standard error."""
    facts, scored = scores["questions"], scores["models"]
    modes = _in_order({mode for by_mode in scored.values() for mode in by_mode}, first=MODES)
    models = {m: {mode: scored[m][mode] for mode in modes if mode in scored[m]} for m in _in_order(set(scored), first=MODELS, last=STANDINS)}
    standins = {m: models.pop(m) for m in STANDINS if m in models}
    groups = _in_order(set(facts), last=(DIRECTIONAL, OVERALL))
    overall = facts[OVERALL]
    main = [[model, *(_cell(by_mode[mode][OVERALL]) if mode in by_mode else "" for mode in modes)] for model, by_mode in models.items()]
    main += [[row, *[_percent(overall[row])] * len(modes)] for row in ("chance", "majority")]
    parts = [f"Accuracy in % ± standard error clustered by scene; {overall['n']:,} held-out questions about {overall['n_scenes']:,} scenes."]
    parts.append(_markdown(["model", *modes], main))
    parts.append(_markdown(["model", "mode", *groups, "unparsed", "strict"], [*_rows(models, groups), *_fact_rows(facts, groups)]))
    if standins:
        parts.append("Stand-ins (they check the scorer):")
        parts.append(_markdown(["stand-in", "mode", *groups, "unparsed", "strict"], _rows(standins, groups)))
    return "\n\n".join(parts) + "\n"


def _in_order(names: set[str], first: Sequence[str] = (), last: Sequence[str] = ()) -> list[str]:
    """JSON knows no order: known names first or last as listed, others by alphabet between them."""
    place = {name: i - len(first) for i, name in enumerate(first)} | {name: i + 1 for i, name in enumerate(last)}
    return sorted(names, key=lambda name: (place.get(name, 0), name))


def _rows(models: Mapping[str, Any], groups: Sequence[str]) -> list[list[str]]:
    return [
        [model, mode, *(_cell(by_group[g]) for g in groups), _percent(by_group[OVERALL]["unparsed"]), _percent(by_group[OVERALL]["strict"])]
        for model, by_mode in models.items()
        for mode, by_group in by_mode.items()
    ]


def _fact_rows(facts: Mapping[str, Any], groups: Sequence[str]) -> list[list[str]]:
    rows = [[row, "", *(_percent(facts[g][row]) for g in groups), "", ""] for row in ("chance", "majority")]
    return [*rows, ["questions", "", *(f"{facts[g]['n']:,}" for g in groups), "", ""]]


def _cell(cell: Mapping[str, Any]) -> str:
    error = "" if cell["stderr"] is None else f" ± {100 * cell['stderr']:.1f}"
    return _percent(cell["accuracy"]) + error


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def summary(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Overall accuracy by model and mode, beside chance and majority: small enough for `dvc metrics diff`."""
    overall = scores["questions"][OVERALL]
    accuracy = {model: {mode: by_group[OVERALL]["accuracy"] for mode, by_group in by_mode.items()} for model, by_mode in _models(scores).items()}
    return {"accuracy": accuracy, "chance": overall["chance"], "majority": overall["majority"], "n": overall["n"]}


def accuracy_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One flat row a model, mode and group, for plots."""
    return [
        {
            "label": f"{model} {mode} {group}",
            "model": model,
            "mode": mode,
            "group": group,
            "accuracy": cell["accuracy"],
            "stderr": cell["stderr"],
            "chance": scores["questions"][group]["chance"],
        }
        for model, by_mode in _models(scores).items()
        for mode, by_group in by_mode.items()
        for group, cell in by_group.items()
    ]


def _models(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The models that are no stand-ins."""
    return {model: by_mode for model, by_mode in scores["models"].items() if model not in STANDINS}
