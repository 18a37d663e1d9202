"""The initial field: energy, vorticity, spectrum, and what a seed fixes."""

import math

import numpy as np
import pytest
import torch

from flexbench.config import SolverSettings
from flexbench.errors import FlexbenchError
from flexbench.solver import diagnostics
from flexbench.solver.grid import SpectralGrid
from flexbench.solver.initial import kraichnan_spectrum
from flexbench.solver.simulate import Simulation


def initial_field(points, *, peak=10.0, seed=0):
    grid = SpectralGrid(points)
    return grid.to_physical(kraichnan_spectrum(grid, peak=peak, identity=(seed,))).numpy()


@pytest.mark.parametrize("points", [128, 192, 256])
@pytest.mark.parametrize("seed", [0, 5])
def test_energy_and_vorticity(points, seed):
    w = initial_field(points, seed=seed)
    # Sums over the plain two-dimensional FFT, not the solver's own measures.
    k = np.fft.fftfreq(points, 1 / points)
    k_squared = k[None] ** 2 + k[:, None] ** 2
    k_squared[0, 0] = np.inf
    energy = (np.abs(np.fft.fft2(w)) ** 2 / k_squared).sum() / points**4 / 2
    assert energy == pytest.approx(0.5, rel=0.01)
    assert w.std() == pytest.approx(15.8, rel=0.01)
    assert abs(w.mean()) < 1e-12


def test_amplitudes_are_kraichnans():
    points, peak = 128, 10.0
    modes = np.abs(np.fft.fft2(initial_field(points, peak=peak)))
    for ky, kx in [(0, 3), (4, 0), (-7, 2), (12, -9), (20, 20)]:
        k = math.hypot(kx, ky)
        spectrum = 4 / (3 * math.sqrt(math.pi) * peak**5) * k**4 * math.exp(-((k / peak) ** 2))
        expected = points**2 * math.sqrt(k * spectrum / math.pi)
        assert modes[ky, kx] == pytest.approx(expected, rel=1e-9)


def test_phases_are_random():
    """Uniform, and no two modes (nor seeds) share theirs."""
    grid = SpectralGrid(128)
    phases = []
    for seed in (0, 1):
        spectrum = kraichnan_spectrum(grid, peak=10, identity=(seed,)).numpy()
        independent = spectrum[1:, grid.kept[0].numpy()].ravel()
        phases.append(np.angle(np.concatenate([independent, spectrum[0, 1 : grid.cutoff + 1]])))
    both = np.concatenate(phases)
    assert len(np.unique(both)) == len(both)
    counts, _ = np.histogram(both, bins=20, range=(-np.pi, np.pi))
    chi_square = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi_square < 43.8  # 99.9 % of 19 degrees of freedom


def test_same_flow_on_every_grid():
    coarse, fine = initial_field(128, peak=5, seed=3), initial_field(384, peak=5, seed=3)
    assert np.abs(coarse - fine[::3, ::3]).max() < 1e-9
    assert np.abs(coarse - initial_field(128, peak=5, seed=4)).max() > 1


def test_every_reynolds_number_has_a_flow_of_its_own():
    settings = SolverSettings(grid=64, peak_wavenumber=5)
    fields = [
        Simulation(settings, reynolds=reynolds, seed=2).vorticity() for reynolds in (100, 9000)
    ]
    correlation = torch.corrcoef(torch.stack(fields).flatten(1))[0, 1]
    assert abs(correlation) < 0.2
    again = Simulation(settings, reynolds=100.0, seed=2).vorticity()
    assert torch.equal(fields[0], again)


def test_radial_spectrum_follows_the_formula():
    grid = SpectralGrid(256)
    shells = diagnostics.radial_spectrum(
        grid, kraichnan_spectrum(grid, peak=10, identity=(0,))
    ).numpy()
    k = np.arange(5, 25)
    expected = 4 / (3 * math.sqrt(math.pi) * 1e5) * k**4 * np.exp(-((k / 10) ** 2))
    # A shell of unit width holds a number of modes that scatters about 2 pi k.
    assert np.abs(shells[5:25] / expected - 1).max() < 0.25
    assert shells[5:25].sum() == pytest.approx(expected.sum(), rel=0.01)


def test_grid_too_coarse_for_the_spectrum():
    with pytest.raises(FlexbenchError, match=r"grid \(32\).*peak_wavenumber \(10\).*at least 62"):
        kraichnan_spectrum(SpectralGrid(32), peak=10, identity=(0,))
    kraichnan_spectrum(SpectralGrid(62), peak=10, identity=(0,))
