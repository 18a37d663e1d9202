"""Step `train`: the weights of one method with one training seed, on one task or on several."""

import dataclasses
import sys
from typing import Any

import torch

from flexbench import BENCHMARK_VERSION
from flexbench.data.joint import JointSampler
from flexbench.data.patches import PatchSampler
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.methods import make_method
from flexbench.models.layout import layouts_of
from flexbench.provenance import Receipt
from flexbench.seeding import stream_seed
from flexbench.sizing.matching import NetworkSummary, build_network
from flexbench.spec import TRAINING_PASSES, problem_facts
from flexbench.tasks import JointTask, Task
from flexbench.tasks.loading import load_tasks
from flexbench.training.batches import PatchSource
from flexbench.training.distributed import is_main
from flexbench.training.loop import train
from flexbench.training.state import clear_state


def train_step(graph: Graph, *, training: str, method: str, seed: int) -> None:
    """Write the checkpoint and its log; the same call resumes after any kill.

    training: its name, or, of several tasks that the method learns together, any one.
    """
    config = graph.config
    training = graph.named_training(training, method)
    step = graph.step("train", training=training, method=method, seed=seed)
    receipt = Receipt(step)
    device = prepare_device(config)
    problem = load_tasks(graph, training)
    chosen = config.method(method)
    settings = config.train_settings(method)
    diffusion = config.diffusion_settings(method)
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, "weights"))
        network, built = build_network(
            graph.facts(method).name,
            problem.spec,
            size=chosen.size or config.size,
            width=chosen.width,
            match=chosen.match,
            narrow=chosen.narrow,
            options=chosen.options,
            dropout=settings.dropout,
            baseline_folders=config.baseline_folders,
        )
    state_dir = graph.layout.state("train", training, method, f"seed{seed}")
    step_flops = TRAINING_PASSES * settings.batch * built.footprint.flops.forward
    checkpoint, log = step.outputs
    summary = train(
        make_method(network, problem=problem.spec, settings=diffusion, mode=chosen.mode),
        _patches(graph, problem, seed=seed, split="train"),
        problem,
        settings=settings,
        seed=seed,
        checkpoint_path=checkpoint,
        state_dir=state_dir,
        log_path=log,
        validation=_patches(graph, problem, seed=seed, split="validation"),
        device=device,
        threads=config.threads,
        metadata=_metadata(graph, problem, built, training=training, method=method, seed=seed),
        layouts=layouts_of(channels_last=graph.facts(method).channels_last),
        step_flops=step_flops,
        progress=sys.stderr.isatty(),
    )
    if not is_main():
        return
    facts = dataclasses.asdict(summary) | {
        "training": training,
        "flops": settings.steps * step_flops,
        "matched": _matched(built),
    }
    receipt.write(seed=seed, device=str(device), **facts)
    clear_state(state_dir)


def _patches(graph: Graph, problem: Task | JointTask, *, seed: int, split: str) -> PatchSource:
    if isinstance(problem, JointTask):
        own = problem.tasks.items()
        return JointSampler({name: patch_sampler(graph, task, seed, split) for name, task in own})
    return patch_sampler(graph, problem, seed, split)


def patch_sampler(graph: Graph, problem: Task, seed: int, split: str) -> PatchSampler:
    """The patches of a split that a training with this seed learns from, or is validated on."""
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


def _matched(built: NetworkSummary) -> dict[str, Any]:
    """How large the network is beside FLEX, by what its width was solved for."""
    return {"by": built.match, "ratio": built.ratio}


def _metadata(
    graph: Graph,
    problem: Task | JointTask,
    built: NetworkSummary,
    *,
    training: str,
    method: str,
    seed: int,
) -> dict[str, Any]:
    """What is written with the weights: all that is needed to build and to run them again.

    Of several tasks, `problem` and `normaliser` hold an entry for each, by its name.
    """
    chosen = graph.config.method(method)
    if isinstance(problem, JointTask):
        own = problem.tasks.items()
        scales = {name: dataclasses.asdict(task.normaliser) for name, task in own}
    else:
        scales = dataclasses.asdict(problem.normaliser)
    return {
        "benchmark_version": BENCHMARK_VERSION,
        "task": training,
        "method": method,
        "network": graph.facts(method).name,
        "mode": chosen.mode,
        "training_seed": seed,
        "problem": problem_facts(problem.spec),
        "normaliser": scales,
        "size": built.size,
        "width": built.width,
        "options": chosen.options,
        "matched": _matched(built),
        "footprint": dataclasses.asdict(built.footprint),
        "diffusion": graph.config.diffusion_settings(method).model_dump(),
        "slice": graph.step("train", training=training, method=method, seed=seed).slice,
    }
