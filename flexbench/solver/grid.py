"""The doubly periodic square [0, 2 pi]^2 and its truncated Fourier transforms.

De-aliasing is the 2/3 rule, in each direction: wavenumbers |kx|, |ky| < N / 3 are kept, so that
products of two kept fields come back without aliasing errors. Only kept kx are ever stored or
transformed, which is also what makes these transforms faster than a full `rfft2`.
"""

import math

import torch
from torch import Tensor

from flexbench.allocation import keep_freed_memory
from flexbench.errors import FlexbenchError
from flexbench.spec import kept_wavenumber

COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


class SpectralGrid:
    """N x N points, fields (H, W) = (y, x), spectra (K + 1, N) = (kx, ky), K = `cutoff`.

    A spectrum holds the coefficients of `torch.fft.rfft2` (unnormalised) with kx = 0..K, and ky
    in FFT order; its rows of ky beyond K are zero. kx comes first because that is the order in
    which the one-dimensional transforms leave it: no copy is needed to get there.

    points: even N >= 4. dtype: float32 or float64, of the fields.
    """

    def __init__(
        self,
        points: int,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ):
        if points < 4 or points % 2:
            raise FlexbenchError(f"grid is {points}; allowed: even numbers from 4")
        self.points = points
        self.cutoff = kept_wavenumber(points)
        self.shape = (self.cutoff + 1, points)
        self.spacing = 2 * math.pi / points
        self.dtype = dtype
        self.device = torch.device(device)
        # (K + 1, 1) and (1, N), float64 whatever the fields are: coefficients are rounded last.
        self.kx = torch.arange(self.cutoff + 1, dtype=torch.float64, device=device)[:, None]
        self.ky = torch.fft.fftfreq(points, 1 / points, dtype=torch.float64, device=device)[None]
        self.kept = (self.ky.abs() <= self.cutoff).expand(self.shape)
        self.k_squared = self.kx**2 + self.ky**2
        # The mean of w is zero on a periodic domain: so is its stream function's.
        self.inverse_k_squared = torch.where(self.k_squared > 0, 1 / self.k_squared, 0.0)
        if self.device.type == "cpu":
            keep_freed_memory()
        # A little longer than N: lines of 2^n points, read across, evict each other from the cache.
        lines = torch.empty(self.cutoff + 1, points + 8, dtype=COMPLEX[dtype], device=device)
        self._columns = lines[:, :points]
        self._rows = torch.zeros(points, points // 2 + 1, dtype=lines.dtype, device=device)

    def coefficients(self, values: Tensor) -> Tensor:
        """Factors of a spectrum (broadcastable to it), zero beyond the cut-off, complex.

        Complex even where they are real: a complex product of like operands is the faster one.
        """
        masked = torch.where(self.kept, values, 0.0)
        return masked.to(COMPLEX[self.dtype]).contiguous()

    def to_physical(self, spectrum: Tensor) -> Tensor:
        """The real field (H, W), in the grid's precision, of a spectrum (K + 1, N) in any."""
        # Columns first, over the kept kx only; then rows, which stay zero beyond K.
        torch.fft.ifft(spectrum.to(self._rows.dtype), dim=1, out=self._columns)
        self._rows[:, : self.cutoff + 1] = self._columns.T
        return torch.fft.irfft(self._rows, n=self.points, dim=1)

    def to_spectral(self, field: Tensor) -> Tensor:
        """The spectrum (K + 1, N) of a real field (H, W); ky beyond K are not zeroed."""
        rows = torch.fft.rfft(field, dim=1)
        return torch.fft.fft(rows[:, : self.cutoff + 1].T, dim=1)

    def mean_square(self, spectrum: Tensor, weight: Tensor | float = 1.0) -> float:
        """Mean over the domain of a squared field (Parseval), each mode weighted by `weight`.

        weight: broadcastable to (K + 1, N). Summed in float64.
        """
        power = torch.view_as_real(spectrum).double().square().sum(-1) * weight
        # kx > 0 stands for its complex conjugate, too.
        total = 2 * power.sum() - power[0].sum()
        return float(total) / self.points**4
