"""Several tasks learnt together by one FLEX: the loss of a step, its cuts, resuming, sampling."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flexbench.config import (
    DiffusionSettings,
    ForecastSettings,
    SuperResolutionSettings,
    TrainSettings,
)
from flexbench.data.dummy import write_dummy
from flexbench.data.joint import JointSampler
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import PatchSampler
from flexbench.diffusion import Draw
from flexbench.errors import FlexbenchError
from flexbench.methods import make_method
from flexbench.models import flex
from flexbench.models.joint import OneTask
from flexbench.models.official_checkpoint import import_checkpoint
from flexbench.seeding import generator
from flexbench.sizing.matching import build_network
from flexbench.spec import JointProblem, ProblemSpec
from flexbench.tasks import JointTask, make_task
from flexbench.tasks.base import Example
from flexbench.training import load_checkpoint, train
from flexbench.training.batches import Batches
from flexbench.training.distributed import Processes
from flexbench.training.learner import Learner

DATA = Path(__file__).parents[1] / "data"
PATCH = 16
# Two of one kind among them, and scales that tell them apart.
TASKS = {
    "coarse": (SuperResolutionSettings(patch=PATCH, factor=8), Normaliser(5.0, 2.0)),
    "forecast": (ForecastSettings(patch=PATCH), Normaliser(5.0, 0.5)),
    "fine": (SuperResolutionSettings(patch=PATCH, factor=2), Normaliser(5.0, 1.0)),
}


def settings(**changes):
    values = {"steps": 6, "batch": 6, "warmup_steps": 1, "learning_rate": 1e-3, "ema": 0.9}
    values |= {"log_every": 2, "validate_every": 3, "validation_batches": 1}
    return TrainSettings(**(values | {"checkpoint_seconds": 1e6} | changes))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "flow.h5"
    write_dummy(path, grid=32, times=np.arange(5) * 0.1, reynolds=1000.0, seed=0)
    return path


def joint(*names):
    return JointTask(
        {
            name: make_task(TASKS[name][0], normaliser=TASKS[name][1], interval=0.1)
            for name in names or TASKS
        }
    )


def samplers(path, task, *, stream="train"):
    return {
        name: PatchSampler(
            [path],
            window=own.window,
            stride=own.stride,
            patch=PATCH,
            halo=own.halo,
            seed=0,
            stream=stream,
        )
        for name, own in task.tasks.items()
    }


def build(task, *, dropout=0.0):
    torch.manual_seed(1)
    network = flex.build(task.spec, size="XXS", dropout=dropout)
    with torch.no_grad():  # or the layers that start at zero would hide all others
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def method_of(network, spec, mode="denoiser", times="independent"):
    return make_method(network, problem=spec, settings=DiffusionSettings(times=times), mode=mode)


def learner(path, task, *, mode="denoiser", network=None, times="independent", **changes):
    chosen, cpu = settings(**changes), torch.device("cpu")
    method = method_of(network or build(task), task.spec, mode, times)
    made = Learner(method, task, settings=chosen, seed=0, device=cpu, processes=Processes())
    sampler = JointSampler(samplers(path, task))
    options = {"settings": chosen, "processes": Processes(), "device": cpu}
    return made, Batches(sampler, tasks=made.tasks, **options)


class Killed(Exception):
    pass


class KilledAt(JointSampler):
    """Stops the training as it reads the patches of a step."""

    def __init__(self, own, number):
        super().__init__(own)
        self.number = number

    def draw(self, indices):
        if indices[0] >= self.number:
            raise Killed
        return super().draw(indices)


def run(folder, path, *, killed_at=None, **changes):
    task = joint()
    own = samplers(path, task)
    return train(
        method_of(build(task, dropout=0.2), task.spec),
        KilledAt(own, killed_at) if killed_at is not None else JointSampler(own),
        task,
        settings=settings(**changes),
        seed=0,
        checkpoint_path=folder / "final.safetensors",
        state_dir=folder / "state",
        log_path=folder / "log.jsonl",
        validation=JointSampler(samplers(path, task, stream="validation")),
        metadata={"network": "flex"},
    )


# --- the loss -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["denoiser", "regressor"])
def test_the_loss_is_the_mean_of_what_each_task_alone_gives(path, mode):
    """Brute force: each task's own patches and noise, through the same network, one by one."""
    task = joint()
    made, batches = learner(path, task, mode=mode)
    network = build(task)
    own, wanted = samplers(path, task), []
    for name, problem in task.spec.tasks:
        alone = method_of(OneTask(network, name), problem, mode)
        example = task.tasks[name].example(own[name].draw(range(2)))
        streams = [generator(0, "train", 0, name, row) for row in range(2)]
        wanted.append(alone.loss(example, streams))
    assert len({round(loss.item(), 3) for loss in wanted}) == len(TASKS)
    mean = sum(wanted) / len(wanted)
    mean.backward()
    with batches:
        found = made.advance(batches.take(0), stop=False)
    assert found.loss == pytest.approx(mean.item(), rel=1e-5)
    norm = torch.sqrt(sum(p.grad.square().sum() for p in network.parameters()))
    assert found.grad_norm == pytest.approx(float(norm), rel=1e-4)


def test_a_step_runs_the_shared_parts_once(path):
    """One concatenated batch through common encoder and decoder; a task encoder sees its rows."""
    task = joint()
    made, batches = learner(path, task, batch=6)
    seen = []
    network = made.network
    parts = {"encoder": network.encoder, "decoder": network.decoder} | dict(network.task_encoders)
    for name, part in parts.items():
        part.register_forward_hook(
            lambda _m, inputs, out, name=name: seen.append((name, len(inputs[1])))
        )
    with batches:
        made.advance(batches.take(0), stop=False)
    assert sorted(seen) == sorted([("encoder", 6), ("decoder", 6), *((n, 2) for n in TASKS)])


def test_every_parameter_receives_a_gradient(path):
    made, batches = learner(path, joint())
    with batches:
        (batch,) = batches.take(0)
        made.find_parameters_without_gradient(batch)
        assert made.without_gradient == []
        made.advance([batch], stop=False)
    still = [name for name, p in made.network.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []


def test_a_narrowed_network_learns_and_draws(path):
    """Groups, heads and embeddings fit a bottleneck of 14 channels, and all of it is in use."""
    task = joint("coarse", "forecast")
    torch.manual_seed(1)
    network, built = build_network("flex", task.spec, size="XXS", narrow=True)
    assert built.width == 14
    made, batches = learner(path, task, network=network, batch=8, steps=3)
    with batches:
        # The first steps wake the layers behind those that start at zero.
        found = [made.advance(batches.take(step), stop=False) for step in range(3)]
    assert all(np.isfinite(step.loss) for step in found)
    still = [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]
    assert still == []
    for name, problem in task.spec.tasks:
        example = task.tasks[name].example(samplers(path, task)[name].draw(range(2)))
        noise = torch.randn(2, 3, *example.base.shape[1:])
        method = method_of(OneTask(network, name), problem)
        drawn = method.sample(example, noise, draw=Draw(sampler="ddim", steps=2, batch=8))
        assert drawn.shape == noise.shape
        assert drawn.std(dim=1).min() > 0


def test_patches_are_those_of_the_tasks_alone(path):
    """As many steps again, and each task has seen what it would have seen alone, in that order."""
    task = joint("coarse", "forecast")
    own = samplers(path, task)
    _, batches = learner(path, task, batch=8, steps=4)
    with batches:
        read = [batches.take(step)[0].windows.parts for step in range(4)]
    for name, sampler in own.items():
        whole = sampler.draw(range(16)).fields
        assert torch.equal(torch.cat([parts[name].fields for parts in read]), whole)


# --- the same thing, cut or stopped ---------------------------------------------------------


def test_times_are_spread_over_the_rows_of_each_task(path):
    made, batches = learner(path, joint(), batch=12, times="spread")
    seen = []
    made.network.register_forward_hook(lambda module, given, found: seen.append(given[1]))
    with batches:
        made.advance(batches.take(0), stop=False)
    (times,) = seen
    starts = set()
    for own in times.chunk(3):
        torch.testing.assert_close(torch.sort(own).values.diff(), torch.full((3,), 1 / 4))
        starts.add(float(own.min()))
    assert len(starts) == 3


@pytest.mark.parametrize("times", ["independent", "spread"])
def test_accumulated_gradient_is_the_big_batch_s(path, times):
    gradients = []
    for accumulate in (1, 2):
        made, batches = learner(
            path, joint(), times=times, batch=12, accumulate=accumulate, clip_norm=None
        )
        with batches:
            found = made.advance(batches.take(0), stop=False)
        gradients.append((found.loss, [p.grad.clone() for p in made.network.parameters()]))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    for whole, parts in zip(gradients[0][1], gradients[1][1], strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_processes_share_the_rows_of_every_task(path):
    """Two ranks' rows together are one's, and each rank has all tasks."""
    task, chosen = joint(), settings(batch=12, processes=2)
    read = []
    for rank in (0, 1):
        batches = Batches(
            JointSampler(samplers(path, task)),
            settings=chosen,
            processes=Processes(rank=rank, count=2),
            device=torch.device("cpu"),
            tasks=3,
        )
        with batches:
            (batch,) = batches.take(0)
        read.append(batch)
    assert [list(batch.rows) for batch in read] == [[0, 1], [2, 3]]
    for name, own in samplers(path, task).items():
        together = torch.cat([batch.windows.parts[name].fields for batch in read])
        assert torch.equal(together, own.draw(range(4)).fields)


def test_interrupted_training_ends_with_the_same_weights(tmp_path, path):
    whole = run(tmp_path / "whole", path)
    for step in (2, 4):
        with pytest.raises(Killed):
            run(tmp_path / "parts", path, killed_at=2 * step, checkpoint_seconds=1e-9)
    parts = run(tmp_path / "parts", path, checkpoint_seconds=1e-9)
    assert parts.resumed_step > 2
    wanted, _ = load_checkpoint(tmp_path / "whole" / "final.safetensors")
    found, _ = load_checkpoint(tmp_path / "parts" / "final.safetensors")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert parts.validation == whole.validation
    assert set(whole.validation) == {"last", "best"}


# --- one of its tasks -----------------------------------------------------------------------


def test_imported_weights_draw_the_authors_ensembles_of_both_tasks():
    """The tiny network of two tasks, trained with code that is not ours, as a joint method."""
    network = import_checkpoint(DATA / "flex_tiny.safetensors", heads=4)
    with np.load(DATA / "flex_tiny_golden.npz") as file:
        golden = {name: torch.from_numpy(file[name]) for name in file.files}
    conditions = {"superres": golden["lowres"], "forecast": golden["past"]}
    for short, task in (("sr", "superres"), ("fc", "forecast")):
        condition = conditions[task]
        problem = ProblemSpec(task=task, condition_channels=condition.shape[1], patch=64)
        method = method_of(OneTask(network, task), problem)
        base = condition[:, -1:]
        example = Example(
            condition=condition,
            re=golden["re"],
            residual=torch.zeros_like(base),
            base=base,
            truth=base,
            inputs=base,
        )
        noise = golden["init_noise"][:, None]
        drawn = method.sample(example, noise, draw=Draw(sampler="ddim", steps=2, batch=8))
        torch.testing.assert_close(
            base + drawn[:, 0], golden[f"{short}_ddim2"], rtol=1e-4, atol=1e-5
        )
    # And in one batch, as a training sees both.
    v = network(
        torch.cat(2 * [golden["noisy"]]),
        torch.cat(2 * [golden["t"]]),
        torch.cat(2 * [golden["re"]]),
        conditions,
    )
    torch.testing.assert_close(v, torch.cat([golden["sr_v"], golden["fc_v"]]), rtol=1e-4, atol=1e-5)


# --- what is refused ------------------------------------------------------------------------


def spec(patch=16, channels=1):
    return ProblemSpec(task="superres", condition_channels=1, patch=patch, field_channels=channels)


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        ({"a": spec()}, "found a; allowed: two different tasks or more"),
        ({"a": spec(), "b": spec(32)}, "patch differs: a 16, b 32; allowed: one for all tasks"),
        ({"a": spec(), "b": spec(channels=2)}, "field_channels differs: a 1, b 2"),
    ],
)
def test_tasks_that_do_not_fit(problems, message):
    with pytest.raises(FlexbenchError, match=message):
        JointProblem.of(problems)


def test_a_batch_without_equal_shares(path):
    with pytest.raises(FlexbenchError, match=r"train\.batch: found 8, .* x 3 tasks \(3\)"):
        learner(path, joint(), batch=8)


def test_a_name_that_torch_needs_itself():
    with pytest.raises(FlexbenchError, match="a task cannot be named 'keys'"):
        flex.build(JointProblem.of({"keys": spec(), "b": spec()}), size="XXS")
