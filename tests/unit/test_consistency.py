"""Samples that are held to what is known of the target: means of blocks, and long waves."""

import numpy as np
import pytest
import torch
from toy_networks import Pointwise

from flexbench.config import (
    DiffusionSettings,
    ForecastSettings,
    SampleSettings,
    SuperResolutionSettings,
)
from flexbench.data.normaliser import Normaliser
from flexbench.data.samples import Snapshot
from flexbench.inference.predictors import TREND, NetworkPredictor, consistency_of
from flexbench.methods import make_method
from flexbench.posterior.features import NAMES
from flexbench.posterior.model import Calibration, ErrorModel
from flexbench.posterior.noise import SHELLS
from flexbench.tasks import make_task

SIDE, PATCH, FACTOR = 48, 16, 4
SNAPSHOT = Snapshot(trajectory="re500_seed1", reynolds=500.0, seed=1, index=4, time=0.9)
SETTINGS = {
    "superres": SuperResolutionSettings(factor=FACTOR, patch=PATCH),
    "strided": SuperResolutionSettings(factor=FACTOR, degradation="strided", patch=PATCH),
    "whole": SuperResolutionSettings(factor=FACTOR, patch=PATCH, residual=False),
    "forecast": ForecastSettings(patch=PATCH),
}


def task_of(kind, *, periodic=True):
    scales = Normaliser(field_std=2.0, residual_std=0.5)
    return make_task(SETTINGS[kind], normaliser=scales, interval=0.1, periodic=periodic)


def example_of(task):
    margin, generator = task.margin, torch.Generator().manual_seed(1)
    side = SIDE + 2 * margin
    fields = torch.randn(1, task.window, side, side, generator=generator)
    return task.prepare(fields, torch.tensor([500.0]))


def means(field):
    """Of the blocks, by another route than the task's."""
    return torch.nn.functional.avg_pool2d(field, FACTOR)


def waves(field):
    """The modes of a field that are longer than a patch, found one by one."""
    modes = np.fft.fft2(field.double().numpy())
    long = {}
    for row in range(-3, 4):
        for column in range(-3, 4):
            if (row**2 + column**2) ** 0.5 < SIDE / PATCH:
                long[row, column] = modes[..., row, column]
    return np.stack(list(long.values()))


def drawn(kind, *, holds=True, mode="denoiser", periodic=True, **own):
    """The example, and members that a network draws of it."""
    task = task_of(kind, periodic=periodic)
    example = example_of(task)
    settings = SampleSettings(members=3, **own)
    method = make_method(Pointwise(), problem=task.spec, settings=DiffusionSettings(), mode=mode)
    flat = torch.ones(SHELLS + 1, dtype=torch.float64)
    model = ErrorModel(
        t=1.0,
        coefficients=-torch.eye(len(NAMES), dtype=torch.float64)[0],
        spectrum=flat,
        tilt=flat * 0,
        span=(-9.0, 9.0),
    )
    fit = Calibration(setting="test", weights="", models=(model,) * settings.steps, holds=holds)
    predictor = NetworkPredictor(
        method,
        settings=settings,
        seed=0,
        device="cpu",
        calibration=fit if settings.is_fitted else None,
    )
    return example, predictor.predict(example, task, SNAPSHOT)


# --- what a task knows ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["superres", "whole", "forecast"])
def test_what_is_known_is_a_part_of_the_field(kind):
    """A projection, and an orthogonal one: what it leaves is orthogonal to what it takes."""
    task = task_of(kind)
    known = task.known_part(example_of(task), patch=PATCH)
    field = torch.randn(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2)).double()
    part = known.of(field)
    torch.testing.assert_close(known.of(part), part)
    assert abs(float((part * (field - part)).sum())) < 1e-6 * float(field.square().sum())
    assert 0 < float(part.square().sum()) < float(field.square().sum())


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("kind", ["superres", "whole"])
def test_the_truth_has_the_block_means_that_are_known(kind, periodic):
    task = task_of(kind, periodic=periodic)
    example = example_of(task)
    known = consistency_of(example, task, patch=PATCH, device="cpu")
    assert known.exact
    torch.testing.assert_close(known.value, known.part(example.residual), rtol=0, atol=1e-5)
    torch.testing.assert_close(known.hold(example.residual), example.residual, rtol=0, atol=1e-5)


def test_other_samples_of_a_field_are_not_held():
    task = task_of("strided")
    assert task.known_part(example_of(task), patch=PATCH) is None


def test_waves_longer_than_a_patch_are_extrapolated():
    task = task_of("forecast")
    example = example_of(task)
    known = task.known_part(example, patch=PATCH)
    last, before = example.inputs[:, 1:], example.inputs[:, :1]
    assert np.allclose(waves(known.of(known.field)), waves(2 * last - before), atol=1e-3)
    assert not known.exact
    # The whole domain at once: no wave is longer, and only the mean is left.
    whole = task.known_part(example, patch=SIDE).of(last)
    torch.testing.assert_close(whole, last.mean().expand_as(whole), rtol=0, atol=1e-6)


def test_without_a_period_there_are_no_waves():
    task = task_of("forecast", periodic=False)
    assert task.known_part(example_of(task), patch=PATCH) is None


# --- samples -------------------------------------------------------------------------------


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(
    "own", [{}, {"overlap": 4}, {"sampler": "ddpm"}, {"sampler": "calibrated"}, {"steps": 1}]
)
def test_members_have_the_block_means_of_what_they_started_from(own, periodic):
    example, members = drawn("superres", periodic=periodic, **own)
    wanted = example.inputs.expand(3, -1, -1, -1)
    torch.testing.assert_close(means(members), wanted, rtol=0, atol=1e-5)
    _, free = drawn("superres", periodic=periodic, consistent=False, **own)
    assert (means(free) - wanted).abs().max() > 0.05
    error, error_free = ((it - example.truth).square().sum() for it in (members, free))
    assert error < error_free


def test_a_regressor_is_held_as_well():
    example, members = drawn("superres", mode="regressor")
    torch.testing.assert_close(means(members), example.inputs, rtol=0, atol=1e-5)


def test_a_formula_decides_where_validation_says_so_alone():
    example, members = drawn("forecast", sampler="calibrated")
    before, last = example.inputs[:, :1], example.inputs[:, 1:]
    wanted = waves(last + TREND * (last - before))
    assert np.allclose(waves(members), wanted, atol=1e-2)
    for free in (
        drawn("forecast", sampler="calibrated", holds=False),
        drawn("forecast", sampler="calibrated", consistent=False),
        drawn("forecast"),
    ):
        assert np.abs(waves(free[1]) - wanted).max() > 10
