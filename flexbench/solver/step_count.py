"""How many steps a simulation takes: counted where they are fixed, else tried on a coarse grid.

The largest eddies carry the energy, and with it the largest speed, which is what the Courant limit
asks for; a coarse grid has those.
"""

import math
from bisect import bisect_right
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from flexbench.config import Run, SolverSettings
from flexbench.solver.times import snapshot_times
from flexbench.spec import Boundary, smallest_grid

if TYPE_CHECKING:
    from flexbench.solver.simulate import Simulation

_COARSE = 64
_SAMPLES = 40  # times at which the speed is looked at
_SEED = 0


def solver_steps(settings: SolverSettings, reynolds: float, boundary: Boundary = "periodic") -> int:
    """Steps of one trajectory, to within a few per cent where the Courant number decides them."""
    times = snapshot_times(settings).tolist()
    if settings.dt is not None:
        parts = [
            times[0],
            *(later - former for former, later in pairwise(times)),
        ]
        return sum(max(1, math.ceil(part / settings.dt - 1e-9)) for part in parts)
    # Only here is torch needed, which takes longer to import than all else that plans.
    from flexbench.solver.boundary import PENALISATION
    from flexbench.solver.penalised import STABLE_STEP
    from flexbench.solver.simulate import LEG_STEPS

    spacing = 2 * math.pi / settings.grid
    moments, speeds = _speeds(settings.t_end, settings.peak_wavenumber, reynolds, boundary)
    # Walls that are penalised have a limit of their own.
    longest = STABLE_STEP * PENALISATION * spacing if boundary == "no_slip" else math.inf
    now, steps = 0.0, 0
    for moment in times:
        while now < moment:
            speed = speeds[max(0, bisect_right(moments, now) - 1)]
            limit = min(settings.cfl * spacing / speed, longest)
            count = max(1, math.ceil((moment - now) / limit - 1e-9))
            taken = min(count, LEG_STEPS)
            now = moment if taken == count else now + taken * (moment - now) / count
            steps += taken
    return steps


def first_courant(settings: SolverSettings, run: Run) -> float:
    """The Courant number of a fixed time step in a run's initial field."""
    assert settings.dt is not None
    simulation = _coarse(run, t_end=settings.t_end, peak=settings.peak_wavenumber)
    return settings.dt * _speed(simulation) * settings.grid / (2 * math.pi)


def _coarse(run: Run, *, t_end: float, peak: float) -> "Simulation":
    """The same flow on the coarsest grid that it fits."""
    from flexbench.solver.simulate import Simulation

    settings = SolverSettings(
        grid=max(_COARSE, smallest_grid(peak)),
        t_start=t_end / 2,
        t_end=t_end,
        interval=t_end / 2,
        peak_wavenumber=peak,
    )
    return Simulation(settings, reynolds=run.reynolds, seed=run.seed, boundary=run.boundary)


def _speed(simulation: "Simulation") -> float:
    """The largest |u| + |v|."""
    u, v = simulation.equation.velocity(simulation.spectrum)
    return float((u.abs() + v.abs()).max())


@cache
def _speeds(
    t_end: float, peak: float, reynolds: float, boundary: Boundary
) -> tuple[list[float], list[float]]:
    """Times, and the largest |u| + |v| at each, of the same flow on the coarsest grid it fits."""
    simulation = _coarse(Run(boundary, reynolds, _SEED), t_end=t_end, peak=peak)
    moments, speeds = [], []
    for number in range(_SAMPLES):
        moments.append(simulation.time)
        speeds.append(_speed(simulation))
        simulation.advance_to((number + 1) * t_end / _SAMPLES)
    return moments, speeds
