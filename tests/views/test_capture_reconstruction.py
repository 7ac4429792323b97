"""The whole way of a capture: pictures taken through a lens, COLMAP's reconstruction from nothing but them, our views; every direction is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from textured_scene import SUBJECT_SIZE, photographs, through_lens, walk_around
from toy_captures import limits

from actial.geometry.angles import Motion, motion_between
from actial.geometry.projection import intrinsics
from actial.rng import generator_for
from actial.shards import encode_png
from actial.views.captures import Capture, Origin, ingest_capture
from actial.views.labels import label_masks

N_VIEWS, SIZE_PX, K1 = 24, (320, 240), -0.12


@pytest.fixture(scope="module")
def walk() -> np.ndarray:
    """The true poses; the box stands on z = 0."""
    return walk_around(generator_for(0, "walk"), N_VIEWS)


@pytest.fixture(scope="module")
def capture(walk: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    folder = tmp_path_factory.mktemp("capture")
    wide_px = (420, 330)
    K, K_lens = intrinsics(*wide_px, 62.0), intrinsics(*SIZE_PX, 50.0)
    (folder / "images").mkdir()
    for i, picture in enumerate(photographs(generator_for(0, "photographs"), walk, K, wide_px)):
        (folder / f"images/{i:03d}.png").write_bytes(encode_png(through_lens(picture, K, K_lens, K1, SIZE_PX)))
    reconstruct(folder)
    return ingest_capture(folder, "scene-000000", Origin("own", "CC0-1.0", "box"), limits(longest_side_px=224, max_up_error_deg=2.0))


def reconstruct(folder: Path) -> None:
    """COLMAP with one unknown lens; the film's order tells which pictures to match."""
    database, images = folder / "database.db", folder / "images"
    extraction, matching, pairing, mapping = (
        pycolmap.FeatureExtractionOptions(),
        pycolmap.FeatureMatchingOptions(),
        pycolmap.SequentialPairingOptions(),
        pycolmap.IncrementalPipelineOptions(),
    )
    extraction.num_threads = matching.num_threads = mapping.num_threads = 1
    extraction.use_gpu = matching.use_gpu = False
    extraction.sift.max_num_features = 1200
    pairing.overlap, pairing.quadratic_overlap, mapping.random_seed = 4, False, 1
    pycolmap.set_random_seed(0)
    reader = pycolmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL")
    pycolmap.extract_features(database, images, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reader, extraction_options=extraction)
    pycolmap.match_sequential(database, matching_options=matching, pairing_options=pairing)
    pycolmap.incremental_mapping(database, images, folder / "sparse", options=mapping)


def both(walk: np.ndarray, capture: Capture) -> tuple[Motion, Motion]:
    """True and found motion of every ordered pair of the views."""
    kept = [int(Path(name).stem) for name in capture.names]
    found = np.stack([view.camera.pose() for view, _, _ in capture.views])
    i, j = np.nonzero(~np.eye(len(kept), dtype=bool))
    middle = np.array([0.0, 0.0, SUBJECT_SIZE[2] / 2])
    return motion_between(walk[kept][i], walk[kept][j], middle), motion_between(found[i], found[j], np.zeros(3))


def test_every_relative_direction_is_recovered(walk: np.ndarray, capture: Capture) -> None:
    assert len(capture.views) >= N_VIEWS - 4
    truth, found = both(walk, capture)
    true_labels, found_labels = label_masks(truth), label_masks(found)
    for kind in ("lateral", "turn", "orbit"):
        for label, other in (("left", "right"), ("right", "left")):
            asked = true_labels[kind][label]
            assert asked.sum() > 30 and not (asked & (found_labels[kind][other] | found_labels[kind]["none"])).any()
            assert (asked & found_labels[kind][label]).sum() > 0.97 * asked.sum()


def test_angles_and_ratios_are_right_within_the_stated_errors(walk: np.ndarray, capture: Capture) -> None:
    truth, found = both(walk, capture)
    off = {
        name: float(np.abs((x - y + 180) % 360 - 180 if name.endswith("deg") else x - y).max()) for name, x, y in zip(Motion._fields, truth, found, strict=True)
    }
    quality = capture.quality
    assert quality.n_object_points > 200 and quality.up_error_deg < 1 and quality.center_error_r < 0.05
    assert off["turn_deg"] < 1 and off["orbit_deg"] < 1.5 and max(off["pitch_deg"], off["roll_deg"]) < 6 * quality.up_error_deg
    assert max(off["lateral_r"], off["forward_r"], off["up_r"], off["radial_log"]) < 0.03
