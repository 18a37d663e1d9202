"""Scores that know that the field is vorticity, on [0, 2 pi]^2 with y down axis H, x along W."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float64]


def relative_error(prediction: float, truth: float) -> float:
    """(p - y) / y: negative where the prediction has too little; NaN where the truth has none."""
    return (prediction - truth) / truth if truth > 0 else float("nan")


def pdf_distance(prediction: Field, truth: Field) -> float:
    """Wasserstein-1 distance between the one-point distributions of two fields, in their unit.

    For as many points in both it is the mean distance of equal order statistics (what
    scipy.stats.wasserstein_distance gives, without its search).
    """
    return sorted_distance(np.sort(prediction, axis=None), np.sort(truth, axis=None))


def sorted_distance(prediction: Field, truth: Field) -> float:
    """`pdf_distance` of values that are sorted already, flat and equally many."""
    return float(np.mean(np.abs(prediction - truth)))


def velocity_from_vorticity(vorticity: Field) -> tuple[Field, Field]:
    """u and v (N, N) without mean flow: lap psi = -w, u = psi_y, v = -psi_x."""
    ky, kx, square = _wavenumbers(vorticity.shape[0])
    psi = fft.rfft2(vorticity) / np.where(square > 0, square, np.inf)
    return _back(1j * ky * psi), _back(-1j * kx * psi)


def divergence(u: Field, v: Field) -> float:
    """Root mean square of du/dx + dv/dy over that of the velocity gradient; 0 is incompressible.

    u, v: (N, N). 0 for a flow without gradients. Derivatives are spectral.
    """
    ky, kx, square = _wavenumbers(u.shape[0])
    uh, vh = fft.rfft2(u), fft.rfft2(v)
    gradient = np.sum(square * (np.abs(uh) ** 2 + np.abs(vh) ** 2) * _weight(u.shape[0]))
    squared = np.sum(np.abs(kx * uh + ky * vh) ** 2 * _weight(u.shape[0]))
    return float(np.sqrt(squared / gradient)) if gradient > 0 else 0.0


def _wavenumbers(grid: int) -> tuple[Field, Field, Field]:
    """ky (N, 1), kx (1, N // 2 + 1), |k|^2; the mode N / 2 has no derivative, so it is 0 there."""
    ky = fft.fftfreq(grid, 1 / grid)[:, None]
    kx = fft.rfftfreq(grid, 1 / grid)[None, :]
    ky, kx = (np.where(np.abs(k) * 2 < grid, k, 0.0) for k in (ky, kx))
    return ky, kx, ky**2 + kx**2


def _weight(grid: int) -> Field:
    """How often each column of the half plane stands in the whole plane."""
    kx = np.arange(grid // 2 + 1)
    return np.where((kx > 0) & (kx * 2 != grid), 2.0, 1.0)


def _back(coefficients: NDArray[np.complex128]) -> Field:
    return fft.irfft2(coefficients, s=(coefficients.shape[0],) * 2)
