"""Agreement with exponax, an independent solver: a frozen run, and a live one where installed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flexbench.config import SolverSettings
from flexbench.solver.grid import SpectralGrid
from flexbench.solver.navier_stokes import NavierStokes
from flexbench.solver.simulate import Simulation
from flexbench.solver.stepping import IntegratingFactorRK4

FROZEN = Path(__file__).parents[1] / "data" / "peer_solver.npz"


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_frozen_run():
    """64^2, nu = 0.02, t = 1 (written by tests/data/make_peer_solver.py)."""
    with np.load(FROZEN) as peer:
        start, end = peer["start"], peer["end"]
        viscosity, time = float(peer["viscosity"]), float(peer["time"])
    assert relative_error(start, end) > 0.5
    grid = SpectralGrid(len(start))
    equation = NavierStokes(grid, viscosity=viscosity)
    spectrum = grid.to_spectral(torch.from_numpy(start))
    stepper = IntegratingFactorRK4(
        linear=equation.linear, nonlinear=equation.nonlinear, dtype=spectrum.dtype
    )
    steps = 500
    for _ in range(steps):
        stepper.step(spectrum, time / steps)
    assert relative_error(grid.to_physical(spectrum).numpy(), end) < 1e-6


def test_live_run():
    """256^2, nu = 0.01, the Kraichnan field, t = 0.3."""
    exponax = pytest.importorskip("exponax")
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    settings = SolverSettings(grid=256, precision="float64", dt=2e-3)
    simulation = Simulation(settings, reynolds=100, seed=0)
    start = simulation.vorticity().numpy()
    simulation.advance_to(0.3)
    # Scale -1: exponax turns the gradient of the stream function the other way. Axis 0 is x.
    stepper = exponax.stepper.NavierStokesVorticity(
        2,
        2 * np.pi,
        256,
        2e-3,
        diffusivity=0.01,
        vorticity_convection_scale=-1.0,
        order=4,
        # Kept wavenumbers: up to fraction * 128 - 1, here the solver's.
        dealiasing_fraction=(simulation.grid.cutoff + 1) / 128,
    )
    end = np.asarray(jax.jit(exponax.repeat(stepper, 150))(start.T[None]))[0].T
    assert relative_error(start, end) > 0.5
    assert relative_error(simulation.vorticity().numpy(), end) < 1e-6
