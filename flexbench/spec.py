"""Vocabulary shared by every layer: what a problem is and what a network must offer.

Tensor letters: B batch, K past snapshots, C channels, H W grid, M ensemble members.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flexbench.errors import FlexbenchError

if TYPE_CHECKING:
    from torch import Tensor

# What bounds a flow, and what is looked at in it: vorticity, or a velocity derived from it.
Boundary = Literal["periodic", "free_slip", "no_slip"]
Observable = Literal["w", "u", "v"]

# The coarsest grid of a no-slip channel: each half of its wall is one point thick.
NO_SLIP_GRID = 64
# The Courant number up to which the integrator is stable.
STABLE_COURANT = 1.35
# Time steps, in points' spacings, beyond which it is not, whatever the flow (in any initial field
# |u| + |v| is 3 somewhere), and that penalised walls are stable with at most.
UNSTABLE_STEP, NO_SLIP_STEP = STABLE_COURANT / 3, 0.2


def kept_wavenumber(points: int) -> int:
    """K: the largest that a grid keeps, two thirds of those that it has, against aliasing."""
    return (points - 1) // 3


def smallest_grid(peak: float) -> int:
    """The coarsest even grid that holds the initial spectrum of this peak k0: up to 2 k0, where a
    sixth of the energy lies beyond."""
    points = 3 * math.ceil(2 * peak) + 1
    return points + points % 2


def spectrum_misfit(points: int, peak: float) -> str | None:
    """What is wrong where a grid is too coarse for the initial spectrum; None: it is not."""
    if points >= smallest_grid(peak):
        return None
    return (
        f"solver.grid ({points}) keeps wavenumbers up to {kept_wavenumber(points)}; twice "
        f"solver.peak_wavenumber ({peak:g}) must be among them: a grid of at least "
        f"{smallest_grid(peak)}"
    )


# Re is given to networks as a fraction of this (the paper's normalisation).
REYNOLDS_SCALE = 40_000.0

# A training step is a forward pass and a backward pass of twice its FLOPs.
TRAINING_PASSES = 3


@dataclass(frozen=True, kw_only=True)
class ProblemSpec:
    """All that a network has to know of a task before it is built.

    task: kind of task, "superres" or "forecast".
    condition_channels: channels of the condition (1 low-resolution field; K past snapshots).
    field_channels: channels of the residual that is generated.
    patch: height and width of the square fields the network sees.
    periodic: whether the fields that patches are cut from go on beyond their edges.
    """

    task: str
    condition_channels: int
    patch: int
    field_channels: int = 1
    periodic: bool = True


@dataclass(frozen=True, kw_only=True)
class JointProblem:
    """The problems of several tasks that one network learns together.

    tasks: (name of the task, its problem), in the order in which they share a batch. Names are
    those of the configuration, so two tasks may be of one kind.
    Raises FlexbenchError unless there are two or more, each named once, of one patch, with
    residuals of as many channels, of fields that are all periodic or all not.
    """

    tasks: tuple[tuple[str, ProblemSpec], ...]

    def __post_init__(self) -> None:
        if len(self.tasks) < 2 or len(self.by_task) < len(self.tasks):
            found = ", ".join(self.names) or "none"
            raise FlexbenchError(f"together: found {found}; allowed: two different tasks or more")
        for key in ("patch", "field_channels", "periodic"):
            values = {name: getattr(problem, key) for name, problem in self.tasks}
            if len(set(values.values())) > 1:
                told = ", ".join(f"{name} {value}" for name, value in values.items())
                raise FlexbenchError(f"together: {key} differs: {told}; allowed: one for all tasks")

    @classmethod
    def of(cls, problems: Mapping[str, ProblemSpec]) -> "JointProblem":
        """From the problem of each task."""
        return cls(tasks=tuple(problems.items()))

    @property
    def by_task(self) -> dict[str, ProblemSpec]:
        return dict(self.tasks)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.tasks)

    @property
    def patch(self) -> int:
        return self.tasks[0][1].patch

    @property
    def field_channels(self) -> int:
        return self.tasks[0][1].field_channels

    @property
    def periodic(self) -> bool:
        return self.tasks[0][1].periodic


# What a network is built for.
Problem = ProblemSpec | JointProblem


def problem_facts(problem: Problem) -> dict[str, Any]:
    """The problem as a JSON-like mapping; of a joint one, a mapping for each task."""
    if isinstance(problem, JointProblem):
        return {name: asdict(own) for name, own in problem.tasks}
    return asdict(problem)


def problem_of(facts: Mapping[str, Any]) -> Problem:
    """The problem that `problem_facts` wrote down."""
    if "task" in facts and not isinstance(facts["task"], Mapping):
        return ProblemSpec(**facts)
    return JointProblem.of({name: ProblemSpec(**own) for name, own in facts.items()})


class Network(Protocol):
    """A backbone: the same three methods whether it runs as a denoiser or as a regressor.

    All are called by position, so a file may name its parameters as it likes. `re` is the flow
    parameter, Re / REYNOLDS_SCALE.
    """

    def encode(self, condition: "Tensor", re: "Tensor") -> "list[Tensor]":
        """Features of the condition (B,Cc,H,W) and re (B,1), batch first in every tensor.

        Never sees the diffusion time or the noise, so it runs once per condition.
        """
        ...

    def denoise(
        self, noisy: "Tensor", t: "Tensor", re: "Tensor", encoded: "list[Tensor]"
    ) -> "Tensor":
        """Velocity (B,C,H,W) at diffusion time t (B,) of noisy (B,C,H,W)."""
        ...

    def forward(self, noisy: "Tensor", t: "Tensor", re: "Tensor", condition: "Tensor") -> "Tensor":
        """encode, then denoise: what training (and DDP) calls."""
        ...


class JointNetwork(Network, Protocol):
    """A network of several tasks (a file with `TOGETHER = True` builds one for a JointProblem)."""

    def encode(self, condition: "Tensor", re: "Tensor", task: str = ...) -> "list[Tensor]":
        """The same, by the encoder of a task; `denoise` takes the features of any of them."""
        ...

    def forward(
        self,
        noisy: "Tensor",
        t: "Tensor",
        re: "Tensor",
        condition: "Tensor | Mapping[str, Tensor]",
    ) -> "Tensor":
        """encode each task's condition, then denoise all rows at once, in the mapping's order."""
        ...
