"""How much a network has to say: the variance of its target, of fields and of residuals.

With ``x_t = alpha x0 + sigma eps`` and unit noise, the target ``v = alpha eps - sigma x0`` has the
variance ``alpha^2 + sigma^2 Var(x0)``. What can be known of it at x_t is the optimal velocity
``v* = -(sigma / alpha) (score_t(x) + x)``, so ``E|v*|^2`` is ``(sigma / alpha)^2`` times the
relative Fisher divergence of p_t from the normal distribution. For Gaussian data of variance s^2
in a mode it is ``alpha^2 sigma^2 (1 - s^2)^2 / (alpha^2 s^2 + sigma^2)``; turbulence is not
Gaussian, so of it that is an estimate, by its spectrum alone. The corollaries are our own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from flexbench.data.patches import check_window, full_windows
from flexbench.data.store import Trajectory
from flexbench.diffusion import CosineSchedule
from flexbench.metrics.spectral import radial_spectrum, transform
from flexbench.tasks import Task
from flexbench.theory.tables import SCALINGS, SPACES, TARGETS

Array = NDArray[np.float64]

# Of t in (0, 1): the middles of as many equal parts, so that their mean is that over t.
TIMES = 20


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How widely data is spread about its mean.

    variance: of one point. of_modes (K,): of one mode in each shell of wavenumbers, such that the
    mean over all modes is `variance`. modes (K,): how many a shell has.
    """

    variance: float
    of_modes: Array
    modes: Array

    @classmethod
    def of(cls, fields: Sequence[Array], *, periodic: bool) -> "Spread":
        """Of fields (N, N), in the mean over them; the mean of each counts as known."""
        variance = float(np.mean([field.var() for field in fields]))
        power = np.mean(
            [radial_spectrum(transform(field, periodic=periodic)).power for field in fields], axis=0
        )
        power[0] = 0.0
        grid = len(fields[0])
        everywhere = np.ones((grid, grid // 2 + 1), dtype=np.complex128)
        modes = radial_spectrum(everywhere).power * grid**4
        # Under a window, that of fields without a period, the sum over shells is an estimate.
        share = power / power.sum() if power.sum() > 0 else power
        return cls(variance=variance, of_modes=variance * share * grid**2 / modes, modes=modes)

    def divided(self, square: float) -> "Spread":
        """Of the same data in units of which `square` is one squared."""
        return Spread(
            variance=self.variance / square, of_modes=self.of_modes / square, modes=self.modes
        )

    def target_variance(self, alpha: Array, sigma: Array) -> Array:
        """Of v, at alpha and sigma (T,)."""
        return alpha**2 + sigma**2 * self.variance

    def optimal_velocity(self, alpha: Array, sigma: Array) -> Array:
        """Mean square of the best velocity for Gaussian data of this spectrum, (T,)."""
        alpha, sigma, square = alpha[:, None], sigma[:, None], self.of_modes
        known = alpha**2 * sigma**2 * (1 - square) ** 2 / (alpha**2 * square + sigma**2)
        found: Array = (known * self.modes).sum(axis=1) / self.modes.sum()
        return found


def measure_targets(
    task: Task, paths: Sequence[Path], *, snapshots: int, schedule: CosineSchedule
) -> pd.DataFrame:
    """A row for each file, space, scaling and time: see `tables.TARGETS`.

    task: of residuals, with the scales of its training split. snapshots: of each file at most so
    many targets, evenly spaced over it, each a whole domain.
    """
    times = torch.arange(TIMES, dtype=torch.float64).add(0.5) / TIMES
    alpha, sigma = (it.numpy() for it in schedule.alpha_sigma(times))
    flows: dict[Path, float] = {}
    spreads: dict[tuple[Path, str], Spread] = {}
    for path in paths:
        with Trajectory(path) as trajectory:
            flows[path] = trajectory.reynolds
            generated = list(_generated(task, trajectory, snapshots))
        for space, fields in zip(SPACES, zip(*generated, strict=True), strict=True):
            spreads[path, space] = Spread.of(fields, periodic=task.periodic)
    squares = {("equal", space): task.normaliser.field_std**2 for space in SPACES}
    for space in SPACES:
        own = [spread.variance for (_, it), spread in spreads.items() if it == space]
        squares["unit", space] = float(np.mean(own))
    rows: list[dict[str, Any]] = []
    for (path, space), scaling in product(spreads, SCALINGS):
        spread = spreads[path, space].divided(squares[scaling, space])
        labels = {"trajectory": path.stem, "reynolds": flows[path], "space": space}
        labels |= {"scaling": scaling, "variance": spread.variance}
        columns = (spread.target_variance(alpha, sigma), spread.optimal_velocity(alpha, sigma))
        rows += (
            labels | {"t": t, "target_variance": wanted, "optimal_velocity": best}
            for t, wanted, best in zip(times.tolist(), *columns, strict=True)
        )
    return TARGETS.of(rows)


def _generated(task: Task, trajectory: Trajectory, snapshots: int) -> Iterator[tuple[Array, Array]]:
    """Residual and field (H, W), as SPACES has them, of evenly spaced windows of one file."""
    check_window(trajectory, window=task.window, stride=task.stride)
    ends = np.arange((task.window - 1) * task.stride, trajectory.shape[0])
    # The middles of as many equal parts: the ends of a file would weigh too much among few.
    count = min(snapshots, len(ends))
    chosen = ((np.arange(count) + 0.5) * len(ends) / count).astype(int)
    for end in ends[chosen]:
        example = task.example(
            full_windows(
                trajectory, int(end), window=task.window, stride=task.stride, halo=task.halo
            )
        )
        residual = example.truth - example.base
        yield residual[0, 0].double().numpy(), example.truth[0, 0].double().numpy()
