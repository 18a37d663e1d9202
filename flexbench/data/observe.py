"""Observables: what is looked at in a trajectory file, its vorticity or a velocity.

Files hold vorticity. Velocities are derived from it, snapshot by snapshot, when they are read, so
that they cost nothing until somebody looks.
"""

from pathlib import Path

import numpy as np

from flexbench.data.store import Field, Runs, Trajectory, periodic_runs
from flexbench.errors import FlexbenchError
from flexbench.spec import Observable


class VelocityTrajectory(Trajectory):
    """A trajectory file seen through one velocity component, "u" or "v", of its flow.

    The Poisson equation gives the velocity up to its mean, which a file with walls holds
    (`/mean_flow`) and which is zero elsewhere. Every read derives whole snapshots.
    """

    def __init__(self, path: Path | str, component: Observable):
        super().__init__(path)
        self.component = ("u", "v").index(component)

    def _fill(self, field: Field, first: int, *, stride: int, rows: Runs, columns: Runs) -> None:
        # Whoever reads vorticity need not wait for torch.
        import torch

        from flexbench.solver.diagnostics import velocity_from_vorticity

        count, every = len(field), periodic_runs(0, self.grid, self.grid)
        vorticity = np.empty((count, self.grid, self.grid), dtype=np.float32)
        super()._fill(vorticity, first, stride=stride, rows=every, columns=every)
        velocity = velocity_from_vorticity(torch.from_numpy(vorticity).double())[self.component]
        whole = velocity.numpy()
        if self.mean_flow is not None:
            last = first + (count - 1) * stride
            whole = whole + self.mean_flow[first : last + 1 : stride, self.component, None, None]
        for source_y, target_y, height in rows:
            for source_x, target_x, width in columns:
                field[:, target_y : target_y + height, target_x : target_x + width] = whole[
                    :, source_y : source_y + height, source_x : source_x + width
                ]


def open_trajectory(path: Path | str, observable: Observable = "w") -> Trajectory:
    """A trajectory file as an observable: "w" as it is, "u" or "v" derived from it.

    Raises FlexbenchError for a file that is unfit, and for a velocity of a domain that is not
    periodic, whose vorticity alone does not decide it.
    """
    if observable == "w":
        return Trajectory(path)
    trajectory = VelocityTrajectory(path, observable)
    if not trajectory.periodic:
        raise FlexbenchError(
            f"{path}: not periodic, so its vorticity does not decide the velocity {observable}; "
            "allowed: w"
        )
    return trajectory
