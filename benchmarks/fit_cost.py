"""What sampler `calibrated` costs: `python benchmarks/fit_cost.py results/desk`.

    python benchmarks/fit_cost.py FOLDER [--rounds 3] [--snapshots 3]

For each network and task of a finished run that has both: the fit to validation, then the samples
of test trajectories by the tier's own sampler and by `calibrated`, in turn, in one process, on one
thread, by processor time. Of the test split one seed of each Reynolds number is drawn each time;
the fit is held against the whole split's samples, which take as many times longer. Aims: the fit
at most a tenth of them, `calibrated` at most 1.1 times the tier's own sampler. Medians, and the
range over the rounds. Nothing is written into the folder. `--snapshots`: of each validation
trajectory that is fitted to, in place of the run's own number.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from shutil import copytree

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.steps.calibrate import calibrate_step
from flexbench.steps.sample import sample_step

FITTED = "calibrated"


def seconds(run: Callable[[], None]) -> float:
    """Of processor time."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def told(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def compare(graph: Graph, task: str, method: str, *, share: float, rounds: int) -> None:
    """One network on one task; share: of the test split that is drawn."""
    seed = graph.config.training_seeds[0]
    case = f"{task}.{FITTED}"
    setting = graph.case(case).fit
    if setting is None:
        raise SystemExit(f"{case}: sampler `{graph.case(case).sample.sampler}` needs no fit")
    fits, ours = [], []
    for _ in range(rounds):
        fit = seconds(partial(calibrate_step, graph, fit=setting.name, method=method, seed=seed))
        own, fitted = (
            seconds(partial(sample_step, graph, case=it, method=method, seed=seed))
            for it in (task, case)
        )
        fits.append(share * fit / fitted)
        ours.append(fitted / own)
    name = f"{method} on {task}"
    print(f"  {name:24} fit / samples {told(fits)}, calibrated / own {told(ours)}")


def main() -> None:
    """Print it for the run in the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--snapshots", type=int)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    with tempfile.TemporaryDirectory() as root:
        here = Path(root) / folder.name
        here.mkdir()
        (here / "data").symlink_to(folder / "data")
        copytree(folder / "checkpoints", here / "checkpoints")
        resolved = folder / "config.yaml"
        whole = load_config({"root": root}, resolved=resolved)
        seeds = whole.split("test").seeds
        fitted = arguments.snapshots or whole.calibration.snapshots
        config = load_config(
            {
                "root": root,
                "splits": {"test": {"seeds": seeds[:1]}},
                "calibration": {"snapshots": fitted},
            },
            resolved=resolved,
        )
        graph = Graph.of(config)
        print(f"{config.tier}: {config.calibration.snapshots} snapshots of each validation run")
        for task in graph.tasks:
            if f"{task}.{FITTED}" not in config.cases:
                continue
            for method in config.methods_of(f"{task}.{FITTED}"):
                compare(graph, task, method, share=1 / len(seeds), rounds=arguments.rounds)


if __name__ == "__main__":
    main()
