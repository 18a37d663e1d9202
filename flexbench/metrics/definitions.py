"""What every score is, and in which order it is averaged: the one place that says so.

A score file holds scores of single snapshots. Those that are ratios or roots of means cannot be
averaged themselves: their `moments` are, and the score is formed last. Averages go over the
snapshots of a trajectory, then over trajectories, then over training seeds.

Where a trajectory has walls, every score is taken over the points of the flow alone. Those that
need the whole square (of spectra and their bands, energy, enstrophy, SSIM, seams) mean nothing
there and are left out; those in REGION_SCORES stand there twice more, with the details "near"
(less than NEAR_WALL of the box's side from the nearest point outside the flow) and "away".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from flexbench.metrics.calibration import sigma_ref, spread_skill_factor

Better = Literal["lower", "higher", "one", "zero", "none"]

# Averages of a score, or of its square (power 2), with this detail: moment(score, power).
Moment = Callable[[str, int], Any]
# The score from averages, and M.
Combine = Callable[[Moment, int], Any]

NEAR_WALL = 1 / 16
REGION_SCORES = (
    *("rfne_mean", "rfne_member", "pearson", "crps"),
    *("pull_mean", "pull_square", "pull_iqr_ratio"),
)

OF_FIELD, OF_TIME = "the field's", "time"

MEAN = "mean of the snapshots' values"
OVER_ROLLOUTS = "mean of the rollouts' values"
ROOT = "root of the mean square over snapshots"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One score.

    better: "one" and "zero" name the best value. unit: "1" where it has none, OF_FIELD where it is
    that of the field that is scored, OF_TIME where it is that of the times. averaging: in words;
    `combine` does it (None: the mean). moments: scores of snapshots that `combine` needs.
    bounds: values it can take. helper: stands in score files only, for others to be formed from.
    rollout: a score of a whole rollout, not of a snapshot. censored: no upper bound is known where
    a rollout stays correlated to its end.
    """

    better: Better
    unit: str = "1"
    text: str
    averaging: str = MEAN
    moments: tuple[str, ...] = ()
    combine: Combine | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    helper: bool = False
    rollout: bool = False
    censored: bool = False


def _root_of(name: str) -> Combine:
    return lambda moment, members: np.sqrt(moment(name, 2))


def _rfne_batch(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("skill", 2) / moment("truth_rms", 2))


def _spread_skill(moment: Moment, members: int) -> Any:
    return spread_skill_factor(members) * np.sqrt(moment("spread", 2) / moment("skill", 2))


def _pull_std(moment: Moment, members: int) -> Any:
    # Rounding must not make the variance of a constant negative.
    return np.sqrt(np.maximum(moment("pull_square", 1) - moment("pull_mean", 1) ** 2, 0.0))


def _pull_ratio(moment: Moment, members: int) -> Any:
    return _pull_std(moment, members) / sigma_ref(members)


def _seam_ratio(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("seam_error", 2) / moment("inner_error", 2))


_POSITIVE = (0.0, math.inf)
_SHARE = (0.0, 1.0)

DEFINITIONS: dict[str, Definition] = {
    "rfne_mean": Definition(
        better="lower",
        bounds=_POSITIVE,
        text="||p - y|| / ||y|| of the ensemble mean p and the truth y",
    ),
    "rfne_member": Definition(
        better="lower",
        bounds=_POSITIVE,
        text="||p - y|| / ||y|| of each member p",
        averaging="mean over members, then of the snapshots' values",
    ),
    "rfne_batch": Definition(
        better="lower",
        bounds=_POSITIVE,
        text="||p - y|| / ||y|| with one norm over all snapshots",
        averaging="mean squares of p - y and of y over snapshots, then the root of their ratio",
        moments=("skill", "truth_rms"),
        combine=_rfne_batch,
    ),
    "pearson": Definition(
        better="higher",
        bounds=(-1.0, 1.0),
        text="correlation over points of the ensemble mean and the truth",
    ),
    "correlation_time": Definition(
        better="higher",
        unit=OF_TIME,
        bounds=_POSITIVE,
        rollout=True,
        censored=True,
        text="first lead time at which pearson is below 0.8; the rollout's length where it never "
        "is, so a lower bound then; a multiple of the lead time",
        averaging=OVER_ROLLOUTS,
    ),
    "correlation_time_member": Definition(
        better="higher",
        unit=OF_TIME,
        bounds=_POSITIVE,
        rollout=True,
        censored=True,
        text="the same of each member's own correlation with the truth",
        averaging="mean over members, then of the rollouts' values",
    ),
    "correlation_censored": Definition(
        better="none",
        bounds=_SHARE,
        rollout=True,
        text="share of rollouts whose pearson is 0.8 or more at all leads, so that "
        "correlation_time is their length",
        averaging=OVER_ROLLOUTS,
    ),
    "psnr": Definition(
        better="higher",
        unit="dB",
        text="peak signal-to-noise ratio of the ensemble mean; the peak is the truth's max - min",
        averaging="mean of the snapshots' values in dB",
    ),
    "ssim": Definition(
        better="higher",
        bounds=(-1.0, 1.0),
        text="structural similarity of the ensemble mean: Gaussian window of 1.5 points, "
        "data range = the truth's max - min",
    ),
    "max_error": Definition(
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="largest absolute error of the ensemble mean",
        averaging="mean of the snapshots' maxima",
    ),
    "spectrum_error": Definition(
        better="lower",
        bounds=_POSITIVE,
        text="|ln(E_member(k) / E_truth(k))| of the spectrum of kinetic energy, or of variance "
        "where the field is no vorticity of a periodic flow, by band; shells with less than 1e-8 "
        "of the truth's variance are left out",
        averaging="mean over members, then shells of the band, then snapshots",
    ),
    "enstrophy_error": Definition(
        better="zero",
        text="(Z_member - Z_truth) / Z_truth, signed, of the enstrophy Z = <w^2> / 2",
        averaging="mean over members, then of the snapshots' values",
    ),
    "energy_error": Definition(
        better="zero",
        text="(E_member - E_truth) / E_truth, signed, of the kinetic energy of the velocity that "
        "belongs to the vorticity",
        averaging="mean over members, then of the snapshots' values",
    ),
    "pdf_distance": Definition(
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="Wasserstein-1 distance of the one-point distributions of a member and the truth",
        averaging="mean over members, then of the snapshots' values",
    ),
    "crps": Definition(
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="fair continuous ranked probability score (unbiased in M); the mean absolute error "
        "for M = 1",
        averaging="mean over points, then of the snapshots' values",
    ),
    "spread": Definition(
        better="none",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="standard deviation of the members (ddof = 1), of all scales or of a band",
        averaging="root of the mean variance over points and snapshots",
        combine=_root_of("spread"),
        moments=("spread",),
    ),
    "skill": Definition(
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="error of the ensemble mean, of all scales or of a band",
        averaging="root of the mean square error over points and snapshots",
        combine=_root_of("skill"),
        moments=("skill",),
    ),
    "spread_skill": Definition(
        better="one",
        bounds=_POSITIVE,
        text="sqrt((M + 1) / M) spread / skill, of all scales or of a band; below 1: overconfident",
        averaging="mean variance and mean square error over snapshots, then the ratio's root",
        moments=("spread", "skill"),
        combine=_spread_skill,
    ),
    "coverage": Definition(
        better="none",
        bounds=_SHARE,
        text="share of points where the truth lies between the i-th smallest and the i-th largest "
        "member; nominally (M + 1 - 2 i) / (M + 1)",
    ),
    "pull_mean": Definition(
        better="zero",
        text="mean over points of the pull (y - mean) / std (ddof = 1)",
    ),
    "pull_std": Definition(
        better="none",
        bounds=_POSITIVE,
        text="standard deviation of the pull; sqrt((1 + 1/M) (M - 1) / (M - 3)) if perfect; M >= 6",
        averaging="mean pull and mean square pull over snapshots, then the root of the variance",
        moments=("pull_square", "pull_mean"),
        combine=_pull_std,
    ),
    "pull_ratio": Definition(
        better="one",
        bounds=_POSITIVE,
        text="pull_std over that of a perfect ensemble of M members; above 1: overconfident",
        averaging="as pull_std",
        moments=("pull_square", "pull_mean"),
        combine=_pull_ratio,
    ),
    "pull_iqr_ratio": Definition(
        better="one",
        bounds=_POSITIVE,
        text="distance of the pull's quartiles over that of a perfect ensemble of M members",
    ),
    "rank_hist": Definition(
        better="none",
        bounds=_SHARE,
        text="share of points by the number of members below the truth; ties count equally in "
        "every rank they allow; 1 / (M + 1) if perfect",
    ),
    "pull_hist": Definition(
        better="none",
        bounds=_POSITIVE,
        text="density of the pull at the centre of a bin of 0.25",
    ),
    "seam_ratio": Definition(
        better="one",
        bounds=_POSITIVE,
        text="error of the ensemble mean at most 4 points away from an edge of the plain tiling "
        "(multiples of the patch, and where the domain closes on itself, for stitched tiles and "
        "blended ones alike) over that elsewhere; above 1: torn at the tiles' edges",
        averaging="mean square errors of both parts over snapshots, then the root of their ratio",
        moments=("seam_error", "inner_error"),
        combine=_seam_ratio,
    ),
    "truth_rms": Definition(
        better="none",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        helper=True,
        text="root mean square of the truth",
        averaging=ROOT,
        moments=("truth_rms",),
        combine=_root_of("truth_rms"),
    ),
    "pull_square": Definition(
        better="none", bounds=_POSITIVE, helper=True, text="mean over points of the squared pull"
    ),
    "zero_spread": Definition(
        better="none",
        bounds=_SHARE,
        helper=True,
        text="share of points where all members agree; they have no pull",
    ),
    "seam_error": Definition(
        better="none",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        helper=True,
        text="root mean square error of the ensemble mean near the edges of the plain tiling",
        averaging=ROOT,
        moments=("seam_error",),
        combine=_root_of("seam_error"),
    ),
    "inner_error": Definition(
        better="none",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        helper=True,
        text="root mean square error of the ensemble mean away from those edges",
        averaging=ROOT,
        moments=("inner_error",),
        combine=_root_of("inner_error"),
    ),
}
