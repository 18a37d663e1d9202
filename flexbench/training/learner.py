"""One optimiser step, and everything that it changes: weights, their average, the optimiser."""

import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from flexbench.config import TrainSettings
from flexbench.diffusion.loss import Streams, Timed, spread_times
from flexbench.errors import FlexbenchError
from flexbench.methods import Method
from flexbench.models.layout import Layout, fastest, lay_out
from flexbench.seeding import Name, generator, stream_seed
from flexbench.spec import JointProblem
from flexbench.tasks.base import Example
from flexbench.tasks.joint import JointExample
from flexbench.training.batches import MicroBatch
from flexbench.training.distributed import Processes, gradients_kept_local
from flexbench.training.ema import WeightAverage
from flexbench.training.optim import learning_rate, make_optimizer, set_learning_rate
from flexbench.training.state import TrainingState, load_optimizer_state, optimizer_state


class ExampleSource(Protocol):
    """What training needs of a task (`tasks.base.Task`) or of several (`tasks.joint.JointTask`)."""

    def example(self, windows: Any) -> Example | JointExample: ...


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """After `step` steps: the last one's loss, gradient norm before clipping, and rate.

    stopping: whether any process was asked to stop.
    """

    step: int
    loss: float
    grad_norm: float
    rate: float
    stopping: bool


class Learner:
    """A method being trained by one of `processes`. `step` counts the optimiser steps done."""

    def __init__(
        self,
        method: Method,
        task: ExampleSource,
        *,
        settings: TrainSettings,
        seed: int,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.network = method.network.to(device).train()
        self.average = WeightAverage(self.network, settings.ema)
        self.optimizer = make_optimizer(self.network.parameters(), settings)
        self.layout: Layout = "contiguous"
        self.without_gradient: list[str] = []
        self.step = 0
        self._method = method
        self._task = task
        problem = method.problem
        self._names = problem.names if isinstance(problem, JointProblem) else ()
        self._settings = settings
        self._seed = seed
        self._device = device
        self._processes = processes

    @property
    def tasks(self) -> int:
        """How many tasks share a batch."""
        return max(1, len(self._names))

    @property
    def parameters(self) -> int:
        """Number of values in the network's parameters; buffers are not counted."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def find_parameters_without_gradient(self, batch: MicroBatch) -> None:
        """Note the names of trainable parameters that a backward pass does not reach."""
        self._loss(self._method, batch).backward()
        self.without_gradient = [
            name
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad and parameter.grad is None
        ]
        self.network.zero_grad(set_to_none=True)

    def lay_out(self, layout: Layout) -> None:
        """Bring the network and its average to a layout (before the first step)."""
        self.layout = layout
        lay_out(self.network, layout)
        self.average.lay_out(layout)

    def fastest_layout(self, batch: MicroBatch, layouts: Sequence[Layout]) -> Layout:
        """The layout whose step is measured to be the fastest; the main process's for all."""

        def seconds(layout: Layout) -> float:
            lay_out(self.network, layout)
            start = self._clock()
            self._loss(self._method, batch).backward()
            elapsed = self._clock() - start
            self.network.zero_grad(set_to_none=True)
            return elapsed

        return self._processes.share(fastest(seconds, layouts))

    def assemble(self) -> None:
        """Compile the network and join it to the other processes' (before the first step)."""
        if self._settings.compile:
            self.network.compile()
        wrapped = self._processes.wrap(
            self.network, device=self._device, unused=bool(self.without_gradient)
        )
        self._method = dataclasses.replace(self._method, network=wrapped)

    def advance(self, batches: list[MicroBatch], *, stop: bool) -> StepResult:
        """One optimiser step; FlexbenchError, and no change, if it is no longer finite."""
        rate = learning_rate(self.step, self._settings)
        self.network.zero_grad(set_to_none=True)
        loss, stopping = self._processes.mean_and_any(
            self._gradients(batches), stop, device=self._device
        )
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), self._settings.clip_norm or math.inf
        )
        result = StepResult(
            step=self.step + 1, loss=loss, grad_norm=float(norm), rate=rate, stopping=stopping
        )
        self._check_finite(result)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.step()
        self.average.update()
        self.step += 1
        return result

    @torch.no_grad()
    def validation_loss(self, batches: Iterable[MicroBatch]) -> float:
        """Mean loss of the averaged weights on fixed patches with fixed noise, without dropout."""
        method = dataclasses.replace(self._method, network=self.network)
        self.network.eval()
        try:
            with self.average.in_place():
                losses = [float(self._loss(method, batch, validating=True)) for batch in batches]
        finally:
            self.network.train()
        return sum(losses) / len(losses)

    def capture(self, digest: str) -> TrainingState:
        """The state as it is now; its tensors are the learner's own, so save it at once."""
        return TrainingState(
            step=self.step,
            seed=self._seed,
            digest=digest,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            average_updates=self.average.updates,
            optimizer=optimizer_state(self.optimizer, self.network),
            layout=self.layout,
            parameters_without_gradient=self.without_gradient,
        )

    def restore(self, state: TrainingState) -> None:
        """Become what `capture` saw."""
        self.lay_out(state.layout)
        self.network.load_state_dict(state.network)
        self.average.load(state.average, state.average_updates)
        load_optimizer_state(self.optimizer, self.network, state.optimizer)
        self.without_gradient = list(state.parameters_without_gradient)
        self.step = state.step

    def _gradients(self, batches: list[MicroBatch]) -> Tensor:
        """Mean loss of the micro-batches; their mean gradient is left in the parameters."""
        total = torch.zeros((), device=self._device)
        with gradients_kept_local(self._method.network):
            for batch in batches[:-1]:
                total += self._backward(batch, share=1 / len(batches))
        return total + self._backward(batches[-1], share=1 / len(batches))

    def _backward(self, batch: MicroBatch, *, share: float) -> Tensor:
        loss = self._loss(self._method, batch) * share
        loss.backward()
        return loss.detach()

    def _loss(self, method: Method, batch: MicroBatch, *, validating: bool = False) -> Tensor:
        """The method's loss of one micro-batch, all its randomness found by step and row."""
        stream: tuple[Name, ...] = (self._seed, "train", self.step)
        if validating:
            stream = ("validation",)
        self._seed_dropout(stream_seed(*stream, "dropout", batch.rows.start))
        example = self._task.example(batch.windows.to(self._device))
        rows: list[tuple[Name, ...]] = [(row,) for row in batch.rows]
        if self._names:
            rows = [(name, *row) for name in self._names for row in rows]
        own = [generator(*stream, *row) for row in rows]
        streams: Streams = own
        if method.settings.times == "spread" and not validating:
            streams = Timed(own, self._spread_times(batch.rows))
        with self._precision():
            return method.loss(example, streams)

    def _spread_times(self, rows: range) -> Tensor:
        """Times of these rows of this step, of each task by a start of its own."""
        names: list[tuple[Name, ...]] = [(name,) for name in self._names] or [()]
        count = self._settings.batch // self.tasks
        starts = [generator(self._seed, "t", self.step, *name) for name in names]
        return torch.cat(
            [
                spread_times(float(torch.rand((), generator=start)), rows, count=count)
                for start in starts
            ]
        )

    def _seed_dropout(self, number: int) -> None:
        """Dropout knows only the global generators, which the training forked for itself.

        Not torch.manual_seed: it looks for every kind of device, which costs a millisecond.
        """
        torch.default_generator.manual_seed(number)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _clock(self) -> float:
        """Seconds: of this thread's own work where it does all, so that neighbours do not count."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        alone = self._device.type == "cpu" and torch.get_num_threads() == 1
        return time.thread_time() if alone else time.perf_counter()

    @contextmanager
    def _precision(self) -> Iterator[None]:
        enabled = self._settings.precision == "bfloat16"
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=enabled):
            yield

    def _check_finite(self, result: StepResult) -> None:
        if math.isfinite(result.loss) and math.isfinite(result.grad_norm):
            return
        raise FlexbenchError(
            f"training: step {result.step}: loss {result.loss:g}, gradient norm "
            f"{result.grad_norm:g} is not finite; nothing was overwritten. Try a smaller "
            f"train.learning_rate (found {self._settings.learning_rate:g}) or a longer warm-up"
        )
