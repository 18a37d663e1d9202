"""The prediction interval keeps its promise; leave-one-out against brute force; exact intervals."""

import math

import numpy as np
import pytest
from scipy import stats

from flexbench.regression.statistics import (
    detected,
    leave_one_out,
    prediction_limits,
    share_interval,
)

TRIALS = 5_000


def rate(fails):
    """A share with its standard error."""
    share = np.mean(fails)
    return share, math.sqrt(share * (1 - share) / len(fails))


@pytest.mark.parametrize(("seeds", "runs"), [(8, 1), (12, 1), (12, 3)])
def test_the_false_alarm_rate_is_what_it_says(seeds, runs):
    """One score: the rate is alpha, no less and no more."""
    draws = np.random.default_rng(seeds + runs).normal(3.0, 0.2, (TRIALS, seeds + runs))
    fails = [
        draw[seeds:].mean() > prediction_limits(draw[:seeds], runs=runs, alpha=0.05).high
        for draw in draws
    ]
    share, error = rate(fails)
    assert abs(share - 0.05) < 4 * error


def test_six_scores_together_stay_below_alpha():
    """Independent scores come close to it (1 - (1 - a/6)^6); the same score six times stays low."""
    draws = np.random.default_rng(0).normal(size=(2_000, 6, 13))

    def fails(draw):
        limits = [prediction_limits(row[:12], alpha=0.05, scores=6).high for row in draw]
        return any(row[12] > limit for row, limit in zip(draw, limits, strict=True))

    share, error = rate([fails(draw) for draw in draws])
    assert abs(share - (1 - (1 - 0.05 / 6) ** 6)) < 4 * error
    together, _ = rate([fails(np.repeat(draw[:1], 6, axis=0)) for draw in draws[:1_000]])
    assert together < 0.02


def test_the_limits_are_the_textbook_formula():
    values = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3, 0.8, 1.1]
    limits = prediction_limits(values, runs=2, alpha=0.1, scores=4)
    half = stats.t.isf(0.025, 7) * np.std(values, ddof=1) * math.sqrt(1 / 2 + 1 / 8)
    assert limits.mean == pytest.approx(np.mean(values))
    assert (limits.high - limits.mean, limits.mean - limits.low) == pytest.approx((half, half))


def test_leave_one_out_against_brute_force():
    rng = np.random.default_rng(3)
    values = {name: rng.standard_t(2, 12).tolist() for name in "abc"}
    values["a"][5] += 30.0  # one seed that must be found
    found = leave_one_out(values, alpha=0.3)
    expected = []
    for seed in range(12):
        failed = []
        for name, series in values.items():
            others = np.delete(series, seed)
            limit = others.mean() + stats.t.ppf(1 - 0.1, 10) * others.std(ddof=1) * math.sqrt(
                1 + 1 / 11
            )
            if series[seed] > limit:
                failed.append(name)
        expected.append(failed)
    assert found == expected
    assert "a" in found[5]


def test_leave_one_out_has_the_rate_of_the_limits():
    """Over many references: each seed is a new one to the others."""
    draws = np.random.default_rng(4).normal(size=(1_500, 8))
    alarms = [leave_one_out({"a": draw.tolist()}, alpha=0.05) for draw in draws]
    share = np.mean([bool(names) for seeds in alarms for names in seeds])
    assert share == pytest.approx(0.05, abs=0.008)


def test_the_interval_of_a_share():
    assert share_interval(0, 12) == pytest.approx((0.0, 1 - 0.025 ** (1 / 12)))
    assert share_interval(12, 12) == pytest.approx((0.025 ** (1 / 12), 1.0))
    low, high = share_interval(3, 20)
    assert stats.binom.sf(2, 20, low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 20, high) == pytest.approx(0.025)


def test_what_is_detected_is_detected():
    values = np.random.default_rng(5).normal(size=12)
    shift = detected(values, power=0.9, alpha=0.05, scores=6)
    limits = prediction_limits(values, alpha=0.05, scores=6)
    noise = np.random.default_rng(6).normal(limits.mean, limits.std, 20_000)
    assert np.mean(noise + shift > limits.high) == pytest.approx(0.9, abs=0.01)


def test_seeds_that_agree_leave_no_room():
    limits = prediction_limits([2.0] * 8, scores=6)
    assert limits.low == limits.mean == limits.high == 2.0
