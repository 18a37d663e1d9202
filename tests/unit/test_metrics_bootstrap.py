"""Intervals: coverage where the truth is known, and the streams they are drawn from."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_rows import frame_of

from flexbench.metrics.bootstrap import Factor, draw_weights, estimate
from flexbench.metrics.group_scores import Group, Resampling


def interval_of_mean(values, *, positive=False, resamples=400, name="test"):
    """Interval of the mean of the units of one factor."""
    values = np.asarray(values, dtype=float)
    factor = Factor(strata=(len(values),), identity=(0, name))

    def mean(weights):
        drawn = weights["trajectories"]
        return (drawn @ values / drawn.sum(axis=1))[None]

    return estimate(
        mean,
        {"trajectories": factor},
        main="trajectories",
        resamples=resamples,
        confidence=0.95,
        positive=np.array([positive]),
    )


@pytest.mark.parametrize("units", [3, 9])
def test_an_interval_of_few_units_covers_what_it_says(units):
    random = np.random.default_rng(units)
    covered = 0
    for trial in range(600):
        found = interval_of_mean(random.normal(1, 0.2, units), name=f"trial {trial}")
        covered += found.low[0] <= 1 <= found.high[0]
    # Three standard errors of the share.
    assert covered / 600 == pytest.approx(0.95, abs=0.027)


def test_it_is_students_interval():
    values = np.random.default_rng(0).normal(5, 1, 6)
    found = interval_of_mean(values, resamples=40_000)
    low, high = stats.t.interval(0.95, 5, loc=values.mean(), scale=stats.sem(values))
    assert found.value[0] == pytest.approx(values.mean())
    assert found.low[0] == pytest.approx(low, rel=0.01)
    assert found.high[0] == pytest.approx(high, rel=0.01)


def test_positive_scores_have_positive_ends():
    values = [0.1, 0.1, 1.5]
    assert interval_of_mean(values).low[0] < 0
    found = interval_of_mean(values, positive=True)
    assert 0 < found.low[0] < np.mean(values) < found.high[0]
    assert found.low[0] * found.high[0] == pytest.approx(np.mean(values) ** 2)


def test_no_interval_of_two_units():
    found = interval_of_mean([1.0, 2.0])
    assert found.value[0] == 1.5
    assert np.isnan(found.low[0])
    assert np.isnan(found.high[0])


def test_equal_units_have_no_width():
    found = interval_of_mean([2.0, 2.0, 2.0])
    assert (found.low[0], found.high[0]) == (2.0, 2.0)


def test_a_nan_has_no_interval():
    found = interval_of_mean([1.0, np.nan, 2.0], positive=True)
    assert np.isnan([found.value[0], found.low[0], found.high[0]]).all()


def test_draws_depend_on_the_identity_alone():
    first = draw_weights(Factor(strata=(5,), identity=(0, "a")), 100)
    np.testing.assert_array_equal(first, draw_weights(Factor(strata=(5,), identity=(0, "a")), 100))
    assert (first != draw_weights(Factor(strata=(5,), identity=(1, "a")), 100)).any()
    np.testing.assert_allclose(first.sum(axis=1), 5)


def test_methods_share_their_flows_but_not_their_training_seeds():
    how = Resampling(resamples=10, confidence=0.95, seed=0)

    def group(case, method, reynolds):
        snapshots = [(500.0, flow, 0, {"crps": 1.0}) for flow in range(4)]
        frames = [frame_of(method, snapshots, case=case, training_seed=seed) for seed in range(4)]
        return Group.of(pd.concat(frames), reynolds=reynolds)

    flex = group("x4", "flex", "all")
    assert how.trajectories(flex) == how.trajectories(group("x4", "unet", "all"))
    names = [
        how.trajectories(flex),
        how.trajectories(group("x8", "flex", "all")),
        how.trajectories(group("x4", "flex", "500")),
        how.training(flex),
        how.training(group("x4", "unet", "all")),
        how.training(group("x4", "flex", "500")),
    ]
    draws = {draw_weights(factor, 50).tobytes() for factor in names}
    assert len(draws) == len(names)


def test_two_factors_cover_what_they_say():
    """A mean over three training seeds and eight flows, both of them random."""
    random = np.random.default_rng(1)
    covered = 0
    for trial in range(400):
        values = 1 + 0.2 * random.normal(size=(3, 1)) + 0.3 * random.normal(size=(1, 8))
        factors = {
            "trajectories": Factor(strata=(8,), identity=(trial, "trajectories")),
            "seeds": Factor(strata=(3,), identity=(trial, "seeds")),
        }

        def mean(weights, values=values):
            seeds = weights["seeds"] / weights["seeds"].sum(axis=1, keepdims=True)
            flows = weights["trajectories"] / weights["trajectories"].sum(axis=1, keepdims=True)
            return ((seeds @ values) * flows).sum(axis=1)[None]

        found = estimate(
            mean,
            factors,
            main="trajectories",
            resamples=300,
            confidence=0.95,
            positive=np.array([False]),
        )
        covered += found.low[0] <= 1 <= found.high[0]
    assert covered / 400 == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("spreads", [(0.2, 0.2, 0.2), (0.02, 0.06, 0.2)])
def test_strata_that_spread_unlike_each_other_cover_what_they_say(spreads):
    """Errors in a field's units spread more at higher Reynolds numbers."""
    random = np.random.default_rng(2)
    factor_of = {
        trial: Factor(strata=(3, 3, 3), identity=(trial, "unlike")) for trial in range(600)
    }
    covered = 0
    for factor in factor_of.values():
        values = np.concatenate([random.normal(1, spread, 3) for spread in spreads])

        def mean(weights, values=values):
            return (weights["trajectories"] @ values / len(values))[None]

        found = estimate(
            mean,
            {"trajectories": factor},
            main="trajectories",
            resamples=300,
            confidence=0.95,
            positive=np.array([False]),
        )
        covered += found.low[0] <= 1 <= found.high[0]
    # Pooled degrees of freedom would give 0.89 for unlike strata; for like ones these err to the
    # safe side, as the variances that they are taken from are estimates.
    assert 0.93 <= covered / 600 <= 0.985


def test_no_interval_where_a_stratum_has_one_unit():
    values = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    found = estimate(
        lambda weights: (weights["trajectories"] @ values / 5)[None],
        {"trajectories": Factor(strata=(4, 1), identity=(0, "single"))},
        main="trajectories",
        resamples=100,
        confidence=0.95,
        positive=np.array([False]),
    )
    assert found.value[0] == pytest.approx(3.8)
    assert np.isnan([found.low[0], found.high[0]]).all()


def test_strata_are_drawn_apart_and_keep_their_weight():
    weights = draw_weights(Factor(strata=(3, 1, 5), identity=(0, "strata")), 400)
    assert weights.shape == (400, 9)
    np.testing.assert_allclose(weights[:, :3].sum(axis=1), 3)
    np.testing.assert_array_equal(weights[:, 3], 1)
    np.testing.assert_allclose(weights[:, 4:].sum(axis=1), 5)


def test_the_error_of_a_stratified_mean_is_the_textbook_one():
    random = np.random.default_rng(5)
    strata = [random.normal(loc, scale, 4) for loc, scale in ((0, 1), (10, 2), (-5, 0.5))]
    values = np.concatenate(strata)
    weights = draw_weights(Factor(strata=(4, 4, 4), identity=(0, "textbook")), 40_000)
    replicates = weights @ values / weights.sum(axis=1)
    expected = np.sqrt(sum(stratum.var(ddof=1) / 4 for stratum in strata)) / 3
    assert replicates.std() == pytest.approx(expected, rel=0.02)
