"""Optimisers and the learning rate of every step."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

from flexbench.config import TrainSettings

MUON_MOMENTUM = 0.95
# Root mean square of a matrix's step, in learning rates. At 0.2 it is AdamW's (arXiv 2502.16982).
# Matrices bear twice that, and learn faster; biases and gains, which are AdamW's, do not.
MUON_SIZE = 0.4


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


class _OverLists(_Uncompiled):
    """An optimiser of our own, whose steps run over lists of tensors at once."""

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
            self._update(weights, group)
        return loss

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """Update these parameters of a group, all of which have a gradient; there may be none."""
        raise NotImplementedError


class Lion(_OverLists):
    """Lion (Chen et al., arXiv 2302.06675, algorithm 2), weight decay decoupled.

    With gradient g, momentum m (zero at first), learning rate r and decay w:

        p <- (1 - r w) p - r sign(b1 m + (1 - b1) g)
        m <- b2 m + (1 - b2) g

    A parameter without a gradient is left alone.
    """

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        if not weights:
            return
        gradients = [p.grad for p in weights if p.grad is not None]
        momenta = [_zeros(self.state[p], "momentum", like=p) for p in weights]
        rate, (beta1, beta2) = group["lr"], group["betas"]

        direction = torch._foreach_lerp(momenta, gradients, 1 - beta1)
        torch._foreach_sign_(direction)
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_add_(weights, direction, alpha=-rate)
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)


class Muon(_OverLists):
    """Muon (Jordan et al., 2024), scaled to AdamW's rates; weight decay decoupled.

    With gradient g, momentum m (zero at first), learning rate r and decay w, a matrix takes

        m <- b m + (1 - b) g,  b = 0.95
        p <- (1 - r w) p - 0.4 r sqrt(max(rows, columns)) orthogonal(b m + (1 - b) g)

    so that its steps are as large in every direction. A matrix is what `is_matrix` says; all other
    parameters are AdamW's, with `betas`. A parameter without a gradient is left alone.
    """

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        self._step_matrices([p for p in weights if is_matrix(p)], group)
        self._step_others([p for p in weights if not is_matrix(p)], group)

    def _step_matrices(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        if not weights:
            return
        gradients = [p.grad for p in weights if p.grad is not None]
        momenta = [_zeros(self.state[p], "momentum", like=p) for p in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - MUON_MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, MUON_MOMENTUM)
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        # Matrices of one shape are made orthogonal in one batch.
        for places in _by_shape(weights).values():
            stacked = torch.stack([ahead[i].flatten(1) for i in places])
            size = MUON_SIZE * group["lr"] * max(stacked.shape[1:]) ** 0.5
            for i, direction in zip(places, orthogonal(stacked), strict=True):
                weights[i].sub_(direction.view_as(weights[i]), alpha=size)

    def _step_others(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[p] for p in weights]
        for parameter, state in zip(weights, states, strict=True):
            if "step" not in state:
                state["step"] = torch.zeros((), device=parameter.device)
        adamw(
            weights,
            [p.grad for p in weights if p.grad is not None],
            [_zeros(state, "exp_avg", like=p) for p, state in zip(weights, states, strict=True)],
            [_zeros(state, "exp_avg_sq", like=p) for p, state in zip(weights, states, strict=True)],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def is_matrix(parameter: Tensor) -> bool:
    """Whether Muon takes it as a matrix: real, its first dimension the rows, of more than one
    entry, and all others the columns, of more than one (so a kernel is outputs by inputs x points).
    """
    rows = parameter.shape[0] if parameter.ndim > 1 else 1
    return not parameter.is_complex() and rows > 1 and parameter.numel() > rows


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (N, R, C) with the singular vectors of those given, and singular values near 1.

    Five steps of a polynomial in A A^T whose coefficients (Jordan's) raise small singular values
    fast: what is above 1 % of the matrix's norm ends between 0.65 and 1.25.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if tall else matrices
    found = found / (found.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = found @ found.mT
        found = 3.4445 * found + (-4.7750 * square + 2.0315 * square @ square) @ found
    return found.mT if tall else found


def _by_shape(weights: list[Tensor]) -> dict[tuple[int, int], list[int]]:
    """Places of matrices in the list, by rows and columns."""
    places: dict[tuple[int, int], list[int]] = {}
    for place, weight in enumerate(weights):
        places.setdefault((weight.shape[0], weight[0].numel()), []).append(place)
    return places


def _zeros(state: dict[str, Any], name: str, *, like: Tensor) -> Tensor:
    """The tensor of this name in a parameter's state, zero at first."""
    if name not in state:
        state[name] = torch.zeros_like(like)
    return state[name]


def make_optimizer(
    parameters: Iterable[Parameter], settings: TrainSettings
) -> torch.optim.Optimizer:
    """The optimiser of the settings; weight decay is decoupled and applies to every parameter.

    AdamW is torch's with its fused kernel (measured at less than half of the foreach time on a
    CPU; never run on a GPU here).
    """
    chosen = list(parameters)
    rate, betas, decay = settings.learning_rate, settings.betas, settings.weight_decay
    match settings.optimizer:
        case "adamw":
            return _AdamW(chosen, lr=rate, betas=betas, weight_decay=decay, fused=True)
        case "lion":
            return Lion(chosen, lr=rate, betas=betas, weight_decay=decay)
        case "muon":
            return Muon(chosen, lr=rate, betas=betas, weight_decay=decay)


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
