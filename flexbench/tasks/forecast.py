"""One-step forecasting: a snapshot from the two before it."""

from functools import partial

import torch
from torch import Tensor

from flexbench.tasks.base import Example, KnownPart, Physical, Task


class Forecast(Task):
    """Condition is the past, oldest first; base is its last snapshot."""

    def physical(self, fields: Tensor) -> Physical:
        past, truth = fields[:, :-1], fields[:, -1:]
        return Physical(condition=past, base=past[:, -1:], truth=truth, inputs=past)

    def known_part(self, example: Example, *, patch: int) -> KnownPart | None:
        """Waves that are longer than a network's patch: it cannot see them, and they hardly turn
        within one lead. The straight line through the past tells them.
        """
        if not self.periodic:
            return None
        last, before = example.inputs[:, -1:], example.inputs[:, -2:-1]
        waves = partial(_long_waves, length=patch)
        return KnownPart(of=waves, field=2 * last - before, exact=False)


def _long_waves(field: Tensor, *, length: int) -> Tensor:
    """A periodic field (..., H, W) without all waves of `length` points or less."""
    height, width = field.shape[-2:]
    down = torch.fft.fftfreq(height, device=field.device)[:, None]
    across = torch.fft.rfftfreq(width, device=field.device)
    # A little less than 1, so that rounding does not decide about waves of just that length.
    long = torch.hypot(down, across) < (1 - 1e-5) / length
    modes = torch.fft.rfft2(field)
    return torch.fft.irfft2(torch.where(long, modes, 0.0), s=(height, width))


TASK = Forecast
