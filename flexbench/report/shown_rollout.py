"""The one rollout that is shown as an animation, read from the samples and the data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Samples
from flexbench.errors import FlexbenchError
from flexbench.metrics.tables import SUBMITTED
from flexbench.report.inputs import ReportInputs
from flexbench.report.shown_snapshot import ShownEnsemble
from flexbench.report.thinning import thinned
from flexbench.spec import Observable

Field = NDArray[np.floating]

_MOST_POINTS = 160  # per side of a field: a panel of the animation is no larger


@dataclass(frozen=True, kw_only=True)
class ShownLead:
    """One lead of a rollout; fields (H, W), no finer than is drawn, physical units.

    ahead: the lead time. spread: 0 everywhere of one member.
    """

    ahead: float
    truth: Field
    member: Field
    mean: Field
    spread: Field


@dataclass(frozen=True, kw_only=True)
class ShownRollout:
    """A rollout, lead by lead. mask: (H, W), 1 outside the flow; None: no walls."""

    trajectory: str
    leads: list[ShownLead]
    mask: NDArray[np.uint8] | None = None


def shown_rollout(inputs: ReportInputs, case: str) -> ShownRollout:
    """The first rollout in the samples of the first method that draws ensembles, or else of the
    first method. Raises FlexbenchError where nothing was sampled.
    """
    with Samples(_shown_samples(inputs, case)) as samples:
        return rollout_of(
            samples,
            inputs.layout.trajectory(samples.snapshots[0].trajectory),
            lead_time=inputs.lead_time(case),
            observable=inputs.config.cases[case].settings.observable,
        )


def _shown_samples(inputs: ReportInputs, case: str) -> Path:
    config = inputs.config
    paths = [
        inputs.layout.samples(case, method, config.training_seeds_of(method)[0])
        for method in config.methods_of(case)
    ]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise FlexbenchError(f"{paths[0]}: no such samples file; run `flexbench sample` first")
    for path in found:
        with Samples(path) as samples:
            if samples.labels.mode in ("denoiser", SUBMITTED):
                return path
    return found[0]


def rollout_of(
    samples: Samples, trajectory: Path, *, lead_time: float, observable: Observable = "w"
) -> ShownRollout:
    """The first rollout of a trajectory.

    samples: of rollouts. trajectory: the file of the truth. lead_time: time between two leads.
    observable: what the samples predict of the file. Raises FlexbenchError where the samples hold
    no rollout of that trajectory.
    """
    leads, rows = [], _first_rollout(samples, trajectory)
    with open_trajectory(trajectory, observable) as truth:
        for row in rows:
            shot = samples.snapshots[row]
            members = thinned(samples.ensemble(row)[:, 0], most=_MOST_POINTS)
            own = ShownEnsemble.of(members)
            leads.append(
                ShownLead(
                    ahead=lead_time * shot.lead,
                    truth=thinned(truth.snapshot(shot.index), most=_MOST_POINTS),
                    member=own.member,
                    mean=own.mean,
                    spread=np.zeros_like(own.mean) if own.spread is None else own.spread,
                )
            )
        mask = None if truth.mask is None else thinned(truth.mask, most=_MOST_POINTS)
        return ShownRollout(trajectory=trajectory.stem, leads=leads, mask=mask)


def _first_rollout(samples: Samples, trajectory: Path) -> list[int]:
    """Its rows, by lead."""
    own = [i for i, shot in enumerate(samples.snapshots) if shot.trajectory == trajectory.stem]
    starts = [row for row in own if samples.snapshots[row].lead == 1]
    end = starts[1] if len(starts) > 1 else (own[-1] + 1 if own else 0)
    rows = [row for row in own if row < end]
    if len(rows) < 2:
        raise FlexbenchError(f"{samples.path}: no rollout of {trajectory.stem} to be shown")
    return rows
