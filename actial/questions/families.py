"""Families of test questions whose answers constrain each other, and what each answer claims of the cameras (see `consistency`).

A *pair* family holds what is asked about two views, in both orders and by several kinds: the way from A to B is that from B to A turned round, and several
kinds ask one bit. A *cycle* family holds what is asked from A to B, from B to C and from C to A, and about the three together.

What each answer says is in `bounds`. Kinds about altered objects, about things and about the pictures alone are in no family.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actial import ids
from actial.params_questions import BuildQA
from actial.questions.bounds import CONSTRAINING, claim_of, facts_of, motion_of
from actial.questions.contradictions import Family, can_contradict
from actial.records import Question, View
from actial.rng import generator_for, seed_for
from actial.tables import count_questions, read_questions

PAIR, CYCLE = "pair", "cycle"
SCENES_AT_ONCE = 512
"""Whose questions are in memory at a time."""
N_GUESSES = 64
"""Blind guesses by which a family shows that its answers can contradict each other at all."""


@dataclass(frozen=True)
class Group:
    """Questions about some views."""

    family_id: str
    sort: str
    view_ids: tuple[str, ...]
    """By number."""
    questions: tuple[Question, ...]

    @property
    def n_conflicts(self) -> int:
        return sum(q.cue == "conflict" for q in self.questions)


_RANKED = np.dtype([("n_conflicts", np.int32), ("key", np.uint64), ("scene", np.int32), ("number", np.int32)])
"""A group of questions: its scene's place among the scenes, and its own among its scene's."""


def families_of(files: Sequence[Path], view_of: Callable[[str], View], settings: BuildQA, seed: int) -> tuple[list[Family], Counter[str]]:
    """At most `n_families` families of the questions of Parquet files, as many cycles as pairs where there are enough, and why others are none.

    Those with more questions whose 2D cue misleads come first; of equals, the seed decides. Questions about `SCENES_AT_ONCE` scenes are in memory at a time; of
    every other group of questions 20 bytes are.

    Args:
        view_of: the view of an id, with its pose.

    Raises:
        UserError: a file is no table of questions.
    """
    refused = Counter[str]()
    scene_ids = sorted({scene_id for path in files for kind, scene_id in count_questions(path) if kind in CONSTRAINING})
    ranked = _ranked(files, scene_ids, seed)
    made: list[Family] = []
    for sort, most in ((CYCLE, settings.n_families // 2), (PAIR, settings.n_families)):
        for number, group in enumerate(_in_order(ranked[sort], files, scene_ids)):
            if len(made) == most:
                refused[f"families: more {sort}s than asked for"] += len(ranked[sort]) - number
                break
            views = [view_of(v) for v in group.view_ids]
            family = family_of(group, views, settings)
            draws = generator_for(seed, f"{group.family_id}/guesses").random((N_GUESSES, len(family.claims)))
            if any(motion_of(view).min_level_distance_r[0] <= settings.min_level_distance_r for view in views):
                refused[f"families: {sort} with a camera near the subject's vertical axis"] += 1
            elif can_contradict(family, draws.tolist()):
                made.append(family)
            else:
                refused[f"families: {sort} whose answers cannot contradict each other"] += 1
    return sorted(made, key=lambda f: (f.scene_id, f.sort, f.family_id)), refused


def _ranked(files: Sequence[Path], scene_ids: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    """Of each sort the groups, of dtype `_RANKED`, those that shall be asked first first."""
    rows: dict[str, list[np.ndarray]] = {sort: [np.empty(0, _RANKED)] for sort in (CYCLE, PAIR)}
    for start in range(0, len(scene_ids), SCENES_AT_ONCE):
        some = scene_ids[start : start + SCENES_AT_ONCE]
        place, of_sort = {scene_id: start + i for i, scene_id in enumerate(some)}, {sort: list[tuple[int, int, int, int]]() for sort in rows}
        for scene_id, groups in _groups(files, some).items():
            for number, g in enumerate(groups):
                of_sort[g.sort].append((g.n_conflicts, seed_for(seed, f"{g.family_id}/family"), place[scene_id], number))
        for sort, found in of_sort.items():
            rows[sort].append(np.array(found, _RANKED))
    joined = {sort: np.concatenate(parts) for sort, parts in rows.items()}
    return {sort: row[np.lexsort((row["key"], -row["n_conflicts"]))] for sort, row in joined.items()}


def _in_order(ranked: np.ndarray, files: Sequence[Path], scene_ids: Sequence[str]) -> Iterator[Group]:
    """The groups as ranked; their questions are read anew, for some of them at a time."""
    for start in range(0, len(ranked), SCENES_AT_ONCE):
        some = ranked[start : start + SCENES_AT_ONCE]
        of_scene = _groups(files, [scene_ids[scene] for scene in np.unique(some["scene"])])
        for row in some:
            yield of_scene[scene_ids[row["scene"]]][row["number"]]


def _groups(files: Sequence[Path], scene_ids: Sequence[str]) -> dict[str, list[Group]]:
    """By scene the groups of its questions."""
    by_scene: dict[str, list[Question]] = {}
    for question in itertools.chain.from_iterable(read_questions(path, scene_ids) for path in files):
        if question.kind in CONSTRAINING:
            by_scene.setdefault(question.scene_id, []).append(question)
    return {scene_id: list(_groups_of_scene(of_scene)) for scene_id, of_scene in by_scene.items()}


def _groups_of_scene(questions: Sequence[Question]) -> Iterator[Group]:
    by_views: dict[tuple[str, ...], list[Question]] = {}
    for question in questions:
        by_views.setdefault(_by_number(question.view_ids), []).append(question)
    pairs = {views: of for views, of in by_views.items() if len(views) == 2}
    for views, of in pairs.items():
        if len(of) > 1:
            yield Group(ids.group_id(*views), PAIR, views, tuple(of))
    for a, b, c in _triangles(pairs, by_views):
        around = {(a, b), (b, c), (c, a)}
        edges = [q for views in ((a, b), (b, c), (a, c)) for q in pairs.get(views, ()) if q.view_ids in around]
        found = [*edges, *by_views.get((a, b, c), ())]
        if len({_by_number(q.view_ids) for q in found}) > 1 or len(found) > len(edges) + 1:
            yield Group(ids.group_id(a, b, c), CYCLE, (a, b, c), tuple(found))


def _triangles(pairs: Collection[tuple[str, ...]], by_views: Collection[tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """Three views that are asked about pair by pair, or together."""
    known = {(views[0], views[1], views[2]) for views in by_views if len(views) == 3}
    names = {view for views in pairs for view in views}
    return sorted(known | {(a, b, c) for a, b in pairs for c in names if (b, c) in pairs and (a, c) in pairs})


def _by_number(view_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(view_ids, key=lambda view_id: ids.parse(view_id).first or 0))


def family_of(group: Group, views: Sequence[View], settings: BuildQA) -> Family:
    """The questions with what each of their answers claims; the views are those of the group."""
    number = {view_id: place for place, view_id in enumerate(group.view_ids)}
    claims = {
        q.question_id: {label: claim_of(q, label, option, number, settings) for label, option in zip(q.labels, q.options, strict=True)} for q in group.questions
    }
    return Family(group.family_id, group.sort, group.questions[0].scene_id, tuple(facts_of(views, group.questions, settings)), claims)
