"""Step `train`: the weights of one method on one task, with one training seed."""

import dataclasses
import sys
from typing import Any

import torch

from flexbench import BENCHMARK_VERSION, planned
from flexbench.data.patches import PatchSampler
from flexbench.device import prepare_device
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.methods import make_method
from flexbench.provenance import Receipt
from flexbench.seeding import stream_seed
from flexbench.sizing import NetworkSummary, build_network
from flexbench.steps.task import load_task
from flexbench.tasks import Task
from flexbench.training.distributed import is_main
from flexbench.training.loop import train
from flexbench.training.state import clear_state


def train_step(graph: Graph, *, task: str, method: str, seed: int) -> None:
    """Write the checkpoint and its log; the same call resumes after any kill."""
    graph.require(task, method)
    if graph.is_formula(method):
        raise FlexbenchError(f"method '{method}' is a formula: it has nothing to train")
    config = graph.config
    receipt = Receipt(planned.train(graph, task, method, seed))
    device = prepare_device(config)
    problem = load_task(graph, task)
    chosen = config.method(method)
    settings = config.train_settings(method)
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, "weights"))
        network, built = build_network(
            graph.facts(method).name,
            problem.spec,
            size=chosen.size or config.size,
            width=chosen.width,
            match=chosen.match,
            options=chosen.options,
            dropout=settings.dropout,
            baseline_folders=config.baseline_folders,
        )
    weights = graph.layout.checkpoint(task, method, seed)
    state_dir = graph.layout.state("train", task, method, f"seed{seed}")
    summary = train(
        make_method(network, problem=problem.spec, settings=config.diffusion, mode=chosen.mode),
        _patches(graph, problem, seed=seed, split="train"),
        problem,
        settings=settings,
        seed=seed,
        checkpoint_path=weights,
        state_dir=state_dir,
        log_path=graph.layout.training_log(task, method, seed),
        validation=_patches(graph, problem, seed=seed, split="validation"),
        device=device,
        threads=config.threads,
        metadata=_metadata(graph, problem, built, task=task, method=method, seed=seed),
        progress=sys.stderr.isatty(),
    )
    if not is_main():
        return
    receipt.write(seed=seed, device=str(device), **dataclasses.asdict(summary))
    clear_state(state_dir)


def _patches(graph: Graph, problem: Task, *, seed: int, split: str) -> PatchSampler:
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


def _metadata(
    graph: Graph, problem: Task, built: NetworkSummary, *, task: str, method: str, seed: int
) -> dict[str, Any]:
    """What is written with the weights: all that is needed to build and to run them again."""
    chosen = graph.config.method(method)
    return {
        "benchmark_version": BENCHMARK_VERSION,
        "task": task,
        "method": method,
        "network": graph.facts(method).name,
        "mode": chosen.mode,
        "training_seed": seed,
        "problem": dataclasses.asdict(problem.spec),
        "normaliser": dataclasses.asdict(problem.normaliser),
        "size": built.size,
        "width": built.width,
        "options": chosen.options,
        "matched": {"by": built.match, "ratio": built.ratio},
        "footprint": dataclasses.asdict(built.footprint),
        "diffusion": graph.config.diffusion.model_dump(),
        "slice": graph.train_slice(task, method, seed),
    }
