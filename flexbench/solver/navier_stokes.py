"""The vorticity equation as linear operator + nonlinear term.

    dw/dt = -u . grad w + nu lap w,    lap psi = -w,    u = (psi_y, -psi_x)

For a flow without divergence and without mean the nonlinear term needs two products only:

    u . grad w = (d_xx - d_yy)(u v) - d_xy (u^2 - v^2)

hence two inverse and two forward real transforms, where the advective form takes five. Its
rounding errors grow with k^2 rather than k; in float32 that is 4e-5 of the smallest scales at
1024^2, Re 16000, t = 0.5, while the error of the whole field is the advective form's.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.solver import diagnostics
from flexbench.solver.grid import COMPLEX, SpectralGrid


class NavierStokes:
    """Decaying flow of viscosity `viscosity` (= 1 / Re) on `grid`; a state is a vorticity spectrum.

    linear: eigenvalues (K + 1, N) of the linear operator, -nu k^2, float64. largest_step: bound
    on the time step besides the Courant number. mask: what lies outside the flow, if anything.
    """

    largest_step = math.inf

    def __init__(self, grid: SpectralGrid, *, viscosity: float):
        self.grid = grid
        self.viscosity = viscosity
        self.linear = -viscosity * grid.k_squared
        self._to_u = grid.coefficients(1j * grid.ky * grid.inverse_k_squared)
        self._to_v = grid.coefficients(-1j * grid.kx * grid.inverse_k_squared)
        self._from_uv = grid.coefficients(grid.kx**2 - grid.ky**2)
        self._from_difference = grid.coefficients(-grid.kx * grid.ky)
        self._scratch = torch.empty(grid.shape, dtype=COMPLEX[grid.dtype], device=grid.device)
        side = grid.points
        self._product = torch.empty(side, side, dtype=grid.dtype, device=grid.device)

    def velocity(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """u and v, each (H, W), of a vorticity spectrum (K + 1, N)."""
        u = self.grid.to_physical(torch.mul(spectrum, self._to_u, out=self._scratch))
        v = self.grid.to_physical(torch.mul(spectrum, self._to_v, out=self._scratch))
        return u, v

    def nonlinear(self, spectrum: Tensor, out: Tensor) -> None:
        """Write the spectrum of -u . grad w, de-aliased, into `out` (K + 1, N)."""
        u, v = self.velocity(spectrum)
        torch.mul(u, v, out=self._product)
        difference = u.mul_(u).addcmul_(v, v, value=-1)
        torch.mul(self.grid.to_spectral(self._product), self._from_uv, out=out)
        out.addcmul_(self.grid.to_spectral(difference), self._from_difference)

    def vorticity(self, state: Tensor) -> Tensor:
        """The vorticity's spectrum (K + 1, N): the state itself."""
        return state

    def field(self, state: Tensor) -> Tensor:
        """The vorticity (H, W)."""
        return self.grid.to_physical(state)

    def mean_flow(self, state: Tensor) -> tuple[float, float]:
        """Means of u and v: constants of motion without walls that hold the flow, and zero here."""
        return 0.0, 0.0

    def constrain(self, state: Tensor) -> None:
        """Undo, in place, what rounding did to a symmetry; there is none."""

    def never_grows(self, state: Tensor) -> float:
        """A measure that the flow cannot increase, for finding a blow-up: the enstrophy."""
        return diagnostics.enstrophy(self.grid, state)

    def resolution(self, state: Tensor) -> float:
        """k_max eta, see `diagnostics.resolution`."""
        return diagnostics.resolution(self.grid, state, viscosity=self.viscosity)

    @property
    def mask(self) -> NDArray[np.uint8] | None:
        """(H, W), 1 outside the flow; None: the flow is everywhere."""
        return None
