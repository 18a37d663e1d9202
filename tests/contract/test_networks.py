"""The contract of a network, run over FLEX, every file of `baselines/`, and a user's own file."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from flexbench import registry
from flexbench.config import DiffusionSettings
from flexbench.diffusion import Draw
from flexbench.inference.precision import answer_in
from flexbench.methods import make_method
from flexbench.models.layout import lay_out, layouts_of
from flexbench.seeding import generator
from flexbench.tasks import Example


@pytest.fixture
def example(inputs) -> Example:
    """Three smooth residuals, each a function of its condition and so learnable."""
    residual = torch.tanh(inputs["condition"].mean(1, keepdim=True))
    return Example(
        condition=inputs["condition"],
        re=inputs["re"],
        residual=residual,
        base=inputs["condition"][:, -1:],
        truth=inputs["condition"][:, -1:] + residual,
        inputs=inputs["condition"],
    )


def test_a_users_file_is_among_those_tested(extra, users_own):
    assert users_own in registry.names(extra)
    assert users_own not in registry.names()


def test_output_has_the_shape_of_the_noisy_field(awake, inputs):
    output = awake(*inputs.values())
    assert output.shape == inputs["noisy"].shape
    assert output.dtype == torch.float32
    assert output.isfinite().all()
    assert output.std() > 1e-3


def test_forward_is_encode_then_denoise(awake, inputs):
    encoded = awake.encode(inputs["condition"], inputs["re"])
    output = awake.denoise(inputs["noisy"], inputs["t"], inputs["re"], encoded)
    assert torch.equal(output, awake(*inputs.values()))


def test_every_layout_gives_the_same_to_rounding(awake, inputs, network_name, extra):
    facts = registry.facts(network_name, extra)
    before = awake(*inputs.values()).detach()
    for layout in layouts_of(channels_last=facts.channels_last):
        lay_out(awake, layout)
        awake.zero_grad()
        output = awake(*inputs.values())
        output.sum().backward()
        torch.testing.assert_close(output, before, rtol=1e-4, atol=1e-4 * float(before.std()))


def test_gradient_reaches_every_parameter(awake, inputs):
    weights = torch.randn(inputs["noisy"].shape, generator=generator(0, "weights"))
    (awake(*inputs.values()) * weights).sum().backward()
    dead = [
        name
        for name, parameter in awake.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert not dead


@pytest.mark.parametrize("name", ["noisy", "t", "re", "condition"])
def test_output_depends_on_every_input(awake, inputs, name):
    before = awake(*inputs.values())
    changed = inputs | {name: inputs[name].roll(1, dims=0)}
    difference = (awake(*changed.values()) - before).abs().amax(dim=(1, 2, 3))
    assert (difference > 1e-4 * before.std()).all()


def test_every_channel_of_the_condition_counts(awake, inputs):
    before = awake(*inputs.values())
    for channel in range(inputs["condition"].shape[1]):
        condition = inputs["condition"].clone()
        condition[:, channel] += 1
        changed = inputs | {"condition": condition}
        assert (awake(*changed.values()) - before).abs().max() > 1e-4


def test_eval_mode_is_deterministic(awake, inputs):
    assert torch.equal(awake(*inputs.values()), awake(*inputs.values()))


def test_dropout_acts_in_training_and_only_there(fresh, inputs):
    network = fresh(dropout=0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.fill_(0.05)
        network.train()
        assert not torch.equal(network(*inputs.values()), network(*inputs.values()))
        network.eval()
        assert torch.equal(network(*inputs.values()), network(*inputs.values()))


def test_examples_of_a_batch_do_not_see_each_other(awake, inputs):
    together = awake(*inputs.values())
    for i in range(len(together)):
        alone = awake(*(tensor[i : i + 1] for tensor in inputs.values()))
        torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=1e-4)


def test_encoding_can_be_repeated_instead_of_recomputed(awake, inputs):
    members = 2
    encoded = awake.encode(inputs["condition"], inputs["re"])
    assert encoded
    assert all(tensor.shape[0] == 3 for tensor in encoded)
    again = awake.encode(
        inputs["condition"].repeat_interleave(members, 0),
        inputs["re"].repeat_interleave(members, 0),
    )
    for tensor, expected in zip(encoded, again, strict=True):
        repeated = tensor.repeat_interleave(members, 0)
        torch.testing.assert_close(repeated, expected, atol=1e-4, rtol=1e-4)


def test_weights_survive_a_file(awake, fresh, inputs, tmp_path):
    save_file(awake.state_dict(), tmp_path / "weights.safetensors")
    other = fresh(seed=1).eval()
    assert not torch.equal(other(*inputs.values()), awake(*inputs.values()))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(*inputs.values()), awake(*inputs.values()))


def test_initial_weights_follow_the_seed(fresh):
    one, same, other = fresh(seed=3), fresh(seed=3), fresh(seed=4)
    pairs = list(zip(one.state_dict().values(), same.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    different = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert not all(torch.equal(a, b) for a, b in different)


@pytest.mark.parametrize("mode", ["denoiser", "regressor"])
def test_loss_falls_on_one_batch(fresh, problem, example, mode):
    network = fresh().train()
    method = make_method(network, problem=problem, settings=DiffusionSettings(), mode=mode)

    def loss() -> torch.Tensor:
        return method.loss(example, generator(0, "one batch"))

    def measured() -> float:
        return float(loss().detach())

    before = measured()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(12):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    after = measured()
    assert after < 0.9 * before


@pytest.mark.parametrize(("mode", "members"), [("denoiser", 2), ("regressor", 1)])
def test_it_samples(awake, problem, example, mode, members):
    method = make_method(awake, problem=problem, settings=DiffusionSettings(), mode=mode)
    noise = torch.randn(3, 2, 1, 32, 32, generator=generator(0, "noise"))
    drawn = method.sample(example, noise, draw=Draw(sampler="ddim", steps=2, batch=4))
    assert drawn.shape == (3, members, 1, 32, 32)
    assert drawn.isfinite().all()
    if members > 1:
        assert (drawn[:, 0] - drawn[:, 1]).abs().max() > 1e-3


def test_it_answers_in_bfloat16(awake, inputs):
    noisy, t, re, condition = inputs.values()

    def answer() -> torch.Tensor:
        with torch.no_grad():
            return awake.denoise(noisy, t, re, awake.encode(condition, re))

    exact = answer()
    answer_in(awake, "bfloat16")
    rough = answer()
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).norm() < 0.1 * exact.norm()


def test_it_runs_under_bfloat16_autocast(awake, inputs):
    exact = awake(*inputs.values())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = awake(*inputs.values()).float()
    assert (rough - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("patch", [32, 64, 128, 256])
def test_it_can_be_built_at_the_tiers_patches(network_name, extra, patch):
    """Built and run on the meta device: shapes alone, no arithmetic."""
    from flexbench.sizing.counting import footprint
    from flexbench.spec import ProblemSpec

    size = {"size": "S"} if network_name == registry.FLEX else {"width": 64}
    problem = ProblemSpec(task="superres", condition_channels=1, patch=patch)
    found = footprint(registry.load(network_name, extra).build, problem, **size)
    assert min(found.parameters, found.flops.encode, found.flops.denoise) > 0
