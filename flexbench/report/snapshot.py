"""The one test snapshot that the maps show, read from the samples and the data."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data.normaliser import Normaliser
from flexbench.data.observe import open_trajectory
from flexbench.data.patches import full_windows
from flexbench.data.samples import Samples
from flexbench.errors import FlexbenchError
from flexbench.paths import Layout
from flexbench.spec import Observable
from flexbench.tasks import make_task

Field = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class ShownSnapshot:
    """One test snapshot as the maps show it; fields (H, W), physical units.

    given: what a method starts from, (h, w): the low-resolution field, or the oldest of the past
    snapshots. base: the field that the residual is added to. members: (M, H, W) by method. mask:
    (H, W), 1 outside the flow; None: no walls.
    """

    trajectory: str
    reynolds: float
    index: int
    time: float
    truth: Field
    members: dict[str, Field]
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


def read_snapshot(
    paths: dict[str, Path],
    layout: Layout,
    settings: SuperResolutionSettings | ForecastSettings,
    *,
    interval: float | None,
    observable: Observable = "w",
) -> ShownSnapshot | None:
    """The middle snapshot of those in every samples file; None where they have none in common.

    paths: samples file of each method. interval: time between two stored snapshots; None: as in
    the file.
    """
    with ExitStack() as stack:
        samples = {method: stack.enter_context(Samples(path)) for method, path in paths.items()}
        rows = {method: _rows(file) for method, file in samples.items()}
        common = sorted(set.intersection(*(set(places) for places in rows.values())))
        if not common:
            return None
        place = common[len(common) // 2]
        members = {
            method: file.ensemble(rows[method][place])[:, 0] for method, file in samples.items()
        }
    path = layout.trajectory(place.trajectory)
    with open_trajectory(path, observable) as trajectory:
        if interval is None:
            interval = trajectory.interval if isinstance(settings, ForecastSettings) else 1.0
        # Nothing normalised is shown, so the scales do not matter.
        task = make_task(
            settings,
            normaliser=Normaliser(1.0, 1.0),
            interval=interval,
            periodic=trajectory.periodic,
        )
        # What was given lies before the rollout's first lead.
        first = place.number - (place.lead - 1) * task.stride
        windows = full_windows(
            trajectory, first, window=task.window, stride=task.stride, halo=task.halo
        )
        truth, mask = trajectory.snapshot(place.number), trajectory.mask
    example = task.example(windows)
    for method, fields in members.items():
        if fields.shape[1:] != truth.shape:
            raise FlexbenchError(
                f"{paths[method]}: fields are {fields.shape[1:]}, but {path.name} has {truth.shape}"
            )
    return ShownSnapshot(
        trajectory=place.trajectory,
        reynolds=place.reynolds,
        index=place.number,
        time=place.time,
        truth=truth,
        members=members,
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
