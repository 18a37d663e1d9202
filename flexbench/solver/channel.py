"""Free-slip channel by odd symmetry: 0 <= y <= pi of the periodic box, w(x, -y) = -w(x, y).

Then w = v = du/dy = 0 at y = 0 and y = pi, which is what a free-slip wall asks for; the other half
of the box holds the flow's mirror image. The equation keeps the symmetry, but rounding errors do
not, and they grow: `constrain` removes them after every step.

The mean flow along x is a constant of motion: no momentum passes a wall where v = du/dy = 0, and
there is no mean pressure gradient. The vorticity does not hold it, and the flows here start
without: it is zero for all time. (v = 0 at the walls, so that the mean of v is zero as well.)
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.solver.grid import SpectralGrid
from flexbench.solver.navier_stokes import NavierStokes


class FreeSlipChannel(NavierStokes):
    """Decaying flow between free-slip walls; a state is a vorticity spectrum (K + 1, N)."""

    def __init__(self, grid: SpectralGrid, *, viscosity: float):
        super().__init__(grid, viscosity=viscosity)
        self._mirrored = -torch.arange(grid.points, device=grid.device) % grid.points

    def constrain(self, state: Tensor) -> None:
        """Keep only what is odd in y, in place."""
        state.sub_(state[:, self._mirrored]).mul_(0.5)

    def field(self, state: Tensor) -> Tensor:
        """The vorticity (H, W), odd in y to the last bit and zero on the walls."""
        vorticity = super().field(state)
        return (vorticity - vorticity[self._mirrored]) / 2

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(H, W), 1 in the mirror image; the walls, on rows 0 and H / 2, are part of the flow."""
        rows = np.arange(self.grid.points) > self.grid.points // 2
        return np.repeat(rows[:, None], self.grid.points, axis=1).astype(np.uint8)
