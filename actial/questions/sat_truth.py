"""What can be asked about the things in one picture, or in two, and what is true: computed from the scene's geometry, never from the pixels.

Each function looks at a `Scenery`, or two, and yields a `Candidate` for every clear case and the reason (a text) for every other. Lengths are told as ratios,
so that nobody needs to know the scale. "Left" is left of a viewing direction seen from above.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from actial.geometry.angles import motion_between
from actial.geometry.conventions import UP
from actial.params_questions import BuildQA
from actial.questions.sat_things import UNSEEN, Scenery, Thing, bearing_deg, level_way
from actial.records import MESH, Cue

ACROSS_SHARE = 0.08
"""left_of: sideways distance of the two centres in the picture, as a share of its width, at least."""
HEIGHTS_APART = 0.75
"""above: difference of the two centres' heights, as a multiple of the things' mean height, at least."""
DEPTH_GAP_R = 0.08
"""in_front: how much deeper in the view the one stands, as a share of its distance, at least; and it stands aside by no more than that depth."""
MOST_PITCH_DEG = 50.0
"""above, in_front and ways on the ground: a camera that looks down or up more steeply shows heights or depths badly."""
FARTHER = 1.15
"""depth: the farther distance from the camera as a multiple of the nearer, at least."""
FARTHER_APART = 1.5
"""distance: the same for the distances of two things to a third."""
COUNTED = (1, 2, 3)
LONGEST_BOX = 2.5
"""count: a box with a side more than so many times another is a slab or a beam to most people, and boxes are not counted where there is one."""
AIM_FROM_DEG, AIM_NONE_DEG = 8.0, 2.5
"""goal_aim: a thing at least so far to a side is left or right, one within the second is straight ahead."""
STEP_M = 0.4
"""Who stands at a thing and looks at another has at least so much between their middles, on the ground; the subject measures about 2 m."""
SIDE_DEG, BEHIND_DEG = (25.0, 120.0), 150.0
"""from_object: bearings that are clearly to a side, and those from which on a thing is behind."""
APPROACH = 0.4
"""action_step: a step brings closer, or away, by at least so much of its length."""
FACED_DEG, NEXT_DEG = 45.0, 40.0
"""action_turn: the one thing is within so much of straight ahead, the other at least so much more aside."""
SAME_PLACE_R = 1e-3
"""What stands within this share of the camera's distance of where it stood did not move."""
DISPLACED = 0.12
"""object_moved: how far the thing went, as a share of the first camera's distance to it, at least."""
MOST_TURN_DEG = 60.0
"""object_moved, goal_out_of_sight: the cameras' directions differ by no more, so that both pictures show much of the same."""
SHARED = 2
"""ego_movement: so many things are clear in both pictures, at least; of goal_out_of_sight one is."""
OUT_BY_SHARE = 0.05
"""goal_out_of_sight: the thing's centre is beyond the second picture's border by at least so much of its width."""
LOOKED_AT = 40
"""Choices of several things that are looked at, at most, in one picture for one kind; they are drawn."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question that can be asked, before it is known in which order things are named."""

    words: dict[str, str]
    """What stands for the placeholders of the text that do not change places."""
    rivals: tuple[str, ...]
    """Things that may change places, one of which is right; none where the options are the same for every question."""
    groups: tuple[str, ...]
    """For each possible answer (the rivals, then what else may be right), what the words tell of it: answers of equal groups are as good as each other."""
    answer: int
    """Place of the right one in `groups`."""
    value: float
    margin: float
    cell: str = ""
    """What else might tell the answer; within a cell no answer is more frequent than another."""
    cue: Cue = "none"


Found = Iterator[Candidate | str]


def _between(a: Thing, b: Thing, a_wins: bool, size: float, asked_from: float, groups: tuple[str, str] | None = None, **words: str) -> Candidate:
    """One of two things, by a size that is not below `asked_from`."""
    return Candidate(words, (a.name, b.name), groups or (a.shape, b.shape), int(not a_wins), size, size / asked_from - 1)


# ------------------------------------------------------------------------------------------------ one picture


def left_of(seen: Scenery, draw: np.random.Generator) -> Found:
    """The one that is further left in the picture."""
    for a, b in itertools.combinations(seen.clear, 2):
        gap = b.across - a.across
        if abs(gap) < ACROSS_SHARE:
            yield "neither clearly left nor right"
        else:
            yield _between(a, b, gap > 0, abs(gap), ACROSS_SHARE, groups=("", ""))


def above(seen: Scenery, draw: np.random.Generator) -> Found:
    """The one whose middle is higher over the ground."""
    if abs(seen.pitch_deg) > MOST_PITCH_DEG:
        yield "camera pitched too far"
        return
    for a, b in itertools.combinations(seen.clear, 2):
        size = 2 * (a.center[2] - b.center[2]) / (a.height_m + b.height_m)
        if abs(size) < HEIGHTS_APART:
            yield "about as high as each other"
        else:
            yield _between(a, b, size > 0, abs(size), HEIGHTS_APART)


def in_front(seen: Scenery, draw: np.random.Generator) -> Found:
    """The one that is less deep in the level view of the camera."""
    if abs(seen.pitch_deg) > MOST_PITCH_DEG:
        yield "camera pitched too far"
        return
    right = np.cross(seen.ahead, UP)
    for a, b in itertools.combinations(seen.clear, 2):
        deeper_m, aside_m = (b.center - a.center) @ seen.ahead, (b.center - a.center) @ right
        size = abs(deeper_m) / max((a.center - seen.eye) @ seen.ahead, (b.center - seen.eye) @ seen.ahead)
        if size < DEPTH_GAP_R:
            yield "about as deep as each other"
        elif abs(aside_m) > abs(deeper_m):
            yield "beside rather than in front or behind"
        else:
            yield _between(a, b, deeper_m > 0, size, DEPTH_GAP_R)


def depth(seen: Scenery, draw: np.random.Generator) -> Found:
    """The one that is nearer to the camera."""
    for a, b in itertools.combinations(seen.clear, 2):
        size = log(_apart_m(b.center, seen.eye) / _apart_m(a.center, seen.eye))
        if abs(size) < log(FARTHER):
            yield "about as far as each other"
        else:
            yield _between(a, b, size > 0, abs(size), log(FARTHER))


def distance(seen: Scenery, draw: np.random.Generator) -> Found:
    """The one that is nearer to a third."""
    for to, a, b in _drawn(seen.clear, 3, draw):
        size = log(_apart_m(b.center, to.center) / _apart_m(a.center, to.center))
        if abs(size) < log(FARTHER_APART):
            yield "about as far as each other"
        else:
            yield _between(a, b, size > 0, abs(size), log(FARTHER_APART), to=to.name)


def count(seen: Scenery, draw: np.random.Generator) -> Found:
    """How many things of a shape are in the picture."""
    named = {thing.row.name for thing in seen.things}
    if seen.view.objects[0].shape == MESH or any(o.name not in named for o in seen.view.objects[1:]):
        yield "something in the scene has no colour and shape of its own"
        return
    for shape in sorted({thing.shape for thing in seen.things}):
        same = [thing for thing in seen.things if thing.shape == shape]
        n = sum(thing.is_clear for thing in same)
        if any(not thing.is_clear and thing.share > UNSEEN for thing in same):
            yield "one of a shape is hidden in part, or small"
        elif shape == "box" and any(max(thing.row.size_m) > LONGEST_BOX * min(thing.row.size_m) for thing in same):
            yield "a box that is a slab or a beam"
        elif n not in COUNTED:
            yield "none, or more than three"
        else:
            shapes = {"box": "boxes", "sphere": "spheres", "cylinder": "cylinders", "cone": "cones"}[shape]
            yield Candidate({"shapes": shapes}, (), tuple(map(str, COUNTED)), COUNTED.index(n), n, 1.0, cell=shape)


def goal_aim(seen: Scenery, draw: np.random.Generator) -> Found:
    """To which side the camera must turn to face a thing."""
    for to in seen.clear:
        turn_deg = bearing_deg(seen.eye, seen.ahead, to.center)
        if AIM_NONE_DEG < abs(turn_deg) < AIM_FROM_DEG:
            yield "between straight ahead and aside"
        else:
            yield _aimed(to, turn_deg)


def from_object(seen: Scenery, draw: np.random.Generator) -> Found:
    """On which side something is to somebody who stands at one thing and faces another."""
    for standing, face, to in _drawn(seen.clear, 3, draw):
        ahead = _looking(standing, face, to)
        if isinstance(ahead, str):
            yield ahead
            continue
        at_deg = bearing_deg(standing.center, ahead, to.center)
        if SIDE_DEG[0] <= abs(at_deg) <= SIDE_DEG[1]:
            answer, margin = int(at_deg < 0), min(abs(at_deg) / SIDE_DEG[0] - 1, 1 - abs(at_deg) / SIDE_DEG[1])
        elif abs(at_deg) >= BEHIND_DEG:
            answer, margin = 2, abs(at_deg) / BEHIND_DEG - 1
        else:
            yield "neither clearly aside nor behind"
            continue
        side = _side_in_picture(to.across - standing.across)
        cue: Cue = "none" if answer == 2 or side == "none" else "aligned" if side == ("left", "right")[answer] else "conflict"
        words = {"stand": standing.name, "face": face.name, "to": to.name}
        yield Candidate(words, (), ("left", "right", "behind"), answer, at_deg, margin, cell=f"{side}, at a {standing.shape}", cue=cue)


def action_step(seen: Scenery, draw: np.random.Generator) -> Found:
    """Whether a step of somebody who stands at one thing and faces another leads closer to a third."""
    for standing, face, to in _drawn(seen.clear, 3, draw):
        ahead = _looking(standing, face, to)
        if isinstance(ahead, str):
            yield ahead
            continue
        way = level_way(standing.center, to.center)
        left = np.cross(UP, ahead)
        for step, direction in (("forward", ahead), ("backward", -ahead), ("to the left", left), ("to the right", -left)):
            gain = float(direction @ way)
            if abs(gain) < APPROACH:
                yield "neither clearly closer nor farther"
            else:
                words = {"stand": standing.name, "face": face.name, "to": to.name, "step": step}
                yield Candidate(words, (), ("closer", "farther"), int(gain < 0), gain, abs(gain) / APPROACH - 1, cell=step)


def action_turn(seen: Scenery, draw: np.random.Generator) -> Found:
    """Which of two things is ahead of somebody who stands at one thing, faces another, and turns."""
    for standing, face, a, b in _drawn(seen.clear, 4, draw):
        ahead = [_looking(standing, face, to) for to in (a, b)]
        if reasons := [way for way in ahead if isinstance(way, str)]:
            yield reasons[0]
            continue
        at_deg = [bearing_deg(standing.center, np.asarray(way), to.center) for way, to in zip(ahead, (a, b), strict=True)]
        for turn, turned_deg in (("to the left by 90 degrees", 90.0), ("to the right by 90 degrees", -90.0), ("by 180 degrees", 180.0)):
            aside_deg = [abs((deg - turned_deg + 180) % 360 - 180) for deg in at_deg]
            if min(aside_deg) > FACED_DEG or max(aside_deg) < min(aside_deg) + NEXT_DEG:
                yield "neither clearly ahead after the turn, or both"
            else:
                words = {"stand": standing.name, "face": face.name, "turn": turn}
                yield _between(a, b, aside_deg[0] < aside_deg[1], max(aside_deg) - min(aside_deg), NEXT_DEG, groups=("", ""), **words)


# ------------------------------------------------------------------------------------------------ two pictures


def ego_movement(first: Scenery, second: Scenery, settings: BuildQA) -> Found:
    """To which side the camera moved, and to which it turned."""
    if _moved(first, second):
        yield "something moved between the pictures"
        return
    if len(_in_both(first, second)) < SHARED:
        yield "too little is seen in both pictures"
        return
    motion = motion_between(first.view.camera.pose()[None], second.view.camera.pose()[None], first.view.objects[0].center())
    lateral_r, turn_deg = float(motion.lateral_r[0]), float(motion.turn_deg[0])
    most_deg = settings.turn.asked_to or 180.0
    if not abs(lateral_r) >= settings.lateral.asked_from or not settings.turn.asked_from <= abs(turn_deg) <= most_deg:
        yield "no clear movement to a side, or no clear turn"
        return
    margin = min(abs(lateral_r) / settings.lateral.asked_from - 1, abs(turn_deg) / settings.turn.asked_from - 1, 1 - abs(turn_deg) / most_deg)
    yield Candidate({}, (), ("left_left", "left_right", "right_left", "right_right"), 2 * (lateral_r > 0) + (turn_deg < 0), lateral_r, margin)


def object_moved(first: Scenery, second: Scenery, draw: np.random.Generator) -> Found:
    """Which of three things that both pictures show moved between them, if any did."""
    if not _alike(first, second):
        yield "cameras look in too different directions"
        return
    moved = _moved(first, second)
    shown = [thing for thing in _in_both(first, second) if thing.row.part_of is None]
    if len(moved) > 1 or moved - {thing.name for thing in shown}:
        yield "what moved is not seen in both pictures, or not alone"
        return
    for three in itertools.islice(_drawn(shown, 3, draw), 1 if not moved else None):
        names = tuple(thing.name for thing in three)
        if not moved <= set(names):
            continue
        groups = ("", "", "", "none")
        if not moved:
            yield Candidate({}, names, groups, 3, 0.0, 1.0)
            continue
        (thing,) = (thing for thing in three if thing.name in moved)
        now = next(other for other in second.things if other.name == thing.name)
        size = _apart_m(now.center, thing.center) / _apart_m(first.eye, thing.center)
        if size < DISPLACED:
            yield "what moved went hardly anywhere"
        else:
            yield Candidate({}, names, groups, names.index(thing.name), size, size / DISPLACED - 1)


def goal_out_of_sight(first: Scenery, second: Scenery, draw: np.random.Generator) -> Found:
    """To which side the second camera must turn to face what the first picture alone shows."""
    if not _alike(first, second):
        yield "cameras look in too different directions"
        return
    if _moved(first, second):
        yield "something moved between the pictures"
        return
    if not _in_both(first, second):
        yield "too little is seen in both pictures"
        return
    there = {thing.name: thing for thing in second.things}
    for to in first.clear:
        now = there[to.name]
        if now.share > UNSEEN or -OUT_BY_SHARE < now.across < 1 + OUT_BY_SHARE:
            yield "not clearly out of the second picture"
        else:
            yield _aimed(to, bearing_deg(second.eye, second.ahead, now.center), cell=_side_in_picture(to.across - 0.5))


# ------------------------------------------------------------------------------------------------


def _drawn(things: Sequence[Thing], n: int, draw: np.random.Generator) -> Iterator[tuple[Thing, ...]]:
    """`LOOKED_AT` ordered choices of `n` things, in an order drawn, none twice; all where there are fewer."""
    choices = list(itertools.permutations(range(len(things)), n))
    for i in draw.permutation(len(choices))[:LOOKED_AT]:
        yield tuple(things[place] for place in choices[i])


def _aimed(to: Thing, turn_deg: float, cell: str = "") -> Candidate:
    aside = abs(turn_deg) > AIM_NONE_DEG
    margin = abs(turn_deg) / AIM_FROM_DEG - 1 if aside else 1 - abs(turn_deg) / AIM_NONE_DEG
    groups = ("left", "right") if cell else ("left", "right", "none")
    return Candidate({"to": to.name}, (), groups, 2 if not aside else int(turn_deg < 0), turn_deg, margin, cell=cell)


def _looking(standing: Thing, face: Thing, to: Thing) -> np.ndarray | str:
    """(3,) the level direction from one thing to another; or why nobody can stand and look so."""
    if not standing.on_ground:
        return "nobody can stand there"
    if min(float(np.hypot(*(thing.center - standing.center)[:2])) for thing in (face, to)) < STEP_M:
        return "too close to where one stands"
    return level_way(standing.center, face.center)


def _side_in_picture(gap_share: float) -> str:
    return "none" if abs(gap_share) < ACROSS_SHARE / 2 else "right" if gap_share > 0 else "left"


def _moved(first: Scenery, second: Scenery) -> set[str]:
    """Names of the things that stand elsewhere, or are turned, in the second view."""
    now = {o.name: np.array(o.T_world_obj) for o in second.view.objects}
    reach_m = SAME_PLACE_R * _apart_m(first.eye, first.view.objects[0].center())
    names = {thing.row.name: thing.name for thing in first.things}
    return {names.get(o.name, o.name) for o in first.view.objects if o.name not in now or np.abs(now[o.name] - o.T_world_obj).max() > reach_m}


def _in_both(first: Scenery, second: Scenery) -> list[Thing]:
    """Things that can be spoken of in both pictures, as they are in the first."""
    in_second = {thing.name for thing in second.clear}
    return [thing for thing in first.clear if thing.name in in_second]


def _alike(first: Scenery, second: Scenery) -> bool:
    """Whether the cameras look in much the same direction."""
    return bool(np.degrees(np.arccos(np.clip(first.ahead @ second.ahead, -1, 1))) <= MOST_TURN_DEG)


def _apart_m(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b))
