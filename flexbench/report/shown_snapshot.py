"""The one test snapshot that the maps show, read from the samples and the data."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flexbench.data.normaliser import Normaliser
from flexbench.data.observe import open_trajectory
from flexbench.data.patches import full_windows
from flexbench.data.samples import Samples
from flexbench.errors import FlexbenchError
from flexbench.report.inputs import ReportInputs
from flexbench.tasks import make_task

Field = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class ShownEnsemble:
    """What the maps show of an ensemble; fields (H, W), physical units.

    size: its members. member: the first of them. spread: standard deviation over them; None of
    one member.
    """

    size: int
    member: Field
    mean: Field
    spread: Field | None = None

    @classmethod
    def of(cls, members: Field) -> "ShownEnsemble":
        """members: (M, H, W)."""
        spread = members.std(axis=0, ddof=1) if len(members) > 1 else None
        return cls(size=len(members), member=members[0], mean=members.mean(axis=0), spread=spread)


@dataclass(frozen=True, kw_only=True)
class ShownSnapshot:
    """One test snapshot as the maps show it; fields (H, W), physical units.

    given: what a method starts from, (h, w): the low-resolution field, or the oldest of the past
    snapshots. base: the field that the residual is added to. ensembles: by method. mask: (H, W), 1
    outside the flow; None: no walls.
    """

    trajectory: str
    reynolds: float
    index: int
    time: float
    truth: Field
    ensembles: dict[str, ShownEnsemble]
    given: Field | None = None
    base: Field | None = None
    mask: NDArray[np.uint8] | None = None


class _Place(NamedTuple):
    """Which snapshot of which trajectory; sorts by Re, then trajectory, then time.

    lead: how far ahead of what was given.
    """

    reynolds: float
    trajectory: str
    number: int
    time: float
    lead: int


def shown_snapshot(inputs: ReportInputs, case: str) -> ShownSnapshot | None:
    """The middle one (by Re, trajectory, time) of the snapshots that all methods predicted.

    None where they have none in common, or none was predicted.
    """
    config, layout = inputs.config, inputs.layout
    paths = {
        method: layout.samples(case, method, config.training_seeds_of(method)[0])
        for method in config.methods_of(case)
    }
    paths = {method: path for method, path in paths.items() if path.is_file()}
    if not paths:
        return None
    with ExitStack() as stack:
        samples = {method: stack.enter_context(Samples(path)) for method, path in paths.items()}
        rows = {method: _rows(file) for method, file in samples.items()}
        common = sorted(set.intersection(*(set(places) for places in rows.values())))
        if not common:
            return None
        place = common[len(common) // 2]
        ensembles = {
            method: ShownEnsemble.of(file.ensemble(rows[method][place])[:, 0])
            for method, file in samples.items()
        }
    shown = _with_truth(inputs, case, place, ensembles)
    for method, ensemble in ensembles.items():
        if ensemble.mean.shape != shown.truth.shape:
            raise FlexbenchError(
                f"{paths[method]}: fields are {ensemble.mean.shape}, but {place.trajectory} has "
                f"{shown.truth.shape}"
            )
    return shown


def _with_truth(
    inputs: ReportInputs, case: str, place: _Place, ensembles: dict[str, ShownEnsemble]
) -> ShownSnapshot:
    """The truth and what was given, beside what was predicted."""
    settings = inputs.task(case)
    path = inputs.layout.trajectory(place.trajectory)
    with open_trajectory(path, inputs.config.cases[case].settings.observable) as trajectory:
        # Nothing normalised is shown, so the scales do not matter.
        task = make_task(
            settings,
            normaliser=Normaliser(1.0, 1.0),
            interval=1.0 if settings.lead_time is None else trajectory.interval,
            periodic=trajectory.periodic,
        )
        # What was given is that of the rollout's first lead.
        end = place.number + (task.ahead - (place.lead - 1)) * task.stride
        windows = full_windows(
            trajectory, end, window=task.window, stride=task.stride, halo=task.halo
        )
        truth, mask = trajectory.snapshot(place.number), trajectory.mask
    example = task.example(windows)
    return ShownSnapshot(
        trajectory=place.trajectory,
        reynolds=place.reynolds,
        index=place.number,
        time=place.time,
        truth=truth,
        ensembles=ensembles,
        given=example.inputs[0, 0].numpy(),
        base=example.base[0, 0].numpy(),
        mask=mask,
    )


def _rows(samples: Samples) -> dict[_Place, int]:
    """Row of every snapshot of a samples file."""
    return {
        _Place(shot.reynolds, shot.trajectory, shot.index, shot.time, shot.lead): row
        for row, shot in enumerate(samples.snapshots)
    }
