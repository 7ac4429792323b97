"""Stories in words: clipped for a tiny model, whole sentences for a large one. `verification` reads both back."""

from __future__ import annotations

import numpy as np

from actial.mix.descriptions import WAYS, apart, in_short
from actial.mix.reasoning import NoChain, Story

FEWEST_WORDS = {"short": 13, "full": 55}
FEWEST_WORDS_QUOTED = {"short": 29, "full": 121}
"""Most words that a chain about two parts takes; without quoted places, and with them."""

_MIDDLE = "The middle of the object is at {} in the first picture and at {} in the second."
_PLACE = "The {} is at {} in the first picture and at {} in the second."
_APART = "In columns, the {near} less the {far} is {:+d} in the first picture and {:+d} in the second."

_SLID = (
    "The {near} is nearer to the camera than the {far} and slides {slid} against it.",
    "Against the {far}, which is farther away than the {near}, the {near} shifts to the {slid}.",
    "With the {far} behind it, the {near} stands nearer, and drifts {slid} against what is behind.",
)
_NOT_SLID = (
    "The {near} is nearer to the camera than the {far} and keeps its place against it.",
    "Against the {far}, which is farther away than the {near}, the {near} does not shift.",
)
_WENT = (
    "When what is nearer slides {slid}, the camera has gone to the {went}.",
    "Near things slip to the {slid} when the camera moves {went}.",
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
_ALL_SLID = "In the picture, the whole object slides {slid}"
_TURN = {"left": "so the camera turned left.", "right": "so the camera turned right.", "none": "so the camera did not turn."}
_COMPARED = {
    "": ", ",
    "less": ", which is less than the way around accounts for, ",
    "more": ", which is more than the way around accounts for, ",
    "as much": ", just as much as the way around accounts for, ",
}


def fewest_words(wording: str, quoted: bool) -> int:
    """The smallest `max_words` with which a chain may be written."""
    return (FEWEST_WORDS_QUOTED if quoted else FEWEST_WORDS)[wording]


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
    listed = ", ".join(" ".join([name, *places]) for name, places in story.places.items())
    near, far = (" ".join([name, *story.places.get(name, ())]) for name in (story.near, story.far))
    way = WAYS[story.slid]
    slid = in_short(story.places[story.near], story.places[story.far], way) if story.places else way
    return f"{listed}{': ' if listed else ''}near {near}, far {far}, {slid}: camera {WAYS[story.went]}{_short_conclusion(story)}."


def _short_conclusion(story: Story) -> str:
    if story.kind == "orbit":
        return ", " + {"left": "counter-clockwise", "right": "clockwise", "none": "not around"}[story.label]
    if story.kind == "perspective":
        return ", object " + {"left": "left", "right": "right", "none": "ahead"}[story.label]
    if story.kind == "turn":
        slid = " ".join(["all", WAYS[story.all_slid], *story.compared.split()])
        middle = " ".join([", middle", *story.middle]) if story.middle else ""
        return f"{middle}, {slid}, " + {"left": "turned left", "right": "turned right", "none": "no turn"}[story.label]
    return ""


def _full(story: Story, generator: np.random.Generator) -> str:
    names = {"near": story.near, "far": story.far}
    sentences = [_MIDDLE.format(*story.middle)] if story.middle else []
    sentences += [_PLACE.format(name, *places) for name, places in story.places.items()]
    if story.places:
        sentences.append(_APART.format(*apart(story.places[story.near], story.places[story.far]), **names))
    sentences.append(_one_of(_NOT_SLID if story.slid == "none" else _SLID, generator).format(slid=story.slid, **names))
    sentences.append(_one_of(_NOT_WENT if story.went == "none" else _WENT, generator).format(slid=story.slid, went=story.went))
    if story.kind == "orbit":
        sentences.append(_ORBIT[story.label])
    elif story.kind == "perspective":
        sentences.append(_PERSPECTIVE[story.label])
    elif story.kind == "turn":
        slid = "In the picture, the whole object keeps its place" if story.all_slid == "none" else _ALL_SLID.format(slid=story.all_slid)
        sentences.append(slid + _COMPARED[story.compared] + _TURN[story.label])
    return " ".join(sentences)


def _one_of(variants: tuple[str, ...], generator: np.random.Generator) -> str:
    return variants[int(generator.integers(len(variants)))]
