"""A training that is done once more, to look at its gradients on the way."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from flexbench.config import TrainSettings
from flexbench.methods import Method
from flexbench.models.layout import Layout
from flexbench.theory.noise import gradient_noise
from flexbench.training.batches import Batches, PatchSource
from flexbench.training.distributed import Processes
from flexbench.training.learner import ExampleSource, Learner
from flexbench.training.log import Narrator

# A training begins here as it does there, to the bit.
from flexbench.training.loop import _layouts_to_try, _own_threads_and_generators, _start

# Parts of all steps after which gradients are looked at.
MOMENTS = (0.1, 0.5, 1.0)


class Observed(Learner):
    """A learner whose gradients can be looked at; what it learns is the same."""

    def gradients(self, batches: Batches, *, count: int) -> Iterator[Tensor]:
        """Gradients (P,) of so many batches, whole, at the weights as they are.

        They are the batches that would follow the training's last one: of no step, and the same at
        every moment.
        """
        step, buffers = self.step, [buffer.clone() for buffer in self.network.buffers()]
        for number in range(count):
            self.step = self._settings.steps + number
            self.network.zero_grad(set_to_none=True)
            self._gradients(batches.take(self.step))
            yield torch.cat(
                [
                    (torch.zeros_like(it) if it.grad is None else it.grad).flatten()
                    for it in self.network.parameters()
                ]
            )
        self.step = step
        self.network.zero_grad(set_to_none=True)
        for buffer, former in zip(self.network.buffers(), buffers, strict=True):
            buffer.copy_(former)


def observe(
    method: Method,
    sampler: PatchSource,
    task: ExampleSource,
    *,
    settings: TrainSettings,
    seed: int,
    count: int,
    device: torch.device,
    threads: int,
    layouts: Sequence[Layout],
    step_flops: float,
) -> tuple[list[dict[str, Any]], Observed]:
    """Train as `training.loop.train` does, and look at `count` batches at each of MOMENTS.

    Returns what `tables.GRADIENTS` has of each moment, but for the training's names, and the
    learner after its last step. One process does the work of all, whose shares of a batch are its
    micro-batches: beyond rounding the sums are the same.
    """
    alone = settings.model_copy(
        update={"processes": 1, "accumulate": settings.accumulate * settings.processes}
    )
    rows = []
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(_own_threads_and_generators(device, threads=threads))
        narrator = enter(Narrator(steps=settings.steps, live=False, quiet=False))
        processes = Processes()
        learner = Observed(
            method, task, settings=alone, seed=seed, device=device, processes=processes
        )
        batches = enter(
            Batches(
                sampler, settings=alone, processes=processes, device=device, tasks=learner.tasks
            )
        )
        tried = _layouts_to_try(settings, layouts, step_flops=step_flops, device=device)
        _start(learner, batches, None, narrator, layouts=tried)
        while learner.step < settings.steps:
            learner.advance(batches.take(learner.step), stop=False)
            for moment in MOMENTS:
                if learner.step == max(1, round(moment * settings.steps)):
                    gradients = learner.gradients(batches, count=count)
                    found = gradient_noise(gradients, batch=settings.batch)
                    rows.append(
                        {
                            "moment": moment,
                            "step": learner.step,
                            "batches": count,
                            "squared_norm": found.squared_norm,
                            "trace": found.trace,
                            "noise_scale": found.scale,
                        }
                    )
    return rows, learner
