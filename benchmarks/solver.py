"""Time of a solver step against the time of nothing but the Fourier transforms it needs.

    python benchmarks/solver.py [--grids 128 256 512] [--threads 1] [--peer]

Times are processor time, which other programs' turns do not count towards. Three measurements are
interleaved, so that a busy machine hurts them alike, and the median of 15 is taken:

- step: one Runge-Kutta step of the solver;
- pruned: its transforms alone, 4 x (2 inverse + 2 forward), each as two one-dimensional ones
  over the kept wavenumbers only, the data lying where each of them wants it;
- full: the same number of plain two-dimensional `irfft2` and `rfft2`.

"ratio" is step / the faster of the two. `--peer` measures exponax (`pip install exponax`) at equal
error instead: `solver_peer.py`.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from rich.console import Console
from rich.table import Table
from solver_peer import peer_table

from flexbench.config import SolverSettings
from flexbench.solver.grid import COMPLEX
from flexbench.solver.simulate import PRECISIONS, Simulation

STAGES = 4
REPEATS = 15
SECONDS_PER_SAMPLE = 0.02


def step_function(points: int, precision: str) -> Callable[[], None]:
    """One step of a run that is under way, at its Courant limit."""
    settings = SolverSettings(
        grid=points, precision=precision, peak_wavenumber=min(10, points / 12)
    )
    simulation = Simulation(settings, reynolds=1000, seed=0)
    simulation.advance_leg(10.0)
    integrator, state, dt = simulation._integrator, simulation.spectrum, simulation.dt
    return lambda: integrator.step(state, dt)


def pruned_transforms(points: int, precision: str) -> Callable[[], None]:
    """The one-dimensional transforms of a step, without a copy between them."""
    dtype = PRECISIONS[precision]
    kept = (points - 1) // 3 + 1
    columns = torch.randn(kept, points, dtype=COMPLEX[dtype])
    rows = torch.randn(points, kept, dtype=COMPLEX[dtype])
    field = torch.randn(points, points, dtype=dtype)
    half = torch.fft.rfft(field, dim=1)[:, :kept].T

    def transforms() -> None:
        for _ in range(2 * STAGES):
            torch.fft.ifft(columns, dim=1)
            torch.fft.irfft(rows, n=points, dim=1)
            torch.fft.rfft(field, dim=1)
            torch.fft.fft(half, dim=1)

    return transforms


def full_transforms(points: int, precision: str) -> Callable[[], None]:
    """Plain two-dimensional transforms, as many as a step needs."""
    field = torch.randn(points, points, dtype=PRECISIONS[precision])
    spectrum = torch.fft.rfft2(field)

    def transforms() -> None:
        for _ in range(2 * STAGES):
            torch.fft.irfft2(spectrum, s=(points, points))
            torch.fft.rfft2(field)

    return transforms


def interleaved_medians(functions: Sequence[Callable[[], object]]) -> list[float]:
    """Median milliseconds per call of each function, measured in turn."""
    calls = []
    for function in functions:
        function()
        start = time.process_time()
        function()
        elapsed = time.process_time() - start
        calls.append(max(1, round(SECONDS_PER_SAMPLE / elapsed)))
    samples: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS):
        for function, count, sample in zip(functions, calls, samples, strict=True):
            start = time.process_time()
            for _ in range(count):
                function()
            sample.append((time.process_time() - start) / count * 1e3)
    return [statistics.median(sample) for sample in samples]


def step_table(grids: Sequence[int]) -> Table:
    """Steps against transforms, one row for each grid and precision."""
    table = Table(title="One step (RK4: 8 inverse and 8 forward transforms), milliseconds")
    for name in ("N", "dtype", "step", "FFTs, pruned", "FFTs, full", "ratio", "step / full"):
        table.add_column(name, justify="right")
    for points in grids:
        for precision in PRECISIONS:
            step, pruned, full = interleaved_medians(
                [
                    step_function(points, precision),
                    pruned_transforms(points, precision),
                    full_transforms(points, precision),
                ]
            )
            numbers = [f"{step:.3f}", f"{pruned:.3f}", f"{full:.3f}"]
            ratios = [f"{step / min(pruned, full):.2f}", f"{step / full:.2f}"]
            table.add_row(str(points), precision, *numbers, *ratios)
    return table


def trajectory_table(end: float) -> Table:
    """Seconds of whole trajectories at 256^2, float32."""
    table = Table(title=f"One trajectory, 256^2, float32, t = 0 to {end:g}")
    for name in ("Re", "steps", "seconds"):
        table.add_column(name, justify="right")
    for reynolds in (500, 1000, 2000):
        simulation = Simulation(SolverSettings(), reynolds=reynolds, seed=0)
        start = time.process_time()
        simulation.advance_to(end)
        seconds = time.process_time() - start
        table.add_row(f"{reynolds}", f"{simulation.steps}", f"{seconds:.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the solver.")
    parser.add_argument("--grids", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--end", type=float, default=3.5, help="end time of the trajectories")
    parser.add_argument("--peer", action="store_true", help="against exponax at equal error")
    arguments = parser.parse_args()
    console = Console()
    if arguments.peer:
        console.print(peer_table(interleaved_medians))
        return
    torch.set_num_threads(arguments.threads)
    console.print(step_table(arguments.grids))
    console.print(trajectory_table(arguments.end))


if __name__ == "__main__":
    main()
