"""The numbers: scores against chance, gains of each stage, 2D cues, sampled answers, controls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from actial.report.charts import Interval, interval_chart
from actial.report.outputs import STAND_INS, Outputs, in_order
from actial.report.page import Html, join, missing, table, tag

_HOW_TO_READ = (
    "Directional: the truth has an opposite, as left or up. New families: arrangements of parts that were held out of training. "
    "Accuracy in percent ± one standard error, clustered by scene: questions about one scene are not independent. "
    "Where all answers are right, or all wrong, there is no spread, and ± 0.0 does not mean certainty. "
    "An unparsed answer counts as wrong and is never guessed. Chance is 1 / number of options. "
    "Majority is the best constant answer of each kind. Strict counts only right answers in exactly the form that was asked for."
)
_AGAINST_CHANCE = (
    "At chance is shown, not assumed: two one-sided tests at 5 % each reject that accuracy is {bound:g} points or more away from guessing. "
    "Otherwise above or below means that a two-sided test at 5 % rejects guessing (by false discovery rate over all such tests of the evaluation), "
    "and undecided that neither can be shown with so many questions."
)
_GAINS = (
    "Each model against the base and against the one it was trained from, on the same questions, in percentage points. Brackets: 95 % interval, scenes "
    "drawn anew 10,000 times. p: how often the gain would be as large if both were alike, by flipping the signs of whole scenes; of primary gains, "
    "which the params declare, adjusted by Holm over these, of all others by false discovery rate. Equal and no worse are shown, not assumed: "
    "that it differs, or loses, by {margin:g} points or more is rejected at 5 %. Detectable: the smallest true difference that so many "
    "questions would find in 80 % of experiments."
)
_BASELINES = (
    "Below majority stand learners trained on the training questions and asked these: text only reads words and options, first and second picture where "
    "things are in that picture, 2D probe how they move and grow from picture to picture. A model that scores no more than these has shown nothing beyond them."
)
_ANGLES = "By the angle between the two cameras, in degrees; of three cameras the largest."
_CUE = (
    "Some questions can be answered without depth: what slides left means that the camera went right, what stands higher counts as farther. Where this "
    "2D cue agrees with the truth a question is aligned, where it misleads it is a conflict. A model that only follows the cue gets all aligned "
    "questions right and all conflicts wrong; one that sees in three dimensions does equally well on both."
)
_SAMPLED = (
    "{n} answers to each question, sampled at temperature {temperature:g} in mode think. Greedy: the one answer it would give. Mean: a sampled answer. "
    "Majority: the answer given most often; a tie is won by lot, unparsed answers do not vote. Best: any of the {n} is right, which "
    "guessing often is too (chance row). Training that only sharpens lifts greedy and mean towards majority; training that teaches lifts them all. "
    "Agreeing: the share of answers that agree with the majority; ECE: how far that is from how often the majority is right (expected calibration error)."
)
_FAMILIES = (
    "Test questions about the same two or three views, asked in families: from A to B and back, by several kinds, around a cycle of three. Consistent: all are "
    "answered, and some motion of the cameras makes all answers true; contradicting: none does. Consistent answers may be wrong, and blind guesses are so now "
    "and then (row random); one that always says that nothing changed never contradicts itself, so look at the accuracy beside it. Expected: the share of "
    "consistent families after the answers were exchanged among questions of one kind with the same truth, so that accuracy stays; excess: how many points "
    "above that, and its 95 % interval. Above 0 the answers hang together as if they came from one idea of where the cameras stand."
)
_CONTROLS = (
    "The same questions with something taken away or turned round, in mode think. With one picture gray, more than chance would mean that one picture "
    "gives answers away; without any picture, that the words do. With the first picture twice, right is always that nothing changed. In the other order, "
    "with its own truth, it should do as well as plainly."
)
_STRATA = {
    "cue": ("2D cue", "Accuracy where the 2D cue agrees and where it misleads"),
    "angles": ("angle, degrees", "Accuracy by the angle between the cameras"),
}
CERTAINTY = (
    "The probability that a model gives the tokens of its answer, after all that it has written before: a chain of thought decides, so that the answer behind "
    "it is nearly sure, right or wrong. Sure: its mean; ECE: how far it is from how often the answer is right (expected calibration error, ten bins); Brier: "
    "the mean squared distance of the two. Of answers that stand in their tag; n/a where no probability is known."
)
_CLAIMS = (
    "Each claim of a thought (where a part stands, which is nearer, which way it slid, where the camera went) is checked against the cameras and the parts in "
    "the scene, in mode think, by code that shares nothing with what wrote the chains that models learn from. True: the mean share of a thought's claims; "
    "within a cell: places may be off by a column or a row; not understood: claims in other words, counted as not true though they may be so; sound: of the "
    "thoughts behind right answers, those all of whose claims are true within a cell. Of thoughts in the form asked for with at least one claim understood."
)
CERTAINTY_COLUMNS = ("sure", "right", "ECE", "Brier", "answers")
_CONTROL_NAMES = {"first_only": "second gray", "second_only": "first gray", "same_twice": "first twice", "swapped": "other order", "blind": "no picture"}


def score_section(outputs: Outputs) -> Html:
    """The headline chart and table, then a heading, a sentence and a table for each question a reader has."""
    scores = outputs.scores
    if scores is None:
        return missing("There are no scores yet: the stage evaluate has not run.")
    models = {m: v for m, v in scores["models"].items() if m not in STAND_INS}
    stand_ins = {m: v for m, v in scores["models"].items() if m in STAND_INS}
    parts = [_chart(scores, models), _score_table(scores, models, "Accuracy")] if models else [missing("No model was evaluated, only the stand-ins.")]
    parts.append(tag("p", _HOW_TO_READ, " ", _AGAINST_CHANCE.format(bound=100 * scores["chance_bound"]), class_="faint"))
    if said := ", ".join(f"{reason} ({n:,})" for reason, n in scores["set_aside"].items() if n):
        parts.append(tag("p", f"Not asked: {said}."))
    if scores["baselines"]:
        parts.append(tag("p", _BASELINES, class_="faint"))
    if scores["comparisons"]:
        parts += [tag("h3", "What training added"), tag("p", _GAINS.format(margin=100 * scores["margin"]), class_="faint"), _gain_table(scores)]
    if any(of["overall"][s]["n"] for by_mode in scores["cue"].values() for of in by_mode.values() for s in ("aligned", "conflict")):
        parts += [tag("h3", "Does it follow the flat picture?"), tag("p", _CUE, class_="faint"), _stratum_table(scores, "cue")]
    if any(cell["n"] for by_mode in scores["angles"].values() for of in by_mode.values() for cell in of["overall"].values()):
        parts += [tag("h3", "Is it harder the more the view changes?"), tag("p", _ANGLES, class_="faint"), _stratum_table(scores, "angles")]
    if any(of["overall"]["n"] for by_mode in scores.get("certainty", {}).values() for of in by_mode.values()):
        parts += [tag("h3", "How sure is it, and is it right as often?"), tag("p", CERTAINTY, class_="faint"), _certainty_table(scores)]
    if any(of["overall"]["n"] for of in scores.get("claims", {}).values()):
        parts += [tag("h3", "Is what it thinks true?"), tag("p", _CLAIMS, class_="faint"), _claim_table(scores)]
    if scores["sampled"] is not None:
        n, temperature = scores["sampled"]["n"], scores["sampled"]["temperature"]
        parts += [tag("h3", "Teach or sharpen?"), tag("p", _SAMPLED.format(n=n, temperature=temperature), class_="faint"), _sampled_table(scores)]
    if "families" in scores:
        parts += [tag("h3", "Do its answers agree with each other?"), tag("p", _FAMILIES, class_="faint"), _family_table(scores)]
    if scores["controls"]:
        parts += [tag("h3", "Controls"), tag("p", _CONTROLS, class_="faint"), _control_table(scores)]
    if stand_ins:
        why = (
            "They know the truth and go through the same reader and scorer: oracle must get 100, silent 0 with all unparsed, constant exactly the majority row."
        )
        parts.append(tag("details", tag("summary", "Stand-ins: does the scorer work?"), tag("p", why), _score_table(scores, stand_ins, "Stand-ins")))
    return join(parts)


def _chart(scores: Mapping[str, Any], models: Mapping[str, Any]) -> Html:
    found = [(model, mode, by_group["overall"]) for model, mode, by_group in _by_model(models)]
    intervals = [Interval(model, mode, cell["accuracy"], cell["stderr"]) for model, mode, cell in found if cell["accuracy"] is not None]
    marks = {name: share for name in ("chance", "majority") if (share := scores["questions"]["overall"][name]) is not None}
    return interval_chart("Accuracy overall, with two standard errors to either side", intervals, marks)


def _score_table(scores: Mapping[str, Any], models: Mapping[str, Any], caption: str) -> Html:
    facts = scores["questions"]
    groups = _overall_first(facts)
    header = ["model", "mode", *(join([g, tag("small", f" n={facts[g]['n']:,}")]) for g in groups), "unparsed", "strict"]
    rows: list[list[object]] = []
    for model, mode, by_group in _by_model(models):
        cells = [_against_chance(by_group[g]) for g in groups]
        rows.append([tag("strong", model), mode, *cells, percent(by_group["overall"]["unparsed"]), percent(by_group["overall"]["strict"])])
    for baseline in ("chance", "majority"):
        rows.append([tag("em", baseline), "", *(percent(facts[g][baseline]) for g in groups), "", ""])
    for baseline, found in _baselines(scores):
        rows.append([tag("em", baseline), "", *(_against_chance(found["groups"][g]) for g in groups), "", ""])
    overall = facts["overall"]
    caption = f"{caption}: {overall['n']:,} held-out questions about {overall['n_scenes']:,} scenes"
    return table(header, rows, caption=caption, numeric=range(2, len(header)), class_="scores")


def _gain_table(scores: Mapping[str, Any]) -> Html:
    groups = _overall_first(scores["questions"])
    compared = scores["comparisons"]
    rows = [
        [tag("strong", name.replace(" - ", " − ")), mode, *(_gain(compared[name][mode][g]) for g in groups)]
        for name in sorted(compared, key=lambda name: in_order((name.split(" - ")[0], "")))
        for mode in sorted(compared[name], key=lambda mode: in_order(("", mode)))
    ]
    return table(["gain", "mode", *groups], rows, caption="Gain in percentage points, paired by question", numeric=range(2, len(groups) + 2), class_="scores")


def _gain(cell: Mapping[str, Any]) -> Html:
    if cell["difference"] is None:
        return tag("span", "no data", class_="faint")
    if cell["p"] is None:
        return join([f"{100 * cell['difference']:+.1f} ", tag("small", "one scene only", class_="faint")])
    p = "p < 0.001" if cell["p_adjusted"] < 0.001 else f"p = {cell['p_adjusted']:.3f}"
    said = f"[{100 * cell['low']:+.1f}, {100 * cell['high']:+.1f}] {p}{', primary' if cell['primary'] else ''}"
    seen = "" if cell["detectable"] is None else f"detectable {100 * cell['detectable']:.1f}"
    lines = [f"{100 * cell['difference']:+.1f}", tag("small", cell["verdict"]), tag("small", said, class_="faint"), tag("small", seen, class_="faint")]
    return join([part for line in lines for part in (line, tag("br"))][:-1])


def _stratum_table(scores: Mapping[str, Any], name: str) -> Html:
    """Accuracy by stratum (`cue` or `angles`) and kind, a row for each stratum that has questions."""
    found = _by_model(scores[name])
    kinds = _overall_first(found[0][2])
    counts = found[0][2]
    strata = [stratum for stratum in counts["overall"] if counts["overall"][stratum]["n"]]
    rows = [
        [
            tag("strong" if mode else "em", model),
            mode,
            stratum,
            *(with_error(by_kind[kind][stratum]["accuracy"], by_kind[kind][stratum]["stderr"]) for kind in kinds),
        ]
        for model, mode, by_kind in [*found, *((baseline, "", of[name]) for baseline, of in _baselines(scores))]
        for stratum in strata
    ]
    rows += [[tag("em", "questions"), "", stratum, *(f"{counts[kind][stratum]['n']:,}" for kind in kinds)] for stratum in strata]
    title, caption = _STRATA[name]
    return table(["model", "mode", title, *kinds], rows, caption=caption, numeric=range(3, len(kinds) + 3), class_="scores")


def _baselines(scores: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Those who read less than the pictures show, what needs less first."""
    first = ("text only", "first picture", "second picture")
    return sorted(scores["baselines"].items(), key=lambda entry: (entry[0] not in first, first.index(entry[0]) if entry[0] in first else 0, entry[0]))


def _certainty_table(scores: Mapping[str, Any]) -> Html:
    rows: dict[str, list[list[object]]] = {"overall": [], "by kind": []}
    for model, mode, by_group in _by_model(scores["certainty"]):
        for group in _overall_first(by_group):
            row: list[object] = [tag("strong", model), mode, group, *certainty_cells(by_group[group])]
            rows["overall" if group == "overall" else "by kind"].append(row)
    header = ["model", "mode", "questions", *CERTAINTY_COLUMNS]
    overall, by_kind = (
        table(header, rows[part], caption=f"Probability and accuracy of answers {part}", numeric=range(3, len(header)), class_="scores") for part in rows
    )
    return join([overall, tag("details", tag("summary", "By kind, and in other groups"), by_kind)])


def _claim_table(scores: Mapping[str, Any]) -> Html:
    """Kinds without a thought that can be checked are left out."""
    rows: dict[str, list[list[object]]] = {"overall": [], "by kind": []}
    for model in sorted(scores["claims"], key=lambda m: in_order((m, ""))):
        for group in _overall_first(scores["claims"][model]):
            of = scores["claims"][model][group]
            shares = [percent(of[name]) for name in ("near", "not_understood", "sound")]
            if of["n"] or group == "overall":
                row: list[object] = [tag("strong", model), group, with_error(of["true"], of["stderr"]), *shares, f"{of['n']:,}"]
                rows["overall" if group == "overall" else "by kind"].append(row)
    header = ["model", "questions", "true claims", "within a cell", "not understood", "sound", "thoughts"]
    overall, by_kind = (table(header, rows[part], caption=f"True claims in thoughts {part}", numeric=range(2, len(header)), class_="scores") for part in rows)
    return join([overall, tag("details", tag("summary", "By kind, and in other groups"), by_kind)])


def certainty_cells(of: Mapping[str, Any]) -> list[str]:
    """Below `CERTAINTY_COLUMNS`.

    Args:
        of: see `evaluation.calibration.certainty`.
    """
    brier = "n/a" if of["brier"] is None else f"{of['brier']:.3f}"
    return [*(percent(of[name]) for name in ("confidence", "right", "ece")), brier, f"{of['n']:,}"]


def _sampled_table(scores: Mapping[str, Any]) -> Html:
    sampled = scores["sampled"]
    columns, n = ("greedy", "mean", "majority", "best"), sampled["n"]
    rows: list[list[object]] = []
    for model in sorted(sampled["models"], key=lambda m: in_order((m, ""))):
        for group in _overall_first(sampled["models"][model]):
            cell = sampled["models"][model][group]
            rows.append(
                [
                    tag("strong", model),
                    group,
                    *(with_error(cell[c]["accuracy"], cell[c]["stderr"]) for c in columns),
                    *(percent(cell["votes"][name]) for name in ("confidence", "ece")),
                    percent(cell["unparsed"]),
                ]
            )
    overall = sampled["models"][model]["overall"]
    chance = percent(scores["questions"]["overall"]["chance"])
    rows.append([tag("em", "chance"), "overall", chance, chance, chance, percent(overall["chance_best"]), "", "", ""])
    header = ["model", "questions", "greedy", f"mean of {n}", f"majority of {n}", f"best of {n}", "agreeing", "ECE", "unparsed"]
    return table(header, rows, caption=f"Sampled answers to {overall['n']:,} questions", numeric=range(2, len(header)), class_="scores")


def _family_table(scores: Mapping[str, Any]) -> Html:
    found = [entry for entry in _by_model(scores["families"]) if entry[0] not in STAND_INS or entry[0] == "random"]
    rows = [
        [tag("strong", model), mode, sort, f"{of['n']:,}", with_error(of["consistent"], of["stderr"]), percent(of["expected"]), _excess(of)]
        + [percent(of[name]) for name in ("contradicting", "unanswered", "accuracy", "all_right")]
        for model, mode, by_sort in found
        for sort, of in sorted(by_sort.items())
    ]
    header = ["model", "mode", "family", "families", "consistent", "expected", "excess", "contradicting", "unanswered", "right answers", "all right"]
    return table(header, rows, caption="Families of questions whose answers constrain each other", numeric=range(3, len(header)), class_="scores")


def _excess(of: Mapping[str, Any]) -> Html:
    interval = "" if of["low"] is None else f"[{100 * of['low']:+.1f}, {100 * of['high']:+.1f}]"
    return join([f"{100 * of['excess']:+.1f}", tag("br"), tag("small", interval, class_="faint")])


def _control_table(scores: Mapping[str, Any]) -> Html:
    rows: list[list[object]] = []
    groups = _overall_first({g for by_condition in scores["controls"].values() for of in by_condition.values() for g in of["groups"]})
    for model in sorted(scores["controls"], key=lambda m: in_order((m, ""))):
        by_condition = scores["controls"][model]
        for condition in [c for c in _CONTROL_NAMES if c in by_condition]:
            of = by_condition[condition]["groups"]
            left_out = f" ({by_condition[condition]['left_out']:,} left out)" if by_condition[condition]["left_out"] else ""
            cells = [_control_cell(of[g]) if g in of else tag("span", "not asked", class_="faint") for g in groups]
            rows.append([tag("strong", model), tag("span", _CONTROL_NAMES[condition], title=condition), f"{of['overall']['n']:,}{left_out}", *cells])
    header = ["model", "control", "questions", *groups]
    return table(header, rows, caption="Accuracy under controls, and of the same questions asked plainly", numeric=range(2, len(header)), class_="scores")


def _control_cell(cell: Mapping[str, Any]) -> Html:
    verdict = cell["versus_plain"]["verdict"]
    return join([_against_chance(cell), tag("br"), tag("small", f"plain {percent(cell['plain'])}: {verdict}", class_="faint")])


def _against_chance(cell: Mapping[str, Any]) -> Html:
    """A share with its error, and in a word how it compares with guessing."""
    verdict = cell["versus_chance"]["verdict"]
    small = None if cell["accuracy"] is None else join([tag("br"), tag("small", verdict, class_=verdict.replace(" ", "-"))])
    return join([with_error(cell["accuracy"], cell["stderr"]), small])


def _by_model(by_model: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Any]]:
    found = [(model, mode, by_group) for model, by_mode in by_model.items() for mode, by_group in by_mode.items()]
    return sorted(found, key=lambda entry: in_order(entry[:2]))


def _overall_first(groups: Collection[str]) -> list[str]:
    return sorted(groups, key=lambda g: (g != "overall", g != "directional", g != "new families", g.endswith("2d"), g))


def with_error(share: float | None, stderr: float | None) -> Html:
    """A share in percent ± its standard error, or why there is none."""
    if share is None:
        return tag("span", "no data", class_="faint")
    error = "± n/a" if stderr is None else f"± {100 * stderr:.1f}"
    return join([f"{100 * share:.1f} ", tag("span", error, class_="faint")])


def percent(share: float | None) -> str:
    return "no data" if share is None else f"{100 * share:.1f}"
