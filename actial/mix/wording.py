"""Stories in words: clipped for a tiny model, whole sentences for a large one. `verification` reads both back."""

from __future__ import annotations

import numpy as np

from actial.mix.descriptions import with_offset
from actial.mix.reasoning import Evidence, NoChain, Story

WORDS_PER_PART = {"short": 5, "full": 17}
WORDS_QUOTED = {"short": 2, "full": 29}
WORDS_MIDDLE = {"short": 3, "full": 17}
WORDS_AROUND = {"short": 8, "full": 40}
"""Most words of one part's clause, of the quotation of its places, of that of the middle's, and of all the rest."""

_MIDDLE = "The middle of the object is at {} in the first picture and at {} in the second."
_QUOTED = (
    "The {name} is at {a} in the first picture and at {b} in the second, "
    "{first:+d} and {second:+d} twentieths of the object's extent to the right of its middle."
)

_PART = (
    "The {name} is on the {side} side of the object and slides {slid} against its middle.",
    "On the {side} side of the object, the {name} shifts to the {slid}.",
    "Measured from the object's middle, the {name} drifts {slid}; it stands on the {side} side.",
)
_PART_STILL = (
    "The {name} keeps its place beside the object's middle.",
    "Against the object's middle, the {name} does not shift.",
)
_WENT = (
    "When near parts slide {near} and far parts {far}, the camera has gone to the {went}.",
    "Near parts slipping {near} with far parts slipping {far} means that the camera moved {went}.",
)
_NOT_WENT = ("With nothing shifting sideways, the camera did not go to either side.", "So the camera kept to its line of sight and did not move sideways.")

_ORBIT = {
    "left": "Facing the object, going right is counter-clockwise seen from above.",
    "right": "Facing the object, going left is clockwise seen from above.",
    "none": "It went neither way around the object.",
}
_PERSPECTIVE = {
    "left": "The object faces the first camera, so the camera's right is the object's left.",
    "right": "The object faces the first camera, so the camera's left is the object's right.",
    "none": "For the object, the camera stayed straight ahead.",
}
_SLID = "In the picture, the whole object slides {slid}"
_TURN = {"left": "so the camera turned left.", "right": "so the camera turned right.", "none": "so the camera did not turn."}
_COMPARED = {
    "": ", ",
    "less": ", which is less than the way around accounts for, ",
    "more": ", which is more than the way around accounts for, ",
    "as much": ", just as much as the way around accounts for, ",
}


def most_parts(wording: str, max_words: int, quoted: bool) -> int:
    """Parts that a chain of at most `max_words` may speak of."""
    return (max_words - fewest_words(wording, 0, quoted)) // (WORDS_PER_PART[wording] + quoted * WORDS_QUOTED[wording])


def fewest_words(wording: str, n_parts: int, quoted: bool) -> int:
    """The smallest `max_words` with which a chain may speak of so many parts."""
    return WORDS_AROUND[wording] + quoted * WORDS_MIDDLE[wording] + n_parts * (WORDS_PER_PART[wording] + quoted * WORDS_QUOTED[wording])


def in_words(story: Story, wording: str, max_words: int, generator: np.random.Generator) -> str:
    """The chain of thought, without tags.

    Raises:
        NoChain: it would be longer than `max_words`.
    """
    text = _short(story) if wording == "short" else _full(story, generator)
    if len(text.split()) > max_words:
        raise NoChain("longer than max_words")
    return text


def _short(story: Story) -> str:
    middle = " ".join(["middle", *story.middle]) + ": " if story.middle else ""
    evidence = ", ".join(" ".join([e.name, *map(with_offset, e.places, e.offsets), _short_evidence(e)]) for e in story.evidence)
    went = "camera still" if story.went == "none" else f"camera {story.went}"
    return f"{middle}{evidence}: {went}{_short_conclusion(story)}."


def _short_evidence(e: Evidence) -> str:
    return "still" if e.slid == "none" else f"{e.slid} {'near' if e.near else 'far'} so {e.implied}"


def _short_conclusion(story: Story) -> str:
    if story.kind == "orbit":
        return ", " + {"left": "counter-clockwise", "right": "clockwise", "none": "not around"}[story.label]
    if story.kind == "perspective":
        return ", object " + {"left": "left", "right": "right", "none": "ahead"}[story.label]
    if story.kind == "turn":
        slid = "all still" if story.slid == "none" else " ".join(["all", str(story.slid), *story.compared.split()])
        return f", {slid}, " + {"left": "turned left", "right": "turned right", "none": "no turn"}[story.label]
    return ""


def _full(story: Story, generator: np.random.Generator) -> str:
    sentences = [_MIDDLE.format(*story.middle)] if story.middle else []
    for e in story.evidence:
        if e.places:
            (a, b), (first, second) = e.places, e.offsets
            sentences.append(_QUOTED.format(name=e.name, a=a, b=b, first=first, second=second))
        sentences.append(_part_sentence(e, generator))
    if story.went == "none":
        sentences.append(_one_of(_NOT_WENT, generator))
    else:
        near, far = ("left", "right") if story.went == "right" else ("right", "left")
        sentences.append(_one_of(_WENT, generator).format(near=near, far=far, went=story.went))
    if story.kind == "orbit":
        sentences.append(_ORBIT[story.label])
    elif story.kind == "perspective":
        sentences.append(_PERSPECTIVE[story.label])
    elif story.kind == "turn":
        slid = "In the picture, the whole object keeps its place" if story.slid == "none" else _SLID.format(slid=story.slid)
        sentences.append(slid + _COMPARED[story.compared] + _TURN[story.label])
    return " ".join(sentences)


def _part_sentence(e: Evidence, generator: np.random.Generator) -> str:
    variants = _PART_STILL if e.slid == "none" else _PART
    return _one_of(variants, generator).format(name=e.name, side="near" if e.near else "far", slid=e.slid)


def _one_of(variants: tuple[str, ...], generator: np.random.Generator) -> str:
    return variants[int(generator.integers(len(variants)))]
