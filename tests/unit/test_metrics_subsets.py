"""The pull of the first m members is the pull of an ensemble of m."""

import numpy as np
import pytest
from known_ensembles import ensemble_with

from flexbench.metrics.calibration import sigma_ref, subset_sizes
from flexbench.metrics.probabilistic import measure_points
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.metrics.subsets import pulls_of_first


def test_sizes_are_fewer_than_the_members():
    assert subset_sizes(6) == []
    assert subset_sizes(16) == [6, 8, 12]
    assert subset_sizes(17) == [6, 8, 12, 16]


def test_against_ensembles_of_that_size():
    ensemble, truth = ensemble_with("too narrow", members=16)
    scores, _ = score_snapshot(ensemble, truth, bands=3)
    for size in (6, 8, 12):
        alone, _ = score_snapshot(ensemble[:size], truth, bands=3)
        ratio = scores["pull_ratio_subset", f"M={size}"]
        assert ratio == pytest.approx(alone["pull_ratio", ""], rel=1e-6)
        mean = scores["subset_mean", f"M={size}"] * sigma_ref(size)
        assert mean == pytest.approx(alone["pull_mean", ""], rel=1e-5)


@pytest.mark.parametrize(("fault", "expected"), [("", 1.0), ("too narrow", 1.95)])
def test_the_ratio_does_not_depend_on_the_number_of_members(fault, expected):
    """Its width does: from 2.6 to 2.1 here, and none of that is calibration."""
    scores, _ = score_snapshot(*ensemble_with(fault, members=32), bands=3)
    ratios = [scores["pull_ratio_subset", f"M={size}"] for size in subset_sizes(32)]
    assert ratios == pytest.approx([expected] * 5, rel=0.08)


def test_points_where_the_first_members_agree_have_no_pull():
    random = np.random.default_rng(0)
    ensemble, truth = random.normal(size=(9, 8, 8)), random.normal(size=(8, 8))
    ensemble[:6, :4] = ensemble[0, :4]
    points = measure_points(ensemble, truth)
    found = pulls_of_first(ensemble, truth, points)
    apart = measure_points(ensemble[:6, 4:], truth[4:])
    assert found[6].mean * sigma_ref(6) == pytest.approx(apart.pull.mean())
    assert found[8].square * sigma_ref(8) ** 2 == pytest.approx(
        np.mean(measure_points(ensemble[:8], truth).pull ** 2)
    )
    ensemble[:6] = ensemble[0]
    assert list(pulls_of_first(ensemble, truth, measure_points(ensemble, truth))) == [8]
