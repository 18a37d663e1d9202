"""The task of a graph with the scales that its training split has."""

import json

from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.graph import TOGETHER, Graph
from flexbench.tasks import JointTask, Task, make_task


def load_tasks(graph: Graph, training: str) -> Task | JointTask:
    """What a training learns: its task, or all of its tasks."""
    names = training.split(TOGETHER)
    tasks = {name: load_task(graph, name) for name in names}
    return JointTask(tasks) if len(tasks) > 1 else tasks[names[0]]


def load_task(graph: Graph, case: str) -> Task:
    """The task of a case, with the scales of the observable that it is applied to."""
    here = graph.case(case)
    path = graph.statistics(case)
    settings = graph.task_settings(case)
    command = f"flexbench statistics {here.task}"
    if (observable := here.settings.observable) != "w":
        command += f" --observable {observable}"
    if not path.is_file():
        raise FlexbenchError(f"{path}: missing; run `{command}` first")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        normaliser = Normaliser.of(found)
    except (FlexbenchError, ValueError, TypeError) as error:
        raise FlexbenchError(f"{path}: {error}; run `{command}` again") from None
    return make_task(
        settings,
        normaliser=normaliser,
        interval=found.get("interval") or graph.config.solver.interval,
        periodic=found.get("periodic", True),
    )
