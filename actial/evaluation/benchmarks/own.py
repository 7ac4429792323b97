"""Our own test questions as benchmarks: those that build_qa held out, about the pictures of render_views."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from actial.evaluation.benchmarks.benchmark import Item, Metric, Scored, Unit
from actial.evaluation.benchmarks.metrics import micro, within
from actial.evaluation.benchmarks.registry import NotRun
from actial.evaluation.benchmarks.stored import Stored
from actial.records import SAT_KINDS, Question, is_viewpoint
from actial.tables import read_questions

QUESTIONS, VIEWS = Path("build_qa"), Path("render_views/views")


@dataclass(frozen=True)
class Own:
    """Some of our test questions."""

    title: str
    file: str
    """In the output of build_qa."""
    belongs: Callable[[Question], bool]
    """Which of the file's questions."""


OWN = {
    "viewpoint": Own("viewpoint questions", "test.parquet", lambda q: is_viewpoint(q.kind)),
    "viewpoint_2d": Own("questions about the pictures alone", "test_2d.parquet", lambda q: True),
    "sat_style": Own("questions about the things in a scene", "test.parquet", lambda q: q.kind in SAT_KINDS),
}


def own(name: str, outputs: Path) -> Stored | NotRun:
    """Our test questions of a name in `OWN`, and which of them can be asked here.

    Args:
        outputs: the folder of the stages' outputs.
    """
    test, path, views = OWN[name], outputs / QUESTIONS / OWN[name].file, outputs / VIEWS
    for place in (path, views):
        if not place.exists():
            return NotRun(name, f"{place} does not exist: run the stages render_views and build_qa")
    questions = [q for q in read_questions(path) if test.belongs(q)]
    if not questions:
        return NotRun(name, f"{path} holds no {test.title}: name their kinds in build_qa.kinds and run build_qa")
    kinds = sorted({q.kind for q in questions})
    items = tuple(Item(q.question_id, q, (), (), group=q.question_id, strata={"kind": q.kind}) for q in questions)
    metrics = (_OVERALL, *(micro(kind, f"the share of the questions of the kind {kind} that is right", within("kind", kind)) for kind in kinds))
    fingerprint = f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    protocol = "Asked as in training; right is the letter of the right option, or its text."
    return Stored(name, f"our {test.title}", f"{len(questions):,} questions", protocol, fingerprint, items, views, {}, metrics, _OVERALL.name)


def _overall(scored: Sequence[Scored]) -> list[Unit]:
    """Kinds of one tied class ask one bit of some views, which counts once, as in scores.json."""
    bits = [(q.tied_class, q.view_ids) if q.tied_class else q.question_id for q in (s.item.question for s in scored)]
    sizes = Counter(bits)
    return [Unit(s.item.row_id, s.credit, 1 / sizes[bit] / len(sizes), s.item.question.scene_id) for s, bit in zip(scored, bits, strict=True)]


_OVERALL = Metric("overall", "the share of the questions that is right, where those of one tied class about the same views count as one", _overall)
