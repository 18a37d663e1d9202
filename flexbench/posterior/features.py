"""What tells, before the truth is known, how large a network's errors are at a point.

Errors sit where the flow is busy: where the residual that the network gives is large, and where
the base has steep gradients. Both are local powers, smoothed over some points, and enter as
logarithms of their ratio to the mean over the domain, so that a log-linear model of the variance is
a product of powers. How large the residual is over the whole domain tells the age of a decaying
flow, and so the level of its errors.
"""

import math
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from flexbench.posterior.consistency import Consistency

# Standard deviation of the smoothing, in points, and how many of them its kernel reaches.
SMOOTHING = 3.0
REACH = 3
# Of a local power, as a share of its mean over the domain: below it a point counts as quiet.
FLOOR = 1e-4
# What a mean power is held above: of nothing there is no logarithm.
LEAST = 1e-30

NAMES = (
    "constant",
    "amplitude",
    "gradient",
    "amplitude squared",
    "gradient squared",
    "amplitude x gradient",
    "amplitude of the domain",
    "amplitude of the domain squared",
    "re",
)
# Places of those that are one number for a domain, and say how large its errors are on the whole.
DOMAIN = [0, 6, 7, 8]

# Lowest and highest value of a feature.
Span = tuple[float, float]
ANY: Span = (-math.inf, math.inf)


class Features:
    """Of snapshots whose base is known.

    base: (B,C,H,W), in units of the field's standard deviation; B = 1 for all members, or one of
    each. re: (B,1) Re / 40000. periodic: whether neighbours are found beyond an edge. known: the
    part of x0 in which there are no errors to be told.
    """

    def __init__(
        self, base: Tensor, re: Tensor, *, periodic: bool, known: Consistency | None = None
    ):
        self.base, self.periodic, self.known = base, periodic, known
        self._re = torch.log(re.clamp(min=1e-12) * 40.0)[..., None, None]

    def held(self, x0_hat: Tensor) -> Tensor:
        """x0_hat (M,C,H,W) with what is known of x0."""
        return self.known.hold(x0_hat) if self.known else x0_hat

    def of(self, x0_hat: Tensor, *, span: Span = ANY) -> Iterator[Tensor]:
        """Each feature (B or M,C,H,W or ones) of x0_hat (M,C,H,W), in the order of NAMES.

        span: amplitudes of the domain that a fit has seen; beyond, the square goes on straight.
        """
        amplitude, domain = self._local(x0_hat)
        gradient, _ = self.gradient
        yield torch.ones_like(domain)
        yield amplitude
        yield gradient
        yield amplitude.square()
        yield gradient.square()
        yield amplitude * gradient
        yield domain
        within = domain.clamp(*span)
        yield within.square() + 2 * within * (domain - within)
        yield self._re.expand_as(domain)

    def amplitude(self, x0_hat: Tensor) -> Tensor:
        """Of the domain (M,): the logarithm of the mean power of x0_hat (M,C,H,W)."""
        return _logarithm(x0_hat.square().mean(dim=(1, 2, 3)))

    def domain(self, x0_hat: Tensor) -> Tensor:
        """The features of DOMAIN (len(DOMAIN), M) of x0_hat (M,C,H,W), means over its channels."""
        found = list(self.of(x0_hat))
        return torch.stack([found[place].mean(dim=(1, 2, 3)) for place in DOMAIN])

    def stacked(self, x0_hat: Tensor) -> Tensor:
        """All features (F,M,C,H,W)."""
        return torch.stack([feature.expand_as(x0_hat) for feature in self.of(x0_hat)])

    @cached_property
    def gradient(self) -> tuple[Tensor, Tensor]:
        return self._local(*_differences(self.base, periodic=self.periodic))

    def _local(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the smoothed power of a vector field over its mean's, and of that mean."""
        power = torch.stack([part.square() for part in parts]).sum(dim=0)
        mean = power.mean(dim=(-2, -1), keepdim=True).clamp(min=LEAST)
        smooth = smoothed(power, periodic=self.periodic)
        return torch.log(smooth / mean + FLOOR), _logarithm(mean)


def _logarithm(power: Tensor) -> Tensor:
    return torch.log(power.clamp(min=LEAST))


def smoothed(field: Tensor, *, periodic: bool) -> Tensor:
    """A field (B,C,H,W) under a Gaussian of SMOOTHING points; an edge's value stands beyond it."""
    side = int(SMOOTHING * REACH)
    places = torch.arange(-side, side + 1, dtype=field.dtype, device=field.device)
    kernel = torch.exp(-places.square() / (2 * SMOOTHING**2))
    kernel = (kernel / kernel.sum()).expand(field.shape[1], 1, -1)
    for shape, pad in (((-1, 1), (0, 0, side, side)), ((1, -1), (side, side, 0, 0))):
        taps = kernel.reshape(
            field.shape[1], 1, *[n if n == 1 else kernel.shape[-1] for n in shape]
        )
        padded = _padded(field, pad, periodic=periodic)
        field = functional.conv2d(padded, taps, groups=field.shape[1])
    return field


def _differences(field: Tensor, *, periodic: bool) -> tuple[Tensor, Tensor]:
    """Central differences along y and x, per point."""
    padded = _padded(field, (1, 1, 1, 1), periodic=periodic)
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    return down, across


def _padded(field: Tensor, pad: tuple[int, int, int, int], *, periodic: bool) -> Tensor:
    return functional.pad(field, pad, mode="circular" if periodic else "replicate")
