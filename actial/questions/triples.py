"""Which three views are asked about, and in which order their pictures are shown.

Each scene offers its triples with clear arcs, in an order drawn by the seed. Within a split and kind they are dealt round the labels: a triple's label is
given first, and its pictures are put into an order of which that label is true. So every label is right equally often, and nothing but the seed decides it.

What stands higher slides steadily against what stands lower as a camera goes around, and pictures from places near each other are more alike than others: by
that three pictures are put in order without any idea of space. With `build_qa.caliper` triples are kept so that what the audit's probes compare does not tell
the answer (`untold`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from actial import ids
from actial.geometry.arcs import Arc, arc_of_three, azimuth_deg
from actial.params_questions import BuildQA
from actial.questions.cues import LEAST_SHIFT, ends, in_picture, slope
from actial.questions.deciding import NEAR_AXIS, OTHER_MOVED, OUT_OF_SIGHT, PITCHED, REASONS, SUBJECT_MOVED
from actial.questions.pairs import MOVED_M_PER_R, outline_points, places_in_sight, states_of, usable_views
from actial.questions.readings import layouts_compared
from actial.questions.scan import PosedScene
from actial.questions.spilled import SpilledRows, blocks
from actial.questions.three_views import BETWEEN, ThreeViewKind, three_view_kinds_of
from actial.questions.untold import untold
from actial.records import Cue
from actial.rng import generator_for

GAP, WIDE = -101, -102
REASONS_OF_THREE = {
    GAP: "two views too close on the arc",
    WIDE: "arc as large as not asked, or larger",
    **{code: REASONS[code] for code in (NEAR_AXIS, PITCHED, SUBJECT_MOVED, OTHER_MOVED)},
    OUT_OF_SIGHT: "subject not in all three pictures",
}
"""Why a triple is not asked about; where there are several, the last in this order that holds."""


_ORDERS = list(itertools.permutations(range(3)))
_PAIRS = ((0, 1), (1, 2), (0, 2))
_DIGITS = 6
"""Decimals of what is compared: a choice must not hang on the last bits of a sine."""


@dataclass(frozen=True)
class Triple:
    """A question about three views."""

    kind: ThreeViewKind
    scene: int
    """Number of the scene, in the order of the pass."""
    family_id: str
    view_ids: tuple[str, str, str]
    """In the order of the pictures."""
    label: int
    """Place in the kind's labels."""
    least_gap_deg: float
    margin: float
    cue: Cue


FOUND = np.dtype(
    [
        ("scene", np.int32),
        ("on_arc", np.int16, 3),
        ("least_gap_deg", np.float64),
        ("margin", np.float64),
        ("slide", np.float32, 3),
        ("order", np.int8),
        ("told", np.float32, (len(_PAIRS), 12)),
    ]
)
"""A triple that may be asked about: its views, numbers in their scene, counter-clockwise from above; how far to the right their higher parts stand of the
lower ones; and with the three put into an order that does not follow the arc, a place in `_ORDERS`, what comparing them tells."""
IN_MEMORY = ("scene",)


@dataclass(frozen=True)
class Asked:
    """The questions about a split, by kind and scene."""

    rows: SpilledRows
    """Of dtype `FOUND`."""
    scene_ids: Sequence[str]
    dealt: Sequence[tuple[ThreeViewKind, np.ndarray, np.ndarray, np.ndarray]]
    """Of each kind: (n,) places of rows, ascending, and of the labels; (n,) bool, see `shown_in_order`."""

    def __len__(self) -> int:
        return sum(len(places) for _, places, _, _ in self.dealt)

    def __iter__(self) -> Iterator[Triple]:
        for kind, places, labels, reverse in self.dealt:
            dealt = zip(itertools.chain.from_iterable(self.rows.chunks(places)), labels.tolist(), reverse.tolist(), strict=True)
            for found, label, turned in dealt:
                scene, numbers = int(found["scene"]), found["on_arc"].tolist()
                first, second, third = (ids.view_id(self.scene_ids[scene], number) for number in numbers)
                family_id = ids.group_id(*(ids.view_id(self.scene_ids[scene], number) for number in sorted(numbers)))
                pictures = shown_in_order(kind, (first, second, third), label, turned)
                yield Triple(kind, scene, family_id, pictures, label, float(found["least_gap_deg"]), float(found["margin"]), cue_of(kind, found["slide"]))


@dataclass
class TripleFinder:
    """Looks at the scenes as they pass by on their way to somebody else, and keeps up to `triples_per_kind` triples of each."""

    settings: BuildQA
    seed: int
    file: BinaryIO
    """Empty; where the triples are kept."""
    refused: Counter[str] = field(default_factory=Counter)
    """Triples, by kind and reason."""
    n_looked_at: int = 0
    _scene_ids: list[str] = field(default_factory=list)
    _stays: dict[str, np.ndarray] = field(default_factory=dict)
    """By kind."""

    def __post_init__(self) -> None:
        self.kinds = three_view_kinds_of(self.settings)
        self._rows = SpilledRows(self.file, FOUND, IN_MEMORY)

    def watched(self, scenes: Iterable[PosedScene]) -> Iterator[PosedScene]:
        """The same scenes; each is looked at before it is handed on."""
        for number, scene in enumerate(scenes):
            if self.kinds:
                self._scene_ids.append(scene.scene_id)
                self._rows.add(self._look_at(number, scene))
            yield scene

    def asked(self, split_name: str, in_split: np.ndarray) -> Asked:
        """The questions about a split.

        Args:
            in_split: (n,) bool, of all scenes in the order of the pass.
        """
        here = np.flatnonzero(in_split[self._rows["scene"]])
        dealt = []
        for kind in self.kinds:
            places = self._untold(kind, here)
            generator = generator_for(self.seed, f"{split_name}/{kind.name}/triples")
            drawn = generator.permutation(len(places))[: len(places) // len(kind.labels) * len(kind.labels)]
            self.refused[f"{kind.name}: thinned to balance labels"] += len(places) - len(drawn)
            reverse, order = generator.random(len(places)) < 0.5, np.argsort(drawn)
            dealt.append((kind, places[drawn[order]], order % len(kind.labels), reverse[drawn[order]]))
        return Asked(self._rows, self._scene_ids, dealt)

    def _untold(self, kind: ThreeViewKind, here: np.ndarray) -> np.ndarray:
        """The places in `here`, of the rows, that a kind may ask about without that comparing pictures tells the answer."""
        if self.settings.caliper is None:
            return here
        if kind.name not in self._stays:
            self._stays[kind.name] = self._stay(kind)
        kept = here[self._stays[kind.name][here]]
        self.refused[f"{kind.name}: left out, so that no slide tells the order"] += len(here) - len(kept)
        return kept

    def _stay(self, kind: ThreeViewKind) -> np.ndarray:
        """(n,) bool, of all rows: splits are thinned together, since few rows teach little."""
        stay = np.zeros(len(self._rows), dtype=bool)
        for number, places in enumerate(blocks(np.arange(len(self._rows)))):
            rows = self._rows.read(places)
            answer = np.argsort(np.array(_ORDERS)[rows["order"]], axis=1)[:, 1] if kind is BETWEEN else rows["order"]
            kept = untold(rows["told"].reshape(len(rows), -1), answer, rows["scene"], self.seed, f"{kind.name}/triples-{number}")
            stay[places[kept]] = True
        return stay

    def _look_at(self, number: int, scene: PosedScene) -> np.ndarray:
        """Chooses the scene's triples: those with the smallest of random keys. Of dtype `FOUND`."""
        views = usable_views(scene, Counter())
        triples = np.array(list(itertools.combinations(range(len(views)), 3)), dtype=int).reshape(-1, 3)
        self.n_looked_at += len(triples)
        arc, code = decided(scene, views, triples, self.settings)
        clear = np.flatnonzero(code == 0)
        key = generator_for(self.seed, f"{scene.scene_id}/triples").random(len(triples))
        chosen = np.sort(clear[np.argsort(key[clear], kind="stable")][: self.settings.three_views.triples_per_kind])
        for kind in self.kinds:
            for reason, text in REASONS_OF_THREE.items():
                self.refused[f"{kind.name}: {text}"] += int(np.count_nonzero(code == reason))
            self.refused[f"{kind.name}: scene has enough"] += len(clear) - len(chosen)
        found = np.zeros(len(chosen), FOUND)
        on_arc = np.take_along_axis(triples[chosen], arc.order[chosen], axis=1)
        found["scene"] = number
        found["on_arc"] = np.array([ids.parse(view_id).first for view_id in scene.view_ids], dtype=np.int16)[views[on_arc]]
        found["least_gap_deg"] = arc.gaps_deg[chosen].min(axis=1)
        found["margin"] = margins_of_three(arc, self.settings)[chosen]
        found["slide"], found["order"], found["told"] = compared(scene, views, on_arc, key[chosen])
        return found


def decided(scene: PosedScene, views: np.ndarray, triples: np.ndarray, settings: BuildQA) -> tuple[Arc, np.ndarray]:
    """The arc of each triple (t, 3) of a scene's usable views, and (t,) 0 where it is asked about, else a key of `REASONS_OF_THREE`."""
    T, center = scene.T_world_cam[views], scene.subject_center[views]
    a = T[:, :3, 3] - center
    r = np.linalg.norm(a, axis=1)
    arc = arc_of_three(azimuth_deg(T[:, :3, 3], center)[triples])
    pitch_deg = np.degrees(np.arcsin(np.clip(-T[:, 2, 2], -1.0, 1.0)))
    moved = [np.linalg.norm(center[triples[:, i]] - center[triples[:, j]], axis=1) > MOVED_M_PER_R * r[triples[:, i]] for i, j in ((0, 1), (0, 2))]
    state = states_of(scene, views)[triples]
    holds = {
        GAP: arc.gaps_deg.min(axis=1) < settings.three_views.min_gap_deg,
        WIDE: arc.gaps_deg.sum(axis=1) >= settings.three_views.max_arc_deg,
        NEAR_AXIS: (np.hypot(a[:, 0], a[:, 1]) <= settings.min_level_distance_r * r)[triples].any(axis=1),
        PITCHED: (np.abs(pitch_deg) > settings.max_pitch_deg)[triples].any(axis=1),
        SUBJECT_MOVED: moved[0] | moved[1],
        OTHER_MOVED: (state != state[:, :1]).any(axis=1) & ~(moved[0] | moved[1]),
        OUT_OF_SIGHT: ~places_in_sight(scene, views)[triples].all(axis=1),
    }
    code = np.zeros(len(triples), dtype=int)
    for reason in REASONS_OF_THREE:
        code[holds[reason]] = reason
    return arc, code


def compared(scene: PosedScene, views: np.ndarray, on_arc: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What comparing the pictures of triples of a scene's usable views tells: `slide` (t, 3), along the arc; `order` and `told` (t, 3, 12), see `FOUND`.

    They are put in order by their slides, or, where not enough of the subject is in all three, by how far to a side it sits: who compares them can do so, too.

    Args:
        on_arc: (t, 3) places in `views`.
        drawn: (t,) in [0, 1): decides where neither does.
    """
    optics = scene.T_world_cam[views], scene.K[views], scene.size_px[views]
    parts, subject = in_picture(scene.points[views], *optics), in_picture(scene.subject_center[views][:, None], *optics)[:, 0]
    box = ends(in_picture(outline_points(scene.standing[views, 0], scene.size_m[views, 0]), *optics))
    in_all = np.where(np.isnan(parts[on_arc].sum(axis=(1, 3), keepdims=True)), np.nan, parts[on_arc])
    height = np.broadcast_to(in_all[..., 1].mean(axis=1, keepdims=True), in_all.shape[:3])
    slide = np.round(slope(in_all[..., 0].reshape(-1, parts.shape[1]), height.reshape(-1, parts.shape[1])).reshape(-1, 3), _DIGITS)
    key = np.where(np.isnan(slide).any(axis=1, keepdims=True), np.round(subject[on_arc, 0], _DIGITS), slide)
    key = np.where(np.isnan(key).any(axis=1, keepdims=True), np.array(_ORDERS)[(drawn * len(_ORDERS)).astype(int)], key)
    order = np.argsort(key, axis=1, kind="stable")
    shown = np.take_along_axis(on_arc, order, axis=1)
    told = [layouts_compared(parts, subject, box, shown[:, i], shown[:, j]) for i, j in _PAIRS]
    return slide, 2 * order[:, 0] + (order[:, 1] > order[:, 2]), np.round(np.stack(told, axis=1), _DIGITS)


def cue_of(kind: ThreeViewKind, slides: np.ndarray) -> Cue:
    """Whether the cameras follow each other along the arc as the higher parts slide to the right against the lower ones, see `FOUND`: then the 2D cue of an
    orbit (`cues.FLOOR`) gives the order away; and whichever way they slide, it gives the middle away.
    """
    if not np.diff(np.sort(slides)).min() >= LEAST_SHIFT:
        return "none"
    steps = np.diff(slides)
    return "aligned" if (steps > 0).all() or (kind is BETWEEN and (steps < 0).all()) else "conflict"


def margins_of_three(arc: Arc, settings: BuildQA) -> np.ndarray:
    """(t,) distance of the smaller gap, or of the whole arc, from its boundary, as a share of that boundary: whichever is less."""
    three = settings.three_views
    return np.asarray(np.minimum(arc.gaps_deg.min(axis=1) / three.min_gap_deg - 1, 1 - arc.gaps_deg.sum(axis=1) / three.max_arc_deg))


def shown_in_order(kind: ThreeViewKind, on_arc: tuple[str, str, str], label: int, reverse: bool) -> tuple[str, str, str]:
    """The views in an order of the pictures of which a label is true.

    Args:
        on_arc: the views, counter-clockwise.
        label: place in the kind's labels.
        reverse: which of the two orders that have the same picture in the middle; not used where the label decides.
    """
    shown = list(on_arc)
    if kind is BETWEEN:
        outer = [on_arc[2], on_arc[0]] if reverse else [on_arc[0], on_arc[2]]
        shown = [*outer[:label], on_arc[1], *outer[label:]]
    else:
        for view_id, picture in zip(on_arc, kind.labels[label].split("-"), strict=True):
            shown[int(picture) - 1] = view_id
    first, second, third = shown
    return first, second, third
