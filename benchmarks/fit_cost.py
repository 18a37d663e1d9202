"""What sampler `calibrated` costs: `python benchmarks/fit_cost.py results/desk`.

    python benchmarks/fit_cost.py FOLDER [--rounds 3] [--snapshots 3]

First by the run's own records: processor time of each fit, its process's start included, over that
of all samples that are drawn by it; one fit serves all flows of an observable.

Then, for each network and task that was sampled in both ways: the fit to validation, and the
samples of test trajectories by the tier's own sampler and by `calibrated`, in turn, in one process,
on one thread. Of the test split one seed of each Reynolds number is drawn each time; the fit is
held against the whole split's samples, which take as many times longer. Medians, and the range over
the rounds. `--snapshots`: of each validation trajectory that is fitted to, in place of the run's
own number.

Aims: the fit at most a tenth, `calibrated` at most 1.1 times the tier's own sampler. Nothing is
written into the folder.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from finished_run import copy_networks, job_seconds

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.graph.rule import Names
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


def recorded(graph: Graph) -> None:
    """Every fit of the run over what was drawn by it."""
    for setting, method, seed in graph.fits:
        cases = [
            job.case
            for case in graph.cases
            for job in graph.jobs_of(case)
            if (fit := graph.case(case).fit) is not None
            and (fit.name, job.method, str(job.seed)) == (setting, method, seed)
        ]
        own = {"training": graph.fit(setting, method, seed).training, "fit": setting}
        spent = _processor(graph, "calibrate", own | {"method": method, "seed": seed})
        drawn = sum(
            _processor(graph, "sample", {"case": case, "method": method, "seed": seed})
            for case in cases
        )
        print(f"  {method:8} {setting:36} {spent / drawn:.3f} of {len(cases)} cases")


def _processor(graph: Graph, rule: str, names: Names) -> float:
    return job_seconds(graph.rule(rule).benchmark(graph.layout, names))["cpu_time"]


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
        copy_networks(folder, Path(root))
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
        print("by the run's own records")
        recorded(Graph.of(load_config({"root": str(folder.parent)}, resolved=resolved)))
        print(f"in turn, {config.calibration.snapshots} snapshots of each validation run")
        for task in graph.tasks:
            if f"{task}.{FITTED}" not in config.cases:
                continue
            for method in config.methods_of(f"{task}.{FITTED}"):
                compare(graph, task, method, share=1 / len(seeds), rounds=arguments.rounds)


if __name__ == "__main__":
    main()
