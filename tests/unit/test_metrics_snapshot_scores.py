"""All scores of one snapshot: which there are, and degenerate ensembles."""

import math

import numpy as np
import pytest

from flexbench.metrics.definitions import DEFINITIONS
from flexbench.metrics.snapshot_scores import score_snapshot

OF_SNAPSHOTS = [name for name, definition in DEFINITIONS.items() if not definition.rollout]
DETERMINISTIC = {
    *("rfne_mean", "rfne_member", "rfne_batch", "pearson", "psnr", "ssim", "max_error"),
    *("spectrum_error", "enstrophy_error", "energy_error", "pdf_distance", "crps", "skill"),
    "truth_rms",
}
DRAWS = {"spread", "spread_skill", "coverage", "central_mass", "rank_hist", "zero_spread"}
DRAWS |= {"copied_members", "rfne_closest"}
UNEVEN = {"error_contrast", "contrast_truth", "contrast_members", "contrast_noise"}
PULL_SHAPE = {"pull_iqr_ratio", "pull_hist"}
ENSEMBLE = DRAWS | PULL_SHAPE
SORTED = {"spread_skill_fifth", "spread_skill_worst", "reliability_slope"}
SORTED |= {"fifth_spread", "fifth_skill"} | UNEVEN
PULL_WIDTH = {"pull_mean", "pull_std", "pull_ratio", "pull_square", "pull_tail", "pull_tail_ratio"}
PULL_WIDTH |= {"pull_noise", "pull_mean_member"}
SUBSETS = {"pull_ratio_subset", "subset_mean", "subset_square"}


def draw(members, grid=32, seed=0):
    random = np.random.default_rng([seed, members])
    truth = (8 * random.normal(size=(grid, grid))).astype(np.float32)
    noise = random.normal(size=(members, grid, grid)) * np.geomspace(0.3, 3, grid)
    return (truth + noise).astype(np.float32), truth


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (1, DETERMINISTIC),
        (2, DETERMINISTIC | ENSEMBLE),
        (3, DETERMINISTIC | ENSEMBLE | SORTED),
        (5, DETERMINISTIC | ENSEMBLE | SORTED),
        (6, DETERMINISTIC | ENSEMBLE | SORTED | PULL_WIDTH),
        (8, DETERMINISTIC | ENSEMBLE | SORTED | PULL_WIDTH | SUBSETS),
    ],
)
def test_scores_that_apply(members, expected):
    scores, _ = score_snapshot(*draw(members), bands=4)
    assert {name for name, _ in scores} == expected
    assert all(math.isfinite(value) for value in scores.values())


def test_every_score_is_defined_and_in_order():
    scores, _ = score_snapshot(*draw(8), bands=4, patch=16)
    names = list(dict.fromkeys(name for name, _ in scores))
    assert names == OF_SNAPSHOTS


def test_member_and_mean_scores_against_plain_formulas():
    ensemble, truth = (array.astype(float) for array in draw(8))
    scores, _ = score_snapshot(ensemble, truth, bands=4)
    mean = ensemble.mean(axis=0)
    norm = np.linalg.norm(truth)
    assert scores["rfne_mean", ""] == pytest.approx(np.linalg.norm(mean - truth) / norm)
    each = [np.linalg.norm(member - truth) / norm for member in ensemble]
    assert scores["rfne_member", ""] == pytest.approx(np.mean(each))
    assert scores["rfne_batch", ""] == pytest.approx(scores["rfne_mean", ""])
    assert scores["skill", ""] == pytest.approx(np.sqrt(np.mean((mean - truth) ** 2)))
    spread = np.sqrt(ensemble.var(axis=0, ddof=1).mean())
    assert scores["spread", ""] == pytest.approx(spread)
    assert scores["spread_skill", ""] == pytest.approx(
        math.sqrt(9 / 8) * spread / scores["skill", ""]
    )
    pull = (truth - mean) / ensemble.std(axis=0, ddof=1)
    assert scores["pull_std", ""] == pytest.approx(pull.std())
    assert scores["pull_mean", ""] == pytest.approx(pull.mean())
    enstrophy = [np.mean(m**2) / np.mean(truth**2) - 1 for m in ensemble]
    assert scores["enstrophy_error", ""] == pytest.approx(np.mean(enstrophy))
    ordered = np.sort(ensemble, axis=0)
    inside = (ordered[1] <= truth) & (truth <= ordered[6])
    assert scores["coverage", f"{5 / 9:.4g}"] == pytest.approx(inside.mean())


def test_spectra_against_full_transforms():
    ensemble, truth = (array.astype(float) for array in draw(4, grid=16))
    scores, curves = score_snapshot(ensemble, truth, bands=2)
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(16, 1 / 16)] * 2))

    def energy(field, shell):
        square = np.abs(np.fft.fft2(field) / 256) ** 2 / np.where(k > 0, k, np.inf) ** 2 / 2
        return square[np.rint(k) == shell].sum()

    mean = ensemble.mean(axis=0)
    table = curves.table().set_index("k")
    assert list(table.index) == list(range(1, 9))
    for shell in table.index:
        members = [energy(m, shell) for m in ensemble]
        variance = sum(energy(m - mean, shell) for m in ensemble) / 3
        assert table.loc[shell, "truth"] == pytest.approx(energy(truth, shell))
        assert table.loc[shell, "member_mean"] == pytest.approx(np.mean(members))
        assert table.loc[shell, "ensemble_mean"] == pytest.approx(energy(mean, shell))
        assert table.loc[shell, "error"] == pytest.approx(energy(mean - truth, shell))
        assert table.loc[shell, "spread"] == pytest.approx(variance)
    band = [
        np.mean([abs(math.log(energy(m, s) / energy(truth, s))) for m in ensemble])
        for s in range(3, 9)
    ]
    assert scores["spectrum_error", "k=3-8"] == pytest.approx(np.mean(band))


def test_bands_share_out_the_error():
    """Bands, the mean and the corners add up to the error and the variance of all scales."""
    ensemble, truth = draw(4)
    scores, curves = score_snapshot(ensemble, truth, bands=4)
    for score, whole in (("skill", curves.error), ("spread", curves.spread)):
        banded = sum(v**2 for (name, band), v in scores.items() if name == score and band)
        outside = whole.power[0] + whole.power[17:].sum()
        assert banded + outside == pytest.approx(scores[score, ""] ** 2, rel=1e-6)


def test_one_member_has_an_error_for_a_crps():
    ensemble, truth = draw(1)
    scores, curves = score_snapshot(ensemble, truth, bands=4)
    error = ensemble[0].astype(float) - truth
    assert scores["crps", ""] == pytest.approx(np.abs(error).mean())
    assert scores["rfne_member", ""] == pytest.approx(scores["rfne_mean", ""])
    assert curves.table()["spread"].isna().all()


def test_equal_members_have_no_pull():
    ensemble, truth = draw(1)
    scores, _ = score_snapshot(np.repeat(ensemble, 8, axis=0), truth, bands=4)
    names = {name for name, _ in scores}
    assert names == DETERMINISTIC | DRAWS
    assert scores["copied_members", ""] == 7
    assert scores["zero_spread", ""] == 1
    assert scores["spread", ""] == 0
    assert scores["spread_skill", ""] == 0
    assert scores["crps", ""] == pytest.approx(np.abs(ensemble[0].astype(float) - truth).mean())
    # The truth is never inside.
    assert all(v == 0 for (name, _), v in scores.items() if name == "coverage")


def test_members_that_are_the_truth():
    _, truth = draw(1)
    scores, _ = score_snapshot(np.repeat(truth[None], 6, axis=0), truth, bands=4)
    for name in ("rfne_mean", "rfne_member", "max_error", "crps", "pdf_distance", "skill"):
        assert scores[name, ""] == 0
    assert scores["pearson", ""] == pytest.approx(1)
    assert scores["psnr", ""] == math.inf
    # Every rank is possible: the histogram is flat.
    assert all(v == pytest.approx(1 / 7) for (name, _), v in scores.items() if name == "rank_hist")
    assert all(v == 1 for (name, _), v in scores.items() if name == "coverage")


def test_a_value_that_is_not_finite_spoils_all_scores():
    ensemble, truth = draw(8)
    ensemble[3, 5, 5] = np.nan
    scores, curves = score_snapshot(ensemble, truth, bands=4, patch=16)
    assert {name for name, _ in scores} == set(OF_SNAPSHOTS)
    assert all(math.isnan(value) for value in scores.values())
    table = curves.table()
    assert table["member_mean"].isna().all()
    assert table["truth"].notna().all()


def test_a_field_smaller_than_the_window_has_no_ssim():
    scores, _ = score_snapshot(*draw(2, grid=8), bands=2)
    assert ("ssim", "") not in scores
