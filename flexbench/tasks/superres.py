"""Super-resolution: a snapshot from its degraded version."""

from typing import Any

from torch import Tensor

from flexbench.config.tasks.superres import SuperResolutionSettings
from flexbench.data.degrade import Degradation
from flexbench.tasks.base import Example, KnownPart, Physical, Task


class SuperResolution(Task):
    """Condition and base are the interpolated low-resolution field."""

    def __init__(self, settings: SuperResolutionSettings, **options: Any):
        super().__init__(settings, **options)
        self.degradation = Degradation.of(settings, periodic=self.periodic)

    @property
    def halo(self) -> int | None:
        return self.degradation.halo

    def physical(self, fields: Tensor) -> Physical:
        halo = self.margin
        low = self.degradation.down(fields)
        base = _inside(self.degradation.up(low), halo)
        return Physical(
            condition=base,
            base=base,
            truth=_inside(fields, halo),
            inputs=_inside(low, halo // self.degradation.factor),
        )

    def known_part(self, example: Example, *, patch: int) -> KnownPart | None:
        """The means of blocks, where the low-resolution field is made of them."""
        if self.degradation.degradation != "block_mean":
            return None
        return KnownPart(of=self._block_means, field=self._blocks(example.inputs), exact=True)

    def _block_means(self, field: Tensor) -> Tensor:
        """A field (..., H, W) with the mean of its block at every point."""
        return self._blocks(self.degradation.down(field))

    def _blocks(self, low: Tensor) -> Tensor:
        """The value of each low-resolution point at all points of its block."""
        factor = self.degradation.factor
        return low.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)


def _inside(field: Tensor, halo: int) -> Tensor:
    """Without `halo` points on each side."""
    height, width = field.shape[-2:]
    return field[..., halo : height - halo, halo : width - halo].contiguous()


TASK = SuperResolution
