"""Radial spectra of fields on [0, 2 pi]^2, and scores by wavenumber band.

Shell k holds the modes whose |k| rounds to k, so every mode stands in one shell and the sum over
shells is the mean square of the field (Parseval). Shells beyond half the grid are the corners of
the square of modes: they count in totals, but in no band.

A field that is not periodic would leak from its edges into all shells. Its spectra are those of the
field less its mean under a Hann window, scaled so that a homogeneous field keeps its mean square.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from flexbench.errors import FlexbenchError

Field = NDArray[np.float64]
Spectrum = NDArray[np.complex128]
Shells = NDArray[np.float64]

# Shells with a smaller share of the truth's variance are not scored, and what a prediction has
# less of counts as this: below lies the round-off of float32 fields and networks.
FLOOR = 1e-8


@dataclass(frozen=True)
class Band:
    """The shells first..last."""

    first: int
    last: int

    @property
    def label(self) -> str:
        """As it stands in tables: k=1 or k=3-10."""
        return f"k={self.first}" if self.first == self.last else f"k={self.first}-{self.last}"

    def of(self, shells: Shells) -> Shells:
        """The part of shells (..., K) that lies in the band."""
        return shells[..., self.first : self.last + 1]


def wavenumber_bands(grid: int, count: int) -> list[Band]:
    """`count` bands from 1 to grid / 2, their edges evenly spaced in ln k and rounded.

    Fewer on grids so small that two edges fall together.
    """
    if count < 1:
        raise FlexbenchError(f"score.bands is {count}; allowed: integers from 1")
    edges = np.unique(np.rint(np.geomspace(1, grid // 2 + 1, count + 1)).astype(int))
    return [Band(int(a), int(b) - 1) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class _Modes:
    """The half plane of modes that a real transform keeps: shell, weight, 1 / |k|^2."""

    shell: NDArray[np.intp]
    weight: Field
    inverse_square: Field

    @property
    def count(self) -> int:
        return int(self.shell.max()) + 1


@lru_cache(maxsize=2)
def _modes(grid: int) -> _Modes:
    ky = fft.fftfreq(grid, 1 / grid)[:, None]
    kx = fft.rfftfreq(grid, 1 / grid)[None, :]
    square = ky**2 + kx**2
    # Columns that the real transform leaves out are mirrors of inner ones.
    twice = (kx > 0) & (kx * 2 != grid)
    weight = np.broadcast_to(np.where(twice, 2.0, 1.0) / grid**4, square.shape)
    inverse = np.divide(1.0, square, where=square > 0, out=np.zeros_like(square))
    shell = np.rint(np.sqrt(square)).astype(np.intp)
    return _Modes(shell=shell.ravel(), weight=weight.ravel(), inverse_square=inverse.ravel())


def transform(field: Field, *, periodic: bool = True) -> Spectrum:
    """Fourier coefficients (N, N // 2 + 1) of a square field (N, N); windowed if not periodic."""
    if field.shape[0] != field.shape[1]:
        raise FlexbenchError(f"a field has shape {field.shape}; allowed: square ones")
    return fft.rfft2(field if periodic else (field - field.mean()) * _window(len(field)))


@lru_cache(maxsize=2)
def _window(grid: int) -> Field:
    """Hann's window (N, N) of mean square 1, zero halfway between two periods' points."""
    side = np.sin(np.pi * (np.arange(grid) + 0.5) / grid) ** 2
    window = np.outer(side, side)
    return window / np.sqrt(np.mean(window**2))


@dataclass(frozen=True)
class RadialSpectrum:
    """Shells (K,) of a field.

    power: mean square of the field, of vorticity twice the enstrophy. energy: kinetic energy
    <u^2 + v^2> / 2 of the flow whose vorticity the field is, if it is one.
    """

    power: Shells
    energy: Shells

    def density(self, *, kinetic: bool) -> Shells:
        """What a spectrum of the field shows: its kinetic energy, or the field's variance."""
        return self.energy if kinetic else self.power

    @property
    def total_energy(self) -> float:
        return float(self.energy.sum())

    @property
    def total_enstrophy(self) -> float:
        return float(self.power.sum()) / 2

    def scaled(self, factor: float) -> "RadialSpectrum":
        """All shells times a number."""
        return RadialSpectrum(power=self.power * factor, energy=self.energy * factor)


def radial_spectrum(coefficients: Spectrum) -> RadialSpectrum:
    """Shells of the field that `transform` gave these coefficients for.

    The energy comes from lap psi = -w: |u_hat|^2 = |w_hat|^2 / |k|^2. Shell 0 holds none.
    """
    modes = _modes(coefficients.shape[0])
    square = (coefficients.real**2 + coefficients.imag**2).ravel() * modes.weight
    power: Shells = np.bincount(modes.shell, square, modes.count).astype(np.float64)
    energy = np.bincount(modes.shell, square * modes.inverse_square, modes.count) / 2
    return RadialSpectrum(power=power, energy=energy)


def mean_spectrum(spectra: list[RadialSpectrum]) -> RadialSpectrum:
    """Shell by shell, the mean of several spectra."""
    return RadialSpectrum(
        power=np.mean([one.power for one in spectra], axis=0),
        energy=np.mean([one.energy for one in spectra], axis=0),
    )


def log_spectrum_error(
    prediction: RadialSpectrum, truth: RadialSpectrum, *, kinetic: bool = True
) -> Shells:
    """|ln(E_prediction / E_truth)| (K,), NaN in shells that are not scored (see FLOOR).

    kinetic: E is the kinetic energy of vorticity fields; if not, the variance of any fields.
    """
    # The mean, in shell 0, is no part of a field's variance.
    variance = truth.power[1:].sum()
    share = truth.power / variance if variance > 0 else np.zeros_like(truth.power)
    share[0] = 0.0
    scored = share >= FLOOR
    error = np.full(share.shape, np.nan)
    above, below = (one.density(kinetic=kinetic)[scored] for one in (prediction, truth))
    error[scored] = np.abs(np.log(np.maximum(above / below, FLOOR / share[scored])))
    return error


def band_mean(shells: Shells, band: Band) -> float | None:
    """Mean over the shells of a band that are not NaN; None where there is none."""
    inside = band.of(shells)
    inside = inside[~np.isnan(inside)]
    return float(inside.mean()) if inside.size else None


def band_rms(power: Shells, band: Band) -> float:
    """Root mean square over the domain of the part of a field that lies in a band."""
    return float(np.sqrt(band.of(power).sum()))
