"""Drawing a split's ensembles: identities, tiles, formulas, and a kill at any moment."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from flexbench.config import (
    DiffusionSettings,
    ForecastSettings,
    SampleSettings,
    SuperResolutionSettings,
)
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import full_windows
from flexbench.data.samples import Samples, Snapshot
from flexbench.data.store import Trajectory
from flexbench.diffusion import CosineSchedule, Draw, sample
from flexbench.errors import FlexbenchError
from flexbench.inference.ensemble import describe, draw_samples
from flexbench.inference.predictors import FormulaPredictor, NetworkPredictor, cut_members
from flexbench.inference.rollout import Targets, plan_rollouts, scored_indices
from flexbench.inference.segments import tensors_digest
from flexbench.inference.timing import Stopwatch
from flexbench.methods import make_method
from flexbench.models.flex import build
from flexbench.seeding import generator
from flexbench.spec import ProblemSpec
from flexbench.tasks import Example, make_task, untile

GRID, PATCH = 32, 16
NORMALISER = Normaliser(field_std=5.0, residual_std=1.5)


class Local(nn.Module):
    """A network without a neighbourhood: tiles, batches and members cannot matter to it."""

    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(channels, 1, 1)
        self.gain = nn.Parameter(torch.tensor(0.3))

    def encode(self, condition, re):
        return [self.mix(condition) + re[:, :, None, None]]

    def denoise(self, noisy, t, re, encoded):
        return torch.tanh(self.gain * noisy + encoded[0]) * (1 - t.view(-1, 1, 1, 1) / 2)

    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    paths = []
    for reynolds, seed in ((500.0, 1), (2000.0, 2)):
        path = folder / f"re{reynolds:g}_seed{seed}.h5"
        times = 0.5 + 0.1 * np.arange(9)
        write_dummy(path, grid=GRID, times=times, reynolds=reynolds, seed=seed)
        paths.append(path)
    return paths


def forecast():
    return make_task(ForecastSettings(patch=PATCH), normaliser=NORMALISER, interval=0.1)


def superres(**options):
    settings = SuperResolutionSettings(patch=PATCH, **options)
    return make_task(settings, normaliser=NORMALISER, interval=0.1)


def local_method(task, mode="denoiser"):
    torch.manual_seed(4)
    return make_method(
        Local(task.spec.condition_channels),
        problem=task.spec,
        settings=DiffusionSettings(),
        mode=mode,
    )


def predictor(task, mode="denoiser", method=None, seed=0, **settings):
    settings = {"members": 3, "steps": 2, "batch": 5} | settings
    return NetworkPredictor(
        method or local_method(task, mode),
        settings=SampleSettings(**settings),
        seed=seed,
        device="cpu",
    )


def draw(chosen, task, files, folder, *, snapshots=2, identity="test", stopwatch=None, **size):
    targets = Targets(trajectories=files, snapshots=snapshots)
    draw_samples(
        chosen,
        task=task,
        targets=targets,
        labels=describe(chosen, targets, case="case", method="method", training_seed=0, **size),
        path=folder / "samples" / "seed0.h5",
        state_dir=folder / "state" / "seed0",
        identity=identity,
        stopwatch=stopwatch,
    )
    return Samples(folder / "samples" / "seed0.h5")


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_prediction_is_the_domain_drawn_at_once(files, tmp_path, sampler):
    """For a pointwise network, tiling with one noise field is the same as no tiling at all."""
    task = forecast()
    chosen = predictor(task, sampler=sampler, steps=3)
    samples = draw(chosen, task, files, tmp_path)
    assert samples.shape == (4, 3, 1, GRID, GRID)
    network = chosen.method.network
    for row, snapshot in enumerate(samples.snapshots):
        trajectory = Trajectory(files[row // 2])
        past = [trajectory.snapshot(snapshot.index - lag) for lag in (2, 1)]
        condition = torch.from_numpy(np.stack(past))[None] / 5.0
        re = torch.tensor([[snapshot.reynolds / 40_000]])
        for member in range(3):
            name = (snapshot.trajectory, snapshot.index, member)

            def noise(kind, *step, name=name):
                stream = generator(0, kind, *name, *step)
                return torch.randn(1, 1, GRID, GRID, generator=stream)

            with torch.no_grad():
                residual = sample(
                    lambda x, t, re=re, c=condition: network(x, t, re, c),
                    noise("initial noise"),
                    schedule=CosineSchedule(1.0),
                    draw=Draw(
                        sampler=sampler,
                        steps=3,
                        noise=lambda step, noise=noise: noise("step noise", step),
                    ),
                )
            wanted = past[1] + 1.5 * residual[0].numpy()
            np.testing.assert_allclose(samples.member(row, member), wanted, rtol=0, atol=2e-5)


def test_snapshots_and_labels(files, tmp_path):
    task = forecast()
    with draw(predictor(task), task, files, tmp_path, parameters=7, flops=9.0) as samples:
        names = [(s.trajectory, s.reynolds, s.seed, s.index) for s in samples.snapshots]
        assert names == [
            ("re500_seed1", 500.0, 1, 3),
            ("re500_seed1", 500.0, 1, 7),
            ("re2000_seed2", 2000.0, 2, 3),
            ("re2000_seed2", 2000.0, 2, 7),
        ]
        assert [s.time for s in samples.snapshots[:2]] == pytest.approx([0.8, 1.2])
        labels = samples.labels
        assert (labels.mode, labels.sampler, labels.steps) == ("denoiser", "ddim", 2)
        assert (labels.calls, labels.parameters, labels.flops) == (2, 7, 9.0)
    assert not (tmp_path / "state" / "seed0").exists()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [4]), (2, [2, 6]), (3, [1, 4, 7]), (4, [1, 3, 5, 7]), (9, list(range(9)))],
)
def test_scored_indices_are_the_middles_of_equal_parts(files, count, expected):
    assert scored_indices(Trajectory(files[0]), count=count, window=1, stride=1) == expected


def test_every_trajectory_is_scored_at_the_same_times(files):
    """Or Reynolds numbers, boundaries and observables would be compared at other ages of a flow."""
    task = make_task(SuperResolutionSettings(patch=32), normaliser=NORMALISER, interval=0.4)
    for order in (files, files[::-1]):
        found = {}
        for rollout in plan_rollouts(task, Targets(trajectories=order, snapshots=2)):
            target = rollout.targets[0]
            found.setdefault(target.trajectory, []).append(target.time)
        assert len(found) == len(files) > 1
        assert len({tuple(times) for times in found.values()}) == 1


def test_scored_indices_leave_room_for_the_window(files):
    trajectory = Trajectory(files[0])
    assert scored_indices(trajectory, count=3, window=3, stride=3) == [6, 7, 8]
    with pytest.raises(FlexbenchError, match=r"sample.snapshots is 4, but only 3 of 9"):
        scored_indices(trajectory, count=4, window=3, stride=3)
    with pytest.raises(FlexbenchError, match=r"only 0 of 9"):
        scored_indices(trajectory, count=1, window=3, stride=5)


def test_cut_members_is_undone_by_untile_and_matches_tile(files):
    fields = torch.arange(3 * 1 * 32 * 32.0).view(3, 1, 32, 32)
    tiles = cut_members(fields, 8)
    assert tiles.shape == (16, 3, 1, 8, 8)
    assert torch.equal(untile(tiles, rows=4, columns=4)[0], fields)
    task = forecast()
    example = whole_example(task, files[0])
    assert torch.equal(cut_members(example.base, 8)[:, 0], example.tile(8).base)


def test_batch_changes_nothing_and_members_nest(files, tmp_path):
    task = superres()
    first = draw(predictor(task), task, files, tmp_path / "a")
    other = draw(predictor(task, batch=64), task, files, tmp_path / "b")
    more = draw(predictor(task, members=5), task, files, tmp_path / "c")
    fewer = draw(predictor(task), task, files[:1], tmp_path / "d", snapshots=2)
    for row in range(4):
        np.testing.assert_allclose(first.ensemble(row), other.ensemble(row), rtol=0, atol=1e-5)
        np.testing.assert_allclose(first.ensemble(row), more.ensemble(row)[:3], rtol=0, atol=1e-5)
    assert np.array_equal(first.ensemble(1), fewer.ensemble(1))


def test_noise_differs_between_members_snapshots_and_seeds(files, tmp_path):
    task = superres()
    drawn = draw(predictor(task), task, files, tmp_path / "a")
    seeded = draw(predictor(task, seed=1), task, files, tmp_path / "b")
    spread = drawn.ensemble(0).std(axis=0).mean()
    assert spread > 0.1
    assert np.abs(drawn.ensemble(0) - seeded.ensemble(0)).mean() > spread / 2


SNAPSHOT = Snapshot(trajectory="re500_seed1", reynolds=500.0, seed=1, index=4, time=0.9)


def whole_example(task, file, index=4):
    windows = full_windows(
        Trajectory(file), index, window=task.window, stride=task.stride, halo=task.halo
    )
    return task.example(windows)


def joined(examples):
    columns = zip(*(vars(example).values() for example in examples), strict=True)
    return Example(*(torch.cat(column) for column in columns))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_members_with_conditions_of_their_own(files, sampler):
    """Member m of an ensemble over conditions is member m of the ensemble over its condition."""
    task = forecast()
    chosen = predictor(task, sampler=sampler, batch=4)
    examples = [whole_example(task, files[0], index) for index in (3, 5, 8)]
    own = chosen.predict(joined(examples), task, SNAPSHOT)
    assert own.shape == (3, 1, GRID, GRID)
    for member, example in enumerate(examples):
        shared = chosen.predict(example, task, SNAPSHOT)
        torch.testing.assert_close(own[member], shared[member], rtol=0, atol=2e-5)
        assert (own[member] - shared[member - 1]).abs().max() > 0.1
    with pytest.raises(FlexbenchError, match="2 conditions, allowed: 1 for all members, or 3"):
        chosen.predict(joined(examples[:2]), task, SNAPSHOT)


def test_leads_have_noise_of_their_own(files):
    task = forecast()
    example = whole_example(task, files[0])
    chosen = predictor(task, sampler="ddpm")
    first, second = (chosen.predict(example, task, replace(SNAPSHOT, lead=lead)) for lead in (1, 2))
    assert (first - second).abs().mean() > first.std(dim=0).mean() / 2


def test_regressor_has_one_member(files, tmp_path):
    task = superres()
    samples = draw(predictor(task, "regressor"), task, files, tmp_path)
    assert samples.shape == (4, 1, 1, GRID, GRID)
    assert (samples.labels.mode, samples.labels.sampler) == ("regressor", "none")
    assert (samples.labels.steps, samples.labels.calls) == (0, 1)


def test_formula_sees_the_whole_domain(files, tmp_path):
    task = forecast()
    shapes = []

    def drift(example, task, *, cells):
        shapes.append(tuple(example.inputs.shape))
        return torch.roll(example.inputs[:, -1:], cells, dims=-1)

    samples = draw(FormulaPredictor(drift, {"cells": 2}), task, files, tmp_path)
    assert shapes == [(1, 2, GRID, GRID)] * 4
    assert samples.shape == (4, 1, 1, GRID, GRID)
    assert (samples.labels.mode, samples.labels.calls) == ("formula", 0)
    last = Trajectory(files[1]).snapshot(samples.snapshots[2].index - 1)
    assert np.array_equal(samples.member(2, 0)[0], np.roll(last, 2, axis=-1))


@pytest.mark.parametrize(
    "task",
    [forecast(), superres(), superres(degradation="spectral", upsampling="spectral")],
    ids=["forecast", "superres", "spectral"],
)
def test_flex_draws_finite_and_the_same_twice(files, tmp_path, task):
    torch.manual_seed(0)
    network = build(task.spec, size="XXS")
    for parameter in network.parameters():  # nothing is zero, so everything matters
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    method = make_method(network, problem=task.spec, settings=DiffusionSettings(), mode="denoiser")
    paths = []
    for name in ("a", "b"):
        samples = draw(predictor(task, method=method), task, files, tmp_path / name)
        assert np.isfinite(samples.ensemble(3)).all()
        paths.append(samples.path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_inference_ensemble as own

task = own.forecast()
chosen = own.predictor(task)
if sys.argv[4] == "slow":
    import time
    quick = chosen.predict
    def predict(*given):
        time.sleep(0.3)
        return quick(*given)
    chosen.predict = predict
files = sorted(Path(sys.argv[2]).glob("*.h5"), reverse=True)
own.draw(chosen, task, files, Path(sys.argv[3]), snapshots=3)
"""


def test_kill_and_resume_gives_the_same_bytes(files, tmp_path):
    def start(folder, pace):
        arguments = [str(Path(__file__).parent), str(files[0].parent), str(folder), pace]
        return subprocess.Popen([sys.executable, "-c", textwrap.dedent(RUN), *arguments])

    killed = tmp_path / "killed"
    process = start(killed, "slow")
    deadline = time.monotonic() + 60
    segments = []
    while len(segments) < 2 and time.monotonic() < deadline and process.poll() is None:
        segments = list(killed.glob("state/seed0/snapshot_*.npy"))
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 2 <= len(segments) < 6
    assert not (killed / "samples" / "seed0.h5").exists()
    kept = {path: path.stat().st_mtime_ns for path in segments}

    task, untouched = forecast(), set()

    class Watched(NetworkPredictor):
        def predict(self, *given):
            untouched.update(p for p, stamp in kept.items() if p.stat().st_mtime_ns == stamp)
            return super().predict(*given)

    chosen = predictor(task)
    chosen.__class__ = Watched
    ordered = sorted(files, reverse=True)
    resumed = draw(chosen, task, ordered, killed, snapshots=3)
    assert untouched == set(kept)
    whole = draw(predictor(task), task, ordered, tmp_path / "whole", snapshots=3)
    assert resumed.path.read_bytes() == whole.path.read_bytes()


def interrupted(task, files, folder, *, settings=None, **options):
    """A run that stops at its third snapshot; returns the snapshots that it drew."""
    drawn = []

    class Stopping(NetworkPredictor):
        def predict(self, example, task, snapshot):
            if len(drawn) == 2:
                raise KeyboardInterrupt
            drawn.append(snapshot)
            return super().predict(example, task, snapshot)

    chosen = predictor(task, **(settings or {}))
    chosen.__class__ = Stopping
    with pytest.raises(KeyboardInterrupt):
        draw(chosen, task, files, folder, **options)
    return drawn


def test_only_what_is_drawn_is_timed(files, tmp_path):
    """The bytes are the same with a stopwatch; a resumed run times the rest."""
    task = forecast()
    plain = draw(predictor(task), task, files, tmp_path / "plain")
    watch = Stopwatch(torch.device("cpu"), members=3)
    timed = draw(predictor(task), task, files, tmp_path / "timed", stopwatch=watch)
    assert timed.path.read_bytes() == plain.path.read_bytes()
    assert watch.facts()["snapshots"] == len(plain) == 4
    interrupted(task, files, tmp_path / "resumed")
    rest = Stopwatch(torch.device("cpu"), members=3)
    draw(predictor(task), task, files, tmp_path / "resumed", stopwatch=rest)
    assert rest.facts()["snapshots"] == 2


def test_blended_snapshots_resume_to_the_same_bytes(files, tmp_path):
    """On a grid that the patch does not divide."""
    odd = make_task(ForecastSettings(patch=12), normaliser=NORMALISER, interval=0.1)
    blended = {"overlap": 5, "sampler": "ddpm"}
    assert len(interrupted(odd, files, tmp_path, settings=blended)) == 2
    watch = Stopwatch(torch.device("cpu"), members=3)
    found = draw(predictor(odd, **blended), odd, files, tmp_path, stopwatch=watch)
    fresh = draw(predictor(odd, **blended), odd, files, tmp_path / "fresh")
    assert watch.facts()["snapshots"] == 2
    assert found.path.read_bytes() == fresh.path.read_bytes()
    assert (found.labels.patch, found.labels.overlap) == (12, 5)
    other = draw(predictor(odd, overlap=6, sampler="ddpm"), odd, files, tmp_path / "other")
    np.testing.assert_allclose(other.ensemble(0), found.ensemble(0), rtol=0, atol=2e-5)


@pytest.mark.parametrize("change", ["identity", "weights", "steps", "seed"])
def test_segments_of_another_run_are_thrown_away(files, tmp_path, change):
    task = forecast()
    assert len(interrupted(task, files, tmp_path)) == 2
    assert not (tmp_path / "samples").exists()
    method = local_method(task)
    options = {"seed": 1} if change == "seed" else {"steps": 3} if change == "steps" else {}
    if change == "weights":
        with torch.no_grad():
            method.network.gain += 0.1
    identity = "other" if change == "identity" else "test"
    chosen = predictor(task, method=method, **options)
    found = draw(chosen, task, files, tmp_path, identity=identity)
    fresh = draw(chosen, task, files, tmp_path / "fresh", identity=identity)
    assert found.path.read_bytes() == fresh.path.read_bytes()


def test_a_changed_example_is_drawn_again(files, tmp_path):
    """Here the residual's scale, which neither the condition nor the base shows."""
    interrupted(forecast(), files, tmp_path)
    scaled = Normaliser(field_std=5.0, residual_std=3.0)
    task = make_task(ForecastSettings(patch=PATCH), normaliser=scaled, interval=0.1)
    found = draw(predictor(task), task, files, tmp_path)
    fresh = draw(predictor(task), task, files, tmp_path / "fresh")
    assert found.path.read_bytes() == fresh.path.read_bytes()


def test_not_finite_is_kept_with_a_warning(files, tmp_path):
    task = forecast()
    method = local_method(task)
    with torch.no_grad():
        method.network.gain.fill_(float("nan"))
    with pytest.warns(UserWarning, match="re500_seed1, snapshot 5: 3072 of 3072"):
        samples = draw(predictor(task, method=method), task, files[:1], tmp_path, snapshots=1)
    assert np.isnan(samples.ensemble(0)).all()


def test_digest_sees_values_shapes_and_names():
    one = {"a": torch.arange(6.0), "b": torch.tensor(2)}
    digest = tensors_digest(one)
    assert tensors_digest({"b": torch.tensor(2), "a": torch.arange(6.0)}) == digest
    for other in (
        one | {"a": torch.arange(6.0) + 1e-6},
        one | {"a": torch.arange(6.0).view(2, 3)},
        one | {"a": torch.arange(6.0).view(torch.int32)},
        {"a": one["a"], "c": one["b"]},
    ):
        assert tensors_digest(other) != digest


def test_bad_input_is_told(files, tmp_path):
    task = forecast()
    wide = ProblemSpec(task="forecast", condition_channels=2, patch=24)
    method = make_method(Local(2), problem=wide, settings=DiffusionSettings(), mode="denoiser")
    with pytest.raises(FlexbenchError, match=r"grid is 32, allowed: a multiple .* \(24\)"):
        draw(predictor(task, method=method), task, files, tmp_path)
    large = ProblemSpec(task="forecast", condition_channels=2, patch=48)
    method = make_method(Local(2), problem=large, settings=DiffusionSettings(), mode="denoiser")
    with pytest.raises(FlexbenchError, match=r"grid is 32, allowed: the network's patch \(48\)"):
        draw(predictor(task, method=method, overlap=8), task, files, tmp_path)
    with pytest.raises(FlexbenchError, match="no trajectory files"):
        draw(predictor(task), task, [], tmp_path)
    other = tmp_path / "re500_seed8.h5"
    write_dummy(other, grid=16, times=np.arange(1, 9.0), reynolds=500.0, seed=8)
    with pytest.raises(FlexbenchError, match="grid is 16, allowed: 32"):
        draw(predictor(task), task, [files[0], other], tmp_path)
    wrong = FormulaPredictor(lambda example, task: torch.zeros(2, 4))
    with pytest.raises(FlexbenchError, match=r"returned .* of shape \(2, 4\), must be"):
        draw(wrong, task, files, tmp_path, snapshots=3)
    assert not (tmp_path / "samples" / "seed0.h5").exists()
