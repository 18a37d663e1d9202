"""What every score is, and in which order it is averaged: the one place that says so.

A score file holds scores of single snapshots. Those that are ratios or roots of means cannot be
averaged themselves: their `moments` are, and the score is formed last. Averages go over the
snapshots of a trajectory, then over trajectories, then over training seeds.

Where a trajectory has walls, every score is taken over the points of the flow alone. Those that
need the whole square (of spectra and their bands, energy, enstrophy, SSIM, seams) mean nothing
there and are left out; those in REGION_SCORES stand there twice more, with the details "near"
(less than NEAR_WALL of the box's side from the nearest point outside the flow) and "away".

Files, tables and the report have scores in the order of DEFINITIONS.
"""

import math
from collections.abc import Iterable
from typing import Any

from flexbench.errors import FlexbenchError
from flexbench.metrics import combining
from flexbench.metrics.ensemble_definitions import ENSEMBLE, ENSEMBLE_HELPERS
from flexbench.metrics.score_types import (
    BAND,
    OF_FIELD,
    OF_TIME,
    OVER_ROLLOUTS,
    REGION,
    ROOT,
    Definition,
    Scored,
)

# Raised whenever a score is added, or means something else. Files and tables of two versions can be
# compared in the scores that both have; where one cannot, BENCHMARK_VERSION is raised as well.
# 2: calibration in fifths of predicted spread, reliability slope, error contrast, central mass,
# pulls beyond 5, pulls of fewer members.
DEFINITIONS_VERSION = 2

NEAR_WALL = 1 / 16

# Scores of a rollout that have a row for each lead.
BY_LEAD = (
    *("rfne_mean", "pearson", "crps", "spread_skill", "pull_ratio", "spread_skill_worst"),
    *("reliability_slope", "error_contrast", "central_mass", "pull_tail", "pull_tail_ratio"),
)

_POSITIVE = (0.0, math.inf)
_SHARE = (0.0, 1.0)


def _root_mean_square(name: str, **own: Any) -> Definition:
    """A helper of files of scores, whose mean square over snapshots counts."""
    return Definition(
        group="Accuracy",
        better="none",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        averaging=ROOT,
        moments=(name,),
        combine=combining.root_of(name),
        helper=True,
        **own,
    )


DEFINITIONS: dict[str, Definition] = {
    "rfne_mean": Definition(
        label="RFNE, mean",
        group="Accuracy",
        details=REGION,
        better="lower",
        bounds=_POSITIVE,
        text="||p - y|| / ||y|| of the ensemble mean p and the truth y",
    ),
    "rfne_member": Definition(
        label="RFNE, member",
        group="Accuracy",
        details=REGION,
        better="lower",
        bounds=_POSITIVE,
        text="||p - y|| / ||y|| of each member p",
        averaging="mean over members, then of the snapshots' values",
    ),
    "rfne_batch": Definition(
        label="RFNE, batch",
        group="Accuracy",
        better="lower",
        bounds=_POSITIVE,
        text="||p - y|| / ||y|| with one norm over all snapshots",
        averaging="mean squares of p - y and of y over snapshots, then the root of their ratio",
        moments=("skill", "truth_rms"),
        combine=combining.rfne_batch,
    ),
    "pearson": Definition(
        label="Pearson r",
        group="Accuracy",
        details=REGION,
        better="higher",
        bounds=(-1.0, 1.0),
        text="correlation over points of the ensemble mean and the truth",
    ),
    "correlation_time": Definition(
        label="Correlation time, mean",
        group="Rollout",
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
        label="Correlation time, member",
        group="Rollout",
        better="higher",
        unit=OF_TIME,
        bounds=_POSITIVE,
        rollout=True,
        censored=True,
        text="the same of each member's own correlation with the truth",
        averaging="mean over members, then of the rollouts' values",
    ),
    "correlation_censored": Definition(
        label="Correlated to the end",
        group="Rollout",
        better="none",
        bounds=_SHARE,
        rollout=True,
        text="share of rollouts whose pearson is 0.8 or more at all leads, so that "
        "correlation_time is their length",
        averaging=OVER_ROLLOUTS,
    ),
    "psnr": Definition(
        label="PSNR",
        group="Accuracy",
        better="higher",
        unit="dB",
        text="peak signal-to-noise ratio of the ensemble mean; the peak is the truth's max - min",
        averaging="mean of the snapshots' values in dB",
    ),
    "ssim": Definition(
        label="SSIM",
        group="Accuracy",
        square=True,
        better="higher",
        bounds=(-1.0, 1.0),
        text="structural similarity of the ensemble mean: Gaussian window of 1.5 points, "
        "data range = the truth's max - min",
    ),
    "max_error": Definition(
        label="Max error",
        group="Accuracy",
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="largest absolute error of the ensemble mean",
        averaging="mean of the snapshots' maxima",
    ),
    "spectrum_error": Definition(
        label="Spectrum error",
        group="Physics",
        whole=False,
        details=BAND,
        square=True,
        better="lower",
        bounds=_POSITIVE,
        text="|ln(E_member(k) / E_truth(k))| of the spectrum of kinetic energy, or of variance "
        "where the field is no vorticity of a periodic flow, by band; shells with less than 1e-8 "
        "of the truth's variance are left out",
        averaging="mean over members, then shells of the band, then snapshots",
    ),
    "enstrophy_error": Definition(
        label="Enstrophy error",
        group="Physics",
        vorticity=True,
        square=True,
        better="zero",
        text="(Z_member - Z_truth) / Z_truth, signed, of the enstrophy Z = <w^2> / 2",
        averaging="mean over members, then of the snapshots' values",
    ),
    "energy_error": Definition(
        label="Energy error",
        group="Physics",
        vorticity=True,
        square=True,
        better="zero",
        text="(E_member - E_truth) / E_truth, signed, of the kinetic energy of the velocity that "
        "belongs to the vorticity",
        averaging="mean over members, then of the snapshots' values",
    ),
    "pdf_distance": Definition(
        label="PDF distance",
        group="Physics",
        better="lower",
        unit=OF_FIELD,
        bounds=_POSITIVE,
        text="Wasserstein-1 distance of the one-point distributions of a member and the truth",
        averaging="mean over members, then of the snapshots' values",
    ),
    **ENSEMBLE,
    "seam_ratio": Definition(
        label="Seam ratio",
        group="Accuracy",
        tiled=True,
        square=True,
        better="one",
        bounds=_POSITIVE,
        text="error of the ensemble mean at most 4 points away from an edge of the plain tiling "
        "(multiples of the patch, and where the domain closes on itself, for stitched tiles and "
        "blended ones alike) over that elsewhere; above 1: torn at the tiles' edges",
        averaging="mean square errors of both parts over snapshots, then the root of their ratio",
        moments=("seam_error", "inner_error"),
        combine=combining.seam_ratio,
    ),
    "truth_rms": _root_mean_square(
        "truth_rms", label="Truth, rms", text="root mean square of the truth"
    ),
    **ENSEMBLE_HELPERS,
    "seam_error": _root_mean_square(
        "seam_error",
        label="Error near seams",
        tiled=True,
        square=True,
        text="root mean square error of the ensemble mean near the edges of the plain tiling",
    ),
    "inner_error": _root_mean_square(
        "inner_error",
        label="Error elsewhere",
        tiled=True,
        square=True,
        text="root mean square error of the ensemble mean away from those edges",
    ),
}

REGION_SCORES = frozenset(name for name, how in DEFINITIONS.items() if how.details is REGION)


def definition_of(score: str) -> Definition:
    """The definition of a score; FlexbenchError names those that exist."""
    if score not in DEFINITIONS:
        raise FlexbenchError(f"score '{score}' is not defined; allowed: {', '.join(DEFINITIONS)}")
    return DEFINITIONS[score]


def in_order(scores: Iterable[str]) -> list[str]:
    """Each of them once, in the order of the definitions; FlexbenchError where one has none."""
    wanted = {score: definition_of(score) for score in scores}
    return [name for name in DEFINITIONS if name in wanted]


def rows_per_snapshot(
    *,
    members: int,
    bands: int,
    tiled: bool,
    vorticity: bool = True,
    walls: bool = False,
    helpers: bool = True,
) -> int:
    """How many score rows one snapshot has, those of its rollout aside.

    As in `score_types.Scored`; helpers: with those that only files of scores have. There may be
    fewer: of a band in which the truth has nothing, or of members that agree everywhere.
    """
    scored = Scored(members=members, bands=bands, tiled=tiled, vorticity=vorticity, walls=walls)
    return sum(how.rows(scored) for how in DEFINITIONS.values() if helpers or not how.helper)
