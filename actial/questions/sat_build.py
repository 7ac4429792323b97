"""Questions about the things in scenes: candidates found in each, thinned until the words tell nothing, things named in a drawn order."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from actial import ids
from actial.params_questions import BuildQA
from actial.questions.sat_kinds import SatKind, sat_kinds_of
from actial.questions.sat_things import Scenery, scenery
from actial.questions.sat_truth import Candidate
from actial.questions.spilled import SpilledLines
from actial.records import LETTERS, Question, View
from actial.rng import generator_for
from actial.shards import ViewStore, decode_picture, picture_is_whole

DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Found:
    views: tuple[View, ...]
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Look:
    """What of a candidate might tell its answer. Many candidates share one."""

    cell: str
    n_rivals: int
    groups: tuple[str, ...]
    answer: int

    @classmethod
    def of(cls, candidate: Candidate) -> Look:
        return cls(candidate.cell, len(candidate.rivals), candidate.groups, candidate.answer)


@dataclass(frozen=True)
class Things:
    """The questions about a split, put into words as they are gone through: by scene as stored, views and kinds."""

    settings: BuildQA
    seed: int
    lines: SpilledLines
    held_out: Set[str]
    starts: np.ndarray
    """(n,) where the candidates stand in `lines`, ascending."""
    places: np.ndarray
    """(n,) at which place each one's right rival is to be named."""

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Question]:
        kinds = {kind.name: kind for kind in sat_kinds_of(self.settings)}
        for start, place in zip(self.starts.tolist(), self.places.tolist(), strict=True):
            row = self.lines.read(start)
            yield _question(kinds[row["kind"]], row, place, row["scene_id"] in self.held_out, self.settings.wordings, self.seed)


@dataclass
class _Candidates:
    """Of one kind in one split, in the order found: 16 bytes each, and the looks that they share."""

    looks: list[Look] = field(default_factory=list)
    starts: array[int] = field(default_factory=lambda: array("q"))
    """Where each stands in the file."""


def questions_about_things(
    store: ViewStore, file: BinaryIO, split_of: Mapping[str, str], held_out: Set[str], settings: BuildQA, seed: int
) -> tuple[dict[str, Things], Counter[str]]:
    """The questions of every kind of `sat_kinds` that the settings name, by split, in those that they name; and cases left out, by kind and reason.

    A kind asks once about a view, or an ordered pair of views, of at most `pairs_per_kind` views or pairs of a scene. Which things it asks about is drawn:
    the answer first, then a case that has it. Within a split each kind is then thinned (`evenly`).

    Args:
        file: empty; where the candidates are kept.
        split_of: by scene.
        held_out: scenes whose subject is of a family held out of training.
    """
    kinds, refused, lines = sat_kinds_of(settings), Counter[str](), SpilledLines(file)
    found: dict[str, dict[str, _Candidates]] = {}
    looks: dict[Look, Look] = {}
    asked_of = {scene_id for scene_id, split in split_of.items() if kinds and split in settings.sat_splits}
    for scene_id, seen in _scenes(store, asked_of, refused):
        of_scene = [(kind.name, one) for kind in kinds for one in _of_scene(kind, scene_id, seen, settings, seed, refused)]
        in_order = sorted(range(len(of_scene)), key=lambda i: ([view.view_id for view in of_scene[i][1].views], of_scene[i][0]))
        start_of = {i: lines.add(_as_row(*of_scene[i])) for i in in_order}
        for i, (name, one) in enumerate(of_scene):
            look = Look.of(one.candidate)
            of_kind = found.setdefault(split_of[scene_id], {}).setdefault(name, _Candidates())
            of_kind.looks.append(looks.setdefault(look, look))
            of_kind.starts.append(start_of[i])
    made = {split: Things(settings, seed, lines, held_out, *_thinned(of_split, split, seed, refused)) for split, of_split in found.items()}
    return made, refused


def _thinned(of_split: Mapping[str, _Candidates], split: str, seed: int, refused: Counter[str]) -> tuple[np.ndarray, np.ndarray]:
    """Starts, ascending, and places of a split's candidates that stay after each kind is thinned, see `Things`."""
    starts, places = [np.empty(0, np.int64)], [np.empty(0, np.int8)]
    for name, of_kind in of_split.items():
        kept = np.array(evenly(of_kind.looks, seed, f"{split}/{name}"), dtype=int).reshape(-1, 2)
        refused[f"{name}: thinned so that words and labels tell nothing"] += len(of_kind.looks) - len(kept)
        starts.append(np.array(of_kind.starts)[kept[:, 0]])
        places.append(kept[:, 1].astype(np.int8))
    every = np.concatenate(starts)
    order = np.argsort(every)
    return every[order], np.concatenate(places)[order]


def _as_row(kind: str, found: _Found) -> dict[str, Any]:
    """What is put into words when it is known which candidates stay."""
    views, c = found.views, found.candidate
    told = {"words": c.words, "rivals": c.rivals, "answer": c.answer, "value": c.value, "margin": c.margin, "cue": c.cue}
    return {"kind": kind, "view_ids": [view.view_id for view in views], "scene_id": views[0].scene_id, "source": views[0].source, **told}


def evenly(candidates: Sequence[Look], seed: int, name: str) -> list[tuple[int, int]]:
    """The largest choice of candidates in which neither what is asked about nor how it is called tells the answer.

    Rule. Candidates whose cell and possible answers look alike are of one sort. In each sort every possible answer is right equally often: of answers that
    look alike (two cones among the rivals) their sum. Then the right rival is named first, second, third equally often in each sort, in a drawn order.

    Returns:
        Places of those kept, ascending, each with the place at which its right rival is to be named; what is no rival keeps its place.
    """
    generator = generator_for(seed, f"{name}/evenly")
    sorts: dict[tuple[object, ...], list[int]] = {}
    for i in generator.permutation(len(candidates)):
        c = candidates[i]
        sorts.setdefault((c.cell, c.n_rivals, *sorted(c.groups)), []).append(int(i))
    kept: list[tuple[int, int]] = []
    for sort in sorted(sorts, key=str):
        of_sort = sorts[sort]
        weights = Counter(candidates[of_sort[0]].groups)
        by_group: dict[str, list[int]] = {group: [] for group in weights}
        for i in of_sort:
            by_group[candidates[i].groups[candidates[i].answer]].append(i)
        n = min(len(same) // weights[group] for group, same in by_group.items())
        chosen = [i for group, same in sorted(by_group.items()) for i in same[: n * weights[group]]]
        of_rivals = [i for i in chosen if candidates[i].answer < candidates[i].n_rivals]
        kept += [(i, candidates[i].answer) for i in chosen if candidates[i].answer >= candidates[i].n_rivals]
        places = generator.permutation(np.arange(len(of_rivals)) % max(1, candidates[of_sort[0]].n_rivals))
        kept += list(zip(of_rivals, places.tolist(), strict=True))
    return sorted(kept)


def _scenes(store: ViewStore, asked_of: Set[str], refused: Counter[str]) -> Iterator[tuple[str, list[Scenery]]]:
    """The views with a camera, a readable picture and a mask of each scene that is asked about."""
    for scene_id, views in itertools.groupby(store, key=lambda view: view.scene_id) if asked_of else ():
        if scene_id not in asked_of:
            continue
        seen = []
        for view in views:
            mask = store.picture_bytes(view.view_id, "mask")
            if view.camera.T_world_cam is None or not view.objects or mask is None:
                refused["views without a camera, an object or a mask: nothing is asked about things"] += 1
            elif picture_is_whole(store.picture_bytes(view.view_id) or b""):
                seen.append(scenery(view, np.asarray(decode_picture(mask, view.view_id, mode="L"))))
        yield scene_id, seen


def _of_scene(kind: SatKind, scene_id: str, seen: Sequence[Scenery], settings: BuildQA, seed: int, refused: Counter[str]) -> list[_Found]:
    draw = generator_for(seed, f"{scene_id}/{kind.name}")
    shown = [s for s in seen if abs(s.pitch_deg) <= settings.max_pitch_deg]
    refused[f"{kind.name}: cameras pitched too far"] += len(seen) - len(shown)
    groups = list(itertools.combinations(range(len(shown)), kind.n_pictures))
    found: list[_Found] = []
    n_groups = 0
    for g in draw.permutation(len(groups)):
        if n_groups == settings.pairs_per_kind:
            break
        order = groups[g] if draw.random() < 0.5 else groups[g][::-1]
        of_group = []
        for views in (order, order[::-1])[: 1 + kind.both_orders]:
            candidates = []
            for case in kind.find([shown[i] for i in views], settings, draw):
                if isinstance(case, str):
                    refused[f"{kind.name}: {case}"] += 1
                else:
                    candidates.append(case)
            if candidates:
                of_group.append(_Found(tuple(shown[i].view for i in views), _one_of(candidates, draw)))
        found += of_group
        n_groups += bool(of_group)
    return found


def _one_of(candidates: Sequence[Candidate], draw: np.random.Generator) -> Candidate:
    """The answer is drawn first, where it is no rival: every answer that is offered is equally likely."""
    by_answer: dict[int, list[Candidate]] = {}
    for c in candidates:
        by_answer.setdefault(0 if c.answer < len(c.rivals) else c.answer, []).append(c)
    offered = sorted(by_answer)
    same = by_answer[offered[int(draw.integers(len(offered)))]]
    return same[int(draw.integers(len(same)))]


def _question(kind: SatKind, row: Mapping[str, Any], place: int, held_out: bool, wordings: int, seed: int) -> Question:
    """A candidate, as `_as_row` kept it, in words."""
    view_ids = tuple(row["view_ids"])
    family_id = ids.group_id(*view_ids)
    question_id = ids.question_id(family_id, kind.name)
    generator = generator_for(seed, question_id)
    names = _named(row["rivals"], row["answer"], place, generator)
    order = [int(i) for i in generator.permutation(len(kind.labels))]
    options = [text.format(**names) for text in kind.options]
    sign = -1 if kind.signed and place else 1
    return Question(
        question_id=question_id,
        kind=kind.name,
        family_id=family_id,
        view_ids=view_ids,
        text=kind.texts[int(generator.integers(wordings))].format(**names, **_with_articles(row["words"])),
        options=tuple(options[i] for i in order),
        labels=tuple(kind.labels[i] for i in order),
        truth=LETTERS[order.index(place)],
        deciding_quantity=kind.quantity,
        deciding_value=round(sign * row["value"], DIGITS),
        margin=round(row["margin"], DIGITS),
        scene_id=row["scene_id"],
        tied_class="",
        source=row["source"],
        cue=row["cue"],
        held_out=held_out,
    )


def _named(rivals: Sequence[str], answer: int, place: int, generator: np.random.Generator) -> dict[str, str]:
    """The rivals by placeholder: the right one at its place, the others in a drawn order."""
    others = [name for i, name in enumerate(rivals) if i != answer]
    others = [others[i] for i in generator.permutation(len(others))]
    if answer < len(rivals):
        others.insert(place, rivals[answer])
    return {letter: f"the {name}" for letter, name in zip("abc", others, strict=False)}


_NO_THINGS = ("step", "turn", "shapes")


def _with_articles(words: Mapping[str, str]) -> dict[str, str]:
    return {word: name if word in _NO_THINGS else f"the {name}" for word, name in words.items()}
