"""What a training begins with: first weights, the task, and the patches that it learns from."""

from dataclasses import dataclass

import torch

from flexbench.config import TrainSettings
from flexbench.data.joint import JointSampler
from flexbench.data.patches import PatchSampler
from flexbench.graph import Graph
from flexbench.methods import Method, make_method
from flexbench.models.layout import Layout, layouts_of
from flexbench.seeding import stream_seed
from flexbench.sizing.matching import NetworkSummary, build_network
from flexbench.spec import TRAINING_PASSES
from flexbench.tasks import JointTask, Task
from flexbench.tasks.loading import load_tasks
from flexbench.training.batches import PatchSource


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """method: a network with the first weights of a training seed. problem: what it learns. built:
    how large it is. layouts: that its maps can have. step_flops: of an optimiser step, all passes.
    """

    method: Method
    problem: Task | JointTask
    built: NetworkSummary
    settings: TrainSettings
    layouts: tuple[Layout, ...]

    @property
    def step_flops(self) -> float:
        return TRAINING_PASSES * self.settings.batch * self.built.footprint.flops.forward


def begin(graph: Graph, *, training: str, method: str, seed: int) -> Beginning:
    """Of one method, on one task or on several. The global generators are left as they were.

    Raises FlexbenchError where the network cannot be built, or statistics are missing.
    """
    config = graph.config
    problem = load_tasks(graph, training)
    chosen, settings = config.method(method), config.train_settings(method)
    facts = graph.facts(method)
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, "weights"))
        network, built = build_network(
            facts.name,
            problem.spec,
            size=chosen.size or config.size,
            width=chosen.width,
            match=chosen.match,
            narrow=chosen.narrow,
            options=chosen.options,
            dropout=settings.dropout,
            baseline_folders=config.baseline_folders,
        )
    diffusion = config.diffusion_settings(method)
    return Beginning(
        method=make_method(network, problem=problem.spec, settings=diffusion, mode=chosen.mode),
        problem=problem,
        built=built,
        settings=settings,
        layouts=layouts_of(channels_last=facts.channels_last),
    )


def patches_of(graph: Graph, problem: Task | JointTask, *, seed: int, split: str) -> PatchSource:
    """The patches of a split that a training with this seed learns from, or is validated on."""
    if isinstance(problem, JointTask):
        own = problem.tasks.items()
        return JointSampler({name: patch_sampler(graph, task, seed, split) for name, task in own})
    return patch_sampler(graph, problem, seed, split)


def patch_sampler(graph: Graph, problem: Task, seed: int, split: str) -> PatchSampler:
    """The same, of one task."""
    return PatchSampler(
        graph.trajectories(split),
        window=problem.window,
        stride=problem.stride,
        patch=problem.spec.patch,
        halo=problem.halo,
        align=problem.align,
        seed=seed,
        stream=split,
    )
