"""Super-resolution: a snapshot from its degraded version."""

from typing import Any

from torch import Tensor

from flexbench.config.tasks.superres import SuperResolutionSettings
from flexbench.data.degrade import Degradation
from flexbench.tasks.base import Physical, Task


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


def _inside(field: Tensor, halo: int) -> Tensor:
    """Without `halo` points on each side."""
    height, width = field.shape[-2:]
    return field[..., halo : height - halo, halo : width - halo].contiguous()


TASK = SuperResolution
