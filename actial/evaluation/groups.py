"""Which questions are scored together: every kind, and the totals over kinds.

Groups are the kinds, `directional` (all questions whose truth has an opposite, as left or up: the bit that "none" cannot help with), `new families` (those
about subjects of geometry families held out of training, where there are any) and `overall`. Kinds whose name ends in `_2d` need no third dimension: they
have the group `2d` of their own, and are in none of the three. So have kinds about the things in a scene, `sat`; where nothing else is asked, they are
`overall`, too.

Kinds of one tied class ask one bit of one pair: in those three groups the m questions of one tied class about the same views weigh 1/m each, so that every
bit counts once. Within a kind every question weighs 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from actial.records import OPPOSITE, SAT_KINDS, SUFFIX_2D, Question, is_viewpoint
from actial.stats import Mean, clustered_mean

OVERALL, DIRECTIONAL, NEW, TWO_D, SAT = "overall", "directional", "new families", "2d", "sat"


class Group:
    """Places of some questions in the list of all, with their weights and clusters."""

    def __init__(self, questions: Sequence[Question], places: Sequence[int], tied_once: bool) -> None:
        self.places = places
        bits = [(questions[i].tied_class, questions[i].view_ids) if questions[i].tied_class else questions[i].question_id for i in places]
        sizes = Counter(bits)
        self.weights = [1 / sizes[bit] if tied_once else 1.0 for bit in bits]
        self.scenes = [questions[i].scene_id for i in places]

    def clustered(self, values: Sequence[float]) -> Mean:
        """Of one value a question of the group."""
        return clustered_mean(values, self.scenes, self.weights)

    def mean(self, values: Sequence[float]) -> float | None:
        return self.clustered(values).mean


def groups_of(questions: Sequence[Question]) -> dict[str, Group]:
    """All groups of some questions, by name."""
    every = range(len(questions))
    viewpoint = [i for i in every if is_viewpoint(questions[i].kind)]
    directional = [i for i in viewpoint if questions[i].label_of(questions[i].truth) in OPPOSITE]
    groups = {kind: Group(questions, [i for i in every if questions[i].kind == kind], tied_once=False) for kind in sorted({q.kind for q in questions})}
    if flat := [i for i in every if questions[i].kind.endswith(SUFFIX_2D)]:
        groups[TWO_D] = Group(questions, flat, tied_once=False)
    if of_things := [i for i in every if questions[i].kind in SAT_KINDS]:
        groups[SAT] = Group(questions, of_things, tied_once=False)
    if new := [i for i in viewpoint if questions[i].held_out]:
        groups[NEW] = Group(questions, new, tied_once=True)
    return groups | {DIRECTIONAL: Group(questions, directional, tied_once=True), OVERALL: Group(questions, viewpoint or of_things, tied_once=True)}
