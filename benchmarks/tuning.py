"""The same budget of tuning for every network: `python benchmarks/tuning.py results/desk`.

    python benchmarks/tuning.py FOLDER [--networks flex unet fno dit] [--rates 1e-3 2e-3 4e-3]
                                [--tasks superres_x4 forecast] [--seeds 0] [--steps-scale 1]

The folder holds a run of a tier whose trajectories and statistics are made; nothing is written.
Each network learns each task by the tier's common recipe (`train`, without what `method_settings`
has) at each learning rate. What is printed, as CSV, is RFNE of the ensemble mean on fixed patches
of the validation split, and the processor time of the training steps. No test flow is looked at.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

import torch
from time_to_accuracy import TURNS, Training, scaled

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.tasks.loading import load_task
from flexbench.training.beginning import patch_sampler

NETWORKS = ("flex", "unet", "fno", "dit")
# A network's rate is the best of three, each twice the last.
RATES = (1e-3, 2e-3, 4e-3)


def main() -> None:
    """One line for each training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a tier's results, such as results/desk")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    parser.add_argument("--tasks", nargs="+", default=["superres_x4", "forecast"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps-scale", type=float, default=1.0, help="below 1: a quick try")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder.resolve()
    graph = Graph.of(load_config({"tier": folder.name, "root": str(folder.parent)}))
    config = graph.config
    print("task,network,learning_rate,seed,rfne,seconds", flush=True)
    for name in options.networks:
        for task_name in options.tasks:
            task = load_task(graph, task_name)
            validation = patch_sampler(graph, task, 0, "validation")
            for rate in options.rates:
                for seed in options.seeds:
                    settings = config.train.model_copy(update={"learning_rate": rate})
                    with ExitStack() as stack:
                        training = Training(
                            graph,
                            name,
                            task,
                            settings=scaled(settings, options.steps_scale),
                            diffusion=config.diffusion,
                            seed=seed,
                            stack=stack,
                        )
                        training.turn(TURNS)
                        seen = training.look(task, validation)
                    print(
                        f"{task_name},{name},{rate:g},{seed},{seen.rfne:.4f},{seen.seconds:.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
