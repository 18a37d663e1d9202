"""Optimisers and the learning rate of every step."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from flexbench.config import TrainSettings


class _Uncompiled(torch.optim.Optimizer):
    """An optimiser's bookkeeping as torch has it, without what keeps torch's compiler off it.

    That are wrappers which import the compiler first: over a second of a processor, and memory, in
    every training. Only networks are compiled here, and none of them calls an optimiser.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class _AdamW(_Uncompiled, torch.optim.AdamW):
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class Lion(_Uncompiled):
    """Lion (Chen et al., arXiv 2302.06675, algorithm 2), weight decay decoupled.

    With gradient g, momentum m (zero at first), learning rate r and decay w:

        p <- (1 - r w) p - r sign(b1 m + (1 - b1) g)
        m <- b2 m + (1 - b2) g

    A parameter without a gradient is left alone. The steps run over lists of tensors at once.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights if p.grad is not None]
            momenta = [self._momentum(p) for p in weights]
            rate, (beta1, beta2) = group["lr"], group["betas"]

            direction = torch._foreach_lerp(momenta, gradients, 1 - beta1)
            torch._foreach_sign_(direction)
            if group["weight_decay"]:
                torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
            torch._foreach_add_(weights, direction, alpha=-rate)
            torch._foreach_lerp_(momenta, gradients, 1 - beta2)
        return loss

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        return state["momentum"]


def make_optimizer(
    parameters: Iterable[Parameter], settings: TrainSettings
) -> torch.optim.Optimizer:
    """The optimiser of the settings; weight decay is decoupled and applies to every parameter.

    AdamW is torch's with its fused kernel (measured at less than half of the foreach time on a
    CPU; never run on a GPU here).
    """
    chosen = list(parameters)
    rate, betas, decay = settings.learning_rate, settings.betas, settings.weight_decay
    if settings.optimizer == "lion":
        return Lion(chosen, lr=rate, betas=betas, weight_decay=decay)
    return _AdamW(chosen, lr=rate, betas=betas, weight_decay=decay, fused=True)


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Learning rate of optimiser step `step`, counted from 0.

    Linear warm-up: (step + 1) / warmup_steps of the full rate, so that the first step already
    moves and the last step of the warm-up has the full rate; then half a cosine that would reach
    0 at `step == steps`.
    """
    full, warmup = settings.learning_rate, settings.warmup_steps
    if step < warmup:
        return full * (step + 1) / warmup
    progress = (step - warmup) / (settings.steps - warmup)
    return full * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this rate for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
