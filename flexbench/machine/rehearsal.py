"""A small run with made-up ensembles, on which tables, figures and the report are timed for real.

The methods, members and Reynolds numbers are the tier's own; fields are small and nothing is
trained. `python -m flexbench.machine.rehearsal CONFIG` fills the folder of that configuration.
"""

import json
import sys
from itertools import accumulate
from pathlib import Path

import numpy as np

from flexbench.atomic import write_text
from flexbench.config import Config, SplitSettings, SplitsSettings
from flexbench.config.reading import load_config
from flexbench.data.dummy import write_dummy
from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.graph import SPLITS, Graph
from flexbench.planning.facts import RunFacts
from flexbench.provenance import Receipt
from flexbench.solver.times import snapshot_times
from flexbench.steps.score import score_step
from flexbench.steps.statistics import statistics_step

_GRID, _PATCH, _INTERVALS = 64, 32, 12
_TEST_FILES = 12  # the most that are worth the time
_LOG_ROWS = 20


def simulated_alike(facts: RunFacts) -> Graph:
    """The graph as it is; of own data one of simulated flows, as many and as large.

    How fast anything is does not depend on what a field holds.
    """
    graph = facts.graph
    config = graph.config
    if config.data is None:
        return graph
    leads = (task.lead_time for task in config.tasks.values() if task.lead_time is not None)
    interval = next(leads, 1.0)
    counts = {split: len(graph.imports(split)) for split in SPLITS}
    starts = dict(zip(SPLITS, accumulate(counts.values(), initial=0), strict=False))
    return Graph.of(
        config.model_copy(
            update={
                "data": None,
                "splits": SplitsSettings(
                    **{
                        split: SplitSettings(
                            reynolds=[1000.0],
                            seeds=list(range(starts[split], starts[split] + count)),
                        )
                        for split, count in counts.items()
                    }
                ),
                "solver": config.solver.model_copy(
                    update={
                        "grid": facts.grid,
                        "t_start": 0.0,
                        "t_end": interval * max(1, facts.snapshots - 1),
                        "interval": interval,
                        # Eddies that even a small grid resolves.
                        "peak_wavenumber": max(1.0, min(10.0, facts.grid / 8)),
                    }
                ),
                # Those that were left out, or ran elsewhere, have nothing to be measured.
                "methods": [
                    it for it in config.methods if it in {job.method for job in graph.jobs}
                ],
                "submitted": {},
            }
        )
    )


def rehearsal_config(graph: Graph, root: Path) -> Config:
    """The tier's configuration, with its fullest task alone, small fields and few trajectories."""
    config = graph.config
    task = max(graph.tasks, key=lambda name: len(graph.jobs_of(name)))
    settings = config.tasks[task].model_copy(update={"patch": _PATCH})
    solver = config.solver
    interval = settings.lead_time or solver.interval
    splits = config.splits
    if splits is None:
        raise FlexbenchError("a rehearsal is of simulated flows (see `simulated_alike`)")
    train, validation, test = (
        split.model_copy(update={"reynolds": split.reynolds[:1], "seeds": split.seeds[:1]})
        for split in (splits.train, splits.validation, splits.test)
    )
    test = splits.test
    if len(test.reynolds) * len(test.seeds) > _TEST_FILES:
        test = test.model_copy(update={"seeds": test.seeds[:1]})
    return config.model_copy(
        update={
            "root": str(root),
            "training_seeds": config.training_seeds[:1],
            "tasks": {task: settings},
            # Of the tasks that a network would learn together, one is left.
            "method_settings": {
                name: method.model_copy(update={"together": None, "narrow": False})
                for name, method in config.method_settings.items()
            },
            "evaluations": {},
            "submitted": {},
            "theory": None,
            "solver": solver.model_copy(
                update={
                    "grid": _GRID,
                    "interval": interval,
                    "t_end": solver.t_start + _INTERVALS * interval,
                }
            ),
            "splits": splits.model_copy(
                update={"train": train, "validation": validation, "test": test}
            ),
            "sample": config.sample.model_copy(update={"snapshots": 1}),
        }
    )


def rehearse(graph: Graph) -> None:
    """Write all that the figures and tables of this small run are made from."""
    write_text(graph.layout.config, graph.text)
    times = snapshot_times(graph.config.solver)
    for run in graph.all_runs:
        path = graph.layout.trajectory(run.stem)
        write_dummy(path, grid=_GRID, times=times, reynolds=run.reynolds, seed=run.seed)
    task = graph.tasks[0]
    statistics_step(graph, task=task)
    for number, job in enumerate(graph.jobs):
        _samples(graph, task, job.method, job.seed, error=0.1 * (1 + number))
        if not graph.is_formula(job.method):
            _training_log(graph.layout.training_log(task, job.method, job.seed))
        score_step(graph, case=task, method=job.method, seed=job.seed)


def _samples(graph: Graph, task: str, method: str, seed: int, *, error: float) -> None:
    """An ensemble around the truth: an error of its mean, and as much spread."""
    facts = RunFacts(graph, {})
    members = facts.members(method)
    random = np.random.default_rng(len(method))
    snapshots, fields = [], []
    for path in graph.trajectories("test"):
        with Trajectory(path) as trajectory:
            index = len(trajectory.time) - 1
            truth = trajectory.snapshot(index)
            snapshots.append(
                Snapshot(
                    trajectory=path.stem,
                    reynolds=trajectory.reynolds,
                    seed=trajectory.seed,
                    index=index,
                    time=float(trajectory.time[index]),
                )
            )
        noise = random.standard_normal((members + 1, 1, *truth.shape), dtype=np.float32)
        fields.append(truth + np.float32(error) * (noise[:-1] + noise[-1:]))
    formula = graph.is_formula(method)
    labels = Labels(
        case=task,
        method=method,
        mode="formula" if formula else graph.config.method(method).mode,
        training_seed=seed,
        sampler=graph.config.sample.sampler if members > 1 else "none",
        steps=graph.config.sample.steps if members > 1 else 0,
        parameters=0 if formula else 100_000,
        flops=0.0 if formula else 1e9,
        calls=0 if formula else facts.calls(method),
    )
    receipt = Receipt(graph.step("sample", case=task, method=method, seed=seed))
    output, shape = graph.layout.samples(task, method, seed), (members, 1, _GRID, _GRID)
    write_samples(output, fields, snapshots=snapshots, shape=shape, labels=labels)
    receipt.write(device="cpu", members=members, calls=labels.calls)


def _training_log(path: Path) -> None:
    rows = [
        {
            "step": 10 * row,
            "loss": 1 / row,
            "lr": 1e-3,
            "grad_norm": 1.0,
            "seconds": float(row),
            "examples_per_second": 10.0,
            "validation_loss": 1.1 / row,
        }
        for row in range(1, _LOG_ROWS + 1)
    ]
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    rehearse(Graph.of(load_config(resolved=Path(sys.argv[1]))))
