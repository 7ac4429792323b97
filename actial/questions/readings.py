"""What each reading of a question offers to somebody who does not reason about space: the features that the probes of `shortcuts` are trained on.

A reading is less than what is asked about: the words alone, one picture alone, both pictures' colours, or the coarsest ways to compare two pictures.
Whoever answers right from less has found a shortcut, unless that reading decides the kind of question; `may_know` says where it does.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actial.geometry.poses import box_corners
from actial.questions.cues import ends, in_picture, lowest_and_highest, shift_with_height
from actial.records import LETTERS, SUFFIX_2D, Question, View
from actial.shards import ViewStore

TEXT, ALONE, SAME_TWICE, PIXELS, COLORS, SHIFT, SIZE, FLOOR, FLOW = "text", "alone", "same_twice", "pixels", "colors", "shift", "size", "floor", "flow"
PROBES = {
    TEXT: "the question's words, its options and their order",
    ALONE: "one picture alone: where the subject and its parts sit, how large they are, the horizon",
    SAME_TWICE: "one of the pictures shown twice, whichever it is: as alone, not told which",
    PIXELS: "one picture alone: thumbnail and colours",
    COLORS: "colour histograms of all pictures",
    SHIFT: "how far the subject and its parts move from picture to picture, in the mean",
    SIZE: "how much larger the subject and the spread of its parts become",
    FLOOR: "height x shift: whether what stands higher in the pictures slides against what stands lower",
    FLOW: "how far the whole picture moves, by phase correlation",
}
"""What each probe reads, in the order of the table."""
OF_ONE_PICTURE = frozenset({ALONE, PIXELS})
"""Probes that are asked once for each picture."""
OPENING = frozenset({PIXELS, COLORS, FLOW})
"""Probes that open the pictures; for the others the records tell where things are."""
COMPARING = frozenset({COLORS, SHIFT, SIZE, FLOOR, FLOW})
"""Probes that see more than one picture. Whether anything changed at all is theirs to know, so they are asked only where the truth is not none."""

_NEAR_OR_FAR = frozenset({"radial", "forward", "direction"})
_BOUNDED = _NEAR_OR_FAR | {"vertical", "pitch", "roll"}
_ANGLES = frozenset({"turn_angle", "orbit_angle"})
_TURNS = frozenset({"turn", "turn_angle", "pitch", "ego_movement"})
_MAY_KNOW: Mapping[str, frozenset[str]] = {
    ALONE: _BOUNDED,
    PIXELS: _BOUNDED,
    SHIFT: _TURNS,
    FLOW: _TURNS,
    SIZE: _NEAR_OR_FAR | {"vertical", "alteration"},
    COLORS: _NEAR_OR_FAR | {"vertical", "pitch"},
    FLOOR: _ANGLES | {"roll", "direction", "alteration"},
}
"""Kinds that a probe decides by right, if only in part.

One picture. How high, how near, how steep and how tilted a camera is can be read off one picture, and all of them have ends: who looks from as high as any
camera here can only have come from lower. No choice of pairs helps: for an answer "up" the second picture is always the higher one, so the two cannot have the
same heights in all. Sideways and around there are no such ends, and one picture may tell nothing.

Two pictures. A camera that turns slides everything. One that comes closer enlarges the subject; one that rises sees more of its top, so that its outline
changes its shape. How much of a picture has the subject's colours, or the sky's, tells its size and the camera's height and pitch. A roll turns the whole
picture, so that what stands higher slides; how far it slides tells the size of an angle, though not its sign, and a sideways movement from one ahead or up,
though not to which side. Which alteration was made shows in how the outline changed; whether any was, may not.
"""
_ANY_CHANGE = frozenset({"moved", "turned"})
"""Kinds that ask whether anything changed at all, which every comparison tells."""

THUMBNAIL, SMALL = 6, 48
"""Sides of the thumbnail that is a reading of one picture, and of the picture that colours and flow are taken from, pixels."""
_HUES, _LEVELS = 12, 5
_TOKENS = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def may_know(kind: str, probe: str, n_pictures: int) -> bool:
    """Whether a probe may answer a kind of question better than chance: what it reads decides that kind. A kind nobody has thought of may be known by none."""
    if probe == TEXT:
        return False
    if kind.endswith(SUFFIX_2D) or n_pictures == 1:
        return True
    return kind in _MAY_KNOW.get(probe, ()) or (probe in COMPARING and kind in _ANY_CHANGE)


@dataclass(frozen=True)
class Seen:
    """What one picture offers, for n views. Places are in picture widths, x to the right and y upward; NaN where something is not in the picture."""

    row: Mapping[str, int]
    """Of a view's id."""
    parts: np.ndarray
    """(n, p, 2) where the centres of the subject's parts are."""
    subject: np.ndarray
    """(n, 2) its centre."""
    box: np.ndarray
    """(n, 4) left, right, lower and upper end of the corners of its bounding box that are in the picture."""
    horizon: np.ndarray
    """(n,) height of the horizon in the middle of the picture."""
    colors: np.ndarray
    """(n, 22) shares of pixels by hue (weighted by saturation), saturation and brightness."""
    small: np.ndarray
    """(n, 48, 48) brightness, uint8."""


def look(store: ViewStore, view_ids: Sequence[str], open_pictures: bool) -> Seen:
    """Read the records of views, and their pictures if asked for.

    Raises:
        UserError: a view is not in the store.
        UnreadablePicture: a picture does not decode.
    """
    views = [store[view_id] for view_id in view_ids]
    poses = np.array([v.camera.T_world_cam or (np.nan,) * 16 for v in views]).reshape(-1, 4, 4)
    K = np.array([v.camera.K for v in views], dtype=float).reshape(-1, 3, 3)
    size_px = np.array([(v.camera.width_px, v.camera.height_px) for v in views], dtype=float)
    place = lambda points: in_picture(points, poses, K, size_px)
    pixels = [_of_picture(store, view_id) for view_id in view_ids] if open_pictures else []
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.tan(np.arcsin(np.clip(-poses[:, 2, 2], -1, 1)))  # of the viewing direction, -Z
    return Seen(
        row={view_id: i for i, view_id in enumerate(view_ids)},
        parts=place(_filled([_parts(v) for v in views])),
        subject=place(np.stack([_subject(v)[None] for v in views]))[:, 0],
        box=ends(place(np.stack([_corners(v) for v in views]))),
        horizon=-(K[:, 1, 2] + K[:, 1, 1] * slope) / size_px[:, 0],
        colors=np.array([colors for colors, _ in pixels]),
        small=np.array([small for _, small in pixels]),
    )


def features(probe: str, place: int, questions: Sequence[Question], seen: Seen | None, drawn: np.ndarray) -> np.ndarray:
    """(n, d) what a probe reads of n questions of one kind; NaN where a picture does not offer it.

    Args:
        place: which picture, for the probes of one alone.
        seen: the views asked about; None will do for the probe of text.
        drawn: (n,) in [0, 1): which picture is shown, for the probe that is not told.
    """
    if probe == TEXT:
        return text_features(questions)
    assert seen is not None, "every other probe reads pictures"
    rows = np.array([[seen.row[view_id] for view_id in q.view_ids] for q in questions])
    if probe == ALONE:
        return _picture(seen, rows[:, place])
    if probe == SAME_TWICE:
        return _picture(seen, rows[np.arange(len(rows)), (drawn * rows.shape[1]).astype(int)])
    if probe == PIXELS:
        return np.column_stack([seen.colors[rows[:, place]], _thumbnails(seen.small[rows[:, place]])])
    if probe == COLORS:
        return seen.colors[rows].reshape(len(rows), -1)
    compare = _COMPARED[probe]
    return np.column_stack([compare(seen, first, second) for first, second in itertools.pairwise(rows.T)])


def text_features(questions: Sequence[Question], most: int = 256) -> np.ndarray:
    """(n, at most `most`) which of the most frequent tokens each question has: words, pairs of words, lengths, and what each option is and how it ranks."""
    from sklearn.feature_extraction.text import CountVectorizer

    counted = CountVectorizer(analyzer=_tokens, binary=True, max_features=most)
    return np.asarray(counted.fit_transform(questions).toarray(), dtype=float)


def _tokens(q: Question) -> list[str]:
    words = _TOKENS.findall(q.text.lower())
    tokens = [f"word {w}" for w in words] + [f"words {a} {b}" for a, b in itertools.pairwise(words)] + [f"length {len(q.text)}"]
    numbers = [float(found[0]) for option in q.options if (found := _NUMBER.search(option))]
    ranks = {"longer": [len(option) for option in q.options]} | ({"larger": numbers} if len(numbers) == len(q.options) else {})
    for i, (option, label) in enumerate(zip(q.options, q.labels, strict=True)):
        tokens += [f"{LETTERS[i]} means {label}", f"{LETTERS[i]} says {option}"]
        tokens += [f"{LETTERS[i]} is {how} than {sum(values[i] > other for other in values)}" for how, values in ranks.items()]
    return tokens


def _picture(seen: Seen, row: np.ndarray) -> np.ndarray:
    parts, box = seen.parts[row], seen.box[row]
    middle, spread, slope = _moments(parts)
    size = np.column_stack([box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]])
    known = ~np.isnan(parts[..., 0])
    return np.column_stack([seen.subject[row], box, size, middle, spread, slope, known.sum(axis=1), seen.horizon[row]])


def _thumbnails(small: np.ndarray) -> np.ndarray:
    """(n, 36) mean brightness of 6 x 6 cells of small pictures."""
    cell = SMALL // THUMBNAIL
    return small.reshape(-1, THUMBNAIL, cell, THUMBNAIL, cell).mean(axis=(2, 4)).reshape(-1, THUMBNAIL**2)


def _shift(seen: Seen, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    moved = seen.box[second] - seen.box[first]
    parts = _moments(seen.parts[second] - seen.parts[first])[0]
    return np.column_stack([seen.subject[second] - seen.subject[first], parts, moved[:, 0] + moved[:, 1], moved[:, 2] + moved[:, 3]])


def _flow(seen: Seen, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    import cv2

    window = cv2.createHanningWindow((SMALL, SMALL), cv2.CV_32F)
    small = seen.small.astype(np.float32)
    moved = [cv2.phaseCorrelate(small[a], small[b], window) for a, b in zip(first, second, strict=True)]
    return np.array([(*shift, response) for shift, response in moved])


def _size(seen: Seen, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    def log_sizes(row: np.ndarray) -> np.ndarray:
        box, (_, spread, _) = seen.box[row], _moments(seen.parts[row])
        sizes = np.column_stack([box[:, 1] - box[:, 0], box[:, 3] - box[:, 2], spread])
        return np.log(np.where(sizes > 0, sizes, np.nan))

    return log_sizes(second) - log_sizes(first)


def _floor(seen: Seen, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    a, b = seen.parts[first], seen.parts[second]
    in_both = ~np.isnan(a + b)
    a, b = np.where(in_both, a, np.nan), np.where(in_both, b, np.nan)
    height, shift = (a + b)[..., 1], (b - a)[..., 0]
    (lowest, highest), row = lowest_and_highest(height), np.arange(len(a))
    return np.column_stack([shift_with_height(a, b), shift[row, lowest] - shift[row, highest]])


_COMPARED: Mapping[str, Callable[[Seen, np.ndarray, np.ndarray], np.ndarray]] = {SHIFT: _shift, SIZE: _size, FLOOR: _floor, FLOW: _flow}


def layouts_compared(parts: np.ndarray, subject: np.ndarray, box: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, 12) what the probes of shift, size and floor read together of pairs of pictures; in the other order of the two it has the other sign.

    Args:
        parts, subject, box: see `Seen`.
        first, second: (n,) places of the pairs' pictures in them.
    """
    nothing = np.empty(0)
    seen = Seen({}, parts, subject, box, horizon=nothing, colors=nothing, small=nothing)
    return np.column_stack([_COMPARED[probe](seen, first, second) for probe in (SHIFT, SIZE, FLOOR)])


def _moments(places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 2) means, (n, 2) standard deviations and (n,) mean product of the deviations of points (n, p, 2) that are there; NaN where there are none."""
    known = ~np.isnan(places).any(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = known.sum(axis=1)
        middle = np.where(known, places, 0).sum(axis=1) / n
        off = np.where(known, places - middle[:, None], 0)
        return middle, np.sqrt((off**2).sum(axis=1) / n), (off[..., 0] * off[..., 1]).sum(axis=1) / n[:, 0]


def _of_picture(store: ViewStore, view_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Colours and small picture of a view, see `Seen`."""
    import cv2

    pixels = cv2.resize(np.asarray(store.picture(view_id)), (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    hue, saturation, value = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), -1, 0)
    by_hue = np.bincount((hue // (180 // _HUES)).ravel(), weights=saturation.ravel() / 255, minlength=_HUES)
    by_level = [np.bincount((channel // 52).ravel(), minlength=_LEVELS) for channel in (saturation, value)]
    return np.concatenate([by_hue, *by_level]) / hue.size, value


def _subject(view: View) -> np.ndarray:
    return view.objects[0].center() if view.objects else np.full(3, np.nan)


def _corners(view: View) -> np.ndarray:
    if not view.objects:
        return np.full((8, 3), np.nan)
    subject = view.objects[0]
    return box_corners(np.array(subject.T_world_obj).reshape(4, 4), subject.size_m)


def _parts(view: View) -> np.ndarray:
    """(p, 3) centres of the subject's parts, or its own where it has none."""
    parts = [o.center() for o in view.objects if o.part_of == view.objects[0].name]
    return np.array(parts) if parts else _subject(view)[None]


def _filled(rows: Sequence[np.ndarray]) -> np.ndarray:
    """(n, p, 3) of arrays (p, 3) of different p, filled up with NaN."""
    most = max(len(row) for row in rows)
    return np.stack([np.pad(row, ((0, most - len(row)), (0, 0)), constant_values=np.nan) for row in rows])
