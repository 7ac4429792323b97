"""Claims in whole sentences, each in several wordings. `verified_claims` reads them back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from actial.mix.evidence import Chain, Claim

_ALIKE = "shifts against it neither sideways nor up or down"
_TEXTS: dict[str, tuple[str, ...]] = {
    "line": (
        "In the {nth} picture the {end} stands {depth:depth} the {start} and {side:beside}; on a map the way from the {start} to the {end} points {right:at}.",
        "The {nth} picture shows the {end} {depth:depth} the {start} and {side:beside}, so that seen from above the way from the {start} to the {end} "
        "points {right:at}.",
    ),
    "middles": (
        "The middle of the object appears {first:off} in the first picture and {second:off} in the second.",
        "The first picture has the middle of the object {first:off}, and the second has it {second:off}.",
    ),
    "ahead_first": (
        "In the first picture the middle of the object appears {right:off}.",
        "The first camera has the middle of the object {right:off}.",
    ),
    "stands": (
        "Judged by how tall it is drawn, the object stands {first} of its own heights away in the first picture and {second} in the second.",
        "The object is as far away as {first} times its height in the first picture and {second} times its height in the second.",
    ),
    "eyes": (
        "The horizon crosses the first picture {first} object heights above the object's foot, and the second picture {second}.",
        "Measured in heights of the object, the horizon is {first} above its foot in the first picture and {second} in the second.",
    ),
    "horizon": (
        "In the {nth} picture the horizon lies {percent} percent of the way down, so the camera looks {up:slope}.",
        "The horizon of the {nth} picture is {percent} percent of the picture's height below its upper edge: the camera looks {up:slope}.",
    ),
    "no_horizon": (
        "No horizon is seen in the {nth} picture, so the camera looks down by more than {half} degrees.",
        "The {nth} picture lies wholly below the horizon: the camera looks down by more than {half} degrees.",
    ),
    "leans": ("In the {nth} picture the horizon {deg:lean}.", "The horizon of the {nth} picture {deg:lean}."),
    "lens": (
        "Both pictures take in about {deg} degrees from side to side, so the lens did not zoom.",
        "The lens is the same in both pictures, about {deg} degrees from side to side.",
    ),
    "drawn": (
        "The object is drawn {times:times} in the second picture as in the first.",
        "In the second picture the object is drawn {times:times} as in the first.",
    ),
    "growth": (
        "The {near} is nearer than the {far}; from the first picture to the second the {near} is drawn {times} times as large and the {far} {others} times.",
        "With the {far} behind it, the {near} is drawn {times} times as large in the second picture, and the {far} {others} times.",
    ),
    "kept": (
        f"The {{near}} is nearer than the {{far}}, yet it {_ALIKE}, and both are drawn {{times:times}} in the second picture as in the first.",
        "Against the {far} behind it the {near} keeps its place, sideways and in height, and both are drawn {times:times} in the second picture "
        "as in the first.",
    ),
    "shifts": (
        "The {near} is nearer than the {far} and shifts {way:shift} against it.",
        "Against the {far}, which is farther away, the {near} goes {way:shift}.",
    ),
    "faces": (
        "In the {nth} picture the object's front points {right:at}.",
        "The {nth} picture shows the object's front pointing {right:at}.",
    ),
    "horizon_fixed": (
        "The horizon is too far off to be shifted by moving, and degrees allow for the lens, so only tilting the camera changes them.",
        "Neither walking nor climbing changes how many degrees off the horizon is, only tilting the camera does.",
    ),
    "level_world": (
        "The horizon of the world is level, so what leans is the camera: where the horizon rises to the right, the camera's right side hangs down.",
        "The world's horizon never leans, so the camera does, the other way: a horizon that rises to the right means that its right side is lower.",
    ),
    "eye_height": (
        "The horizon is as high as the camera's eye, however the camera is tilted.",
        "A tilt would move horizon and object together, so the horizon's height against the object is that of the camera's eye.",
    ),
    "alike": (
        "A camera that moves shifts near things against far ones or makes them grow more; turning and zooming do neither.",
        "If the camera had moved, near and far things would have parted or grown unlike, so at most it turned or zoomed.",
    ),
    "not_zoom": (
        "A zoom would change both alike; only a change of distance changes the nearer one more.",
        "No lens changes near things more than far ones, so it was the camera itself that moved.",
    ),
    "sizes": (
        "Through one lens a thing is drawn larger from nearer and smaller from farther away.",
        "As the lens stayed, the size of the object tells its distance.",
    ),
    "only_moving": (
        "Turning shifts near and far things together; only a camera that moves shifts them against each other.",
        "Such a shift between near and far comes from moving alone, never from turning.",
    ),
    "around": (
        "The object stands still, so in its frame the camera went {ccw:around}.",
        "As it is not the object that turned, going by that map the camera went {ccw:around}.",
    ),
    "places_on_arc": (
        "The object stands still, so going around it from the first camera, the second is {second:around_by}, and the third is {third:around_by}.",
        "As these are maps of one object, counted around it from the first camera the second stands {second:around_by} and the third {third:around_by}.",
        "Laid over each other, the maps have the second camera {second:around_by} of the first, and the third {third:around_by} of the first.",
    ),
    "order_on_arc": (
        "The shortest arc past all three spans {deg:degrees}, and on it they come counter-clockwise in the order {order}.",
        "All three stand on an arc of {deg:degrees}; from its clockwise end to the other one passes {order}.",
    ),
    "offered_order": (
        "So counter-clockwise from above the cameras stand in the order {order}.",
        "Seen from above and against the clock, that is {order}.",
    ),
    "in_the_middle": (
        "So the camera of picture {middle} stood between the other two.",
        "That leaves picture {middle} in the middle.",
    ),
    "ahead": (
        "In the first camera's frame the object is {before:ahead} at first and {after:ahead} afterwards, so the camera went {way:forward}.",
        "Along the first camera's direction the object stands {before:ahead}, then {after:ahead}: the camera went {way:forward}.",
    ),
    "parts_of_way": (
        "In the first camera's frame it went {right:lateral}, {forward:lengthwise} and {up:vertical}, in heights of the object.",
        "Seen from the first camera its way is {right:lateral}, {forward:lengthwise} and {up:vertical}, counted in heights of the object.",
    ),
    "sides": (
        "In the object's own frame the camera stood {first:hand} and then {second:hand}.",
        "To the object, which looks out of its front, the camera is {first:hand} at first and {second:hand} afterwards.",
    ),
    "turned": (
        "A camera that holds the object in place turns left as far as it goes around counter-clockwise, and a slide of the object to the right adds to that: "
        "the object {slid:slid}, so in the world the camera {left:turned}.",
        "In the world a heading turns by the way around, left for counter-clockwise, and left again by as much as the object slides to the right: "
        "the object {slid:slid}, so the camera {left:turned}.",
    ),
    "stayed": ("So the camera stayed in place.", "So the camera did not leave its place."),
    "stayed_before": ("So as the object sees it, the camera went to neither side.", "From the object's point of view the camera stayed where it was."),
    "same_distance": ("So the camera is at the same distance from the object.", "Measured from the object, the camera kept its distance."),
    "did_move": ("So the camera moved.", "So the camera changed its place."),
    "did_not_move": ("So the camera did not move.", "So the camera kept its place."),
    "did_turn": ("So the camera turned.", "So the camera was rotated."),
    "did_not_turn": (
        "Slope, lean and heading are all as before, so the camera did not turn.",
        "As neither slope nor lean nor heading changed, the camera was not rotated.",
    ),
    "offered_around": ("Of the angles offered, {deg:option_around} is the nearest.", "Nearest to that among the options is {deg:option_around}."),
    "offered_turn": ("Of the angles offered, {deg:option_turn} is the nearest.", "Nearest to that among the options is {deg:option_turn}."),
}

_ANSWERS: dict[str, dict[str, tuple[str, ...]]] = {
    "tilted": {
        "up": ("Against the world's level its line of sight swung upward: it tilted up.", "So in the world the camera looks higher than before: it tilted up."),
        "down": (
            "Against the world's level its line of sight swung downward: it tilted down.",
            "So in the world the camera looks lower than before: it tilted down.",
        ),
        "none": ("Against the world's level its line of sight kept its slope: it did not tilt.", "So the camera did not tilt."),
    },
    "rolled": {
        "clockwise": ("Its right side went down, so from behind it rolled clockwise.", "With its right side lower than before, the camera rolled clockwise."),
        "counter-clockwise": (
            "Its right side went up, so from behind it rolled counter-clockwise.",
            "With its right side higher than before, the camera rolled counter-clockwise.",
        ),
        "none": ("Its right side is as high as before, so it did not roll.", "So the camera did not roll."),
    },
    "rose": {
        "up": ("So in the world the camera went up by {by} object heights.", "In the world its eye is {by} object heights higher: the camera went up."),
        "down": ("So in the world the camera went down by {by} object heights.", "In the world its eye is {by} object heights lower: the camera went down."),
    },
    "distance": {
        "closer": ("So the camera came closer to the object.", "Measured from the object, the camera ended up closer."),
        "farther": ("So the camera went farther from the object.", "Measured from the object, the camera ended up farther away."),
    },
    "went_on": {
        "forward": (
            "The object is ahead of the first camera, so coming nearer means that in that camera's frame it went forward.",
            "It came nearer to what was ahead of it: in the first camera's frame it went forward.",
        ),
        "back": (
            "The object is ahead of the first camera, so getting farther means that in that camera's frame it went backward.",
            "It got farther from what was ahead of it: in the first camera's frame it went backward.",
        ),
    },
    "mainly": {
        label: (f"The largest part points {word}, so the camera mainly went {word}.", f"So it mainly moved {word}.")
        for label, word in {"left": "left", "right": "right", "forward": "forward", "back": "backward", "up": "up", "down": "down"}.items()
    },
    "went_to_side": {
        side: (f"So as the object sees it, the camera moved to its {side}.", f"From the object's point of view that is a move to the {side}.")
        for side in ("left", "right")
    },
}
"""Conclusions whose words depend on the way."""


def in_sentences(chain: Chain, generator: np.random.Generator) -> str:
    """The chain of thought, without tags."""
    return " ".join(_sentence(claim, generator) for claim in (*chain.evidence, *chain.conclusions))


def _sentence(claim: Claim, generator: np.random.Generator) -> str:
    variants = _ANSWERS[claim.name][str(claim.told["way"])] if claim.name in _ANSWERS else _TEXTS[claim.name]
    text = variants[int(generator.integers(len(variants)))]
    return text.format_map({name: _Value(value) for name, value in claim.told.items()})


class _Value:
    """A number or word of a claim that a template spells in the way it names behind a colon."""

    def __init__(self, value: str | int | float) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        return _SPELLED[spec](self.value) if spec else str(self.value)


def _degrees(deg: int) -> str:
    return f"{abs(deg)} degree" + "s" * (abs(deg) != 1)


def _at(deg: int) -> str:
    if deg in (0, 180):
        return "straight at the camera" if deg == 0 else "straight away from the camera"
    return f"{_degrees(deg)} off the way to the camera, towards the picture's {_side(deg)}"


def _side(right: float) -> str:
    return "right" if right > 0 else "left"


def _times(times: float) -> str:
    return "just as large" if times == 1 else f"{times} times as large"


def _around(ccw: int) -> str:
    return f"{_degrees(ccw)} {'counter-clockwise' if ccw > 0 else 'clockwise'} around it" if ccw else "neither way around it"


def _hand(left_h: float) -> str:
    return f"{abs(left_h)} of its heights to its {'left' if left_h > 0 else 'right'}" if left_h else "on neither side"


def _offered(deg: int, positive: str, negative: str) -> str:
    return f"{deg} degrees {positive}" if deg > 0 else f"{-deg} degrees {negative}" if deg else "0 degrees"


_SPELLED: dict[str, Callable[..., str]] = {
    "depth": {"near": "nearer than", "far": "farther away than", "as near": "about as far away as"}.__getitem__,
    "beside": {"left": "to its left", "right": "to its right", "in line": "in line with it"}.__getitem__,
    "at": _at,
    "off": lambda deg: f"{_degrees(deg)} {_side(deg)} of straight ahead" if deg else "straight ahead",
    "slope": lambda deg: f"{_degrees(deg)} {'up' if deg > 0 else 'down'}" if deg else "level",
    "lean": lambda deg: f"{'rises' if deg > 0 else 'falls'} to the right by {_degrees(deg)}" if deg else "is level",
    "times": _times,
    "shift": {"left": "to the left", "right": "to the right", "up": "upward", "down": "downward"}.__getitem__,
    "around": _around,
    "around_by": lambda ccw: f"{_degrees(ccw)} {'counter-clockwise' if ccw > 0 else 'clockwise'}",
    "degrees": _degrees,
    "ahead": lambda h: f"{abs(h)} of its heights {'ahead' if h > 0 else 'behind'}" if h else "neither ahead nor behind",
    "forward": {"forward": "forward", "back": "backward"}.__getitem__,
    "lateral": lambda h: f"{abs(h)} to the {_side(h)}" if h else "nothing sideways",
    "lengthwise": lambda h: f"{abs(h)} {'forward' if h > 0 else 'backward'}" if h else "nothing lengthwise",
    "vertical": lambda h: f"{abs(h)} {'up' if h > 0 else 'down'}" if h else "nothing in height",
    "hand": _hand,
    "slid": lambda deg: f"slid {_degrees(deg)} to the {_side(deg)}" if deg else "kept its place",
    "turned": lambda deg: f"turned {_degrees(deg)} to the {'left' if deg > 0 else 'right'}" if deg else "kept its heading",
    "option_around": lambda deg: _offered(deg, "counter-clockwise", "clockwise"),
    "option_turn": lambda deg: _offered(deg, "to the left", "to the right"),
}
