"""Formulas: shapes over everything discovered, and each official one against closed forms."""

import pytest
import torch

from flexbench import registry
from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.seeding import generator
from flexbench.tasks import make_task

FORMULAS = [name for name in registry.names() if registry.is_formula(name)]
NORMALISER = Normaliser(field_std=2.0, residual_std=0.5)


def task_of(kind: str, **changes):
    settings = {"superres": SuperResolutionSettings, "forecast": ForecastSettings}[kind]
    return make_task(settings(patch=32, **changes), normaliser=NORMALISER, interval=0.1)


def domain(task, fields):
    """The example of whole periodic domains (B, window, H, W), wrapped where the task asks."""
    halo = task.halo or 0
    wrapped = torch.nn.functional.pad(fields, (halo,) * 4, mode="circular") if halo else fields
    return task.prepare(wrapped, torch.full((len(fields),), 500.0))


def waves(points: int, highest: int) -> torch.Tensor:
    """A random real field (1, 1, points, points) with wavenumbers up to `highest` in each axis."""
    noise = generator(0, "waves")
    x = torch.arange(points, dtype=torch.float64) * 2 * torch.pi / points
    field = torch.zeros(points, points, dtype=torch.float64)
    for k in range(highest + 1):
        for q in range(-highest, highest + 1):
            size, phase = torch.rand(2, generator=noise, dtype=torch.float64)
            field += size * torch.cos(k * x[None, :] + q * x[:, None] + 6.28 * phase)
    return field[None, None]


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_field_of_the_right_shape(name, kind):
    if kind not in registry.tasks(name):
        pytest.skip(f"{name} only does {', '.join(registry.tasks(name))}, by its TASKS")
    task = task_of(kind)
    fields = torch.randn(2, task.window, 32, 32, generator=generator(0, "fields"))
    example = domain(task, fields)
    predicted = registry.load(name).predict(example, task)
    assert predicted.shape == example.truth.shape
    assert predicted.dtype == torch.float32
    assert predicted.isfinite().all()


def test_persistence_is_the_last_snapshot():
    task = task_of("forecast")
    fields = torch.randn(2, 3, 32, 32, generator=generator(0, "fields"))
    predicted = registry.load("persistence").predict(domain(task, fields), task)
    assert torch.equal(predicted, fields[:, 1:2])


def test_extrapolation_is_exact_for_a_straight_line_and_second_order_beyond():
    task = task_of("forecast")
    start, slope = torch.randn(2, 1, 1, 32, 32, generator=generator(0, "line")).double()
    predict = registry.load("extrapolation").predict

    def error(lead: float, *, curvature: float) -> float:
        t = lead * torch.arange(3, dtype=torch.float64)[None, :, None, None]
        fields = start + slope * t + curvature * t**2
        return float((predict(domain(task, fields), task) - fields[:, -1:]).abs().max())

    assert error(0.1, curvature=0) < 1e-12
    # w(0) + w(2 dt) - 2 w(dt) of t^2 is 2 dt^2
    assert error(0.1, curvature=1) == pytest.approx(2 * 0.1**2)


def test_bicubic_is_the_tasks_own_base():
    task = task_of("superres")
    example = domain(task, waves(32, 6))
    assert torch.equal(registry.load("interpolation").predict(example, task), example.base)


def test_bicubic_on_a_task_that_upsamples_otherwise():
    fields = waves(32, 6)
    task = task_of("superres", upsampling="bilinear")
    predicted = registry.load("interpolation").predict(domain(task, fields), task)
    expected = domain(task_of("superres"), fields).base
    torch.testing.assert_close(predicted, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("degradation", ["strided", "spectral"])
@pytest.mark.parametrize("alignment", ["aligned", "official"])
def test_spectral_is_exact_for_what_the_coarse_grid_resolves(degradation, alignment):
    """Samples of a band-limited field determine it, wherever the task believes that they sit."""
    if degradation == "spectral" and alignment == "official":
        pytest.skip("the official alignment only concerns strided samples")
    fields = waves(32, 3)  # the coarse grid of 8 resolves wavenumbers below 4
    task = task_of("superres", degradation=degradation, alignment=alignment)
    predicted = registry.load("interpolation").predict(
        domain(task, fields), task, kernel="spectral"
    )
    assert (predicted - fields).abs().max() < 1e-9 * fields.abs().max()


def test_spectral_places_block_means_at_the_centres_of_their_blocks():
    """The block mean of a wave is the wave at the block's centre, damped by a known factor."""
    points, factor, k = 32, 4, 2
    x = torch.arange(points, dtype=torch.float64) * 2 * torch.pi / points
    fields = torch.cos(k * x + 0.3).expand(1, 1, points, points).contiguous()
    task = task_of("superres", factor=factor)
    predicted = registry.load("interpolation").predict(
        domain(task, fields), task, kernel="spectral"
    )
    theta = torch.tensor(torch.pi * k / points, dtype=torch.float64)
    damping = torch.sin(factor * theta) / (factor * torch.sin(theta))
    torch.testing.assert_close(predicted, damping * fields, atol=1e-12, rtol=0)


def test_unknown_kernel():
    task = task_of("superres")
    with pytest.raises(FlexbenchError, match="kernel is 'nearest'; allowed: bicubic, spectral"):
        registry.load("interpolation").predict(domain(task, waves(32, 3)), task, kernel="nearest")
