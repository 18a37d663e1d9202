"""Reverse diffusion: every sampler has the same signature and the same uniform grid t = k/N.

The ODE behind all deterministic ones is ``dx/dangle = v(x, t)`` with ``angle = atan2(sigma,
alpha)``: the velocity is the derivative along the circle that (alpha, sigma) runs on. Each sampler
starts at t = 1 with ``x_1 = noise`` and its last step, from t = 1/N, returns ``x0_hat``, so no
sampler asks the network for t = 0. Nothing is clipped. Coefficients are computed in float64.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from flexbench.diffusion.parametrization import data_from_velocity, noise_from_velocity
from flexbench.diffusion.schedule import CosineSchedule
from flexbench.errors import FlexbenchError

Velocity = Callable[[Tensor, Tensor], Tensor]
NoiseFunction = Callable[[int], Tensor]
# ``posterior(k, x0_hat, z) -> x0 like x0_hat``: a draw of what x0 may be at step k, made of white
# noise z.
Posterior = Callable[[int, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How samples are drawn; handed down as it is, from whoever asks to the sampler.

    sampler: a key of `SAMPLERS`.
    steps: N >= 1, steps of the uniform grid; see `calls` for the cost.
    batch: rows (patches or tiles x members) that the network is run on at once; without one, all.
    noise: ``noise(k)``, standard normal like what is drawn, for the noise added at the end of step
        k = 0, 1, ..., N-2 (of the last one, too, where there is a posterior). Only stochastic
        samplers ask for it, and they need it: the caller knows the identity of each member, the
        sampler does not.
    posterior: of the sampler `calibrated` alone, which needs it.

    Raises FlexbenchError on an unknown sampler, and on steps or a batch below 1.
    """

    sampler: str
    steps: int
    batch: int = sys.maxsize
    noise: NoiseFunction | None = None
    posterior: Posterior | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            allowed = ", ".join(sorted(SAMPLERS))
            raise FlexbenchError(f"sample.sampler: found {self.sampler!r}, allowed: {allowed}")
        for key in ("steps", "batch"):
            if getattr(self, key) < 1:
                raise FlexbenchError(
                    f"sample.{key}: found {getattr(self, key)}, must be at least 1"
                )

    @property
    def calls(self) -> int:
        """How often the network is called per member."""
        return _CALLS.get(self.sampler, lambda n: n)(self.steps)

    def step_noise(self, step: int) -> Tensor:
        """What `noise` gives; FlexbenchError where there is none to give."""
        if self.noise is None:
            raise FlexbenchError(
                f"sampler {self.sampler!r} adds noise at each step: give it `noise`"
            )
        return self.noise(step)

    def drawn(self, step: int, x0_hat: Tensor) -> Tensor:
        """What `posterior` gives; FlexbenchError where there is none to give."""
        if self.posterior is None:
            raise FlexbenchError(
                f"sampler {self.sampler!r} draws from what is known of the network's errors: give "
                "it `posterior`"
            )
        return self.posterior(step, x0_hat, self.step_noise(step))


@dataclass(frozen=True)
class Node:
    """One point of the time grid, as Python numbers (float64)."""

    t: float
    alpha: float
    sigma: float
    logsnr: float
    angle: float


VelocityAt = Callable[[Tensor, Node], Tensor]
Sampler = Callable[[VelocityAt, Tensor, list[Node], Draw], Tensor]


def time_grid(schedule: CosineSchedule, steps: int) -> list[Node]:
    """The nodes t = 1, (N-1)/N, ..., 1/N at which a sampler of N steps stands."""
    t = torch.tensor([k / steps for k in range(steps, 0, -1)], dtype=torch.float64)
    alpha, sigma = schedule.alpha_sigma(t)
    columns = (t, alpha, sigma, schedule.logsnr(t), schedule.angle(t))
    return [Node(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


def sample(velocity: Velocity, noise: Tensor, *, schedule: CosineSchedule, draw: Draw) -> Tensor:
    """Draw x0 (B,...) from noise (B,...), all rows at once.

    velocity: ``velocity(x_t (B,...), t (B,)) -> (B,...)``; t is float32 at least.

    Raises FlexbenchError where a stochastic sampler is given no `draw.noise`.
    """
    time_dtype = torch.promote_types(noise.dtype, torch.float32)

    def velocity_at(x: Tensor, node: Node) -> Tensor:
        t = torch.full((x.shape[0],), node.t, dtype=time_dtype, device=x.device)
        return velocity(x, t)

    return SAMPLERS[draw.sampler](velocity_at, noise, time_grid(schedule, draw.steps), draw)


def _denoised(x: Tensor, v: Tensor, node: Node) -> Tensor:
    return data_from_velocity(x, v, node.alpha, node.sigma)


def _ddim(velocity: VelocityAt, x: Tensor, nodes: list[Node], draw: Draw) -> Tensor:
    """DDIM, deterministic (arXiv 2010.02502): x_u = alpha_u x0_hat + sigma_u eps_hat."""
    for now, after in pairwise(nodes):
        v = velocity(x, now)
        eps = noise_from_velocity(x, v, now.alpha, now.sigma)
        x = after.alpha * _denoised(x, v, now) + after.sigma * eps
    return _denoised(x, velocity(x, nodes[-1]), nodes[-1])


def _ddpm(velocity: VelocityAt, x: Tensor, nodes: list[Node], draw: Draw) -> Tensor:
    """Ancestral sampling (DDIM with eta = 1): x_u drawn from q(x_u | x_t, x0 = x0_hat).

    That Gaussian has mean ``alpha_u x0 + sigma_u r eps`` and variance ``sigma_u^2 (1 - r^2)``,
    ``r^2 = SNR_t / SNR_u``.
    """
    for step, (now, after) in enumerate(pairwise(nodes)):
        v = velocity(x, now)
        eps = noise_from_velocity(x, v, now.alpha, now.sigma)
        log_ratio = now.logsnr - after.logsnr
        kept = after.sigma * math.exp(log_ratio / 2)
        added = after.sigma * math.sqrt(-math.expm1(log_ratio))
        x = after.alpha * _denoised(x, v, now) + kept * eps + added * draw.step_noise(step)
    return _denoised(x, velocity(x, nodes[-1]), nodes[-1])


def _heun(velocity: VelocityAt, x: Tensor, nodes: list[Node], draw: Draw) -> Tensor:
    """Heun's predictor-corrector on the circle, second order.

    The predictor is the DDIM step, a turn of (x, v) by the angle d. If the network's velocity at
    its end differs by w from the turned one, the true path was bent by a force g with (g constant)
    ``w = -sin(d) g`` and a displacement ``(1 - cos d) g = -tan(d/2) w``, which is added. So it is
    exact wherever DDIM is, at any N. (Heun in sigma/alpha would be useless here: it is 22026 at
    t = 1.) The last step, to t = 0, is x0_hat: 2 N - 1 calls.
    """
    for now, after in pairwise(nodes):
        v = velocity(x, now)
        turn = now.angle - after.angle
        cosine, sine = math.cos(turn), math.sin(turn)
        x, turned = cosine * x - sine * v, cosine * v + sine * x
        x = x - math.tan(turn / 2) * (velocity(x, after) - turned)
    return _denoised(x, velocity(x, nodes[-1]), nodes[-1])


def _dpmpp_2m(velocity: VelocityAt, x: Tensor, nodes: list[Node], draw: Draw) -> Tensor:
    """DPM-Solver++(2M) (arXiv 2211.01095): x0_hat extrapolated linearly in log(alpha / sigma).

    Multistep, second order; the first step and the last (to t = 0, where an extrapolation over so
    long a step in log-SNR would be wild) are of first order, so N = 2 is DDIM.
    """
    previous: Tensor | None = None
    previous_h = 0.0
    for now, after in pairwise(nodes):
        x0 = _denoised(x, velocity(x, now), now)
        h = (after.logsnr - now.logsnr) / 2
        guess = x0 if previous is None else x0 + (h / (2 * previous_h)) * (x0 - previous)
        x = (after.sigma / now.sigma) * x - after.alpha * math.expm1(-h) * guess
        previous, previous_h = x0, h
    return _denoised(x, velocity(x, nodes[-1]), nodes[-1])


def _calibrated(velocity: VelocityAt, x: Tensor, nodes: list[Node], draw: Draw) -> Tensor:
    """Ancestral sampling with the measured posterior of x0, the last step included.

    x_u is drawn from q(x_u | x_t, x0) of deterministic sampling, with x0 not x0_hat but a draw from
    a Gaussian around it whose covariance is that of the network's errors at t. For a Gaussian
    posterior and its exact network that is exact at every N, where DDIM loses spread.
    """
    for step, (now, after) in enumerate(pairwise(nodes)):
        x0 = draw.drawn(step, _denoised(x, velocity(x, now), now))
        x = renoised(x, x0, now, after)
    last = nodes[-1]
    return draw.drawn(len(nodes) - 1, _denoised(x, velocity(x, last), last))


def renoised(x: Tensor, x0: Tensor, now: Node, after: Node) -> Tensor:
    """x_u of x_t and x0: the noise that takes x0 to x_t is kept, at its new amplitude."""
    return after.alpha * x0 + (after.sigma / now.sigma) * (x - now.alpha * x0)


SAMPLERS: dict[str, Sampler] = {
    "ddim": _ddim,
    "ddpm": _ddpm,
    "heun": _heun,
    "dpmpp_2m": _dpmpp_2m,
    "calibrated": _calibrated,
}
# Calls as a function of the steps, where they are not one per step.
_CALLS: dict[str, Callable[[int], int]] = {"heun": lambda steps: 2 * steps - 1}
