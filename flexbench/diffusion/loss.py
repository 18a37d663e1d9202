"""The training loss of a denoiser: what its velocity means, against what it should mean."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from flexbench.diffusion.parametrization import FROM_VELOCITY, noised, velocity
from flexbench.diffusion.schedule import CosineSchedule
from flexbench.errors import FlexbenchError


@dataclass(frozen=True)
class Timed:
    """A stream for the noise of each row, and the times of the rows: a tensor (B,) in [0, 1)."""

    streams: Sequence[torch.Generator]
    times: Tensor


# One stream for the batch, or one for each of its rows: then a row's draws do not depend on how
# the batch is cut into micro-batches or shared among processes. Nor do times that are given.
Streams = torch.Generator | Sequence[torch.Generator] | Timed

# Bias of the sigmoid weighting (arXiv 2410.19324), in log-SNR.
SIGMOID_BIAS = -1.0
HUBER_DELTA = 1.0


def _huber(found: Tensor, wanted: Tensor) -> Tensor:
    return functional.huber_loss(found, wanted, reduction="none", delta=HUBER_DELTA)


# Pointwise, before any weight and the mean.
NORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": lambda found, wanted: (found - wanted).abs(),
    "mse": lambda found, wanted: (found - wanted).square(),
    "huber": _huber,
}


def _sigmoid_v(logsnr: Tensor) -> Tensor:
    bias = torch.tensor(-SIGMOID_BIAS, dtype=logsnr.dtype, device=logsnr.device)
    return 1 / (torch.exp(bias) - torch.sigmoid(-logsnr) * torch.expm1(bias))


# The sigmoid weight of each target as a function of log-SNR. The data target has none (as in the
# paper's code), so there the weighted and the plain loss are the same.
SIGMOID_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "v": _sigmoid_v,
    "eps": lambda logsnr: torch.sigmoid(SIGMOID_BIAS - logsnr),
    "x": torch.ones_like,
}
WEIGHTINGS: dict[str, dict[str, Callable[[Tensor], Tensor]]] = {
    "none": dict.fromkeys(SIGMOID_WEIGHTS, torch.ones_like),
    "sigmoid": SIGMOID_WEIGHTS,
}


def diffusion_loss(
    velocity_fn: Callable[[Tensor, Tensor], Tensor],
    x0: Tensor,
    *,
    schedule: CosineSchedule,
    target: str = "v",
    norm: str = "l1",
    weighting: str = "none",
    generator: Streams,
) -> Tensor:
    """Mean over batch, channels and points of the (weighted) misfit: a scalar tensor.

    velocity_fn: ``velocity_fn(x_t (B,...), t (B,)) -> velocity (B,...)``.
    x0: clean, normalised data (B,...), on any device.
    target: what is compared, "v", "eps" or "x"; always converted from the network's velocity.
    norm: "l1", "mse" or "huber" (delta 1). weighting: "none" or "sigmoid".
    generator: a CPU generator, or one per row; t ~ U(0,1) and the noise are drawn from it on the
        CPU in float32, t first, and moved, so they are the same on every device. With times, t is
        as given.

    Raises FlexbenchError on an unknown target, norm or weighting.
    """
    _check("diffusion.target", target, FROM_VELOCITY)
    _check("diffusion.loss", norm, NORMS)
    _check("diffusion.weighting", weighting, WEIGHTINGS)
    t, eps = _draw(x0.shape, generator)
    t, eps = t.to(x0.device), eps.to(device=x0.device, dtype=x0.dtype)
    column = t.view(-1, *[1] * (x0.ndim - 1))
    alpha, sigma = (a.to(x0.dtype) for a in schedule.alpha_sigma(column))

    x_t = noised(x0, eps, alpha, sigma)
    found = FROM_VELOCITY[target](x_t, velocity_fn(x_t, t), alpha, sigma)
    wanted = {"v": velocity(x0, eps, alpha, sigma), "eps": eps, "x": x0}[target]
    weight = WEIGHTINGS[weighting][target](schedule.logsnr(column))
    return (weight.to(x0.dtype) * NORMS[norm](found, wanted)).mean()


def spread_times(start: float, rows: Iterable[int], *, count: int) -> Tensor:
    """Times (B,) of some rows of a batch of `count`, evenly spread: (start + row / count) mod 1.

    With start ~ U(0,1) each of them is U(0,1), and each count-th part of (0,1) holds one: the mean
    over the batch is still that over t, with less noise (arXiv 2107.00630).
    """
    return (start + torch.tensor(list(rows)) / count) % 1.0


def crps_loss(
    member_fn: Callable[[Tensor, Tensor], Tensor], x0: Tensor, *, generator: Streams
) -> Tensor:
    """Mean fair CRPS of two members of each row (arXiv 2412.15832): a scalar tensor.

    member_fn: ``member_fn(noise (2B,...), t (2B,)) -> x0 (2B,...)``, the first members of all rows
    and then the second ones; t is 1, where x_t is noise. x0, generator: as of `diffusion_loss`.
    Unbiased in the number of members, so that two of them ask for the whole distribution.
    """
    _, first = _draw(x0.shape, generator)
    _, second = _draw(x0.shape, generator)
    noise = torch.cat([first, second]).to(device=x0.device, dtype=x0.dtype)
    one, other = member_fn(noise, torch.ones(len(noise), device=x0.device)).chunk(2)
    error = ((one - x0).abs() + (other - x0).abs()) / 2
    return (error - (one - other).abs() / 2).mean()


def _draw(shape: torch.Size, streams: Streams) -> tuple[Tensor, Tensor]:
    """t (B,) and noise (B,...) in float32, on the CPU."""
    if isinstance(streams, torch.Generator):
        return torch.rand(shape[0], generator=streams), torch.randn(shape, generator=streams)
    if isinstance(streams, Timed):
        return streams.times, _draw(shape, streams.streams)[1]
    if len(streams) != shape[0]:
        raise ValueError(f"{len(streams)} streams for {shape[0]} rows")
    t = [torch.rand((), generator=stream) for stream in streams]
    eps = [torch.randn(shape[1:], generator=stream) for stream in streams]
    return torch.stack(t), torch.stack(eps)


def _check(key: str, value: str, allowed: dict) -> None:
    if value not in allowed:
        raise FlexbenchError(f"{key}: found {value!r}, allowed: {', '.join(sorted(allowed))}")
