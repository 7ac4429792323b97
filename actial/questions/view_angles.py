"""How differently the pictures of a question look on: the angle between their cameras."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from actial.geometry.angles import motion_between
from actial.records import Question
from actial.shards import ViewStore


def rotations_deg(questions: Sequence[Question], store: ViewStore) -> dict[str, float]:
    """By question the angle of the whole rotation between its cameras, degrees; of three views the largest between two. Questions about one view, or about a
    camera that is not known, are left out.
    """
    pairs = [(q.question_id, *pair) for q in questions for pair in itertools.combinations(q.view_ids, 2)]
    poses = {view_id: store[view_id].camera.T_world_cam for view_id in {view_id for _, *views in pairs for view_id in views}}
    known = [pair for pair in pairs if poses[pair[1]] is not None and poses[pair[2]] is not None]
    if not known:
        return {}
    first, second = (np.array([poses[pair[place]] for pair in known], dtype=np.float64).reshape(-1, 4, 4) for place in (1, 2))
    angles: dict[str, float] = {}
    for (question_id, *_), angle_deg in zip(known, motion_between(first, second, np.zeros(3)).rotation_deg, strict=True):
        angles[question_id] = max(angles.get(question_id, 0.0), float(angle_deg))
    return angles
