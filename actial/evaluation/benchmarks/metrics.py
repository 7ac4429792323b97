"""How benchmarks average: over all questions, over strata with stated shares, over groups that are right only where all of them is.

None is defined where a stratum it needs was not asked: a mean over what happens to be there would bear the name of another number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from actial.evaluation.benchmarks.benchmark import Item, Metric, Scored, Unit


def micro(name: str, formula: str, only: Callable[[Item], bool] = lambda item: True, *, variants_share: bool = False) -> Metric:
    """The mean over rows, each alike.

    Args:
        only: which rows count.
        variants_share: whether the variants of a question weigh together as much as a question without any.
    """

    def units(scored: Sequence[Scored]) -> list[Unit]:
        return _units([s for s in scored if only(s.item)], 1.0, clusters(scored), variants_share)

    return Metric(name, formula, units)


def _units(counted: Sequence[Scored], share: float, cluster_of: Mapping[str, str], variants_share: bool) -> list[Unit]:
    size = Counter(s.item.group if variants_share else s.item.row_id for s in counted)
    weights = [share / len(size) / size[s.item.group if variants_share else s.item.row_id] for s in counted]
    return [Unit(s.item.row_id, s.credit, weight, cluster_of[s.item.row_id]) for s, weight in zip(counted, weights, strict=True)]


def within(stratum: str, *values: str) -> Callable[[Item], bool]:
    """Whether a question is in a stratum of one of these values."""
    return lambda item: item.strata.get(stratum) in values


def by_strata(name: str, formula: str, stratum: str, shares: Mapping[str, float], *, variants_share: bool = False) -> Metric:
    """Σ share · mean over the rows of a stratum.

    Args:
        stratum: which of `Item.strata`.
        shares: of each value that there must be; they add up to 1.
        variants_share: see `micro`.
    """

    def units(scored: Sequence[Scored]) -> list[Unit]:
        of_value: dict[str, list[Scored]] = {value: [] for value in shares}
        for s in scored:
            of_value.get(s.item.strata.get(stratum, ""), []).append(s)
        if not all(of_value.values()):
            return []
        cluster_of = clusters(scored)
        return [unit for value, found in of_value.items() for unit in _units(found, shares[value], cluster_of, variants_share)]

    return Metric(name, formula, units)


def equal_strata(name: str, formula: str, stratum: str, values: Iterable[str], *, variants_share: bool = False) -> Metric:
    """The mean of the means over strata, each alike; see `by_strata`."""
    found = tuple(values)
    return by_strata(name, formula, stratum, dict.fromkeys(found, 1 / len(found)), variants_share=variants_share)


def all_right(name: str, formula: str, key: Callable[[Item], str], only: Callable[[Item], bool] = lambda item: True) -> Metric:
    """The mean over groups of questions, where a group's credit is the product of its questions': 1 only where every one is right.

    Args:
        key: of a question's group.
        only: which questions count.
    """

    def units(scored: Sequence[Scored]) -> list[Unit]:
        credit, first, cluster_of = dict[str, float](), dict[str, str](), clusters(scored)
        for s in scored:
            if only(s.item):
                group = key(s.item)
                credit[group] = credit.get(group, 1.0) * s.credit
                first.setdefault(group, s.item.row_id)
        return [Unit(group, value, 1 / len(credit), cluster_of[first[group]]) for group, value in credit.items()]

    return Metric(name, formula, units)


def clusters(scored: Sequence[Scored]) -> dict[str, str]:
    """By row, what it is not independent of: questions about one picture, one scene, and variants of one question are joined, as far as that reaches."""
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := joined.setdefault(name, name)) != name:
            joined[name] = joined[parent]
            name = parent
        return name

    for s in scored:
        joined[root(f"group {s.item.group}")] = root(f"scene {s.item.question.scene_id}")
        if s.item.scene:
            joined[root(f"group {s.item.group}")] = root(f"place {s.item.scene}")
    return {s.item.row_id: root(f"group {s.item.group}") for s in scored}
