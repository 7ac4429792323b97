"""Questions about the things in scenes: candidates found in each, thinned until the words tell nothing, things named in a drawn order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from actial import ids
from actial.params_questions import BuildQA
from actial.questions.sat_kinds import SatKind, sat_kinds_of
from actial.questions.sat_things import Scenery, scenery
from actial.questions.sat_truth import Candidate
from actial.records import LETTERS, Question, View
from actial.rng import generator_for
from actial.shards import ViewStore, decode_picture, picture_is_whole

DIGITS = 6


@dataclass
class AboutThings:
    """Questions by split, and what was left out."""

    by_split: dict[str, list[Question]] = field(default_factory=dict)
    """In the order of scenes, views and kinds."""
    refused: Counter[str] = field(default_factory=Counter)
    """Cases, by kind and reason."""

    def of(self, split: str) -> list[Question]:
        return self.by_split.get(split, [])


@dataclass(frozen=True, slots=True)
class _Found:
    views: tuple[View, ...]
    candidate: Candidate


def questions_about_things(store: ViewStore, split_of: Mapping[str, str], held_out: frozenset[str], settings: BuildQA, seed: int) -> AboutThings:
    """The questions of every kind of `sat_kinds` that the settings name, in the splits that they name.

    A kind asks once about a view, or an ordered pair of views, of at most `pairs_per_kind` views or pairs of a scene. Which things it asks about is drawn:
    the answer first, then a case that has it. Within a split each kind is then thinned (`evenly`).

    Args:
        split_of: by scene.
        held_out: scenes whose subject is of a family held out of training.
    """
    made, kinds = AboutThings(), sat_kinds_of(settings)
    found: dict[tuple[str, str], list[_Found]] = {}
    asked_of = {scene_id for scene_id, split in split_of.items() if kinds and split in settings.sat_splits}
    for scene_id, seen in _scenes(store, asked_of, made.refused):
        for kind in kinds:
            found.setdefault((split_of[scene_id], kind.name), []).extend(_of_scene(kind, scene_id, seen, settings, seed, made.refused))
    for (split, name), of_kind in found.items():
        kind = next(kind for kind in kinds if kind.name == name)
        kept = evenly([each.candidate for each in of_kind], seed, f"{split}/{name}")
        made.refused[f"{name}: thinned so that words and labels tell nothing"] += len(of_kind) - len(kept)
        questions = [_question(kind, of_kind[i], place, held_out, settings.wordings, seed) for i, place in kept]
        made.by_split.setdefault(split, []).extend(questions)
    for questions in made.by_split.values():
        questions.sort(key=lambda q: (q.scene_id, q.view_ids, q.kind))
    return made


def evenly(candidates: Sequence[Candidate], seed: int, name: str) -> list[tuple[int, int]]:
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
        sorts.setdefault((c.cell, len(c.rivals), *sorted(c.groups)), []).append(int(i))
    kept: list[tuple[int, int]] = []
    for sort in sorted(sorts, key=str):
        of_sort = sorts[sort]
        weights = Counter(candidates[of_sort[0]].groups)
        by_group: dict[str, list[int]] = {group: [] for group in weights}
        for i in of_sort:
            by_group[candidates[i].groups[candidates[i].answer]].append(i)
        n = min(len(same) // weights[group] for group, same in by_group.items())
        chosen = [i for group, same in sorted(by_group.items()) for i in same[: n * weights[group]]]
        of_rivals = [i for i in chosen if candidates[i].answer < len(candidates[i].rivals)]
        kept += [(i, candidates[i].answer) for i in chosen if candidates[i].answer >= len(candidates[i].rivals)]
        places = generator.permutation(np.arange(len(of_rivals)) % max(1, len(candidates[of_sort[0]].rivals)))
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


def _question(kind: SatKind, found: _Found, place: int, held_out: frozenset[str], wordings: int, seed: int) -> Question:
    views, candidate = found.views, found.candidate
    family_id = ids.group_id(*(view.view_id for view in views))
    question_id = ids.question_id(family_id, kind.name)
    generator = generator_for(seed, question_id)
    names = _named(candidate, place, generator)
    order = [int(i) for i in generator.permutation(len(kind.labels))]
    options = [text.format(**names) for text in kind.options]
    sign = -1 if kind.signed and place else 1
    return Question(
        question_id=question_id,
        kind=kind.name,
        family_id=family_id,
        view_ids=tuple(view.view_id for view in views),
        text=kind.texts[int(generator.integers(wordings))].format(**names, **_with_articles(candidate.words)),
        options=tuple(options[i] for i in order),
        labels=tuple(kind.labels[i] for i in order),
        truth=LETTERS[order.index(place)],
        deciding_quantity=kind.quantity,
        deciding_value=round(sign * candidate.value, DIGITS),
        margin=round(candidate.margin, DIGITS),
        scene_id=views[0].scene_id,
        tied_class="",
        source=views[0].source,
        cue=candidate.cue,
        held_out=views[0].scene_id in held_out,
    )


def _named(candidate: Candidate, place: int, generator: np.random.Generator) -> dict[str, str]:
    """The rivals by placeholder: the right one at its place, the others in a drawn order."""
    rivals = list(candidate.rivals)
    if candidate.answer < len(rivals):
        right = rivals.pop(candidate.answer)
        rivals = [rivals[i] for i in generator.permutation(len(rivals))]
        rivals.insert(place, right)
    else:
        rivals = [rivals[i] for i in generator.permutation(len(rivals))]
    return {letter: f"the {name}" for letter, name in zip("abc", rivals, strict=False)}


_NO_THINGS = ("step", "turn", "shapes")


def _with_articles(words: Mapping[str, str]) -> dict[str, str]:
    return {word: name if word in _NO_THINGS else f"the {name}" for word, name in words.items()}
