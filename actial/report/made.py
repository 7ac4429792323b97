"""How each number was made: formulas with their numbers of questions and clusters, prompts, checkpoints, and the rules that read the answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from actial.records import STRICT_RULES, Verdict
from actial.report.outputs import STAND_INS, Outputs, in_order
from actial.report.page import Html, join, missing, table, tag

_FORMULAS = (
    (
        "accuracy",
        "Σ w·right / Σ w over all questions of a group; an unparsed answer is wrong. w = 1; where a group joins kinds that ask one bit of one pair, 1/m each",
    ),
    ("± standard error", "cluster-robust (CR1), clusters are scenes: √( G/(G−1) · Σ_scene (Σ w·(right − accuracy))² ) / Σ w"),
    ("chance", "mean of 1 / number of options"),
    ("majority", "share right of the best constant label of each kind, chosen on the test questions themselves"),
    ("unparsed", "share of completions in which no rule finds one option; never a guess"),
    ("strict", "share right in exactly the form that was asked for: bare letter or option text in one closed answer tag"),
    ("gain", "mean of right(after) − right(before) over the same questions; interval: scenes drawn anew; p: signs of whole scenes flipped"),
    ("Wilson interval", "of small cells; n divided by the design effect of scenes (Kish)"),
)


def made_section(outputs: Outputs) -> Html:
    """All of it, for the numbers that stand in the report."""
    if outputs.scores is None:
        return missing("There are no scores yet: the stage evaluate has not run.")
    plain = [v for v in outputs.verdicts if v.condition == "plain" and v.model not in STAND_INS]
    overall = outputs.scores["questions"]["overall"]
    n = (
        f"Overall: n = {overall['n']:,} questions, which count as {overall['n_counted']:,.0f} bits, in G = {overall['n_scenes']:,} scenes. "
        "Every number is made from the records in outputs/evaluate/records, one line a completion; scoring them anew needs no model."
    )
    return join(
        [
            tag("p", n),
            table(["number", "formula"], _FORMULAS, caption="Formulas"),
            _group_sizes(outputs.scores["questions"]),
            _models(outputs, plain),
            _rules(plain),
        ]
    )


def _group_sizes(questions: dict[str, dict[str, Any]]) -> Html:
    rows = [[g, f"{of['n']:,}", f"{of['n_counted']:,.1f}", f"{of['n_scenes']:,}", of["majority_label"] or ""] for g, of in sorted(questions.items())]
    return table(["group", "questions", "bits", "scenes", "majority label"], rows, caption="Groups of questions", numeric=[1, 2, 3])


def _models(outputs: Outputs, plain: list[Verdict]) -> Html:
    rows = []
    for model in sorted({v.model for v in plain}, key=lambda m: in_order((m, ""))):
        of_model = [v for v in plain if v.model == model]
        prompts = ", ".join(sorted({v.prompt_sha for v in of_model}))
        rows.append([model, tag("code", _fingerprint(model, outputs)), tag("code", prompts), f"{len(of_model):,}", f"{sum(v.n_tokens for v in of_model):,}"])
    header = ["model", "weights (SHA-256)", "prompt", "completions", "tokens"]
    return table(header, rows, caption="Models, and the prompt section they were asked with", numeric=[3, 4])


def _fingerprint(model: str, outputs: Outputs) -> str:
    """Of its weights: from its stage's manifest, or of the base from the settings it was verified against."""
    files = outputs.manifests.get(model, {}).get("files", {})
    sums = [sha[:16] for name, sha in sorted(files.items()) if name.startswith("model/") and name.endswith(".safetensors")]
    settings = outputs.settings.get("evaluate", {}).get("model") or {}
    if model == "base" and settings:
        sums = [f"{settings['base']} {(settings.get('sha256') or settings.get('revision') or 'not pinned')[:16]}"]
    return ", ".join(sums) or "not known"


def _rules(plain: list[Verdict]) -> Html:
    """Which rule read how many answers, and how many of these are right; reasons why none was read."""
    models = sorted({(v.model, v.mode) for v in plain}, key=in_order)
    found: dict[tuple[bool, str], Counter[tuple[str, str]]] = {}
    right: Counter[tuple[bool, str]] = Counter()
    for v in plain:
        key = (v.answer is None, v.rule)
        found.setdefault(key, Counter())[v.model, v.mode] += 1
        right[key] += v.correct
    rows = []
    for key in sorted(found, key=lambda k: (k[0], -found[k].total(), k[1])):
        unread, rule = key
        sort = "no answer" if unread else "strict" if rule in STRICT_RULES else "lenient"
        share = "" if unread else f"{100 * right[key] / found[key].total():.1f}"
        rows.append([tag("code", rule), sort, *(f"{found[key][m]:,}" for m in models), share])
    header = ["rule", "form", *(" ".join(m) for m in models), "right, %"]
    caption = "Rules that read the answers (actial/answers, tried in order), and how many completions each read"
    return table(header, rows, caption=caption, numeric=range(2, len(header)))
