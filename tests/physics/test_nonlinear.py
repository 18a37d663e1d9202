"""The nonlinear term against sums over all pairs of modes, and its invariants."""

import itertools

import numpy as np
import pytest
import torch

from flexbench.solver.grid import SpectralGrid
from flexbench.solver.navier_stokes import NavierStokes

POINTS = 16
CUTOFF = 5


def random_field(seed=0, points=POINTS, cutoff=CUTOFF):
    """A real field (H, W) without mean of the modes |kx|, |ky| <= cutoff."""
    spectrum = np.fft.fft2(np.random.default_rng(seed).standard_normal((points, points)))
    k = np.abs(np.fft.fftfreq(points, 1 / points))
    spectrum[(k[:, None] > cutoff) | (k[None] > cutoff)] = 0
    spectrum[0, 0] = 0
    return np.fft.ifft2(spectrum).real


def tendency(field):
    """-u . grad w (H, W) by the solver."""
    grid = SpectralGrid(len(field))
    equation = NavierStokes(grid, viscosity=1.0)
    spectrum = grid.to_spectral(torch.from_numpy(field.copy()))
    out = torch.empty_like(spectrum)
    equation.nonlinear(spectrum, out)
    return grid.to_physical(out).numpy()


def convolution(field):
    """-u . grad w (H, W) as a sum over pairs of modes p + q = k, cut off at CUTOFF."""
    modes = np.fft.fft2(field) / field.size
    kept = range(-CUTOFF, CUTOFF + 1)
    result = np.zeros_like(modes)
    for py, px, qy, qx in itertools.product(kept, repeat=4):
        ky, kx = py + qy, px + qx
        if (py, px) == (0, 0) or abs(ky) > CUTOFF or abs(kx) > CUTOFF:
            continue
        # u_p = i (p_y, -p_x) w_p / p^2, grad w_q = i q w_q.
        advection = -(py * qx - px * qy) / (px**2 + py**2)
        result[ky, kx] -= advection * modes[py, px] * modes[qy, qx]
    return np.fft.ifft2(result * field.size).real


def test_equals_the_sum_over_pairs_of_modes():
    field = random_field()
    expected = convolution(field)
    assert np.abs(expected).max() > 0.1
    assert np.abs(tendency(field) - expected).max() < 1e-12 * np.abs(expected).max()


def test_two_waves_by_hand():
    """w = cos x + cos 2y: u = -sin(2y) / 2, v = sin x, -u . grad w = 3/2 sin x sin 2y."""
    y, x = np.meshgrid(*2 * [np.arange(POINTS) * 2 * np.pi / POINTS], indexing="ij")
    result = tendency(np.cos(x) + np.cos(2 * y))
    assert np.abs(result - 1.5 * np.sin(x) * np.sin(2 * y)).max() < 1e-13


@pytest.mark.parametrize("points", [48, 64, 66])
def test_conserves_energy_and_enstrophy(points):
    """A de-aliased term gives neither: <w N> = <psi N> = 0, which an aliased one breaks."""
    field = random_field(1, points=points, cutoff=(points - 1) // 3)
    result = tendency(field)
    k = np.fft.fftfreq(points, 1 / points)
    k_squared = k[None] ** 2 + k[:, None] ** 2
    k_squared[0, 0] = np.inf
    psi = np.fft.ifft2(np.fft.fft2(field) / k_squared).real
    for factor in (field, psi):
        scale = np.sqrt((factor**2).mean() * (result**2).mean())
        assert abs((factor * result).mean()) < 1e-13 * scale


def test_moves_with_the_flow():
    """Shifted and turned fields have shifted and turned tendencies."""
    field = random_field(2)
    result = tendency(field)
    shifted = tendency(np.roll(field, (3, -5), axis=(0, 1)))
    assert np.abs(shifted - np.roll(result, (3, -5), axis=(0, 1))).max() < 1e-13
    assert np.abs(tendency(np.rot90(field)) - np.rot90(result)).max() < 1e-12


def test_velocity_turns_into_the_vorticity():
    field = random_field(3)
    grid = SpectralGrid(POINTS)
    u, v = NavierStokes(grid, viscosity=1.0).velocity(grid.to_spectral(torch.from_numpy(field)))
    k = 1j * np.fft.fftfreq(POINTS, 1 / POINTS)
    u_modes, v_modes = np.fft.fft2(u.numpy()), np.fft.fft2(v.numpy())
    curl = np.fft.ifft2(k[None] * v_modes - k[:, None] * u_modes).real
    divergence = np.fft.ifft2(k[None] * u_modes + k[:, None] * v_modes).real
    assert np.abs(curl - field).max() < 1e-13
    assert np.abs(divergence).max() < 1e-13
