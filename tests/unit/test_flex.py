"""The FLEX network: sizes, switches, and the contract of `spec.Network`."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from flexbench.errors import FlexbenchError
from flexbench.models.flex import SIZES, TASKS, Flex, Size, add_feature, build
from flexbench.spec import ProblemSpec

PATCH = 16
SWITCHES = [s for s in itertools.product([True, False], repeat=3) if any(s)]


def problem(patch: int = PATCH, task: str = "superres") -> ProblemSpec:
    channels = {"superres": 1, "forecast": 2}[task]
    return ProblemSpec(task=task, condition_channels=channels, patch=patch)


def randomised(network: Flex) -> Flex:
    """The network with nothing left at zero."""
    torch.manual_seed(1)
    for parameter in network.parameters():
        if parameter.dim() > 1 or not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return network.eval()


def small(**options: object) -> Flex:
    torch.manual_seed(0)
    return randomised(build(problem(), size="XXS", **options))


def inputs(batch: int = 2, patch: int = PATCH) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(3)
    return {
        "noisy": torch.randn(batch, 1, patch, patch, generator=g),
        "t": torch.rand(batch, generator=g),
        "re": torch.rand(batch, 1, generator=g),
        "condition": torch.randn(batch, 1, patch, patch, generator=g),
    }


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("size", "patch", "one_task", "two_tasks"),
    [
        ("S", 128, 49_669_377, 58_266_817),
        ("M", 128, 199_072_257, 233_737_921),
        ("L", 128, 949_582_721, 1_089_591_041),
        ("M", 256, 199.2e6, 233.8e6),
        ("L", 256, 949.8e6, 1089.8e6),
    ],
)
def test_published_parameter_counts(
    size: str, patch: int, one_task: float, two_tasks: float
) -> None:
    with torch.device("meta"):
        single = build(problem(patch), size=size)
        both = Flex({"superres": 1, "forecast": 2}, size=SIZES[size], patch=patch)
    rounding = 0 if patch == 128 else 0.05e6
    assert count(single) == pytest.approx(one_task, abs=rounding)
    assert count(both) == pytest.approx(two_tasks, abs=rounding)


def test_published_parts_of_s() -> None:
    with torch.device("meta"):
        network = Flex({"superres": 1, "forecast": 2}, size=SIZES["S"], patch=128)
    parts = [network.encoder, *network.task_encoders.values(), network.decoder]
    assert [count(part) for part in parts] == [12_560_768, 8_596_864, 8_597_440, 28_511_745]


@pytest.mark.parametrize(
    ("size", "patch", "parameters", "products"),
    [("XS", 64, 0.95e6, 120e3), ("XXS", 32, 0.13e6, 25e3)],
)
def test_cpu_sizes_are_cheap(size: str, patch: int, parameters: float, products: float) -> None:
    """At most so many parameters, and multiply-adds per pixel of one evaluation with encode."""
    with torch.device("meta"):
        network = build(problem(patch), size=size)
        field = torch.empty(1, 1, patch, patch)
        with FlopCounterMode(display=False) as counter:
            network(field, torch.empty(1), torch.empty(1, 1), field)
    assert 0.85 * parameters < count(network) <= parameters
    assert counter.get_total_flops() / 2 / patch**2 <= products


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("transformer", [True, False])
def test_untrained_network_gives_zero(task: str, transformer: bool) -> None:
    torch.manual_seed(0)
    network = build(problem(task=task), size="XXS", transformer=transformer)
    data = inputs()
    data["condition"] = torch.randn(2, problem(task=task).condition_channels, PATCH, PATCH)
    assert torch.equal(network(**data), torch.zeros(2, 1, PATCH, PATCH))


@pytest.mark.parametrize("skips", ["all", "convolutional", "none"])
@pytest.mark.parametrize("transformer", [True, False])
@pytest.mark.parametrize("switches", SWITCHES)
def test_gradient_reaches_every_parameter(
    switches: tuple[bool, bool, bool], transformer: bool, skips: str
) -> None:
    weak, strong_skip, strong_bottleneck = switches
    network = small(
        weak=weak,
        strong_skip=strong_skip,
        strong_bottleneck=strong_bottleneck,
        transformer=transformer,
        skips=skips,
    )
    network(**inputs()).square().sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_forward_is_encode_then_denoise() -> None:
    network, data = small(), inputs()
    encoded = network.encode(data["condition"], data["re"])
    assert [len(f) for f in encoded] == [2] * len(network.size.feature_channels)
    assert [f.shape[1] for f in encoded] == network.size.feature_channels
    found = network.denoise(data["noisy"], data["t"], data["re"], encoded)
    assert torch.equal(found, network(**data))


def test_samples_of_a_batch_do_not_meet() -> None:
    network, data = small(), inputs(3)
    together = network(**data)
    for i in range(3):
        alone = network(**{name: value[i : i + 1] for name, value in data.items()})
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("switches", SWITCHES)
def test_members_may_share_encoded_features(switches: tuple[bool, bool, bool]) -> None:
    weak, strong_skip, strong_bottleneck = switches
    network = small(weak=weak, strong_skip=strong_skip, strong_bottleneck=strong_bottleneck)
    data, members = inputs(2), 3
    encoded = network.encode(data["condition"], data["re"])
    noisy, t = torch.randn(2 * members, 1, PATCH, PATCH), torch.rand(2 * members)
    re = data["re"].repeat_interleave(members, 0)
    repeated = [feature.repeat_interleave(members, 0) for feature in encoded]
    expected = network.denoise(noisy, t, re, repeated)
    torch.testing.assert_close(network.denoise(noisy, t, re, encoded), expected)


@torch.no_grad()
def test_encoder_sees_the_condition_by_weak_conditioning_alone() -> None:
    data = inputs()
    for weak in (True, False):
        network = small(weak=weak)
        outputs: list[list[Tensor]] = []
        network.encoder.register_forward_hook(lambda _m, _i, out, to=outputs: to.append(out[0]))
        for condition in (data["condition"], -data["condition"]):
            network(**(data | {"condition": condition}))
        same = [torch.equal(a, b) for a, b in zip(*outputs, strict=True)]
        assert same == [not weak] * len(network.size.feature_channels)


@torch.no_grad()
def test_weak_conditioning_is_added_after_every_block() -> None:
    network, data = small(), inputs()
    encoded = network.encode(data["condition"], data["re"])
    found = network.encoder(data["noisy"], data["t"], data["re"], encoded)[0]
    embedding = network.encoder.time(data["t"]) + network.encoder.flow(data["re"])
    x = network.encoder.conv.stem(data["noisy"]) + encoded[0]
    torch.testing.assert_close(found[0], x)
    for number, block in enumerate(network.encoder.conv.blocks, start=1):
        x = block(x, embedding) + encoded[number]
        torch.testing.assert_close(found[number], x)


def decoded(network: Flex, data: dict[str, Tensor], encoded: list[Tensor]) -> Tensor:
    return network.denoise(data["noisy"], data["t"], data["re"], encoded)


@torch.no_grad()
def test_strong_skip_is_the_sum_of_both_features() -> None:
    network, data = small(weak=False, strong_bottleneck=False), inputs()
    encoded = network.encode(data["condition"], data["re"])
    nothing = [None] * len(encoded)
    features, tokens, long = network.encoder(data["noisy"], data["t"], data["re"], nothing)
    summed = [a + b for a, b in zip(features, encoded, strict=True)]
    expected = network.decoder(
        (summed, tokens, long),
        data["t"],
        data["re"],
        bottleneck_condition=None,
        skip_condition=nothing,
    )
    torch.testing.assert_close(decoded(network, data, encoded), expected)


@torch.no_grad()
@pytest.mark.parametrize(
    ("switches", "skips", "used"),
    [
        ({"weak": False, "strong_skip": False}, "all", [-1]),
        ({"weak": False, "strong_bottleneck": False}, "none", [-1]),
        ({"weak": False, "strong_bottleneck": False}, "all", range(7)),
        ({"strong_skip": False, "strong_bottleneck": False}, "none", range(7)),
    ],
)
def test_switches_decide_which_features_count(
    switches: dict[str, bool], skips: str, used: list[int]
) -> None:
    network, data = small(skips=skips, **switches), inputs()
    encoded = network.encode(data["condition"], data["re"])
    before = decoded(network, data, encoded)
    matters = []
    for number in range(len(encoded)):
        changed = [f + (i == number) for i, f in enumerate(encoded)]
        matters.append(not torch.equal(decoded(network, data, changed), before))
    expected = {number % len(encoded) for number in used}
    assert {number for number, flag in enumerate(matters) if flag} == expected


def test_features_of_nothing_make_the_switches_equal() -> None:
    """With the condition's features at zero, every combination computes the same."""
    data, outputs = inputs(), []
    for weak, strong_skip, strong_bottleneck in SWITCHES:
        network = small(weak=weak, strong_skip=strong_skip, strong_bottleneck=strong_bottleneck)
        encoded = [0 * f for f in network.encode(data["condition"], data["re"])]
        outputs.append(decoded(network, data, encoded))
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_transformer_and_skip_schemes_drop_their_own_tensors_only() -> None:
    full = small().state_dict()

    def dropped(**options: object) -> set[str]:
        other = small(**options).state_dict()
        assert set(other) <= set(full)
        return set(full) - set(other)

    assert dropped(transformer=False) == {name for name in full if ".latent." in name}
    assert dropped(skips="convolutional") == {name for name in full if ".merge." in name}
    wide = small().decoder.conv.levels[0].blocks[0].norm_in.num_channels
    narrow = small(skips="none").decoder.conv.levels[0].blocks[0].norm_in.num_channels
    assert wide == 2 * narrow == 2 * SIZES["XXS"].embedding


@torch.no_grad()
def test_without_skips_the_decoder_sees_the_bottleneck_alone() -> None:
    data, nothing = inputs(), [None] * 7
    matters = {}
    for skips in ("all", "none"):
        network = small(skips=skips)
        features, tokens, long = network.encoder(data["noisy"], data["t"], data["re"], nothing)
        options = {"bottleneck_condition": None, "skip_condition": nothing}
        changed = [f + 1 for f in features[:-1]] + features[-1:]
        results = [
            network.decoder((f, tokens, long), data["t"], data["re"], **options)
            for f in (features, changed)
        ]
        matters[skips] = not torch.equal(*results)
    assert matters == {"all": True, "none": False}


@torch.no_grad()
def test_periodic_network_commutes_with_shifts() -> None:
    data, step = inputs(patch=PATCH), 8  # shifts by whole cells of the bottleneck
    shifts = {}
    for padding in ("zeros", "periodic"):
        network = small(padding=padding, transformer=False)
        rolled = {
            name: value.roll((step, step), (2, 3)) if value.dim() == 4 else value
            for name, value in data.items()
        }
        expected = network(**data).roll((step, step), (2, 3))
        shifts[padding] = ((network(**rolled) - expected).norm() / expected.norm()).item()
    assert shifts["periodic"] < 1e-5
    assert shifts["zeros"] > 1e-2


def test_two_tasks_share_everything_but_their_encoders() -> None:
    torch.manual_seed(0)
    network = Flex({"superres": 1, "forecast": 2}, size=SIZES["XXS"], patch=PATCH)
    randomised(network)
    single = small()
    state = network.state_dict()
    single.load_state_dict({name: state[name] for name in single.state_dict()})
    data = inputs()
    one = data | {"condition": {"superres": data["condition"]}}
    assert torch.equal(network(**one), single(**data))
    past = torch.randn(2, 2, PATCH, PATCH)
    network(**(data | {"condition": {"forecast": past}})).sum().backward()
    untouched = {name for name, p in network.named_parameters() if p.grad is None}
    assert untouched == {name for name in state if name.startswith("task_encoders.superres.")}
    with pytest.raises(ValueError, match="several tasks: superres, forecast"):
        network(**data)


def test_bfloat16_autocast() -> None:
    network, data = small(), inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(**data)
    half.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    full = network(**data)
    assert half.dtype == torch.bfloat16
    assert ((half.float() - full).norm() / full.norm()).item() < 0.05


def test_one_graph_without_breaks() -> None:
    network, data = small(), inputs()
    traced = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(**data), network(**data))


def test_weights_follow_the_seed_and_are_contiguous() -> None:
    states = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        states.append(build(problem(), size="XXS").state_dict())
    same, other = (
        [torch.equal(states[0][name], states[i][name]) for name in states[0]] for i in (1, 2)
    )
    assert all(same)
    assert not all(other)
    assert all(value.is_contiguous() for value in states[0].values())


def test_linear_layers_start_xavier_uniform() -> None:
    network = build(problem(), size="XS")
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
            largest = layer.weight.abs().max().item()
            assert 0.9 * bound < largest <= bound or layer.weight.numel() < 200, name
            assert layer.bias is None or not layer.bias.any()
    position = network.encoder.latent.position
    assert position.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "XL"}, "flex: size is 'XL'; allowed: XXS, XS, S, M, L"),
        ({"skips": "some"}, "flex: skips is 'some'; allowed: all, convolutional, none"),
        ({"padding": "mirror"}, "flex: padding is 'mirror'; allowed: zeros, periodic"),
        ({"dropout": 1.0}, "flex: dropout is 1.0"),
        ({"weak": False, "strong_skip": False, "strong_bottleneck": False}, "at least one on"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(FlexbenchError, match=message):
        build(problem(), **options)


@pytest.mark.parametrize("patch", [4, 20, 0])
def test_patch_must_divide(patch: int) -> None:
    with pytest.raises(FlexbenchError, match=f"patch is {patch}; allowed: multiples of 8"):
        build(problem(patch), size="XXS")


def test_other_tasks_and_fields_are_refused() -> None:
    with pytest.raises(FlexbenchError, match="task is 'inpaint'; allowed: superres, forecast"):
        build(ProblemSpec(task="inpaint", condition_channels=1, patch=PATCH))
    with pytest.raises(ValueError, match="fields must be 16 x 16"):
        small()(**inputs(patch=32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 4}, "depth is 4; it must be odd"),
        ({"heads": 5}, "heads is 5; it must divide the width 16"),
        ({"blocks": (1, 1)}, "lists of one length"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, object], message: str) -> None:
    fields = {"channels": (8, 8, 16), "blocks": (1, 1, 1), "depth": 3, "heads": 2}
    with pytest.raises(FlexbenchError, match=message):
        Size(**(fields | changes))


def test_add_feature_against_a_loop() -> None:
    x, feature = torch.randn(6, 2, 4, 4), torch.randn(3, 2, 4, 4)
    expected = torch.stack([x[i] + feature[i // 2] for i in range(6)])
    assert torch.equal(add_feature(x, feature), expected)
    assert torch.equal(add_feature(x, None), x)
