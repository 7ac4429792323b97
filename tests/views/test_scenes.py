"""Procedural scenes: solid, standing, told apart by colour, at varied heights, the same for the same seed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actial import ids
from actial.rng import generator_for
from actial.views.arrangements import ARRANGEMENTS, overlap
from actial.views.scenes import HDRIS, PALETTE, PATTERNS, SURROUNDINGS_FROM_M, Look, compose_scene, with_look

SCENES = [compose_scene(seed, ids.scene_id(seed)) for seed in range(100)]


@settings(max_examples=60)
@given(st.integers(0, 2**40), st.integers(0, 999_999))
def test_nothing_overlaps_and_nothing_is_sunk(root_seed: int, index: int) -> None:
    scene = compose_scene(root_seed, ids.scene_id(index))
    solids = scene.subject_solids
    assert all(s.bottom_m > 0 for s in solids)
    assert all(s.bottom_m >= 0 for s in scene.surroundings)
    assert not [(a.name, b.name) for i, a in enumerate(solids) for b in solids[:i] if overlap(a, b)]


@settings(max_examples=60)
@given(st.integers(0, 2**40))
def test_rows_name_the_subject_and_its_parts(root_seed: int) -> None:
    scene = compose_scene(root_seed, "scene-000000")
    subject, *parts = scene.objects()
    assert (subject.name, subject.shape, subject.part_of) == ("subject", "composite", None)
    assert 3 <= len(parts) <= 6
    assert len({p.color for p in parts}) == len(parts) and {p.color for p in parts} <= set(PALETTE)
    assert {p.part_of for p in parts} == {"subject"} and {o.family for o in (subject, *parts)} == {scene.family}
    low, high = scene.subject_box()
    np.testing.assert_allclose(subject.center(), (low + high) / 2)
    np.testing.assert_allclose(subject.size_m, high - low)


def test_parts_stand_at_varied_heights() -> None:
    spread = [np.ptp([p.center_m[2] for p in s.parts]) for s in SCENES]
    lifted = [p.bottom_m > 0.1 for s in SCENES for p in s.parts]
    assert np.quantile(spread, 0.1) > 0.2
    assert 0.4 < np.mean(lifted) < 0.9


def test_a_subject_has_depth_from_wherever_it_is_looked_at() -> None:
    directions = np.exp(1j * np.linspace(0, np.pi, 36, endpoint=False))
    spreads = []
    for scene in SCENES:
        on_map = np.array([complex(*p.center_m[:2]) for p in scene.parts])
        spread_m = min(np.ptp((on_map * d.conjugate()).real) for d in directions)
        low, high = scene.subject_box()
        spreads.append(spread_m / max(high - low))
    assert min(spreads) > 0.04 and np.quantile(spreads, 0.1) > 0.14


def test_surroundings_stand_outside_the_ring_of_cameras() -> None:
    for scene in SCENES:
        assert len(scene.surroundings) >= 6
        assert all(np.linalg.norm(s.corners()[:, :2], axis=1).min() > SURROUNDINGS_FROM_M - 0.5 for s in scene.surroundings)


def test_every_family_is_drawn_and_seeds_give_distinct_scenes() -> None:
    assert {s.family for s in SCENES} == set(ARRANGEMENTS)
    assert len({s.parts for s in SCENES}) == len(SCENES)
    assert compose_scene(5, "scene-000005") == SCENES[5]


def test_seeds_give_distinct_meshes() -> None:
    """As they are built, before scale, turn and colour, in whole centimetres: of 10,000 seeds all differ, of which a tenth is tried here."""
    meshes = set()
    for seed in range(1000):
        rng = generator_for(seed, "mesh")
        parts, stands = ARRANGEMENTS[str(rng.choice(sorted(ARRANGEMENTS)))](rng)
        meshes.add(frozenset((s.shape, *np.rint(100 * np.array([*s.size_m, *s.center_m, s.yaw_rad])).astype(int).tolist()) for s in parts + stands))
    assert len(meshes) >= 990


def test_touching_and_overlapping_are_told_apart() -> None:
    from actial.views.arrangements import Solid

    box = Solid("box", (1.0, 1.0, 1.0), (0.0, 0.0, 0.5), 0.0)
    assert overlap(box, Solid("box", (1.0, 1.0, 1.0), (0.9, 0.0, 0.5), 0.0))
    assert not overlap(box, Solid("box", (1.0, 1.0, 1.0), (1.01, 0.0, 0.5), 0.0))
    assert overlap(box, Solid("box", (1.0, 1.0, 1.0), (1.1, 0.0, 0.5), np.pi / 4)), "a corner reaches in"
    assert not overlap(box, Solid("sphere", (1.0, 1.0, 1.0), (0.9, 0.9, 0.5), 0.0)), "round things have no corners"
    assert not overlap(box, Solid("box", (1.0, 1.0, 1.0), (0.0, 0.0, 1.51), 0.0))


def test_a_look_changes_light_ground_and_background_and_nothing_else() -> None:
    looks = [with_look(scene, Look(("hdri", "three_point"), ("plain", "stripes"), surroundings=False), 5) for scene in SCENES]
    assert [with_look(scene, Look(), 5) for scene in SCENES] == SCENES
    assert {look.sky.light for look in looks} == {"hdri", "three_point"} and {look.sky.hdri for look in looks} == {*HDRIS, ""}
    for look, scene in zip(looks, SCENES, strict=True):
        assert (look.sky.hdri != "") == (look.sky.light == "hdri") and look.surroundings == ()
        assert look.ground.pattern == "stripes" or (look.ground.tones[0] == look.ground.tones[1] and look.ground.pattern in PATTERNS)
        assert (look.parts, look.stands, look.scene_id) == (scene.parts, scene.stands, scene.scene_id)
