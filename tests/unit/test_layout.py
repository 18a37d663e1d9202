"""Layouts of maps in memory: the same numbers to rounding, and how one is chosen."""

import pytest
import torch
from torch import nn

from flexbench import registry
from flexbench.config import TrainSettings
from flexbench.models import layout
from flexbench.models.layout import LAYOUTS, fastest, lay_out, layouts_of, usual
from flexbench.sizing.matching import build_network
from flexbench.spec import ProblemSpec
from flexbench.training import loop

NETWORKS = [
    name
    for name in registry.names()
    if not registry.is_formula(name) and registry.facts(name).channels_last
]
BATCH, PATCH = 4, 16
PROBLEM = ProblemSpec(task="superres", condition_channels=1, patch=PATCH)


def network_in(name, order, dtype=torch.float32):
    """The same weights whatever the layout, none of them zero."""
    torch.manual_seed(0)
    network, _ = build_network(name, PROBLEM, size="XXS")
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    lay_out(network, order)
    return network.to(dtype)


def loss_of(network, dtype, seed=0):
    stream = torch.Generator().manual_seed(seed)
    shape = (3, BATCH, 1, PATCH, PATCH)
    noisy, condition, target = torch.randn(shape, generator=stream).to(dtype).unbind()
    t, re = torch.rand(2, BATCH, generator=stream).to(dtype)
    return nn.functional.l1_loss(network(noisy, t, re[:, None], condition), target)


def gradients(name, order, dtype):
    network = network_in(name, order, dtype)
    loss_of(network, dtype).backward()
    return {key: parameter.grad for key, parameter in network.named_parameters()}


def trained(name, order, dtype, steps=20):
    """Losses and weights of a short training, its rate as of the real ones."""
    network, losses = network_in(name, order, dtype), []
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.99))
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(network, dtype, seed=step)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, network.state_dict()


def distance(a, b):
    return float((a - b).norm() / b.norm())


def test_flex_and_a_rival_can_have_both():
    assert {"flex", "unet"} <= set(NETWORKS)
    assert not registry.facts("fno").channels_last


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_follow_the_weights(name):
    """Of every convolution; maps of one channel lie in both orders at once."""
    for order in LAYOUTS:
        network = network_in(name, order)
        seen: list[torch.Tensor] = []

        def see(module, inputs, maps, seen=seen):
            seen.append(maps)

        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.out_channels > 1:
                module.register_forward_hook(see)
        loss_of(network, torch.float32)
        kind = torch.channels_last if order == "channels_last" else torch.contiguous_format
        assert len(seen) > 10
        assert all(maps.is_contiguous(memory_format=kind) for maps in seen)


@pytest.mark.parametrize("name", NETWORKS)
def test_layouts_agree_to_rounding(name):
    """To 1e-9 in float64: every gradient, and weights after 20 steps. In float32 gradients to 1e-4
    of their norm, and the losses of 20 steps to 1e-3."""
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        one, other = (gradients(name, order, dtype) for order in LAYOUTS)
        assert max(distance(one[key], other[key]) for key in one) < tolerance

    (losses, weights), (losses_other, weights_other) = (
        trained(name, order, torch.float64) for order in LAYOUTS
    )
    assert losses == pytest.approx(losses_other, rel=1e-9)
    assert max(distance(weights[key], weights_other[key]) for key in weights) < 1e-9

    found, wanted = (trained(name, order, torch.float32)[0] for order in LAYOUTS)
    assert found == pytest.approx(wanted, rel=1e-3)
    assert found != wanted  # the layouts are two, indeed


def test_the_faster_one_is_taken_and_of_equals_always_the_same():
    def choice(contiguous, channels_last):
        times = {"contiguous": iter(contiguous), "channels_last": iter(channels_last)}
        return fastest(lambda order: next(times[order]), LAYOUTS)

    # The first of each warms up, and the best of the others counts.
    assert choice([9, 1.0, 3.0], [1, 2.0, 2.0]) == "contiguous"
    assert choice([1, 2.0, 2.0], [9, 1.0, 3.0]) == "channels_last"
    assert choice([1, 0.96, 0.96], [1, 1.0, 1.0]) == "channels_last"
    assert choice([1, 0.94, 0.96], [1, 1.0, 1.0]) == "contiguous"


def test_networks_that_count_on_contiguous_maps_get_them():
    assert layouts_of(channels_last=False) == ("contiguous",)
    assert usual(layouts_of(channels_last=False)) == "contiguous"
    assert usual(layouts_of(channels_last=True)) == "channels_last"


@pytest.mark.parametrize("chosen", ["auto", *LAYOUTS])
@pytest.mark.parametrize("can", [LAYOUTS, ("contiguous",)])
def test_what_is_measured(chosen, can):
    settings = TrainSettings(layout=chosen)

    def tried(flops, device="cpu"):
        where = torch.device(device)
        return tuple(loop._layouts_to_try(settings, can, step_flops=flops, device=where))

    small, large = 0.5 * layout.MEASURED_FROM, 2 * layout.MEASURED_FROM
    if chosen == "auto":
        assert tried(small) == (usual(can),)
        assert tried(large) == tried(small, "cuda") == can
    else:
        assert tried(large) == tried(small) == ((chosen,) if chosen in can else can[:1])
