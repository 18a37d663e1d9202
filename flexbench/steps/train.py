"""Step `train`: the weights of one method with one training seed, on one task or on several."""

import dataclasses
import sys
from typing import Any

from flexbench import BENCHMARK_VERSION
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.sizing.matching import NetworkSummary
from flexbench.spec import problem_facts
from flexbench.tasks import JointTask, Task
from flexbench.training.beginning import begin, patches_of
from flexbench.training.distributed import is_main
from flexbench.training.loop import train
from flexbench.training.state import clear_state


def train_step(graph: Graph, *, training: str, method: str, seed: int) -> None:
    """Write the checkpoint and its log; the same call resumes after any kill.

    training: its name, or, of several tasks that the method learns together, any one.
    """
    training = graph.named_training(training, method)
    step = graph.step("train", training=training, method=method, seed=seed)
    receipt = Receipt(step)
    device = prepare_device(graph.config)
    start = begin(graph, training=training, method=method, seed=seed)
    problem, settings = start.problem, start.settings
    state_dir = graph.layout.state("train", training, method, f"seed{seed}")
    checkpoint, log = step.outputs
    summary = train(
        start.method,
        patches_of(graph, problem, seed=seed, split="train"),
        problem,
        settings=settings,
        seed=seed,
        checkpoint_path=checkpoint,
        state_dir=state_dir,
        log_path=log,
        validation=patches_of(graph, problem, seed=seed, split="validation"),
        device=device,
        threads=graph.config.threads,
        metadata=_metadata(
            graph, problem, start.built, training=training, method=method, seed=seed
        ),
        layouts=start.layouts,
        step_flops=start.step_flops,
        progress=sys.stderr.isatty(),
    )
    if not is_main():
        return
    facts = dataclasses.asdict(summary) | {
        "training": training,
        "flops": settings.steps * start.step_flops,
        "matched": _matched(start.built),
    }
    receipt.write(seed=seed, device=str(device), **facts)
    clear_state(state_dir)


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
