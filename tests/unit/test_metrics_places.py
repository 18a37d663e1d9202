"""Calibration place by place: 1 for what is perfect, flat or uneven, of many members or few."""

import math

import numpy as np
import pytest
from known_ensembles import GRID, ensemble_with

from flexbench.metrics.calibration import FIFTHS
from flexbench.metrics.definitions import DEFINITIONS
from flexbench.metrics.places import by_predicted_spread, measure_places
from flexbench.metrics.probabilistic import measure_points
from flexbench.metrics.snapshot_scores import score_flow, score_snapshot

SNAPSHOTS = 8


class Averages:
    """Moments of many snapshots, as tables average them."""

    def __init__(self, fault, *, members, scale=None):
        draws = [
            ensemble_with(fault, members=members, seed=seed, scale=scale)
            for seed in range(SNAPSHOTS)
        ]
        self.members = members
        self.scores = [score_snapshot(*draw, bands=3)[0] for draw in draws]

    def __call__(self, score, detail=""):
        def moment(name, power, inner=""):
            return np.mean([np.square(s[name, detail + inner]) for s in self.scores])

        return float(DEFINITIONS[score].combine(moment, self.members))

    def fifths(self):
        return [self("spread_skill_fifth", fifth) for fifth in FIFTHS]


@pytest.mark.parametrize("members", [8, 16])
@pytest.mark.parametrize("scale", [None, 12])
@pytest.mark.parametrize("fault", ["", "even"])
def test_a_perfect_ensemble_is_right_in_every_fifth(fault, members, scale):
    found = Averages(fault, members=members, scale=scale)
    # Smooth errors have fewer independent places.
    near = 0.03 if scale is None else 0.08
    assert found.fifths() == pytest.approx([1.0] * 5, abs=near)
    assert found("spread_skill_worst") == pytest.approx(1.0, abs=near)
    assert found("error_contrast") == pytest.approx(1.0, abs=near)
    slope = found("reliability_slope")
    assert math.isnan(slope) if fault == "even" else slope == pytest.approx(1.0, abs=near)
    # A spread without a slope has no row.
    assert all((("reliability_slope", "") in s) == (fault == "") for s in found.scores)


@pytest.mark.parametrize("members", [3, 4, 5])
def test_so_is_one_of_few_members(members):
    found = Averages("", members=members)
    assert found.fifths() == pytest.approx([1.0] * 5, abs=0.04)
    assert found("reliability_slope") == pytest.approx(1.0, abs=0.04)


def test_heavy_tails_of_truth_and_members_alike_change_nothing():
    """Nothing is assumed of the distribution: exchangeable is enough."""
    random = np.random.default_rng(0)
    found = np.zeros((2, 5))
    for _ in range(SNAPSHOTS):
        draws = random.standard_t(5, size=(9, GRID, GRID)) * np.geomspace(0.3, 3, GRID)
        points = measure_points(draws[1:], draws[0])
        found += np.square(by_predicted_spread(draws[1:], draws[0] + points.error, points))
    np.testing.assert_allclose(np.sqrt(found[0] / found[1]), 1.0, atol=0.05)


def test_sorting_by_the_members_that_are_judged_would_not_do():
    """Why members are left out: a perfect ensemble of equal spread would be wrong everywhere."""
    ensemble, truth = (array.astype(float) for array in ensemble_with("even", members=8))
    order = np.argsort(ensemble.var(axis=0, ddof=1), axis=None)
    spread, skill = (
        [np.mean(part) for part in np.array_split(field.ravel()[order], 5)]
        for field in (ensemble.var(axis=0, ddof=1), (ensemble.mean(axis=0) - truth) ** 2)
    )
    naive = np.sqrt(9 / 8 * np.array(spread) / skill)
    assert naive[0] < 0.7
    assert naive[-1] > 1.3


@pytest.mark.parametrize("members", [3, 6, 9])
def test_fifths_against_loops(members):
    random = np.random.default_rng(members)
    truth = random.normal(size=(5, 4))
    ensemble = random.normal(size=(members, 5, 4))
    points = measure_points(ensemble, truth)
    spread, skill = by_predicted_spread(ensemble, truth + points.error, points)
    expected = np.zeros((2, 5))
    for part in np.array_split(np.arange(members), min(4, members)):
        others = np.delete(ensemble, part, axis=0)
        order = np.argsort(others.var(axis=0), axis=None)
        for fifth, where in enumerate(np.split(order, 5)):
            centre = others.mean(axis=0).ravel()[where]
            left_out = ensemble[part].reshape(len(part), -1)[:, where]
            expected[0, fifth] += np.sum((left_out - centre) ** 2) / (4 * members)
            expected[1, fifth] += (
                len(part) * np.sum((truth.ravel()[where] - centre) ** 2) / (4 * members)
            )
    np.testing.assert_allclose((spread, skill), np.sqrt(expected), rtol=1e-6)


def test_places_of_equal_spread_are_shared_out():
    random = np.random.default_rng(3)
    truth = random.normal(size=(10, 10))
    ensemble = random.normal(size=(6, 10, 10))
    ensemble[:, :5] = ensemble[0, :5]
    points = measure_points(ensemble, truth)
    spread, skill = by_predicted_spread(ensemble, truth + points.error, points)
    # Half of the points have no spread: all of two fifths, and half of the third.
    assert (spread[:2] < 1e-12).all()
    assert (spread[2:] > 0.1).all()
    assert (skill > 0).all()


def test_a_flat_ensemble_is_right_in_fifths_and_not_in_contrast():
    """It does not know where, so that its fifths are any points: contrast is what tells."""
    found = Averages("flat", members=8)
    assert found("spread_skill") == pytest.approx(1.0, abs=0.03)
    assert found("error_contrast") > 2
    assert found.fifths() == pytest.approx([1.0] * 5, abs=0.05)
    assert math.isnan(found("reliability_slope"))


def test_a_spread_in_the_wrong_places_is_found_in_fifths_and_slope():
    found = Averages("elsewhere", members=8)
    assert found("spread_skill") == pytest.approx(1.0, abs=0.1)
    ratios = found.fifths()
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.6
    assert ratios[-1] > 1.3
    farthest = max(ratios, key=lambda ratio: abs(math.log(ratio)))
    assert found("spread_skill_worst") == pytest.approx(farthest)
    assert found("reliability_slope") < 0.4


@pytest.mark.parametrize("fault", ["too narrow", "too wide"])
def test_a_wrong_width_is_the_same_in_all_fifths(fault):
    found = Averages(fault, members=16)
    ratios = found.fifths()
    assert max(ratios) / min(ratios) < 1.05
    assert found("reliability_slope") == pytest.approx(1.0, abs=0.05)
    assert found("error_contrast") == pytest.approx(1.0, abs=0.05)


def test_tails_alone_make_no_contrast():
    assert Averages("heavy tails", members=8)("error_contrast") == pytest.approx(1.0, abs=0.15)


def test_members_say_how_far_a_mean_pull_may_be_from_zero():
    """Fields that each lie high or low as a whole have mean pulls of any size."""
    random = np.random.default_rng(1)
    truth, *members = random.normal(size=(9, 1, 1)) + 0.1 * random.normal(size=(9, GRID, GRID))
    found = measure_places(np.array(members), truth, measure_points(np.array(members), truth))
    assert 0.7 < found.mean_pull < 1.7
    assert found.pull_noise > 0.2
    even = ensemble_with("even", members=8)
    scores, _ = score_snapshot(*even, bands=3)
    assert scores["pull_mean_member", ""] < 3 / GRID
    assert scores["pull_noise", ""] < 3 / GRID


def test_fields_too_small_for_blocks_have_no_contrast():
    random = np.random.default_rng(2)
    draws = random.normal(size=(7, 12, 12))
    found = measure_places(draws[1:], draws[0], measure_points(draws[1:], draws[0]))
    assert found.contrast is None
    assert found.spread.shape == (5,)
    equal = np.repeat(draws[1:2], 6, axis=0)
    assert measure_places(equal, draws[0], measure_points(equal, draws[0])) is None


def test_points_of_a_flow_with_walls_have_fifths_as_well():
    ensemble, truth = ensemble_with("", members=8)
    mask = np.zeros((GRID, GRID), np.uint8)
    mask[:8] = 1
    scores = score_flow(ensemble, truth, mask=mask)
    points = measure_points(ensemble[:, 8:], truth[8:].astype(float))
    spread, _ = by_predicted_spread(ensemble[:, 8:], truth[8:] + points.error, points)
    assert [scores["fifth_spread", fifth] for fifth in FIFTHS] == pytest.approx(list(spread))
    assert ("error_contrast", "") not in scores
