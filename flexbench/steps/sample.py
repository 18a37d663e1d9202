"""Step `sample`: the ensembles of one method on the flows of one case."""

import sys
from typing import Any

import torch

from flexbench import registry
from flexbench.data.normaliser import Normaliser
from flexbench.data.store import Trajectory
from flexbench.device import prepare_device
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.inference.ensemble import describe, draw_samples
from flexbench.inference.predictors import FormulaPredictor, NetworkPredictor, Predictor
from flexbench.inference.rollout import Targets
from flexbench.inference.tiles import tile_starts
from flexbench.inference.timing import Stopwatch
from flexbench.inference.trained import load_trained, rebuild
from flexbench.provenance import Receipt, file_digest, read_receipt, require_settings
from flexbench.tasks import Task
from flexbench.tasks.loading import load_task


def sample_step(graph: Graph, *, case: str, method: str, seed: int) -> None:
    """Write the file of samples; the same call resumes after any kill."""
    step = graph.step("sample", case=case, method=method, seed=seed)
    receipt = Receipt(step)
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
    """The trained network as its checkpoint describes it, and its size."""
    here = graph.case(case)
    (path,) = graph.weights(case, method, seed)
    state, metadata = load_trained(path)
    training = graph.training(case, method)
    if metadata["network"] != graph.facts(method).name or metadata["task"] != training:
        raise FlexbenchError(
            f"{path}: holds network '{metadata['network']}' for task '{metadata['task']}'; "
            f"'{graph.facts(method).name}' for '{training}' is needed"
        )
    command = f"flexbench train {training} {method} --seed {seed}"
    made = graph.step("train", training=training, method=method, seed=seed)
    require_settings(made, metadata.get("slice", {}), again=command)
    told = read_receipt(path).get("outputs", {}).get(path.name)
    if told is not None and told != file_digest(path):
        raise FlexbenchError(
            f"{path}: is not the file of its receipt (`flexbench verify` tells more); "
            f"`{command}` makes it anew"
        )
    joint = training != here.task
    scales = metadata["normaliser"][here.task] if joint else metadata["normaliser"]
    # What it learnt is in units of the training's own field, whatever it is applied to.
    if Normaliser(**scales) != load_task(graph, here.task).normaliser:
        raise FlexbenchError(f"{path}: was trained with other statistics; train it again")
    folders = graph.config.baseline_folders
    trained = rebuild(state, metadata, source=path, task=here.task, device=device, folders=folders)
    predictor = NetworkPredictor(trained.method, settings=here.sample, seed=seed, device=device)
    flops = float(trained.cost.encode + predictor.calls * trained.cost.denoise)
    return predictor, {"parameters": trained.parameters, "flops": flops}
