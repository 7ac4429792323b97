"""What is measured of a mesh: extent, outline, roundness, and where it is put."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from actial.errors import RefusedAsset
from actial.geometry.poses import rotated_about
from actial.views.asset_shapes import AssetShape, is_round, placed, shape_of

UP = np.array([0.0, 0.0, 1.0])


def arrays(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def round_or_not(mesh: trimesh.Trimesh, seed: int = 0) -> bool:
    return is_round(*arrays(mesh), np.random.default_rng(seed))


def can(n_sides: int) -> trimesh.Trimesh:
    return trimesh.creation.cylinder(radius=0.5, height=1.0, sections=n_sides)


def with_knob(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.util.concatenate([mesh, trimesh.creation.box((0.2, 0.05, 0.1)).apply_translation([0.55, 0, 0.2])])


@pytest.mark.parametrize("seed", range(3))
def test_what_looks_the_same_from_all_around(seed: int) -> None:
    bottle = trimesh.creation.revolve([[0.0, 0.0], [0.3, 0.0], [0.3, 0.6], [0.1, 0.8], [0.1, 1.0], [0.0, 1.0]], sections=40)
    for mesh in (can(12), can(64), trimesh.creation.icosphere(3), trimesh.creation.cone(0.5, 1.0), bottle):
        assert round_or_not(mesh, seed)
    lying = can(64).apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    for mesh in (can(4), can(5), can(6), with_knob(can(64)), lying, trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 0.8, 1))):
        assert not round_or_not(mesh, seed)


def test_the_finest_and_the_coarsest_mesh_of_one_thing_agree() -> None:
    fine = with_knob(can(64)).subdivide().subdivide()
    assert not round_or_not(fine) and round_or_not(can(64).subdivide())


meshes = st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=8, max_size=40, unique=True).map(np.array)


@settings(max_examples=60, deadline=None)
@given(points=meshes, yaw=st.floats(-np.pi, np.pi), radius=st.floats(0.1, 5))
def test_a_placed_mesh_stands_on_its_foot_with_its_size(points: np.ndarray, yaw: float, radius: float) -> None:
    triangles = np.array([[i, j, k] for i in range(len(points)) for j in range(i) for k in range(j)])
    try:
        shape = shape_of(points, triangles, np.random.default_rng(0))
    except RefusedAsset:
        return
    foot = np.array([1.0, -2.0, 0.5])
    T = placed(shape, radius, yaw, foot)
    world = points @ T[:3, :3].T + T[:3, 3]
    scale = np.linalg.norm(T[:3, 0])
    assert np.allclose(T[:3, :3] @ T[:3, :3].T, scale**2 * np.eye(3), atol=1e-9 * scale**2) and np.linalg.det(T[:3, :3]) > 0
    assert np.isclose(world[:, 2].min(), 0.5, atol=1e-5 * radius)
    low, high = points.min(axis=0), points.max(axis=0)
    middle = T[:3, :3] @ ((low + high) / 2) + T[:3, 3]
    assert np.allclose(middle[:2], foot[:2], atol=1e-5 * radius)
    assert np.isclose(scale * np.linalg.norm(high - low), 2 * radius)
    hull = np.array(shape.hull) @ T[:3, :3].T + T[:3, 3]
    for direction in np.random.default_rng(1).normal(size=(20, 3)):
        assert np.isclose((hull @ direction).max(), (world @ direction).max(), atol=1e-4 * radius * np.linalg.norm(direction)), (
            "the hull has the outline of the whole"
        )


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-9, 1e9))
def test_size_does_not_matter(scale: float) -> None:
    mesh = with_knob(can(32))
    vertices, triangles = arrays(mesh)
    shape = shape_of(vertices * scale, triangles, np.random.default_rng(0))
    assert not shape.is_round and np.allclose(shape.extent(), np.ptp(vertices, axis=0) * scale, rtol=1e-5)


def test_flat_and_empty_things_are_refused() -> None:
    rng = np.random.default_rng(0)
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    with pytest.raises(RefusedAsset, match="flat"):
        shape_of(square, np.array([[0, 1, 2], [0, 2, 3]]), rng)
    tilted = square @ rotated_about(np.array([1.0, 1.0, 0.3]), 0.7).T
    with pytest.raises(RefusedAsset, match="flat"):
        shape_of(tilted, np.array([[0, 1, 2], [0, 2, 3]]), rng)
    with pytest.raises(RefusedAsset, match="no face"):
        shape_of(square, np.empty((0, 3), int), rng)


def test_a_stray_vertex_of_no_face_does_not_count() -> None:
    vertices, triangles = arrays(can(6))
    shape = shape_of(np.vstack([vertices, [[100.0, 0, 0]]]), triangles, np.random.default_rng(0))
    assert isinstance(shape, AssetShape) and shape.high[0] < 1
