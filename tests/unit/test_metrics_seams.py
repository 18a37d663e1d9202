"""Errors near the edges of tiles: which points are near, and the ratio that is formed."""

import numpy as np
import pytest

from flexbench.metrics.seams import SEAM_WIDTH, edge_distance, near_seams
from flexbench.metrics.snapshot_scores import score_snapshot

SEAMS = {"seam_ratio", "seam_error", "inner_error"}


def names(scores):
    return {name for name, _ in scores}


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("size", "patch"), [(32, 16), (41, 16), (16, 16), (12, 5)])
def test_distances_by_counting(size, patch, periodic):
    """Edges between points e - 1 and e, e a multiple of the patch; the domain ends count twice."""
    edges = [edge for edge in range(0, size + 1, patch) if periodic or 0 < edge < size]
    edges += [0, size] if periodic else []
    for point, found in enumerate(edge_distance(size, patch, periodic=periodic)):
        far = [edge - point if edge > point else point - edge + 1 for edge in edges]
        if (far and min(far) <= SEAM_WIDTH) or found <= SEAM_WIDTH:
            assert found == min(far)


def test_near_points_are_a_frame_around_each_tile():
    near = near_seams((64, 32), 32)
    assert near.shape == (64, 32)
    assert not near[4:28, 4:28].any()
    assert near.sum() == 64 * 32 - 2 * 24 * 24
    assert not near_seams((32, 32), 32, periodic=False).any()
    assert near_seams((16, 16), 8).all()


def test_ratio_of_known_errors():
    """Errors of 3 on the frames and 2 inside, of either sign."""
    truth = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    error = np.where(near_seams(truth.shape, 32), 3.0, -2.0)
    ensemble = (truth + error)[None].astype(np.float32)
    scores, _ = score_snapshot(ensemble, truth, bands=3, patch=32)
    assert scores["seam_error", ""] == pytest.approx(3, rel=1e-6)
    assert scores["inner_error", ""] == pytest.approx(2, rel=1e-6)
    assert scores["seam_ratio", ""] == pytest.approx(1.5, rel=1e-6)


def test_only_where_there_are_tiles_with_an_inside():
    truth = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    for patch, periodic, present in (
        (0, True, False),
        (8, True, False),
        (16, True, True),
        (32, True, True),
        (32, False, False),
    ):
        scores, _ = score_snapshot(truth[None] + 1, truth, bands=3, patch=patch, periodic=periodic)
        assert (names(scores) & SEAMS == SEAMS) is present
        assert bool(names(scores) & SEAMS) is present
