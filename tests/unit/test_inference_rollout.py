"""Rollouts: every member's own state, starts that fit, kills between leads, and memory."""

import gc
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from flexbench import registry
from flexbench.config import (
    DiffusionSettings,
    ForecastSettings,
    SampleSettings,
    SuperResolutionSettings,
)
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Samples
from flexbench.data.store import Trajectory, write_trajectory
from flexbench.diffusion import CosineSchedule, Draw, sample
from flexbench.errors import FlexbenchError
from flexbench.inference.ensemble import (
    FormulaPredictor,
    NetworkPredictor,
    describe,
    draw_samples,
)
from flexbench.inference.rollout import Targets, scored_indices
from flexbench.methods import make_method
from flexbench.seeding import generator
from flexbench.tasks import make_task

GRID, TIMES, LEADS, MEMBERS = 32, 16, 5, 3
NORMALISER = Normaliser(field_std=5.0, residual_std=1.5)


class Blurred(nn.Module):
    """A small network with a neighbourhood, whose output depends on all that it is told."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")

    def encode(self, condition, re):
        return [self.mix(condition) + re[:, :, None, None]]

    def denoise(self, noisy, t, re, encoded):
        return torch.tanh(0.3 * noisy + encoded[0]) * (1 - t.view(-1, 1, 1, 1) / 2)

    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    paths = []
    for reynolds, seed in ((500.0, 1), (2000.0, 2)):
        paths.append(folder / f"re{reynolds:g}_seed{seed}.h5")
        times = 0.5 + 0.1 * np.arange(TIMES)
        write_dummy(paths[-1], grid=GRID, times=times, reynolds=reynolds, seed=seed)
    return paths


def forecast(lead=0.1, grid=GRID):
    settings = ForecastSettings(patch=grid, lead=lead)
    return make_task(settings, normaliser=NORMALISER, interval=0.1)


def network_predictor(mode="denoiser", grid=GRID):
    torch.manual_seed(4)
    problem = forecast(grid=grid).spec
    method = make_method(Blurred(), problem=problem, settings=DiffusionSettings(), mode=mode)
    settings = SampleSettings(members=MEMBERS, steps=2, batch=2)
    return NetworkPredictor(method, settings=settings, seed=0, device="cpu")


def formula(name):
    return FormulaPredictor(registry.load(name, []).predict)


def draw(predictor, files, folder, *, task=None, **options):
    targets = Targets(trajectories=files, **({"snapshots": 2, "leads": LEADS} | options))
    name = {"case": "forecast.rollout", "method": "method", "training_seed": 0}
    draw_samples(
        predictor,
        task=task or forecast(),
        targets=targets,
        labels=describe(predictor, targets, **name),
        path=folder / "seed0.h5",
        state_dir=folder / "state",
        identity="test",
    )
    return Samples(folder / "seed0.h5")


def alone(predictor, past, snapshot, member):
    """One member (H, W) from one past (2, H, W) by the network and the sampler alone."""
    network = predictor.method.network
    condition = torch.from_numpy(past)[None] / NORMALISER.field_std
    re = torch.tensor([[snapshot.reynolds / 40_000]])
    ahead = ("lead", snapshot.lead) if snapshot.lead > 1 else ()
    name = (0, "initial noise", snapshot.trajectory, snapshot.index, member, *ahead)
    with torch.no_grad():
        encoded = network.encode(condition, re)
        residual = sample(
            lambda x, t: network.denoise(x, t, re, encoded),
            torch.randn(1, 1, GRID, GRID, generator=generator(*name)),
            schedule=CosineSchedule(1.0),
            draw=Draw(sampler="ddim", steps=2),
        )
    return past[-1] + NORMALISER.residual_std * residual[0, 0].numpy()


def check_states(samples, predictor, files, state_of):
    """Every lead of every member is what one member alone makes of its state.

    state_of: an ensemble (M, H, W) and a member -> what that member knows of that lead.
    """
    for start in range(0, len(samples), LEADS):
        first = samples.snapshots[start]
        path = next(path for path in files if path.stem == first.trajectory)
        known = [Trajectory(path).snapshot(first.index - lag) for lag in (2, 1)]
        states = [known] * MEMBERS
        for row in range(start, start + LEADS):
            drawn = samples.ensemble(row)[:, 0]
            for member, state in enumerate(states):
                wanted = alone(predictor, np.stack(state), samples.snapshots[row], member)
                np.testing.assert_allclose(drawn[member], wanted, rtol=0, atol=2e-5)
            states = [[state[1], state_of(drawn, m)] for m, state in enumerate(states)]


def own(ensemble, member):
    return ensemble[member]


def mean(ensemble, member):
    return ensemble.mean(axis=0)


@pytest.mark.parametrize(
    ("feedback", "state_of", "holds"),
    [("member", own, True), ("mean", own, False), ("mean", mean, True), ("member", mean, False)],
)
def test_each_member_goes_on_from_its_own_state(files, tmp_path, feedback, state_of, holds):
    predictor = network_predictor()
    samples = draw(predictor, files, tmp_path, feedback=feedback)
    assert samples.labels.feedback == feedback
    if holds:
        check_states(samples, predictor, files, state_of)
    else:
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check_states(samples, predictor, files, state_of)


def test_first_lead_is_the_forecast_without_a_rollout(files, tmp_path):
    rolled = draw(network_predictor(), files, tmp_path / "rolled", leads=1)
    assert {s.lead for s in rolled.snapshots} == {1}
    assert rolled.labels.feedback == "none"
    (tmp_path / "single").mkdir()
    long = draw(network_predictor(), files, tmp_path / "long", snapshots=TIMES - 2 - LEADS + 1)
    single = {(s.trajectory, s.index): i for i, s in enumerate(rolled.snapshots)}
    shared = 0
    for row, snapshot in enumerate(long.snapshots):
        place = single.get((snapshot.trajectory, snapshot.index))
        if snapshot.lead == 1 and place is not None:
            np.testing.assert_array_equal(long.ensemble(row), rolled.ensemble(place))
            shared += 1
    assert shared >= 2


@pytest.mark.parametrize("observable", ["w", "v"])
def test_persistence_stays_at_the_start(files, tmp_path, observable):
    samples = draw(formula("persistence"), files, tmp_path, observable=observable)
    for row, snapshot in enumerate(samples.snapshots):
        path = next(path for path in files if path.stem == snapshot.trajectory)
        start = open_trajectory(path, observable).snapshot(snapshot.index - snapshot.lead)
        np.testing.assert_array_equal(samples.member(row, 0)[0], start)


def test_extrapolation_goes_straight_on(files, tmp_path):
    samples = draw(formula("extrapolation"), files, tmp_path, task=forecast(lead=0.2), leads=3)
    for row, snapshot in enumerate(samples.snapshots):
        path = next(path for path in files if path.stem == snapshot.trajectory)
        start = snapshot.index - 2 * snapshot.lead
        last, before = (Trajectory(path).snapshot(i) for i in (start, start - 2))
        line = last + snapshot.lead * (last - before)
        np.testing.assert_allclose(samples.member(row, 0)[0], line, rtol=1e-4, atol=1e-4)


def test_fields_that_are_not_periodic_roll_out_too(tmp_path):
    path = tmp_path / "own_test.h5"
    write_trajectory(
        path,
        np.random.default_rng(0).standard_normal((TIMES, GRID, GRID)).astype(np.float32),
        time=0.1 * np.arange(TIMES),
        grid=GRID,
        reynolds=500.0,
        seed=0,
        attributes={"periodic": 0},
    )
    task = make_task(
        ForecastSettings(patch=GRID), normaliser=NORMALISER, interval=0.1, periodic=False
    )
    samples = draw(network_predictor(), [path], tmp_path, task=task, snapshots=1)
    assert [s.lead for s in samples.snapshots] == list(range(1, LEADS + 1))
    check_states(samples, network_predictor(), [path], own)


def test_regressor_rolls_out_with_one_member(files, tmp_path):
    samples = draw(network_predictor("regressor"), files, tmp_path)
    assert samples.shape == (2 * 2 * LEADS, 1, 1, GRID, GRID)
    assert not np.allclose(samples.ensemble(0), samples.ensemble(1))


def test_rows_say_lead_and_target(files, tmp_path):
    samples = draw(formula("persistence"), files, tmp_path, task=forecast(lead=0.2))
    assert [s.lead for s in samples.snapshots] == list(range(1, LEADS + 1)) * 4
    for first, second in zip(samples.snapshots, samples.snapshots[1:], strict=False):
        if second.lead > 1:
            assert second.index == first.index + 2
            assert second.time == pytest.approx(first.time + 0.2)


@pytest.mark.parametrize(("stride", "leads", "count"), [(1, 5, 4), (2, 3, 7), (1, 14, 1)])
def test_all_leads_lie_in_the_file(files, stride, leads, count):
    firsts = scored_indices(Trajectory(files[0]), count=count, window=3, stride=stride, leads=leads)
    assert len(set(firsts)) == count
    assert min(firsts) >= 2 * stride
    assert max(firsts) + (leads - 1) * stride < TIMES


def test_refusals(files, tmp_path):
    with pytest.raises(FlexbenchError, match="only 0 rollouts of 15 leads fit: one takes 17 snap"):
        draw(formula("persistence"), files, tmp_path, leads=15)
    with pytest.raises(FlexbenchError, match="feedback: found 'median', allowed: member, mean"):
        draw(formula("persistence"), files, tmp_path, feedback="median")
    superres = make_task(SuperResolutionSettings(patch=GRID), normaliser=NORMALISER, interval=0.1)
    with pytest.raises(FlexbenchError, match="leads: found 5, allowed for superres: 1"):
        draw(formula("interpolation"), files, tmp_path, task=superres)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import test_inference_rollout as here

    class Killed(here.NetworkPredictor):
        def predict(self, example, task, snapshot):
            if snapshot.lead == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().predict(example, task, snapshot)

    predictor = here.network_predictor()
    predictor.__class__ = Killed
    here.draw(predictor, [Path(name) for name in sys.argv[3:]], Path(sys.argv[2]))
"""


def test_killed_between_leads_gives_the_same_bytes(files, tmp_path):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    draw(network_predictor(), files, whole).close()
    script = textwrap.dedent(KILLED)
    folder = str(Path(__file__).parent)
    killed = subprocess.run(
        [sys.executable, "-c", script, folder, str(resumed), *map(str, files)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (resumed / "seed0.h5").exists()
    assert len(list((resumed / "state").glob("snapshot_*.npy"))) == 3
    predictor = network_predictor()
    drawn = []
    predict = predictor.predict
    predictor.predict = lambda example, task, snapshot: (
        drawn.append(snapshot.lead) or predict(example, task, snapshot)
    )
    draw(predictor, files, resumed).close()
    assert drawn == [4, 5, *([1, 2, 3, 4, 5] * 3)]
    assert (resumed / "seed0.h5").read_bytes() == (whole / "seed0.h5").read_bytes()


def test_memory_does_not_grow_with_leads(tmp_path):
    """Live tensors and arrays before the last lead are those before the third."""
    grid, leads = 128, 24
    path = tmp_path / "re500_seed1.h5"
    write_dummy(path, grid=grid, times=0.1 * np.arange(leads + 2), reynolds=500.0, seed=1)
    predictor = network_predictor(grid=grid)
    predict, live = predictor.predict, {}

    def watched(example, task, snapshot):
        tensors = [found for found in gc.get_objects() if type(found) is torch.Tensor]
        held = {found.untyped_storage().data_ptr(): found.nbytes for found in tensors}
        live[snapshot.lead] = sum(held.values()) + tracemalloc.get_traced_memory()[0]
        return predict(example, task, snapshot)

    predictor.predict = watched
    tracemalloc.start()
    try:
        draw(predictor, [path], tmp_path, task=forecast(grid=grid), leads=leads, snapshots=1)
    finally:
        tracemalloc.stop()
    one_lead = MEMBERS * grid * grid * 4
    assert live[leads] - live[3] < one_lead, live
