"""Step `targets`: how much a network has to say of residuals and of fields."""

from flexbench.atomic import write_text
from flexbench.device import prepare_device
from flexbench.diffusion import CosineSchedule
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.tasks.loading import load_task
from flexbench.theory.targets import measure_targets


def targets_step(graph: Graph, *, task: str) -> None:
    """Write `data/targets_<task>.csv`."""
    step = graph.step("targets", task=task)
    receipt = Receipt(step)
    prepare_device(graph.config)
    found = measure_targets(
        load_task(graph, task),
        graph.trajectories("train"),
        snapshots=step.slice["snapshots"],
        schedule=CosineSchedule(step.slice["shift"]),
    )
    write_text(step.outputs[0], found.to_csv(index=False))
    receipt.write(device="cpu")
