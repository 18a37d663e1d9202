"""Three ways to say the same thing: velocity, noise, data.

With ``x_t = alpha x0 + sigma eps`` and ``v = alpha eps - sigma x0``, the pair (x_t, v) is (x0, eps)
turned by an angle, so each conversion from v is a product and a sum, without a division that
would blow up at an end of the schedule. Networks output v; the others are targets of the loss.

alpha, sigma: numbers, or tensors that broadcast against the fields.
"""

from collections.abc import Callable

from torch import Tensor

Scale = Tensor | float


def noised(x0: Tensor, eps: Tensor, alpha: Scale, sigma: Scale) -> Tensor:
    """x_t from data and noise."""
    return alpha * x0 + sigma * eps


def velocity(x0: Tensor, eps: Tensor, alpha: Scale, sigma: Scale) -> Tensor:
    """v from data and noise."""
    return alpha * eps - sigma * x0


def data_from_velocity(x_t: Tensor, v: Tensor, alpha: Scale, sigma: Scale) -> Tensor:
    """x0 from x_t and v."""
    return alpha * x_t - sigma * v


def noise_from_velocity(x_t: Tensor, v: Tensor, alpha: Scale, sigma: Scale) -> Tensor:
    """eps from x_t and v."""
    return sigma * x_t + alpha * v


def _same(x_t: Tensor, v: Tensor, alpha: Scale, sigma: Scale) -> Tensor:
    return v


FROM_VELOCITY: dict[str, Callable[[Tensor, Tensor, Scale, Scale], Tensor]] = {
    "v": _same,
    "eps": noise_from_velocity,
    "x": data_from_velocity,
}
