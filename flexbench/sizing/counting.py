"""How large a network is: its parameters, its FLOPs, what it takes in a file and in memory.

FLOPs count 2 per multiply-add of convolutions, matrix products and attention (8 per complex one),
and Fourier transforms by the usual `5 N log2 N` for N complex points, half of it for N real ones.
Elementwise work is left out. A network without memory (on the meta device) is counted without
arithmetic.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from flexbench import user_code
from flexbench.errors import FlexbenchError
from flexbench.models.joint import OneTask
from flexbench.sizing.shapes import META, result
from flexbench.sizing.sizes import Flops, Footprint, NetworkSize
from flexbench.spec import JointProblem, Network, Problem

Build = Callable[..., nn.Module]

# A checkpoint's own description of itself (configuration slice, problem, footprint, ...).
METADATA_BYTES = 2600


class Operations(TorchDispatchMode):
    """Counts the FLOPs of what torch does inside. shapes: it is not done, see `shapes.result`."""

    def __init__(self, *, shapes: bool):
        super().__init__()
        self.flops = 0
        self._shapes = shapes

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would load its compiler at the first operation, to keep it out of this class."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = result(func, args, kwargs) if self._shapes else func(*args, **kwargs)
        formula = _formula(func)
        if formula is not None:
            self.flops += int(formula(*args, **kwargs, out_val=out))
        return out


def weightless(build: Build, problem: Problem, **options: Any) -> nn.Module:
    """The network without memory, its initial weights not drawn.

    Raises FlexbenchError, with the place of `build`, where that gives no network.
    """
    limit = user_code.within_time(user_code.file_of(build), "building the network")
    with Operations(shapes=True), _nothing_drawn(), limit:
        network = user_code.call(build, problem, **options)
    if not isinstance(network, nn.Module):
        raise user_code.misreturned(build, network, wanted="a torch.nn.Module")
    if not all(it.is_meta for it in (*network.parameters(), *network.buffers())):
        network.to(META)  # what was made of given numbers
    return network


def check_network(build: Build, network: nn.Module) -> None:
    """FlexbenchError unless what was built has all that is asked of a network."""
    lacking = [name for name in ("encode", "denoise") if not callable(getattr(network, name, None))]
    if type(network).forward is nn.Module.forward:
        lacking.append("forward")
    if next(network.parameters(), None) is None:
        lacking.append("any parameter")
    if lacking:
        raise FlexbenchError(
            f"{user_code.place(build)}: build returned a {type(network).__name__} without "
            f"{', '.join(lacking)}"
        )


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    """Initialising takes a third of the time of building, even where it fills no memory."""
    names = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    drawing = {name: getattr(nn.init, name) for name in names}
    try:
        for name in names:
            setattr(nn.init, name, lambda tensor, *_, **__: tensor)
        yield
    finally:
        for name, function in drawing.items():
            setattr(nn.init, name, function)


def count_parameters(build: Build, problem: Problem, **options: Any) -> int:
    """Trainable parameters of `build(problem, **options)`."""
    return parameters_of(weightless(build, problem, **options))


def parameters_of(network: nn.Module) -> int:
    """Trainable parameters of a network."""
    return sum(
        parameter.numel() * (2 if parameter.is_complex() else 1)
        for parameter in network.parameters()
        if parameter.requires_grad
    )


def count_flops(network: nn.Module, problem: Problem) -> Flops:
    """FLOPs of `encode` and of `denoise` for one patch, run on the network's own device."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return _run_patch(network, problem)
    finally:
        network.train(training)


def footprint(build: Build, problem: Problem, **options: Any) -> Footprint:
    """Parameters and FLOPs of `build(problem, **options)`."""
    return footprint_of(weightless(build, problem, **options), problem)


def footprint_of(network: nn.Module, problem: Problem) -> Footprint:
    """Parameters and FLOPs of a network."""
    return Footprint(parameters=parameters_of(network), flops=count_flops(network, problem))


def size_of(network: nn.Module, problem: Problem) -> NetworkSize:
    """All that is counted of a network without memory, in one pass as training makes it."""
    known = {_storage(tensor) for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in known:
            kept[_storage(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        flops = _run_patch(network.train(), problem)
    state = network.state_dict()
    return NetworkSize(
        parameters=parameters_of(network),
        state_bytes=sum(tensor.nbytes for tensor in state.values()),
        header_bytes=_header_bytes({name: tuple(it.shape) for name, it in state.items()}),
        encode=flops.encode,
        denoise=flops.denoise,
        saved_bytes=sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        // len(_by_name(problem)),
    )


def _by_name(problem: Problem) -> dict[str, Any]:
    """The problems that one network has, by the names that it knows them by."""
    return problem.by_task if isinstance(problem, JointProblem) else {problem.task: problem}


def _run_patch(network: nn.Module, problem: Problem) -> Flops:
    """Encode a patch of each task, then denoise all of them at once, as a training step does."""
    parameter = next(network.parameters())
    shapes, rows = parameter.is_meta, len(_by_name(problem))

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, device=parameter.device, dtype=parameter.dtype)

    side, parts = (problem.patch, problem.patch), []
    with Operations(shapes=shapes) as encode:
        re = zeros(rows, 1)
        for (name, own), its in zip(_by_name(problem).items(), re.split(1), strict=True):
            part = cast(Network, OneTask(network, name) if rows > 1 else network)
            features = user_code.call(part.encode, zeros(1, own.condition_channels, *side), its)
            parts.append(_checked_features(network, features))
    with Operations(shapes=shapes) as denoise:
        encoded = [torch.cat(it) for it in zip(*parts, strict=True)] if rows > 1 else parts[0]
        noisy, t = zeros(rows, problem.field_channels, *side), zeros(rows)
        denoise_ = cast(Network, network).denoise
        found = user_code.call(denoise_, noisy, t, re, encoded)
    user_code.require_like(denoise_, found, noisy)
    return Flops(encode=round(encode.flops / rows), denoise=denoise.flops // rows)


def _checked_features(network: nn.Module, found: Any) -> list[Tensor]:
    """What `encode` returned of one condition; FlexbenchError unless it is as its contract says."""
    tensors = isinstance(found, list | tuple) and all(isinstance(it, Tensor) for it in found)
    if not tensors or any(it.ndim == 0 or len(it) != 1 for it in found):
        wanted = "a list of tensors, each with the batch (here 1) first"
        raise user_code.misreturned(cast(Network, network).encode, found, wanted=wanted)
    return list(found)


def _storage(tensor: Tensor) -> int:
    """A name for a tensor's storage, which views share; one without memory has no address."""
    return int(cast(Any, tensor).untyped_storage()._cdata)


def _header_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    """Of a safetensors file: its table of tensors, and what a checkpoint says of itself."""
    offset, table = 0, {}
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return 8 + len(json.dumps(table, separators=(",", ":"))) + METADATA_BYTES


# --- FLOPs of an operation ------------------------------------------------------------------


@cache
def _formula(func: Any) -> Callable[..., float] | None:
    """The FLOPs of an operation, of its arguments and its result `out_val`; None: elementwise."""
    from torch.utils.flop_counter import flop_registry

    packet = func._overloadpacket
    return _FORMULAS.get(packet) or flop_registry.get(packet)


def _product(left: Tensor, right: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    """(..., n, k) times (..., k, m): a complex multiply-add is four real ones."""
    return (8 if left.is_complex() else 2) * out_val.numel() * left.shape[-1]


def _added_product(_: Tensor, left: Tensor, right: Tensor, *, out_val: Tensor, **__: Any) -> int:
    return _product(left, right, out_val=out_val)


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    *_: Any,
    out_val: Tensor,
    **__: Any,
) -> int:
    """Every weight acts on every point, of the result or, transposed, of what is given."""
    points = x if transposed else out_val
    return 2 * weight.numel() * (points.numel() // points.shape[1])


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """The CPU's own kernel, which torch's counter does not know: scores, then mixed values."""
    return 2 * query.numel() * key.shape[-2] + 2 * query[..., 0].numel() * value[0, 0].numel()


def _real_to_complex(x: Tensor, dims: list[int], *_: Any, **__: Any) -> int:
    return _transform(x, dims) // 2


def _complex_to_real(x: Tensor, dims: list[int], *_: Any, out_val: Tensor, **__: Any) -> int:
    return _transform(out_val, dims) // 2


def _complex_to_complex(x: Tensor, dims: list[int], *_: Any, **__: Any) -> int:
    return _transform(x, dims)


def _transform(x: Tensor, dims: list[int]) -> int:
    """5 N log2 N for each of the transforms over `dims`, N points each."""
    points = math.prod(x.shape[dim] for dim in dims)
    return round(5 * x.numel() * math.log2(points))


_FORMULAS: dict[Any, Callable[..., float]] = {
    torch.ops.aten.mm: _product,
    torch.ops.aten.bmm: _product,
    torch.ops.aten.addmm: _added_product,
    torch.ops.aten.baddbmm: _added_product,
    torch.ops.aten.convolution: _convolution,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._fft_r2c: _real_to_complex,
    torch.ops.aten._fft_c2r: _complex_to_real,
    torch.ops.aten._fft_c2c: _complex_to_complex,
}
