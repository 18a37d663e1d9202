"""Tasks: what a network is told, what it has to say, and how that becomes a field again.

A kind of task is `<kind>.py` here, with `TASK`, a class derived from `base.Task`, and its settings
in `flexbench/config/tasks/<kind>.py`; the folder is the registry.
"""

import importlib

from flexbench.config.tasks import KINDS, TaskSettings
from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.tasks.base import Example, Physical, Task, untile
from flexbench.tasks.joint import JointExample, JointTask

__all__ = ["Example", "JointExample", "JointTask", "Physical", "Task", "make_task", "untile"]


def make_task(
    settings: TaskSettings,
    *,
    normaliser: Normaliser,
    interval: float = 1.0,
    periodic: bool = True,
) -> Task:
    """The task that the settings ask for.

    normaliser: scales from the training split's statistics. interval: time between two stored
    snapshots of the files. periodic: whether their fields are. Raises FlexbenchError when the
    settings do not fit together, and for a kind that nothing here does.
    """
    if settings.kind not in KINDS:
        raise FlexbenchError(f"kind: found '{settings.kind}', allowed: {', '.join(KINDS)}")
    made: Task = importlib.import_module(f"{__name__}.{settings.kind}").TASK(
        settings, normaliser=normaliser, interval=interval, periodic=periodic
    )
    return made
