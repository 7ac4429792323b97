"""The numpy renderer: pixels where projection says, the nearer thing in front, determinism."""

from dataclasses import replace

import numpy as np
import pytest

from actial.geometry.projection import project
from actial.views import boxes, committed
from actial.views.arrangements import PART_SHAPES, Solid
from actial.views.committed import Plan

PLAN = Plan(root_seed=11, source="boxes", views_per_scene=8, width_px=84, height_px=84, samples=2)


@pytest.mark.parametrize("shape", PART_SHAPES)
def test_a_lone_solid_fills_the_outline_of_its_surface(shape: str) -> None:
    """The mask equals the convex hull of projected surface points, within a pixel at its border."""
    from scipy.spatial import ConvexHull

    scene, shots = committed.composed(PLAN, "scene-000000")
    solid = Solid(shape, (0.7, 0.5 if shape == "box" else 0.7, 0.6), scene.parts[0].center_m, 0.4, "alone", "red", (1.0, 0.0, 0.0))
    scene = replace(scene, parts=(solid,), stands=())
    for shot in shots:
        uv, _ = project(_surface(solid), shot.camera.intrinsics(), shot.camera.pose())
        u, v = np.meshgrid(np.arange(84) + 0.5, np.arange(84) + 0.5)
        sides = ConvexHull(uv).equations
        distance = (sides[:, 0, None, None] * u + sides[:, 1, None, None] * v + sides[:, 2, None, None]).max(axis=0)
        mask = boxes.part_masks(scene, [shot])[0] == 1
        assert mask[distance < -0.3].all() and not mask[distance > 0.3].any()


def _surface(solid: Solid) -> np.ndarray:
    """Points on the outline-giving edges and rounds of a solid, world."""
    a, z = np.meshgrid(np.linspace(0, 2 * np.pi, 200), np.linspace(-0.5, 0.5, 60))
    if solid.shape == "box":
        return solid.corners()
    radius = {"sphere": np.sqrt(np.maximum(0.25 - z**2, 0)), "cylinder": z * 0 + 0.5, "cone": (0.5 - z) / 2}[solid.shape]
    local = np.stack([radius * np.cos(a), radius * np.sin(a), z], axis=-1).reshape(-1, 3) * solid.size_m
    return local @ solid.pose()[:3, :3].T + solid.pose()[:3, 3]


def test_the_nearer_part_hides_the_farther() -> None:
    scene, shots = committed.composed(PLAN, "scene-000001")
    eye = shots[0].camera.pose()[:3, 3]
    far = Solid("box", (0.5, 0.5, 0.5), (0.0, 0.0, 0.5), 0.0, "far", "red", (1.0, 0.0, 0.0))
    near = replace(far, center_m=tuple(np.array([0.0, 0.0, 0.5]) * 0.6 + eye * 0.4), name="near")
    for parts in ((far, near), (near, far)):
        mask = boxes.part_masks(replace(scene, parts=parts, stands=()), [shots[0]])[0]
        u, v = project(np.array([[0.0, 0.0, 0.5]]), shots[0].camera.intrinsics(), shots[0].camera.pose())[0][0]
        assert parts[mask[int(v), int(u)] - 1].name == "near"


def test_colours_show_where_the_mask_says() -> None:
    scene, shots = committed.composed(PLAN, "scene-000002")
    picture = boxes.render(scene, shots[0])
    for i, part in enumerate(scene.parts, start=1):
        if (picture.mask == i).sum() > 8:
            seen = picture.pixels[picture.mask == i].mean(axis=0)
            assert np.corrcoef(seen, np.array(part.rgb) ** (1 / 2.2))[0, 1] > 0.9 or part.color == "white"


def test_the_same_shot_gives_the_same_pixels_and_another_noise_seed_does_not() -> None:
    scene, shots = committed.composed(PLAN, "scene-000003")
    again = boxes.render(scene, shots[0])
    np.testing.assert_array_equal(again.pixels, boxes.render(scene, shots[0]).pixels)
    other = boxes.render(scene, replace(shots[0], noise_seed=shots[0].noise_seed + 1))
    assert (again.pixels != other.pixels).mean() > 0.2
    np.testing.assert_array_equal(again.mask, other.mask)
