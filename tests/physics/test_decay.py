"""Runs against what decaying flow must do: analytic decay, budgets, order in time."""

import itertools
import math

import numpy as np
import pytest
import torch

from flexbench.config import SolverSettings
from flexbench.solver import diagnostics
from flexbench.solver.channel import FreeSlipChannel
from flexbench.solver.grid import SpectralGrid
from flexbench.solver.navier_stokes import NavierStokes
from flexbench.solver.penalised import PenalisedNavierStokes
from flexbench.solver.simulate import Simulation
from flexbench.solver.stepping import IntegratingFactorRK4

RESOLVED = SolverSettings(grid=128, peak_wavenumber=8, precision="float64", dt=2e-3)


def run(field, *, viscosity, dt, steps):
    """The field (H, W) after `steps` steps."""
    grid = SpectralGrid(len(field))
    equation = NavierStokes(grid, viscosity=viscosity)
    spectrum = grid.to_spectral(torch.from_numpy(field)) * grid.kept
    stepper = IntegratingFactorRK4(
        linear=equation.linear, nonlinear=equation.nonlinear, dtype=spectrum.dtype
    )
    for _ in range(steps):
        stepper.step(spectrum, dt)
    return grid.to_physical(spectrum).numpy()


@pytest.mark.parametrize("k", [1, 3])
def test_taylor_green_decays_exactly(k):
    y, x = np.meshgrid(*2 * [np.arange(32) * 2 * np.pi / 32], indexing="ij")
    start = 2 * k * np.cos(k * x) * np.cos(k * y)
    end = run(start, viscosity=0.05, dt=0.02, steps=100)
    expected = start * math.exp(-0.05 * 2 * k**2 * 2.0)
    assert np.abs(end - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("boundary", ["periodic", "free_slip", "no_slip"])
@pytest.mark.parametrize("k", [1, 4])
def test_single_precision_keeps_weak_viscosity(boundary, k):
    """At Re 32000 and dt 5e-4 a step takes 3e-8 of the wave k = 1: less than float32 can take from
    1. 1,000 steps of w = cos(k y) or sin(k y), whose nonlinear term vanishes, to 1e-4 of the loss.
    """
    steps, dt, reynolds, points = 1000, 5e-4, 32000.0, 32
    grid = SpectralGrid(points, dtype=torch.float32)
    y = torch.arange(points, dtype=torch.float64) * 2 * torch.pi / points
    equation = {
        "periodic": lambda: NavierStokes(grid, viscosity=1 / reynolds),
        "free_slip": lambda: FreeSlipChannel(grid, viscosity=1 / reynolds),
        "no_slip": lambda: PenalisedNavierStokes(
            grid, viscosity=1 / reynolds, solid=np.zeros((points, points)), eta=1.0
        ),
    }[boundary]()
    wave = (k * y).sin()[:, None].expand(points, points).contiguous()
    state = grid.to_spectral(wave.float()).to(torch.complex128) * grid.kept
    if boundary == "no_slip":
        state = torch.stack([state, torch.zeros_like(state)])
    equation.constrain(state)
    start = state.abs().max()
    stepper = IntegratingFactorRK4(
        linear=equation.linear, nonlinear=equation.nonlinear, dtype=torch.complex64
    )
    for _ in range(steps):
        stepper.step(state, dt)
        equation.constrain(state)
    rate = -math.log(float(state.abs().max() / start)) / (steps * dt)
    assert rate == pytest.approx(k**2 / reynolds, rel=1e-4)


def test_single_precision_energy_budget():
    """Energy lost in 1,000 steps of Taylor-Green at Re 32000, to 1e-4 of the loss."""
    steps, dt, reynolds, points = 1000, 5e-4, 32000.0, 32
    grid = SpectralGrid(points, dtype=torch.float32)
    y, x = torch.meshgrid(*2 * [torch.arange(points) * 2 * torch.pi / points], indexing="ij")
    equation = NavierStokes(grid, viscosity=1 / reynolds)
    state = grid.to_spectral(2 * x.cos() * y.cos()).to(torch.complex128) * grid.kept
    stepper = IntegratingFactorRK4(
        linear=equation.linear, nonlinear=equation.nonlinear, dtype=torch.complex64
    )
    before = diagnostics.energy(grid, state)
    for _ in range(steps):
        stepper.step(state, dt)
    lost = before - diagnostics.energy(grid, state)
    assert lost == pytest.approx(-before * math.expm1(-4 * steps * dt / reynolds), rel=1e-4)


def test_single_precision_turbulence_loses_what_viscosity_takes():
    """The same of turbulence, whose nonlinear term is in single precision: 1e-4 of the loss."""
    settings = SolverSettings(grid=64, peak_wavenumber=5, precision="float32", dt=2e-3)
    simulation = Simulation(settings, reynolds=32000, seed=0)
    start, moments = simulation.measure()["energy"], np.linspace(0, 0.4, 41)
    enstrophies = []
    for moment in moments.tolist():
        simulation.advance_to(moment)
        enstrophies.append(simulation.measure()["enstrophy"])
    lost = start - simulation.measure()["energy"]
    taken = 2 / 32000 * np.trapezoid(enstrophies, moments)
    assert lost == pytest.approx(taken, rel=1e-4)


def test_shifted_start_gives_a_shifted_end():
    """Whole runs move with their initial field, by (dy, 3 dx) here."""
    rng = np.random.default_rng(0)
    start = rng.standard_normal((32, 32))
    end = run(start, viscosity=0.05, dt=0.01, steps=50)
    moved = run(np.roll(start, (1, 3), axis=(0, 1)), viscosity=0.05, dt=0.01, steps=50)
    assert np.abs(moved - np.roll(end, (1, 3), axis=(0, 1))).max() < 1e-12


def test_energy_budget():
    """dE/dt + 2 nu Z = 0 to 1e-4 of 2 nu Z, all along a resolved run."""
    simulation = Simulation(RESOLVED, reynolds=100, seed=1)
    step, viscosity = RESOLVED.dt, 1 / 100
    for centre in (0.02, 0.1, 0.3, 0.6, 1.0):
        energies, dissipation = [], 0.0
        for offset in (-2, -1, 0, 1, 2):
            simulation.advance_to(centre + offset * step)
            measures = simulation.measure()
            energies.append(measures["energy"])
            if offset == 0:
                dissipation = 2 * viscosity * measures["enstrophy"]
                assert measures["resolution"] > 1.5
        slope = (energies[0] - 8 * energies[1] + 8 * energies[3] - energies[4]) / (12 * step)
        assert abs(slope + dissipation) < 1e-4 * dissipation


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("reynolds", [100, 1e6])
def test_enstrophy_never_grows(precision, reynolds):
    settings = SolverSettings(grid=64, peak_wavenumber=5, precision=precision)
    simulation = Simulation(settings, reynolds=reynolds, seed=0)
    before = simulation.measure()
    for time in np.linspace(0.05, 1.0, 20).tolist():
        simulation.advance_to(time)
        after = simulation.measure()
        # Float32: what one interval may gain by rounding where hardly anything dissipates.
        slack = 1 + (1e-6 if precision == "float32" else 1e-13)
        assert after["enstrophy"] <= before["enstrophy"] * slack
        assert after["energy"] <= before["energy"] * slack
        before = after


def test_order_in_time():
    """Self-convergence on the Kraichnan field: halving the step divides the error by 2^4."""
    fields = []
    for dt in (0.02, 0.01, 0.005, 0.0025):
        settings = SolverSettings(grid=64, peak_wavenumber=5, precision="float64", dt=dt)
        simulation = Simulation(settings, reynolds=500, seed=0)
        simulation.advance_to(0.4)
        assert simulation.steps == round(0.4 / dt)
        fields.append(simulation.vorticity())
    errors = [float((a - b).norm() / b.norm()) for a, b in itertools.pairwise(fields)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) > 3.9
    assert errors[-1] < 1e-5


def test_courant_limited_step_is_accurate():
    """At the default Courant number the step's error is far below the truncation's."""
    fields = []
    for dt in (None, 1e-3):
        settings = SolverSettings(grid=64, peak_wavenumber=5, precision="float64", dt=dt)
        simulation = Simulation(settings, reynolds=200, seed=0)
        simulation.advance_to(0.5)
        fields.append(simulation.vorticity())
    assert float((fields[0] - fields[1]).norm() / fields[1].norm()) < 1e-3


def test_measures_against_plain_sums():
    """Energy, enstrophy, palinstrophy and rms against derivatives on the grid."""
    grid = SpectralGrid(64, dtype=torch.float64)
    simulation = Simulation(
        SolverSettings(grid=64, peak_wavenumber=5, precision="float64"), reynolds=100, seed=0
    )
    spectrum = simulation.spectrum
    w = simulation.vorticity()
    u, v = diagnostics.velocity_from_vorticity(w)
    assert diagnostics.energy(grid, spectrum) == pytest.approx(float((u**2 + v**2).mean()) / 2)
    assert diagnostics.enstrophy(grid, spectrum) == pytest.approx(float((w**2).mean()) / 2)
    assert diagnostics.vorticity_rms(grid, spectrum) == pytest.approx(float(w.std()), rel=1e-3)
    k = 1j * np.fft.fftfreq(64, 1 / 64)
    modes = np.fft.fft2(w.numpy())
    slopes = [np.fft.ifft2(factor * modes).real for factor in (k[None], k[:, None])]
    palinstrophy = sum((slope**2).mean() for slope in slopes) / 2
    assert diagnostics.palinstrophy(grid, spectrum) == pytest.approx(palinstrophy)
    shells = diagnostics.radial_spectrum(grid, spectrum)
    assert float(shells.sum()) == pytest.approx(diagnostics.energy(grid, spectrum))


def test_velocity_of_known_flow():
    """w = 2 cos x cos y on a batch (2, H, W): u = -cos x sin y, v = sin x cos y."""
    y, x = torch.meshgrid(*2 * [torch.arange(24) * 2 * torch.pi / 24], indexing="ij")
    w = torch.stack([2 * x.cos() * y.cos(), -6 * x.cos() * y.cos()])
    u, v = diagnostics.velocity_from_vorticity(w)
    assert torch.allclose(u[0], -x.cos() * y.sin(), atol=1e-6)
    assert torch.allclose(v[0], x.sin() * y.cos(), atol=1e-6)
    assert torch.allclose(u[1], 3 * x.cos() * y.sin(), atol=1e-6)


def test_resolution_scale():
    """One wave w = cos(k x): P = k^2 / 4, so eta = (2 nu^2 / k^2)^(1/6)."""
    grid = SpectralGrid(32)
    x = torch.arange(32, dtype=torch.float64) * 2 * torch.pi / 32
    spectrum = grid.to_spectral((4 * x).cos().expand(32, 32))
    expected = 10 * (2 * 0.1**2 / 16) ** (1 / 6)
    assert diagnostics.resolution(grid, spectrum, viscosity=0.1) == pytest.approx(expected)
