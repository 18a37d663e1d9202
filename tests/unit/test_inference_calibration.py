"""A sampler's fit to validation: rollouts, files with little room, formulas that know better."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from flexbench.config import DiffusionSettings, ForecastSettings, SampleSettings
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.samples import Samples
from flexbench.data.store import Trajectory
from flexbench.inference.calibration import Validation
from flexbench.inference.ensemble import describe, draw_samples
from flexbench.inference.predictors import NetworkPredictor
from flexbench.inference.rollout import Targets
from flexbench.inference.segments import Segments
from flexbench.methods import make_method
from flexbench.tasks import make_task
from flexbench.tasks.forecast import Forecast

GRID, PATCH, TIMES = 64, 32, 9
SETTINGS = SampleSettings(members=16, steps=2, sampler="calibrated", batch=64)


class Persistent(nn.Module):
    """Says that hardly anything happens, and lets its members' pasts decay."""

    def encode(self, condition, re):
        return [condition[:, -1:]]

    def denoise(self, noisy, t, re, encoded):
        return -0.2 * encoded[0] + 0.05 * torch.tanh(noisy)

    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    paths = [folder / f"re{reynolds}_seed{seed}.h5" for reynolds, seed in ((500, 1), (900, 2))]
    for path, reynolds, seed in zip(paths, (500.0, 900.0), (1, 2), strict=True):
        times = 0.5 + 0.1 * np.arange(TIMES)
        write_dummy(path, grid=GRID, times=times, reynolds=reynolds, seed=seed)
    return paths


def task_of():
    scales = Normaliser(field_std=5.0, residual_std=1.5)
    return make_task(ForecastSettings(patch=PATCH), normaliser=scales, interval=0.1)


def method_of(task):
    return make_method(
        Persistent(), problem=task.spec, settings=DiffusionSettings(), mode="denoiser"
    )


def fitted(files, folder, *, leads, count=3, settings=SETTINGS):
    task = task_of()
    validation = Validation(
        method_of(task),
        task,
        settings=settings,
        trajectories=[Trajectory(path) for path in files],
        count=count,
        leads=leads,
        seed=0,
        segments=Segments(folder, identity={}),
        device="cpu",
    )
    return validation, validation.fit("test", "0" * 64)


def spread_over_skill(files, folder, fit, *, leads):
    """At each lead, of an ensemble on the same files as the fit's."""
    task = task_of()
    predictor = NetworkPredictor(
        method_of(task), settings=SETTINGS, seed=7, device="cpu", calibration=fit
    )
    targets = Targets(trajectories=files, snapshots=3, leads=leads)
    labels = describe(predictor, targets, case="case", method="method", training_seed=0)
    draw_samples(
        predictor,
        task=task,
        targets=targets,
        labels=labels,
        path=folder / "samples.h5",
        state_dir=folder / "state",
        identity="",
    )
    ratios = {}
    with Samples(folder / "samples.h5") as samples:
        for lead in range(1, leads + 1):
            spread = skill = 0.0
            for place, snapshot in enumerate(samples.snapshots):
                if snapshot.lead != lead:
                    continue
                (path,) = (path for path in files if path.stem == snapshot.trajectory)
                truth = Trajectory(path).snapshot(snapshot.index)
                members = samples.ensemble(place)[:, 0].astype(float)
                spread += members.var(axis=0, ddof=1).mean() * (1 + 1 / len(members))
                skill += ((members.mean(axis=0) - truth) ** 2).mean()
            ratios[lead] = (spread / skill) ** 0.5
    return ratios


def test_a_rollout_is_fitted_at_its_second_lead_too(files, tmp_path):
    """Its last step alone: what comes before is as at the first lead, which is fitted as ever."""
    _, first = fitted(files, tmp_path / "first", leads=1)
    _, both = fitted(files, tmp_path / "both", leads=2)
    assert first.later == ()
    (later,) = both.later
    assert [model.as_json() for model in first.models] == [it.as_json() for it in both.models]
    assert later.t == both.models[1].t
    assert later.as_json() != both.models[1].as_json()
    with_it = spread_over_skill(files, tmp_path / "with", both, leads=2)
    without = spread_over_skill(files, tmp_path / "without", replace(both, later=()), leads=2)
    assert with_it[1] == without[1] == pytest.approx(1, abs=0.1)
    assert with_it[2] == pytest.approx(1, abs=0.1)
    assert abs(without[2] - 1) > 0.15


def test_files_with_little_room_are_fitted_as_far_as_they_go(files, tmp_path):
    validation, fit = fitted(files, tmp_path / "all", leads=30, count=5)
    assert validation.leads == TIMES - 2
    assert len(validation.rollouts) == 2
    assert len(fit.later) == TIMES - 3


def test_what_a_formula_tells_is_held_if_validation_finds_it_better(files, tmp_path, monkeypatch):
    part = Forecast.known_part

    def told(off):
        """The truth's long waves, but for something."""

        def known_part(self, example, *, patch):
            return replace(part(self, example, patch=patch), field=example.truth + off)

        return known_part

    monkeypatch.setattr(Forecast, "known_part", told(0.01))
    assert fitted(files, tmp_path / "good", leads=1)[1].holds
    monkeypatch.setattr(Forecast, "known_part", told(1e3))
    assert not fitted(files, tmp_path / "bad", leads=1)[1].holds
    free = SETTINGS.model_copy(update={"consistent": False})
    monkeypatch.setattr(Forecast, "known_part", told(0.01))
    assert not fitted(files, tmp_path / "free", leads=1, settings=free)[1].holds
