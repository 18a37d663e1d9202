"""The task of a graph with the scales that its training split has."""

import json

from flexbench.data.stats import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.graph import TOGETHER, Graph
from flexbench.tasks import JointTask, Task, make_task


def load_tasks(graph: Graph, training: str) -> Task | JointTask:
    """What a training learns: its task, or all of its tasks."""
    names = training.split(TOGETHER)
    tasks = {name: load_task(graph, name) for name in names}
    return JointTask(tasks) if len(tasks) > 1 else tasks[names[0]]


def load_task(graph: Graph, task: str) -> Task:
    """The task, its normaliser read from `data/statistics_<task>.json`."""
    path = graph.layout.statistics(task)
    settings = graph.task_settings(task)
    if not path.is_file():
        raise FlexbenchError(f"{path}: missing; run `flexbench statistics {task}` first")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        normaliser = Normaliser.of(found)
    except (FlexbenchError, ValueError, TypeError) as error:
        raise FlexbenchError(f"{path}: {error}; run `flexbench statistics {task}` again") from None
    return make_task(
        settings,
        normaliser=normaliser,
        interval=found.get("interval") or graph.config.solver.interval,
        periodic=found.get("periodic", True),
    )
