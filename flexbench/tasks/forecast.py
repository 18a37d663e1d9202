"""One-step forecasting: a snapshot from the two before it."""

from torch import Tensor

from flexbench.tasks.base import Physical, Task


class Forecast(Task):
    """Condition is the past, oldest first; base is its last snapshot."""

    def physical(self, fields: Tensor) -> Physical:
        past, truth = fields[:, :-1], fields[:, -1:]
        return Physical(condition=past, base=past[:, -1:], truth=truth, inputs=past)


TASK = Forecast
