"""What is said of an operation's result, against torch's own kernels of the meta device."""

from itertools import product

import pytest
import torch
from torch import nn

from flexbench.sizing.counting import Operations, weightless
from flexbench.sizing.shapes import META, result
from flexbench.spec import ProblemSpec

aten = torch.ops.aten
PROBLEM = ProblemSpec(task="superres", condition_channels=1, patch=16)


def plain(*shape):
    return torch.empty(shape, device=META)


def layouts(*shape):
    """Maps (B, C, H, W) of one shape in every order in memory that networks make."""
    batch, channels, height, width = shape
    return {
        "plain": plain(*shape),
        "channels innermost": plain(*shape).contiguous(memory_format=torch.channels_last),
        "transposed": plain(batch, channels, width, height).transpose(2, 3),
        "channels outermost": plain(channels, batch, height, width).transpose(0, 1),
        "half of the channels": plain(batch, 2 * channels, height, width)[:, :channels],
        "tokens": plain(batch, height * width, channels).transpose(1, 2).unflatten(2, shape[2:]),
    }


SHAPES = [(2, 3, 8, 6), (1, 4, 8, 8), (3, 1, 4, 4), (2, 4, 1, 1), (1, 5, 1, 1)]
MAPS = {f"{shape}, {name}": tensor for shape in SHAPES for name, tensor in layouts(*shape).items()}


def assert_alike(func, *args, **kwargs):
    """Same shape, number type and strides; strides of a single point say nothing."""
    said, right = result(func, args, kwargs), func(*args, **kwargs)
    if isinstance(right, torch.Tensor):
        said, right = (said,), (right,)
    for one, other in zip(said, right, strict=True):
        assert (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
        for points, stride, expected in zip(one.shape, one.stride(), other.stride(), strict=True):
            assert points == 1 or stride == expected, (one.stride(), other.stride())
        assert one.untyped_storage().nbytes() == other.untyped_storage().nbytes()


@pytest.mark.parametrize("x", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize(
    ("func", "others"),
    [
        (aten.silu.default, ()),
        (aten.gelu.default, ()),
        (aten.cos.default, ()),
        (aten.mul.Scalar, (2.0,)),
        (aten.add.Tensor, (1,)),
        (aten.pow.Tensor_Scalar, (2,)),
        (aten.sum.dim_IntList, ([0],)),
        (aten.sum.dim_IntList, ([-1, 1], True)),
        (aten.flip.default, ([2, 3],)),
        (aten.upsample_nearest2d.default, ([16, 12],)),
        (aten.pixel_unshuffle.default, (1,)),
        (aten.pixel_shuffle.default, (1,)),
        (aten._softmax.default, (-1, False)),
        (aten._safe_softmax.default, (-1,)),
        (aten._fft_r2c.default, ([3], 0, True)),
        (aten._fft_r2c.default, ([2], 0, True)),
        (aten._fft_r2c.default, ([2, 3], 0, True)),
        (aten.clone.default, ()),
    ],
)
def test_operations_on_one_map(func, others, x):
    assert_alike(func, x, *others)


@pytest.mark.parametrize("x", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_complex_transforms(x, dim):
    spectrum = torch.empty_strided(x.shape, x.stride(), dtype=torch.complex64, device=META)
    assert_alike(aten._fft_c2c.default, spectrum, [dim], 0, False)
    assert_alike(aten._fft_c2r.default, spectrum, [dim], 0, 2 * x.shape[dim])
    assert_alike(aten.mul.Tensor, spectrum, spectrum)


@pytest.mark.parametrize("shape", SHAPES)
def test_operands_of_different_layout_and_shape(shape):
    """A result lies in memory as its first operand that tells."""
    batch, channels, height, width = shape
    maps = layouts(*shape).values()
    rows = [plain(batch, channels, 1, 1), plain(batch, 2 * channels, 1, 1)[:, :channels]]
    others = [*rows, plain(channels, 1, 1), plain(1, 1, height, width), plain(width), plain()]
    for left, right in product([*maps, *others], repeat=2):
        assert_alike(aten.add.Tensor, left, right)
    for x, row in product(maps, rows):
        assert_alike(aten.addcmul.default, row, x, row)
    for left, right in product(maps, repeat=2):
        assert_alike(aten.cat.default, [left, right], 1)
        assert_alike(aten.stack.default, [left, right], -1)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [([2, 2], [], [0, 0]), ([3, 3], [2, 2], [1, 1])]
)
def test_pooling(kernel, stride, padding):
    for x in layouts(2, 3, 8, 6).values():
        assert_alike(aten.avg_pool2d.default, x, kernel, stride, padding)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation"),
    [([1, 1], [1, 1], [1, 1]), ([2, 2], [0, 1], [1, 1]), ([2, 1], [2, 2], [2, 3])],
)
def test_convolutions(groups, transposed, stride, padding, dilation):
    inputs, outputs = 4, 6
    ends = (inputs, outputs // groups) if transposed else (outputs, inputs // groups)
    weight, bias = plain(*ends, 3, 2), plain(outputs)
    for x in layouts(2, inputs, 9, 8).values():
        options = (stride, padding, dilation, transposed, [0, 0], groups)
        assert_alike(aten.convolution.default, x, weight, bias, *options)


@pytest.mark.parametrize("x", MAPS.values(), ids=MAPS)
def test_norms(x):
    batch, channels, height, width = x.shape
    weight, inner = plain(channels), plain(width)
    for groups in (1, channels):
        sizes = (batch, channels, height * width, groups, 1e-5)
        assert_alike(aten.native_group_norm.default, x, weight, weight, *sizes)
        assert_alike(aten.native_group_norm.default, x, None, None, *sizes)
    assert_alike(aten.native_layer_norm.default, x, [width], inner, inner, 1e-5)
    assert_alike(aten.native_layer_norm.default, x, [height, width], None, None, 1e-5)


def test_products():
    left, right = plain(5, 7), plain(3, 7).t()
    assert_alike(aten.mm.default, left, right)
    assert_alike(aten.addmm.default, plain(3), left, right)
    left, right = plain(2, 7, 5).transpose(1, 2), plain(2, 7, 3)
    assert_alike(aten.bmm.default, left, right)
    assert_alike(aten.baddbmm.default, plain(2, 5, 3), left, right)


def test_what_no_rule_covers_is_what_torch_says():
    whole = torch.empty(4, dtype=torch.int64, device=META)
    assert_alike(aten.mul.Scalar, whole, 2.0)
    assert_alike(aten.add.Tensor, whole, plain(4))
    assert_alike(aten.tril.default, plain(4, 4))
    assert_alike(aten.sum.dim_IntList, whole, [0])


def test_shapes_that_do_not_fit_are_told_by_torch():
    with pytest.raises(RuntimeError, match="broadcast"):
        result(aten.add.Tensor, (plain(2, 3), plain(4)), {})


class Odd(nn.Module):
    """Makes its weights in every way that a user may think of."""

    def __init__(self):
        super().__init__()
        self.drawn = nn.Parameter(torch.randn(3, 4) * 0.1)
        self.listed = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("grid", torch.linspace(0, 1, 5) + torch.arange(5))
        self.norm = nn.BatchNorm2d(3)
        self.layer = nn.Linear(4, 2)
        nn.init.trunc_normal_(self.layer.weight, std=0.02)
        with torch.no_grad():
            self.layer.bias.copy_(torch.ones(2))


def test_a_network_without_memory_has_the_tensors_of_the_real_one():
    def build(problem):
        return Odd()

    state = torch.random.get_rng_state()
    empty = weightless(build, PROBLEM).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state), "nothing is drawn"
    real = build(PROBLEM).state_dict()
    assert {name: (it.shape, it.dtype) for name, it in empty.items()} == {
        name: (it.shape, it.dtype) for name, it in real.items()
    }
    assert all(it.is_meta for it in empty.values())
    assert not torch.equal(torch.random.get_rng_state(), state), "initialising draws again"


def test_views_share_memory_and_nothing_is_computed():
    x = plain(2, 3)
    with Operations(shapes=True) as counted:
        assert x.t().untyped_storage()._cdata == x.untyped_storage()._cdata
        assert (x @ x.t()).shape == (2, 2)
        assert x.add_(1) is x
    assert counted.flops == 2 * 2 * 2 * 3
