"""Samples that agree with what is known of the target besides what a network says of it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Consistency:
    """part: an orthogonal projection of fields (..., H, W). value: (B, C, H, W), that part of x0,
    B = 1 for all members or one of each; in units of the residual. exact: whether it is the truth's
    by construction.

    Where it is the truth's, no sample is further from the truth for it: the projection takes
    one component of its error away, and leaves the others.
    """

    part: Callable[[Tensor], Tensor]
    value: Tensor
    exact: bool

    def hold(self, x0: Tensor) -> Tensor:
        """x0 (M, C, H, W) with its part replaced by what is known of it."""
        return x0 + (self.value - self.part(x0))

    def free(self, noise: Tensor) -> Tensor:
        """Noise (M, C, H, W) that leaves what is known as it is."""
        return noise - self.part(noise)
