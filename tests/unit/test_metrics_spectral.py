"""Spectra against plain waves, full transforms and loops over modes."""

import math

import numpy as np
import pytest

from flexbench.errors import FlexbenchError
from flexbench.metrics import spectral


def spectrum_of(field):
    return spectral.radial_spectrum(spectral.transform(field))


def brute_force(field):
    """Power and energy by shell, from the full plane of modes, one by one."""
    grid = len(field)
    coefficients = np.fft.fft2(field) / grid**2
    k = np.fft.fftfreq(grid, 1 / grid)
    power, energy = {}, {}
    for i in range(grid):
        for j in range(grid):
            size = math.hypot(k[i], k[j])
            square = abs(coefficients[i, j]) ** 2
            shell = round(size)
            power[shell] = power.get(shell, 0) + square
            energy[shell] = energy.get(shell, 0) + (square / size**2 / 2 if size else 0)
    order = range(max(power) + 1)
    return np.array([power[s] for s in order]), np.array([energy[s] for s in order])


@pytest.mark.parametrize("grid", [16, 15])
def test_shells_match_a_loop_over_modes(grid):
    field = np.random.default_rng(grid).normal(size=(grid, grid))
    power, energy = brute_force(field)
    found = spectrum_of(field)
    np.testing.assert_allclose(found.power, power, rtol=1e-10)
    np.testing.assert_allclose(found.energy, energy, rtol=1e-10, atol=1e-15)


def test_a_wave_lies_in_its_shell():
    x = 2 * np.pi * np.arange(32) / 32
    found = spectrum_of(3 * np.cos(3 * x[None, :] + 4 * x[:, None]))
    expected = np.zeros_like(found.power)
    expected[5] = 3**2 / 2
    np.testing.assert_allclose(found.power, expected, atol=1e-12)
    assert found.total_enstrophy == pytest.approx(9 / 4)
    assert found.total_energy == pytest.approx(9 / 4 / 25)


def test_bands_cover_every_wavenumber_once():
    for grid in (16, 64, 256, 2048):
        bands = spectral.wavenumber_bands(grid, 4)
        covered = [k for band in bands for k in range(band.first, band.last + 1)]
        assert covered == list(range(1, grid // 2 + 1))
        assert len(bands) == 4
    assert [b.label for b in spectral.wavenumber_bands(256, 4)] == [
        "k=1-2",
        "k=3-10",
        "k=11-37",
        "k=38-128",
    ]
    assert spectral.Band(1, 1).label == "k=1"


def test_small_grids_have_fewer_bands():
    bands = spectral.wavenumber_bands(8, 16)
    assert [(b.first, b.last) for b in bands] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    with pytest.raises(FlexbenchError, match=r"score\.bands is 0"):
        spectral.wavenumber_bands(8, 0)


def test_log_error_of_a_scaled_field():
    field = np.random.default_rng(0).normal(size=(32, 32))
    error = spectral.log_spectrum_error(spectrum_of(field / 3), spectrum_of(field))
    # Shell 0 has no energy: it is not scored.
    assert math.isnan(error[0])
    np.testing.assert_allclose(error[1:], math.log(9), rtol=1e-9)
    assert spectral.band_mean(error, spectral.Band(2, 7)) == pytest.approx(math.log(9))
    assert spectral.band_mean(error, spectral.Band(0, 0)) is None


def test_shells_below_the_floor_are_not_scored_and_bound_the_error():
    x = 2 * np.pi * np.arange(64) / 64
    large, small = np.cos(4 * x)[None, :], np.cos(20 * x)[None, :]
    truth = np.broadcast_to(large + 1e-3 * small, (64, 64))
    faint = np.broadcast_to(large + 1e-6 * small, (64, 64))
    without = np.broadcast_to(large, (64, 64))
    error = spectral.log_spectrum_error(spectrum_of(without), spectrum_of(truth))
    # The share of k = 20 is 1e-6 of the enstrophy; a prediction without any counts as the floor.
    assert error[20] == pytest.approx(math.log(1e-6 / spectral.FLOOR), rel=1e-4)
    assert error[4] == pytest.approx(0, abs=1e-9)
    # 1e-12 of the enstrophy is below the floor.
    assert math.isnan(spectral.log_spectrum_error(spectrum_of(truth), spectrum_of(faint))[20])


def test_band_rms_of_all_shells_is_the_rms():
    field = np.random.default_rng(3).normal(size=(16, 16))
    power = spectrum_of(field).power
    whole = spectral.Band(0, len(power) - 1)
    assert spectral.band_rms(power, whole) == pytest.approx(np.sqrt(np.mean(field**2)))


def test_fields_must_be_square():
    with pytest.raises(FlexbenchError, match="square"):
        spectral.transform(np.zeros((4, 8)))
