"""Step `sample`: the ensembles of one method on the flows of one case."""

import sys
from typing import Any

import torch

from flexbench import registry
from flexbench.claims.registry import claim_digests, default_claims, read_claims
from flexbench.data.store import Trajectory
from flexbench.device import prepare_device
from flexbench.graph import Graph
from flexbench.inference.checkpoint import calibration_for, trained_for
from flexbench.inference.ensemble import describe, draw_samples
from flexbench.inference.predictors import FormulaPredictor, NetworkPredictor, Predictor
from flexbench.inference.rollout import Targets
from flexbench.inference.tiles import tile_starts
from flexbench.inference.timing import Stopwatch
from flexbench.provenance import Receipt
from flexbench.tasks import Task
from flexbench.tasks.loading import load_task


def sample_step(graph: Graph, *, case: str, method: str, seed: int) -> None:
    """Write the file of samples; the same call resumes after any kill."""
    step = graph.step("sample", case=case, method=method, seed=seed)
    receipt = Receipt(step)
    registered = claim_digests(read_claims(default_claims()))
    device = prepare_device(graph.config)
    problem = load_task(graph, case)
    here = graph.case(case)
    if graph.is_formula(method):
        predictor: Predictor = _formula(graph, method)
        size: dict[str, Any] = {}
    else:
        predictor, size = _network(graph, case=case, method=method, seed=seed, device=device)
    stopwatch = Stopwatch(
        torch.device("cpu") if graph.is_formula(method) else device, members=predictor.members
    )
    targets = Targets(
        trajectories=graph.tested(case),
        snapshots=here.sample.snapshots,
        observable=here.settings.observable,
        leads=here.settings.leads,
        feedback=here.settings.feedback,
    )
    draw_samples(
        predictor,
        task=problem,
        targets=targets,
        labels=describe(predictor, targets, case=case, method=method, training_seed=seed, **size),
        path=step.outputs[0],
        state_dir=graph.layout.state("sample", case, method, f"seed{seed}"),
        identity=step.code,
        progress=sys.stderr.isatty(),
        stopwatch=stopwatch,
    )
    receipt.write(
        seed=seed,
        device=str(device),
        calls=predictor.calls,
        members=predictor.members,
        tiles=_tiles(predictor, problem, grid=Trajectory(graph.tested(case)[0]).grid),
        timing=stopwatch.facts(),
        claims=registered,
    )


def _tiles(predictor: Predictor, problem: Task, *, grid: int) -> int:
    """How many tiles one field is drawn in; 0: it is not."""
    if predictor.patch is None:
        return 0
    starts = tile_starts(
        grid,
        patch=predictor.patch,
        overlap=predictor.overlap,
        periodic=problem.periodic,
        align=problem.align,
    )
    return len(starts) ** 2


def _formula(graph: Graph, method: str) -> Predictor:
    facts = graph.facts(method)
    module = registry.load(facts.name, graph.config.baseline_folders)
    return FormulaPredictor(module.predict, graph.config.method(method).options)


def _network(
    graph: Graph, *, case: str, method: str, seed: int, device: torch.device
) -> tuple[Predictor, dict[str, Any]]:
    """The trained network, and its size."""
    trained = trained_for(graph, case=case, method=method, seed=seed, device=device)
    predictor = NetworkPredictor(
        trained.method,
        settings=graph.case(case).sample,
        seed=seed,
        device=device,
        calibration=calibration_for(graph, case=case, method=method, seed=seed),
    )
    flops = float(trained.cost.encode + predictor.calls * trained.cost.denoise)
    return predictor, {"parameters": trained.parameters, "flops": flops}
