"""The training loop on a tiny real problem: what is learnt, resumed, refused and written."""

import json
import math
import os
import shutil
import signal

import pytest
import torch
from torch import nn

from flexbench.config import DiffusionSettings, SuperResolutionSettings, TrainSettings
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import Windows
from flexbench.errors import FlexbenchError
from flexbench.methods import make_method
from flexbench.models.layout import LAYOUTS, MEASURED_FROM
from flexbench.seeding import generator
from flexbench.tasks import make_task
from flexbench.training import learner as learning
from flexbench.training import load_checkpoint, train
from flexbench.training.batches import Batches
from flexbench.training.distributed import Processes, process_group
from flexbench.training.learner import Learner
from flexbench.training.log import read_log

PATCH = 8
TASK = make_task(
    SuperResolutionSettings(patch=PATCH, factor=2), normaliser=Normaliser(1.0, 1.0), interval=0.1
)
LOG_KEYS = ["step", "loss", "lr", "grad_norm", "seconds", "examples_per_second"]


class Net(nn.Module):
    """A network of the contract: two convolutions, dropout, t and re as a bias.

    It is told everything by position, as a user's file may name its parameters as it likes.
    """

    def __init__(self, dropout=0.0):
        super().__init__()
        self.condition = nn.Conv2d(1, 4, 3, padding=1)
        self.noisy = nn.Conv2d(1, 4, 3, padding=1)
        self.bias = nn.Linear(2, 4)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv2d(4, 1, 3, padding=1)

    def encode(self, condition, re, /):
        return [self.condition(condition)]

    def denoise(self, noisy, t, re, encoded, /):
        bias = self.bias(torch.cat([t[:, None], re], dim=1))[:, :, None, None]
        return self.out(self.dropout(torch.tanh(self.noisy(noisy) + encoded[0] + bias)))

    def forward(self, noisy, t, re, condition, /):
        return self.denoise(noisy, t, re, self.encode(condition, re))


class Waves:
    """Plane waves by number, made on the spot; `hook(first index)` is called before each draw."""

    def __init__(self, hook=None):
        self.hook = hook
        self.drawn = []

    def draw(self, indices):
        if self.hook:
            self.hook(indices[0])
        self.drawn += list(indices)
        fields = [self.wave(generator(0, "patch", index)) for index in indices]
        return Windows(torch.stack(fields), torch.full((len(indices),), 1000.0))

    def wave(self, stream):
        angle, phase = 2 * math.pi * torch.rand(2, generator=stream)
        place = torch.arange(PATCH + 2 * (TASK.halo or 0))
        x, y = place * torch.cos(angle), place[:, None] * torch.sin(angle)
        return 4 * torch.sin(1.5 * (x + y) + phase)[None]


def net(dropout=0.0, kind=Net):
    torch.manual_seed(3)
    return kind(dropout)


def settings(**changes):
    values = {"steps": 12, "batch": 4, "warmup_steps": 2, "learning_rate": 1e-2, "log_every": 4}
    values |= {"validate_every": 6, "validation_batches": 2, "ema": 0.9, "checkpoint_seconds": 1e6}
    return TrainSettings(**(values | changes))


def run(
    folder,
    *,
    network=None,
    sampler=None,
    validation=None,
    seed=0,
    mode="denoiser",
    layouts=("contiguous",),
    step_flops=0.0,
    times="independent",
    **changes,
):
    method = make_method(
        network or net(), problem=TASK.spec, settings=DiffusionSettings(times=times), mode=mode
    )
    return train(
        method,
        sampler or Waves(),
        TASK,
        settings=settings(**changes),
        seed=seed,
        checkpoint_path=folder / "final.safetensors",
        state_dir=folder / "state",
        log_path=folder / "log.jsonl",
        validation=Waves() if validation is None else validation or None,
        layouts=layouts,
        step_flops=step_flops,
        metadata={"network": "net"},
    )


def learner(network, times="independent", **changes):
    chosen = settings(**changes)
    method = make_method(
        network, problem=TASK.spec, settings=DiffusionSettings(times=times), mode="denoiser"
    )
    cpu = torch.device("cpu")
    made = Learner(method, TASK, settings=chosen, seed=0, device=cpu, processes=Processes())
    batches = Batches(Waves(), settings=chosen, processes=Processes(), device=cpu)
    return made, batches


def bytes_of(folder):
    return (folder / "final.safetensors").read_bytes()


class Killed(Exception):
    pass


def kill_at(step, batch=4):
    def hook(first):
        if first >= step * batch:
            raise Killed

    return hook


# -- what comes out


def test_training_learns_and_tells(tmp_path, capsys):
    summary = run(tmp_path, steps=120, log_every=20, validate_every=50)
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["step"] for row in rows] == [20, 40, 50, 60, 80, 100, 120]
    assert all(list(row)[:6] == LOG_KEYS for row in rows)
    assert [row["step"] for row in rows if "validation_loss" in row] == [50, 100, 120]
    assert rows[-1]["loss"] < 0.95 * rows[0]["loss"]
    assert summary.loss == rows[-1]["loss"]
    assert summary.validation["last"] == {"step": 120, "loss": rows[-1]["validation_loss"]}
    assert (summary.steps, summary.resumed_step) == (120, 0)

    state, metadata = load_checkpoint(tmp_path / "final.safetensors")
    assert set(state) == set(net().state_dict())
    assert metadata["network"] == "net"
    assert metadata["training_seed"] == 0
    assert metadata["parameters"] == summary.parameters == 40 + 40 + 12 + 37
    assert metadata["parameters_without_gradient"] == []
    assert metadata["training"]["learning_rate"] == 0.01
    assert "step 120/120" in capsys.readouterr().err


def test_weights_written_are_the_average(tmp_path):
    """Against a loop in plain torch that is written down anew."""
    run(tmp_path, steps=5, warmup_steps=1, clip_norm=0.05, validation=False)
    network = net()
    method = make_method(network, problem=TASK.spec, settings=DiffusionSettings(), mode="denoiser")
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0, foreach=False
    )
    average = None
    for step in range(5):
        rate = 0.01 if step == 0 else 0.005 * (1 + math.cos(math.pi * (step - 1) / 4))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        windows = Waves().draw(range(4 * step, 4 * step + 4))
        streams = [generator(0, "train", step, row) for row in range(4)]
        method.loss(TASK.example(windows), streams).backward()
        norm = torch.sqrt(sum(p.grad.square().sum() for p in network.parameters()))
        for parameter in network.parameters():
            parameter.grad *= min(1.0, 0.05 / float(norm))
        optimizer.step()
        weights = [p.detach().clone() for p in network.parameters()]
        decay = min(0.9, (1 + step) / (10 + step))
        average = (
            weights
            if average is None
            else [decay * a + (1 - decay) * w for a, w in zip(average, weights, strict=True)]
        )
    state, _ = load_checkpoint(tmp_path / "final.safetensors")
    for (name, _), wanted in zip(network.named_parameters(), average, strict=True):
        torch.testing.assert_close(state[name], wanted, rtol=1e-4, atol=1e-6)


def test_regressor_trains_too(tmp_path):
    summary = run(tmp_path, steps=60, log_every=10, mode="regressor")
    rows = read_log(tmp_path / "log.jsonl")
    assert summary.loss < 0.9 * rows[0]["loss"]


def test_steps_see_their_patches_once(tmp_path):
    waves = Waves()
    run(tmp_path, sampler=waves, steps=5)
    assert sorted(set(waves.drawn)) == list(range(20))


def test_same_call_same_bytes_other_seed_other_bytes(tmp_path):
    for name in ("a", "b"):
        run(tmp_path / name, network=net(dropout=0.3))
    run(tmp_path / "c", network=net(dropout=0.3), seed=1)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert load_checkpoint(tmp_path / "a" / "final.safetensors")[0]["out.weight"].tolist() != (
        load_checkpoint(tmp_path / "c" / "final.safetensors")[0]["out.weight"].tolist()
    )


def test_validation_and_logging_do_not_touch_what_is_learnt(tmp_path):
    run(tmp_path / "a", network=net(dropout=0.3), validate_every=1, log_every=1)
    run(tmp_path / "b", network=net(dropout=0.3), validation=False)
    a, b = (load_checkpoint(tmp_path / name / "final.safetensors")[0] for name in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_global_generators_threads_and_handlers_are_given_back(tmp_path):
    network = net(dropout=0.3)
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run(tmp_path, network=network)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


# -- going on


@pytest.mark.parametrize("times", ["independent", "spread"])
@pytest.mark.parametrize("optimizer", ["adamw", "lion", "muon"])
def test_interrupted_training_ends_with_the_same_bytes(tmp_path, optimizer, times):
    options = {"optimizer": optimizer, "times": times, "log_every": 5}
    whole = run(tmp_path / "whole", network=net(dropout=0.3), **options)
    for step in (3, 8):
        with pytest.raises(Killed):
            run(
                tmp_path / "parts",
                network=net(dropout=0.3),
                sampler=Waves(kill_at(step)),
                checkpoint_seconds=1e-9,
                **options,
            )
    parts = run(tmp_path / "parts", network=net(dropout=0.3), checkpoint_seconds=1e-9, **options)
    assert parts.resumed_step > 3
    whole_state, whole_metadata = load_checkpoint(tmp_path / "whole" / "final.safetensors")
    state, metadata = load_checkpoint(tmp_path / "parts" / "final.safetensors")
    assert all(torch.equal(state[name], whole_state[name]) for name in whole_state)
    del metadata["training"]["checkpoint_seconds"], whole_metadata["training"]["checkpoint_seconds"]
    assert metadata == whole_metadata
    rows = [read_log(tmp_path / name / "log.jsonl") for name in ("whole", "parts")]
    for row in (*rows[0], *rows[1]):
        del row["seconds"], row["examples_per_second"]
    assert rows[0] == rows[1]
    assert parts.validation == whole.validation


@pytest.mark.parametrize("order", LAYOUTS)
def test_a_measured_layout_is_kept_over_a_kill(tmp_path, monkeypatch, order):
    """Even where another one would be measured to be faster by now."""
    large = {"layouts": LAYOUTS, "step_flops": 2 * MEASURED_FROM, "checkpoint_seconds": 1e-9}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    monkeypatch.setattr(learning, "fastest", lambda seconds, layouts: order)
    assert run(whole, **large).layout == order
    with pytest.raises(Killed):
        run(cut, sampler=Waves(kill_at(7)), **large)
    other = next(layout for layout in LAYOUTS if layout != order)
    monkeypatch.setattr(learning, "fastest", lambda seconds, layouts: other)
    summary = run(cut, **large)
    assert (summary.layout, summary.resumed_step > 0) == (order, True)
    assert bytes_of(cut) == bytes_of(whole)


def test_measuring_a_layout_changes_nothing_that_is_learnt(tmp_path):
    """A network of the contract, of which both layouts are really timed."""
    measured, told = tmp_path / "measured", tmp_path / "told"
    layout = run(measured, layouts=LAYOUTS, step_flops=2 * MEASURED_FROM).layout
    run(told, layouts=LAYOUTS, layout=layout)
    one, other = (load_checkpoint(place / "final.safetensors")[0] for place in (measured, told))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_finished_training_is_not_done_again(tmp_path):
    run(tmp_path, sampler=Waves())
    before = bytes_of(tmp_path)
    (tmp_path / "final.safetensors").unlink()
    (tmp_path / "log.jsonl").unlink()
    summary = run(tmp_path, sampler=Waves(kill_at(0)))
    assert summary.resumed_step == summary.steps == 12
    assert summary.loss == read_log(tmp_path / "log.jsonl")[-1]["loss"]
    assert bytes_of(tmp_path) == before


def test_other_settings_start_anew(tmp_path, capsys):
    run(tmp_path / "a")
    shutil.copytree(tmp_path / "a" / "state", tmp_path / "b" / "state")
    summary = run(tmp_path / "b", learning_rate=2e-2)
    assert summary.resumed_step == 0
    assert "state of other settings is set aside" in capsys.readouterr().err
    run(tmp_path / "c", learning_rate=2e-2)
    assert bytes_of(tmp_path / "b") == bytes_of(tmp_path / "c")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_saves_and_leaves(tmp_path, capsys, number, code):
    def hook(first):
        if first == 20:
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as left:
        run(tmp_path, sampler=Waves(hook))
    assert left.value.code == code
    told = capsys.readouterr().err
    assert f"{number.name}: stopped after step" in told
    assert not (tmp_path / "final.safetensors").exists()
    assert not (tmp_path / "state" / "lock").exists()
    summary = run(tmp_path)
    assert summary.resumed_step >= 4
    run(tmp_path / "whole")
    assert bytes_of(tmp_path) == bytes_of(tmp_path / "whole")


# -- the same thing, cut otherwise


@pytest.mark.parametrize("times", ["independent", "spread"])
def test_accumulated_gradient_is_the_big_batch_s(times):
    gradients = []
    for accumulate in (1, 4):
        made, batches = learner(net(), times, batch=8, accumulate=accumulate, clip_norm=None)
        with batches:
            made.advance(batches.take(0), stop=False)
        gradients.append([p.grad.clone() for p in made.network.parameters()])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-7)


def test_times_of_a_step_are_spread_over_all_its_micro_batches():
    """Of training: what is validated keeps its times, so that its losses can be compared."""
    made, batches = learner(net(), "spread", batch=8, accumulate=4)
    seen, losses = [], []
    made.network.register_forward_hook(lambda module, given, found: seen.append(given[1]))
    with batches:
        for step in range(3):
            made.advance(batches.take(step), stop=False)
        starts = set()
        for step in range(3):
            times = torch.cat(seen[4 * step : 4 * step + 4])
            torch.testing.assert_close(torch.sort(times).values.diff(), torch.full((7,), 1 / 8))
            starts.add(float(times.min()))
        assert len(starts) == 3
    for times in ("spread", "independent"):
        made, batches = learner(net(), times)
        with batches:
            losses.append(made.validation_loss(batches.take(0)))
    assert losses[0] == losses[1]


def test_clipping_limits_the_gradient_and_reports_it_unclipped():
    norms = {}
    for clip in (None, 1e-2):
        made, batches = learner(net(), clip_norm=clip)
        with batches:
            result = made.advance(batches.take(0), stop=False)
        left = torch.sqrt(sum(p.grad.square().sum() for p in made.network.parameters()))
        norms[clip] = (result.grad_norm, float(left))
    assert norms[None][0] == pytest.approx(norms[None][1])
    assert norms[1e-2] == pytest.approx((norms[None][0], 1e-2), rel=1e-3)


def test_bfloat16_rounds_the_network_not_the_problem(tmp_path):
    """Weights and targets stay float32; the loss agrees to bfloat16's three digits."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        made, batches = learner(net(), precision=precision)
        with batches:
            losses[precision] = made.advance(batches.take(0), stop=False).loss
        assert all(p.dtype == torch.float32 for p in made.network.parameters())
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=1e-2)
    run(tmp_path, precision="bfloat16")


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler")
def test_compiled_network_learns_the_same():
    weights = []
    for compiled in (False, True):
        made, batches = learner(net(), compile=compiled)
        made.assemble()
        with batches:
            for step in range(2):
                made.advance(batches.take(step), stop=False)
        weights.append([p.detach().clone() for p in made.network.parameters()])
        assert set(made.network.state_dict()) == set(net().state_dict())
    for plain, fast in zip(*weights, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-3, atol=1e-4)


# -- what is refused, what is told


def test_loss_that_is_not_finite_stops_and_overwrites_nothing(tmp_path):
    run(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    class Blowing(Waves):
        def draw(self, indices):
            windows = super().draw(indices)
            if indices[0] >= 20:
                windows.fields[0] = float("inf")
            return windows

    with pytest.raises(FlexbenchError, match=r"step 6: loss nan.*train\.learning_rate") as error:
        run(tmp_path, sampler=Blowing(), seed=1)
    assert "\n" not in str(error.value)
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert {p: after.get(p) for p in before} == before
    assert not any(path.suffix == ".pt" for path in after.keys() - before.keys())


def test_validation_that_is_not_finite_stops(tmp_path):
    class Broken(Waves):
        def wave(self, stream):
            return super().wave(stream) * float("inf")

    with pytest.raises(FlexbenchError, match="step 6: validation loss nan is not finite"):
        run(tmp_path, validation=Broken())
    assert not (tmp_path / "final.safetensors").exists()


class WithUnused(Net):
    def __init__(self, dropout):
        super().__init__(dropout)
        self.forgotten = nn.Linear(2, 2)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)


def test_parameters_without_gradient_are_named(tmp_path, capsys):
    names = ["forgotten.weight", "forgotten.bias"]
    summary = run(tmp_path, network=net(kind=WithUnused))
    assert summary.parameters_without_gradient == names
    assert load_checkpoint(tmp_path / "final.safetensors")[1]["parameters_without_gradient"] == (
        names
    )
    told = capsys.readouterr().err
    assert all(f"parameter '{name}' receives no gradient" in told for name in names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 4, "accumulate": 3}, r"train\.batch: found 4, allowed: multiples of .*\(3\)"),
        ({"warmup_steps": 12}, r"train\.warmup_steps: found 12"),
        ({"processes": 2}, r"train\.processes: found 2, but 1 process"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, changes, message):
    with pytest.raises(FlexbenchError, match=message):
        run(tmp_path, **changes)
    assert not (tmp_path / "final.safetensors").exists()


def test_torchrun_with_another_number_of_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(FlexbenchError, match=r"found 1, but 2 process\(es\) were started"),
        process_group(torch.device("cpu"), expected=1),
    ):
        pass
    monkeypatch.setenv("WORLD_SIZE", "two")
    with (
        pytest.raises(FlexbenchError, match="environment WORLD_SIZE: found 'two'"),
        process_group(torch.device("cpu"), expected=1),
    ):
        pass


def test_an_error_of_the_sampler_is_passed_on(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, sampler=Waves(kill_at(3)))
    assert not (tmp_path / "state" / "lock").exists()


def test_log_rows_are_plain_json(tmp_path):
    run(tmp_path)
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        assert all(isinstance(value, int | float) for value in json.loads(line).values())
