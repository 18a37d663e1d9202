"""One flow through a shared network: simulated, sampled, scored, by the graph's own steps.

They work in a private results folder, into which the network is copied as if it had been trained
there: what checks a checkpoint of a run checks this one.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flexbench.atomic import write_text
from flexbench.config import Run
from flexbench.config.sections import FITTED
from flexbench.data.newfile import new_hdf5
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.names import Training
from flexbench.metrics.tables import SNAPSHOT_SCORES
from flexbench.report.figures import draw_figure, save
from flexbench.report.inputs import ReportInputs
from flexbench.report.shown_snapshot import ShownSnapshot
from flexbench.shared.folder import SharedNetworks
from flexbench.steps.sample import sample_step
from flexbench.steps.score import score_step
from flexbench.steps.simulate import simulate_step


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came out. graph: of the private folder. snapshot: what the maps show. scores: rows of
    all that was sampled, as score files have them.
    """

    graph: Graph
    network: Training
    task: str
    flow: Run
    snapshot: ShownSnapshot
    scores: pd.DataFrame

    @property
    def inputs(self) -> ReportInputs:
        return ReportInputs(layout=self.graph.layout, config=self.graph.config)

    def write(self, folder: Path) -> list[Path]:
        """fields.h5, maps.png (and .pdf), scores.csv, each whole or not at all."""
        fields, maps, scores = (folder / it for it in ("fields.h5", "maps.png", "scores.csv"))
        self._write_fields(fields)
        save(draw_figure("maps", self.inputs, case=self.task), maps)
        write_text(scores, self.scores.to_csv(index=False))
        return [fields, maps, scores]

    def _write_fields(self, path: Path) -> None:
        """/truth, /given, and by method /<method>/mean and, of ensembles, /<method>/spread."""
        labels, shown = self.inputs.labels(self.task), self.snapshot
        with new_hdf5(path) as (file, check):
            file.attrs.update(
                {"field": labels.field, "unit": labels.unit, "trajectory": shown.trajectory}
            )
            file.attrs.update({"reynolds": shown.reynolds, "index": shown.index})
            file.attrs["time"] = shown.time
            file["truth"], file["given"] = shown.truth, shown.given
            for method, ensemble in shown.ensembles.items():
                file[f"{method}/mean"] = ensemble.mean
                if ensemble.spread is not None:
                    file[f"{method}/spread"] = ensemble.spread
                check()


def attempt(
    shared: SharedNetworks,
    network: Training,
    *,
    task: str,
    flow: Run,
    work: Path,
    sample: Mapping[str, Any] | None = None,
) -> Attempt:
    """Sample and score a network of the folder, and the formulas beside it, on one flow.

    sample: keys of the section that differ from the run's; without a sampler, one that is fitted,
    where the network has its fit. work: for the private folder; what was simulated there is kept.
    Raises FlexbenchError for settings that do not fit, a flow that the network has seen, and a
    sampler that it has no fit for.
    """
    given = dict(sample or {})
    samplers = [given.pop("sampler")] if "sampler" in given else [*FITTED, None]
    for sampler in samplers:
        own = given if sampler is None else given | {"sampler": sampler}
        graph = shared.graph(network, flow=flow, sample=own, root=work)
        fits = graph.calibrations(task, network.method, network.seed)
        missing = [path for path in fits if not _held(shared, graph, path).is_file()]
        if not missing:
            break
    else:
        have = (shared.folder / "checkpoints" / network.name / network.method).glob("*.calib*.json")
        known = ", ".join(sorted(path.name for path in have)) or "none"
        raise FlexbenchError(
            f"{missing[0].name}: the network has no such fit; allowed: {known}, or a sampler "
            "without a fit, such as ddim"
        )
    _put(shared, graph, network)
    if not graph.layout.trajectory(flow.stem).is_file():
        simulate_step(graph, reynolds=flow.reynolds, seed=flow.seed)
    frames = []
    for job in graph.jobs_of(task):
        sample_step(graph, case=task, method=job.method, seed=job.seed)
        score_step(graph, case=task, method=job.method, seed=job.seed)
        frames.append(SNAPSHOT_SCORES.read(graph.layout.scores(task, job.method, job.seed)))
    inputs = ReportInputs(layout=graph.layout, config=graph.config)
    shown = inputs.snapshot(task)
    assert shown is not None  # all methods predicted the same snapshots
    return Attempt(
        graph=graph,
        network=network,
        task=task,
        flow=flow,
        snapshot=shown,
        scores=pd.concat(frames, ignore_index=True),
    )


def _held(shared: SharedNetworks, graph: Graph, path: Path) -> Path:
    """Where the folder holds what stands at `path` of the private one."""
    return shared.folder / path.relative_to(graph.layout.folder)


def _put(shared: SharedNetworks, graph: Graph, network: Training) -> None:
    """Copy the network, its fits and scales, with their receipts, into the private folder."""
    weights = graph.layout.checkpoint(network.name, network.method, network.seed)
    for target in (weights.parent, graph.layout.splits.parent):
        source = _held(shared, graph, target)
        shared.require_whole(source)
        shutil.copytree(source, target, dirs_exist_ok=True)
