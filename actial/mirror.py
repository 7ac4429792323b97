"""Mirror images: what is true of a scene is true of its mirror image, with left and right exchanged. They cost no rendering: a `ViewStore` that holds
scene-000042.v03 also opens scene-000042_mirrored.v03.
"""

from __future__ import annotations

import re
from dataclasses import replace

from actial.records import MIRRORED, Floats, Question, SceneObject, View

_SUFFIX = "_mirrored"
_SIDE = re.compile(r"\b(?:left|right)\b")
_TURNED_OVER = frozenset({"lateral_r", "turn_deg", "roll_deg", "orbit_deg", "front_r", "leftward_share", "bearing_deg"})
"""Deciding quantities that have the opposite sign in a mirror image; heights, distances and lengths stay."""
_SIDE_IN_TEXT = frozenset({"action_step", "action_turn"})
"""Kinds whose text says to which side somebody steps or turns."""


def mirrored_id(identifier: str) -> str:
    """The id of the mirror image of a scene, a view, a pair or a question."""
    scene, dot, rest = identifier.partition(".")
    return f"{scene}{_SUFFIX}{dot}{rest}"


def original_id(identifier: str) -> str | None:
    """The id of what an id names the mirror image of; None where it names none."""
    scene, dot, rest = identifier.partition(".")
    return f"{scene.removesuffix(_SUFFIX)}{dot}{rest}" if scene.endswith(_SUFFIX) else None


def mirrored_view(view: View) -> View:
    """The view of the mirror image of its scene: the world's x axis turned around, columns of the picture counted from its other side."""
    fx, skew, cx, *below = view.camera.K
    pose = view.camera.T_world_cam
    K = (fx, 0.0 - skew, view.camera.width_px - cx, *below)
    camera = replace(view.camera, K=K, T_world_cam=None if pose is None else _mirrored_pose(pose))
    return replace(
        view, view_id=mirrored_id(view.view_id), scene_id=mirrored_id(view.scene_id), camera=camera, objects=tuple(map(_mirrored_object, view.objects))
    )


def mirrored_question(question: Question) -> Question:
    """A question about the mirror images of its views: the same options in the same order. The truth is on the other side, if it has one:
    left and right change over, so do clockwise and counter-clockwise; up, closer or yes stay. Where the text names a side, it names the other one.
    """
    label = question.label_of(question.truth)
    return replace(
        question,
        question_id=mirrored_id(question.question_id),
        family_id=mirrored_id(question.family_id),
        view_ids=tuple(map(mirrored_id, question.view_ids)),
        scene_id=mirrored_id(question.scene_id),
        text=_SIDE.sub(lambda side: MIRRORED[side[0]], question.text) if question.kind in _SIDE_IN_TEXT else question.text,
        truth=question.letter_of(MIRRORED.get(label, label)),
        deciding_value=-question.deciding_value if question.deciding_quantity in _TURNED_OVER else question.deciding_value,
    )


def _mirrored_object(o: SceneObject) -> SceneObject:
    front = None if o.front is None else (-o.front[0], *o.front[1:])
    return replace(o, T_world_obj=_mirrored_pose(o.T_world_obj), front=front)


def _mirrored_pose(pose: Floats) -> Floats:
    """Row-major 4x4: seen in the world's mirror image, and with its own x axis turned around, so that it stays right-handed."""
    signs = (1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    return tuple(s * x + 0.0 for s, x in zip(signs, pose, strict=True))  # + 0.0: no negative zeros
