"""Was the object altered between two pictures, or is the second another view of the same rigid thing? Which pairs are asked, and what is true of them.

Pairs come from scenes with a second state in which the subject itself is altered (`views.alterations`). Across the states a pair is asked about where no
movement of a camera explains both pictures: the smallest residual (`geometry.two_views`) of the subject's parts and of what stands around it is large enough.
An alteration that some movement explains is dropped and counted: a part moved along its epipolar lines, a mirrored symmetric object. Within a state nothing
was altered. Each pair across is asked together with one within a state in which the camera moved much the same, one state as often as the other: neither the
movement nor a look at one picture tells the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actial.geometry.angles import motion_between
from actial.geometry.conventions import opencv_from_blender
from actial.geometry.poses import CORNERS, inverse, passes_through_box
from actial.geometry.two_views import Matches, residuals_px, smallest_residual_px
from actial.params_questions import BuildQA
from actial.questions.kinds import Kind
from actial.questions.scan import PosedScene
from actial.records import MESH, Label
from actial.rng import generator_for

SAME_TO = 1e-3
"""Metres, and shares: objects that differ by less were not altered."""
WIDEST_DEG = 100.0
"""Between the directions in which two cameras see the subject: beyond, they see different sides of everything."""
FEWEST_THINGS = 3
"""Seen in both pictures; a movement explains any fewer."""
MOTION_UNITS = (12.0, 0.15, 12.0, 0.12)
"""Pairs within one unit of each other moved much the same: angle at the subject and whole rotation, degrees; distance, r; |ln| of the ratio of distances."""
LEAST_SEEN = 0.5
"""Of a thing's points: with fewer unhidden it is not seen."""
_AXIS = np.array([[0.0, 0, -0.5], [0.0, 0, 0.5]])
_POINTS = {"box": CORNERS, MESH: CORNERS, "cylinder": _AXIS, "cone": _AXIS}
"""Of a unit cube, by shape: what can be told apart from everywhere. Of any other shape, its middle."""
_TURNS = [np.array([[a, 0], [0, b]]) for a in (1, -1) for b in (1, -1)] + [np.array([[0, a], [b, 0]]) for a in (1, -1) for b in (1, -1)]
WAYS = np.array([[int(np.argmin(np.abs(CORNERS - [*(turn @ c[:2]), c[2]]).sum(axis=1))) for c in CORNERS] for turn in _TURNS])
"""(8, 8) the corners of a box in the orders in which it looks the same: four for any, and four more where its base is square."""
SQUARE_TO = 0.1
"""A base is square whose sides differ by less than this share."""
N_POINTS = len(CORNERS)


@dataclass(frozen=True)
class Pair:
    """A pair that is asked about."""

    scene: int
    """Place in the batch."""
    first: int
    second: int
    """Places of the views in their scene."""
    label: Label
    residual_px: float
    margin: float
    """See `deciding.margins`."""


def pairs_by_kind(
    kinds: Sequence[Kind], batch: Sequence[PosedScene], usable: Sequence[np.ndarray], settings: BuildQA, seed: int, refused: Counter[str]
) -> list[list[Pair]]:
    """For each kind, the pairs of a batch of scenes that it asks about, up to `pairs_per_kind` of each scene: as many across the states as within."""
    drawn = [_drawn(scene, views, settings, generator_for(seed, f"{scene.scene_id}/changes")) for scene, views in zip(batch, usable, strict=True)]
    found = [_Found(s, scene, pairs) for s, (scene, pairs) in enumerate(zip(batch, drawn, strict=True)) if pairs is not None and len(pairs.across)]
    if not kinds or not found:
        return [[] for _ in kinds]
    matches = joined([matches_of(f.scene, f.pairs.across, f.pairs.seen) for f in found])
    residual_px = smallest_residual_px(matches, settings.consistency.asked_from)
    few = matches.known.any(axis=2).sum(axis=1) < FEWEST_THINGS
    ends = np.cumsum([len(f.pairs.across) for f in found])
    rows = [slice(end - len(f.pairs.across), end) for f, end in zip(found, ends, strict=True)]
    return [[pair for f, r in zip(found, rows, strict=True) for pair in _asked(kind, f, residual_px[r], few[r], settings, refused)] for kind in kinds]


@dataclass(frozen=True)
class _Drawn:
    """Pairs of views of one scene that may be asked about, as (k, 2) places of views, in the order in which they are taken."""

    across: np.ndarray
    """Of different states."""
    within: tuple[np.ndarray, np.ndarray]
    """Of the one and of the other state."""
    seen: np.ndarray
    """(v, o) bool: whether each object is seen in each view."""
    first_state: int
    """Which state's pair is taken first."""


@dataclass(frozen=True)
class _Found:
    place: int
    scene: PosedScene
    pairs: _Drawn


def _drawn(scene: PosedScene, views: np.ndarray, settings: BuildQA, rng: np.random.Generator) -> _Drawn | None:
    """None for a scene whose subject is never altered, or around which something else changes, too."""
    state = subject_states(scene, views)
    if state is None:
        return None
    i, j = np.triu_indices(len(views), 1)
    order = rng.permutation(len(i))
    i, j = i[order], j[order]
    pairs = np.column_stack([views[i], views[j]])
    far = _moved_enough(scene, pairs, settings)
    pairs, state_i, state_j = pairs[far], state[i][far], state[j][far]
    within = tuple(pairs[(state_i == s) & (state_j == s)] for s in (0, 1))
    across = pairs[state_i != state_j][: settings.pairs_per_kind]
    return _Drawn(across, (within[0], within[1]), things_seen(scene), int(rng.integers(2)))


def subject_states(scene: PosedScene, views: np.ndarray) -> np.ndarray | None:
    """(n,) 0 or 1 for each of n views: the state of its subject. None where there are not two, or where anything else changes."""
    own = np.array([i == 0 or part for i, part in enumerate(scene.of_subject)], dtype=bool)
    values = np.concatenate([scene.standing[views].reshape(len(views), -1, 12), scene.size_m[views]], axis=2)
    values, beyond = values[:, : len(own)], values[:, len(own) :]
    if not len(own) or np.isnan(values).any() or not np.isnan(beyond).all():
        return None
    differs = np.abs(values - values[:1]) > SAME_TO
    state = differs[:, own].any(axis=(1, 2)).astype(int)
    if not state.any() or differs[:, ~own].any():
        return None
    second = np.abs(values - values[state.argmax()])[state == 1] > SAME_TO
    return None if second.any() else state


def alteration(scene: PosedScene, first: int, second: int) -> Label:
    """What was done to the subject between two views of different states, as the records of its parts have it."""
    parts = np.flatnonzero(scene.of_subject) if any(scene.of_subject) else np.array([0])
    axes = scene.standing[:, parts, :, :3][[first, second]]
    leans = np.abs(np.swapaxes(axes, -1, -2) @ axes - np.eye(3)).max(axis=(1, 2, 3)) > SAME_TO
    if leans.any():
        return "skewed"
    if (np.abs(scene.size_m[first, parts] / scene.size_m[second, parts] - 1) > SAME_TO).any():
        return "resized"
    moved = (np.abs(scene.standing[first, parts] - scene.standing[second, parts]) > SAME_TO).any(axis=(1, 2))
    return "part_moved" if moved.sum() == 1 else "mirrored"


def _moved_enough(scene: PosedScene, pairs: np.ndarray, settings: BuildQA) -> np.ndarray:
    """(k,) bool: whether the cameras of pairs stand apart, but see the subject from sides that have something in common, and within its picture."""
    eyes, centers = scene.T_world_cam[:, :3, 3], scene.subject_center
    (a, b), (o, p) = (eyes[pairs[:, side]] for side in (0, 1)), (centers[pairs[:, side]] for side in (0, 1))
    least_r = np.minimum(np.linalg.norm(a - o, axis=1), np.linalg.norm(b - p, axis=1))
    apart = np.linalg.norm(a - b, axis=1) >= settings.moved.asked_from * np.maximum(np.linalg.norm(a - o, axis=1), np.linalg.norm(b - p, axis=1))
    return np.asarray(apart & (least_r > 0) & (_angle_deg(a - o, b - o) <= WIDEST_DEG))


def _angle_deg(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    cosine = (u * v).sum(axis=1) / np.maximum(np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1), 1e-12)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _motion(scene: PosedScene, pairs: np.ndarray) -> np.ndarray:
    """(k, 4) how the camera moved, in `MOTION_UNITS`, the same in both orders; the subject is taken to stand where the first view of the scene has it."""
    center = scene.subject_center[0]
    first, second = (scene.T_world_cam[pairs[:, side]] for side in (0, 1))
    m, back = motion_between(first, second, center), motion_between(second, first, center)
    angle_deg = _angle_deg(first[:, :3, 3] - center, second[:, :3, 3] - center)
    return np.column_stack([angle_deg, (m.distance_r + back.distance_r) / 2, m.rotation_deg, np.abs(m.radial_log)]) / MOTION_UNITS


def _asked(kind: Kind, found: _Found, residual_px: np.ndarray, few: np.ndarray, settings: BuildQA, refused: Counter[str]) -> list[Pair]:
    """The pairs of one scene that are asked about, each across the states with one within."""
    pairs, scene, band = found.pairs, found.scene, settings.consistency
    across_motion, within_motion = _motion(scene, pairs.across), [_motion(scene, within) for within in pairs.within]
    free = [np.ones(len(within), bool) for within in pairs.within]
    asked: list[Pair] = []
    state = pairs.first_state
    for (first, second), px, too_few, motion in zip(pairs.across.tolist(), residual_px.tolist(), few, across_motion, strict=True):
        done = alteration(scene, first, second)
        if too_few or px < band.asked_from:
            reason = "too few things are seen in both pictures" if too_few else f"some movement of the camera explains it ({done})"
            refused[f"{kind.name}: {reason}"] += 2
            continue
        off = np.where(free[state], np.abs(within_motion[state] - motion).max(axis=1), np.inf)
        if len(asked) + 2 > settings.pairs_per_kind or not len(off) or off.min() > 1:
            refused[f"{kind.name}: {'scene has enough' if len(asked) + 2 > settings.pairs_per_kind else 'no pair of one state moved alike'}"] += 2
            continue
        twin = int(off.argmin())
        free[state][twin] = False
        same_px = float(residuals_px(*_of_one(scene, pairs.within[state][twin], pairs.seen)).max())
        label: Label = done if kind.name == "alteration" else "altered"
        asked.append(Pair(found.place, first, second, label, px, px / band.asked_from - 1))
        i, j = pairs.within[state][twin].tolist()
        asked.append(Pair(found.place, i, j, "same", same_px, 1 - same_px / band.none_below))
        state = 1 - state
    return asked


def _of_one(scene: PosedScene, pair: np.ndarray, seen: np.ndarray) -> tuple[Matches, np.ndarray]:
    matches = matches_of(scene, pair[None], seen)
    return matches, matches.T_2_1


def things_seen(scene: PosedScene) -> np.ndarray:
    """(v, o) bool: whether at least half of each object's points lie in each view's picture, hidden by no other object's box. The subject as a whole counts
    where it has no parts."""
    points = _world_points(scene)
    uv = _pixels(scene, points)
    in_picture = ((uv >= 0) & (uv <= scene.size_px[:, None, None])).all(axis=-1)
    is_thing = np.array([not (i == 0 and any(scene.of_subject)) for i in range(len(scene.shapes))])
    share = np.zeros(points.shape[:2])
    T = np.zeros((*points.shape[:2], 4, 4))
    T[..., :3, :], T[..., 3, 3] = scene.standing[:, : points.shape[1]], 1.0
    for v, eye in enumerate(scene.T_world_cam[:, :3, 3]):
        for o in np.flatnonzero(is_thing):
            there = ~np.isnan(points[v, o, :, 0])
            hidden = np.zeros(there.sum(), bool)
            for other in np.flatnonzero(is_thing):
                if other != o:
                    hidden |= passes_through_box(eye, points[v, o, there], T[v, other], scene.size_m[v, other])
            share[v, o] = (in_picture[v, o, there] & ~hidden).mean()
    return np.asarray((share >= LEAST_SEEN) & is_thing)


def matches_of(scene: PosedScene, pairs: np.ndarray, seen: np.ndarray) -> Matches:
    """What is seen in both pictures of pairs (k, 2) of views."""
    uv = _pixels(scene, _world_points(scene))
    a, b = pairs.T
    n, m = len(pairs), len(scene.shapes)
    known = ~np.isnan(uv[a, :, :, 0] + uv[b, :, :, 0]) & (seen[a] & seen[b])[..., None]
    square = np.abs(scene.size_m[:, :m, 0] / scene.size_m[:, :m, 1] - 1) < SQUARE_TO
    ways = np.tile(np.arange(N_POINTS), (n, m, len(WAYS), 1))
    boxes = np.array([shape == "box" for shape in scene.shapes])
    ways[:, boxes] = np.where(square[a][:, boxes, None, None] & square[b][:, boxes, None, None], WAYS, np.tile(WAYS[:4], (2, 1)))
    second = np.take_along_axis(uv[b][:, :, None], ways[..., None], axis=3)
    T_world_cv = opencv_from_blender(scene.T_world_cam)
    T_2_world = inverse(T_world_cv[b])
    middle = (T_2_world[:, :3, :3] @ scene.subject_center[b][..., None])[..., 0] + T_2_world[:, :3, 3]
    return Matches(uv[a], second, known, scene.K[a], scene.K[b], T_2_world @ T_world_cv[a], middle)


def _world_points(scene: PosedScene) -> np.ndarray:
    """(v, o, 8, 3) points of every object in every view, metres; NaN fills up objects with fewer."""
    n = len(scene.shapes)
    own = np.full((n, N_POINTS, 3), np.nan)
    for o, shape in enumerate(scene.shapes):
        points = _POINTS.get(shape, np.zeros((1, 3)))
        own[o, : len(points)] = points
    standing = scene.standing[:, :n]
    return np.asarray(np.einsum("voij,vopj->vopi", standing[..., :3], own * scene.size_m[:, :n, None]) + standing[..., None, :, 3])


def _pixels(scene: PosedScene, points: np.ndarray) -> np.ndarray:
    """(v, o, 8, 2) where points (v, o, 8, 3) appear; NaN behind the camera."""
    T = inverse(opencv_from_blender(scene.T_world_cam))
    p_cam = np.einsum("vij,vopj->vopi", T[:, :3, :3], points) + T[:, None, None, :3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = np.einsum("vij,vopj->vopi", scene.K, p_cam / p_cam[..., 2:])[..., :2]
    return np.where(p_cam[..., 2:] > 0, uv, np.nan)


def joined(parts: Sequence[Matches]) -> Matches:
    """Matches of several scenes; what has fewer things is filled up with things without points."""
    most = max((part.known.shape[1] for part in parts), default=0)
    fill = lambda values, empty: np.concatenate(
        [np.pad(v, [(0, most - v.shape[1] if axis == 1 else 0) for axis in range(v.ndim)], constant_values=empty) for v in values]
    )
    of = lambda name: [getattr(part, name) for part in parts]
    return Matches(
        fill(of("first"), np.nan),
        fill(of("second"), np.nan),
        fill(of("known"), False),
        *(np.concatenate(of(name)) for name in ("K_1", "K_2", "T_2_1", "middle")),
    )
