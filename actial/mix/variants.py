"""What stands where a chain of thought stands, so that one can find out what thinking before the answer is good for.

Variants are made of verified chains, after they were verified: `filler` and `shuffled` reasoning is no longer about its question. Every variant keeps the
rows of the mixture, their order and their numbers; only the assistant's turn of think rows differs (for `auxiliary` also how they ask).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from actial.errors import UserError
from actial.mix.evidence import TELLERS
from actial.mix.verified_claims import sentences_of, tells_what_is_seen
from actial.params_questions import THREE_VIEW_KINDS
from actial.records import Question, is_viewpoint
from actial.rng import generator_for

Told = tuple[Question, str]
"""A question and its reasoning."""

SAID = {
    "chain": "Think rows give a chain of thought, then the answer.",
    "auxiliary": "No row thinks before its answer: think rows are asked in mode describe and give the facts of the chain alone, without an answer; "
    "direct rows give answers.",
    "after": "Think rows give the answer first, then the chain of thought.",
    "filler": "Think rows reason in dots, as many tokens as the chain of another question of the same kind has, then give the true answer: "
    "the reasoning says nothing and was not verified.",
    "shuffled": "Think rows reason with the chain of another question of the same kind, then give the true answer: the reasoning is about other "
    "pictures and was not verified for these.",
}
"""What the card says of each variant."""

ROWS_NAMED = {
    "auxiliary": "rows of facts without an answer",
    "after": "rows with the answer first",
    "filler": "rows of filler",
    "shuffled": "rows with another's chain",
}
"""What the manifest calls the think rows of each variant but `chain`."""

_FILLER = (" .", ".")


def varied(reasoning: str, chains: Sequence[Told], n_tokens: Callable[[str], int], root_seed: int) -> list[Told]:
    """The same questions in the same order, with the reasoning that the variant gives them.

    Args:
        reasoning: `cold_start_mix.reasoning`.
        chains: questions with verified chains.
        n_tokens: length of a text; a constant may be added to it.

    Raises:
        UserError: chains cannot change places, since a kind has only one.
    """
    if reasoning == "auxiliary":
        return [(question, facts_of(text, question.kind)) for question, text in chains]
    if reasoning not in ("filler", "shuffled"):
        return list(chains)
    others = _of_others(chains, root_seed)
    if reasoning == "filler":  # as long as another's: its own chain's length could tell the answer
        by_length: dict[int, str] = {}
        for _, text in others:
            length = n_tokens(text)
            by_length.setdefault(length, _dots(length, n_tokens))
        return [(question, by_length[n_tokens(text)]) for question, text in others]
    return others


def facts_of(chain: str, kind: str) -> str:
    """What a chain says of the pictures and the parts, without anything it concludes about the camera."""
    if chain[:1].isupper():
        if kind in TELLERS or kind in THREE_VIEW_KINDS:
            return " ".join(sentence for sentence in sentences_of(chain) if tells_what_is_seen(sentence))
        n_conclusions = 0 if not is_viewpoint(kind) else 1 if kind == "lateral" else 2
        sentences = re.findall(r"[^.]+\.", chain)
        return "".join(sentences[: len(sentences) - n_conclusions]).strip()
    facts = chain.rsplit(": ", 1)[0] if is_viewpoint(kind) else chain
    return facts.removesuffix(".") + "."


def opposite(chain: str) -> str:
    """The chain of the opposite movement: left and right, clockwise and counter-clockwise change over, and so do the places and distances quoted from the
    first and the second picture; near and far stay. It agrees with itself, and concludes the opposite. For kinds that have chains in short wording.

    Raises:
        ValueError: it names no direction, so it has no opposite.
    """
    turned = re.sub(r"\b(?:left|right|counter-clockwise|clockwise)\b", lambda m: _OPPOSITE[m[0]], chain)
    if turned == chain:
        raise ValueError(f"the chain names no direction: {chain!r}")
    return _APART.sub(r"\3\2\1", _PLACES.sub(r"\3\2\1", turned))


_OPPOSITE = {"left": "right", "right": "left", "counter-clockwise": "clockwise", "clockwise": "counter-clockwise"}
_PLACES = re.compile(r"\b([a-z][A-Z])( | in the first picture and at )([a-z][A-Z])(?!\w)")
_APART = re.compile(r"([+-]\d+)( | in the first picture and )([+-]\d+)")


def _of_others(chains: Sequence[Told], root_seed: int) -> list[Told]:
    """Every question with the chain of another question of its kind; each chain stands once. Which one is drawn by the seed: the next on a ring."""
    by_kind: dict[str, list[int]] = {}
    for i, (question, _) in enumerate(chains):
        by_kind.setdefault(question.kind, []).append(i)
    texts = [""] * len(chains)
    for kind, places in by_kind.items():
        if len(places) < 2:
            raise UserError(
                f"cold_start_mix.reasoning needs two chains of thought of kind {kind} to change places, but there is one: "
                "give cold_start_mix.n_rows a larger value, or render more scenes"
            )
        ring = generator_for(root_seed, f"variants/{kind}").permutation(places)
        for i, other in zip(ring, [*ring[1:], ring[0]], strict=True):
            texts[i] = chains[other][1]
    return [(question, text) for (question, _), text in zip(chains, texts, strict=True)]


def _dots(length: int, n_tokens: Callable[[str], int]) -> str:
    """Dots of `length` tokens, or of the most that are not more."""
    text = "."
    while fitting := [longer for longer in (text + more for more in _FILLER) if n_tokens(text) < n_tokens(longer) <= length]:
        text = min(fitting, key=n_tokens)
    return text
