"""Which questions a person is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from actial.records import Question
from actial.rng import seed_for


def drawn(questions: Sequence[Question], n: int, seed: int, is_shown: Callable[[Question], bool]) -> list[Question]:
    """Up to `n` questions, drawn by the seed, in the order to ask them: in every round one of each kind, of a scene not asked about before if there is any.

    Whoever stops early has been asked as evenly.

    Args:
        is_shown: whether a question can be shown; others are passed over.
    """
    rank = lambda name: seed_for(seed, f"{name}/review")
    waiting = {kind: sorted((q for q in questions if q.kind == kind), key=lambda q: rank(q.question_id)) for kind in {q.kind for q in questions}}
    chosen: list[Question] = []
    scenes, pairs = Counter[str](), Counter[str]()
    for turn in range(n):
        for kind in sorted((kind for kind in waiting if waiting[kind]), key=lambda kind: rank(f"{kind}/{turn}")):
            while len(chosen) < n and (queue := waiting[kind]):
                place = _least_asked(queue, scenes, pairs)
                question = queue.pop(place)
                if is_shown(question):
                    chosen.append(question)
                    scenes[question.scene_id] += 1
                    pairs[question.family_id] += 1
                    break
    return chosen


def _least_asked(queue: Sequence[Question], scenes: Counter[str], pairs: Counter[str]) -> int:
    """Place of the first question about the scene, and then the pair, asked about least."""
    fresh = next((place for place, q in enumerate(queue) if not scenes[q.scene_id]), None)
    if fresh is not None:
        return fresh
    return min(range(len(queue)), key=lambda place: (scenes[queue[place].scene_id], pairs[queue[place].family_id], place))
