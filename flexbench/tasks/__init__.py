"""Tasks: what a network is told, what it has to say, and how that becomes a field again."""

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.data.stats import Normaliser
from flexbench.tasks.base import Example, Task, untile
from flexbench.tasks.forecast import Forecast
from flexbench.tasks.joint import JointExample, JointTask
from flexbench.tasks.superres import SuperResolution

__all__ = ["Example", "JointExample", "JointTask", "Task", "make_task", "untile"]


def make_task(
    settings: SuperResolutionSettings | ForecastSettings,
    *,
    normaliser: Normaliser,
    interval: float,
    periodic: bool = True,
) -> Task:
    """The task that the settings ask for.

    normaliser: scales from the training split's statistics. interval: time between two stored
    snapshots of the files. periodic: whether their fields are. Raises
    FlexbenchError when the settings do not fit together.
    """
    if isinstance(settings, ForecastSettings):
        return Forecast(settings, normaliser=normaliser, interval=interval, periodic=periodic)
    return SuperResolution(settings, normaliser=normaliser, periodic=periodic)
