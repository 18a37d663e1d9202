"""The solver against exponax (JAX, ETDRK4) at equal error; `benchmarks/solver.py --peer` runs it.

256^2, float64, Kraichnan's field at Re 1000, the same modes kept, on one processor. The peer's
state stays a spectrum, so that it pays for no transforms but those of its scheme.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from rich.table import Table

from flexbench.config import SolverSettings
from flexbench.solver.simulate import Simulation

POINTS, REYNOLDS, END = 256, 1000.0, 0.2
STEPS = (0.01, 0.005, 0.0025)
FINE = 2.5e-4
# Steps of the peer in one compiled call.
CALL = 5


def _simulation(dt: float) -> Simulation:
    settings = SolverSettings(grid=POINTS, precision="float64", dt=dt)
    return Simulation(settings, reynolds=REYNOLDS, seed=0)


def _load() -> tuple[Any, Any]:
    """exponax and jax, bound to one thread before they start any; exits where they are missing."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    try:
        import exponax
        import jax
    except ImportError:
        raise SystemExit("--peer needs exponax: pip install exponax") from None
    jax.config.update("jax_enable_x64", True)
    return exponax, jax


def _run(exponax: Any, jax: Any, dt: float, steps: int) -> Callable[[Any], Any]:
    """So many of the peer's steps, from spectrum to spectrum."""
    stepper = exponax.stepper.NavierStokesVorticity(
        2,
        2 * np.pi,
        POINTS,
        dt,
        diffusivity=1 / REYNOLDS,
        # Its velocity is the gradient of psi turned the other way: scale -1 is our equation.
        vorticity_convection_scale=-1.0,
        order=4,
        # It keeps wavenumbers up to fraction * POINTS / 2 - 1.
        dealiasing_fraction=((POINTS - 1) // 3 + 1) / (POINTS // 2),
    )
    compiled: Callable[[Any], Any] = jax.jit(exponax.repeat(stepper.step_fourier, steps))
    return compiled


def peer_table(medians: Callable[[Sequence[Callable[[], object]]], list[float]]) -> Table:
    """Milliseconds of a step of each, errors at time END, and processor time at equal error.

    medians: of functions, measured in turn, in milliseconds of processor time per call.
    """
    exponax, jax = _load()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    start = _simulation(FINE).vorticity().numpy()
    exact = _field(_simulation(FINE))
    # Its first axis is x.
    spectrum = exponax.fft(start.T[None], num_spatial_dims=2)

    def error(field: np.ndarray) -> float:
        return float(np.linalg.norm(field - exact) / np.linalg.norm(exact))

    ours, theirs = [], []
    for dt in STEPS:
        ours.append(error(_field(_simulation(dt))))
        end = _run(exponax, jax, dt, round(END / dt))(spectrum)
        field = exponax.ifft(end, num_spatial_dims=2, num_points=POINTS)
        theirs.append(error(np.asarray(field)[0].T))
    simulation = _simulation(STEPS[-1])
    state, step = simulation.spectrum, simulation._integrator.step
    several = _run(exponax, jax, STEPS[-1], CALL)
    our_step, call = medians(
        [
            lambda: step(state, STEPS[-1]),
            lambda: several(spectrum).block_until_ready(),
        ]
    )
    their_step = call / CALL
    title = f"{POINTS}^2, float64, t = {END:g}: {our_step:.2f} ms a step, exponax {their_step:.2f}"
    table = Table(title=f"{title} ({their_step / our_step:.2f} times ours)")
    for name in ("dt", "error", "error, exponax", "time of exponax at our error / ours"):
        table.add_column(name, justify="right")
    for dt, mine, other in zip(STEPS, ours, theirs, strict=True):
        same = _step_of_error(mine, theirs)
        ratio = their_step / same / (our_step / dt)
        table.add_row(f"{dt:g}", f"{mine:.2e}", f"{other:.2e}", f"{ratio:.2f}")
    return table


def _field(simulation: Simulation) -> np.ndarray:
    """The vorticity (H, W) at time END."""
    simulation.advance_to(END)
    return simulation.vorticity().numpy()


def _step_of_error(error: float, errors: list[float]) -> float:
    """The step of that error: a line through logarithms; of order 4 beyond those of STEPS."""
    logs, steps = np.log(errors), np.log(STEPS)
    nearest = int(np.abs(logs - math.log(error)).argmin())
    if min(errors) <= error <= max(errors):
        return float(np.exp(np.interp(math.log(error), logs[::-1], steps[::-1])))
    return STEPS[nearest] * (error / errors[nearest]) ** 0.25
