"""The kinds of questions about an ordered pair of views, each a declaration: what decides it, in which words it is asked, what its options are.

What a label means is the same for all kinds (`records.Label`). For orbit, left means counter-clockwise seen from above and right means clockwise, as
DESIGN section 6 has left turns and counter-clockwise orbits positive; its option texts say it in those words. A mirrored scene turns the label of every
kind as `records.MIRRORED` says: left and right change over, so do clockwise and counter-clockwise; up, closer, forward and yes stay.

How a declaration becomes truth is in `deciding`; which 2D cue belongs to a kind is in `cues`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from actial.params_questions import BuildQA
from actial.records import Label

LEFT, RIGHT, NONE = range(3)
"""Places of the two sides and of none among the labels of a kind that has three."""
ANGLE_LABELS: tuple[Label, ...] = ("left_small", "left_middle", "left_large", "right_small", "right_middle", "right_large", "none")
"""What the options of a question about an angle mean: three sizes to each side, and none. The sizes differ from question to question."""
ALWAYS, NEVER = "always", "never"


class Axis(NamedTuple):
    """A signed quantity and what its signs mean."""

    quantity: str
    """Field of `geometry.angles.Motion`; or residual_px, see `altered_pairs`."""
    positive: Label
    negative: Label


@dataclass(frozen=True)
class Kind:
    """One kind of question about an ordered pair of views."""

    name: str
    axes: tuple[Axis, ...]
    """The one that is largest decides, by its sign."""
    size: str
    """Field of `Motion` that must be below `none_below` for the last label, that nothing changed."""
    band: str
    """Field of the build_qa section with its thresholds."""
    labels: tuple[Label, ...]
    """What can be decided; the last is that nothing changed."""
    options: tuple[str, ...]
    """Texts of the labels. Of a question about an angle: of left, right and none, with `{deg}` where the size stands."""
    texts: tuple[str, ...]
    """Wordings of the question; the first is the shortest."""
    other_order: Literal["opposite", "same", "anew"]
    """What is true of the pair in the other order: the opposite, the same, or what its own geometry gives. It is always computed, never inferred."""
    around_subject: bool = False
    """Whether both cameras must stand clear of the subject's vertical axis."""
    about_subject: bool = False
    """Whether both pictures must show the subject's centre: what went on around a thing can only be told where it is seen; which way the camera itself went
    or turned, from anything that stands still."""
    tied: str = NEVER
    """Whether it asks the bit of `TIED_CLASS`: always, never, or where this field of `Motion` is close to 0 (see `deciding.is_tied`)."""
    asks_angle: bool = False
    """Whether the options are signed angles (`angle_options`)."""

    @property
    def quantity(self) -> str:
        """What decides, as it is stored with a question: a field of `Motion`, or its `main_r`."""
        return self.axes[0].quantity if len(self.axes) == 1 else "main_r"

    @property
    def zero(self) -> int:
        """Place of the label that nothing changed."""
        return len(self.labels) - 1

    @property
    def asked_labels(self) -> tuple[Label, ...]:
        """What the options of a question mean."""
        return ANGLE_LABELS if self.asks_angle else self.labels

    def option_texts(self, sizes_deg: Sequence[int]) -> tuple[str, ...]:
        """Texts of `asked_labels`.

        Args:
            sizes_deg: the three sizes offered, ascending, degrees; not used where no angle is asked.
        """
        if not self.asks_angle:
            return self.options
        left, right, none = self.options
        return (*(left.format(deg=deg) for deg in sizes_deg), *(right.format(deg=deg) for deg in sizes_deg), none)


LATERAL = Axis("lateral_r", positive="right", negative="left")
FORWARD = Axis("forward_r", positive="forward", negative="back")
VERTICAL = Axis("up_r", positive="up", negative="down")
TURN = Axis("turn_deg", positive="left", negative="right")
ORBIT = Axis("orbit_deg", positive="left", negative="right")
SIDES: tuple[Label, ...] = ("left", "right", "none")

_TRANSLATION = (
    Kind(
        "lateral",
        axes=(LATERAL,),
        size="distance_r",
        band="lateral",
        labels=SIDES,
        options=("left", "right", "it stayed in place"),
        texts=(
            "Which way did the camera move?",
            "Between the two pictures nothing in the scene moved except the camera. As seen by the camera at the first picture, to which side did it move?",
            "Someone took the first picture, then the second. Judged from where they stood at first, facing as they faced then, which way did they step?",
            "Compare the camera's two positions, not its aim. Relative to its first view, did it end up further left, further right, or in the same place?",
        ),
        other_order="anew",
        tied="bearing_deg",
    ),
    Kind(
        "forward",
        axes=(FORWARD,),
        size="distance_r",
        band="forward",
        labels=("forward", "back", "none"),
        options=("forward", "backward", "it stayed in place"),
        texts=(
            "Did the camera go forward or backward?",
            "Nothing but the camera moved between the pictures. Measured along the level direction it faced in the first one, did it advance or retreat?",
            "Someone took the first picture, walked, and took the second. Going by how they faced at first, did they end up further ahead or further back?",
            "Leave aside where the second picture was aimed. From the camera's first place and heading, is its second place ahead, behind, or right there?",
        ),
        other_order="anew",
    ),
    Kind(
        "vertical",
        axes=(VERTICAL,),
        size="distance_r",
        band="vertical",
        labels=("up", "down", "none"),
        options=("up", "down", "it stayed in place"),
        texts=(
            "Did the camera go up or down?",
            "The scene stood still and the camera was carried from the first picture's place to the second's. Was it lifted, lowered, or left where it was?",
            "Compare the heights above the ground from which the two pictures were taken. Which way did the camera's height change, if it moved at all?",
            "Think of the camera as riding in a lift. To get from the first picture to the second, did the lift rise, sink, or stand still?",
        ),
        other_order="opposite",
    ),
    Kind(
        "direction",
        axes=(LATERAL, FORWARD, VERTICAL),
        size="distance_r",
        band="direction",
        labels=("left", "right", "forward", "back", "up", "down", "none"),
        options=("left", "right", "forward", "backward", "up", "down", "it stayed in place"),
        texts=(
            "Which way did the camera mainly move?",
            "Call the first camera's level line of sight straight ahead. Along which of the six directions did the camera travel furthest?",
            "Split the camera's move into a sideways, a lengthwise and a vertical part, as seen from its first place. Which way does the largest part point?",
            "A drone took both pictures. To somebody aboard at the first one, which single command describes the flight to the second best?",
        ),
        other_order="anew",
    ),
    Kind(
        "moved",
        axes=(Axis("distance_r", positive="yes", negative="yes"),),
        size="distance_r",
        band="moved",
        labels=("yes", "no"),
        options=("yes", "no"),
        texts=(
            "Did the camera move?",
            "Turning on the spot aside, did the camera change its place between the first picture and the second?",
            "Were the two pictures taken from different places?",
            "Zoom, light and aim do not matter: did the camera itself travel between the pictures?",
        ),
        other_order="same",
    ),
)

_ROTATION = (
    Kind(
        "turn",
        axes=(TURN,),
        size="turn_deg",
        band="turn",
        labels=SIDES,
        options=("left", "right", "it did not turn"),
        texts=(
            "Which way did the camera turn?",
            "Leave aside where the camera stood. Which way did its viewing direction swing between the first picture and the second?",
            "If the camera was a person's head, to which side did it turn from the first picture to the second?",
            "Compare only the compass directions in which the two pictures were taken. Did the camera rotate to its left, to its right, or neither?",
        ),
        other_order="opposite",
    ),
    Kind(
        "turn_angle",
        axes=(TURN,),
        size="turn_deg",
        band="turn",
        labels=SIDES,
        options=("{deg} degrees to the left", "{deg} degrees to the right", "0 degrees"),
        texts=(
            "By what angle did the camera turn?",
            "Leave aside where the camera stood. How far, and to which side, did its heading swing between the first picture and the second?",
            "On its tripod the camera swivels about the vertical. Which setting takes it from the first picture's heading to the second's?",
            "Compare only the compass directions in which the two pictures were taken. Counted from the first, through which angle did the camera rotate?",
        ),
        other_order="opposite",
        asks_angle=True,
    ),
    Kind(
        "pitch",
        axes=(Axis("pitch_deg", positive="up", negative="down"),),
        size="pitch_deg",
        band="pitch",
        labels=("up", "down", "none"),
        options=("up", "down", "it did not tilt"),
        texts=(
            "Did the camera tilt up or down?",
            "Leave aside where the camera stood and which compass direction it faced. Was its view raised, lowered, or kept at the same slope?",
            "If the camera was a person's head, did that person look up, look down, or keep the head as it was between the pictures?",
            "Compare how steeply the camera looked in each picture. Towards the sky or towards the ground, or neither, did its line of sight swing?",
        ),
        other_order="opposite",
    ),
    Kind(
        "roll",
        axes=(Axis("roll_deg", positive="clockwise", negative="counter-clockwise"),),
        size="roll_deg",
        band="roll",
        labels=("clockwise", "counter-clockwise", "none"),
        options=("clockwise", "counter-clockwise", "it did not roll"),
        texts=(
            "Seen from behind the camera, which way did it roll?",
            "The camera may have been tipped about its line of sight. To the person who stands behind it and looks where it looks, which way did it turn?",
            "Watch the camera's body, not its pictures: from its back, did it go round the axis of its lens with the clock, against it, or not at all?",
            "A pilot looks out through this camera. Between the pictures, did the craft bank with the hands of a clock, against them, or not at all?",
        ),
        other_order="opposite",
    ),
    Kind(
        "turned",
        axes=(Axis("rotation_deg", positive="yes", negative="yes"),),
        size="rotation_deg",
        band="turned",
        labels=("yes", "no"),
        options=("yes", "no"),
        texts=(
            "Did the camera turn?",
            "Wherever it stood, was the camera aimed or held differently in the second picture?",
            "Were the two pictures taken with the camera in different orientations?",
            "A camera that is carried without any rotation keeps pointing the same way. Was this one rotated between the pictures?",
        ),
        other_order="same",
    ),
)

_AROUND_OBJECT = (
    Kind(
        "orbit",
        axes=(ORBIT,),
        size="orbit_deg",
        band="orbit",
        labels=SIDES,
        options=("counter-clockwise", "clockwise", "not around"),
        texts=(
            "Which way did the camera go around?",
            "The object stood still. Seen from above, in which sense did the camera travel around it from the first picture to the second?",
            "Imagine a map with the object at its middle. On that map, which way round did the camera go, by the shorter arc?",
            "Looking down on the scene, did the camera circle the object like the hands of a clock, against them, or not at all?",
        ),
        other_order="opposite",
        around_subject=True,
        about_subject=True,
        tied=ALWAYS,
    ),
    Kind(
        "orbit_angle",
        axes=(ORBIT,),
        size="orbit_deg",
        band="orbit",
        labels=SIDES,
        options=("{deg} degrees counter-clockwise", "{deg} degrees clockwise", "0 degrees"),
        texts=(
            "By what angle did the camera go around?",
            "The object stood still. Seen from above, how far around it, and in which sense, did the camera travel from the first picture to the second?",
            "On a map, draw a line from the object to each place of the camera. From the first line to the second, the shorter way, what is the angle?",
            "Looking down on the object as on a dial, by how much must the first camera's place be moved round it to point to the second's?",
        ),
        other_order="opposite",
        around_subject=True,
        about_subject=True,
        asks_angle=True,
    ),
    Kind(
        "perspective",
        axes=(ORBIT,),
        size="orbit_deg",
        band="orbit",
        labels=SIDES,
        options=("left", "right", "neither side"),
        texts=(
            "Seen from the object, which way did the camera move?",
            "Suppose the object faces the first camera. From the object's own point of view, to which side did the camera move?",
            "Put yourself in the object's place, looking at the first camera. On which hand does the second camera stand compared with the first?",
            "The object did not move and looks towards the place of the first picture. To its own left or right, or neither, did the camera go?",
        ),
        other_order="opposite",
        around_subject=True,
        about_subject=True,
        tied=ALWAYS,
    ),
    Kind(
        "front",
        axes=(Axis("front_r", positive="left", negative="right"),),
        size="distance_r",
        band="front",
        labels=SIDES,
        options=("left", "right", "neither side"),
        texts=(
            "Seen from the object's own front, which way did the camera move?",
            "The object has a front of its own. Looking straight out of that front, as the object does, to which hand did the camera move?",
            "Do not turn the object towards the camera: let it face as it does. To its own left, to its own right, or to neither did the camera go?",
            "If the object was alive and kept looking ahead, to which of its sides would it say that the camera went?",
        ),
        other_order="opposite",
        about_subject=True,
        tied="front_bearing_deg",
    ),
    Kind(
        "radial",
        axes=(Axis("radial_log", positive="farther", negative="closer"),),
        size="radial_log",
        band="radial",
        labels=("closer", "farther", "none"),
        options=("closer", "farther", "at the same distance"),
        texts=(
            "Did the camera end up closer or farther?",
            "How did the distance between the camera and the object change from the first picture to the second?",
            "Mind that lenses can zoom. In the second picture, did the camera itself stand nearer to the object than in the first, farther away, or neither?",
            "Stretch a string from the object to the camera. To follow from the first picture to the second, must it shrink, grow, or keep its length?",
        ),
        other_order="opposite",
        about_subject=True,
    ),
)

CHANGES: tuple[Label, ...] = ("part_moved", "mirrored", "resized", "skewed")
"""What may have been done to the object between two pictures."""

_OF_CHANGES = (
    Kind(
        "consistency",
        axes=(Axis("residual_px", positive="altered", negative="altered"),),
        size="residual_px",
        band="consistency",
        labels=("altered", "same"),
        options=("it was altered", "it is the same"),
        texts=(
            "Is it still the same object?",
            "Everything around the object stayed. Does the second picture show that very object from another place, or had it been altered in between?",
            "Before the second picture, somebody may have shifted a part of the object, mirrored, resized or skewed it. By the pictures, what is true of it?",
            "Could both be pictures of one rigid thing that nobody touched, taken from two places, or does no movement of the camera explain them?",
        ),
        other_order="same",
    ),
    Kind(
        "alteration",
        axes=(Axis("residual_px", positive="part_moved", negative="part_moved"),),
        size="residual_px",
        band="consistency",
        labels=(*CHANGES, "same"),
        options=("one part of it was moved", "it was mirrored", "its size was changed", "it was skewed", "nothing"),
        texts=(
            "What was done to the object?",
            "Everything around the object stayed, and the camera went to another place. What, if anything, happened to the object itself between the pictures?",
            "Imagine the object of the first picture seen from where the second was taken. What must be done to it to get what the second shows?",
            "Either the camera alone moved, or the object was tampered with as well. Which of these happened to it?",
        ),
        other_order="same",
    ),
)
CHANGE_KINDS = frozenset(kind.name for kind in _OF_CHANGES)
"""Kinds about an object that may have been altered between the pictures (`altered_pairs`); all others take a still scene for granted."""

_BY_NAME = {kind.name: kind for kind in (*_TRANSLATION, *_ROTATION, *_AROUND_OBJECT, *_OF_CHANGES)}
_IN_ORDER = ("lateral", "orbit", "turn", "perspective", "forward", "vertical", "direction", "pitch", "roll", "front", "radial", "orbit_angle", "turn_angle")
KINDS: dict[str, Kind] = {name: _BY_NAME[name] for name in (*_IN_ORDER, "moved", "turned", "consistency", "alteration")}
"""All kinds. Which pairs are drawn for a kind depends on its place here, so new kinds are added at the end."""

TIED_CLASS = "sideways"
"""Orbit sense and the perspective of an object that faces camera 1 are one bit by definition. The lateral sign is the same bit where camera 1 looks at
the subject closely enough, and so is the perspective by the object's own front where that front faces camera 1, or away from it, closely enough. An
angle says more than that bit, and is in no class."""


def kinds_of(settings: BuildQA) -> Sequence[Kind]:
    """The kinds asked, in the order of `KINDS`."""
    return [kind for name, kind in KINDS.items() if name in settings.kinds]
