"""Methods: the loss reaches the network's forward, and each condition is encoded once."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from flexbench.config import DiffusionSettings
from flexbench.diffusion import CosineSchedule, Draw, diffusion_loss, sample
from flexbench.errors import FlexbenchError
from flexbench.methods import make_method
from flexbench.models.flex import build
from flexbench.seeding import generator
from flexbench.spec import ProblemSpec

SUPERRES = ProblemSpec(task="superres", condition_channels=1, patch=16)
FORECAST = ProblemSpec(task="forecast", condition_channels=2, patch=16)


class Toy(nn.Module):
    """A small real network that counts its calls and the rows it encodes.

    Its parameters have no names to its callers: a user's file may call them what it likes.
    """

    def __init__(self, problem):
        super().__init__()
        channels = problem.condition_channels
        self.condition_in = nn.Conv2d(channels, 4, 3, padding=1, padding_mode="circular")
        self.noisy_in = nn.Conv2d(problem.field_channels, 4, 3, padding=1)
        self.out = nn.Conv2d(4, problem.field_channels, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.calls = {"forward": 0, "denoise": 0, "encode": 0, "encoded rows": 0, "rows": []}

    def encode(self, condition, re, /):
        self.calls["encode"] += 1
        self.calls["encoded rows"] += len(condition)
        return [torch.tanh(self.condition_in(condition)), re]

    def denoise(self, noisy, t, re, encoded, /):
        self.calls["denoise"] += 1
        self.calls["rows"].append(len(noisy))
        self.calls["t"] = t
        if not len(noisy) == len(t) == len(re) == len(encoded[0]) == len(encoded[1]):
            raise ValueError("rows differ")
        told = (t + re[:, 0] - 2 * encoded[1][:, 0]).view(-1, 1, 1, 1)
        return self.out(self.dropout(torch.sin(self.noisy_in(noisy) + encoded[0] + told)))

    def forward(self, noisy, t, re, condition, /):
        self.calls["forward"] += 1
        return self.denoise(noisy, t, re, self.encode(condition, re))


def make_example(problem, batch=3, seed=0):
    stream = generator(seed, "example")
    side = problem.patch
    field = (batch, problem.field_channels, side, side)
    return SimpleNamespace(
        condition=torch.randn(batch, problem.condition_channels, side, side, generator=stream),
        re=torch.rand(batch, 1, generator=stream),
        residual=torch.randn(field, generator=stream),
    )


def make(problem, mode, network=None, **settings):
    torch.manual_seed(0)
    network = network or Toy(problem)
    return make_method(network, problem=problem, settings=DiffusionSettings(**settings), mode=mode)


def member_noise(problem, patches=3, members=5):
    side = problem.patch
    shape = (patches, members, problem.field_channels, side, side)
    return torch.randn(shape, generator=generator(0, "noise"))


def step_noise(problem, **sizes):
    shape = member_noise(problem, **sizes).shape

    return lambda step: torch.randn(shape, generator=generator(0, "step", step))


@pytest.mark.parametrize("problem", [SUPERRES, FORECAST], ids=lambda p: p.task)
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
@pytest.mark.parametrize("batch", [1, 2, 5, 7, 10, 64])
def test_each_condition_is_encoded_once_whatever_steps_members_batch(problem, sampler, batch):
    method = make(problem, "denoiser")
    draw = Draw(sampler=sampler, steps=4, batch=batch, noise=step_noise(problem))
    method.sample(make_example(problem), member_noise(problem), draw=draw)
    calls = method.network.calls
    assert calls["encoded rows"] == 3
    assert sum(calls["rows"]) == 3 * 5 * method.calls(draw)
    assert max(calls["rows"]) <= batch


def one_by_one(method, example, noise, *, draw):
    """Each member alone, through `forward` and the plain sampler."""
    drawn = torch.empty_like(noise)
    network = method.network.eval()
    for b in range(noise.shape[0]):
        for m in range(noise.shape[1]):
            with torch.no_grad():
                drawn[b, m] = sample(
                    lambda x, t, b=b: network(
                        x, t, example.re[b : b + 1], example.condition[b : b + 1]
                    ),
                    noise[b, m][None],
                    schedule=CosineSchedule(method.settings.shift),
                    draw=replace(draw, noise=lambda step, b=b, m=m: draw.noise(step)[b, m][None]),
                )[0]
    return drawn


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun"])
@pytest.mark.parametrize("batch", [1, 3, 11, 64])
def test_members_are_those_drawn_one_by_one(sampler, batch):
    method = make(FORECAST, "denoiser", shift=2.0)
    draw = Draw(sampler=sampler, steps=3, batch=batch, noise=step_noise(FORECAST))
    arguments = (make_example(FORECAST), member_noise(FORECAST))
    drawn = method.sample(*arguments, draw=draw)
    wanted = one_by_one(method, *arguments, draw=draw)
    torch.testing.assert_close(drawn, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(drawn, method.sample(*arguments, draw=draw))


def test_members_move_with_their_noise():
    method = make(SUPERRES, "denoiser")
    example, noise = make_example(SUPERRES), member_noise(SUPERRES)
    draw = Draw(sampler="ddim", steps=2)
    order = torch.tensor([3, 0, 4, 1, 2])
    drawn = method.sample(example, noise, draw=draw)
    shuffled = method.sample(example, noise[:, order], draw=draw)
    torch.testing.assert_close(shuffled, drawn[:, order], rtol=0, atol=1e-6)
    fewer = method.sample(example, noise[:, :2], draw=draw)
    torch.testing.assert_close(fewer, drawn[:, :2], rtol=0, atol=1e-6)


def test_step_noise_is_asked_for_once_per_step_for_all_chunks():
    method = make(SUPERRES, "denoiser")
    asked, source = [], step_noise(SUPERRES)

    def noise(step):
        asked.append(step)
        return source(step)

    draw = Draw(sampler="ddpm", steps=3, batch=2, noise=noise)
    method.sample(make_example(SUPERRES), member_noise(SUPERRES), draw=draw)
    assert asked == [0, 1]


def test_denoiser_loss_is_the_diffusion_loss_of_forward():
    method = make(SUPERRES, "denoiser", target="eps", loss="mse", weighting="sigmoid", shift=3.0)
    method.network.eval()
    example = make_example(SUPERRES)
    loss = method.loss(example, generator(2, "loss"))
    wanted = diffusion_loss(
        lambda x, t: method.network(x, t, example.re, example.condition),
        example.residual,
        schedule=CosineSchedule(3.0),
        target="eps",
        norm="mse",
        weighting="sigmoid",
        generator=generator(2, "loss"),
    )
    assert loss == wanted
    assert method.network.calls["forward"] == 2


@pytest.mark.parametrize("mode", ["denoiser", "regressor"])
def test_loss_goes_through_a_wrapper_that_knows_forward_alone(mode):
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module
            self.seen = 0

        def forward(self, *inputs):
            self.seen += 1
            return self.module(*inputs)

    wrapper = Wrapper(Toy(SUPERRES))
    method = make(SUPERRES, mode, wrapper)
    method.loss(make_example(SUPERRES), generator(0, "loss")).backward()
    assert wrapper.seen == 1
    assert all(p.grad.abs().sum() > 0 for p in wrapper.parameters())


def test_distributed_wrapper_trains_and_samples(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        bare = make(SUPERRES, "denoiser")
        wrapped = make(SUPERRES, "denoiser", nn.parallel.DistributedDataParallel(bare.network))
        example, noise = make_example(SUPERRES), member_noise(SUPERRES)
        wrapped.loss(example, generator(0, "loss")).backward()
        assert all(p.grad is not None for p in bare.network.parameters())
        draw = Draw(sampler="ddim", steps=2, batch=4)
        drawn = wrapped.sample(example, noise, draw=draw)
        assert torch.equal(drawn, bare.sample(example, noise, draw=draw))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("mode", ["denoiser", "regressor"])
def test_training_mode_comes_back_and_dropout_is_off_while_sampling(mode):
    method = make(SUPERRES, mode)
    method.network.train()
    method.network.out.eval()
    noise = member_noise(SUPERRES)
    draw = Draw(sampler="ddim", steps=2, batch=4)
    drawn = [method.sample(make_example(SUPERRES), noise, draw=draw) for _ in range(2)]
    assert torch.equal(*drawn)
    assert method.network.training
    assert method.network.dropout.training
    assert not method.network.out.training
    assert not drawn[0].requires_grad


@pytest.mark.parametrize("problem", [SUPERRES, FORECAST], ids=lambda p: p.task)
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_regressor_sees_the_last_snapshot_at_time_zero(problem, batch):
    method = make(problem, "regressor")
    example = make_example(problem)
    network = method.network.eval()
    with torch.no_grad():
        base, t = example.condition[:, -1:], torch.zeros(3)
        wanted = network(base, t, example.re, example.condition)
    draw = Draw(sampler="heun", steps=2, batch=batch)
    drawn = method.sample(example, member_noise(problem), draw=draw)
    assert drawn.shape == (3, 1, 1, 16, 16)
    torch.testing.assert_close(drawn[:, 0], wanted)
    assert method.calls(draw) == 1
    assert not network.calls["t"].any()


@pytest.mark.parametrize(("norm", "power"), [("l1", 1), ("mse", 2)])
def test_regressor_loss(norm, power):
    method = make(FORECAST, "regressor", loss=norm)
    example = make_example(FORECAST)
    network = method.network.eval()
    loss = method.loss(example, generator(0, "loss"))
    found = network(example.condition[:, -1:], torch.zeros(3), example.re, example.condition)
    wanted = (found - example.residual).abs().pow(power).mean()
    torch.testing.assert_close(loss, wanted)


@pytest.mark.parametrize("problem", [SUPERRES, FORECAST], ids=lambda p: p.task)
@pytest.mark.parametrize("mode", ["denoiser", "regressor"])
def test_flex_runs_in_both_modes(problem, mode):
    torch.manual_seed(1)
    network = build(problem, size="XXS")
    for parameter in network.parameters():  # nothing is zero, so everything matters
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    method = make(problem, mode, network)
    example = make_example(problem)
    loss = method.loss(example, generator(0, "loss"))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    noise = member_noise(problem)
    draw = Draw(sampler="ddim", steps=2, noise=step_noise(problem))
    drawn = method.sample(example, noise, draw=draw)
    if mode == "denoiser":
        wanted = one_by_one(method, example, noise, draw=draw)
        torch.testing.assert_close(drawn, wanted, rtol=1e-4, atol=1e-5)
    again = method.sample(example, noise, draw=replace(draw, batch=4))
    torch.testing.assert_close(drawn, again, rtol=1e-4, atol=1e-5)


def test_bad_input_is_told():
    with pytest.raises(FlexbenchError, match="'gan', allowed: denoiser, crps, regressor"):
        make(SUPERRES, "gan")
    method = make(SUPERRES, "denoiser")
    example, noise = make_example(SUPERRES), member_noise(SUPERRES)
    draw = Draw(sampler="ddim", steps=2, batch=4)
    with pytest.raises(FlexbenchError, match=r"noise: found shape \(2, 5, 1, 16, 16\)"):
        method.sample(example, noise[:2], draw=draw)
    with pytest.raises(FlexbenchError, match=r"noise: found shape \(3, 1, 16, 16\)"):
        method.sample(example, noise[:, 0], draw=draw)
