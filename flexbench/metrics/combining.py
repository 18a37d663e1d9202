"""Scores that are roots or ratios of means, each formed from averages of its moments."""

from typing import Any

import numpy as np

from flexbench.metrics.calibration import FIFTHS, sigma_ref, spread_skill_factor, tail_ref
from flexbench.metrics.score_types import Combine, Moment

# How many times the spread of the quietest fifth that of the loudest has to be for a slope.
LEAST_RANGE = 1.25


def root_of(name: str) -> Combine:
    return lambda moment, members: np.sqrt(moment(name, 2))


def rfne_batch(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("skill", 2) / moment("truth_rms", 2))


def spread_skill(moment: Moment, members: int) -> Any:
    return spread_skill_factor(members) * np.sqrt(moment("spread", 2) / moment("skill", 2))


def spread_skill_fifth(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("fifth_spread", 2) / moment("fifth_skill", 2))


def spread_skill_worst(moment: Moment, members: int) -> Any:
    spread, skill = _by_fifth(moment, "fifth_spread"), _by_fifth(moment, "fifth_skill")
    ratios = np.sqrt(spread / skill)
    # NaN is the farthest of all: it must not be passed over.
    farthest = np.argmax(np.nan_to_num(np.abs(np.log(ratios)), nan=np.inf), axis=0)
    return np.take_along_axis(ratios, farthest[None], axis=0)[0]


def reliability_slope(moment: Moment, members: int) -> Any:
    spread, skill = (np.log(_by_fifth(moment, f"fifth_{it}")) / 2 for it in ("spread", "skill"))
    apart = spread - spread.mean(axis=0)
    slope = (apart * skill).sum(axis=0) / np.square(apart).sum(axis=0)
    return np.where(np.ptp(spread, axis=0) >= np.log(LEAST_RANGE), slope, np.nan)


def _by_fifth(moment: Moment, name: str) -> Any:
    return np.stack([np.asarray(moment(name, 2, fifth)) for fifth in FIFTHS])


def error_contrast(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("contrast_truth", 2) / moment("contrast_members", 2))


def pull_tail_ratio(moment: Moment, members: int) -> Any:
    return moment("pull_tail", 1) / tail_ref(members)


def pull_ratio_subset(moment: Moment, members: int) -> Any:
    variance = moment("subset_square", 1) - moment("subset_mean", 1) ** 2
    return np.sqrt(np.maximum(variance, 0.0))


def pull_std(moment: Moment, members: int) -> Any:
    # Rounding must not make the variance of a constant negative.
    return np.sqrt(np.maximum(moment("pull_square", 1) - moment("pull_mean", 1) ** 2, 0.0))


def pull_ratio(moment: Moment, members: int) -> Any:
    return pull_std(moment, members) / sigma_ref(members)


def seam_ratio(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("seam_error", 2) / moment("inner_error", 2))
