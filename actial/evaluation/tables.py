"""The scores as tables: Markdown that is read in a terminal, flat rows for plots, a summary for `dvc metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actial.evaluation.benchmarks.table import benchmark_table
from actial.evaluation.conditions import CONTROLS
from actial.evaluation.families import SORTS
from actial.evaluation.gains import MODELS, MODES
from actial.evaluation.groups import DIRECTIONAL, NEW, OVERALL, SAT, TWO_D
from actial.evaluation.markdown import markdown_table
from actial.evaluation.score import RANGES, STRATA
from actial.evaluation.standins import STANDINS
from actial.stats import ABOVE, AT_CHANCE, BELOW, LEVEL, UNDECIDED

GUESSES = "random"
"""The stand-in that guesses."""
MARKS = {AT_CHANCE: "=", ABOVE: "+", BELOW: "-", UNDECIDED: "?"}
_SHOULD_BE = {
    "first_only": "second picture gray: should be at chance",
    "second_only": "first picture gray: should be at chance",
    "same_twice": "first picture twice: right is always that nothing changed",
    "swapped": "pictures in the other order: should be as plain",
    "blind": "no picture: should be at chance",
}


def score_table(scores: Mapping[str, Any]) -> str:
    """The scores as Markdown, a sentence and a table for each question a reader has; what was not asked is left out. Percent ± standard error."""
    blocks = [
        _headline(scores),
        _by_kind(scores),
        _comparisons(scores),
        _cue(scores),
        _angles(scores),
        _certainty(scores),
        _claims(scores),
        _sampled(scores),
        _families(scores),
        _controls(scores),
        _standins(scores),
        benchmark_table(scores["benchmarks"]).rstrip() if "benchmarks" in scores else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _headline(scores: Mapping[str, Any]) -> str:
    facts, models = scores["questions"], _models(scores)
    overall, has_2d = facts[OVERALL], TWO_D in facts
    modes = [mode for mode in MODES if any(mode in by_mode for by_mode in models.values())]
    head = ["model", *(cell for mode in modes for cell in (mode, "is that chance?")), "unparsed", *(["2D test"] if has_2d else [])]
    rows = []
    for model, by_mode in models.items():
        row = [model]
        for mode in modes:
            row += [_cell(by_mode[mode][OVERALL]), by_mode[mode][OVERALL]["versus_chance"]["verdict"]]
        row.append(" / ".join(_percent(by_mode[mode][OVERALL]["unparsed"]) for mode in modes))
        rows.append(row + ([" / ".join(_percent(by_mode[mode][TWO_D]["accuracy"]) for mode in modes)] if has_2d else []))
    for name in ("chance", "majority"):
        rows.append([name, *[_percent(overall[name]), ""] * len(modes), "", *([_percent(facts[TWO_D][name])] if has_2d else [])])
    for name, of in _baselines(scores):
        cell = of["groups"][OVERALL]
        verdict = "n/a" if cell["accuracy"] is None else cell["versus_chance"]["verdict"]
        rows.append([name, *[_cell(cell), verdict] * len(modes), "", *([_percent(of["groups"][TWO_D]["accuracy"])] if has_2d else [])])
    said = (
        f"Right answers in % ± standard error (clustered by scene): {overall['n']:,} held-out questions about {overall['n_scenes']:,} scenes.\n"
        f"think: reasons, then answers; direct: answers at once; at chance: shown to lie within {100 * scores['chance_bound']:g} points of guessing."
    )
    if has_2d:
        said += f"\n2D test: {facts[TWO_D]['n']:,} questions about the same pictures that need no depth; who fails them cannot read pictures, or cannot answer."
    if scores["baselines"]:
        said += (
            "\nOther rows: learners trained on the training questions and asked these; text only reads words and options, first and second picture where\n"
            "things are in it, 2D probe how they move and grow from picture to picture. Who scores no more than these has shown nothing beyond them."
        )
    return said + "\n\n" + markdown_table(head, rows, text=[0, *range(2, 2 * len(modes) + 1, 2)])


def _by_kind(scores: Mapping[str, Any]) -> str:
    facts = scores["questions"]
    groups = _in_order(set(facts), last=(SAT, TWO_D, NEW, DIRECTIONAL, OVERALL))
    rows = [
        [model, mode, *(_marked(by_group[g]) for g in groups), _percent(by_group[OVERALL]["strict"])]
        for model, by_mode in _models(scores).items()
        for mode, by_group in by_mode.items()
    ]
    rows += [[row, "", *(f"{_percent(facts[g][row])}  " for g in groups), ""] for row in ("chance", "majority")]
    rows += [[name, "", *(_marked(of["groups"][g]) for g in groups), ""] for name, of in _baselines(scores)]
    rows.append(["questions", "", *(f"{facts[g]['n']:,}  " for g in groups), ""])
    said = (
        "By kind (= at chance, + above, - below, ? undecided, by false discovery rate over all of them; directional: truth has an opposite, as left or up;\n"
        "new families: held out of training; strict: exactly in the form asked for; in brackets a 95 % interval, where all answers are right, or all wrong):"
    )
    return said + "\n\n" + markdown_table(["model", "mode", *groups, "strict"], rows, text=[0, 1])


def _comparisons(scores: Mapping[str, Any]) -> str:
    compared = scores["comparisons"]
    missing = [f"{e['gain']}, {e['mode']}, {e['group']}" for e in scores["primary"] if e["group"] not in compared.get(e["gain"], {}).get(e["mode"], {})]
    not_asked = f"Primary, but not asked: {'; '.join(missing)}." if missing else ""
    if not compared:
        return not_asked
    groups = _in_order(set(scores["questions"]), first=(OVERALL,), last=(DIRECTIONAL, NEW, SAT, TWO_D))[1:]
    rows = []
    for name in (name for name in (f"{b} - {a}" for i, a in enumerate(MODELS) for b in MODELS[i + 1 :]) if name in compared):
        for mode in _in_order(set(compared[name]), first=MODES):
            cells = compared[name][mode]
            rows.append([name, mode, *_gain(cells[OVERALL]), *(_starred(cells[g]) for g in groups)])
    said = (
        "What training added to the base, and each stage to the one before it, in points, on the same questions (95 % interval by cluster bootstrap, p by\n"
        "scene-level sign flips; p of those marked ! is adjusted by Holm: params declare them as primary; of all others by false discovery rate;\n"
        f"* adjusted p < {LEVEL:g}).\n"
        f"equal, no worse: shown, at 5 %, to differ or to lose by less than {100 * scores['margin']:g} points;\n"
        f"detectable: the smallest true difference that so many questions would find in 80 % of experiments."
    )
    said += f"\n{not_asked}" if not_asked else ""
    return said + "\n\n" + markdown_table(["gain", "mode", OVERALL, "95 %", "p", "verdict", "detectable", *groups], rows, text=[0, 1, 5])


def _gain(cell: Mapping[str, Any]) -> list[str]:
    """Difference, interval, p, verdict and what could be seen."""
    return [
        _starred(cell),
        _interval(cell),
        _p(cell["p_adjusted"]),
        cell["verdict"],
        "n/a" if cell["detectable"] is None else f"{100 * cell['detectable']:.1f}",
    ]


def _cue(scores: Mapping[str, Any]) -> str:
    said = "Does it follow the flat picture? Questions whose 2D cue agrees with the truth (aligned), or misleads whoever ignores depth (conflict):"
    return _by_stratum(scores, "cue", STRATA, said)


def _angles(scores: Mapping[str, Any]) -> str:
    said = "Is it harder the more the view changes? By the angle between the cameras, degrees:"
    return _by_stratum(scores, "angles", RANGES, said)


def _by_stratum(scores: Mapping[str, Any], name: str, strata: Sequence[str], said: str) -> str:
    """A column for each stratum that has questions, over all kinds, and one for each kind; nothing where there are no such questions."""
    rows = []
    some: Mapping[str, Any] = next((of for by_mode in scores[name].values() for of in by_mode.values()), {})
    strata = [stratum for stratum in strata if some and some[OVERALL][stratum]["n"]]
    kinds = _in_order(set(some), first=(OVERALL,))[1:]
    if not strata:
        return ""
    every = [(model, mode, by_mode[mode]) for model, by_mode in _ordered(scores[name]).items() for mode in _in_order(set(by_mode), first=MODES)]
    for model, mode, of in [*every, *((baseline, "", found[name]) for baseline, found in _baselines(scores))]:
        shares = [" / ".join(_percent(of[kind][stratum]["accuracy"]) for stratum in strata) for kind in kinds]
        rows.append([model, mode, *(_marked(of[OVERALL][stratum]) for stratum in strata), *shares])
    counts = {kind: [f"{some[kind][stratum]['n']:,}" for stratum in strata] for kind in (OVERALL, *kinds)}
    rows.append(["questions", "", *(f"{n}  " for n in counts[OVERALL]), *(" / ".join(counts[kind]) for kind in kinds)])
    return said + "\n\n" + markdown_table(["model", "mode", *strata, *kinds], rows, text=[0, 1])


def _certainty(scores: Mapping[str, Any]) -> str:
    """Absent where no answer's probability is known."""
    found = {model: {mode: by_mode[mode][OVERALL] for mode in _in_order(set(by_mode), first=MODES)} for model, by_mode in _ordered(scores["certainty"]).items()}
    if not any(of["n"] for by_mode in found.values() for of in by_mode.values()):
        return ""
    rows = [
        [model, mode, *(_percent(of[name]) for name in ("confidence", "right", "ece")), "n/a" if of["brier"] is None else f"{of['brier']:.3f}", f"{of['n']:,}"]
        for model, by_mode in found.items()
        for mode, of in by_mode.items()
    ]
    said = (
        "How sure is it, and is it right as often? Sure: the mean probability that it gave the tokens of its answer, after all that it had written before;\n"
        "ECE: how far that is from how often it is right, in points (expected calibration error, 10 bins); Brier: the mean squared distance;\n"
        "answers: those whose probability is known (they stand in `<answer>`):"
    )
    return said + "\n\n" + markdown_table(["model", "mode", "sure", "right", "ECE", "Brier", "answers"], rows, text=[0, 1])


def _claims(scores: Mapping[str, Any]) -> str:
    """Absent where nothing that any model thought can be checked."""
    found = _ordered(scores["claims"])
    if not any(of[OVERALL]["n"] for of in found.values()):
        return ""
    kinds = [name for name in _in_order(set(scores["questions"]), last=(DIRECTIONAL, NEW, SAT, TWO_D, OVERALL)) if any(of[name]["n"] for of in found.values())]
    kinds = [name for name in kinds if name not in (DIRECTIONAL, OVERALL)]
    rows = []
    for model, by_group in found.items():
        of = by_group[OVERALL]
        shares = [_percent(of[name]) for name in ("near", "not_understood", "sound")]
        rows.append([model, _cell({"accuracy": of["true"], "stderr": of["stderr"]}), *shares, f"{of['n']:,}", *(_percent(by_group[k]["true"]) for k in kinds)])
    said = (
        "Is what it thinks true? Claims of its thoughts, mode think, checked one by one against the cameras and the parts in the scene, as a share of all it\n"
        "makes; within a cell: places may be off by a column or a row; not understood: counted as not true, though it may be so; sound: of right answers,\n"
        "those behind a thought all of whose claims are true within a cell; thoughts: those in the form asked for, with at least one claim understood:"
    )
    head = ["model", "true claims", "within a cell", "not understood", "sound", "thoughts", *kinds]
    return said + "\n\n" + markdown_table(head, rows, text=[0])


def _sampled(scores: Mapping[str, Any]) -> str:
    sampled = scores["sampled"]
    if sampled is None:
        return ""
    n, models = sampled["n"], _ordered(sampled["models"])
    rows = []
    for model, by_group in models.items():
        of = by_group[OVERALL]
        rows.append(
            [model, *(_cell(of[name]) for name in ("greedy", "mean", "majority", "best")), *(_percent(of["votes"][name]) for name in ("confidence", "ece"))]
        )
    last = next(reversed(models.values()))[OVERALL]
    chance = scores["questions"][OVERALL]["chance"]
    rows.append(["chance", *[_percent(chance)] * 3, _percent(last["chance_best"]), "", ""])
    said = (
        f"Teach or sharpen? {n} answers a question at temperature {sampled['temperature']:g}, mode think, {last['n']:,} questions "
        f"(best: any of the {n} is right).\nDoes it know when it is right? Agreeing: the share that gives the majority's answer; "
        "ECE: how far that is from how often it is right, in points (expected calibration error, 10 bins):"
    )
    return said + "\n\n" + markdown_table(["model", "greedy", f"mean of {n}", f"majority of {n}", f"best of {n}", "agreeing", "ECE"], rows, text=[0])


def _families(scores: Mapping[str, Any]) -> str:
    """Absent where no families were asked. Blind guesses are shown for comparison."""
    found = scores.get("families")
    if not found:
        return ""
    rows = []
    for model, by_mode in (_ordered({model: of for model, of in found.items() if model not in STANDINS}) | {GUESSES: found[GUESSES]}).items():
        for mode in _in_order(set(by_mode), first=MODES):
            for sort in (sort for sort in SORTS if sort in by_mode[mode]):
                of = by_mode[mode][sort]
                excess = [_percent(of["expected"]), _points({"difference": of["excess"]}), _interval(of)]
                shares = [_percent(of[name]) for name in ("contradicting", "unanswered", "accuracy", "all_right")]
                rows.append([model, mode, sort, _cell({"accuracy": of["consistent"], "stderr": of["stderr"]}), *excess, *shares, f"{of['n']:,}"])
    said = (
        "Do its answers agree with each other? Families of questions about two or three views, answered without a contradiction, which no motion of the "
        f"cameras makes true ({GUESSES}: blind guesses).\nExpected: of answers that are as often right, and wrong in the same ways, but know nothing of each "
        "other; excess: consistent - expected, in points (95 % interval by cluster bootstrap):"
    )
    head = ["model", "mode", "family", "consistent", "expected", "excess", "95 %", "contradicting", "unanswered", "right", "all right", "families"]
    return said + "\n\n" + markdown_table(head, rows, text=[0, 1, 2])


def _controls(scores: Mapping[str, Any]) -> str:
    rows = []
    for model, by_condition in _ordered(scores["controls"]).items():
        for condition in _in_order(set(by_condition), first=CONTROLS):
            of = by_condition[condition]["groups"][OVERALL]
            against = of["versus_plain"]
            rows.append(
                [
                    model,
                    condition,
                    _cell(of),
                    of["versus_chance"]["verdict"],
                    _percent(of["plain"]),
                    _interval(against),
                    against["verdict"],
                    f"{of['n']:,}",
                    _SHOULD_BE[condition],
                ]
            )
    if not rows:
        return ""
    said = "Controls, mode think (plain: the same questions, asked as they are; 95 %: of the difference from plain):"
    head = ["model", "control", "right", "is that chance?", "plain", "95 %", "than plain", "questions", "what it is"]
    return said + "\n\n" + markdown_table(head, rows, text=[0, 1, 3, 6, 8])


def _standins(scores: Mapping[str, Any]) -> str:
    found = {name: of[_in_order(set(of), first=MODES)[0]] for name in STANDINS if (of := scores["models"].get(name))}
    if not found:
        return ""
    rows = [
        [name, *(_percent(by_group[g]["accuracy"]) for g in (OVERALL, DIRECTIONAL)), _percent(by_group[OVERALL]["unparsed"])]
        for name, by_group in found.items()
    ]
    said = "Is the scorer right? Stand-ins that know the truth (oracle must get 100, mirror 0 of directional, constant the majority row, silent 0):"
    return said + "\n\n" + markdown_table(["stand-in", OVERALL, DIRECTIONAL, "unparsed"], rows, text=[0])


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


def _baselines(scores: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Those who read less than the pictures show, what needs less first."""
    first = ("text only", "first picture", "second picture")
    return [(name, scores["baselines"][name]) for name in _in_order(set(scores["baselines"]), first=first)]


def _models(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The models that are no stand-ins, in the order of training; their modes in the order of `MODES`."""
    models = _ordered({model: by_mode for model, by_mode in scores["models"].items() if model not in STANDINS})
    return {model: {mode: by_mode[mode] for mode in _in_order(set(by_mode), first=MODES)} for model, by_mode in models.items()}


def _ordered(by_model: Mapping[str, Any]) -> dict[str, Any]:
    return {model: by_model[model] for model in _in_order(set(by_model), first=MODELS)}


def _in_order(names: set[str], first: Sequence[str] = (), last: Sequence[str] = ()) -> list[str]:
    """JSON knows no order: known names first or last as listed, others by alphabet between them."""
    place = {name: i - len(first) for i, name in enumerate(first)} | {name: i + 1 for i, name in enumerate(last)}
    return sorted(names, key=lambda name: (place.get(name, 0), name))


def _cell(cell: Mapping[str, Any]) -> str:
    """A share ± its error; where there is no spread that tells one, the 95 % interval instead, if it is known."""
    if cell["accuracy"] is None or cell["stderr"]:
        return _percent(cell["accuracy"]) + (f" ± {100 * cell['stderr']:.1f}" if cell["stderr"] else "")
    return _percent(cell["accuracy"]) + (f" ({100 * cell['low']:.0f}-{100 * cell['high']:.0f})" if cell.get("low") is not None else "")


def _marked(cell: Mapping[str, Any]) -> str:
    return f"{_cell(cell)} {' ' if cell['accuracy'] is None else MARKS[cell['versus_chance']['verdict']]}"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f}"


def _points(cell: Mapping[str, Any]) -> str:
    return "n/a" if cell["difference"] is None else f"{100 * cell['difference']:+.1f}"


def _interval(cell: Mapping[str, Any]) -> str:
    return "n/a" if cell["low"] is None else f"{100 * cell['low']:+.1f} to {100 * cell['high']:+.1f}"


def _p(p: float | None) -> str:
    return "n/a" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _starred(cell: Mapping[str, Any]) -> str:
    found = cell["p_adjusted"] is not None and cell["p_adjusted"] < LEVEL
    return _points(cell) + ("!" if cell["primary"] else "") + ("*" if found else " ")
