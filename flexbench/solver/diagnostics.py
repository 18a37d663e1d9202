"""What is measured of a vorticity field: energy, enstrophy, spectra, resolution, velocity.

All are means over the domain, in the units of the equation (length: domain / 2 pi).
"""

import math

import torch
from torch import Tensor

from flexbench.solver.grid import SpectralGrid


def energy(grid: SpectralGrid, spectrum: Tensor) -> float:
    """E = <u^2 + v^2> / 2."""
    return grid.mean_square(spectrum, grid.inverse_k_squared) / 2


def enstrophy(grid: SpectralGrid, spectrum: Tensor) -> float:
    """Z = <w^2> / 2; decaying flow loses energy at the rate 2 nu Z."""
    return grid.mean_square(spectrum) / 2


def palinstrophy(grid: SpectralGrid, spectrum: Tensor) -> float:
    """P = <|grad w|^2> / 2; decaying flow loses enstrophy at the rate 2 nu P."""
    return grid.mean_square(spectrum, grid.k_squared) / 2


def vorticity_rms(grid: SpectralGrid, spectrum: Tensor) -> float:
    """sqrt(<w^2>)."""
    return math.sqrt(grid.mean_square(spectrum))


def palinstrophy_where(grid: SpectralGrid, spectrum: Tensor, where: Tensor) -> float:
    """The same over some of the points, `where` (H, W) is true."""
    factors = (grid.coefficients(1j * k.expand(grid.shape)) for k in (grid.kx, grid.ky))
    slopes = [grid.to_physical(spectrum * factor)[where].double() for factor in factors]
    return float(sum((slope**2).mean() for slope in slopes)) / 2


def resolution(
    grid: SpectralGrid, spectrum: Tensor, *, viscosity: float, where: Tensor | None = None
) -> float:
    """k_max eta, with the smallest scale eta = (nu^3 / chi)^(1/6), chi = 2 nu P.

    Above about 1 the dissipation range is resolved; infinite for a uniform field. where: points
    (H, W) of the flow; None: all.
    """
    if where is None:
        total = palinstrophy(grid, spectrum)
    else:
        total = palinstrophy_where(grid, spectrum, where)
    dissipation = 2 * viscosity * total
    if dissipation == 0:
        return math.inf
    return grid.cutoff * (viscosity**3 / dissipation) ** (1 / 6)


def radial_spectrum(grid: SpectralGrid, spectrum: Tensor) -> Tensor:
    """Energy in the shells |k| = 0, 1, 2, ... (rounded), float64; its sum is the energy.

    The last shells, beyond the cut-off, hold the corners of the square of kept modes.
    """
    power = torch.view_as_real(spectrum).double().square().sum(-1) * grid.inverse_k_squared
    power[1:] *= 2
    shell = grid.k_squared.sqrt().round().long()
    kept = grid.kept
    return torch.bincount(shell[kept], weights=power[kept]) / (2 * grid.points**4)


def velocity_from_vorticity(vorticity: Tensor) -> tuple[Tensor, Tensor]:
    """u and v (..., H, W) of vorticity fields (..., H, W), by the Poisson equation, without mean.

    Every wavenumber is kept but the one on the edge, N / 2, whose derivative is not defined.
    """
    height, width = vorticity.shape[-2:]
    like = {"dtype": vorticity.dtype, "device": vorticity.device}
    kx = torch.fft.rfftfreq(width, 1 / width, **like)
    ky = torch.fft.fftfreq(height, 1 / height, **like)[:, None]
    k_squared = kx**2 + ky**2
    k_squared[0, 0] = torch.inf
    psi = torch.fft.rfft2(vorticity) / k_squared
    size = (height, width)
    u = torch.fft.irfft2(1j * torch.where(ky.abs() * 2 < height, ky, 0) * psi, s=size)
    v = torch.fft.irfft2(-1j * torch.where(kx * 2 < width, kx, 0) * psi, s=size)
    return u, v
