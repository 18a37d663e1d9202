"""Fitting a sampler to validation: what a network says there, time by time of the sampler."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from flexbench.config import SampleSettings
from flexbench.data.store import Trajectory
from flexbench.diffusion import Draw
from flexbench.diffusion.sampler import Node
from flexbench.inference.predictors import consistency_of, features_of
from flexbench.inference.rollout import Rollout, feed_back, rollouts_of
from flexbench.inference.segments import Segments
from flexbench.inference.tiles import Room, TiledNetwork, tiling_of
from flexbench.methods import Method, evaluating
from flexbench.posterior.consistency import Consistency
from flexbench.posterior.model import Calibration, ErrorModel
from flexbench.posterior.path import Known, fit_path
from flexbench.seeding import generator
from flexbench.tasks.base import Example, Task

# Of every validation snapshot; two tell spread and error apart.
PAIR = 2


class Validation:
    """A method on validation snapshots, each a whole domain.

    method: on `device`. settings: sampler, steps, batch and overlap. trajectories: of validation.
    count: starts in each of them, leads: of a rollout from each; or as many as fit. seed: of the
    noise. segments: what a killed run was told already.
    """

    def __init__(
        self,
        method: Method,
        task: Task,
        *,
        settings: SampleSettings,
        trajectories: Sequence[Trajectory],
        count: int,
        leads: int,
        seed: int,
        segments: Segments,
        device: torch.device | str,
    ):
        self.method, self.task, self.settings, self.seed = method, task, settings, seed
        self.segments, self.device = segments, device
        self.members = PAIR if method.stochastic else 1
        room = [it.shape[0] - (task.window - 1) * task.stride for it in trajectories]
        self.leads = min(leads, 1 + (min(room) - 1) // task.stride)
        ahead = (self.leads - 1) * task.stride
        self.rollouts: list[Rollout] = []
        for trajectory, fits in zip(trajectories, room, strict=True):
            starts = min(count, fits - ahead)
            self.rollouts += rollouts_of(task, trajectory, count=starts, leads=self.leads)

    def fit(self, setting: str, weights: str) -> Calibration:
        """The fit of the checkpoint whose file has the digest `weights`, for a named setting."""
        draw = Draw(sampler=self.settings.sampler, steps=self.settings.steps)
        nodes = self.method.times(draw)
        models: tuple[ErrorModel, ...] = ()
        later: list[ErrorModel] = []
        examples = [self._example(rollout) for rollout in self.rollouts]
        networks = self._networks(examples)
        holds = self._holds(examples, networks, nodes[0])
        for lead in range(1, self.leads + 1):
            fitted = fit_path(
                [self._known(example, holds=holds) for example in examples],
                nodes,
                ask=partial(self._ask, networks, lead),
                noise=partial(self._noise, lead),
                known=models[:-1],
            )
            if lead == 1:
                models = fitted.models
            else:
                later.append(fitted.models[-1])
            if lead < self.leads:
                examples = [
                    self._next(rollout, example, x0, lead)
                    for rollout, example, x0 in zip(
                        self.rollouts, examples, fitted.drawn, strict=True
                    )
                ]
                networks = self._networks(examples)
        return Calibration(
            setting=setting, weights=weights, models=models, later=tuple(later), holds=holds
        )

    def _holds(
        self, examples: Sequence[Example], networks: Sequence[TiledNetwork], node: Node
    ) -> bool:
        """Whether what the task tells of the target is better than the network's first word."""
        ours = theirs = 0.0
        for number, example in enumerate(examples):
            known = self._consistency(example)
            if known is None or known.exact:
                return known is not None
            start = self._noise(1, number, "initial", 0)
            said = self._ask(networks, 1, number, start, node, "path 0")
            truth = known.part(example.residual)
            ours += float((truth - known.value).double().square().mean())
            theirs += float((truth - known.part(said)).double().square().mean())
        return ours < theirs

    def _consistency(self, example: Example) -> Consistency | None:
        if not self.settings.consistent:
            return None
        patch = self.method.problem.patch
        return consistency_of(example, self.task, patch=patch, device=self.device)

    def _example(self, rollout: Rollout, lead: int = 1, past: Tensor | None = None) -> Example:
        return rollout.example(self.task, lead, past).to(self.device)

    def _next(self, rollout: Rollout, example: Example, x0: Tensor, lead: int) -> Example:
        """Of the next lead, whose past is each member's own."""
        fields = self.task.reconstruct(x0, example.base)
        past = feed_back(example.inputs, fields, "member")
        return self._example(rollout, lead + 1, past.cpu())

    def _known(self, example: Example, *, holds: bool) -> Known:
        known = self._consistency(example) if holds else None
        features = features_of(example, self.task, known, rows=slice(None), device=self.device)
        return Known(example.residual, features)

    def _networks(self, examples: Sequence[Example]) -> list[TiledNetwork]:
        """The network on each example, whose condition it encodes once for all times."""
        method, room = self.method, Room()
        patch, overlap = method.problem.patch, self.settings.overlap
        return [
            TiledNetwork(
                method.bare,
                example.condition,
                example.re,
                tiling=tiling_of(example, self.task, patch=patch, overlap=overlap),
                batch=self.settings.batch,
                room=room,
            )
            for example in examples
        ]

    def _ask(
        self,
        networks: Sequence[TiledNetwork],
        lead: int,
        number: int,
        x: Tensor,
        node: Node,
        name: str,
    ) -> Tensor:
        """From the segment, if there is one."""
        segment = f"lead{lead}_{name.replace(' ', '_')}_{number:05d}"
        if segment not in self.segments:
            network = networks[number]
            with evaluating(self.method.network):
                answer = self.method.x0_hat(network, network.condition, x, node)
            self.segments.write(segment, answer.cpu().numpy())
        return torch.from_numpy(self.segments.load(segment)).to(self.device)

    def _noise(self, lead: int, number: int, name: str, around: int) -> Tensor:
        rollout = self.rollouts[number]
        first = rollout.targets[0]
        height, width = rollout.trajectory.shape[-2:]
        channels = self.task.spec.field_channels
        shape = (channels, height + 2 * around, width + 2 * around)
        target = (self.seed, "calibration", first.trajectory, first.index, name)
        ahead = ("lead", lead) if lead > 1 else ()
        streams = (generator(*target, member, *ahead) for member in range(self.members))
        return torch.stack([torch.randn(shape, generator=it) for it in streams]).to(self.device)
