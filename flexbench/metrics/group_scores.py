"""Scores of a group of rows, formed from averaged moments at any weights of its units."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flexbench.errors import FlexbenchError
from flexbench.metrics.bootstrap import Estimates, Factor, estimate
from flexbench.metrics.definitions import definition_of, in_order
from flexbench.metrics.score_types import Moment
from flexbench.metrics.tables import ALL
from flexbench.metrics.trajectory_means import Key, TrajectoryMeans, trajectory_means

Array = NDArray[np.float64]

# The share of rollouts whose correlation times are lower bounds.
CENSORED: Key = ("correlation_censored", "")


@dataclass(frozen=True, kw_only=True)
class Group:
    """One method on one case, at one Reynolds number or at all of them. members: M."""

    case: str
    method: str
    reynolds: str
    members: int
    means: TrajectoryMeans

    @classmethod
    def of(cls, rows: pd.DataFrame, *, reynolds: str = ALL) -> "Group":
        """Of score rows, not empty; reynolds: the name that tables give to theirs."""
        first = rows.iloc[0]
        return cls(
            case=str(first["case"]),
            method=str(first["method"]),
            reynolds=reynolds,
            members=int(first["members"]),
            means=trajectory_means(rows),
        )


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How intervals are made: resamples, confidence of the interval, seed of the draws."""

    resamples: int
    confidence: float
    seed: int

    def trajectories(self, group: Group) -> Factor:
        """Draws of trajectories: the same for every method, so that comparisons are paired."""
        identity = (self.seed, "bootstrap", "trajectories", group.case, group.reynolds)
        return Factor(strata=group.means.strata, identity=identity)

    def training(self, group: Group) -> Factor:
        """Draws of training seeds: of each method on each case alone."""
        identity = (self.seed, "bootstrap", "training", group.case, group.method, group.reynolds)
        return Factor(strata=(len(group.means.seeds),), identity=identity)


def table_keys(means: TrajectoryMeans) -> list[Key]:
    """The (score, detail) that tables show, scores in the order of their definitions."""
    shown = [s for s in in_order(score for score, _ in means.keys) if not definition_of(s).helper]
    return [key for score in shown for key in means.keys if key[0] == score]


def form(group: Group, keys: list[Key], weights: Mapping[str, Array]) -> Array:
    """Scores (keys, R) at weights "trajectories" (R, T) and "seeds" (R, S)."""
    means = group.means
    averages = {power: means.average(weights, power=power) for power in (1, 2)}

    def moments(place: str) -> Moment:
        def moment(score: str, power: int, detail: str = "") -> Array:
            # Where a lead takes the place of a detail, a detail stands behind it.
            key = (score, place + detail)
            if key not in means.keys:
                raise FlexbenchError(f"scores: '{score}' ({key[1] or 'all scales'}) is missing")
            return averages[power][means.keys[key]]

        return moment

    formed = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for score, detail in keys:
            combine = definition_of(score).combine
            if combine is None:
                formed.append(averages[1][means.keys[score, detail]])
            else:
                formed.append(combine(moments(detail), group.members))
    return np.stack(formed)


def mean_score(rows: pd.DataFrame, score: str, *, detail: str = "") -> float:
    """The score, over all Re, of score rows of one method on one case."""
    group = Group.of(rows)
    weights = {
        "trajectories": np.ones((1, len(group.means.trajectories))),
        "seeds": np.ones((1, len(group.means.seeds))),
    }
    return float(form(group, [(score, detail)], weights)[0, 0])


def estimate_scores(group: Group, keys: list[Key], how: Resampling) -> Estimates:
    """Scores with intervals inside their bounds.

    high is NaN where rollouts that never lost their correlation are among those averaged: the
    time at which they would have is bounded by nothing.
    """
    definitions = [definition_of(score) for score, _ in keys]
    lowest = np.array([definition.bounds[0] for definition in definitions])
    highest = np.array([definition.bounds[1] for definition in definitions])
    found = estimate(
        lambda weights: form(group, keys, weights),
        {"trajectories": how.trajectories(group), "seeds": how.training(group)},
        main="trajectories",
        resamples=how.resamples,
        confidence=how.confidence,
        positive=(lowest == 0) & np.isinf(highest),
    )
    high = np.clip(found.high, lowest, highest)
    censored = found.value[keys.index(CENSORED)] > 0 if CENSORED in keys else False
    open_ended = np.array([definition.censored for definition in definitions])
    return replace(
        found,
        low=np.clip(found.low, lowest, highest),
        high=np.where(open_ended & censored, np.nan, high),
    )


def estimate_ratio(group: Group, reference: Group, how: Resampling, *, key: Key) -> Estimates:
    """Ratio of one score of two groups of the same trajectories; interval of its logarithm.

    Both are resampled with the same trajectories, those that the group draws, and each with
    training seeds of its own.
    """

    def ratio(weights: Mapping[str, Array]) -> Array:
        own = {"trajectories": weights["trajectories"], "seeds": weights["method"]}
        other = {"trajectories": weights["trajectories"], "seeds": weights["reference"]}
        with np.errstate(divide="ignore", invalid="ignore"):
            return form(group, [key], own) / form(reference, [key], other)

    return estimate(
        ratio,
        {
            "trajectories": how.trajectories(group),
            "method": how.training(group),
            "reference": how.training(reference),
        },
        main="trajectories",
        resamples=how.resamples,
        confidence=how.confidence,
        positive=np.array([True]),
    )
