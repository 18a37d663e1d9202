"""The cosine log-SNR schedule with a shift (arXiv 2505.17351; shift of arXiv 2301.11093).

``logsnr(t) = -2 log(s tan(a t + b))`` with ``b = atan(exp(-10))``, ``a = atan(exp(10)) - b``: from
+20 at t = 0 to -20 at t = 1, both moved by ``-2 log s``. Nothing is clamped, so both ends are
finite and x_1 is noise up to alpha_1 = 4.5e-5.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LOGSNR_END = 20.0
_OFFSET = math.atan(math.exp(-_LOGSNR_END / 2))
# atan(exp(10)) is pi/2 - atan(exp(-10)); this form keeps the digits of the small angle.
_SLOPE = math.pi / 2 - 2 * _OFFSET


@dataclass(frozen=True)
class CosineSchedule:
    """Cosine log-SNR schedule.

    shift: s > 0; larger means more noise at every t (the paper trains with 1).

    All methods take ``t`` (any shape, in [0, 1]) and return tensors of its shape and dtype; the
    arithmetic is float64, because float32 loses the small one of alpha, sigma near either end.
    """

    shift: float = 1.0

    def logsnr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2) at t."""
        cosine, sine = self._legs(t)
        return (2 * (torch.log(cosine) - torch.log(sine))).to(t.dtype)

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at t: signal and noise amplitudes, alpha^2 + sigma^2 = 1."""
        cosine, sine = self._legs(t)
        norm = torch.hypot(cosine, sine)
        return (cosine / norm).to(t.dtype), (sine / norm).to(t.dtype)

    def angle(self, t: Tensor) -> Tensor:
        """atan2(sigma, alpha) at t, in [0, pi/2]: along it, dx_t/dangle is the velocity."""
        cosine, sine = self._legs(t)
        return torch.atan2(sine, cosine).to(t.dtype)

    def _legs(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(cos u, s sin u), u = a t + b, in float64: alpha and sigma up to a common factor.

        The cosine is taken as the sine of pi/2 - u = a (1 - t) + b, exact where it is small.
        """
        time = t.to(torch.float64)
        cosine = torch.sin(_SLOPE * (1 - time) + _OFFSET)
        return cosine, self.shift * torch.sin(_SLOPE * time + _OFFSET)
