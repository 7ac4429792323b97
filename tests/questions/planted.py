"""Datasets of one kind of question, one for each scene, with a leak planted into one reading of them and into no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from toy_scenes import at

from actial import ids
from actial.geometry.poses import rotated_about
from actial.geometry.projection import intrinsics
from actial.records import LETTERS, Camera, Label, Question, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewWriter, encode_png
from actial.tables import write_questions

SIDES: tuple[Label, ...] = ("left", "right", "none")
SIDE_PX = 28
K = tuple(intrinsics(SIDE_PX, SIDE_PX, 60.0).ravel().tolist())


def plant(folder: Path, leak: str, n: int = 2400, kind: str = "orbit", seed: int = 5) -> Path:
    """Write `views/` and `questions.parquet`; returns the folder.

    Args:
        leak: none; text (the wording), letter (the order of the options), first (where the subject stands in the first picture), colors (the second picture is
            lighter or darker), shift (the subject slides), size (it grows), floor (its upper part slides against the lower one).
    """
    questions = []
    with ViewWriter(folder / "views", shard_mb=64) as writer:
        for i in range(n):
            rng = generator_for(seed, f"planted-{i}")
            label = int(rng.integers(3))
            sign = (-1, 1, 0)[label]
            views, pictures = _views(ids.scene_id(i), leak, sign, rng)
            for view, picture in zip(views, pictures, strict=True):
                writer.add(view, picture)
            questions.append(_question(views, kind, leak, label, rng))
    write_questions(folder / "questions.parquet", questions)
    return folder


def _question(views: list[View], kind: str, leak: str, label: int, rng: np.random.Generator) -> Question:
    order = [int(o) for o in rng.permutation(3)]
    if leak == "letter":
        order.remove(label)
        order.insert(1, label)
    ends = ("!", "?", ".")
    pair = ids.group_id(views[0].view_id, views[1].view_id)
    return Question(
        question_id=ids.question_id(pair, kind),
        kind=kind,
        family_id=pair,
        view_ids=(views[0].view_id, views[1].view_id),
        text=f"Which way{ends[label] if leak == 'text' else ends[int(rng.integers(3))]}",
        options=tuple(f"to {SIDES[o]}" for o in order),
        labels=tuple(SIDES[o] for o in order),
        truth=LETTERS[order.index(label)],
        deciding_quantity="orbit_deg",
        deciding_value=float((1, -1, 0)[label]),
        margin=1.0,
        scene_id=views[0].scene_id,
        tied_class="",
        source="planted",
        cue=("aligned", "conflict")[int(rng.integers(2))] if label < 2 else "none",
    )


def _views(scene_id: str, leak: str, sign: int, rng: np.random.Generator) -> tuple[list[View], list[bytes]]:
    """A subject of two parts, one above the other, before two cameras that stand at the origin and aim where they like."""
    middle_rad, gray, distance_m = rng.uniform(-0.25, 0.25), rng.uniform(60, 190), rng.uniform(3.5, 4.5)
    level, far_m, slide_m = np.full(2, gray), np.full(2, distance_m), np.zeros(2)
    half = np.array([-0.5, 0.5])
    if leak == "shift":
        yaw_rad = middle_rad + 0.04 * half * sign
    elif leak == "first":
        yaw_rad = np.array([0.12 * sign, 0.0]) + rng.uniform(-0.1, 0.1, 2)
    else:
        yaw_rad = rng.uniform(-0.25, 0.25, 2)
    if leak == "colors":
        level = gray + 40 * half * sign
    if leak == "size":
        far_m = distance_m * np.exp(0.2 * half * sign)
    if leak == "floor":
        slide_m = rng.uniform(-0.4, 0.4) + 0.2 * half * sign
    views, pictures = [], []
    for number in (0, 1):
        T = np.eye(4)
        T[:3, :3] = rotated_about(np.array([0, 0, 1.0]), yaw_rad[number]) @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # looks along +Y
        center = np.array([0.0, far_m[number], 0.0])
        places = {"red": (slide_m[number], 0.0, 0.4), "blue": (-slide_m[number], 0.0, -0.4)}
        parts = [SceneObject(n, "box", "boxes", n, at(center + np.array(p)), (0.3,) * 3, "subject") for n, p in places.items()]
        objects = (SceneObject("subject", "composite", "boxes", "", at(center), (0.6, 0.6, 1.2)), *parts)
        camera = Camera(SIDE_PX, SIDE_PX, K, tuple(T.ravel().tolist()))
        views.append(View(ids.view_id(scene_id, number), scene_id, camera, objects, "planted", "CC0-1.0"))
        pictures.append(encode_png(np.clip(rng.normal(level[number], 20, (SIDE_PX, SIDE_PX, 3)), 0, 255).astype(np.uint8)))
    return views, pictures
