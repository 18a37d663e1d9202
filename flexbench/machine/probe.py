"""One measurement in a process of its own, which starts as the verb of a job would start.

    python -m flexbench.machine.probe KIND CONFIG [WORDS ...]

prints one JSON object: what was measured, and `measured`, the seconds that went into it. Whatever
else the process takes, from its start to its end, is what the verb's start costs. The networks,
samplers, solver and scores are the real ones, on random fields of the tier's own sizes.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexbench.config import TrainSettings
from flexbench.config.reading import load_config
from flexbench.data.normaliser import Normaliser
from flexbench.data.patches import Windows
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.methods import Method, make_method
from flexbench.provenance import Receipt
from flexbench.sizing.matching import NetworkSummary, build_network
from flexbench.spec import TRAINING_PASSES
from flexbench.tasks import Task, make_task

BUDGET = 2.0  # seconds of repeating
_WALLED_GRID = 256
_GRID = 512  # larger fields are extrapolated, by their number of points
_SCORED_GRID = 256
_DISK_BYTES = 2**26


def main() -> None:
    kind, config, *words = sys.argv[1:]
    graph = Graph.of(load_config(resolved=Path(config)))
    print(json.dumps(PROBES[kind](graph, *words)))


def simulate(graph: Graph) -> dict[str, Any]:
    """Seconds per solver step and point, over log2 of the grid; steps with walls relative to it."""
    from flexbench.steps import simulate as step  # noqa: F401  (what the verb imports)

    _receipt(graph, "simulate")
    device = prepare_device(graph.config)
    start = time.perf_counter()
    asked = graph.config.solver
    smallest = 6 * int(np.ceil(asked.peak_wavenumber)) + 4
    grid = min(asked.grid, max(2 * _GRID, smallest + smallest % 2))
    plain = _step_seconds(graph, "periodic", grid=grid, device=device)
    rate = plain / grid**2 / np.log2(grid)
    others = sorted({run.boundary for run in graph.all_runs} - {"periodic"})
    walls, small = {}, min(grid, _WALLED_GRID)
    if others and small < grid:
        plain = _step_seconds(graph, "periodic", grid=small, device=device)
    for boundary in others:
        walls[boundary] = _step_seconds(graph, boundary, grid=small, device=device) / plain
    return {"solver": float(rate), "walls": walls, "measured": time.perf_counter() - start}


def _step_seconds(graph: Graph, boundary: str, *, grid: int, device: torch.device) -> float:
    """Of one step of the tier's solver, in single precision: the forecast doubles it for double."""
    from flexbench.solver.simulate import Simulation

    update = {"grid": grid, "precision": "float32", "dt": None}
    settings = graph.config.solver.model_copy(update=update)
    reynolds = graph.split("train").reynolds[0]
    simulation = Simulation(settings, reynolds=reynolds, seed=0, boundary=boundary, device=device)
    simulation.advance_leg(settings.t_end)
    seconds, legs = _repeat(lambda: simulation.advance_leg(1e9), device)
    taken = simulation.steps / (legs + 2)  # steps of a leg; two legs were not timed
    return seconds / taken


def statistics(graph: Graph, task: str, folder: str) -> dict[str, float]:
    """Seconds per point and snapshot."""
    from flexbench.data.dummy import write_dummy
    from flexbench.steps.statistics import compute_statistics

    _receipt(graph, "statistics")
    prepare_device(graph.config)
    start = time.perf_counter()
    settings, grid = graph.task_settings(task), min(graph.config.solver.grid, _GRID)
    lead = settings.lead_time or 1.0
    path = Path(folder) / "statistics.h5"
    times = lead * np.arange(1.0, 9.0)
    write_dummy(path, grid=grid, times=times, reynolds=1000.0, seed=0)
    began = time.perf_counter()
    compute_statistics(settings, [path], snapshots=6)
    per_point = (time.perf_counter() - began) / 6 / grid**2
    return {"statistics": per_point, "measured": time.perf_counter() - start}


def train(graph: Graph, task: str, method: str, size: str, patch: str, rows: str) -> dict[str, Any]:
    """FLOP per second of training steps; size, patch, rows: as small as the minute needs."""
    from flexbench.steps import train as step  # noqa: F401
    from flexbench.training.batches import MicroBatch
    from flexbench.training.distributed import Processes
    from flexbench.training.learner import Learner

    _receipt(graph, "train")
    device = prepare_device(graph.config)
    problem, learnt, built = _network(graph, task, method, size=size, patch=int(patch))
    start = time.perf_counter()
    settings = _alone(graph.config.train_settings(method), rows=int(rows))
    learner = Learner(
        learnt, problem, settings=settings, seed=0, device=device, processes=Processes()
    )
    batch = MicroBatch(rows=range(int(rows)), windows=_windows(problem, rows=int(rows)))
    learner.find_parameters_without_gradient(batch)
    learner.assemble()
    seconds, _ = _repeat(lambda: learner.advance([batch], stop=False), device)
    flops = TRAINING_PASSES * int(rows) * built.footprint.flops.forward
    return {"train": flops / seconds, "measured": time.perf_counter() - start}


def sample(
    graph: Graph, task: str, method: str, size: str, patch: str, rows: str
) -> dict[str, Any]:
    """FLOP per second of ensembles; rows: members of all patches together."""
    from flexbench.data.samples import Snapshot
    from flexbench.inference.precision import answer_in
    from flexbench.inference.predictors import NetworkPredictor
    from flexbench.steps import sample as step  # noqa: F401

    _receipt(graph, "sample")
    device = prepare_device(graph.config)
    problem, learnt, built = _network(graph, task, method, size=size, patch=int(patch))
    start = time.perf_counter()
    asked = graph.config.sample
    answer_in(learnt.network.to(device), asked.precision)
    members = min(asked.members, int(rows)) if learnt.stochastic else 1
    # FLOPs per second are those of plain tiles, of which fewer are needed.
    settings = asked.model_copy(update={"members": members, "overlap": 0})
    predictor = NetworkPredictor(learnt, settings=settings, seed=0, device=device)
    tiles = max(1, int((int(rows) / members) ** 0.5))
    tiles = min(tiles, max(1, graph.config.solver.grid // int(patch)))
    domain = _windows(problem, rows=1, side=tiles * int(patch))
    example = problem.example(domain)
    snapshot = Snapshot(trajectory="none", reynolds=1000.0, seed=0, index=0, time=0.0)
    seconds, _ = _repeat(lambda: predictor.predict(example, problem, snapshot), device)
    cost = built.footprint.flops
    flops = tiles**2 * (cost.encode + predictor.members * predictor.calls * cost.denoise)
    return {"sample": flops / seconds, "measured": time.perf_counter() - start}


def formula(graph: Graph, task: str, method: str) -> dict[str, float]:
    """Seconds per point and snapshot."""
    from flexbench import registry
    from flexbench.steps import sample as step  # noqa: F401

    _receipt(graph, "sample")
    device = prepare_device(graph.config)
    start = time.perf_counter()
    module = registry.load(graph.facts(method).name, graph.config.baseline_folders)
    options = graph.config.method(method).options
    problem = _task(graph, task, patch=graph.task_settings(task).patch)
    side = min(graph.config.solver.grid, _GRID)
    windows = _windows(problem, rows=1, side=side)

    def predict() -> None:
        module.predict(problem.example(windows), problem, **options)

    seconds, _ = _repeat(predict, device)
    return {"formula": seconds / side**2, "measured": time.perf_counter() - start}


def score(graph: Graph) -> dict[str, Any]:
    """Seconds per point of a snapshot, and per point and member."""
    from flexbench.metrics.snapshot_scores import score_snapshot
    from flexbench.steps import score as step  # noqa: F401

    _receipt(graph, "score")
    start = time.perf_counter()
    side, members = min(graph.config.solver.grid, _SCORED_GRID), graph.config.sample.members
    random = np.random.default_rng(0)
    truth = random.standard_normal((side, side), dtype=np.float32)
    ensemble = truth + random.standard_normal((members, side, side), dtype=np.float32)
    bands, cpu = graph.config.score.bands, torch.device("cpu")
    one, _ = _repeat(lambda: score_snapshot(ensemble[:1], truth, bands=bands), cpu)
    many, _ = _repeat(lambda: score_snapshot(ensemble, truth, bands=bands), cpu)
    per_member = max((many - one) / max(members - 1, 1), 0.01 * one) / side**2
    fixed = max(one / side**2 - per_member, 0.01 * one / side**2)
    return {"score": [fixed, per_member], "measured": time.perf_counter() - start}


def disk(graph: Graph, folder: str) -> dict[str, float]:
    """Bytes per second of a durable write, and of hashing what was written."""
    from flexbench.atomic import replacing
    from flexbench.provenance import file_digest

    path = Path(folder) / "disk.bin"
    content = np.random.default_rng(0).bytes(_DISK_BYTES)
    start = time.perf_counter()
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    wrote = time.perf_counter()
    file_digest(path)
    hashed = time.perf_counter()
    path.unlink()
    return {
        "write": _DISK_BYTES / (wrote - start),
        "digest": _DISK_BYTES / (hashed - wrote),
        "measured": hashed - start,
    }


PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    probe.__name__: probe for probe in (simulate, statistics, train, sample, formula, score, disk)
}


def _receipt(graph: Graph, rule: str) -> None:
    """What a verb does first, of any of its jobs."""
    asked = graph.rule(rule)
    Receipt(asked.step(graph, asked.jobs(graph)[0]))


def _repeat(action: Callable[[], object], device: torch.device) -> tuple[float, int]:
    """Seconds of one call, and how many were timed; a first call, which warms up, is not."""
    action()
    _wait(device)
    start, count = time.perf_counter(), 0
    while count < 1 or (time.perf_counter() - start < BUDGET and count < 200):
        action()
        _wait(device)
        count += 1
    return (time.perf_counter() - start) / count, count


def _wait(device: torch.device) -> None:
    """Until a GPU has done what it was told (never run on a GPU so far)."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _task(graph: Graph, task: str, *, patch: int) -> Task:
    settings = graph.task_settings(task).model_copy(update={"patch": patch})
    scales = Normaliser(1.0, 1.0)
    return make_task(settings, normaliser=scales, interval=graph.config.solver.interval)


def _network(
    graph: Graph, task: str, method: str, *, size: str, patch: int
) -> tuple[Task, Method, NetworkSummary]:
    """The task, the method and the size of its network, built as the verbs build it."""
    problem, chosen = _task(graph, task, patch=patch), graph.config.method(method)
    network, built = build_network(
        graph.facts(method).name,
        problem.spec,
        size=size,
        width=chosen.width if size == (chosen.size or graph.config.size) else None,
        match=chosen.match,
        options=chosen.options,
        baseline_folders=graph.config.baseline_folders,
    )
    settings = graph.config.diffusion_settings(method)
    learnt = make_method(network, problem=problem.spec, settings=settings, mode=chosen.mode)
    return problem, learnt, built


def _alone(settings: TrainSettings, *, rows: int) -> TrainSettings:
    """The settings for one process that takes its whole batch at once."""
    return settings.model_copy(update={"processes": 1, "accumulate": 1, "batch": rows})


def _windows(problem: Task, *, rows: int, side: int | None = None) -> Windows:
    """Random windows of the task: patches, or (with side) whole domains."""
    patch = problem.spec.patch
    halo = problem.halo or 0
    size = side or (2 * patch if problem.halo is None else patch)
    stream = torch.Generator().manual_seed(0)
    shape = (rows, problem.window, size + 2 * halo, size + 2 * halo)
    return Windows(
        fields=torch.randn(shape, generator=stream),
        reynolds=torch.full((rows,), 1000.0),
        patch=patch if side is None and problem.halo is None else None,
    )


if __name__ == "__main__":
    main()
