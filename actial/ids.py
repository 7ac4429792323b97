"""Ids carry their parents.

scene-000042                          a scene
scene-000042.v03                      a view of it
scene-000042.v03-v11                  an ordered pair of views (first, second)
scene-000042.v03-v11-v05              an ordered triple of views, and so on: benchmarks show up to dozens
scene-000042.v03-v11.orbit            a question about the pair (or triple), by its kind
scene-000042.v03.count                a question about one view alone
scene-000042.v03-v11.orbit#5          the sixth completion sampled for it

Scenes of a data set or benchmark from outside bear its name: sat-3f9c21d07a6be845.v00-v01.sat_ego_movement_12.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from actial.errors import UserError

OURS = "scene-"
"""What the ids of scenes made or photographed here begin with."""
_GRAMMAR = re.compile(
    r"(?P<scene>[a-z0-9][a-z0-9_]*-[A-Za-z0-9_]+)"
    r"(?:\.v(?P<first>\d{2,})(?:-v(?P<second>\d{2,})(?:-v(?P<third>\d{2,})(?P<more>(?:-v\d{2,})*))?)?(?:\.(?P<kind>[a-z0-9][a-z0-9_]*)(?:#(?P<sample>\d+))?)?)?"
)


class IdParts(NamedTuple):
    """The parts of an id, outermost first; None from where the id ends."""

    scene_id: str
    first: int | None
    second: int | None
    third: int | None
    kind: str | None
    sample: int | None
    more: tuple[int, ...] = ()
    """Views after the third."""


def scene_id(index: int) -> str:
    return f"{OURS}{index:06d}"


def is_external(identifier: str) -> bool:
    """Whether an id is about pictures of a data set from outside: nobody here knows their cameras."""
    return not identifier.startswith(OURS)


def outside_scene_id(name: str, pictures: Sequence[bytes]) -> str:
    """The scene of a data set or benchmark that some encoded pictures show, in order: the same pictures, the same scene."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in pictures))
    return f"{name}-{digest.hexdigest()[:16]}"


def scene_index(scene: str) -> int:
    """The number in the id of a scene."""
    return int(scene.rpartition("-")[2])


def view_id(scene: str, index: int) -> str:
    return f"{scene}.v{index:02d}"


def group_id(first_view_id: str, *other_view_ids: str) -> str:
    """The id of the views that a question is about, in order, all of one scene; of one view, its own.

    Raises:
        ValueError: the views belong to different scenes.
    """
    identifier, scene = first_view_id, parse(first_view_id).scene_id
    for other_view_id in other_view_ids:
        other = parse(other_view_id)
        if other.scene_id != scene:
            raise ValueError(f"{first_view_id} and {other_view_id} are views of different scenes")
        identifier += f"-v{other.first:02d}"
    return identifier


def question_id(group: str, kind: str) -> str:
    """The id of a question of some kind about the views of a `group_id`."""
    return f"{group}.{kind}"


def parse(identifier: str) -> IdParts:
    """Split an id into its parts.

    Raises:
        UserError: the text is no id.
    """
    match = _GRAMMAR.fullmatch(identifier)
    if match is None:
        raise UserError(f"{identifier!r} is no id: ids look like scene-000042, scene-000042.v03, scene-000042.v03-v11 or scene-000042.v03-v11.orbit")
    number = {k: None if match[k] is None else int(match[k]) for k in ("first", "second", "third", "sample")}
    more = tuple(int(view) for view in (match["more"] or "").split("-v")[1:])
    return IdParts(match["scene"], number["first"], number["second"], number["third"], match["kind"], number["sample"], more)


def view_ids_of(identifier: str) -> tuple[str, ...]:
    """The ids of the views that an id names: none for a scene, one for a view, two or more for a group; the same for a question about them."""
    parts = parse(identifier)
    return tuple(view_id(parts.scene_id, i) for i in (parts.first, parts.second, parts.third, *parts.more) if i is not None)


def question_of(identifier: str) -> str:
    """The question a completion's id descends from (the id itself where it names a question)."""
    return identifier.split("#", 1)[0]
