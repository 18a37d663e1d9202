"""A run: times hit exactly, same bits, resuming, and errors that say what to change."""

import math

import numpy as np
import pytest
import torch

from flexbench.config import SolverSettings
from flexbench.errors import FlexbenchError
from flexbench.solver.simulate import LEG_STEPS, Simulation
from flexbench.solver.times import snapshot_times

SMALL = SolverSettings(grid=64, peak_wavenumber=5)


def start(settings=SMALL, *, reynolds=200.0, seed=0):
    return Simulation(settings, reynolds=reynolds, seed=seed)


def test_snapshot_times():
    times = snapshot_times(SolverSettings(t_start=0.5, t_end=3.5, interval=0.1))
    assert len(times) == 31
    assert times[0] == 0.5
    assert times[-1] == 3.5
    assert np.allclose(np.diff(times), 0.1)


def test_times_are_hit_exactly():
    for dt in (None, 0.007):
        simulation = start(SMALL.model_copy(update={"dt": dt}))
        for time in (0.1, 0.25, 1 / 3):
            simulation.advance_to(time)
            assert simulation.time == time
            assert dt is None or simulation.dt <= dt


def test_step_keeps_to_the_courant_number():
    """At the start of each leg, dt max(|u| + |v|) <= cfl dx, and no more than needed below it."""
    for cfl in (0.4, 0.8):
        simulation = start(SMALL.model_copy(update={"cfl": cfl}))
        for _ in range(5):
            u, v = simulation.equation.velocity(simulation.spectrum)
            speed = float((u.abs() + v.abs()).max())
            simulation.advance_leg(10.0)
            courant = simulation.dt * speed / simulation.grid.spacing
            assert 0.98 * cfl < courant <= cfl * (1 + 1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_same_seed_same_bits(precision):
    settings = SMALL.model_copy(update={"precision": precision})
    runs = [start(settings), start(settings), start(settings, seed=1)]
    for simulation in runs:
        simulation.advance_to(0.3)
    assert torch.equal(runs[0].spectrum, runs[1].spectrum)
    assert not torch.equal(runs[0].spectrum, runs[2].spectrum)
    assert runs[0].vorticity().dtype == getattr(torch, precision)


def test_resumes_to_the_same_bits_between_two_snapshots():
    whole = start()
    whole.advance_to(1.5)
    first = start()
    first.advance_leg(1.5)
    first.advance_leg(1.5)
    assert first.steps == 2 * LEG_STEPS
    assert 0 < first.time < 1.5
    state = first.state()
    # The state is a copy: going on must not change it.
    first.advance_leg(1.5)
    second = start()
    second.load_state(state)
    assert second.steps == 2 * LEG_STEPS
    second.advance_to(1.5)
    assert torch.equal(second.spectrum, whole.spectrum)
    assert (second.time, second.steps) == (whole.time, whole.steps)


def test_state_of_another_grid_is_refused():
    state = start(SolverSettings(grid=32, peak_wavenumber=4)).state()
    with pytest.raises(FlexbenchError, match="solver state"):
        start().load_state(state)


def test_float32_stays_close_to_float64():
    """Rounding alone separates the two: far below the field, at a short time."""
    fields = []
    for precision in ("float32", "float64"):
        simulation = start(SMALL.model_copy(update={"precision": precision}))
        simulation.advance_to(0.5)
        fields.append(simulation.vorticity().double())
    error = float((fields[0] - fields[1]).norm() / fields[1].norm())
    assert 0 < error < 2e-5


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dt", [0.2, 100.0])
def test_blow_up_is_told(precision, dt):
    simulation = start(
        SMALL.model_copy(update={"dt": dt, "precision": precision}), reynolds=1e4, seed=3
    )
    with pytest.raises(FlexbenchError) as error:
        simulation.advance_to(1000.0)
    message = str(error.value)
    assert "\n" not in message
    for part in ("Re 10000", "seed 3", "t = ", f"solver.dt below {dt:g}", "solver.grid above 64"):
        assert part in message


@pytest.mark.parametrize("reynolds", [0, -1.0, math.inf, math.nan])
def test_reynolds_numbers_without_meaning(reynolds):
    with pytest.raises(FlexbenchError, match=r"reynolds is .*allowed"):
        start(reynolds=reynolds)


def test_negative_seed():
    with pytest.raises(FlexbenchError, match=r"seed is -1"):
        start(seed=-1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu():
    settings = SMALL.model_copy(update={"precision": "float64"})
    fields = []
    for device in ("cpu", "cuda"):
        simulation = Simulation(settings, reynolds=200, seed=0, device=device)
        simulation.advance_to(0.3)
        fields.append(simulation.vorticity().cpu())
    assert float((fields[0] - fields[1]).norm() / fields[0].norm()) < 1e-10
