"""Scores of a whole rollout: how long it stays correlated with the truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexbench.errors import FlexbenchError
from flexbench.metrics.pointwise import pearson
from flexbench.metrics.snapshot_scores import Scores

# Below this correlation with the truth a forecast counts as lost.
CORRELATED = 0.8


class Correlations:
    """Correlations of one rollout after the other, gathered lead by lead."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._mean: list[float] = []
        self._members: list[list[float]] = []

    def add(
        self,
        ensemble: NDArray[np.floating],
        truth: NDArray[np.floating],
        *,
        time: float,
        leads: int,
    ) -> Scores:
        """Take the next lead: ensemble (M, N, N), truth (N, N); scores are there after the last.

        time: of the truth. leads: how many the rollout has; more than one.
        """
        exact, members = truth.astype(np.float64), ensemble.astype(np.float64)
        self._times.append(time)
        with np.errstate(invalid="ignore", over="ignore"):
            self._mean.append(pearson(members.mean(axis=0), exact))
            self._members.append([pearson(member, exact) for member in members])
        if len(self._times) < leads:
            return {}
        # The start itself stands in no file: leads are evenly spaced.
        lead_time = (self._times[-1] - self._times[0]) / (leads - 1)
        mean, each = np.array(self._mean), np.array(self._members).T
        self._times, self._mean, self._members = [], [], []
        member_times = [correlation_time(own, lead_time) for own in each]
        return {
            ("correlation_time", ""): correlation_time(mean, lead_time),
            ("correlation_time_member", ""): float(np.mean(member_times)),
            ("correlation_censored", ""): float((mean >= CORRELATED).all()),
        }


def correlation_time(correlations: NDArray[np.float64], lead_time: float) -> float:
    """Time of the first lead whose correlation (L,) is below CORRELATED, or no number.

    The time of lead L where none is: the rollout says no more.
    """
    lost = ~(correlations >= CORRELATED)  # what is no number is not correlated
    lead = int(np.argmax(lost)) + 1 if lost.any() else len(correlations)
    return lead * lead_time


def rollout_lengths(leads: Sequence[int], *, path: Path) -> list[int]:
    """The number of leads of the rollout that each row of a samples file belongs to.

    Raises FlexbenchError where leads do not follow one another from 1 on.
    """
    lengths: list[int] = []
    run = 0
    for lead in leads:
        if lead not in (1, run + 1):
            raise FlexbenchError(
                f"{path}: dataset 'lead': {lead} follows {run}; allowed: {run + 1}, or 1"
            )
        if lead == 1:
            lengths += [run] * run
            run = 0
        run += 1
    return lengths + [run] * run


def shown_leads(leads: int) -> set[int]:
    """First, middle and last: the leads whose spectra are kept."""
    return {1, (leads + 1) // 2, leads}
