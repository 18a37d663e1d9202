"""The result of an operation without its arithmetic: a tensor of the right layout, no memory.

torch's own kernels for its *meta* device say the same. But most are Python: the first of them loads
torch's compiler, which takes longer than torch itself, and each then takes a millisecond. So what
common networks are made of has a rule here. A rule gives the same shape, number type and order in
memory as torch's kernel (a test compares them), or None for arguments that it does not cover. Those
go to torch's kernel, and so do operations without a rule.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

META = torch.device("meta")
_CHANNELS_INNERMOST = (1, 3, 2, 0)  # dimensions of a map (B, C, H, W), innermost first

Rule = Callable[..., Any]

aten = torch.ops.aten


def result(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What an operation of torch's dispatcher returns, on the meta device.

    Views are taken of the tensor itself. An operation in place returns it as it was.
    """
    rule = _rule_of(func)
    found = rule(*args, **kwargs) if rule else None
    return _by_torch(func, args, kwargs) if found is None else found


@cache
def _rule_of(func: Any) -> Rule | None:
    schema = func._schema
    if func.is_view or torch.Tag.inplace_view in func.tags:
        return func
    if schema.is_mutable and schema.name.endswith("_"):
        return lambda tensor, *_, **__: tensor
    if any(argument.name == "out" for argument in schema.arguments):
        return None
    packet = func._overloadpacket
    return func if packet in _QUICK else _RULES.get(packet)


def _by_torch(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Torch's own meta kernel; whatever the operation makes or takes is on the meta device."""

    def moved(value: Any) -> Any:
        return value.to(META) if isinstance(value, Tensor) and not value.is_meta else value

    args, kwargs = tree_map(moved, (args, kwargs))
    if any(argument.name == "device" for argument in func._schema.arguments):
        kwargs |= {"device": META}
    return func(*args, **kwargs)


# --- layouts --------------------------------------------------------------------------------


def _plain(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor whose last dimension is the innermost."""
    return torch.empty(shape, dtype=dtype, device=META)


def _ordered(shape: Sequence[int], order: Iterable[int], dtype: torch.dtype) -> Tensor:
    """A tensor without gaps. order: its dimensions, innermost first."""
    strides, points = [0] * len(shape), 1
    for dim in order:
        strides[dim], points = points, points * max(1, shape[dim])
    return torch.empty_strided(shape, strides, dtype=dtype, device=META)


def _suggested(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Channels innermost where x (B, C, H, W) has them so."""
    if x.ndim == 4 and _has_channels_innermost(x):
        return _ordered(shape, _CHANNELS_INNERMOST, x.dtype)
    return _plain(shape, x.dtype)


def _has_channels_innermost(x: Tensor) -> bool:
    """By its strides, gaps allowed; where batch and points are single, an open question: no."""
    least = 0
    for dim in _CHANNELS_INNERMOST:
        if x.stride(dim) < least or (dim == 0 and least == x.stride(1)):
            return False
        least = x.stride(dim) * x.shape[dim]
    return x.stride(1) > 0


def _broadcast(shapes: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """The shape that all of these are stretched to, or None if there is none."""
    reversed_shape = []
    for sides in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1):
        longer = {side for side in sides if side != 1}
        if len(longer) > 1:
            return None
        reversed_shape.append(longer.pop() if longer else 1)
    return tuple(reversed(reversed_shape))


def _inner_first(shape: Sequence[int], tensors: Sequence[Tensor]) -> list[int]:
    """The order of dimensions that torch gives a result: that of the first operand that tells.

    An operand tells nothing of a dimension along which it is repeated.
    """
    ndim = len(shape)
    strides = [tensor.expand(shape).stride() for tensor in tensors]

    def compare(a: int, b: int) -> int:
        """Negative where dimension a lies inside b."""
        for stride in strides:
            if stride[a] == 0 or stride[b] == 0:
                continue
            if stride[a] != stride[b]:
                return stride[a] - stride[b]
            if shape[a] > shape[b]:
                return 1
        return 0

    order = list(reversed(range(ndim)))
    for last in range(1, ndim):  # an insertion sort, as comparisons may leave the order open
        place = last
        for before in reversed(range(last)):
            difference = compare(order[before], order[place])
            if difference > 0:
                order[before], order[place] = order[place], order[before]
                place = before
            elif difference < 0:
                break
    return order


# --- rules ----------------------------------------------------------------------------------


def _elementwise(*args: Any, **_: Any) -> Tensor | None:
    tensors = [value for value in args if isinstance(value, Tensor)]
    first = tensors[0]
    if not all(isinstance(value, Tensor | int | float | str | None) for value in args):
        return None
    if not first.is_floating_point() and not first.is_complex():
        return None
    if any(tensor.dtype != first.dtype for tensor in tensors):
        return None
    shape = first.shape
    if any(tensor.shape != shape for tensor in tensors):
        stretched = _broadcast([tensor.shape for tensor in tensors])
        if stretched is None:
            return None
        shape = torch.Size(stretched)
    elif all(tensor.is_contiguous() for tensor in tensors):
        return _plain(shape, first.dtype)
    return _ordered(shape, _inner_first(shape, tensors), first.dtype)


def _softmax(x: Tensor, dim: int, *_: Any, **__: Any) -> Tensor | None:
    return _plain(x.shape, x.dtype) if x.is_contiguous() and x.is_floating_point() else None


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    if x.dtype != torch.float32:
        return None
    outer = (*x.shape[: x.ndim - len(shape)], *(1 for _ in shape))
    return _plain(x.shape, x.dtype), _plain(outer, x.dtype), _plain(outer, x.dtype)


def _group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, rows: int, *sizes: Any
) -> tuple[Tensor, Tensor, Tensor] | None:
    if x.dtype != torch.float32:
        return None
    if x.is_contiguous():
        out = _plain(x.shape, x.dtype)
    elif x.is_contiguous(memory_format=torch.channels_last):
        out = _ordered(x.shape, _CHANNELS_INNERMOST, x.dtype)
    else:
        return None
    _, _, groups, _ = sizes
    return out, _plain((rows, groups), x.dtype), _plain((rows, groups), x.dtype)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """(..., n, k) times (..., k, m)."""
    return _plain((*left.shape[:-1], right.shape[-1]), left.dtype)


def _added_product(added: Tensor, left: Tensor, right: Tensor, **_: Any) -> Tensor:
    return _product(left, right)


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    """x (B, C, *sides), weight (C_out, C / groups, *kernel), or (C, C_out / groups, *kernel)."""
    sides = []
    for dim, side in enumerate(x.shape[2:]):
        # A list of a single number is meant for every dimension.
        step, pad, gap = (it[dim % len(it)] for it in (stride, padding, dilation))
        reach = gap * (weight.shape[2 + dim] - 1)
        if transposed:
            extra = output_padding[dim % len(output_padding)]
            sides.append((side - 1) * step - 2 * pad + reach + extra + 1)
        else:
            sides.append((side + 2 * pad - reach - 1) // step + 1)
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    return _plain((x.shape[0], channels, *sides), x.dtype)


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if any(it.ndim != first.ndim or it.dtype != first.dtype for it in tensors):
        return None
    shape = list(first.shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    if first.ndim == 4 and all(_has_channels_innermost(tensor) for tensor in tensors):
        return _ordered(shape, _CHANNELS_INNERMOST, first.dtype)
    return _plain(shape, first.dtype)


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if any(it.dtype != first.dtype for it in tensors):
        return None
    shape = list(first.shape)
    shape.insert(dim % (first.ndim + 1), len(tensors))
    return _plain(shape, first.dtype)


def _sum(
    x: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False, **_: Any
) -> Tensor | None:
    if not dims or not x.is_floating_point() or _.get("dtype") not in (None, x.dtype):
        return None
    summed = {dim % x.ndim for dim in dims}
    sides = enumerate(x.shape)
    if keepdim:
        return _plain([1 if dim in summed else side for dim, side in sides], x.dtype)
    return _plain([side for dim, side in sides if dim not in summed], x.dtype)


def _pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    *_: Any,
    **__: Any,
) -> Tensor | None:
    if ceil_mode or x.ndim != 4:
        return None
    sides = []
    for dim, side in enumerate(x.shape[2:]):
        size, step, pad = (it[dim % len(it)] for it in (kernel, stride or kernel, padding))
        sides.append((side + 2 * pad - size) // step + 1)
    return _suggested(x, (*x.shape[:2], *sides))


def _resized(x: Tensor, sides: Sequence[int] | None, *_: Any) -> Tensor | None:
    return None if sides is None or x.ndim != 4 else _suggested(x, (*x.shape[:2], *sides))


def _flip(x: Tensor, dims: Sequence[int]) -> Tensor | None:
    return _plain(x.shape, x.dtype) if x.is_contiguous() else None


def _shuffle(x: Tensor, factor: int) -> Tensor | None:
    *outer, channels, height, width = x.shape
    shape = (*outer, channels // factor**2, height * factor, width * factor)
    return _plain(shape, x.dtype)


def _unshuffle(x: Tensor, factor: int) -> Tensor | None:
    *outer, channels, height, width = x.shape
    shape = (*outer, channels * factor**2, height // factor, width // factor)
    return _plain(shape, x.dtype) if x.is_contiguous() else None


def _transformed(
    x: Tensor, dim: int, side: int, dtype: torch.dtype, strides: Sequence[int]
) -> Tensor:
    """A Fourier transform of one dimension leaves that one innermost, the others in order."""
    others = (other for other in range(x.ndim) if other != dim)
    outer_first = sorted(others, key=lambda other: strides[other], reverse=True)
    shape = [side if other == dim else points for other, points in enumerate(x.shape)]
    return _ordered(shape, (dim, *reversed(outer_first)), dtype)


def _real_to_complex(x: Tensor, dims: Sequence[int], norm: int, onesided: bool) -> Tensor | None:
    if len(dims) != 1 or not onesided:
        return None
    dim = dims[0] % x.ndim
    return _transformed(x, dim, x.shape[dim] // 2 + 1, x.dtype.to_complex(), x.stride())


def _complex_to_complex(x: Tensor, dims: Sequence[int], *_: Any) -> Tensor | None:
    if len(dims) != 1:
        return None
    dim = dims[0] % x.ndim
    return _transformed(x, dim, x.shape[dim], x.dtype, x.stride())


def _complex_to_real(x: Tensor, dims: Sequence[int], norm: int, side: int) -> Tensor | None:
    if len(dims) != 1:
        return None
    # Of a copy, whose last dimension is the innermost.
    strides = range(x.ndim, 0, -1)
    return _transformed(x, dims[0] % x.ndim, side, x.dtype.to_real(), strides)


def _made(shape: Sequence[int], *, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
    return _plain(shape, dtype or torch.get_default_dtype())


# Torch's kernels of these are quick.
_QUICK = {aten._unsafe_view, aten.clone, aten.constant_pad_nd, aten.new_zeros}

_RULES: dict[Any, Rule] = dict.fromkeys(
    (
        *(aten.add, aten.sub, aten.mul, aten.div, aten.addcmul, aten.pow, aten.neg),
        *(aten.silu, aten.gelu, aten.relu, aten.sigmoid, aten.tanh, aten.elu, aten.leaky_relu),
        *(aten.cos, aten.sin, aten.exp, aten.sqrt, aten.rsqrt),
    ),
    _elementwise,
) | {
    aten._softmax: _softmax,
    aten._safe_softmax: _softmax,
    aten.native_layer_norm: _layer_norm,
    aten.native_group_norm: _group_norm,
    aten.mm: _product,
    aten.bmm: _product,
    aten.addmm: _added_product,
    aten.baddbmm: _added_product,
    aten.convolution: _convolution,
    aten.cat: _cat,
    aten.stack: _stack,
    aten.sum: _sum,
    aten.avg_pool2d: _pool,
    aten.upsample_nearest2d: _resized,
    aten.flip: _flip,
    aten.pixel_shuffle: _shuffle,
    aten.pixel_unshuffle: _unshuffle,
    aten._fft_r2c: _real_to_complex,
    aten._fft_c2c: _complex_to_complex,
    aten._fft_c2r: _complex_to_real,
    **dict.fromkeys((aten.empty, aten.zeros, aten.ones, aten.rand, aten.randn), _made),
}
