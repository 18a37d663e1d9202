"""A valid trajectory file in milliseconds, with a known field: for tests and first steps."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexbench.data.store import write_trajectory
from flexbench.seeding import numpy_generator

RMS = 5.0
DRIFT = (1.0, 0.5)


def write_dummy(
    path: Path | str,
    *,
    grid: int,
    times: Sequence[float] | NDArray[np.float64],
    reynolds: float,
    seed: int,
) -> None:
    """Write random waves that drift and decay, an exact solution of a linear equation.

    On [0, 2 pi]^2, dw/dt + U . grad w = lap w / Re with U = DRIFT (x, y); rms 5 at time 0. Same
    arguments, same bytes. Errors as write_trajectory.
    """
    time = np.asarray(times, dtype=np.float64)
    write_trajectory(
        path,
        dummy_snapshots(grid=grid, times=time, reynolds=reynolds, seed=seed),
        time=time,
        grid=grid,
        reynolds=reynolds,
        seed=seed,
        attributes={"source": "flexbench.data.dummy"},
    )


def dummy_snapshots(
    *, grid: int, times: NDArray[np.float64], reynolds: float, seed: int
) -> Iterator[NDArray[np.float32]]:
    """The snapshots (grid, grid) float32 that `write_dummy` writes, one per time."""
    kx = np.arange(grid // 2 + 1)
    ky = np.fft.fftfreq(grid, 1 / grid)[:, None]
    squared = kx**2 + ky**2
    noise = numpy_generator(seed, "dummy").standard_normal((grid, grid))
    # Most energy in large waves, and none where the grid could not tell which way they drift.
    shape = np.where((np.abs(ky) < grid / 3) & (kx < grid / 3), 1 / (1 + squared / 4), 0.0)
    waves = np.fft.rfft2(noise) * shape
    waves[0, 0] = 0
    waves *= RMS / np.fft.irfft2(waves, s=(grid, grid)).std()
    for time in times:
        moved = np.exp(-1j * (kx * DRIFT[0] + ky * DRIFT[1]) * time - squared * time / reynolds)
        yield np.fft.irfft2(waves * moved, s=(grid, grid)).astype(np.float32)
