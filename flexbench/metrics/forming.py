"""Scores of a group formed from averaged moments, at any weights of its units."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexbench.errors import FlexbenchError
from flexbench.metrics.bootstrap import Estimates, Factor, estimate
from flexbench.metrics.cells import Cells, Key
from flexbench.metrics.definitions import definition_of, in_order
from flexbench.metrics.score_types import Moment

Array = NDArray[np.float64]

# The share of rollouts whose correlation times are lower bounds.
CENSORED: Key = ("correlation_censored", "")


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How intervals are made: resamples, confidence of the interval, seed of the draws."""

    resamples: int
    confidence: float
    seed: int

    def trajectories(self, strata: tuple[int, ...], *, task: str, reynolds: str) -> Factor:
        """Draws of trajectories: the same for every method, so that comparisons are paired."""
        identity = (self.seed, "bootstrap", "trajectories", task, reynolds)
        return Factor(strata=strata, identity=identity)

    def training(self, units: int, *, task: str, method: str, reynolds: str) -> Factor:
        """Draws of training seeds: of each method alone."""
        identity = (self.seed, "bootstrap", "training", task, method, reynolds)
        return Factor(strata=(units,), identity=identity)


def table_keys(cells: Cells) -> list[Key]:
    """The (score, detail) that tables show, scores in the order of their definitions."""
    shown = [s for s in in_order(score for score, _ in cells.keys) if not definition_of(s).helper]
    return [key for score in shown for key in cells.keys if key[0] == score]


def form(cells: Cells, keys: list[Key], weights: Mapping[str, Array], *, members: int) -> Array:
    """Scores (keys, R) at weights "trajectories" (R, T) and "seeds" (R, S)."""
    averages = {power: cells.average(weights, power=power) for power in (1, 2)}

    def moments(detail: str) -> Moment:
        def moment(name: str, power: int) -> Array:
            if (name, detail) not in cells.keys:
                raise FlexbenchError(f"scores: '{name}' ({detail or 'all scales'}) is missing")
            return averages[power][cells.keys[name, detail]]

        return moment

    formed = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for score, detail in keys:
            combine = definition_of(score).combine
            if combine is None:
                formed.append(averages[1][cells.keys[score, detail]])
            else:
                formed.append(combine(moments(detail), members))
    return np.stack(formed)


def estimate_scores(
    cells: Cells,
    keys: list[Key],
    how: Resampling,
    *,
    task: str,
    method: str,
    reynolds: str,
    members: int,
) -> Estimates:
    """Scores with intervals inside their bounds.

    high is NaN where rollouts that never lost their correlation are among those averaged: the
    time at which they would have is bounded by nothing.
    """
    definitions = [definition_of(score) for score, _ in keys]
    lowest = np.array([definition.bounds[0] for definition in definitions])
    highest = np.array([definition.bounds[1] for definition in definitions])
    found = estimate(
        lambda weights: form(cells, keys, weights, members=members),
        {
            "trajectories": how.trajectories(cells.strata, task=task, reynolds=reynolds),
            "seeds": how.training(len(cells.seeds), task=task, method=method, reynolds=reynolds),
        },
        main="trajectories",
        resamples=how.resamples,
        confidence=how.confidence,
        positive=(lowest == 0) & np.isinf(highest),
    )
    high = np.clip(found.high, lowest, highest)
    censored = found.value[keys.index(CENSORED)] > 0 if CENSORED in keys else False
    open_ended = np.array([definition.censored for definition in definitions])
    return Estimates(
        value=found.value,
        low=np.clip(found.low, lowest, highest),
        high=np.where(open_ended & censored, np.nan, high),
    )


def estimate_ratio(
    method: Cells,
    reference: Cells,
    how: Resampling,
    *,
    key: Key,
    task: str,
    names: tuple[str, str],
    reynolds: str,
    members: tuple[int, int],
) -> Estimates:
    """Ratio of one score of two methods on the same trajectories; interval of its logarithm."""

    def ratio(weights: Mapping[str, Array]) -> Array:
        own = {"trajectories": weights["trajectories"], "seeds": weights["method"]}
        other = {"trajectories": weights["trajectories"], "seeds": weights["reference"]}
        with np.errstate(divide="ignore", invalid="ignore"):
            above = form(method, [key], own, members=members[0])
            return above / form(reference, [key], other, members=members[1])

    own, other = (
        how.training(len(cells.seeds), task=task, method=name, reynolds=reynolds)
        for cells, name in zip((method, reference), names, strict=True)
    )
    return estimate(
        ratio,
        {
            "trajectories": how.trajectories(method.strata, task=task, reynolds=reynolds),
            "method": own,
            "reference": other,
        },
        main="trajectories",
        resamples=how.resamples,
        confidence=how.confidence,
        positive=np.array([True]),
    )
