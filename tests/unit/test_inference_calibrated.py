"""Whole domains drawn by sampler `calibrated`: tiles, members, edges, batches, regressors."""

import numpy as np
import pytest
import torch
from toy_networks import Pointwise

from flexbench.config import DiffusionSettings, ForecastSettings, SampleSettings
from flexbench.data.normaliser import Normaliser
from flexbench.data.samples import Snapshot
from flexbench.inference.predictors import NetworkPredictor
from flexbench.methods import make_method
from flexbench.posterior.features import NAMES
from flexbench.posterior.model import Calibration, ErrorModel
from flexbench.posterior.noise import SHELLS
from flexbench.tasks import make_task

PATCH = 16
SNAPSHOT = Snapshot(trajectory="re500_seed1", reynolds=500.0, seed=1, index=4, time=0.9)


def calibration(times):
    """Errors that go with the gradient of the base, and are smooth."""
    coefficients = torch.zeros(len(NAMES), dtype=torch.float64)
    coefficients[NAMES.index("constant")] = -2.0
    coefficients[NAMES.index("gradient")] = 0.7
    shells = torch.arange(SHELLS + 1).double()
    model = ErrorModel(
        t=1.0,
        coefficients=coefficients,
        spectrum=(1 + shells / 8) ** -4,
        tilt=shells * 0,
        span=(-9.0, 9.0),
    )
    return Calibration(setting="test", weights="", models=(model,) * times)


def drawn(
    *, side=48, periodic=True, conditions=1, mode="denoiser", network=None, snapshot=SNAPSHOT, **own
):
    scales = Normaliser(field_std=1.0, residual_std=1.0)
    task = make_task(
        ForecastSettings(patch=PATCH), normaliser=scales, interval=0.1, periodic=periodic
    )
    fields = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    example = task.prepare(fields.expand(conditions, -1, -1, -1), torch.full((conditions,), 500.0))
    settings = {"members": 3, "steps": 2, "batch": 64, "sampler": "calibrated", "overlap": 0}
    settings = SampleSettings(**settings | own)
    method = make_method(
        network or Pointwise(), problem=task.spec, settings=DiffusionSettings(), mode=mode
    )
    chosen = NetworkPredictor(
        method,
        settings=settings,
        seed=0,
        device="cpu",
        calibration=calibration(settings.steps if mode == "denoiser" else 1),
    )
    return chosen, chosen.predict(example, task, snapshot)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_stitched_and_blended_tiles_give_the_same_where_a_network_sees_points(periodic, steps):
    _, stitched = drawn(periodic=periodic, steps=steps)
    _, blended = drawn(periodic=periodic, steps=steps, overlap=6)
    torch.testing.assert_close(stitched, blended, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_batches_change_nothing(batch):
    torch.testing.assert_close(drawn(batch=batch)[1], drawn()[1], rtol=0, atol=1e-5)


def test_members_are_known_by_their_numbers():
    """More of them, other snapshots, or a condition of each own: the same noise."""
    _, three = drawn()
    torch.testing.assert_close(drawn(members=5)[1][:3], three, rtol=0, atol=1e-5)
    torch.testing.assert_close(drawn(conditions=3)[1], three, rtol=0, atol=1e-5)
    other = Snapshot(trajectory="re500_seed2", reynolds=500.0, seed=2, index=4, time=0.9)
    assert (drawn(snapshot=other)[1] - three).abs().max() > 0.1


def test_the_last_step_adds_noise_of_its_own():
    chosen, one = drawn(steps=1)
    assert chosen.calls == 1
    assert one.std(dim=0).mean() > 0.1


@pytest.mark.parametrize("periodic", [True, False])
def test_noise_wraps_around_on_periodic_domains_alone(periodic):
    _, members = drawn(periodic=periodic, steps=1, members=64, side=64, consistent=False)
    noise = (members - members.mean(dim=0))[:, 0].numpy()
    left, right, next_to = noise[..., 0], noise[..., -1], noise[..., 1]
    across = np.corrcoef(left.ravel(), right.ravel())[0, 1]
    beside = np.corrcoef(left.ravel(), next_to.ravel())[0, 1]
    assert beside > 0.4
    assert across > 0.4 if periodic else abs(across) < 0.1


def test_a_dressed_regressor_has_members_around_its_one_prediction():
    chosen, members = drawn(mode="regressor", members=200, consistent=False)
    assert (chosen.members, chosen.sampler, chosen.steps, chosen.calls) == (
        200,
        "calibrated",
        0,
        1,
    )
    scales = Normaliser(field_std=1.0, residual_std=1.0)
    task = make_task(ForecastSettings(patch=PATCH), normaliser=scales, interval=0.1)
    fields = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    example = task.prepare(fields, torch.tensor([500.0]))
    alone = Pointwise()(example.base, torch.zeros(1), example.re, example.condition)
    departure = members.mean(dim=0) - (example.base + alone)[0]
    assert departure.abs().mean() < 3 * members.std(dim=0).mean() / 200**0.5
