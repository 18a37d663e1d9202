"""Calibration on ensembles whose calibration is known."""

import math

import numpy as np
import pytest
from scipy import stats

from flexbench.metrics import calibration
from flexbench.metrics.snapshot_scores import score_snapshot

GRID = 256


def gaussian_scores(members, *, spread=1.0, seed=0):
    """Scores where the members have `spread` times the truth's standard deviation."""
    random = np.random.default_rng([seed, members])
    centre = 3 * random.normal(size=(GRID, GRID))
    truth = centre + random.normal(size=(GRID, GRID))
    ensemble = centre + spread * random.normal(size=(members, GRID, GRID))
    return score_snapshot(ensemble.astype(np.float32), truth.astype(np.float32), bands=4)[0]


def test_sigma_ref_table():
    published = {5: 1.55, 8: 1.26, 16: 1.11, 20: 1.08, 32: 1.05, 100: 1.015}
    for members, expected in published.items():
        assert calibration.sigma_ref(members) == pytest.approx(expected, abs=0.006)
    assert calibration.sigma_ref(3) == math.inf


def test_references_are_those_of_simulated_pulls():
    random = np.random.default_rng(0)
    assert calibration.tail_ref(8) == pytest.approx(0.00217, abs=1e-5)
    for members in (6, 16):
        draws = random.normal(size=(members + 1, 400_000))
        pull = (draws[0] - draws[1:].mean(axis=0)) / draws[1:].std(axis=0, ddof=1)
        assert pull.std() == pytest.approx(calibration.sigma_ref(members), rel=0.02)
        for width, centre in ((1, 0), (2, 0), (1.5, -1)):
            beyond = np.mean(np.abs(width * pull + centre) > calibration.PULL_TAIL)
            expected = calibration.tail_ref(members, width=width, centre=centre)
            assert beyond == pytest.approx(expected, rel=0.05, abs=1e-4)
        low, high = np.quantile(pull, [0.25, 0.75])
        assert high - low == pytest.approx(calibration.iqr_ref(members), rel=0.01)
        assert calibration.summarise_pull(pull, members).iqr_ratio == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("members", [6, 8, 16, 32])
def test_a_perfect_ensemble_is_found_perfect(members):
    scores = gaussian_scores(members)
    assert scores["pull_ratio", ""] == pytest.approx(1, abs=0.03 if members == 6 else 0.015)
    assert scores["pull_iqr_ratio", ""] == pytest.approx(1, abs=0.015)
    assert scores["pull_mean", ""] == pytest.approx(0, abs=0.02)
    assert scores["central_mass", ""] == pytest.approx(1, abs=0.015)
    assert scores["pull_tail", ""] == pytest.approx(calibration.tail_ref(members), abs=6e-4)
    ratio = scores["pull_tail", ""] / calibration.tail_ref(members)
    assert scores["pull_tail_ratio", ""] == pytest.approx(ratio)
    assert scores["spread_skill", ""] == pytest.approx(1, abs=0.01)
    # The lowest band holds a few modes only.
    for band in ("k=3-10", "k=11-37", "k=38-128"):
        assert scores["spread_skill", band] == pytest.approx(
            1, abs=0.15 if "3-10" in band else 0.04
        )
    levels = calibration.nominal_levels(members)
    assert len(levels) == members // 2
    for level in levels:
        assert scores["coverage", f"{level:.4g}"] == pytest.approx(level, abs=0.008)
    ranks = [scores["rank_hist", str(rank)] for rank in range(members + 1)]
    assert sum(ranks) == pytest.approx(1)
    # Six standard errors of a share among 256^2 independent points.
    assert max(abs(np.array(ranks) * (members + 1) - 1)) < 6 * math.sqrt(members) / GRID


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_wrong_spread_is_found(spread):
    members = 16
    scores = gaussian_scores(members, spread=spread)
    # The error of the mean is 1 + spread^2 / M, the members' variance spread^2.
    skill = math.sqrt(1 + spread**2 / members)
    expected = math.sqrt((members + 1) / members) * spread / skill
    assert scores["spread_skill", ""] == pytest.approx(expected, rel=0.01)
    pull = skill / spread * math.sqrt((members - 1) / (members - 3))
    assert scores["pull_std", ""] == pytest.approx(pull, rel=0.02)
    assert scores["pull_ratio", ""] == pytest.approx(1 / expected, rel=0.02)
    assert scores["pull_iqr_ratio", ""] == pytest.approx(1 / expected, rel=0.02)
    edge = scores["rank_hist", "0"] * (members + 1)
    middle = scores["rank_hist", "8"] * (members + 1)
    assert (edge > 2 > 1 > middle) if spread < 1 else (edge < 0.5 < 1 < middle)
    widest = scores["coverage", "0.8824"]
    assert (widest < 0.7) if spread < 1 else (widest > 0.98)
    assert (scores["central_mass", ""] < 0.7) if spread < 1 else (scores["central_mass", ""] > 1.3)
    assert (scores["pull_tail_ratio", ""] > 50) if spread < 1 else (scores["pull_tail", ""] == 0)


def test_wrong_spread_in_one_band_is_found_there():
    random = np.random.default_rng(2)
    centre = random.normal(size=(64, 64))
    draws = random.normal(size=(17, 64, 64))
    coefficients = np.fft.fft2(draws[1:])
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(64, 1 / 64)] * 2))
    coefficients[:, np.rint(k) >= 14] *= 0.5
    members = centre + np.fft.ifft2(coefficients).real
    scores, _ = score_snapshot(members, centre + draws[0], bands=4)
    assert scores["spread_skill", "k=6-13"] == pytest.approx(1, abs=0.1)
    # Half the spread, and a mean that errs by 1 + 0.25 / 16.
    assert scores["spread_skill", "k=14-32"] == pytest.approx(0.5115, abs=0.03)


def test_attainable_levels():
    assert calibration.nominal_levels(16)[0] == pytest.approx(15 / 17)
    assert calibration.nominal_levels(3) == [0.5]
    assert calibration.nominal_levels(1) == []
    assert calibration.central_level(8) == pytest.approx(5 / 9)
    assert calibration.central_level(16) == pytest.approx(9 / 17)
    assert calibration.central_level(2) == pytest.approx(1 / 3)
    assert calibration.central_level(3) == 0.5


def test_coverage_counts_the_ends():
    # Three members 0, 1, 2; the truth at 0 lies in [0, 2], at -1 not.
    deepest = np.array([0, 0, 1, 1])
    assert calibration.coverages(deepest, 3) == [0.5]


def test_pull_histogram_is_a_density():
    random = np.random.default_rng(0)
    pull = math.sqrt(1 + 1 / 8) * stats.t.rvs(7, size=200_000, random_state=random)
    density = calibration.summarise_pull(pull, 8).density
    inside = np.mean(np.abs(pull) < 5.125)
    assert density.sum() * calibration.PULL_BIN == pytest.approx(inside, abs=1e-4)
    scale = math.sqrt(1 + 1 / 8)
    expected = stats.t.pdf(calibration.PULL_CENTRES / scale, 7) / scale
    np.testing.assert_allclose(density, expected, atol=0.012)
    assert calibration.PULL_CENTRES[20] == 0


def test_no_pull_of_a_collapsed_ensemble():
    assert calibration.summarise_pull(np.array([]), 8) is None
