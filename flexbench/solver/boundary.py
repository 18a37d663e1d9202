"""The flows that trajectories are made of, by their boundary: equation and initial state."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.config import SolverSettings
from flexbench.errors import FlexbenchError
from flexbench.seeding import Name
from flexbench.solver import diagnostics, solids
from flexbench.solver.channel import FreeSlipChannel
from flexbench.solver.grid import SpectralGrid
from flexbench.solver.initial import kraichnan_spectrum
from flexbench.solver.navier_stokes import NavierStokes
from flexbench.solver.penalised import PenalisedNavierStokes
from flexbench.spec import NO_SLIP_GRID

BOUNDARIES = ("periodic", "free_slip", "no_slip")

Equation = NavierStokes | FreeSlipChannel | PenalisedNavierStokes

ENERGY = 0.5

# The no-slip channel lies between the two faces of one wall about y = 0. Its thickness belongs to
# the flow, not to the grid: 1/32 of the box, 8 spacings at 256 points.
WALL_SHARE = 2 / NO_SLIP_GRID

# Penalisation time in units of (grid spacing / rms velocity of the initial field, which is 1):
# short enough that flow hardly enters the wall, long enough that it seldom limits the time step.
PENALISATION = 0.1


def start_flow(
    boundary: str, grid: SpectralGrid, settings: SolverSettings, *, reynolds: float, seed: int
) -> tuple[Equation, Tensor]:
    """The equation of a flow with this boundary, and its state at time 0.

    The initial field is named by (seed, reynolds), and by the boundary where there is one.
    Raises FlexbenchError for an unknown boundary and for a grid too coarse for it.
    """
    if boundary not in BOUNDARIES:
        raise FlexbenchError(f"boundary is '{boundary}'; allowed: {', '.join(BOUNDARIES)}")
    identity: tuple[Name, ...] = (seed, f"re{reynolds:g}")
    if boundary != "periodic":
        identity += (boundary,)
    spectrum = kraichnan_spectrum(grid, peak=settings.peak_wavenumber, identity=identity)
    viscosity = 1 / reynolds
    if boundary == "free_slip":
        return _free_slip(grid, spectrum, viscosity=viscosity)
    if boundary == "no_slip":
        return _no_slip(grid, spectrum, viscosity=viscosity, peak=settings.peak_wavenumber)
    return NavierStokes(grid, viscosity=viscosity), spectrum


def _free_slip(
    grid: SpectralGrid, spectrum: Tensor, *, viscosity: float
) -> tuple[FreeSlipChannel, Tensor]:
    """The field's odd part, rescaled to the field's nominal energy."""
    equation = FreeSlipChannel(grid, viscosity=viscosity)
    equation.constrain(spectrum)
    spectrum.mul_(math.sqrt(ENERGY / diagnostics.energy(grid, spectrum)))
    return equation, spectrum


def _no_slip(
    grid: SpectralGrid, spectrum: Tensor, *, viscosity: float, peak: float
) -> tuple[PenalisedNavierStokes, Tensor]:
    """The field's stream function, brought to zero towards the wall, so that u = v = 0 there.

    It rises over half a wavelength of the spectrum's peak. The energy is that of the periodic
    field, as a mean over the channel.
    """
    if grid.points < NO_SLIP_GRID:
        raise FlexbenchError(
            f"solver.grid is {grid.points}; a no-slip channel needs at least {NO_SLIP_GRID}"
        )
    half = WALL_SHARE / 2 * grid.points
    equation = PenalisedNavierStokes(
        grid,
        viscosity=viscosity,
        solid=solids.wall_strip(grid.points, half_thickness=half),
        eta=PENALISATION * grid.spacing,
    )
    row = np.arange(grid.points)
    distance = (np.minimum(row, grid.points - row) - half) * grid.spacing
    height = 2 * math.pi * (1 - WALL_SHARE)
    window = _rise(distance / min(math.pi / peak, height / 2))[:, None]
    psi = grid.to_physical(spectrum * grid.coefficients(grid.inverse_k_squared))
    psi *= torch.as_tensor(window, dtype=grid.dtype, device=grid.device)
    state = equation.state_of(grid.to_spectral(psi) * grid.coefficients(grid.k_squared))
    u, v = equation.velocity(state)
    fluid = 1 - torch.as_tensor(equation.solid, device=grid.device)
    energy = float(((u**2 + v**2) * fluid).sum() / (2 * fluid.sum()))
    return equation, state.mul_(math.sqrt(ENERGY / energy))


def _rise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1 over 0 <= x <= 1, with two continuous derivatives."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 + x * (6 * x - 15))
