"""From scenes to four Parquet files of questions: find candidates, split by scene, balance, put into words."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from actial import ids
from actial.errors import UserError
from actial.params_questions import BuildQA
from actial.questions.angle_options import with_options
from actial.questions.balance import SPLITS, balanced, evenly_coupled, split_of_scenes
from actial.questions.cues import CUE_WORDS
from actial.questions.kinds import KINDS, SIDES, TIED_CLASS, Kind
from actial.questions.pairs import Candidates, find_candidates
from actial.questions.sat_build import Things, questions_about_things
from actial.questions.scan import PosedScene
from actial.questions.spilled import blocks
from actial.questions.three_views import ThreeViewKind
from actial.questions.triples import Triple, TripleFinder
from actial.questions.twins import LIKENESSES, N_STRATA, altered_by_outline, off_middle, with_twins
from actial.records import LETTERS, Cue, Question
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.tables import write_questions

DIGITS = 9
"""Decimals of the numbers written: the last bits of an arctangent differ between processors, the files must not."""


@dataclass(frozen=True)
class Built:
    """What was made; the card is written from it."""

    n_scenes: dict[str, int]
    """Scenes of each split."""
    n_things: int
    """Subjects: scenes, and assets that several scenes may show."""
    licences: Counter[str]
    """Scenes by the licence of their pictures."""
    n_held_out: dict[str, int]
    """Scenes of each geometry family held out of training; they are among the test's."""
    labels: dict[tuple[str, str, str], int]
    """Questions by (split, kind, label)."""
    letters: dict[tuple[str, str], Counter[str]]
    """How often each letter is right, by (split, kind)."""
    tied: dict[str, int]
    """Questions in the tied class, by kind."""
    cues: Counter[tuple[str, str, str]]
    """Questions by (split, kind, whether the 2D cue agrees with the truth)."""
    bits: int
    """Questions after those of one tied class about one pair are counted once."""
    n_pairs: int
    """Ordered pairs of views looked at."""
    refused: dict[str, int]
    n_triples: int = 0
    """Unordered triples of views looked at."""

    def total(self, split: str) -> int:
        return sum(n for (s, _, _), n in self.labels.items() if s == split)


def build_questions(scenes: Iterable[PosedScene], out: Path, settings: BuildQA, seed: int, store: ViewStore | None = None) -> Built:
    """Write `{train,rl,val,test}.parquet` into `out`.

    Every pair is asked in both orders, each with its own truth; every triple in one order, drawn by the seed.

    Args:
        store: the views of the scenes, for the kinds of `sat_kinds`: without it none of them is asked.

    Raises:
        UserError: no view has a camera pose, no pair is usable, no scene is of a family held out, or a split gets no question.
    """
    room = next(folder for folder in (out, *out.parents) if folder.is_dir())  # `out` itself is made when there is something to write
    with contextlib.ExitStack() as files:
        of_pairs, of_triples, of_things = (files.enter_context(tempfile.TemporaryFile(dir=room)) for _ in range(3))
        triples = TripleFinder(settings, seed, of_triples)
        found = find_candidates(triples.watched(scenes), of_pairs, settings, seed)
        return _build(found, triples, out, settings, seed, store, of_things)


def _build(found: Candidates, triples: TripleFinder, out: Path, settings: BuildQA, seed: int, store: ViewStore | None, of_things: BinaryIO) -> Built:
    if not found.n_pairs:
        _complain_about_views(found)
    held_out = _held_out(found, settings)
    split = split_of_scenes(found.things, held_out, settings.splits, seed)
    kept = _thinned(found, held_out, split, settings, seed)
    of_three = {name: triples.asked(name, split == s) for s, name in enumerate(SPLITS)}
    things, refused_things = _about_things(store, of_things, found, split, settings, seed)
    split_of_kept = split[found.rows["scene"][kept.places]]
    sizes = Counter({name: np.count_nonzero(split_of_kept == s) + len(of_three[name]) + len(things.get(name, ())) for s, name in enumerate(SPLITS)})
    for name in SPLITS:
        if settings.splits[name] > 0 and not sizes[name]:
            raise UserError(
                f"split {name} gets no question from {np.count_nonzero(split == SPLITS.index(name))} of {len(split)} scenes: "
                "render more scenes or views, with pairs for every answer of a kind, or give it a larger share in build_qa.splits"
                + ("" if settings.caliper is None else "; few scenes hold few twins: a larger build_qa.caliper, or null, keeps more pairs")
            )
    tally = _Tally()
    for s, name in enumerate(SPLITS):
        rows = _rows(found, kept, split_of_kept == s)
        questions = itertools.chain(_in_words(rows, found, settings, seed), _about_triples(of_three[name], found, settings, seed), things.get(name, ()))
        write_questions(out / f"{name}.parquet", tally.counted(name, questions))
    found.refused.update(triples.refused)
    n_scenes = {name: int(np.count_nonzero(split == s)) for s, name in enumerate(SPLITS)}
    refused = {reason: n for reason, n in sorted((found.refused + refused_things).items()) if n}
    n_held_out = {name: found.families.count(name) for name in settings.held_out_families}
    of_scenes = (len(set(found.things)), Counter(found.licences), n_held_out)
    return Built(n_scenes, *of_scenes, dict(tally.labels), tally.letters, dict(tally.tied), tally.cues, tally.bits, found.n_pairs, refused, triples.n_looked_at)


def _about_things(
    store: ViewStore | None, file: BinaryIO, found: Candidates, split: np.ndarray, settings: BuildQA, seed: int
) -> tuple[dict[str, Things], Counter[str]]:
    if store is None:
        return {}, Counter()
    split_of = {scene_id: SPLITS[s] for scene_id, s in zip(found.scene_ids, split, strict=True)}
    held_out = frozenset(scene_id for scene_id, family in zip(found.scene_ids, found.families, strict=True) if family in settings.held_out_families)
    return questions_about_things(store, file, split_of, held_out, settings, seed)


def _held_out(found: Candidates, settings: BuildQA) -> list[bool]:
    """Whether each scene's subject is of a family held out."""
    known = sorted(set(found.families) - {""})
    for name in settings.held_out_families:
        if name not in known:
            raise UserError(f"build_qa.held_out_families names {name}, but no scene is of that family: there are {', '.join(known) or 'none'}")
    return [family in settings.held_out_families for family in found.families]


@dataclass(frozen=True)
class _Kept:
    """Candidates that are asked about."""

    places: np.ndarray
    """(n,) of their rows, ascending."""
    label: np.ndarray
    """(n, 2) int8: of an angle which of those offered is right."""
    sizes_deg: np.ndarray
    """(n, 3) int16: the angles offered; 0 for other kinds."""


def _thinned(found: Candidates, held_out: Sequence[bool], split: np.ndarray, settings: BuildQA, seed: int) -> _Kept:
    """The candidates that stay after each kind is balanced within each split. Those about angles get their options on the way."""
    parts = [(np.empty(0, dtype=int), np.empty((0, 2), dtype=np.int8), np.empty((0, 3), dtype=np.int16))]
    rows = found.rows
    usable, split_of_row = _has_twin(found, held_out, settings), split[rows["scene"]]
    for s, split_name in enumerate(SPLITS):
        for k, kind in enumerate(KINDS.values()):
            here = np.flatnonzero(usable & (split_of_row == s) & (rows["kind"] == k))
            label, name = rows["label"][here], f"{split_name}/{kind.name}"
            if kind.asks_angle:
                value = np.concatenate([chunk["value"][:, 0] for chunk in rows.chunks(here)] or [np.empty(0)])
                chosen, labels, sizes_deg = with_options(value, label, settings.option_gap_deg, seed, name)
            elif kind.name == "consistency" and settings.caliper is not None:
                chosen = _untold(found, here, kind, seed, name)
                labels, sizes_deg = label[chosen], np.zeros((len(chosen), 3), dtype=np.int16)
            else:
                chosen = balanced(label, _n_right(kind, settings), seed, name, _strata(kind, found, here, settings))
                labels, sizes_deg = label[chosen], np.zeros((len(chosen), 3), dtype=np.int16)
            found.refused[f"{kind.name}: {_why_thinned(kind.labels[: _n_right(kind, settings)], label, chosen)}"] += 2 * (len(here) - len(chosen))
            parts.append((here[chosen], labels.astype(np.int8), sizes_deg.astype(np.int16)))
    places, labels, sizes_deg = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(places)
    return _Kept(places[order], labels[order], sizes_deg[order])


def _has_twin(found: Candidates, held_out: Sequence[bool], settings: BuildQA) -> np.ndarray:
    """(n,) bool: the candidates that have a twin or need none. Those whose answer changes with the order from one end of an axis to the other are matched, as
    they answer the one, among the scenes held out and among the others, in blocks (`spilled.blocks`); one with the same answer in both orders is its own.
    """
    rows, caliper = found.rows, settings.caliper
    usable = np.ones(len(rows), dtype=bool)
    if caliper is None:
        return usable
    first, second = rows["label"].T
    apart = np.array(held_out, dtype=bool)[rows["scene"]]
    for k, kind in enumerate(KINDS.values()):
        of_kind = rows["kind"] == k
        for axis in (axis for axis in kind.axes if axis.quantity in LIKENESSES):
            one, other = sorted((kind.labels.index(axis.positive), kind.labels.index(axis.negative)))
            forth, back = (first == one) & (second == other), (first == other) & (second == one)
            for group in (apart, ~apart):
                for here in blocks(np.flatnonzero(of_kind & (forth | back) & group)):
                    layout = rows.read(here)["layout"]
                    layout = np.where(forth[here, None, None], layout, layout[:, ::-1])
                    usable[here] = False
                    usable[here[with_twins(layout, caliper, LIKENESSES[axis.quantity])]] = True
        if left_out := int(np.count_nonzero(~usable & of_kind)):
            found.refused[f"{kind.name}: no twin whose layouts are exchanged"] += 2 * left_out
    return usable


def _strata(kind: Kind, found: Candidates, here: np.ndarray, settings: BuildQA) -> np.ndarray | None:
    """(n,) within what a kind's answers must be equally frequent, so that what stays by twins is not told from the rest; None for nothing."""
    if settings.caliper is None or kind.labels != SIDES:
        return None
    return np.concatenate([off_middle(chunk["layout"]) for chunk in found.rows.chunks(here)] or [np.empty(0, dtype=int)])


def _untold(found: Candidates, here: np.ndarray, kind: Kind, seed: int, name: str) -> np.ndarray:
    """Places in `here` of the pairs about an alteration that stay. An altered pair and the one of its scene that moved alike stay together or not at all, so
    that no scene and no look at one picture tells them apart; and among those that stay no change of the outline does (`twins.altered_by_outline`).
    """
    if not len(here):
        return here
    rows = found.rows.read(here)
    altered = rows["label"][:, 0] != kind.zero
    stratum = altered_by_outline(rows["layout"], altered)
    one, other = np.lexsort((~altered, rows["couple"], rows["scene"])).reshape(-1, 2).T
    kept = evenly_coupled(stratum[one], stratum[other], N_STRATA, seed, name)
    return np.sort(np.concatenate([one[kept], other[kept]]))


def _n_right(kind: Kind, settings: BuildQA) -> int:
    """How many of a kind's labels, from the first on, are ever right."""
    return len(kind.labels) - (settings.none == "never")


def _rows(found: Candidates, kept: _Kept, in_split: np.ndarray) -> Iterator[np.ndarray]:
    """Runs of rows of the candidates of a split that are kept, with the labels and sizes that they got, by scene, kind and pair.

    Args:
        in_split: (n,) bool, of those kept.
    """
    here = np.flatnonzero(in_split)
    for run in np.split(here, np.searchsorted(kept.places[here], found.rows.starts[1:])):
        rows = found.rows.read(kept.places[run])
        rows["label"], rows["sizes_deg"] = kept.label[run], kept.sizes_deg[run]
        yield rows[np.argsort(rows["scene"], kind="stable")]


def _why_thinned(names: Sequence[str], labels: np.ndarray, chosen: np.ndarray) -> str:
    """Why some, or all, of the pairs with these labels are left out, where the names are those of labels that must be right equally often."""
    never = [label for place, label in enumerate(names) if not (labels == place).any()]
    if len(chosen) or not never:
        return "thinned to balance labels"
    return f"left out of a split where no pair answers {' or '.join(never)}"


def _in_words(runs: Iterable[np.ndarray], found: Candidates, settings: BuildQA, seed: int) -> Iterator[Question]:
    kinds = list(KINDS.values())
    for row in itertools.chain.from_iterable(runs):
        scene_id, kind = found.scene_ids[row["scene"]], kinds[row["kind"]]
        views = ids.view_id(scene_id, int(row["first"])), ids.view_id(scene_id, int(row["second"]))
        family_id = ids.group_id(*views)
        for order in (0, 1):
            yield _question(
                kind,
                views if order == 0 else views[::-1],
                family_id,
                label=int(row["label"][order]),
                value=round(float(row["value"][order]), DIGITS),
                margin=round(float(row["margin"][order]), DIGITS),
                tied=bool(row["tied"][order]),
                cue=CUE_WORDS[row["cue"][order]],
                source=found.sources[row["scene"]],
                sizes_deg=row["sizes_deg"].tolist(),
                held_out=found.families[row["scene"]] in settings.held_out_families,
                wordings=settings.wordings,
                seed=seed,
            )


def _about_triples(asked: Iterable[Triple], found: Candidates, settings: BuildQA, seed: int) -> Iterator[Question]:
    for triple in asked:
        yield _question(
            triple.kind,
            triple.view_ids,
            triple.family_id,
            label=triple.label,
            value=round(triple.least_gap_deg, DIGITS),
            margin=round(triple.margin, DIGITS),
            tied=False,
            cue=triple.cue,
            source=found.sources[triple.scene],
            sizes_deg=[],
            held_out=found.families[triple.scene] in settings.held_out_families,
            wordings=settings.wordings,
            seed=seed,
        )


def _question(
    kind: Kind | ThreeViewKind,
    views: tuple[str, ...],
    family_id: str,
    *,
    label: int,
    value: float,
    margin: float,
    tied: bool,
    cue: Cue,
    source: str,
    sizes_deg: list[int],
    held_out: bool,
    wordings: int,
    seed: int,
) -> Question:
    question_id = ids.question_id(ids.group_id(*views), kind.name)
    generator = generator_for(seed, question_id)
    labels, options = kind.asked_labels, kind.option_texts(sizes_deg)
    order = [int(i) for i in generator.permutation(len(labels))]
    return Question(
        question_id=question_id,
        kind=kind.name,
        family_id=family_id,
        view_ids=views,
        text=kind.texts[int(generator.integers(wordings))],
        options=tuple(options[i] for i in order),
        labels=tuple(labels[i] for i in order),
        truth=LETTERS[order.index(label)],
        deciding_quantity=kind.quantity,
        deciding_value=value,
        margin=margin,
        scene_id=ids.parse(views[0]).scene_id,
        tied_class=TIED_CLASS if tied else "",
        source=source,
        cue=cue,
        held_out=held_out,
    )


class _Tally:
    """Counts questions on their way to disk."""

    def __init__(self) -> None:
        self.labels: Counter[tuple[str, str, str]] = Counter()
        self.letters: dict[tuple[str, str], Counter[str]] = {}
        self.tied: Counter[str] = Counter()
        self.cues: Counter[tuple[str, str, str]] = Counter()
        self.bits = 0
        self._scene_id, self._tied_pairs = "", set[tuple[str, ...]]()

    def counted(self, split: str, questions: Iterable[Question]) -> Iterator[Question]:
        for q in questions:
            self.labels[split, q.kind, q.label_of(q.truth)] += 1
            self.letters.setdefault((split, q.kind), Counter())[q.truth] += 1
            self.cues[split, q.kind, q.cue] += 1
            self._count_bit(q)
            yield q

    def _count_bit(self, q: Question) -> None:
        if q.scene_id != self._scene_id:
            self._scene_id, self._tied_pairs = q.scene_id, set()
        if q.tied_class:
            self.tied[q.kind] += 1
        if not q.tied_class or q.view_ids not in self._tied_pairs:
            self.bits += 1
        if q.tied_class:
            self._tied_pairs.add(q.view_ids)


def _complain_about_views(found: Candidates) -> None:
    n_posed = found.refused["views: no camera pose"]
    if n_posed and not found.refused["views: no subject"] and not found.refused["views: unreadable picture"]:
        raise UserError(f"none of the {n_posed} views has a camera pose (T_world_cam): viewpoint questions need pictures with known cameras")
    reasons = ", ".join(f"{n} {reason.removeprefix('views: ')}" for reason, n in found.refused.items() if n)
    raise UserError(
        f"the {len(found.scene_ids)} scenes hold no usable pair of views ({reasons or 'every scene has a single view'}): render scenes with at least two"
    )
