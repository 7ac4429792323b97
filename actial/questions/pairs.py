"""All pairs of views of many scenes at once: what each kind would ask about them, and a bounded choice of each scene's pairs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from actial import ids
from actial.geometry.angles import Motion, motion_between
from actial.geometry.poses import CORNERS
from actial.params_questions import BuildQA
from actial.questions.altered_pairs import Pair, pairs_by_kind
from actial.questions.cues import cue_codes, ends, in_picture
from actial.questions.deciding import OTHER_MOVED, REASONS, decide, is_tied, margins
from actial.questions.kinds import CHANGE_KINDS, KINDS, Kind, kinds_of
from actial.questions.scan import PosedScene, filled_up
from actial.questions.spilled import SpilledRows
from actial.questions.twins import LAYOUT, layouts
from actial.rng import generator_for

CANDIDATE = np.dtype(
    [
        ("scene", np.int32),
        ("kind", np.int8),
        ("first", np.int16),
        ("second", np.int16),
        ("couple", np.int32),
        ("label", np.int8, 2),
        ("value", np.float64, 2),
        ("margin", np.float64, 2),
        ("tied", np.bool_, 2),
        ("cue", np.int8, 2),
        ("layout", np.float32, (2, len(LAYOUT))),
        ("sizes_deg", np.int16, 3),
    ]
)
"""A pair of views that a kind asks about in both orders; entry 0 is (first, second), entry 1 (second, first). Views are numbers in their scene, labels
places in the kind's `labels`. Layouts are those of the first and of the second picture. Of the pairs of a scene about changes, two
at a time are a couple: one across the states of the subject, and one within. The sizes are zero until questions about angles get their options."""
IN_MEMORY = ("scene", "kind", "label")

SCENES_AT_ONCE = 256
MOVED_M_PER_R = 1e-3
"""A subject that stands elsewhere in the second view by more than this share of r moved, and no camera question is asked. The same goes for anything else, and
for sizes; what turned by more than this, in radians, moved, too."""


@dataclass
class Candidates:
    """What came out of a pass over all scenes."""

    rows: SpilledRows
    """Of dtype `CANDIDATE`: a run for each batch of scenes, in it by kind, scene and pair."""
    scene_ids: list[str]
    sources: list[str]
    things: list[str]
    """See `scan.PosedScene.thing`."""
    licences: list[str]
    families: list[str]
    """Geometry families of the scenes' subjects."""
    n_pairs: int
    """Ordered pairs looked at."""
    refused: Counter[str]


def find_candidates(scenes: Iterable[PosedScene], file: BinaryIO, settings: BuildQA, seed: int) -> Candidates:
    """Up to `pairs_per_kind` pairs of each scene for each kind, a third of them none, picked by the seed.

    Memory grows with the pairs chosen (7 bytes each) and the scenes, not with the views.

    Args:
        file: empty; where the pairs chosen are kept.

    Raises:
        UserError: a view's id is no id of its scene's.
    """
    found = Candidates(SpilledRows(file, CANDIDATE, IN_MEMORY), [], [], [], [], [], 0, Counter())
    for batch in _batches(scenes):
        base = len(found.scene_ids)
        found.scene_ids += [scene.scene_id for scene in batch]
        found.sources += [sys.intern(scene.source) for scene in batch]
        found.things += [scene.thing for scene in batch]
        found.licences += [sys.intern(scene.licence) for scene in batch]
        found.families += [sys.intern(scene.family) for scene in batch]
        found.rows.add(_of_batch(batch, base, settings, seed, found))
    return found


def places_in_sight(scene: PosedScene, views: np.ndarray) -> np.ndarray:
    """(v,) bool: whether the subject's centre lies in the picture of each of a scene's usable views; where its K is not given, it is taken to."""
    middle = in_picture(scene.subject_center[views][:, None], scene.T_world_cam[views], *_optics([scene], [views]))[:, 0]
    return _in_sight(middle, [scene], [views])


def _of_batch(batch: Sequence[PosedScene], base: int, settings: BuildQA, seed: int, found: Candidates) -> np.ndarray:
    usable = [usable_views(scene, found.refused) for scene in batch]
    numbers = [np.array([ids.parse(scene.view_ids[i]).first for i in views], dtype=np.int16) for scene, views in zip(batch, usable, strict=True)]
    pairs = [np.triu_indices(len(views), 1) for views in usable]
    poses = np.concatenate([scene.T_world_cam[views] for scene, views in zip(batch, usable, strict=True)])
    centers = np.concatenate([scene.subject_center[views] for scene, views in zip(batch, usable, strict=True)])
    starts = np.cumsum([0, *map(len, usable)])
    i = np.concatenate([start + first for start, (first, _) in zip(starts, pairs, strict=False)])
    j = np.concatenate([start + second for start, (_, second) in zip(starts, pairs, strict=False)])
    found.n_pairs += 2 * len(i)
    asked = kinds_of(settings)
    if not len(i) or not asked:
        return np.empty(0, CANDIDATE)
    place, middle, box = _places_in_pictures(batch, usable, poses, centers)
    in_sight = _in_sight(middle, batch, usable)
    scene = np.repeat(np.arange(len(batch), dtype=np.int32), [len(first) for first, _ in pairs])
    number = np.concatenate(numbers)
    asked = [kind for kind in asked if kind.name not in CHANGE_KINDS]
    place_of = {name: k for k, name in enumerate(KINDS)}
    n_keys = 1 + max((place_of[kind.name] for kind in asked), default=0)
    keys = [generator_for(seed, f"{s.scene_id}/pairs").random((n_keys, len(first))) for s, (first, _) in zip(batch, pairs, strict=True)]
    key = np.concatenate(keys, axis=1)

    fronts = np.concatenate([scene.subject_front[views] for scene, views in zip(batch, usable, strict=True)])
    ways = ((i, j), (j, i))
    motions = [motion_between(poses[a], poses[b], centers[a], None if np.isnan(fronts).all() else fronts[a]) for a, b in ways]
    moved = np.linalg.norm(centers[i] - centers[j], axis=1) > MOVED_M_PER_R * np.linalg.norm(poses[i, :3, 3] - centers[i], axis=1)
    state = np.concatenate([states_of(scene, views) for scene, views in zip(batch, usable, strict=True)])
    other_moved = ~moved & (state[i] != state[j])
    shown = in_sight[i] & in_sight[j]
    layout_of = lambda a, b: layouts((middle[a], middle[b]), (place[a], place[b]), (box[a], box[b]))
    rows = []
    for kind in asked:
        codes = [np.where(other_moved, np.int8(OTHER_MOVED), decide(kind, motion, moved, settings, shown)) for motion in motions]
        picked = _picked(codes, scene, key[place_of[kind.name]], settings, found.refused, kind)
        row = np.zeros(len(picked), CANDIDATE)
        row["scene"], row["kind"] = base + scene[picked], place_of[kind.name]
        row["first"], row["second"] = number[i[picked]], number[j[picked]]
        for order, (motion, (a, b)) in enumerate(zip(motions, ways, strict=True)):
            _fill_in(row, order, kind, Motion(*(field[picked] for field in motion)), codes[order][picked], (place[a[picked]], place[b[picked]]), settings)
        row["layout"] = layout_of(i[picked], j[picked])
        rows.append(row)
    about_changes = [kind for kind in kinds_of(settings) if kind.name in CHANGE_KINDS]
    compared = pairs_by_kind(about_changes, batch, usable, settings, seed, found.refused)
    for kind, of_kind in zip(about_changes, compared, strict=True):
        row = _about_changes(kind, of_kind, batch, base)
        at = [[starts[pair.scene] + int(np.searchsorted(usable[pair.scene], view)) for view in (pair.first, pair.second)] for pair in of_kind]
        row["layout"] = layout_of(*np.array(at, dtype=int).reshape(-1, 2).T)
        rows.append(row)
    joined = np.concatenate(rows)
    return joined[np.lexsort((joined["second"], joined["first"], joined["scene"], joined["kind"]))]


def _fill_in(row: np.ndarray, order: int, kind: Kind, motion: Motion, label: np.ndarray, places: tuple[np.ndarray, np.ndarray], settings: BuildQA) -> None:
    """What one order of the pairs chosen tells; `places` are those of the subject's points in its first and its second pictures."""
    row["label"][:, order] = label
    row["value"][:, order] = getattr(motion, kind.quantity)
    row["margin"][:, order] = margins(kind, motion, label, settings)
    row["tied"][:, order] = is_tied(kind, motion, settings)
    first, second = places
    in_both = ~np.isnan(first + second)
    row["cue"][:, order] = cue_codes(kind.name, np.where(in_both, first, np.nan), np.where(in_both, second, np.nan), label)


def _about_changes(kind: Kind, pairs: Sequence[Pair], batch: Sequence[PosedScene], base: int) -> np.ndarray:
    """Of dtype `CANDIDATE`: what a kind asks of pairs between whose views the subject may have been altered."""
    row = np.zeros(len(pairs), CANDIDATE)
    row["kind"] = list(KINDS).index(kind.name)
    for i, pair in enumerate(pairs):
        scene, row[i]["couple"] = batch[pair.scene], i // 2
        row[i]["scene"] = base + pair.scene
        row[i]["first"], row[i]["second"] = (ids.parse(scene.view_ids[view]).first for view in (pair.first, pair.second))
        row[i]["label"], row[i]["value"], row[i]["margin"] = kind.labels.index(pair.label), pair.residual_px, pair.margin
    return row


def states_of(scene: PosedScene, views: np.ndarray) -> np.ndarray:
    """For each of n usable views (n,), the place among them of the first in which every object stands as it does there."""
    standing, centers, size_m = scene.standing[views], scene.subject_center[views], scene.size_m[views]
    missing = np.isnan(standing[..., 0, 0])
    state = np.full(len(views), -1)
    for first, (eye, center) in enumerate(zip(scene.T_world_cam[views, :3, 3], centers, strict=True)):
        if state[first] < 0:
            by, most_m = np.abs(standing - standing[first]), MOVED_M_PER_R * np.linalg.norm(eye - center)
            elsewhere = (by[..., 3] > most_m).any(axis=(1, 2)) | (by[..., :3] > MOVED_M_PER_R).any(axis=(1, 2, 3))
            elsewhere |= (np.abs(size_m - size_m[first]) > most_m).any(axis=(1, 2))
            state[(state < 0) & ~elsewhere & (missing == missing[first]).all(axis=1)] = first
    return state


def _places_in_pictures(
    batch: Sequence[PosedScene], usable: Sequence[np.ndarray], poses: np.ndarray, centers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(views, p, 2) where each usable view's points lie in it, (views, 2) where the subject's centre does, see `cues.in_picture`, and (views, 4) the ends of
    the box around it."""
    place = lambda points: in_picture(points, poses, *_optics(batch, usable))
    standing, size_m = (np.concatenate([getattr(scene, name)[views, 0] for scene, views in zip(batch, usable, strict=True)]) for name in ("standing", "size_m"))
    return place(filled_up(_of_usable("points", batch, usable))), place(centers[:, None])[:, 0], ends(place(outline_points(standing, size_m)))


def outline_points(standing: np.ndarray, size_m: np.ndarray) -> np.ndarray:
    """(n, 8, 3) corners of boxes that stand as (n, 3, 4) says and measure (n, 3), world, metres."""
    return np.asarray(np.einsum("vij,vpj->vpi", standing[..., :3], CORNERS * size_m[:, None]) + standing[:, None, :, 3])


def _in_sight(middle: np.ndarray, batch: Sequence[PosedScene], usable: Sequence[np.ndarray]) -> np.ndarray:
    """(views,) bool: whether the subject's centre lies in each usable view's picture; where its K is not given, it is taken to."""
    K, _ = _optics(batch, usable)
    return np.asarray(np.isfinite(middle).all(axis=1) | ~np.isfinite(K).all(axis=(1, 2)))


def _optics(batch: Sequence[PosedScene], usable: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(views, 3, 3) K and (views, 2) size of each usable view's picture, pixels."""
    return np.concatenate(_of_usable("K", batch, usable)), np.concatenate(_of_usable("size_px", batch, usable))


def _of_usable(name: str, batch: Sequence[PosedScene], usable: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [getattr(scene, name)[views] for scene, views in zip(batch, usable, strict=True)]


def _picked(codes: Sequence[np.ndarray], scene: np.ndarray, key: np.ndarray, settings: BuildQA, refused: Counter[str], kind: Kind) -> np.ndarray:
    """Places of the pairs that a kind asks about: in each scene those with the smallest keys. Of a kind with two sides, two thirds directional and one third
    none, unless none is never right; of other kinds one of each label in turn.
    """
    most = settings.pairs_per_kind
    most_none = 0 if settings.none == "never" else most // 3
    for code in codes:
        for reason, text in REASONS.items():
            refused[f"{kind.name}: {text}"] += int(np.count_nonzero(code == reason))
    none = codes[0] == kind.zero
    both = (codes[0] >= 0) & (codes[1] >= 0)
    asked = both & (none == (codes[1] == kind.zero))
    refused[f"{kind.name}: other order not asked or of another sort"] += int(np.count_nonzero(codes[0][~asked] >= 0) + np.count_nonzero(codes[1][~asked] >= 0))
    if settings.none == "never":
        refused[f"{kind.name}: none, which is never right"] += 2 * int(np.count_nonzero(asked & none))
        asked &= ~none
    places = np.flatnonzero(asked)
    sort = none if len(kind.labels) == 3 else codes[0]
    order = places[np.lexsort((key[places], sort[places], scene[places]))]
    rank = _rank_within(scene[order] * len(kind.labels) + sort[order])
    if len(kind.labels) == 3:
        kept = order[rank < np.where(none[order], most_none, most - most_none)]
    else:
        in_turn = order[np.lexsort((key[order], rank, scene[order]))]
        kept = in_turn[_rank_within(scene[in_turn]) < most]
    refused[f"{kind.name}: scene has enough"] += 2 * (len(order) - len(kept))
    return kept


def _rank_within(group: np.ndarray) -> np.ndarray:
    """Place of each element in its run of equal ones, from 0."""
    at = np.arange(len(group))
    return at - np.maximum.accumulate(np.where(np.r_[True, group[1:] != group[:-1]][: len(group)], at, 0))


def usable_views(scene: PosedScene, refused: Counter[str]) -> np.ndarray:
    """(n,) places of a scene's views with a readable picture, a pose and a subject; the others are counted."""
    posed = np.isfinite(scene.T_world_cam).all(axis=(1, 2))
    has_subject = np.isfinite(scene.subject_center).all(axis=1)
    refused["views: unreadable picture"] += int(np.count_nonzero(~scene.picture_is_whole))
    refused["views: no camera pose"] += int(np.count_nonzero(scene.picture_is_whole & ~posed))
    refused["views: no subject"] += int(np.count_nonzero(scene.picture_is_whole & posed & ~has_subject))
    return np.flatnonzero(scene.picture_is_whole & posed & has_subject)


def _batches(scenes: Iterable[PosedScene]) -> Iterator[list[PosedScene]]:
    batch: list[PosedScene] = []
    for scene in scenes:
        batch.append(scene)
        if len(batch) == SCENES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
