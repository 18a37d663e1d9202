"""Kinds of task: what each says of itself, and a field that is generated whole."""

import pytest
import torch

from flexbench import registry
from flexbench.config import KINDS, ForecastSettings, SuperResolutionSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.tasks import make_task
from flexbench.tasks.statistics import compute_statistics

SCALES = Normaliser(2.0, 0.5)
ALL = [SuperResolutionSettings(patch=16), ForecastSettings(patch=16)]


def fields_of(task, batch=2, side=32):
    size = side + 2 * task.margin
    stream = torch.Generator().manual_seed(3)
    return torch.randn(batch, task.window, size, size, generator=stream)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_all_of_itself(kind):
    settings = KINDS[kind]()
    assert settings.kind == kind
    assert all((settings.title, settings.given, settings.base_name))
    assert settings.difficulty > 0
    assert 0 <= settings.target < settings.window
    assert (settings.lead_time is None) == (settings.window == 1)
    problem = settings.problem(periodic=False)
    assert (problem.task, problem.patch, problem.periodic) == (kind, settings.patch, False)
    # A task that somebody can do.
    assert any(kind in registry.facts(name).tasks for name in registry.names())


def test_a_kind_that_nobody_knows_is_named():
    unknown = ForecastSettings().model_copy(update={"kind": "weather"})
    with pytest.raises(FlexbenchError, match="kind: found 'weather', allowed: forecast, superres"):
        make_task(unknown, normaliser=SCALES, interval=0.1)


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.kind)
def test_without_a_residual_the_field_itself_is_generated(settings):
    whole = settings.model_copy(update={"residual": False})
    task, plain = (make_task(it, normaliser=SCALES, interval=0.1) for it in (whole, settings))
    fields, reynolds = fields_of(task), torch.tensor([500.0, 1000.0])
    own, other = (it.prepare(fields, reynolds) for it in (task, plain))
    torch.testing.assert_close(own.residual, own.truth / 0.5, rtol=0, atol=0)
    # All that a network or a formula is told is the same.
    for name in ("condition", "re", "base", "truth", "inputs"):
        assert torch.equal(getattr(own, name), getattr(other, name)), name
    assert torch.equal(task.reconstruct(own.residual, own.base), own.truth)
    ensemble = torch.stack([own.residual, -own.residual], dim=1)
    drawn = task.reconstruct(ensemble, own.base)
    assert torch.equal(drawn[:, 1], -own.truth)


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.kind)
def test_its_scale_is_measured_by_the_same_rule(settings, tmp_path):
    path = tmp_path / "re1000_seed0.h5"
    write_dummy(path, grid=32, times=[0.1 * k for k in range(1, 9)], reynolds=1000.0, seed=0)
    whole = settings.model_copy(update={"residual": False})
    own, other = (compute_statistics(it, [path]) for it in (whole, settings))
    assert own["residual_std"] == own["field_std"] == other["field_std"]
    assert own["residual_to_field"] == 1.0
    assert other["residual_std"] < other["field_std"]
