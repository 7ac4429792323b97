"""Five stand-in models that know the truth and show whether the scorer does. Their completions go through the same records, reader and scorer.

| stand-in | writes | must score |
|---|---|---|
| oracle | the right option | 100 % |
| mirror | left for right, up for down, …; where the truth has no opposite, the right option | 0 % where the truth has an opposite, 100 % elsewhere |
| random | an option drawn evenly, by the root seed and the question's id | chance, within its error |
| constant | for each kind, the one label that is most often right (a tie: the first in alphabetical order) | exactly the majority row |
| silent | nothing | 0 %, all unparsed |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from actial.prompts import completion_text
from actial.records import LETTERS, OPPOSITE, Mode, Question
from actial.rng import generator_for

STANDINS = ("oracle", "mirror", "random", "constant", "silent")
_REASONING = "A stand-in does not look."


def standin_completions(standin: str, questions: Sequence[Question], mode: Mode, answer: str, root_seed: int) -> list[str]:
    """What a stand-in writes, one completion a question.

    Args:
        answer: what stands in `<answer>`: `letter` or `text` (`params.prompt.answer`).
    """
    if standin == "silent":
        return [""] * len(questions)
    choose = _chooser(standin, questions, mode, root_seed)
    completions = []
    for question in questions:
        letter = choose(question)
        written = letter if answer == "letter" else question.options[LETTERS.index(letter)]
        completions.append(completion_text(mode, written, _REASONING))
    return completions


def majority_labels(questions: Sequence[Question]) -> dict[str, str]:
    """The label that is most often right, by kind; of equally frequent ones the first in alphabetical order."""
    counts: dict[str, Counter[str]] = {}
    for question in questions:
        counts.setdefault(question.kind, Counter())[question.label_of(question.truth)] += 1
    return {kind: min(of_kind, key=lambda label: (-of_kind[label], label)) for kind, of_kind in counts.items()}


def _chooser(standin: str, questions: Sequence[Question], mode: Mode, root_seed: int) -> Callable[[Question], str]:
    if standin == "oracle":
        return lambda q: q.truth
    if standin == "mirror":
        return lambda q: q.letter_of(OPPOSITE.get(q.label_of(q.truth), q.label_of(q.truth)))
    if standin == "random":
        return lambda q: LETTERS[generator_for(root_seed, f"{q.question_id}/random/{mode}").integers(len(q.options))]
    labels = majority_labels(questions)
    return lambda q: q.letter_of(labels[q.kind])
