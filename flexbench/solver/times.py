"""When a simulation is looked at; apart from the solver, for what only plans."""

import numpy as np
from numpy.typing import NDArray

from flexbench.config import SolverSettings


def snapshot_times(settings: SolverSettings) -> NDArray[np.float64]:
    """Times (T,) of the stored snapshots: t_start, t_start + interval, ..., t_end."""
    return np.linspace(settings.t_start, settings.t_end, settings.snapshots)
