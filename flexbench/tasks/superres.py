"""Super-resolution: a snapshot from its degraded version."""

from torch import Tensor

from flexbench.config import SuperResolutionSettings
from flexbench.data.degrade import Degradation
from flexbench.data.stats import Normaliser
from flexbench.spec import ProblemSpec
from flexbench.tasks.base import Example, Task


class SuperResolution(Task):
    """Condition and base are the interpolated low-resolution field."""

    window = 1
    stride = 1

    def __init__(
        self, settings: SuperResolutionSettings, *, normaliser: Normaliser, periodic: bool = True
    ):
        super().__init__(normaliser=normaliser, periodic=periodic)
        self.degradation = Degradation.of(settings, periodic=periodic)
        # The low-resolution samples of a patch are those of the domain.
        self.align = settings.factor
        self.halo = self.degradation.halo
        self.spec = ProblemSpec(
            task="superres", condition_channels=1, patch=settings.patch, periodic=periodic
        )

    def prepare(self, fields: Tensor, reynolds: Tensor) -> Example:
        self._check(fields)
        halo = self.margin
        low = self.degradation.down(fields)
        base = _inside(self.degradation.up(low), halo)
        return self._example(
            condition=base,
            base=base,
            truth=_inside(fields, halo),
            inputs=_inside(low, halo // self.degradation.factor),
            reynolds=reynolds,
        )


def _inside(field: Tensor, halo: int) -> Tensor:
    """Without `halo` points on each side."""
    height, width = field.shape[-2:]
    return field[..., halo : height - halo, halo : width - halo].contiguous()
