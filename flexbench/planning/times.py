"""How many seconds each job takes, from counts and rates."""

import math
from collections.abc import Mapping
from pathlib import Path

from flexbench.graph import boundary_of
from flexbench.planning.disk import (
    checkpoint_bytes,
    outputs,
    restart_bytes,
    samples_bytes,
    trajectory_bytes,
)
from flexbench.planning.facts import RunFacts
from flexbench.planning.jobs import PlannedJob
from flexbench.planning.rates import Calibration, Rates, rate
from flexbench.planning.steps import solver_steps
from flexbench.spec import TRAINING_PASSES, Boundary

# `compute_statistics` looks at so many snapshots of a file.
_STATISTICS_SNAPSHOTS = 32


def all_seconds(
    facts: RunFacts, calibration: Calibration, jobs: Mapping[str, PlannedJob]
) -> dict[str, float]:
    """Seconds of each job, by key, in a slot of its own: from its process's start to its receipt.

    jobs: all of the graph, as sizes of inputs are those of other jobs' outputs.
    """
    rates = calibration.rates
    sizes: dict[Path, int] = {}
    for job in jobs.values():
        sizes |= outputs(facts, job)
    return {
        key: _start(facts, rates, job)
        + _work(facts, calibration, job)
        + _hashing(rates, job, sizes)
        for key, job in jobs.items()
    }


def _start(facts: RunFacts, rates: Rates, job: PlannedJob) -> float:
    """Imports, the network's width, its weights: all that comes before the work.

    Of figures all their drawing, which hardly depends on how large the fields are.
    """
    if job.rule in ("figure", "animation"):
        name = job.wildcards["name"]
        return rates.figures.get(name, max(rates.figures.values()))
    method = job.wildcards.get("method")
    if method is None or job.rule == "score":
        return rates.start.get(job.rule, rates.start["splits"])  # importing, as light a process
    if facts.graph.is_formula(method):
        return rates.start["formula"]
    return rates.start.get(f"{job.rule}/{method}", rates.start[job.rule])


def on_gpu(facts: RunFacts, calibration: Calibration, rule: str) -> bool:
    """Whether a rule's networks run on a GPU: it asks a cluster for one, or has one here."""
    if rule not in ("train", "sample"):
        return False
    asked: bool = getattr(facts.graph.config.cluster, rule).gpu
    return asked or calibration.device == "cuda"


def _speed(facts: RunFacts, calibration: Calibration, rule: str, method: str) -> float:
    """FLOP per second of a method's network: on a GPU, as measured or assumed; on a CPU with the
    job's own threads, which are taken to share the work well."""
    rates, threads = calibration.rates, facts.graph.config.threads
    if on_gpu(facts, calibration, rule) and calibration.device != "cuda":
        return rates.gpu
    table = rates.train if rule == "train" else rates.sample
    speed = rate(table, method, facts.graph.facts(method).name)
    return speed if calibration.device == "cuda" else speed * threads / calibration.threads


def _work(facts: RunFacts, calibration: Calibration, job: PlannedJob) -> float:
    names, rates = job.wildcards, calibration.rates
    if job.rule == "simulate":
        boundary = boundary_of(names["walls"])
        return _simulation(facts, rates, float(names["reynolds"]), boundary)
    if job.rule == "import_data":
        return trajectory_bytes(facts) / rates.write
    if job.rule == "statistics":
        used = min(_STATISTICS_SNAPSHOTS, facts.snapshots)
        return used * len(facts.graph.stems("train")) * facts.points * rates.statistics
    if job.rule == "train":
        return _training(facts, calibration, names["task"], names["method"])
    if job.rule == "sample":
        return _sampling(facts, calibration, names["case"], names["method"])
    if job.rule == "score":
        fixed, per_member = rates.score
        per_point = fixed + per_member * facts.members(names["method"], names["case"])
        return facts.scored(names["case"]) * facts.points * per_point
    if job.rule == "tabulate":
        return len(facts.graph.jobs) * rates.tabulate
    return 0.0


def _simulation(facts: RunFacts, rates: Rates, reynolds: float, boundary: Boundary) -> float:
    steps = solver_steps(facts.graph.config.solver, reynolds, boundary)
    per_point = rates.solver * rates.walls[boundary]
    double = 2 if facts.graph.config.solver.precision == "float64" else 1
    stepping = steps * facts.points * math.log2(facts.grid) * per_point * double
    return stepping + 2 * trajectory_bytes(facts) / rates.write


def _training(facts: RunFacts, calibration: Calibration, task: str, method: str) -> float:
    """Steps, validations, and restart points, whose writing the training waits for."""
    size, settings = facts.network(task, method), facts.train(method)
    rates, speed = calibration.rates, _speed(facts, calibration, "train", method)
    rows = settings.batch / settings.processes
    validations = math.ceil(settings.steps / settings.validate_every) * settings.validation_batches
    passes = TRAINING_PASSES * settings.steps + validations
    computing = passes * rows * size.forward / speed
    saving = restart_bytes(facts, task, method) / rates.write
    saves = 1 + computing / settings.checkpoint_seconds
    return computing + saves * saving + checkpoint_bytes(facts, task, method) / rates.write


def _sampling(facts: RunFacts, calibration: Calibration, case: str, method: str) -> float:
    rates = calibration.rates
    writing = 2 * samples_bytes(facts, case, method) / rates.write
    if facts.graph.is_formula(method):
        return facts.scored(case) * facts.points * rates.formula + writing
    speed = _speed(facts, calibration, "sample", method)
    return sampling_flops(facts, case, method) / speed + writing


def sampling_flops(facts: RunFacts, case: str, method: str) -> int:
    """Of the network, for one file of samples."""
    size, leads = facts.network(case, method), facts.graph.case(case).settings.leads
    denoised = leads * facts.members(method, case) * facts.evaluations(method, case)
    flops = facts.encodings(method, case) * size.encode + denoised * size.denoise
    return facts.scored(case) // leads * facts.tiles(case) * flops


def _hashing(rates: Rates, job: PlannedJob, sizes: Mapping[Path, int]) -> float:
    """Receipts hash every input and output, however large."""
    hashed = [*job.step.outputs, *job.step.inputs]
    return sum(sizes.get(path) or path.stat().st_size for path in hashed) / rates.digest
