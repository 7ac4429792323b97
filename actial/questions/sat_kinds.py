"""The kinds of questions about the things in a scene, each a declaration: its words, its options, what decides it. In the manner of SAT ("Spatial Aptitude
Training", arXiv 2412.07755), in words of our own, about our own scenes: nobody needs AI2-THOR.

Things are called by colour and shape, and only what is clearly seen is spoken of (`sat_things`). What is true, and what is too close to call, is in
`sat_truth`. Placeholders: {a}, {b}, {c} are rivals, which change places from question to question; {to}, {stand}, {face}, {step}, {turn}, {shapes} are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from actial.params_questions import BuildQA
from actial.questions import sat_truth as truth
from actial.questions.sat_things import Scenery
from actial.records import SAT_KINDS, Label

Find = Callable[[Sequence[Scenery], BuildQA, np.random.Generator], truth.Found]


@dataclass(frozen=True)
class SatKind:
    """One kind of question about the things in one picture, or in two."""

    name: str
    n_pictures: int
    find: Find
    """What can be asked about pictures, and the reason wherever it cannot."""
    labels: tuple[Label, ...]
    """Of rivals: by the place at which the right one is named; then what else may be right. Otherwise in the order of `sat_truth`."""
    options: tuple[str, ...]
    """Texts of the labels."""
    texts: tuple[str, ...]
    """Wordings of the question; the first is the shortest."""
    quantity: str
    asked: str
    """When a case is clear, in words, for the card."""
    both_orders: bool = False
    """Whether a pair is asked about in both orders, each for itself; otherwise in one that is drawn."""
    signed: bool = False
    """Whether the deciding value is negative where the second rival named is right."""

    @property
    def asked_labels(self) -> tuple[Label, ...]:
        """What the options of a question mean."""
        return self.labels


def _alone(find: Callable[[Scenery, np.random.Generator], truth.Found]) -> Find:
    return lambda seen, settings, draw: find(seen[0], draw)


def _pair(find: Callable[[Scenery, Scenery, np.random.Generator], truth.Found]) -> Find:
    return lambda seen, settings, draw: find(seen[0], seen[1], draw)


_RELATIONS = (
    SatKind(
        "left_of",
        n_pictures=1,
        find=_alone(truth.left_of),
        labels=("left", "right"),
        options=("left", "right"),
        texts=(
            "Is {a} left or right of {b}?",
            "In the picture, does {a} appear further to the left than {b}, or further to the right?",
            "Draw an upright line through {b} in the picture. On which side of it is {a}?",
            "Going across the picture from {b}, in which direction do you find {a}?",
        ),
        quantity="leftward_share",
        asked=f"their centres are at least {truth.ACROSS_SHARE:g} picture widths apart, sideways",
        signed=True,
    ),
    SatKind(
        "above",
        n_pictures=1,
        find=_alone(truth.above),
        labels=("up", "down"),
        options=("higher", "lower"),
        texts=(
            "Is {a} higher or lower than {b}?",
            "Think of heights over the ground, not of places in the picture. Is {a} held higher than {b}, or lower?",
            "Somebody measures how far above the floor the middles of {a} and of {b} are. How does {a} compare?",
            "To reach from {b} to the height of {a}, would a hand have to go up or down? Answer for where {a} is.",
        ),
        quantity="height_gap",
        asked=f"the heights of their middles differ by at least {truth.HEIGHTS_APART:g} times their mean height",
        signed=True,
    ),
    SatKind(
        "in_front",
        n_pictures=1,
        find=_alone(truth.in_front),
        labels=("closer", "farther"),
        options=("in front of it", "behind it"),
        texts=(
            "Is {a} in front of {b} or behind it?",
            "As the camera sees the scene, does {a} stand before {b} or at the back of it?",
            "Walking away from the camera in the direction it looks, you pass {a} and {b}. With respect to {b}, where is {a}?",
            "Compare how deep in the scene two things stand. Relative to {b}, where does the camera have {a}?",
        ),
        quantity="depth_gap",
        asked=f"one is deeper in the view by at least {truth.DEPTH_GAP_R:g} of its depth, and aside by no more than that",
        signed=True,
    ),
    SatKind(
        "depth",
        n_pictures=1,
        find=_alone(truth.depth),
        labels=("first", "second"),
        options=("{a}", "{b}"),
        texts=(
            "Which is nearer to the camera, {a} or {b}?",
            "Stretch one string from the lens to {a} and another one to {b}. Which of the two things has the shorter string?",
            "The photographer walks straight to one of two things, {a} or {b}. Which is the shorter way?",
            "Mind that sizes differ: of {a} and {b}, which one was closer to the place from which the picture was taken?",
        ),
        quantity="distance_log",
        asked=f"the one is at least {truth.FARTHER:g} times as far from the camera as the other",
        signed=True,
    ),
    SatKind(
        "distance",
        n_pictures=1,
        find=_alone(truth.distance),
        labels=("first", "second"),
        options=("{a}", "{b}"),
        texts=(
            "Which is nearer to {to}: {a} or {b}?",
            "In the scene itself, not in the picture, which thing has less space between it and {to}: {a} or {b}?",
            "An ant sits in the middle of {to} and flies to {a} or to {b}. To which of them is it the shorter flight?",
            "Take {to} as the centre of a growing bubble. Which does the bubble reach first, the middle of {a} or that of {b}?",
        ),
        quantity="distance_log",
        asked=f"the one is at least {truth.FARTHER_APART:g} times as far from the third as the other",
        signed=True,
    ),
    SatKind(
        "count",
        n_pictures=1,
        find=_alone(truth.count),
        labels=("one", "two", "three"),
        options=("1", "2", "3"),
        texts=(
            "How many {shapes} are there? Gray and brown things do not count.",
            "Leave out everything gray, black or brown. How many {shapes} does the picture show?",
            "Count the {shapes} that are painted in a clear colour or in white; stands, posts and the background are not meant.",
            "Somebody collects all {shapes} of the picture except those of gray, black or brown. With how many do they end up?",
        ),
        quantity="n",
        asked="each of the shape is clearly seen or not seen at all",
    ),
)

_FROM_A_PLACE = (
    SatKind(
        "goal_aim",
        n_pictures=1,
        find=_alone(truth.goal_aim),
        labels=("left", "right", "none"),
        options=("to the left", "to the right", "no turn is needed"),
        texts=(
            "Which way must you turn to face {to}?",
            "You stand where the camera is and look where it looks. To walk straight to {to}, which way do you turn first?",
            "Aim the camera so that {to} is in the middle between left and right. Which way does it have to swivel?",
            "From this viewpoint, somebody wants {to} straight ahead. How must that person turn?",
        ),
        quantity="bearing_deg",
        asked=f"it is at least {truth.AIM_FROM_DEG:g} deg to a side, or within {truth.AIM_NONE_DEG:g} deg of straight ahead",
    ),
    SatKind(
        "from_object",
        n_pictures=1,
        find=_alone(truth.from_object),
        labels=("left", "right", "behind"),
        options=("to your left", "to your right", "behind you"),
        texts=(
            "You stand at {stand} and face {face}. Where is {to}?",
            "If you stood where {stand} is and looked towards {face}, on which side of you would {to} be?",
            "Leave the camera and take the place of {stand}, turned to {face}. Seen from there, where do you find {to}?",
            "Somebody at {stand} points straight at {face}. Where would this person say that {to} is?",
        ),
        quantity="bearing_deg",
        asked=f"it is {truth.SIDE_DEG[0]:g} to {truth.SIDE_DEG[1]:g} deg to a side, or beyond {truth.BEHIND_DEG:g} deg",
    ),
    SatKind(
        "action_step",
        n_pictures=1,
        find=_alone(truth.action_step),
        labels=("closer", "farther"),
        options=("closer to it", "farther from it"),
        texts=(
            "You stand at {stand}, face {face} and take a small step {step}. Does that bring you closer to {to}?",
            "Take the place of {stand}, turned to {face}. One short step {step}: does {to} then stand closer to you or farther away?",
            "Somebody at {stand} looks towards {face}, keeps looking there and moves {step} by a hand's breadth. What happens to the distance to {to}?",
            "From where {stand} is, facing {face}, a little step {step} is made. With respect to {to}, where does it lead?",
        ),
        quantity="approach",
        asked=f"at least {truth.APPROACH:g} of the step's length is gained or lost",
    ),
    SatKind(
        "action_turn",
        n_pictures=1,
        find=_alone(truth.action_turn),
        labels=("first", "second"),
        options=("{a}", "{b}"),
        texts=(
            "You stand at {stand}, face {face} and turn {turn}. Which is then more nearly ahead: {a} or {b}?",
            "Take the place of {stand}, look towards {face}, then turn {turn}. Which of {a} and {b} is nearer to the middle of your view?",
            "Somebody at {stand} faces {face} and then turns {turn} on the spot. Would they look more towards {a} or towards {b}?",
            "At {stand} a compass needle points to {face}. It is turned {turn}. To which of {a} and {b} does it point more closely now?",
        ),
        quantity="aside_gap_deg",
        asked=f"one is within {truth.FACED_DEG:g} deg of straight ahead then, the other at least {truth.NEXT_DEG:g} deg more aside",
        signed=True,
    ),
)

_BETWEEN_TWO = (
    SatKind(
        "ego_movement",
        n_pictures=2,
        find=lambda seen, settings, draw: truth.ego_movement(seen[0], seen[1], settings),
        labels=("left_left", "left_right", "right_left", "right_right"),
        options=("it moved left and turned left", "it moved left and turned right", "it moved right and turned left", "it moved right and turned right"),
        texts=(
            "How did the camera move and turn?",
            "The first picture is the beginning of a film, the second its end. What did the person with the camera do?",
            "Nothing in the scene moved. As seen from where the first picture was taken, to which side was the camera carried, and which way was it turned?",
            "Tell a step from a turn: where did the camera go between the pictures, and to which side did its aim swing?",
        ),
        quantity="lateral_r",
        asked="movement to a side and turn are as large as those of lateral and turn",
        both_orders=True,
    ),
    SatKind(
        "object_moved",
        n_pictures=2,
        find=_pair(truth.object_moved),
        labels=("first", "second", "third", "none"),
        options=("{a}", "{b}", "{c}", "none of them"),
        texts=(
            "Which one moved between the pictures: {a}, {b} or {c}?",
            "The camera may have moved, too. Which of {a}, {b} and {c}, if any, was put elsewhere before the second picture was taken?",
            "Compare the places of {a}, {b} and {c} in the scene. Which of them stands somewhere else in the second picture?",
            "Between the two pictures somebody may have carried one thing away to a new place. Was it {a}, {b}, {c} or nothing of these?",
        ),
        quantity="displacement_r",
        asked=f"it went at least {truth.DISPLACED:g} of its distance from the first camera; cameras look at most {truth.MOST_TURN_DEG:g} deg apart",
    ),
    SatKind(
        "goal_out_of_sight",
        n_pictures=2,
        find=_pair(truth.goal_out_of_sight),
        labels=("left", "right"),
        options=("to the left", "to the right"),
        texts=(
            "At the second picture, which way must you turn to face {to}?",
            "The first picture shows {to}, the second does not. From where the second was taken, looking as it looks, which way do you turn to see it?",
            "You walked from the first picture's place to the second's and want to go to {to}, which stood still. To which side do you turn now?",
            "Nothing but the camera moved. To bring {to} back into view after the second picture, which way does the camera swivel, the shorter way?",
        ),
        quantity="bearing_deg",
        asked=f"it is out of the second picture, the cameras look at most {truth.MOST_TURN_DEG:g} deg apart",
        both_orders=True,
    ),
)

KINDS_OF_THINGS: dict[str, SatKind] = {kind.name: kind for kind in (*_RELATIONS, *_FROM_A_PLACE, *_BETWEEN_TWO)}
"""All of them, in the order of `records.SAT_KINDS`."""
assert tuple(KINDS_OF_THINGS) == SAT_KINDS


def sat_kinds_of(settings: BuildQA) -> list[SatKind]:
    """Those that are asked."""
    return [kind for name, kind in KINDS_OF_THINGS.items() if name in settings.kinds]
