"""Networks as large as FLEX: the width that makes them so, and what is built at it."""

import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Required, TypedDict, Unpack

from torch import nn

from flexbench import registry
from flexbench.errors import FlexbenchError
from flexbench.sizing.counting import (
    Build,
    check_network,
    footprint_of,
    parameters_of,
    size_of,
    weightless,
)
from flexbench.sizing.crossing import NoGrowthError, crossing
from flexbench.sizing.sizes import SAME_SIZE, Footprint, Match, NetworkSize
from flexbench.spec import JointProblem, Problem, ProblemSpec

_LARGEST_WIDTH = 2**16

# The width last found for a file: for its next problem it is often the same again.
_last_width: dict[tuple[Build, int, Match, str, int], int] = {}


class Wanted(TypedDict, total=False):
    """How large a network shall be, and what else its file is told.

    size: FLEX's size that it is, or is matched to. width: instead of the one that matches.
    narrow: of several tasks, the whole network, FLEX too, is as large as FLEX for the first alone.
    dropout: an option too, where it is not 0.
    """

    size: Required[str]
    width: int | None
    match: Match
    narrow: bool
    options: Mapping[str, Any] | None
    dropout: float
    baseline_folders: Sequence[str | Path]


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


@dataclass(frozen=True)
class _Design:
    """A network that can be built: everything that its file's `build` is told, its width too."""

    build: Build
    problem: Problem
    options: Mapping[str, Any]

    def weightless(self) -> nn.Module:
        return _weightless(self.build, self.problem, _as_key(self.options))

    def checked(self) -> nn.Module:
        """The same; FlexbenchError unless it has the methods of a network."""
        network = self.weightless()
        check_network(self.build, network)
        return network


def build_network(
    name: str, problem: Problem, **wanted: Unpack[Wanted]
) -> tuple[nn.Module, NetworkSummary]:
    """A network by its file's name, as large as FLEX is at `size` unless `width` is given.

    Initial weights come from torch's default generator: seed it before (`torch.manual_seed`).
    Raises FlexbenchError for a formula, a task the network cannot do, several tasks where it learns
    only one, `narrow` without several, and an option or a width its `build` does not have.
    """
    design = _design(name, problem, wanted)
    summary = NetworkSummary(
        name=name,
        size=wanted["size"],
        width=design.options["width"],
        match=wanted.get("match", "parameters"),
        footprint=footprint_of(design.checked(), problem),
        reference=reference_size(wanted["size"], _measure_of(name, problem, wanted)),
    )
    return design.build(problem, **design.options), summary


def network_size(name: str, problem: Problem, **wanted: Unpack[Wanted]) -> NetworkSize:
    """The size of what `build_network` would build, which needs no memory. Raises like it."""
    return size_of(_design(name, problem, wanted).checked(), problem)


@cache
def reference_size(size: str, problem: Problem) -> Footprint:
    """FLEX's footprint at a size ("XXS" ... "L"), all its switches on."""
    return footprint_of(_flex(size, problem), problem)


@cache
def _reference(size: str, problem: Problem, match: Match) -> int:
    """The number that is matched, of FLEX; its parameters are counted without running it."""
    if match == "parameters":
        return parameters_of(_flex(size, problem))
    return reference_size(size, problem).measure(match)


def _flex(size: str, problem: Problem) -> nn.Module:
    options = {"size": size, "width": None}
    return _Design(registry.load(registry.FLEX).build, problem, options).weightless()


def _design(name: str, problem: Problem, wanted: Wanted) -> _Design:
    size, match = wanted["size"], wanted.get("match", "parameters")
    module = _module(name, problem, wanted.get("baseline_folders", ()))
    dropout = wanted.get("dropout", 0.0)
    options = dict(wanted.get("options") or {}) | ({"dropout": dropout} if dropout else {})
    _check_options(name, module.build, options)
    # Before all that asks for FLEX's size: FLEX tells best that it does not have it.
    target = _reference(size, _measure_of(name, problem, wanted), match)
    is_flex = name == registry.FLEX
    options |= {"size": size} if is_flex else {}
    step = module.SIZES[size].heads if is_flex else module.WIDTH_STEP
    width = wanted.get("width")
    if width is not None and (width < 1 or width % step):
        raise FlexbenchError(f"{name}: width is {width}; allowed: multiples of {step}")
    if width is None and (wanted.get("narrow") or not is_flex):
        width = solve_width(module, problem, target=target, match=match, options=options, step=step)
    return _Design(module.build, problem, options | {"width": width})


def _module(name: str, problem: Problem, folders: Sequence[str | Path]) -> ModuleType:
    """The network's file, which can do the problem."""
    facts = registry.facts(name, folders)
    if facts.formula:
        raise FlexbenchError(f"{name} is a formula ({facts.path}): there is no network to build")
    problems = [problem] if isinstance(problem, ProblemSpec) else problem.by_task.values()
    if isinstance(problem, JointProblem):
        registry.require_together(facts)
    for own in problems:
        if own.task not in facts.tasks:
            raise FlexbenchError(
                f"{name} cannot do the task '{own.task}'; its TASKS: {', '.join(facts.tasks)}"
            )
    return registry.load(name, folders)


def _measure_of(name: str, problem: Problem, wanted: Wanted) -> Problem:
    """The problem for which FLEX is the measure; with `narrow` the first of several tasks."""
    if not wanted.get("narrow"):
        return problem
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
    return _solve(module, problem, target, match, _as_key(options), step or module.WIDTH_STEP)


@cache
def _solve(
    module: ModuleType, problem: Problem, target: int, match: Match, options: str, step: int
) -> int:
    name = Path(module.__file__ or module.__name__).name

    @cache
    def measure(width: int) -> int:
        design = _Design(module.build, problem, json.loads(options) | {"width": width})
        network = design.weightless()
        if match == "parameters":
            return parameters_of(network)
        return footprint_of(network, problem).measure(match)

    kind = (module.build, problem.patch, match, options, step)
    try:
        near = _last_width.get(kind)
        pair = crossing(measure, target, step=step, largest=_LARGEST_WIDTH, near=near)
    except NoGrowthError as error:
        low, high = error.low, error.high
        raise FlexbenchError(
            f"{name}: width {low} has {measure(low)} {match} and {high} has {measure(high)}; "
            f"they must grow with the width to reach {target}"
        ) from None
    width = min(pair, key=lambda candidate: abs(measure(candidate) - target))
    _last_width[kind] = width
    off = measure(width) / target - 1
    if abs(off) > SAME_SIZE:
        warnings.warn(
            f"{name}: no width comes within {SAME_SIZE:.0%} of {target} {match}; "
            f"the nearest, {width}, has {measure(width)} ({off:+.1%})",
            stacklevel=3,
        )
    return width


def _as_key(options: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(options or {}), sort_keys=True)


@lru_cache(maxsize=8)
def _weightless(build: Build, problem: Problem, options: str) -> nn.Module:
    """Kept for a while: the search for a width ends at a network that it has built."""
    return weightless(build, problem, **json.loads(options))
