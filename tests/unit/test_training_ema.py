"""The average of the weights against the same recursion in plain numbers."""

import pytest
import torch
from torch import nn

from flexbench.training.ema import WeightAverage, decay_at


class WithBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
        self.register_buffer("frequencies", torch.tensor([0.0], dtype=torch.float64))


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_average_follows_the_recursion(decay):
    network = WithBuffer()
    average = WeightAverage(network, decay)
    wanted = None
    for n in range(40):
        value = torch.tensor([n**0.5, -float(n)], dtype=torch.float64)
        network.weight.data.copy_(value)
        network.frequencies.fill_(n)
        average.update()
        d = min(decay, (1 + n) / (10 + n))
        wanted = value if wanted is None else d * wanted + (1 - d) * value
    torch.testing.assert_close(average.state_dict()["weight"], wanted, rtol=1e-13, atol=0)
    assert average.state_dict()["frequencies"].item() == 39  # buffers are copied
    assert average.updates == 40


def test_decay_warms_up():
    assert decay_at(0, 0.999) == 0.1
    assert decay_at(8989, 0.999) < 0.999 <= decay_at(8990, 0.999)
    assert decay_at(10**9, 0.999) == 0.999


def test_network_computes_with_the_average_and_then_with_its_own_weights():
    network = WithBuffer()
    average = WeightAverage(network, 0.9)
    average.update()
    network.weight.data.mul_(3)
    own = network.weight.detach().clone()
    with average.in_place():
        assert network.weight.tolist() == [1.0, 2.0]
    assert torch.equal(network.weight, own)
    with pytest.raises(NotImplementedError), average.in_place():
        network()  # an error inside changes nothing
    assert torch.equal(network.weight, own)
    assert average.state_dict()["weight"].tolist() == [1.0, 2.0]


def test_without_decay_the_weights_stand_in():
    network = WithBuffer()
    average = WeightAverage(network, 0.0)
    average.update()
    network.weight.data.fill_(7.0)
    with average.in_place():
        assert network.weight.tolist() == [7.0, 7.0]
    assert average.state_dict()["weight"].tolist() == [7.0, 7.0]
    assert average.updates == 0


def test_a_loaded_average_goes_on_alike():
    def follow(average, network, values):
        for value in values:
            network.weight.data.fill_(value)
            average.update()

    network = WithBuffer()
    whole = WeightAverage(network, 0.9)
    follow(whole, network, range(10))

    first = WeightAverage(network, 0.9)
    follow(first, network, range(4))
    saved = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    second = WeightAverage(network, 0.9)
    second.load(saved, first.updates)
    follow(second, network, range(4, 10))
    assert torch.equal(second.state_dict()["weight"], whole.state_dict()["weight"])
