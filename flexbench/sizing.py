"""How large a network is, and the width at which it is as large as FLEX.

Counts are made on the meta device: no memory, no arithmetic. FLOPs count 2 per multiply-add of
convolutions, matrix products and attention (8 per complex one), and Fourier transforms by the usual
`5 N log2 N` for N complex points, half of it for N real ones. Elementwise work is left out.
"""

import inspect
import json
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from flexbench import registry
from flexbench.errors import FlexbenchError
from flexbench.models.joint import OneTask
from flexbench.spec import JointProblem, Network, Problem, ProblemSpec

Match = Literal["parameters", "flops"]
Build = Callable[..., nn.Module]

TOLERANCE = 0.05
_LARGEST_WIDTH = 2**16


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs for one patch: `encode` once per condition, `denoise` at every evaluation.

    Of a network of several tasks, `encode` is the mean over its tasks, as they share a batch.
    """

    encode: int
    denoise: int

    @property
    def forward(self) -> int:
        """One pass of training, and what `match: flops` compares."""
        return self.encode + self.denoise


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Size of a network for one problem.

    parameters: trainable numbers; a complex weight counts as two.
    """

    parameters: int
    flops: Flops

    def measure(self, match: Match) -> int:
        """The number that is matched."""
        return self.parameters if match == "parameters" else self.flops.forward


@dataclass(frozen=True, kw_only=True)
class NetworkSummary:
    """What `build_network` built.

    size: FLEX's size that it is, or was matched to. width: None for FLEX at its size's own.
    reference: footprint of FLEX at `size`, with all its switches on.
    """

    name: str
    size: str
    width: int | None
    match: Match
    footprint: Footprint
    reference: Footprint

    @property
    def ratio(self) -> float:
        """Matched number of this network over FLEX's."""
        return self.footprint.measure(self.match) / self.reference.measure(self.match)


def count_parameters(build: Build, problem: Problem, **options: Any) -> int:
    """Trainable parameters of `build(problem, **options)`."""
    return _parameters(_meta(build, problem, options))


def count_flops(network: nn.Module, problem: Problem) -> Flops:
    """FLOPs of `encode` and of `denoise` for one patch, run on the network's own device."""
    if isinstance(problem, JointProblem):
        counts = [count_flops(OneTask(network, task), own) for task, own in problem.tasks]
        encode = round(sum(count.encode for count in counts) / len(counts))
        return Flops(encode=encode, denoise=counts[0].denoise)
    return _count_flops(network, problem)


def _count_flops(network: nn.Module, problem: ProblemSpec) -> Flops:
    parts, parameter = cast(Network, network), next(network.parameters())
    side = (problem.patch, problem.patch)

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, device=parameter.device, dtype=parameter.dtype)

    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            flow = zeros(1, 1)
            with _counter() as encode:
                encoded = parts.encode(zeros(1, problem.condition_channels, *side), flow)
            with _counter() as denoise:
                parts.denoise(zeros(1, problem.field_channels, *side), zeros(1), flow, encoded)
    finally:
        network.train(training)
    return Flops(encode=int(encode.get_total_flops()), denoise=int(denoise.get_total_flops()))


def footprint(build: Build, problem: Problem, **options: Any) -> Footprint:
    """Parameters and FLOPs of `build(problem, **options)`."""
    network = _meta(build, problem, options)
    return Footprint(parameters=_parameters(network), flops=count_flops(network, problem))


@cache
def reference_size(size: str, problem: Problem) -> Footprint:
    """FLEX's footprint at a size ("XXS" ... "L"), all its switches on."""
    return footprint(registry.load(registry.FLEX).build, problem, size=size)


def solve_width(
    module: ModuleType,
    problem: Problem,
    *,
    target: int,
    match: Match = "parameters",
    options: Mapping[str, Any] | None = None,
    step: int | None = None,
) -> int:
    """The multiple of `step` whose network comes closest to `target`.

    match: what `target` counts, parameters or the FLOPs of one forward pass.
    step: None: `module.WIDTH_STEP`.
    Warns if the closest is more than 5 % off. Raises FlexbenchError if size does not grow with
    width, so that no width can be solved for.
    """
    chosen = json.dumps(dict(options or {}), sort_keys=True)
    return _solve(module, problem, target, match, chosen, step or module.WIDTH_STEP)


def build_network(
    name: str,
    problem: Problem,
    *,
    size: str,
    width: int | None = None,
    match: Match = "parameters",
    narrow: bool = False,
    options: Mapping[str, Any] | None = None,
    dropout: float = 0.0,
    baseline_folders: Sequence[str | Path] = (),
) -> tuple[nn.Module, NetworkSummary]:
    """A network by its file's name, as large as FLEX is at `size` unless `width` is given.

    narrow: of several tasks, the whole network, FLEX too, is as large as FLEX for the first alone.
    Initial weights come from torch's default generator: seed it before (`torch.manual_seed`).
    Raises FlexbenchError for a formula, a task the network cannot do, several tasks where it learns
    only one, `narrow` without several, and an option or a width its `build` does not have.
    """
    facts = registry.facts(name, baseline_folders)
    if facts.formula:
        raise FlexbenchError(f"{name} is a formula ({facts.path}): there is no network to build")
    problems: Iterable[ProblemSpec] = (problem,) if isinstance(problem, ProblemSpec) else ()
    if isinstance(problem, JointProblem):
        registry.require_together(facts)
        problems = problem.by_task.values()
    for own in problems:
        if own.task not in facts.tasks:
            raise FlexbenchError(
                f"{name} cannot do the task '{own.task}'; its TASKS: {', '.join(facts.tasks)}"
            )
    module = registry.load(name, baseline_folders)
    chosen = dict(options or {}) | ({"dropout": dropout} if dropout else {})
    _check_options(name, module.build, chosen)
    reference = reference_size(size, _first(name, problem) if narrow else problem)
    is_flex = name == registry.FLEX
    chosen |= {"size": size} if is_flex else {}
    step = module.SIZES[size].heads if is_flex else module.WIDTH_STEP
    if width is not None and (width < 1 or width % step):
        raise FlexbenchError(f"{name}: width is {width}; allowed: multiples of {step}")
    if width is None and (narrow or not is_flex):
        target = reference.measure(match)
        width = solve_width(module, problem, target=target, match=match, options=chosen, step=step)
    chosen["width"] = width
    summary = NetworkSummary(
        name=name,
        size=size,
        width=width,
        match=match,
        footprint=footprint(module.build, problem, **chosen),
        reference=reference,
    )
    return module.build(problem, **chosen), summary


def _first(name: str, problem: Problem) -> ProblemSpec:
    """The first of several tasks, whose FLEX `narrow` takes as the measure."""
    if isinstance(problem, JointProblem):
        return problem.tasks[0][1]
    raise FlexbenchError(f"{name}: narrow is for several tasks; found '{problem.task}' alone")


def _check_options(name: str, build: Build, options: Mapping[str, Any]) -> None:
    parameters = inspect.signature(build).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    allowed = [parameter.name for parameter in parameters][1:]
    allowed = [option for option in allowed if option not in ("width", "size")]
    for option in options:
        if option not in allowed:
            raise FlexbenchError(
                f"{name}: unknown option '{option}'; allowed: {', '.join(allowed) or 'none'}"
            )


@cache
def _solve(
    module: ModuleType, problem: Problem, target: int, match: Match, options: str, step: int
) -> int:
    chosen = json.loads(options)
    name = Path(module.__file__ or module.__name__).name

    @cache
    def measure(width: int) -> int:
        if match == "parameters":
            return count_parameters(module.build, problem, width=width, **chosen)
        return footprint(module.build, problem, width=width, **chosen).measure(match)

    low, high = step, step
    while measure(high) < target:
        low, high = high, 2 * high
        if high > _LARGEST_WIDTH or measure(high) <= measure(low):
            raise FlexbenchError(
                f"{name}: width {low} has {measure(low)} {match} and {high} has {measure(high)}; "
                f"they must grow with the width to reach {target}"
            )
    while high - low > step:
        middle = (low + high) // (2 * step) * step
        low, high = (middle, high) if measure(middle) < target else (low, middle)
    width = min((low, high), key=lambda candidate: abs(measure(candidate) - target))
    off = measure(width) / target - 1
    if abs(off) > TOLERANCE:
        warnings.warn(
            f"{name}: no width comes within {TOLERANCE:.0%} of {target} {match}; "
            f"the nearest, {width}, has {measure(width)} ({off:+.1%})",
            stacklevel=3,
        )
    return width


def _meta(build: Build, problem: Problem, options: Mapping[str, Any]) -> nn.Module:
    """The network without memory."""
    with torch.device("meta"):
        return build(problem, **options)


def _parameters(network: nn.Module) -> int:
    return sum(
        parameter.numel() * (2 if parameter.is_complex() else 1)
        for parameter in network.parameters()
        if parameter.requires_grad
    )


def _counter() -> FlopCounterMode:
    aten = torch.ops.aten
    return FlopCounterMode(
        display=False,
        custom_mapping={
            aten.mm: _product_flops,
            aten.bmm: _product_flops,
            aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
            aten._fft_r2c: _real_to_complex_flops,
            aten._fft_c2r: _complex_to_real_flops,
            aten._fft_c2c: _complex_to_complex_flops,
        },
    )


def _product_flops(left: Tensor, right: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    """(..., n, k) times (..., k, m): a complex multiply-add is four real ones."""
    return (8 if left.is_complex() else 2) * out_val.numel() * left.shape[-1]


def _attention_flops(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """The CPU's own kernel, which torch's counter does not know: scores, then mixed values."""
    return 2 * query.numel() * key.shape[-2] + 2 * query[..., 0].numel() * value[0, 0].numel()


def _real_to_complex_flops(x: Tensor, dims: list[int], *_: Any, **__: Any) -> int:
    return _fft_flops(x, dims) // 2


def _complex_to_real_flops(x: Tensor, dims: list[int], *_: Any, out_val: Tensor, **__: Any) -> int:
    return _fft_flops(out_val, dims) // 2


def _complex_to_complex_flops(x: Tensor, dims: list[int], *_: Any, **__: Any) -> int:
    return _fft_flops(x, dims)


def _fft_flops(x: Tensor, dims: list[int]) -> int:
    """5 N log2 N for each of the transforms over `dims`, N points each."""
    points = math.prod(x.shape[dim] for dim in dims)
    return round(5 * x.numel() * math.log2(points))


for _formula in (
    _product_flops,
    _attention_flops,
    _real_to_complex_flops,
    _complex_to_real_flops,
    _complex_to_complex_flops,
):
    _formula.__dict__["_get_raw"] = True  # the counter then hands over tensors, not their shapes
