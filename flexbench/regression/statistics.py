"""One-sided prediction intervals from training seeds, and how well they keep their promise.

n seeds of a reference with mean m and standard deviation s say where the mean of r further seeds of
the same code lies: below `m + t s sqrt(1/r + 1/n)` with probability 1 - alpha / k, where t is that
quantile of Student's distribution with n - 1 degrees of freedom. With k scores, all are below
with probability 1 - alpha or more (Bonferroni), however the scores hang together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where a score of further runs is expected; smaller is better.

    std: of the reference's seeds, with what runs differ by elsewhere. low, high: each is passed
    with probability alpha / k by an unchanged code.
    """

    mean: float
    std: float
    low: float
    high: float


def prediction_limits(
    values: Sequence[float],
    *,
    runs: int = 1,
    alpha: float = ALPHA,
    scores: int = 1,
    elsewhere: float = 0.0,
) -> Limits:
    """Limits for the mean over `runs` new seeds, one of `scores` scores held against theirs.

    values: (n,) of the reference's seeds, n >= 2. elsewhere: standard deviation of what a run
    differs by where and when it is made, besides its seeds.
    """
    sample = np.asarray(values, dtype=float)
    mean, std = float(sample.mean()), math.hypot(float(sample.std(ddof=1)), elsewhere)
    half = half_width(std, seeds=len(sample), runs=runs, level=1 - alpha / scores)
    return Limits(mean=mean, std=std, low=mean - half, high=mean + half)


def half_width(std: float, *, seeds: int, runs: int, level: float) -> float:
    """Distance from the mean to the one-sided limit of this level."""
    quantile = float(special.stdtrit(seeds - 1, level))
    return quantile * std * math.sqrt(1 / runs + 1 / seeds)


def detected(
    values: Sequence[float], *, power: float, alpha: float, scores: int, elsewhere: float = 0.0
) -> float:
    """The shift of one new seed that is caught with probability `power`.

    The limit is passed by mean + shift + noise, the noise of a new seed being that of the
    reference: the shift is the half width plus the noise's own quantile.
    """
    limits = prediction_limits(values, alpha=alpha, scores=scores, elsewhere=elsewhere)
    return limits.high - limits.mean + float(special.ndtri(power)) * limits.std


def leave_one_out(
    values: Mapping[str, Sequence[float]],
    *,
    alpha: float = ALPHA,
    elsewhere: Mapping[str, float] | None = None,
) -> list[list[str]]:
    """For each seed, the scores in which it fails against the limits of the other seeds.

    values: of each score, (n,) in one order of seeds. elsewhere: as in `prediction_limits`.
    """
    known = elsewhere or {}
    count = len(next(iter(values.values())))
    failed = []
    for left in range(count):
        found = []
        for name, series in values.items():
            others = [value for place, value in enumerate(series) if place != left]
            limits = prediction_limits(
                others, alpha=alpha, scores=len(values), elsewhere=known.get(name, 0.0)
            )
            if series[left] > limits.high:
                found.append(name)
        failed.append(found)
    return failed


def share_interval(events: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of the probability behind `events` of `trials`."""
    found = stats.binomtest(events, trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)
