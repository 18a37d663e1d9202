"""Velocity, divergence, energies and the distance of distributions."""

import math

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from flexbench.metrics import physics, spectral


def grid_points(n=32):
    x = 2 * np.pi * np.arange(n) / n
    return x[:, None] + 0 * x[None, :], 0 * x[:, None] + x[None, :]


def smooth_field(seed, n=32):
    """A random field of the modes up to |k| = 6."""
    random = np.random.default_rng(seed)
    y, x = grid_points(n)
    field = np.zeros((n, n))
    for ky in range(-4, 5):
        for kx in range(0, 5):
            if (ky, kx) != (0, 0):
                a, b = random.normal(size=2)
                field += a * np.cos(kx * x + ky * y) + b * np.sin(kx * x + ky * y)
    return field


def test_velocity_of_taylor_green_cells():
    y, x = grid_points()
    u, v = physics.velocity_from_vorticity(2 * np.cos(x) * np.cos(y))
    np.testing.assert_allclose(u, -np.cos(x) * np.sin(y), atol=1e-12)
    np.testing.assert_allclose(v, np.sin(x) * np.cos(y), atol=1e-12)


def test_velocity_is_free_of_divergence_and_has_the_spectral_energy():
    field = smooth_field(0)
    u, v = physics.velocity_from_vorticity(field)
    assert physics.divergence(u, v) < 1e-13
    energy = spectral.radial_spectrum(spectral.transform(field)).total_energy
    assert np.mean(u**2 + v**2) / 2 == pytest.approx(energy, rel=1e-12)


def test_the_edge_of_the_grid_brings_no_divergence():
    """White noise has energy at wavenumber N / 2, where a derivative is not defined."""
    u, v = physics.velocity_from_vorticity(np.random.default_rng(0).normal(size=(16, 16)))
    assert physics.divergence(u, v) < 1e-13


def test_divergence_of_a_gradient_flow_is_one():
    y, x = grid_points()
    assert physics.divergence(np.sin(x), np.sin(y)) == pytest.approx(1)
    # u = sin x alone: its only gradient is its divergence; u = sin y has none.
    assert physics.divergence(np.sin(x), 0 * x) == pytest.approx(1)
    assert physics.divergence(np.sin(y), 0 * x) == pytest.approx(0, abs=1e-12)
    assert physics.divergence(0 * x, 0 * x) == 0


def test_pdf_distance_is_scipys():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(16, 16)), random.gumbel(size=(16, 16))
    expected = wasserstein_distance(a.ravel(), b.ravel())
    assert physics.pdf_distance(a, b) == pytest.approx(expected, rel=1e-12)
    # Where the values stand does not matter, a shift is the distance itself.
    assert physics.pdf_distance(a, a.T[::-1]) == 0
    assert physics.pdf_distance(a + 0.3, a) == pytest.approx(0.3)


def test_relative_error_has_a_sign():
    assert physics.relative_error(0.5, 2.0) == -0.75
    assert math.isnan(physics.relative_error(0.5, 0.0))
