"""When a simulation is looked at; apart from the solver, for what only plans."""

import numpy as np
from numpy.typing import NDArray

from flexbench.config import SolverSettings
from flexbench.errors import FlexbenchError


def snapshot_times(settings: SolverSettings) -> NDArray[np.float64]:
    """Times (T,) of the stored snapshots: t_start, t_start + interval, ..., t_end.

    Raises FlexbenchError where the interval does not divide the time between first and last.
    """
    intervals = (settings.t_end - settings.t_start) / settings.interval
    if round(intervals) < 1 or abs(intervals - round(intervals)) > 1e-6:
        raise FlexbenchError(
            f"solver.interval is {settings.interval:g}, which does not divide t_end - t_start "
            f"({settings.t_end:g} - {settings.t_start:g})"
        )
    return np.linspace(settings.t_start, settings.t_end, round(intervals) + 1)
