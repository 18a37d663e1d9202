"""Mode `crps`: one evaluation on white noise draws a member; the loss asks for all of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import scoringrules
import torch
from pydantic import ValidationError
from torch import nn

from flexbench.config import DiffusionSettings, MethodSettings
from flexbench.diffusion import Draw
from flexbench.diffusion.loss import crps_loss
from flexbench.methods import make_method
from flexbench.seeding import generator
from flexbench.spec import ProblemSpec

PROBLEM = ProblemSpec(task="superres", condition_channels=1, patch=8)


class Linear(nn.Module):
    """A member is mean + spread x noise, both of them learnt."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(0.0))
        self.spread = nn.Parameter(torch.tensor(1.0))
        self.rows, self.times = [], set()

    def encode(self, condition, re):
        return [condition]

    def denoise(self, noisy, t, re, encoded):
        assert len(noisy) == len(re) == len(encoded[0])
        self.rows.append(len(noisy))
        self.times |= set(t.tolist())
        return self.mean + self.spread * noisy + encoded[0]

    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))


def example(rows=4, *, seed=0, mean=0.5, spread=0.3):
    stream = generator(seed, "crps example")
    condition = torch.randn(rows, 1, 8, 8, generator=stream)
    residual = condition + mean + spread * torch.randn(rows, 1, 8, 8, generator=stream)
    return SimpleNamespace(condition=condition, re=torch.full((rows, 1), 0.02), residual=residual)


def method(network):
    return make_method(network, problem=PROBLEM, settings=DiffusionSettings(), mode="crps")


def test_the_loss_is_the_fair_crps_of_two_members():
    truth = torch.randn(3, 1, 8, 8, generator=generator("truth"))
    drawn = []

    def member(noise, t):
        drawn.append(noise)
        return 0.2 + 1.5 * noise

    loss = crps_loss(member, truth, generator=generator("noise"))
    pair = 0.2 + 1.5 * drawn[0].reshape(2, 3, 1, 8, 8).numpy()
    wanted = scoringrules.crps_ensemble(truth.numpy(), np.moveaxis(pair, 0, -1), estimator="fair")
    assert float(loss) == pytest.approx(float(wanted.mean()), rel=1e-5)


def test_streams_of_rows_draw_the_same_however_a_batch_is_cut():
    network = Linear()
    whole = example()

    def part(rows):
        streams = [generator("row", row) for row in rows]
        cut = {name: value[rows.start : rows.stop] for name, value in vars(whole).items()}
        return method(network).loss(SimpleNamespace(**cut), streams)

    halves = (part(range(2)) + part(range(2, 4))) / 2
    torch.testing.assert_close(part(range(4)), halves)


def test_training_finds_mean_and_spread():
    """Two members ask for the whole of a distribution, where a mean error asks for its middle."""
    network = Linear()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for step in range(300):
        optimiser.zero_grad()
        method(network).loss(example(64, seed=step), generator("step", step)).backward()
        optimiser.step()
    assert float(network.mean.detach()) == pytest.approx(0.5, abs=0.02)
    assert abs(float(network.spread.detach())) == pytest.approx(0.3, abs=0.02)
    assert network.times == {1.0}
    assert set(network.rows) == {128}


def test_a_member_is_one_evaluation_on_its_own_noise():
    network, given = Linear(), example(2)
    noise = torch.randn(2, 5, 1, 8, 8, generator=generator("members"))
    chosen = method(network)
    draw = Draw(sampler="ddim", steps=4, batch=3)
    drawn = chosen.sample(given, noise, draw=draw)
    torch.testing.assert_close(drawn, noise + given.condition[:, None])
    assert chosen.calls(draw) == 1
    assert chosen.stochastic
    assert sum(network.rows) == 10


def test_several_tasks_together_are_refused():
    with pytest.raises(ValidationError, match="mode: found crps and `together`"):
        MethodSettings(mode="crps", together=["a", "b"])
