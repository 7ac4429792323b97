"""Stories in words: clipped for a tiny model, whole sentences for a large one. `verification` reads both back."""

from __future__ import annotations

import numpy as np

from actial.mix.descriptions import WAYS, apart, columns_gone, columns_slid, in_short
from actial.mix.reasoning import Story

_MIDDLE = "The middle of the object is at {} in the first picture and at {} in the second."
_PLACE = "The {} is at {} in the first picture and at {} in the second."
_APART = "In columns, the {near} less the {far} is {:+d} in the first picture and {:+d} in the second."
_COUNTED = "In columns, the middle of the object moves {}, and the {near} moves {} against the {far}."

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


def in_words(story: Story, wording: str, generator: np.random.Generator) -> str:
    """The chain of thought, without tags."""
    return _short(story) if wording == "short" else _full(story, generator)


def _short(story: Story) -> str:
    near, far = (" ".join([name, *(at or ())]) for name, at in ((story.near, story.near_at), (story.far, story.far_at)))
    way = WAYS[story.slid]
    slid = in_short(story.near_at, story.far_at, way) if story.near_at and story.far_at else way
    return f"near {near}, far {far}, {slid}: camera {WAYS[story.went]}{_short_conclusion(story)}."


def _short_conclusion(story: Story) -> str:
    if story.kind == "orbit":
        return ", " + {"left": "counter-clockwise", "right": "clockwise", "none": "not around"}[story.label]
    if story.kind == "perspective":
        return ", object " + {"left": "left", "right": "right", "none": "ahead"}[story.label]
    if story.kind == "turn":
        middle, counted = "", []
        if story.middle_at and story.near_at and story.far_at:
            middle = " ".join([", middle", *story.middle_at])
            counted = [str(columns_gone(story.middle_at)), "against", str(columns_slid(story.near_at, story.far_at))]
        slid = " ".join(["all", WAYS[story.all_slid], *counted, *story.compared.split()])
        return f"{middle}, {slid}, " + {"left": "turned left", "right": "turned right", "none": "no turn"}[story.label]
    return ""


def _full(story: Story, generator: np.random.Generator) -> str:
    names = {"near": story.near, "far": story.far}
    sentences = [_MIDDLE.format(*story.middle_at)] if story.middle_at else []
    if story.near_at and story.far_at:
        sentences += [_PLACE.format(name, *at) for name, at in ((story.near, story.near_at), (story.far, story.far_at))]
        sentences.append(_APART.format(*apart(story.near_at, story.far_at), **names))
    sentences.append(_one_of(_NOT_SLID if story.slid == "none" else _SLID, generator).format(slid=story.slid, **names))
    sentences.append(_one_of(_NOT_WENT if story.went == "none" else _WENT, generator).format(slid=story.slid, went=story.went))
    if story.kind == "orbit":
        sentences.append(_ORBIT[story.label])
    elif story.kind == "perspective":
        sentences.append(_PERSPECTIVE[story.label])
    elif story.kind == "turn":
        if story.middle_at and story.near_at and story.far_at:
            sentences.append(_COUNTED.format(columns_gone(story.middle_at), columns_slid(story.near_at, story.far_at), **names))
        slid = "In the picture, the whole object keeps its place" if story.all_slid == "none" else _ALL_SLID.format(slid=story.all_slid)
        sentences.append(slid + _COMPARED[story.compared] + _TURN[story.label])
    return " ".join(sentences)


def _one_of(variants: tuple[str, ...], generator: np.random.Generator) -> str:
    return variants[int(generator.integers(len(variants)))]
