"""Ensemble measures against loops over points and pairs of members."""

import itertools

import numpy as np
import pytest

from flexbench.metrics import probabilistic
from flexbench.metrics.probabilistic import crps_points, measure_points


def brute_force_crps(members, truth):
    count = len(members)
    near = sum(abs(x - truth) for x in members) / count
    pairs = sum(abs(a - b) for a, b in itertools.permutations(members, 2))
    return near - pairs / (2 * count * (count - 1))


@pytest.mark.parametrize("members", [2, 3, 8])
def test_crps_is_the_fair_estimator(members):
    random = np.random.default_rng(members)
    ensemble, truth = random.normal(size=(members, 5, 7)), random.normal(size=(5, 7))
    found = crps_points(ensemble - truth)
    for place in np.ndindex(5, 7):
        expected = brute_force_crps(ensemble[(slice(None), *place)], truth[place])
        assert found[place] == pytest.approx(expected, abs=1e-12)


def test_crps_of_one_member_is_the_absolute_error():
    deviation = np.random.default_rng(0).normal(size=(1, 4, 4))
    np.testing.assert_array_equal(crps_points(deviation), np.abs(deviation[0]))


def test_crps_expects_the_same_for_any_number_of_members():
    """The expectation of a perfect normal ensemble is 1 / sqrt(pi), for M = 2 as for M = 16."""
    random = np.random.default_rng(0)
    for members in (2, 4, 16):
        deviation = random.normal(size=(members, 200_000)) - random.normal(size=200_000)
        assert crps_points(deviation).mean() == pytest.approx(1 / np.sqrt(np.pi), abs=4e-3)


def test_moments_ranks_and_depth_match_loops():
    random = np.random.default_rng(4)
    # Whole numbers: many ties.
    ensemble = random.integers(0, 4, size=(5, 12, 12)).astype(np.float32)
    truth = random.integers(0, 4, size=(12, 12)).astype(np.float64)
    found = measure_points(ensemble, truth)
    ranks, deepest = np.zeros(6), np.zeros(6)
    for place in np.ndindex(12, 12):
        values = ensemble[(slice(None), *place)].astype(float)
        below, above = (values < truth[place]).sum(), (values > truth[place]).sum()
        ties = 5 - below - above
        for rank in range(below, below + ties + 1):
            ranks[rank] += 1 / (ties + 1)
        deepest[max(below, above)] += 1
        assert found.error[place] == pytest.approx(values.mean() - truth[place])
        assert found.variance[place] == pytest.approx(values.var(ddof=1))
        assert found.collapsed[place] == (len(set(values)) == 1)
    np.testing.assert_allclose(found.ranks, ranks)
    np.testing.assert_array_equal(found.deepest, deepest)


def test_blocks_of_rows_change_nothing(monkeypatch):
    random = np.random.default_rng(5)
    ensemble, truth = random.normal(size=(4, 9, 9)), random.normal(size=(9, 9))
    whole = measure_points(ensemble, truth)
    monkeypatch.setattr(probabilistic, "BLOCK", 4 * 9 * 2)
    parts = measure_points(ensemble, truth)
    assert parts.crps == pytest.approx(whole.crps, rel=1e-14)
    np.testing.assert_array_equal(parts.error, whole.error)
    np.testing.assert_array_equal(parts.variance, whole.variance)
    np.testing.assert_array_equal(parts.ranks, whole.ranks)


def test_small_differences_on_a_large_value_are_kept():
    """Float32 members around 4096 that differ in their last bits."""
    step = np.spacing(np.float32(4096))
    ensemble = np.float32(4096) + step * np.arange(4, dtype=np.float32)[:, None, None]
    ensemble = np.broadcast_to(ensemble, (4, 8, 8))
    found = measure_points(ensemble, np.full((8, 8), 4096.0))
    exact = step * np.arange(4.0)
    assert found.spread == pytest.approx(exact.std(ddof=1), rel=1e-12)
    assert found.crps == pytest.approx(brute_force_crps(list(exact), 0.0), rel=1e-12)


def test_collapsed_points_have_no_pull():
    random = np.random.default_rng(6)
    ensemble, truth = random.normal(size=(6, 8, 8)), random.normal(size=(8, 8))
    ensemble[:, :2] = ensemble[0, :2]
    found = measure_points(ensemble, truth)
    assert found.collapsed.sum() == 16
    assert (found.variance[:2] == 0).all()
    assert found.pull.shape == (48,)
    expected = (truth - ensemble.mean(axis=0))[2:] / ensemble[:, 2:].std(axis=0, ddof=1)
    np.testing.assert_allclose(found.pull, expected.ravel(), rtol=1e-12)
