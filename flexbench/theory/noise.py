"""How noisy gradients are: the noise scale of McCandlish et al. (arXiv 1812.06162).

A batch of B patches has the gradient G in the mean, with the covariance Sigma / B. Of n batches,
``mean |g|^2 = |G|^2 + tr(Sigma) / B`` and ``|mean g|^2 = |G|^2 + tr(Sigma) / (n B)``, so both are
known without bias. Their ratio, tr(Sigma) / |G|^2, is the batch up to which more patches in a step
are worth their compute.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class GradientNoise:
    """squared_norm: |G|^2, an estimate that noise can bring below 0. trace: tr(Sigma), of one
    patch.
    """

    squared_norm: float
    trace: float

    @property
    def scale(self) -> float:
        """In patches; NaN where the noise hides the gradient."""
        return self.trace / self.squared_norm if self.squared_norm > 0 else math.nan


def gradient_noise(gradients: Iterable[Tensor], *, batch: int) -> GradientNoise:
    """Of two gradients (P,) or more, each of one batch of so many patches.

    One is held at a time. Where the rows of a batch are drawn together (times that are spread over
    it), tr(Sigma) is what a batch has, times its patches. Raises ValueError for fewer than two.
    """
    count, squares, total = 0, 0.0, torch.zeros(())
    for gradient in gradients:
        exact = gradient.detach().double()
        squares += float(exact.square().sum())
        total = total + exact
        count += 1
    if count < 2:
        raise ValueError(f"{count} gradients; at least two are needed")
    mean_square, square_of_mean = squares / count, float((total / count).square().sum())
    return GradientNoise(
        squared_norm=(count * square_of_mean - mean_square) / (count - 1),
        trace=batch * (mean_square - square_of_mean) * count / (count - 1),
    )
