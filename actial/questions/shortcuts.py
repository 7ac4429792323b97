"""The shortcut audit: can the questions be answered without reasoning about space?

Probes are trained afresh on the audited questions, on what one reading of them offers (`readings`), and answer about scenes they have not met (`probes`).
A probe that answers better than chance, and has no right to know, has found a leak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from actial.errors import UserError
from actial.params_questions import Audit as Settings
from actial.questions.ceiling import ceiling_accuracy
from actial.questions.probes import FOLDS, FOLDS_TOGETHER, Fold, folds_by_scene, held_out_answers
from actial.questions.readings import COMPARING, OF_ONE_PICTURE, OPENING, PROBES, SAME_TWICE, TEXT, Seen, features, look, may_know
from actial.records import Question
from actial.rng import generator_for, seed_for
from actial.shards import ViewStore
from actial.stats import ABOVE, LEVEL, UNDECIDED, chance_test, clustered_mean, holm, p_above
from actial.tables import count_questions, read_questions

LEAST_QUESTIONS = 2400
"""Fewer of a kind give no verdict."""
MOST_LABELS = 12
"""A kind whose options have more different meanings is answered by letter."""
LEAK, MAY_KNOW = "leak", "may know"
CUES = ("aligned", "conflict", "none")
DIGITS = 4


@dataclass(frozen=True)
class Finding:
    """How a learner answers one kind of question from one reading."""

    kind: str
    probe: str
    reading: str
    """The probe, and of which picture."""
    learner: str
    n: int
    """Questions answered: for probes that compare pictures, those whose truth is not none."""
    n_scenes: int
    allowed: bool
    """Whether the reading decides this kind, so that an answer from it is no shortcut."""
    verdict: str
    """may know, at chance, leak, below or undecided."""
    accuracy: float | None = None
    """None where there are too few questions for a verdict: nothing was trained."""
    chance: float | None = None
    """What the best constant answer scores."""
    low: float | None = None
    high: float | None = None
    """The 90 % interval of the accuracy."""
    p: float | None = None
    """Of the one-sided test against chance, adjusted by Holm over all findings that are not allowed."""
    by_cue: Mapping[str, tuple[int, float | None]] | None = None
    """Questions and accuracy where the kind's 2D cue agrees with the truth, where it misleads, and where it says nothing."""

    @property
    def excess(self) -> float:
        """Accuracy above chance."""
        return (self.accuracy or 0.0) - (self.chance or 0.0)


@dataclass(frozen=True)
class Audit:
    """What the probes found."""

    settings: Settings
    n_questions: Mapping[str, int]
    """Audited, by kind."""
    findings: Sequence[Finding]
    ceiling: Mapping[str, Mapping[str, Any]]
    """By kind, what matched points and an essential matrix answer, see `ceiling.ceiling_accuracy`."""

    def worst(self) -> list[Finding]:
        """For each kind and reading the finding of the learner that scores highest, in the order of the table."""
        of: dict[tuple[str, str], Finding] = {}
        for f in self.findings:
            key = f.kind, f.reading
            of[key] = max(of.get(key, f), f, key=lambda f: (f.verdict == LEAK, f.excess))
        return list(of.values())

    def too_large(self) -> list[Finding]:
        """Leaks beyond what the settings allow, the largest first."""
        beyond = [f for f in self.worst() if f.verdict == LEAK and f.excess > self.settings.probes[f.probe]]
        return sorted(beyond, key=lambda f: (-f.excess, f.kind, f.reading))

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a file of deterministic bytes."""
        return {
            "bound": self.settings.bound,
            "largest_leak_allowed": dict(self.settings.probes),
            "least_questions": LEAST_QUESTIONS,
            "folds": FOLDS,
            "questions": dict(self.n_questions),
            "probes": {name: PROBES[name] for name in self.settings.probes},
            "findings": [asdict(f) for f in self.findings],
            "ceiling": dict(self.ceiling),
        }


def audit_questions(files: Sequence[Path], views: Path, settings: Settings, seed: int) -> Audit:
    """Audit the questions of Parquet files, up to `settings.n_questions` of each kind.

    Raises:
        UserError: a file is no table of questions, holds none, or a view asked about is not there or has no readable picture.
    """
    by_kind = drawn_questions(files, settings.n_questions, seed)
    if not by_kind:
        raise UserError(f"{', '.join(map(str, files))} hold no question to audit: build questions first")
    enough = [q for questions in by_kind.values() if len(questions) >= LEAST_QUESTIONS for q in questions]
    store, findings = ViewStore(views), []
    seen = _looked_at(store, enough, settings)
    for kind, questions in by_kind.items():
        findings += _findings_of(kind, questions, seen, settings, seed)
    ceiling = {kind: ceiling_accuracy(questions, store, settings.n_ceiling) for kind, questions in by_kind.items()} if settings.n_ceiling else {}
    return Audit(settings, {kind: len(questions) for kind, questions in by_kind.items()}, _judged(findings), ceiling)


def drawn_questions(files: Sequence[Path], most: int, seed: int) -> dict[str, list[Question]]:
    """By kind, the questions about whole scenes, drawn by the seed, until there are `most` of the kind; kinds and questions sorted.

    Raises:
        UserError: a file is no table of questions.
    """
    counted: dict[str, Counter[str]] = {}
    for path in files:
        for (kind, scene_id), n in count_questions(path).items():
            counted.setdefault(kind, Counter())[scene_id] += n
    rank = {scene_id: seed_for(seed, f"{scene_id}/audit") for scenes in counted.values() for scene_id in scenes}
    chosen = {kind: _until(scenes, rank, most) for kind, scenes in counted.items()}
    wanted = sorted({scene_id for scenes in chosen.values() for scene_id in scenes})
    drawn = [q for path in files if wanted for q in read_questions(path, wanted) if q.scene_id in chosen[q.kind]]
    return {kind: sorted((q for q in drawn if q.kind == kind), key=lambda q: q.question_id) for kind in sorted(chosen)}


def _until(scenes: Mapping[str, int], rank: Mapping[str, int], most: int) -> set[str]:
    """The scenes of lowest rank that together hold `most` questions, or all."""
    chosen, n = set(), 0
    for scene_id in sorted(scenes, key=rank.__getitem__):
        if n >= most:
            break
        chosen.add(scene_id)
        n += scenes[scene_id]
    return chosen


def _looked_at(store: ViewStore, questions: Iterable[Question], settings: Settings) -> Seen | None:
    view_ids = sorted({view_id for q in questions for view_id in q.view_ids})
    if not view_ids or settings.probes.keys() <= {TEXT}:
        return None
    return look(store, view_ids, open_pictures=bool(OPENING & settings.probes.keys()))


@dataclass(frozen=True)
class _Asked:
    """Questions of one kind that probes answer."""

    questions: Sequence[Question]
    y: np.ndarray
    """(n,) what is right."""
    drawn: np.ndarray
    """(n,) in [0, 1), see `readings.features`."""
    folds: Sequence[Fold] | None
    """None where they are too few for a verdict."""
    n_scenes: int


def _findings_of(kind: str, questions: Sequence[Question], seen: Seen | None, settings: Settings, seed: int) -> list[Finding]:
    """What every learner finds in every reading of one kind, not yet judged."""
    n_pictures, findings = len(questions[0].view_ids), []
    every, sides = _asked(kind, questions, seed)
    for probe in (name for name in PROBES if name in settings.probes):
        if n_pictures < 2 and probe in COMPARING | {SAME_TWICE}:
            continue
        asked = sides if probe in COMPARING else every
        for place in range(n_pictures if probe in OF_ONE_PICTURE else 1):
            reading = f"{probe}, picture {place + 1}" if probe in OF_ONE_PICTURE and n_pictures > 1 else probe
            unknown = Finding(kind, probe, reading, "", len(asked.y), asked.n_scenes, may_know(kind, probe, n_pictures), UNDECIDED)
            if asked.folds is None:
                findings.append(unknown)
                continue
            X = features(probe, place, asked.questions, seen, asked.drawn)
            for learner in settings.learners:
                right = held_out_answers(learner, X, asked.y, asked.folds, seed_for(seed, f"{kind}/{reading}")) == asked.y
                findings.append(_scored(replace(unknown, learner=learner), asked, right, settings.bound))
    return findings


def _asked(kind: str, questions: Sequence[Question], seed: int) -> tuple[_Asked, _Asked]:
    """All questions of a kind, and those whose truth is not none."""
    y = right_answers(questions)
    drawn = generator_for(seed, f"{kind}/audit").random(len(questions))
    scenes = np.array([q.scene_id for q in questions])

    def part(rows: np.ndarray) -> _Asked:
        n_scenes = len(np.unique(scenes[rows]))
        known = len(questions) >= LEAST_QUESTIONS and n_scenes >= FOLDS and len(np.unique(y[rows])) > 1
        folds = folds_by_scene(y[rows], scenes[rows], seed_for(seed, f"{kind}/folds")) if known else None
        return _Asked([questions[i] for i in rows], y[rows], drawn[rows], folds, n_scenes)

    return part(np.arange(len(y))), part(np.flatnonzero(y != "none"))


def answered_by_meaning(questions: Sequence[Question]) -> bool:
    """Whether learners answer with an option's meaning; with its letter where meanings are too many or not unique."""
    meanings = {label for q in questions for label in q.labels}
    return len(meanings) <= MOST_LABELS and all(len(set(q.labels)) == len(q.labels) for q in questions)


def right_answers(questions: Sequence[Question]) -> np.ndarray:
    """(n,) what is right, see `answered_by_meaning`."""
    by_meaning = answered_by_meaning(questions)
    return np.array([q.label_of(q.truth) if by_meaning else q.truth for q in questions])


def _scored(finding: Finding, asked: _Asked, right: np.ndarray, bound: float) -> Finding:
    chance = float(np.unique(asked.y, return_counts=True)[1].max() / len(asked.y))
    accuracy = clustered_mean(right.astype(float).tolist(), [q.scene_id for q in asked.questions])
    if accuracy.stderr is not None:
        accuracy = replace(accuracy, stderr=accuracy.stderr * FOLDS_TOGETHER)
    tested = chance_test(accuracy, chance, bound)
    low, high = (None if end is None else chance + end for end in (tested.low, tested.high))
    by_cue = {}
    for cue in CUES:
        of_cue = np.array([q.cue == cue for q in asked.questions])
        by_cue[cue] = (int(of_cue.sum()), _rounded(float(right[of_cue].mean())) if of_cue.any() else None)
    return replace(
        finding,
        verdict=tested.verdict,
        accuracy=_rounded(accuracy.mean),
        chance=_rounded(chance),
        low=_rounded(low),
        high=_rounded(high),
        p=p_above(accuracy, chance),
        by_cue=by_cue,
    )


def _judged(findings: Sequence[Finding]) -> list[Finding]:
    """With p-values adjusted over all that is not allowed, and the verdict that follows."""
    tested = [i for i, f in enumerate(findings) if not f.allowed and f.p is not None]
    adjusted = dict(zip(tested, holm([findings[i].p or 0.0 for i in tested]), strict=True))
    judged = []
    for i, f in enumerate(findings):
        p, verdict = adjusted.get(i), f.verdict
        if f.allowed:
            verdict = MAY_KNOW
        elif verdict in (ABOVE, UNDECIDED) and p is not None:
            verdict = LEAK if p < LEVEL else UNDECIDED
        judged.append(replace(f, verdict=verdict, p=None if p is None else float(f"{p:.2g}")))
    return judged


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
