"""Standard deviations that scale a task's condition and residual, from training files only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flexbench.config.tasks import TaskSettings
from flexbench.data import schema
from flexbench.data.normaliser import Normaliser
from flexbench.data.observe import open_trajectory
from flexbench.data.patches import check_window, full_windows
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.spec import Observable
from flexbench.tasks import make_task

Array = NDArray[np.float32]

SNAPSHOTS = 32


@dataclass
class _Moments:
    """Mean and std of arrays that come one by one, pooled (Chan's update)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: Array) -> None:
        exact = values.astype(np.float64)
        mean, total = float(exact.mean()), self.count + values.size
        shift = mean - self.mean
        self.squares += float(((exact - mean) ** 2).sum())
        self.squares += shift**2 * self.count * values.size / total
        self.mean += shift * values.size / total
        self.count = total

    @property
    def std(self) -> float:
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0


class _Pair:
    """Moments of the field and of its residual."""

    def __init__(self) -> None:
        self.field = _Moments()
        self.residual = _Moments()

    def add(self, truth: Array, residual: Array) -> None:
        self.field.add(truth)
        self.residual.add(residual)

    def summary(self) -> dict[str, float]:
        return {
            "field_std": self.field.std,
            "field_mean": self.field.mean,
            "measured_residual_std": self.residual.std,
            "residual_mean": self.residual.mean,
            "residual_to_field": self.residual.std / self.field.std if self.field.std else 0.0,
        }


def compute_statistics(
    settings: TaskSettings,
    paths: Sequence[Path | str],
    *,
    snapshots: int = SNAPSHOTS,
    observable: Observable = "w",
) -> dict[str, Any]:
    """Std of a task's field and of what it generates, over whole domains of the training files.

    snapshots: at most so many target snapshots per file, evenly spaced over the file.
    observable: the field that is measured, the files' vorticity or a velocity.

    Returns a JSON-like dict: `field_std` and `residual_std`, the two that scale (residual_std is
    field_std under `normalisation: official`); `measured_residual_std`, `residual_to_field` and
    the means for information; the same per Re under `by_reynolds`; what was read; whether it is
    `periodic`, and (where a window holds several snapshots) its `interval`; and what the files of
    own data say of their field (`schema.DESCRIPTION`), under `described`. Raises FlexbenchError
    where a file is unfit, not finite, or has no window of the task.
    """
    if not paths:
        raise FlexbenchError("no training files to compute statistics from")
    overall = _Pair()
    by_reynolds: dict[float, _Pair] = {}
    used, periodic, interval = 0, True, None
    described: dict[str, Any] = {}
    for path in paths:
        with open_trajectory(path, observable) as trajectory:
            periodic = trajectory.periodic
            said = trajectory.attributes
            described |= {name: said[name] for name in schema.DESCRIPTION if name in said}
            # Single snapshots need no even spacing.
            interval = None if settings.lead_time is None else trajectory.interval
            own = by_reynolds.setdefault(trajectory.reynolds, _Pair())
            for truth, residual in _samples(settings, trajectory, snapshots):
                overall.add(truth, residual)
                own.add(truth, residual)
                used += 1
    summary = overall.summary()
    official = settings.normalisation == "official"
    scale = summary["field_std" if official else "measured_residual_std"]
    Normaliser(field_std=summary["field_std"], residual_std=scale)
    return {
        "residual_std": scale,
        **summary,
        "normalisation": settings.normalisation,
        "by_reynolds": {f"{re:g}": by_reynolds[re].summary() for re in sorted(by_reynolds)},
        "trajectories": [Path(path).stem for path in paths],
        "snapshots": used,
        "periodic": periodic,
        "interval": interval,
        "described": described,
    }


def _samples(
    settings: TaskSettings, trajectory: Trajectory, snapshots: int
) -> Iterator[tuple[Array, Array]]:
    """Target and residual (H, W) of evenly spaced windows of one file, by the task itself."""
    interval = 1.0 if settings.lead_time is None else trajectory.interval
    settings.stride(interval, where=str(trajectory.path))
    # Of physical units, as the scales are what is to be found.
    task = make_task(
        settings,
        normaliser=Normaliser(1.0, 1.0),
        interval=interval,
        periodic=trajectory.periodic,
    )
    check_window(trajectory, window=task.window, stride=task.stride)
    ends = np.arange((task.window - 1) * task.stride, trajectory.shape[0])
    chosen = np.linspace(0, len(ends) - 1, min(snapshots, len(ends))).round().astype(int)
    for end in ends[chosen]:
        windows = full_windows(
            trajectory, int(end), window=task.window, stride=task.stride, halo=task.halo
        )
        example = task.example(windows)
        yield example.truth[0, 0].numpy(), example.residual[0, 0].numpy()
