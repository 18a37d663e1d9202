"""Step `gradients`: a training once more, to measure the noise of its gradients."""

from flexbench.atomic import write_text
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.provenance import Receipt
from flexbench.theory.gradients import Observed, observe
from flexbench.theory.tables import GRADIENTS
from flexbench.training.beginning import begin, patches_of


def gradients_step(graph: Graph, *, training: str, method: str, seed: int) -> Observed:
    """Write `seed<k>.gradients.csv` beside the checkpoint; a killed job is done again.

    training: its name, or, of several tasks that the method learns together, any one. Returns the
    learner after its last step, whose weights are those that `train` makes.
    """
    training = graph.named_training(training, method)
    step = graph.step("gradients", training=training, method=method, seed=seed)
    receipt = Receipt(step)
    device = prepare_device(graph.config)
    start = begin(graph, training=training, method=method, seed=seed)
    rows, learner = observe(
        start.method,
        patches_of(graph, start.problem, seed=seed, split="train"),
        start.problem,
        settings=start.settings,
        seed=seed,
        count=step.slice["batches"],
        device=device,
        threads=graph.config.threads,
        layouts=start.layouts,
        step_flops=start.step_flops,
    )
    named = {"training": training, "method": method, "training_seed": seed}
    table = GRADIENTS.of(named | row for row in rows)
    write_text(step.outputs[0], table.to_csv(index=False))
    receipt.write(seed=seed, device=str(device), parameters=learner.parameters)
    return learner
