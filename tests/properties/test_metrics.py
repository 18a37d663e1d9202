"""What scores must not depend on, and how they must scale."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flexbench.metrics.definitions import DEFINITIONS
from flexbench.metrics.probabilistic import crps_points
from flexbench.metrics.snapshot_scores import score_snapshot

SEEDS = st.integers(0, 2**32 - 1)
MEMBERS = st.integers(1, 9)
FEW = settings(max_examples=25, deadline=None)

# In units of the field; every other score has none.
WITH_UNIT = {"max_error", "pdf_distance", "crps", "spread", "skill", "truth_rms"}
WITH_UNIT |= {"fifth_spread", "fifth_skill"}
# Members are left out together, or are the first ones, as they stand; any order is as good.
OF_PARTS = {"fifth_spread", "fifth_skill", "subset_mean", "subset_square"}
OF_PARTS |= {name for name, how in DEFINITIONS.items() if not OF_PARTS.isdisjoint(how.moments)}


def draw(seed, members, grid=12):
    random = np.random.default_rng(seed)
    truth = random.normal(size=(grid, grid))
    return truth + random.lognormal() * random.normal(size=(members, grid, grid)), truth


def assert_same(found, expected, *, rtol=1e-9):
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert math.isclose(found[key], value, rel_tol=rtol, abs_tol=1e-9), key


@FEW
@given(SEEDS, MEMBERS)
def test_order_of_members_does_not_matter(seed, members):
    ensemble, truth = draw(seed, members)
    order = np.random.default_rng(seed).permutation(members)
    found, expected = (
        {key: value for key, value in scores.items() if key[0] not in OF_PARTS}
        for scores, _ in (score_snapshot(it, truth, bands=3) for it in (ensemble[order], ensemble))
    )
    assert_same(found, expected)


@FEW
@given(SEEDS, MEMBERS, st.floats(1e-3, 1e3))
def test_scores_scale_with_the_unit(seed, members, factor):
    ensemble, truth = draw(seed, members)
    before = score_snapshot(ensemble, truth, bands=3)[0]
    expected = {key: v * (factor if key[0] in WITH_UNIT else 1) for key, v in before.items()}
    assert_same(score_snapshot(factor * ensemble, factor * truth, bands=3)[0], expected, rtol=1e-7)


@FEW
@given(SEEDS, MEMBERS)
def test_a_mirror_image_scores_the_same(seed, members):
    """Flow and mirror image (w -> -w) are one; only what has a sign or an order turns round."""
    ensemble, truth = draw(seed, members)
    found = score_snapshot(-ensemble, -truth, bands=3)[0]
    for (score, detail), value in score_snapshot(ensemble, truth, bands=3)[0].items():
        if score == "rank_hist":
            detail = str(members - int(detail))
        elif score == "pull_hist":
            # Bins are half open, so a pull on an edge may move on.
            continue
        sign = -1 if score in ("pull_mean", "subset_mean") else 1
        assert math.isclose(found[score, detail], sign * value, rel_tol=1e-9, abs_tol=1e-9)


@FEW
@given(SEEDS, MEMBERS, st.integers(0, 11), st.integers(0, 11))
def test_a_shift_of_the_periodic_box_changes_no_score_but_the_windowed(seed, members, y, x):
    ensemble, truth = draw(seed, members)
    before = score_snapshot(ensemble, truth, bands=3)[0]
    after = score_snapshot(
        np.roll(ensemble, (y, x), axis=(1, 2)), np.roll(truth, (y, x), axis=(0, 1)), bands=3
    )[0]
    before.pop(("ssim", ""))
    after.pop(("ssim", ""))
    assert_same(after, before)


@FEW
@given(SEEDS, st.integers(2, 9))
def test_shares_are_shares(seed, members):
    scores = score_snapshot(*draw(seed, members), bands=3)[0]
    ranks = [v for (name, _), v in scores.items() if name == "rank_hist"]
    assert len(ranks) == members + 1
    assert math.isclose(sum(ranks), 1)
    coverage = [v for (name, _), v in scores.items() if name == "coverage"]
    # Narrower intervals cover no more.
    assert coverage == sorted(coverage, reverse=True)
    # Without ties an interval covers just the ranks inside it.
    for i, share in enumerate(coverage, start=1):
        assert math.isclose(share, sum(ranks[i : members + 1 - i]), abs_tol=1e-12)


@FEW
@given(SEEDS, st.integers(2, 9))
def test_inequalities(seed, members):
    scores = score_snapshot(*draw(seed, members), bands=3)[0]
    # The mean of the members' norms is no smaller than the norm of their mean.
    assert scores["rfne_member", ""] >= scores["rfne_mean", ""] - 1e-12
    assert scores["max_error", ""] >= scores["skill", ""] - 1e-12
    assert abs(scores["pearson", ""]) <= 1 + 1e-12


@FEW
@given(SEEDS, st.integers(2, 9), st.floats(-1e3, 1e3))
def test_crps_is_blind_to_a_common_shift(seed, members, shift):
    ensemble, truth = draw(seed, members)
    before = crps_points(ensemble - truth)
    after = crps_points((ensemble + shift) - (truth + shift))
    np.testing.assert_allclose(after, before, atol=1e-9)
