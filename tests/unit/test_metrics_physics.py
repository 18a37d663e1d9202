"""Energies, enstrophies and the distance of distributions."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from flexbench.metrics import physics, spectral
from flexbench.solver import diagnostics


def distance(a, b):
    return physics.sorted_distance(np.sort(a, axis=None), np.sort(b, axis=None))


def test_the_spectral_energy_is_that_of_the_velocity():
    points = 2 * np.pi * np.arange(32) / 32
    y, x = points[:, None], points[None, :]
    vorticity = np.cos(3 * x + y) + 2 * np.sin(x - 4 * y) + np.cos(2 * y)
    u, v = diagnostics.velocity_from_vorticity(torch.from_numpy(vorticity))
    energy = spectral.radial_spectrum(spectral.transform(vorticity)).total_energy
    assert float((u**2 + v**2).mean()) / 2 == pytest.approx(energy, rel=1e-12)


def test_pdf_distance_is_scipys():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(16, 16)), random.gumbel(size=(16, 16))
    expected = wasserstein_distance(a.ravel(), b.ravel())
    assert distance(a, b) == pytest.approx(expected, rel=1e-12)
    # Where the values stand does not matter, a shift is the distance itself.
    assert distance(a, a.T[::-1]) == 0
    assert distance(a + 0.3, a) == pytest.approx(0.3)


def test_relative_error_has_a_sign():
    assert physics.relative_error(0.5, 2.0) == -0.75
    assert math.isnan(physics.relative_error(0.5, 0.0))
