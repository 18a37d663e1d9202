"""Several tasks as one: the batch that a network which learns them together takes a step on."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from flexbench.data.joint import JointWindows
from flexbench.spec import JointProblem
from flexbench.tasks.base import Example, Task


@dataclass(frozen=True)
class JointExample:
    """A batch of several tasks, K of them with B rows each, one task after the other.

    condition: for each task (B, Cc, H, W), in the order of the rows. re: (K * B, 1).
    residual: (K * B, C, H, W). All of it normalised, by the scales of each task's own.
    """

    condition: dict[str, Tensor]
    re: Tensor
    residual: Tensor

    @classmethod
    def of(cls, examples: Mapping[str, Example]) -> "JointExample":
        """The examples of the tasks, concatenated."""
        return cls(
            condition={task: example.condition for task, example in examples.items()},
            re=torch.cat([example.re for example in examples.values()]),
            residual=torch.cat([example.residual for example in examples.values()]),
        )


class JointTask:
    """The tasks of one network, each with its normaliser; FlexbenchError if they do not fit."""

    def __init__(self, tasks: Mapping[str, Task]):
        self.tasks = dict(tasks)
        self.spec = JointProblem.of({name: task.spec for name, task in self.tasks.items()})

    def example(self, windows: JointWindows) -> JointExample:
        """The batch of what a `data.joint.JointSampler` drew."""
        parts = windows.parts
        return JointExample.of(
            {name: task.example(parts[name]) for name, task in self.tasks.items()}
        )
