"""The initial field: Kraichnan's spectrum with random phases.

    E(k) = c k^4 exp(-(k / k0)^2),  c = 4 / (3 sqrt(pi) k0^5),  |w_hat(k)| = N^2 sqrt(k E(k) / pi)

Source: San and Staples, Computers & Fluids 63 (2012), and the solvers of Pawar and San. The
energy is 1/2 and the mean squared vorticity 5/2 k0^2, whatever k0.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexbench.errors import FlexbenchError
from flexbench.seeding import Name, numpy_generator
from flexbench.solver.grid import COMPLEX, SpectralGrid
from flexbench.spec import spectrum_misfit


def energy_spectrum(k: NDArray[np.float64], *, peak: float) -> NDArray[np.float64]:
    """E(k) of Kraichnan's spectrum with k0 = `peak`; its integral over k is 1/2."""
    scale = 4 / (3 * math.sqrt(math.pi) * peak**5)
    return scale * k**4 * np.exp(-((k / peak) ** 2))


def kraichnan_spectrum(grid: SpectralGrid, *, peak: float, identity: tuple[Name, ...]) -> Tensor:
    """Vorticity spectrum (K + 1, N) of the initial field of this identity, such as (seed,).

    The same identity gives the same modes on every grid: the same flow at another resolution.
    Raises FlexbenchError where the grid does not reach to 2 k0 (a sixth of the energy beyond).
    """
    cutoff, points = grid.cutoff, grid.points
    if misfit := spectrum_misfit(points, peak):
        raise FlexbenchError(misfit)
    kx = np.arange(cutoff + 1)[:, None]
    ky = np.arange(-cutoff, cutoff + 1)[None, :]
    k = np.hypot(kx, ky)
    amplitude = points**2 * np.sqrt(k * energy_spectrum(k, peak=peak) / math.pi)
    phases = 2 * math.pi * numpy_generator("initial", *identity).random(2 * cutoff * (cutoff + 1))
    modes = amplitude * np.exp(1j * phases[_mode_numbers(kx, ky)])
    # The modes with kx = 0 come in conjugate pairs, and the mean vorticity is zero.
    modes[0, :cutoff] = modes[0, :cutoff:-1].conj()
    modes[0, cutoff] = 0
    spectrum = np.zeros(grid.shape, dtype=np.complex128)
    spectrum[:, ky[0]] = modes
    return torch.from_numpy(spectrum).to(device=grid.device, dtype=COMPLEX[grid.dtype])


def _mode_numbers(kx: NDArray[np.int_], ky: NDArray[np.int_]) -> NDArray[np.int_]:
    """A number for each independent mode of the half plane, the same on every grid.

    Modes are counted along growing squares max(|kx|, |ky|) = m, each of which has 4 m of them,
    so that a larger grid only adds numbers at the end. Dependent modes (kx = 0, ky <= 0) get a
    number that means nothing.
    """
    m = np.maximum(kx, np.abs(ky))
    side = np.where(kx == m, ky + m, np.where(ky > 0, 2 * m + 1 + kx, 3 * m + kx))
    return np.where((kx == 0) & (ky <= 0), 0, 2 * m * (m - 1) + side)
