"""Penalised walls: decay between them, the mean flow, projection, and the channel of the files."""

import math

import numpy as np
import pytest
import torch

from flexbench.config import SolverSettings
from flexbench.errors import FlexbenchError
from flexbench.solver import solids
from flexbench.solver.grid import SpectralGrid
from flexbench.solver.penalised import PenalisedNavierStokes
from flexbench.solver.simulate import Simulation
from flexbench.solver.stepping import IntegratingFactorRK4
from flexbench.solver.validation import shear_decay_error, turbulence_differences

SETTINGS = SolverSettings(grid=64, peak_wavenumber=5, precision="float64")


def penalised(points, *, viscosity, eta, solid):
    grid = SpectralGrid(points)
    return PenalisedNavierStokes(grid, viscosity=viscosity, solid=solid, eta=eta)


def advance(equation, state, *, time, dt):
    stepper = IntegratingFactorRK4(
        linear=equation.linear, nonlinear=equation.nonlinear, dtype=state.dtype
    )
    steps = math.ceil(time / dt)
    for _ in range(steps):
        stepper.step(state, time / steps)


def uniform(equation, u, v):
    """The state of a velocity that is the same everywhere."""
    state = torch.zeros(2, *equation.grid.shape, dtype=torch.complex128)
    state[:, 0, 0] = torch.tensor([u, v]) * equation.grid.points**2
    return state


def test_shear_between_walls_decays_at_the_analytic_rate():
    """First order in the grid spacing, and within 2.5 % at 96 points: the walls act as if they
    stood back by about sqrt(nu eta), which lengthens h.
    """
    errors = [abs(shear_decay_error(points)) for points in (24, 48, 96)]
    assert errors[-1] < 0.025
    assert errors[0] / errors[2] > 3.0
    assert errors[0] > errors[1] > errors[2]


def test_a_uniform_flow_is_stopped_by_walls():
    """The mean flow is evolved. Across the wall v is the same everywhere, so it decays at the rate
    <chi> / eta; along the wall only the layers next to it are slowed down at first."""
    eta = 0.02
    equation = penalised(32, viscosity=0.5, eta=eta, solid=solids.wall_strip(32, half_thickness=4))
    state = uniform(equation, 1.0, 1.0)
    advance(equation, state, time=20 * eta, dt=eta)
    u, v = equation.mean_flow(state)
    assert 0.3 < u < 0.9
    assert v == pytest.approx(math.exp(-20 * 8 / 32), rel=1e-3)
    advance(equation, state, time=12.0, dt=eta)
    assert 0 < equation.mean_flow(state)[0] < 0.2


def test_momentum_budget_of_an_obstacle():
    """d<u>/dt = -<chi (u - u_wall)> / eta: the drag is all that changes the mean flow."""
    eta, dt = 0.05, 1e-3
    solid = solids.disc(48, radius=6, y=20, x=24)
    equation = penalised(48, viscosity=0.02, eta=eta, solid=solid)
    state = uniform(equation, 1.0, 0.2)
    advance(equation, state, time=1.0, dt=0.02)
    means = [equation.mean_flow(state)]
    advance(equation, state, time=dt, dt=dt)
    velocity = torch.stack(equation.velocity(state)).numpy()
    drag = -(solid * velocity).mean(axis=(1, 2)) / eta
    advance(equation, state, time=dt, dt=dt)
    means.append(equation.mean_flow(state))
    change = (np.array(means[1]) - np.array(means[0])) / (2 * dt)
    assert np.abs(drag).min() > 1e-3
    np.testing.assert_allclose(change, drag, rtol=1e-4)
    np.testing.assert_allclose(means[1], velocity.mean(axis=(1, 2)), rtol=0.01)


@pytest.mark.parametrize("component", [0, 1])
def test_a_moving_wall_drags_the_fluid_along(component):
    """A wall along x that moves along x, and one along y that moves along y."""
    points, eta = 32, 0.02
    solid = solids.wall_strip(points, half_thickness=3)
    moving = np.zeros((2, points, points))
    moving[component] = 0.7
    equation = PenalisedNavierStokes(
        SpectralGrid(points),
        viscosity=0.5,
        solid=solid if component == 0 else solid.T,
        eta=eta,
        wall_velocity=moving,
    )
    state = uniform(equation, 0.0, 0.0)
    advance(equation, state, time=40.0, dt=eta)
    velocity = torch.stack(equation.velocity(state)).numpy()
    np.testing.assert_allclose(velocity, moving, atol=1e-3)


def test_without_solid_it_is_the_vorticity_equation():
    """The same flow as the periodic solver's, and its energy falls by 2 nu Z."""
    simulation = Simulation(
        SETTINGS.model_copy(update={"dt": 2e-3}), reynolds=100, seed=0, boundary="periodic"
    )
    equation = penalised(64, viscosity=1 / 100, eta=1.0, solid=np.zeros((64, 64)))
    state = equation.state_of(simulation.spectrum)
    simulation.advance_to(0.2)
    advance(equation, state, time=0.2, dt=2e-3)
    expected = simulation.vorticity()
    error = (equation.field(state) - expected).abs().max()
    assert float(error) < 1e-10 * float(expected.abs().max())


def test_the_velocity_has_no_divergence():
    simulation = Simulation(SETTINGS, reynolds=300, seed=1, boundary="no_slip")
    simulation.advance_to(0.3)
    grid, (u, v) = simulation.grid, simulation.spectrum
    divergence = (grid.kx * u + grid.ky * v).abs().max()
    vorticity = simulation.equation.vorticity(simulation.spectrum).abs().max()
    assert float(divergence) < 1e-10 * float(vorticity)


def test_the_no_slip_channel():
    """At rest in the wall, energy 1/2 in the fluid at first, never more of it later."""
    simulation = Simulation(SETTINGS, reynolds=300, seed=1, boundary="no_slip")
    mask = simulation.equation.mask
    assert mask[[0, 1, -1]].all()
    assert not mask[2:-1].any()
    u, v = (field.numpy() for field in simulation.equation.velocity(simulation.spectrum))
    share = simulation.equation.solid
    energy = ((u**2 + v**2) * (1 - share)).sum() / (1 - share).sum() / 2
    assert energy == pytest.approx(0.5, rel=1e-9)
    at_wall = max(np.abs(u[0]).max(), np.abs(v[0]).max())
    assert at_wall < 0.01 * max(np.abs(u).max(), np.abs(v).max())
    before = simulation.measure()
    measured = simulation.equation.never_grows(simulation.spectrum)
    assert measured == pytest.approx(before["energy"], rel=1e-9)
    for time in (0.1, 0.2, 0.5, 1.0):
        simulation.advance_to(time)
        after = simulation.measure()
        assert after["energy"] < before["energy"]
        before = after
    u, v = (field.abs().numpy() for field in simulation.equation.velocity(simulation.spectrum))
    assert max(u[0].max(), v[0].max()) < 0.05 * max(u.max(), v.max())
    assert before["mean_u"] != 0


def test_resolution_is_that_of_the_flow():
    """k_max eta from the vorticity's slopes outside the solid, on the grid that all of it has."""
    simulation = Simulation(SETTINGS, reynolds=300, seed=1, boundary="no_slip")
    simulation.advance_to(0.2)
    w, points = simulation.vorticity().numpy(), SETTINGS.grid
    k = np.fft.fftfreq(points, 1 / points)
    slopes = [np.fft.ifft2(1j * k_ * np.fft.fft2(w)).real for k_ in (k[None], k[:, None])]
    fluid = simulation.equation.mask == 0
    enstrophy_lost = 1 / 300 * sum((slope[fluid] ** 2).mean() for slope in slopes)
    eta = (300**-3 / enstrophy_lost) ** (1 / 6)
    wanted = simulation.grid.cutoff * eta
    assert simulation.measure()["resolution"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("boundary", ["free_slip", "no_slip"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_resumed_runs_have_the_same_bits(boundary, precision):
    settings = SETTINGS.model_copy(update={"precision": precision})
    options = {"reynolds": 300, "seed": 2, "boundary": boundary}
    whole, first, second = (Simulation(settings, **options) for _ in range(3))
    whole.advance_to(1.0)
    for _ in range(2):
        first.advance_leg(1.0)
    second.load_state(first.state())
    second.advance_to(1.0)
    assert torch.equal(second.spectrum, whole.spectrum)
    assert second.steps == whole.steps > 32


def test_bad_values_are_told():
    with pytest.raises(FlexbenchError, match="boundary is 'wall'; allowed: periodic, free_slip"):
        Simulation(SETTINGS, reynolds=300, seed=0, boundary="wall")
    with pytest.raises(FlexbenchError, match=r"dt is 0\.1; a no_slip flow on a grid of 64 needs"):
        Simulation(
            SETTINGS.model_copy(update={"dt": 0.1}), reynolds=300, seed=0, boundary="no_slip"
        )
    with pytest.raises(FlexbenchError, match="grid is 40; a no-slip channel needs at least 64"):
        Simulation(
            SETTINGS.model_copy(update={"grid": 40}), reynolds=300, seed=0, boundary="no_slip"
        )
    with pytest.raises(FlexbenchError, match="eta is 0"):
        penalised(32, viscosity=1.0, eta=0.0, solid=np.zeros((32, 32)))


def test_shares_of_solid_add_up():
    """Areas of a strip, of a square's surroundings and of a disc; periodic in both directions."""
    assert solids.wall_strip(64, half_thickness=2.3).sum() == pytest.approx(64 * 4.6)
    assert solids.wall_strip(64, half_thickness=2)[:, 0].tolist()[:4] == [1, 1, 0.5, 0]
    assert solids.around_square(64, margin=4).sum() == pytest.approx(64**2 - 56**2)
    disc = solids.disc(64, radius=9, y=3, x=60)
    assert disc.sum() == pytest.approx(math.pi * 81, rel=0.02)
    np.testing.assert_array_equal(
        disc, np.roll(solids.disc(64, radius=9, y=30, x=30), (-27, 30), axis=(0, 1))
    )


def test_turbulence_between_walls_converges_with_the_grid():
    """No reference knows it; on finer grids it comes closer to itself, more slowly at the walls."""
    grids = (64, 128, 256)
    coarse, fine = turbulence_differences("no_slip", grids, reynolds=50, time=0.3, peak=4)
    assert (coarse.points, fine.points) == grids[:2]
    assert fine.away < 0.2 * coarse.away < 0.006
    assert fine.away < fine.near < 0.6 * coarse.near < 0.03
    (plain,) = turbulence_differences("periodic", grids[1:], reynolds=50, time=0.3, peak=4)
    assert plain.away < fine.away
    assert plain.near < 0.1 * fine.near
