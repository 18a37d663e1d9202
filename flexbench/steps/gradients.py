"""Step `gradients`: a training once more, to measure the noise of its gradients."""

import torch

from flexbench.atomic import write_text
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.methods import make_method
from flexbench.models.layout import layouts_of
from flexbench.provenance import Receipt
from flexbench.seeding import stream_seed
from flexbench.sizing.matching import build_network
from flexbench.spec import TRAINING_PASSES
from flexbench.steps.train import _patches
from flexbench.tasks.loading import load_tasks
from flexbench.theory.gradients import Observed, observe
from flexbench.theory.tables import GRADIENTS


def gradients_step(graph: Graph, *, training: str, method: str, seed: int) -> Observed:
    """Write `seed<k>.gradients.csv` beside the checkpoint; a killed job is done again.

    training: its name, or, of several tasks that the method learns together, any one. Returns the
    learner after its last step, whose weights are those that `train` makes.
    """
    config = graph.config
    training = graph.named_training(training, method)
    step = graph.step("gradients", training=training, method=method, seed=seed)
    receipt = Receipt(step)
    device = prepare_device(config)
    problem = load_tasks(graph, training)
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
            narrow=chosen.narrow,
            options=chosen.options,
            dropout=settings.dropout,
            baseline_folders=config.baseline_folders,
        )
    diffusion = config.diffusion_settings(method)
    rows, learner = observe(
        make_method(network, problem=problem.spec, settings=diffusion, mode=chosen.mode),
        _patches(graph, problem, seed=seed, split="train"),
        problem,
        settings=settings,
        seed=seed,
        count=step.slice["batches"],
        device=device,
        threads=config.threads,
        layouts=layouts_of(channels_last=graph.facts(method).channels_last),
        step_flops=TRAINING_PASSES * settings.batch * built.footprint.flops.forward,
    )
    named = {"training": training, "method": method, "training_seed": seed}
    table = GRADIENTS.of(named | row for row in rows)
    write_text(step.outputs[0], table.to_csv(index=False))
    receipt.write(seed=seed, device=str(device), parameters=learner.parameters)
    return learner
