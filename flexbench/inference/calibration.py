"""Fitting a sampler to validation: what a network says there, time by time of the sampler."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flexbench.config import SampleSettings
from flexbench.data.store import Trajectory
from flexbench.diffusion import Draw
from flexbench.diffusion.sampler import Node
from flexbench.inference.predictors import features_of
from flexbench.inference.rollout import scored_indices, whole_example
from flexbench.inference.segments import Segments
from flexbench.inference.tiles import TiledNetwork, tiling_of
from flexbench.methods import Method, evaluating
from flexbench.posterior.model import ErrorModel
from flexbench.posterior.path import Known, fit_path
from flexbench.seeding import generator
from flexbench.tasks.base import Task

# Of every validation snapshot; two tell spread and error apart.
PAIR = 2


class Validation:
    """A method on validation snapshots, each a whole domain.

    method: on `device`. settings: sampler, steps, batch and overlap. trajectories: of validation.
    count: snapshots of each, or as many as it has. seed: of the noise. segments: what a killed
    run was told already.
    """

    def __init__(
        self,
        method: Method,
        task: Task,
        *,
        settings: SampleSettings,
        trajectories: Sequence[Trajectory],
        count: int,
        seed: int,
        segments: Segments,
        device: torch.device | str,
    ):
        self.method, self.task, self.settings, self.seed = method, task, settings, seed
        self.segments, self.device = segments, device
        self.members = PAIR if method.stochastic else 1
        self.names: list[tuple[str, int]] = []
        for trajectory in trajectories:
            room = trajectory.shape[0] - (task.window - 1) * task.stride
            indices = scored_indices(
                trajectory, count=min(count, room), window=task.window, stride=task.stride
            )
            self.names += [(trajectory.path.stem, index) for index in indices]
        by_name = {trajectory.path.stem: trajectory for trajectory in trajectories}
        self.examples = [
            whole_example(task, by_name[stem], index).to(device) for stem, index in self.names
        ]

    def fit(self) -> tuple[ErrorModel, ...]:
        """The errors at each time of the sampler."""
        draw = Draw(sampler=self.settings.sampler, steps=self.settings.steps)
        rows = slice(None)
        known = [
            Known(it.residual, features_of(it, self.task, rows=rows, device=self.device))
            for it in self.examples
        ]
        return fit_path(known, self.method.times(draw), ask=self._ask, noise=self._noise)

    def _ask(self, number: int, x: Tensor, node: Node, name: str) -> Tensor:
        """From the segment, if there is one."""
        segment = f"{name.replace(' ', '_')}_{number:05d}"
        if segment not in self.segments:
            self.segments.write(segment, self._answer(number, x, node).cpu().numpy())
        return torch.from_numpy(self.segments.load(segment)).to(self.device)

    def _answer(self, number: int, x: Tensor, node: Node) -> Tensor:
        example, method = self.examples[number], self.method
        tiling = tiling_of(
            example, self.task, patch=method.problem.patch, overlap=self.settings.overlap
        )
        output = TiledNetwork(
            method.bare,
            example.condition,
            example.re,
            tiling=tiling,
            batch=self.settings.batch,
        )
        with evaluating(method.network):
            return method.x0_hat(output, example.condition, x, node)

    def _noise(self, number: int, name: str, around: int) -> Tensor:
        channels, height, width = self.examples[number].residual.shape[1:]
        shape = (channels, height + 2 * around, width + 2 * around)
        target = (self.seed, "calibration", *self.names[number], name)
        streams = (generator(*target, member) for member in range(self.members))
        return torch.stack([torch.randn(shape, generator=it) for it in streams]).to(self.device)
