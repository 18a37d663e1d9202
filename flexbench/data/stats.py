"""Standard deviations that scale a task's condition and residual, from training files only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data import schema
from flexbench.data.degrade import Degradation
from flexbench.data.observe import open_trajectory
from flexbench.data.patches import check_window, full_windows
from flexbench.data.store import Trajectory, window_stride
from flexbench.errors import FlexbenchError
from flexbench.spec import Observable

Array = NDArray[np.float32]

SNAPSHOTS = 32


@dataclass(frozen=True)
class Normaliser:
    """Scales between physical units and what networks see.

    condition = physical / field_std; residual = physical / residual_std.
    """

    field_std: float
    residual_std: float

    def __post_init__(self) -> None:
        for name in ("field_std", "residual_std"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise FlexbenchError(f"{name} is {value}; allowed: a finite number above 0")

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> "Normaliser":
        """From what `compute_statistics` returned."""
        missing = [name for name in ("field_std", "residual_std") if name not in statistics]
        if missing:
            raise FlexbenchError(f"statistics: key '{missing[0]}' is missing")
        return cls(
            field_std=float(statistics["field_std"]),
            residual_std=float(statistics["residual_std"]),
        )


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
    settings: SuperResolutionSettings | ForecastSettings,
    paths: Sequence[Path | str],
    *,
    snapshots: int = SNAPSHOTS,
    observable: Observable = "w",
) -> dict[str, Any]:
    """Std of a task's field and residual over whole domains of the training files.

    snapshots: at most so many target snapshots per file, evenly spaced over the file.
    observable: the field that is measured, the files' vorticity or a velocity.

    Returns a JSON-like dict: `field_std` and `residual_std`, the two that scale (residual_std is
    field_std under `normalisation: official`); `measured_residual_std`, `residual_to_field` and
    the means for information; the same per Re under `by_reynolds`; what was read; whether it is
    `periodic`, and (to forecast) its `interval`; and what the files of own data say of their field
    (`schema.DESCRIPTION`), under `described`. Raises FlexbenchError where a file is unfit, not
    finite, or has no window of the task.
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
            forecasts = isinstance(settings, ForecastSettings)
            interval = trajectory.interval if forecasts else None
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
    settings: SuperResolutionSettings | ForecastSettings, trajectory: Trajectory, snapshots: int
) -> Iterator[tuple[Array, Array]]:
    """Target and residual (H, W) of evenly spaced windows of one file."""
    window, stride = 1, 1
    if isinstance(settings, ForecastSettings):
        window = settings.past + 1
        stride = window_stride(settings.lead, trajectory.interval, where=str(trajectory.path))
    check_window(trajectory, window=window, stride=stride)
    targets = np.arange((window - 1) * stride, trajectory.shape[0])
    chosen = np.linspace(0, len(targets) - 1, min(snapshots, len(targets))).round().astype(int)
    for index in targets[chosen]:
        fields = full_windows(
            trajectory, int(index), window=window, stride=stride, halo=None
        ).fields
        truth = fields[:, -1:]
        if isinstance(settings, ForecastSettings):
            base = fields[:, -2:-1]
        else:
            degradation = Degradation.of(settings, periodic=trajectory.periodic)
            base = degradation.up(degradation.down(truth))
        yield truth[0, 0].numpy(), (truth - base)[0, 0].numpy()
