"""A method: a network with a mode. It turns examples into a loss and into ensembles.

Networks know nothing of diffusion and samplers know nothing of networks; this is where they meet.
All residuals here are normalised (see `data.normaliser.Normaliser`).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from flexbench.config import DiffusionSettings
from flexbench.diffusion import CosineSchedule, Draw, diffusion_loss, sample
from flexbench.diffusion.loss import NORMS, Streams, crps_loss
from flexbench.diffusion.parametrization import data_from_velocity
from flexbench.diffusion.sampler import Node, time_grid
from flexbench.errors import FlexbenchError
from flexbench.spec import Network, Problem
from flexbench.user_code import require_like

if TYPE_CHECKING:
    from flexbench.tasks.base import Example
    from flexbench.tasks.joint import JointExample

# What stands in the network's place: ``output(x (B,C,H,W), t (B,)) -> (B,C,H,W)``.
Output = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Method:
    """What both modes share: the network, and the problem and diffusion it was made for.

    network: a `spec.Network`, bare or wrapped by DistributedDataParallel. One of several tasks
    (`spec.JointNetwork`) has a loss on joint examples alone, and samples as `models.joint.OneTask`.
    """

    network: nn.Module
    problem: Problem
    settings: DiffusionSettings

    mode: ClassVar[str]
    stochastic: ClassVar[bool]  # whether members differ; if not, there is one
    diffuses: ClassVar[bool] = False  # whether members are drawn by a reverse diffusion

    @property
    def bare(self) -> Network:
        """The network without the wrapper that only knows `forward`."""
        network = self.network
        inner = network.module if isinstance(network, DistributedDataParallel) else network
        return cast(Network, inner)

    def loss(self, example: "Example | JointExample", generator: Streams) -> Tensor:
        """Training loss, a scalar; always through `network.forward`, so DDP sees the call.

        Of a joint example it is the mean of its tasks' losses, as each has as many rows.
        generator: a CPU generator or one per row, the only source of randomness beside dropout.
        """
        raise NotImplementedError

    def sample(self, example: "Example", noise: Tensor, *, draw: Draw) -> Tensor:
        """Draw normalised residuals (B,M,C,H,W) of B conditions from noise (B,M,C,H,W).

        draw: its noise is (B,M,C,H,W) and asked for once per step, whatever the batch. Each number
            depends only on its own condition and noise, so another batch changes the result by
            round-off alone (kernels may round otherwise at another batch size), and the same one
            gives the same bits.

        The network runs in eval mode without gradients. Each condition is encoded once, for all
        its steps and members.
        """
        raise NotImplementedError

    def reverse(self, output: Output, condition: Tensor, noise: Tensor, *, draw: Draw) -> Tensor:
        """Normalised residuals (B,C,H,W) from the network's output, wherever that comes from.

        output: on whole domains it may be put together from tiles. condition: (B,Cc,H,W), or one
        row that all share; noise: (B,C,H,W), as is that of the draw.
        """
        raise NotImplementedError

    def times(self, draw: Draw) -> list[Node]:
        """Where the network says what x0 is; of a network without a diffusion one, at t = 0."""
        raise NotImplementedError

    def x0_hat(self, output: Output, condition: Tensor, x: Tensor, node: Node) -> Tensor:
        """The network's normalised residual (B,C,H,W) at one of the times, from x_t (B,C,H,W)."""
        raise NotImplementedError

    def calls(self, draw: Draw) -> int:
        """How often `network.denoise` is called per member."""
        raise NotImplementedError


class DenoiserMethod(Method):
    """A network that gives the velocity of a diffusion; a member starts from its own noise."""

    mode = "denoiser"
    stochastic = diffuses = True

    @property
    def schedule(self) -> CosineSchedule:
        return CosineSchedule(self.settings.shift)

    def loss(self, example: "Example | JointExample", generator: Streams) -> Tensor:
        def velocity(x_t: Tensor, t: Tensor) -> Tensor:
            found = self.network(x_t, t, example.re, example.condition)
            return _checked(self.bare.forward, found, x_t)

        return diffusion_loss(
            velocity,
            example.residual,
            schedule=self.schedule,
            target=self.settings.target,
            norm=self.settings.loss,
            weighting=self.settings.weighting,
            generator=generator,
        )

    def sample(self, example: "Example", noise: Tensor, *, draw: Draw) -> Tensor:
        _check_noise(example, noise)
        if draw.noise is not None:
            draw = replace(draw, noise=cache(draw.noise))
        drawn = torch.empty_like(noise)
        with evaluating(self.network):
            for patches, spans in chunks(noise.shape[0], noise.shape[1], draw.batch):
                condition, re = example.condition[patches], example.re[patches]
                encoded = self.bare.encode(condition, re)
                for members in spans:
                    drawn[patches, members] = self._draw(
                        noise[patches, members],
                        condition,
                        re,
                        encoded,
                        draw=_part(draw, patches, members),
                    )
        return drawn

    def _draw(
        self, noise: Tensor, condition: Tensor, re: Tensor, encoded: list[Tensor], *, draw: Draw
    ) -> Tensor:
        """All members (b,m,C,H,W) of a chunk in one batch, each with its condition's features."""
        members = noise.shape[1]
        re = re.repeat_interleave(members, dim=0)
        repeated = [feature.repeat_interleave(members, dim=0) for feature in encoded]

        def velocity(x_t: Tensor, t: Tensor) -> Tensor:
            return _checked(self.bare.denoise, self.bare.denoise(x_t, t, re, repeated), x_t)

        drawn = self.reverse(velocity, condition, noise.flatten(0, 1), draw=draw)
        return drawn.unflatten(0, noise.shape[:2])

    def reverse(self, output: Output, condition: Tensor, noise: Tensor, *, draw: Draw) -> Tensor:
        return sample(output, noise, schedule=self.schedule, draw=draw)

    def times(self, draw: Draw) -> list[Node]:
        return time_grid(self.schedule, draw.steps)

    def x0_hat(self, output: Output, condition: Tensor, x: Tensor, node: Node) -> Tensor:
        t = torch.full((len(x),), node.t, device=x.device)
        return data_from_velocity(x, output(x, t), node.alpha, node.sigma)

    def calls(self, draw: Draw) -> int:
        return draw.calls


class CrpsMethod(DenoiserMethod):
    """The same network, told white noise in place of x_t at t = 1: it gives a member's residual.

    Trained by the CRPS of two members, so a step costs twice that of a denoiser. One evaluation of
    the network draws a member; there is no diffusion.
    """

    mode = "crps"
    diffuses = False

    def loss(self, example: "Example | JointExample", generator: Streams) -> Tensor:
        if isinstance(example.condition, dict):
            raise FlexbenchError("mode: found 'crps' for several tasks, allowed: one at a time")
        re, condition = example.re.repeat(2, 1), example.condition.repeat(2, 1, 1, 1)

        def members(noise: Tensor, t: Tensor) -> Tensor:
            return _checked(self.bare.forward, self.network(noise, t, re, condition), noise)

        return crps_loss(members, example.residual, generator=generator)

    def reverse(self, output: Output, condition: Tensor, noise: Tensor, *, draw: Draw) -> Tensor:
        residual = self.x0_hat(output, condition, noise, self.times(draw)[0])
        return residual if draw.posterior is None else draw.drawn(0, residual)

    def times(self, draw: Draw) -> list[Node]:
        return time_grid(self.schedule, 1)

    def x0_hat(self, output: Output, condition: Tensor, x: Tensor, node: Node) -> Tensor:
        return output(x, torch.ones(len(x), device=x.device))

    def calls(self, draw: Draw) -> int:
        return 1


class RegressorMethod(Method):
    """The same network, told the base field instead of noise and t = 0: it gives the residual.

    The base is the condition's last C channels: up(LR), or the last snapshot. Its ensemble has
    one member, unless a draw knows its errors.
    """

    mode = "regressor"
    stochastic = False

    def loss(self, example: "Example | JointExample", generator: Streams) -> Tensor:
        base, t = self._inputs(example.condition)
        found = self.network(base, t, example.re, example.condition)
        residual = _checked(self.bare.forward, found, base)
        return NORMS[self.settings.loss](residual, example.residual).mean()

    def sample(self, example: "Example", noise: Tensor, *, draw: Draw) -> Tensor:
        """The one residual (B,1,C,H,W); of the noise only its B, C, H and W are looked at."""
        _check_noise(example, noise)
        drawn = torch.empty_like(noise[:, :1])
        with evaluating(self.network):
            for patches, _ in chunks(len(noise), 1, draw.batch):
                condition, re = example.condition[patches], example.re[patches]
                base, t = self._inputs(condition)
                encoded = self.bare.encode(condition, re)
                residual = self.bare.denoise(base, t, re, encoded)
                drawn[patches, 0] = _checked(self.bare.denoise, residual, base)
        return drawn

    def reverse(self, output: Output, condition: Tensor, noise: Tensor, *, draw: Draw) -> Tensor:
        residual = output(*self._inputs(condition))
        return residual if draw.posterior is None else draw.drawn(0, residual)

    def times(self, draw: Draw) -> list[Node]:
        return [Node(t=0.0, alpha=1.0, sigma=0.0, logsnr=math.inf, angle=0.0)]

    def x0_hat(self, output: Output, condition: Tensor, x: Tensor, node: Node) -> Tensor:
        return output(*self._inputs(condition))

    def calls(self, draw: Draw) -> int:
        return 1

    def _inputs(self, condition: Tensor | Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What stands in the place of (x_t, t)."""
        parts = [condition] if isinstance(condition, Tensor) else list(condition.values())
        base = torch.cat([part[:, -self.problem.field_channels :] for part in parts])
        return base, base.new_zeros(len(base))


METHODS: dict[str, type[Method]] = {
    method.mode: method for method in (DenoiserMethod, CrpsMethod, RegressorMethod)
}


def make_method(
    network: nn.Module, *, problem: Problem, settings: DiffusionSettings, mode: str
) -> Method:
    """The method of a mode, a key of `METHODS`; FlexbenchError on any other."""
    if mode not in METHODS:
        raise FlexbenchError(f"mode: found {mode!r}, allowed: {', '.join(METHODS)}")
    return METHODS[mode](network, problem, settings)


def chunks(patches: int, members: int, batch: int) -> Iterator[tuple[slice, list[slice]]]:
    """Groups of patches with the chunks of their members: at most `batch` pairs at a time.

    All members of a group stand together, so that the group is encoded once and its features are
    then let go.
    """
    width = min(members, batch)
    height = max(1, batch // members)
    spans = [slice(m, min(m + width, members)) for m in range(0, members, width)]
    for first in range(0, patches, height):
        yield slice(first, min(first + height, patches)), spans


def _part(draw: Draw, patches: slice, members: slice) -> Draw:
    """The draw of one chunk, whose noise is a flat batch."""
    whole = draw.noise
    if whole is None:
        return draw
    return replace(draw, noise=lambda step: whole(step)[patches, members].flatten(0, 1))


def _checked(function: Callable[..., Tensor], found: Tensor, like: Tensor) -> Tensor:
    """What a network's method returned; FlexbenchError unless it is a field for each one given."""
    require_like(function, found, like)
    return found


def _check_noise(example: "Example", noise: Tensor) -> None:
    batch, *field = example.residual.shape
    found = tuple(noise.shape)
    if noise.ndim != 5 or found[0] != batch or list(found[2:]) != field:
        wanted = (batch, "M", *field)
        raise FlexbenchError(f"noise: found shape {found}, must be {wanted}")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; the modes of all submodules as before outside."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
