"""Persistence: the last past snapshot is the forecast. What every forecast has to beat."""

from torch import Tensor

from flexbench.tasks.base import Example, Task

TASKS = ("forecast",)


def predict(example: Example, task: Task) -> Tensor:
    """The field one lead after the last snapshot of `example.inputs` (B,K,H,W): (B,1,H,W)."""
    return example.inputs[:, -1:]  # (B, 1, H, W)
