"""Scores that are roots or ratios of means, each formed from averages of its moments."""

from typing import Any

import numpy as np

from flexbench.metrics.calibration import sigma_ref, spread_skill_factor
from flexbench.metrics.score_types import Combine, Moment


def root_of(name: str) -> Combine:
    return lambda moment, members: np.sqrt(moment(name, 2))


def rfne_batch(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("skill", 2) / moment("truth_rms", 2))


def spread_skill(moment: Moment, members: int) -> Any:
    return spread_skill_factor(members) * np.sqrt(moment("spread", 2) / moment("skill", 2))


def pull_std(moment: Moment, members: int) -> Any:
    # Rounding must not make the variance of a constant negative.
    return np.sqrt(np.maximum(moment("pull_square", 1) - moment("pull_mean", 1) ** 2, 0.0))


def pull_ratio(moment: Moment, members: int) -> Any:
    return pull_std(moment, members) / sigma_ref(members)


def seam_ratio(moment: Moment, members: int) -> Any:
    return np.sqrt(moment("seam_error", 2) / moment("inner_error", 2))
