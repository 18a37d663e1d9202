"""One-step forecasting: a snapshot from the two before it."""

from torch import Tensor

from flexbench.config import ForecastSettings
from flexbench.data.stats import Normaliser
from flexbench.data.store import window_stride
from flexbench.spec import ProblemSpec
from flexbench.tasks.base import Example, Task


class Forecast(Task):
    """Condition is the past, oldest first; base is its last snapshot."""

    halo = 0

    def __init__(
        self,
        settings: ForecastSettings,
        *,
        normaliser: Normaliser,
        interval: float,
        periodic: bool = True,
    ):
        super().__init__(normaliser=normaliser, periodic=periodic)
        self.window = settings.past + 1
        self.stride = window_stride(settings.lead, interval)
        self.spec = ProblemSpec(
            task="forecast",
            condition_channels=settings.past,
            patch=settings.patch,
            periodic=periodic,
        )

    def prepare(self, fields: Tensor, reynolds: Tensor) -> Example:
        self._check(fields)
        past, truth = fields[:, :-1], fields[:, -1:]
        return self._example(
            condition=past, base=past[:, -1:], truth=truth, inputs=past, reynolds=reynolds
        )
