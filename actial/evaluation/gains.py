"""What one model's answers gain over another's to the same questions, and what so many tests together allow to be said of it.

A cell: n, difference, stderr, low and high (95 % interval), p, detectable (`comparisons.Comparison`), margin (`comparisons.margin_test`), and

    primary      whether `evaluate.primary` declares it
    p_adjusted   of primary ones by Holm over the primary ones, of the others by false discovery rate over the others
    verdict      equal: shown to differ by less than the margin; better, worse: p_adjusted below 5 %; no worse: shown to be no loss of the margin;
                 undecided: none of these. The first that holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from actial.comparisons import margin_test, paired_comparison
from actial.evaluation.groups import Group
from actial.params_evaluation import Endpoint
from actial.records import Mode, Verdict
from actial.rng import generator_for
from actial.stats import ABOVE, BELOW, LEVEL, UNDECIDED, Mean, benjamini_hochberg, holm

BASE = "base"
MODELS = (BASE, "sft", "grpo")
MODES: tuple[Mode, ...] = ("think", "direct")
BETTER, WORSE, EQUAL, NO_WORSE = "better", "worse", "equal", "no worse"


def gain(group: Group, differences: Sequence[float], margin: float, root_seed: int, name: str) -> dict[str, Any]:
    """A cell, not yet judged.

    Args:
        differences: one value a question of the group.
        name: names the random numbers.
    """
    found = paired_comparison(differences, group.scenes, group.weights, generator_for(root_seed, name))
    shown = margin_test(Mean(found.mean, found.stderr, len(set(group.scenes))), margin)
    cell = asdict(found)
    return {"n": len(differences), "difference": cell.pop("mean")} | cell | {"margin": asdict(shown), "primary": False}


def gains_of_stages(
    groups: Mapping[str, Group], plain: Mapping[tuple[str, Mode], Sequence[Verdict]], margin: float, primary: Sequence[Endpoint], root_seed: int
) -> dict[str, Any]:
    """Cells of each model against the base and against the one that was trained before it, among those asked; by `sft - base`, mode and group."""
    trained = [model for model in MODELS if any(model == m for m, _ in plain)]
    found: dict[str, Any] = {}
    pairs = [(before, after) for i, after in enumerate(trained) for before in trained[:i] if before in (BASE, trained[i - 1])]
    for before, after in pairs:
        for mode in MODES:
            if (before, mode) in plain and (after, mode) in plain:
                differences = [float(a.correct) - float(b.correct) for a, b in zip(plain[after, mode], plain[before, mode], strict=True)]
                name = f"{after} - {before}"
                found.setdefault(name, {})[mode] = {
                    of: gain(group, [differences[i] for i in group.places], margin, root_seed, f"{name}/{mode}/{of}/compare")
                    | {"primary": Endpoint(name, mode, of) in primary}
                    for of, group in groups.items()
                }
    return found


def judge_gains(cells: Iterable[dict[str, Any]]) -> None:
    """Give each cell its adjusted p and its verdict: all tests of one evaluation at once."""
    every = list(cells)
    for primary, adjust in ((True, holm), (False, benjamini_hochberg)):
        tested = [cell for cell in every if cell["primary"] == primary and cell["p"] is not None]
        for cell, p in zip(tested, adjust([cell["p"] for cell in tested]), strict=True):
            cell["p_adjusted"] = p
    for cell in every:
        cell.setdefault("p_adjusted", None)
        cell["verdict"] = _verdict(cell)


def _verdict(cell: Mapping[str, Any]) -> str:
    if cell["margin"]["equal"]:
        return EQUAL
    if cell["p_adjusted"] is not None and cell["p_adjusted"] < LEVEL:
        return BETTER if cell["difference"] > 0 else WORSE
    return NO_WORSE if cell["margin"]["no_worse"] else UNDECIDED


def judge_against_chance(tests: Iterable[dict[str, Any]]) -> None:
    """Give each test of `stats.chance_test` its p adjusted by false discovery rate over all of them; above or below is said only where that is below 5 %."""
    tested = [test for test in tests if test["p"] is not None]
    for test, p in zip(tested, benjamini_hochberg([test["p"] for test in tested]), strict=True):
        if test["verdict"] in (ABOVE, BELOW) and p >= LEVEL:
            test["verdict"] = UNDECIDED
