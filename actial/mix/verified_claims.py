"""The grammar of chains of thought in whole sentences about motions of every kind: which sentence is checked by what.

Nothing here, nor in what it calls, is shared with what writes chains. A sentence that is not understood is not true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from actial.mix import verified_conclusions as so
from actial.mix import verified_evidence as seen
from actial.mix.checked_scene import FalseClaim, NotUnderstood, Scene
from actial.mix.verified_evidence import Check, Facts
from actial.records import Question


def sentences_of(chain: str) -> list[str]:
    """The sentences of a chain."""
    return re.split(r"(?<=\.)\s+", chain.strip())


def tells_what_is_seen(sentence: str) -> bool:
    """Whether it is of what pictures show, not of what follows."""
    return any(re.fullmatch(pattern, sentence) for pattern in (*(pattern for pattern, _ in _SEEN), *lines_of("third")))


def check_claims(chain: str, question: Question, scene: Scene) -> None:
    """Check every sentence of a chain, and that they come to the truth of the question, once, at the end.

    Raises:
        FalseClaim: the first claim that is false, not understood, or without ground.
    """
    facts = Facts()
    for sentence in sentences_of(chain):
        if facts.answer:
            raise FalseClaim(f"goes on after its answer: {sentence!r}")
        check_claim(sentence, scene, facts)
    label = so.concluded(question, facts)
    if label != question.label_of(question.truth):
        raise FalseClaim(f"concludes {label}")


def check_claim(sentence: str, scene: Scene, facts: Facts) -> None:
    """Check one sentence of a chain, after those before it, and add what it says to the facts.

    Raises:
        FalseClaim: it is false, not understood, or without ground.
    """
    for pattern, check in _RULES.get(_first_word(sentence), ()):
        if match := pattern.fullmatch(sentence):
            return check(scene, match, facts)
    raise NotUnderstood(f"not understood: {sentence!r}")


def _name(group: str) -> str:
    return rf"(?P<{group}>[a-z]+(?: [a-z_]+)?)"


def _of(group: str, *words: str) -> str:
    return rf"(?P<{group}>{'|'.join(words)})"


def _tenths(group: str) -> str:
    return rf"(?P<{group}>\d+\.\d)"


_NTH = _of("nth", "first", "second")
_AT = (
    r"(?:(?P<deg>\d+) degrees? off the way to the camera, towards the picture's (?P<side>left|right)"
    r"|straight at the camera|(?P<away>straight away from the camera))"
)
_DEPTH, _BESIDE = _of("depth", "nearer than", "farther away than", "about as far away as"), _of("beside", "to its left", "to its right", "in line with it")
_SLID = r"(?:slid (?P<slid>\d+) degrees? to the (?P<slidside>left|right)|kept its place)"
_TURNED = r"(?:turned (?P<deg>\d+) degrees? to the (?P<side>left|right)|kept its heading)"
_WAY_H = "(?:{} to the {}|nothing sideways), (?:{} {}|nothing lengthwise) and (?:{} {}|nothing in height)".format(
    *(_tenths("a"), _of("aside", "left", "right")),
    *(_tenths("b"), _of("bside", "forward", "backward")),
    *(_tenths("c"), _of("cside", "up", "down")),
)
_LENGTHWISE = _of("way", "forward", "backward")
_SIX = _of("way", "left", "right", "forward", "backward", "up", "down")
_OPTION = r"(?P<option>\d+ degrees(?: counter-clockwise| clockwise| to the left| to the right)?)"


def _off(group: str) -> str:
    return rf"(?:(?P<{group}deg>\d+) degrees? (?P<{group}side>left|right) of straight ahead|straight ahead)"


def _along(group: str) -> str:
    return rf"(?:(?P<{group}h>\d+\.\d) of its heights (?P<{group}side>ahead|behind)|neither ahead nor behind)"


def _hand(group: str) -> str:
    return rf"(?:(?P<{group}h>\d+\.\d) of its heights to its (?P<{group}side>left|right)|on neither side)"


_SLOPE = r"(?:(?P<deg>\d+) degrees? (?P<side>up|down)|level)"
_LEAN = r"(?:(?P<side>rises|falls) to the right by (?P<deg>\d+) degrees?|is level)"
_TIMES = r"(?:(?P<times>\d+\.\d+) times as large|just as large)"
_AROUND = r"(?:(?P<deg>\d+) degrees? (?P<side>counter-clockwise|clockwise) around it|neither way around it)"


def lines_of(*nth: str) -> tuple[str, str]:
    """The two wordings of where a way on the map points in one of these pictures."""
    return (
        rf"In the {_of('nth', *nth)} picture the {_name('end')} stands {_DEPTH} the {_name('start')} and {_BESIDE}; "
        rf"on a map the way from the {_name('again')} to the {_name('back')} points {_AT}\.",
        rf"The {_of('nth', *nth)} picture shows the {_name('end')} {_DEPTH} the {_name('start')} and {_BESIDE}, so that seen from above "
        rf"the way from the {_name('again')} to the {_name('back')} points {_AT}\.",
    )


_SEEN: tuple[tuple[str, Check], ...] = (
    *((pattern, seen.line) for pattern in lines_of("first", "second")),
    (rf"The middle of the object appears {_off('a')} in the first picture and {_off('b')} in the second\.", seen.middles),
    (rf"The first picture has the middle of the object {_off('a')}, and the second has it {_off('b')}\.", seen.middles),
    (rf"In the first picture the middle of the object appears {_off('a')}\.", seen.ahead_first),
    (rf"The first camera has the middle of the object {_off('a')}\.", seen.ahead_first),
    (
        rf"Judged by how tall it is drawn, the object stands {_tenths('a')} of its own heights away in the first picture and {_tenths('b')} in the second\.",
        seen.stands,
    ),
    (rf"The object is as far away as {_tenths('a')} times its height in the first picture and {_tenths('b')} times its height in the second\.", seen.stands),
    (rf"The horizon crosses the first picture {_tenths('a')} object heights above the object's foot, and the second picture {_tenths('b')}\.", seen.eyes),
    (rf"Measured in heights of the object, the horizon is {_tenths('a')} above its foot in the first picture and {_tenths('b')} in the second\.", seen.eyes),
    (rf"In the {_NTH} picture the horizon lies (?P<percent>\d+) percent of the way down, so the camera looks {_SLOPE}\.", seen.horizon),
    (rf"The horizon of the {_NTH} picture is (?P<percent>\d+) percent of the picture's height below its upper edge: the camera looks {_SLOPE}\.", seen.horizon),
    (rf"No horizon is seen in the {_NTH} picture, so the camera looks down by more than (?P<deg>\d+) degrees\.", seen.no_horizon),
    (rf"The {_NTH} picture lies wholly below the horizon: the camera looks down by more than (?P<deg>\d+) degrees\.", seen.no_horizon),
    (rf"In the {_NTH} picture the horizon {_LEAN}\.", seen.leans),
    (rf"The horizon of the {_NTH} picture {_LEAN}\.", seen.leans),
    (r"Both pictures take in about (?P<deg>\d+) degrees from side to side, so the lens did not zoom\.", seen.lens),
    (r"The lens is the same in both pictures, about (?P<deg>\d+) degrees from side to side\.", seen.lens),
    (rf"The object is drawn {_TIMES} in the second picture as in the first\.", seen.drawn),
    (rf"In the second picture the object is drawn {_TIMES} as in the first\.", seen.drawn),
    (
        rf"The {_name('near')} is nearer than the {_name('far')}; from the first picture to the second the {_name('nearagain')} is drawn "
        rf"(?P<times>\d+\.\d+) times as large and the {_name('faragain')} (?P<others>\d+\.\d+) times\.",
        seen.growth,
    ),
    (
        rf"With the {_name('far')} behind it, the {_name('near')} is drawn (?P<times>\d+\.\d+) times as large in the second picture, "
        rf"and the {_name('faragain')} (?P<others>\d+\.\d+) times\.",
        seen.growth,
    ),
    (
        rf"The {_name('near')} is nearer than the {_name('far')}, yet it shifts against it neither sideways nor up or down, "
        rf"and both are drawn {_TIMES} in the second picture as in the first\.",
        seen.kept,
    ),
    (
        rf"Against the {_name('far')} behind it the {_name('near')} keeps its place, sideways and in height, "
        rf"and both are drawn {_TIMES} in the second picture as in the first\.",
        seen.kept,
    ),
    (
        rf"The {_name('near')} is nearer than the {_name('far')} and shifts {_of('way', 'to the left', 'to the right', 'upward', 'downward')} against it\.",
        seen.shifts,
    ),
    (
        rf"Against the {_name('far')}, which is farther away, the {_name('near')} goes {_of('way', 'to the left', 'to the right', 'upward', 'downward')}\.",
        seen.shifts,
    ),
    (rf"In the {_NTH} picture the object's front points {_AT}\.", seen.faces),
    (rf"The {_NTH} picture shows the object's front pointing {_AT}\.", seen.faces),
)
_TRUE_OF_ANY = (
    r"The horizon is too far off to be shifted by moving, and degrees allow for the lens, so only tilting the camera changes them\.",
    r"Neither walking nor climbing changes how many degrees off the horizon is, only tilting the camera does\.",
    r"The horizon of the world is level, so what leans is the camera: where the horizon rises to the right, the camera's right side hangs down\.",
    r"The world's horizon never leans, so the camera does, the other way: a horizon that rises to the right means that its right side is lower\.",
    r"The horizon is as high as the camera's eye, however the camera is tilted\.",
    r"A tilt would move horizon and object together, so the horizon's height against the object is that of the camera's eye\.",
    r"A camera that moves shifts near things against far ones or makes them grow more; turning and zooming do neither\.",
    r"If the camera had moved, near and far things would have parted or grown unlike, so at most it turned or zoomed\.",
    r"A zoom would change both alike; only a change of distance changes the nearer one more\.",
    r"No lens changes near things more than far ones, so it was the camera itself that moved\.",
    r"Through one lens a thing is drawn larger from nearer and smaller from farther away\.",
    r"As the lens stayed, the size of the object tells its distance\.",
    r"Turning shifts near and far things together; only a camera that moves shifts them against each other\.",
    r"Such a shift between near and far comes from moving alone, never from turning\.",
)
_SO: tuple[tuple[str, Check], ...] = (
    (rf"The object stands still, so in its frame the camera went {_AROUND}\.", so.around),
    (rf"As it is not the object that turned, going by that map the camera went {_AROUND}\.", so.around),
    (
        rf"In the first camera's frame the object is {_along('a')} at first and {_along('b')} afterwards, so the camera went {_LENGTHWISE}\.",
        so.ahead,
    ),
    (
        rf"Along the first camera's direction the object stands {_along('a')}, then {_along('b')}: the camera went {_LENGTHWISE}\.",
        so.ahead,
    ),
    (rf"In the first camera's frame it went {_WAY_H}, in heights of the object\.", so.parts_of_way),
    (rf"Seen from the first camera its way is {_WAY_H}, counted in heights of the object\.", so.parts_of_way),
    (rf"The largest part points {_SIX}, so the camera mainly went {_of('again', 'left', 'right', 'forward', 'backward', 'up', 'down')}\.", so.mainly),
    (rf"So it mainly moved {_SIX}\.", so.mainly),
    (rf"In the object's own frame the camera stood {_hand('a')} and then {_hand('b')}\.", so.sides),
    (rf"To the object, which looks out of its front, the camera is {_hand('a')} at first and {_hand('b')} afterwards\.", so.sides),
    (rf"So as the object sees it, the camera moved to its {_of('side', 'left', 'right')}\.", so.went_to_side),
    (rf"From the object's point of view that is a move to the {_of('side', 'left', 'right')}\.", so.went_to_side),
    (
        rf"A camera that holds the object in place turns left as far as it goes around counter-clockwise, and a slide of the object to the right adds to that: "
        rf"the object {_SLID}, so in the world the camera {_TURNED}\.",
        so.turned,
    ),
    (
        rf"In the world a heading turns by the way around, left for counter-clockwise, and left again by as much as the object slides to the right: "
        rf"the object {_SLID}, so the camera {_TURNED}\.",
        so.turned,
    ),
    (
        r"Against the world's level its line of sight (?:swung (?:(?P<up>upward)|(?P<down>downward))|kept its slope): "
        r"it (?P<said>tilted up|tilted down|did not tilt)\.",
        so.tilted,
    ),
    (r"So in the world the camera looks (?:(?P<up>higher)|(?P<down>lower)) than before: it (?P<said>tilted up|tilted down)\.", so.tilted),
    (r"So the camera (?P<said>did not tilt)\.", so.tilted),
    (r"Its right side went (?P<rise>up|down), so from behind it rolled (?P<way>clockwise|counter-clockwise)\.", so.rolled),
    (r"With its right side (?P<rise>higher|lower) than before, the camera rolled (?P<way>clockwise|counter-clockwise)\.", so.rolled),
    (r"Its right side is as high as before, so it did not roll\.", so.rolled),
    (r"So the camera did not roll\.", so.rolled),
    (rf"So in the world the camera went {_of('way', 'up', 'down')} by {_tenths('by')} object heights\.", so.rose),
    (rf"In the world its eye is {_tenths('by')} object heights {_of('than', 'higher', 'lower')}: the camera went {_of('way', 'up', 'down')}\.", so.rose),
    (r"So the camera (?:came (?P<way>closer) to|went (?P<farther>farther) from) the object\.", so.distance),
    (r"Measured from the object, the camera ended up (?:(?P<way>closer)|(?P<farther>farther) away)\.", so.distance),
    (
        r"The object is ahead of the first camera, so (?P<how>coming nearer|getting farther) means that in that camera's frame it went "
        r"(?P<way>forward|backward)\.",
        so.went_on,
    ),
    (r"It (?P<how>came nearer to|got farther from) what was ahead of it: in the first camera's frame it went (?P<way>forward|backward)\.", so.went_on),
    (r"So the camera is at the same distance from the object\.", so.same_distance),
    (r"Measured from the object, the camera kept its distance\.", so.same_distance),
    (r"So the camera stayed in place\.|So the camera did not leave its place\.", so.stayed("stayed", "none")),
    (r"So as the object sees it, the camera went to neither side\.", so.stayed("stayed_before", "none")),
    (r"From the object's point of view the camera stayed where it was\.", so.stayed("stayed_before", "none")),
    (r"So the camera did not move\.|So the camera kept its place\.", so.stayed("did_not_move", "no")),
    (r"So the camera moved\.|So the camera changed its place\.", so.did_move),
    (r"So the camera turned\.|So the camera was rotated\.", so.did_turn),
    (r"Slope, lean and heading are all as before, so the camera did not turn\.", so.did_not_turn),
    (r"As neither slope nor lean nor heading changed, the camera was not rotated\.", so.did_not_turn),
    (rf"Of the angles offered, {_OPTION} is the nearest\.", so.offered),
    (rf"Nearest to that among the options is {_OPTION}\.", so.offered),
)


def _by_first_word(rules: Iterable[tuple[str, Check]]) -> dict[str, list[tuple[re.Pattern[str], Check]]]:
    """Every rule under the word that its sentences begin with, of which there is one."""
    found: dict[str, list[tuple[re.Pattern[str], Check]]] = {}
    for pattern, check in rules:
        found.setdefault(_first_word(pattern), []).append((re.compile(pattern), check))
    return found


def _first_word(text: str) -> str:
    return text[: next((i for i, letter in enumerate(text) if not letter.isalpha()), None)]


_RULES = _by_first_word((*_SEEN, *((pattern, so.reason) for pattern in _TRUE_OF_ANY), *_SO))
