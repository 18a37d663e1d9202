"""No-slip walls, obstacles and moving lids by volume penalisation.

    du/dt = -w x u - grad p + nu lap u - (chi / eta) (u - u_wall),    div u = 0

chi is the share of solid at a point, eta the time in which the solid takes hold of the flow. As
eta goes to 0 the flow becomes the one with no-slip walls (Angot, Bruneau and Fabrie, Numer. Math.
81 (1999)); it still moves in a layer of thickness sqrt(nu eta) inside the solid.

The velocity is what is evolved, its mean included: the penalty acts on the mean flow, which a
vorticity does not hold, and without it walls at rest would drift.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.errors import FlexbenchError
from flexbench.solver import diagnostics
from flexbench.solver.grid import COMPLEX, SpectralGrid

# RK4 is stable up to 2.78 eta: the penalty's eigenvalues lie between -1 / eta and 0, whatever the
# geometry, because truncation and projection are orthogonal.
STABLE_STEP = 2.0


class PenalisedNavierStokes:
    """Flow of viscosity `viscosity` around solids; a state is a velocity spectrum (2, K + 1, N).

    solid: chi (H, W) in [0, 1]. wall_velocity: (2, H, W) of the solid (u, v), a field without
    divergence; None: at rest. eta: the penalisation time.
    linear: eigenvalues (2, K + 1, N) of the linear operator, -nu k^2, float64.
    """

    def __init__(
        self,
        grid: SpectralGrid,
        *,
        viscosity: float,
        solid: NDArray[np.float64],
        eta: float,
        wall_velocity: NDArray[np.float64] | None = None,
    ):
        if not (math.isfinite(eta) and eta > 0):
            raise FlexbenchError(f"penalisation time eta is {eta}; allowed: finite, above 0")
        self.grid = grid
        self.viscosity = viscosity
        self.eta = eta
        self.solid = solid
        self.largest_step = STABLE_STEP * eta
        self.linear = -viscosity * grid.k_squared.expand(2, *grid.shape)
        self._rate = torch.as_tensor(solid / eta).to(grid.device, grid.dtype)
        self._drive = None
        if wall_velocity is not None:
            drive = torch.as_tensor(wall_velocity * solid / eta)
            self._drive = drive.to(grid.device, grid.dtype)
        self._fluid = torch.as_tensor(self.mask == 0).to(grid.device)
        self._kx = grid.coefficients(grid.kx.expand(grid.shape))
        self._ky = grid.coefficients(grid.ky.expand(grid.shape))
        self._kx_inverse = grid.coefficients(grid.kx * grid.inverse_k_squared)
        self._ky_inverse = grid.coefficients(grid.ky * grid.inverse_k_squared)
        self._scratch = torch.empty(grid.shape, dtype=COMPLEX[grid.dtype], device=grid.device)

    def velocity(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """u and v, each (H, W)."""
        return self.grid.to_physical(state[0]), self.grid.to_physical(state[1])

    def nonlinear(self, state: Tensor, out: Tensor) -> None:
        """Write the spectrum (2, K + 1, N) of all but the viscous term, projected, into `out`."""
        u, v = self.velocity(state)
        w = self.grid.to_physical(self.vorticity(state))
        force_u = torch.mul(v, w).addcmul_(u, self._rate, value=-1)
        force_v = torch.mul(u, w).addcmul_(v, self._rate).neg_()
        if self._drive is not None:
            force_u.add_(self._drive[0])
            force_v.add_(self._drive[1])
        self._project(self.grid.to_spectral(force_u), self.grid.to_spectral(force_v), out)

    def _project(self, u: Tensor, v: Tensor, out: Tensor) -> None:
        """Write what of (u, v) has no divergence: (ky, -kx) (ky u - kx v) / k^2, and the mean."""
        turned = torch.mul(u, self._ky, out=self._scratch).addcmul_(v, self._kx, value=-1)
        torch.mul(turned, self._ky_inverse, out=out[0])
        torch.mul(turned, self._kx_inverse, out=out[1]).neg_()
        out[0, 0, 0], out[1, 0, 0] = u[0, 0], v[0, 0]

    def vorticity(self, state: Tensor) -> Tensor:
        """The vorticity's spectrum (K + 1, N): i (kx v - ky u)."""
        return (state[1] * self._kx).addcmul_(state[0], self._ky, value=-1).mul_(1j)

    def state_of(self, vorticity: Tensor) -> Tensor:
        """The state (2, K + 1, N) of a vorticity spectrum (K + 1, N), without mean flow."""
        u = 1j * self._ky_inverse * vorticity
        return torch.stack([u, -1j * self._kx_inverse * vorticity])

    def field(self, state: Tensor) -> Tensor:
        """The vorticity (H, W), also inside the solid, where it nearly vanishes."""
        return self.grid.to_physical(self.vorticity(state))

    def mean_flow(self, state: Tensor) -> tuple[float, float]:
        """Means of u and v over the box."""
        u, v = (state[:, 0, 0].real / self.grid.points**2).tolist()
        return u, v

    def constrain(self, state: Tensor) -> None:
        """Nothing drifts: every term of the equation is projected."""

    def never_grows(self, state: Tensor) -> float:
        """The energy, where walls are at rest; the enstrophy may grow, walls make vorticity."""
        return sum(self.grid.mean_square(component) for component in state) / 2

    def resolution(self, state: Tensor) -> float:
        """k_max eta of the flow outside the solid."""
        return diagnostics.resolution(
            self.grid, self.vorticity(state), viscosity=self.viscosity, where=self._fluid
        )

    @property
    def layer_points(self) -> float:
        """Thickness sqrt(nu eta) of the layer in which the solid stops the flow, in grid points.

        Below 1 the grid does not resolve it, and a wall is known to about a grid point only.
        """
        return math.sqrt(self.viscosity * self.eta) / self.grid.spacing

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(H, W), 1 where half of a point's cell or more is solid."""
        return (self.solid >= 0.5).astype(np.uint8)
