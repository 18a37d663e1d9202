"""Observables: what is looked at in a trajectory file, its vorticity or a velocity.

Files hold vorticity. Velocities are derived from it, snapshot by snapshot, when they are read, so
that they cost nothing until somebody looks.
"""

from pathlib import Path

import numpy as np

from flexbench.data.store import Field, Trajectory, periodic_runs
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

    def read(
        self,
        first: int,
        *,
        count: int,
        stride: int,
        y: int,
        x: int,
        height: int,
        width: int,
        out: Field | None = None,
    ) -> Field:
        """As `Trajectory.read`, of the velocity, (count, height, width) float32."""
        # Whoever reads vorticity need not wait for torch.
        import torch

        from flexbench.solver.diagnostics import velocity_from_vorticity

        grid = self.grid
        vorticity = super().read(
            first, count=count, stride=stride, y=0, x=0, height=grid, width=grid
        )
        velocity = velocity_from_vorticity(torch.from_numpy(vorticity).double())[self.component]
        whole = velocity.numpy()
        if self.mean_flow is not None:
            last = first + (count - 1) * stride
            whole = whole + self.mean_flow[first : last + 1 : stride, self.component, None, None]
        field = np.empty((count, height, width), dtype=np.float32) if out is None else out
        for source_y, target_y, rows in periodic_runs(y, height, grid):
            for source_x, target_x, columns in periodic_runs(x, width, grid):
                field[:, target_y : target_y + rows, target_x : target_x + columns] = whole[
                    :, source_y : source_y + rows, source_x : source_x + columns
                ]
        return field


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
