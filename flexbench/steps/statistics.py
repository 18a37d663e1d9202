"""Step `statistics`: the scales of a task's fields and residuals, from the training split only."""

import json

from flexbench.atomic import write_text
from flexbench.device import prepare_device
from flexbench.graph import Graph, velocity_of
from flexbench.provenance import Receipt
from flexbench.spec import Observable
from flexbench.tasks.statistics import compute_statistics


def statistics_step(graph: Graph, *, task: str, observable: Observable = "w") -> None:
    """Write `data/statistics_<task>.json`; of a velocity, `statistics_<task>.<observable>.json`."""
    settings = graph.task_settings(task)
    step = graph.step("statistics", task=task, velocity=velocity_of(observable))
    receipt = Receipt(step)
    prepare_device(graph.config)
    found = compute_statistics(settings, graph.trajectories("train"), observable=observable)
    write_text(step.outputs[0], json.dumps(found, indent=1) + "\n")
    receipt.write(device="cpu")
