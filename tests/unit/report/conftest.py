"""A results folder as the steps before the report leave it, made of synthetic ensembles.

The ensembles have a known error and a known spread; scores, tables and spectra are those that the
metrics make of them, so that what the report shows can be held against the tables.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flexbench.claims.ledger import ledger_of
from flexbench.claims.output import ledger_json
from flexbench.claims.registry import default_claims, read_claims
from flexbench.config import Case, Config, Run
from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.findings.evidence import Evidence
from flexbench.findings.make import findings_of
from flexbench.findings.output import findings_json
from flexbench.graph import Graph
from flexbench.metrics.aggregate import aggregate, aggregate_leads
from flexbench.metrics.comparisons import comparisons, twin_cases
from flexbench.metrics.cost import cost_row
from flexbench.metrics.flags import find_flags
from flexbench.metrics.leaderboard import leaderboard
from flexbench.metrics.matrix import matrix
from flexbench.metrics.score import score_samples
from flexbench.metrics.tables import COST, RED_FLAGS
from flexbench.paths import Layout, receipt_of
from flexbench.report.inputs import ReportInputs

GRID = 48
FORMULAS = {"interpolation", "persistence", "extrapolation"}
# Of every file: snapshots, and the one that is predicted, or first predicted of a rollout.
SNAPSHOTS, FIRST = 6, 3


@dataclass
class World:
    """What a synthetic run is made of; methods map to (error, spread) in units of the truth."""

    methods: dict[str, tuple[float, float]]
    tasks: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"superres_x4": {"kind": "superres", "factor": 4}}
    )
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    reynolds: tuple[float, ...] = (500.0, 2000.0)
    seeds: tuple[int, ...] = (100, 101)
    members: int = 8
    training_seeds: tuple[int, ...] = (0,)

    def config(self, root: Path) -> Config:
        return Config.model_validate(
            {
                "tier": "smoke",
                "root": str(root),
                "methods": list(self.methods),
                "training_seeds": list(self.training_seeds),
                "solver": {"grid": GRID, "t_end": 1.0, "peak_wavenumber": 7},
                "splits": {
                    "train": {"reynolds": [500.0], "seeds": [0]},
                    "validation": {"reynolds": [500.0], "seeds": [50]},
                    "test": {"reynolds": list(self.reynolds), "seeds": list(self.seeds)},
                },
                "tasks": {name: {"patch": 16, **task} for name, task in self.tasks.items()},
                "evaluations": self.evaluations,
                "sample": {"members": self.members, "snapshots": 1},
                "score": {"bootstrap": 50, "bands": 3},
            }
        )


def smooth_field(random: np.random.Generator, reynolds: float) -> np.ndarray:
    """A vorticity-like random field (GRID, GRID): steeper at low Reynolds numbers."""
    k = np.hypot(
        *np.meshgrid(np.fft.fftfreq(GRID, 1 / GRID), np.fft.rfftfreq(GRID, 1 / GRID), indexing="ij")
    )
    amplitude = k**2 / (1 + (k / 5) ** 4) * np.exp(-k / (3 + reynolds / 400))
    spectrum = amplitude * np.exp(2j * np.pi * random.random(k.shape))
    values = np.fft.irfft2(spectrum, s=(GRID, GRID))
    return (8 * values / values.std()).astype(np.float32)


class Builder:
    """Writes the files of one world below a root folder."""

    def __init__(self, root: Path, world: World):
        self.world = world
        self.config = world.config(root)
        self.layout = Layout(root, "smoke")
        self.truth: dict[str, np.ndarray] = {}
        self.frames: list[pd.DataFrame] = []
        self.costs: list[dict[str, Any]] = []

    def build(self) -> ReportInputs:
        cases = self.config.cases.values()
        for run in dict.fromkeys(run for case in cases for run in case.runs):
            self._trajectory(run)
        for case in cases:
            for order, method in enumerate(self.config.methods_of(case.name)):
                for seed in self._seeds(method):
                    self._samples(case, method, seed, order)
                    self._scores(case, method, seed)
        for task in self.world.tasks:
            for method in set(self.world.methods) - FORMULAS:
                for seed in self.world.training_seeds:
                    self._log(task, method, seed)
        self._tables()
        return ReportInputs(layout=self.layout, config=self.config)

    def _seeds(self, method: str) -> tuple[int, ...]:
        return self.world.training_seeds[:1] if method in FORMULAS else self.world.training_seeds

    def _trajectory(self, run: Run) -> None:
        random = np.random.default_rng([run.seed, int(run.reynolds)])
        fields = np.stack([smooth_field(random, run.reynolds) for _ in range(SNAPSHOTS)])
        self.truth[run.stem] = fields
        path = self._place(self.layout.trajectory(run.stem))
        write_trajectory(
            path,
            fields,
            time=0.5 + 0.1 * np.arange(SNAPSHOTS),
            grid=GRID,
            reynolds=run.reynolds,
            seed=run.seed,
            attributes={},
        )
        self._receipt(path, step="simulate", inputs=[])

    def _samples(self, case: Case, method: str, seed: int, order: int) -> None:
        error, spread = self.world.methods[method]
        learned = method not in FORMULAS
        random = np.random.default_rng([order, seed])
        predictions, shots = [], []
        for run in case.runs:
            for lead in range(1, case.settings.leads + 1):
                index = FIRST + lead - 1
                truth = self.truth[run.stem][index]
                scale = float(truth.std()) * np.sqrt(lead)
                mean = truth + error * scale * smooth_field(random, run.reynolds) / 8
                noise = [
                    smooth_field(random, run.reynolds) / 8
                    for _ in range(self.world.members if learned else 1)
                ]
                ensemble = np.stack([mean + spread * scale * z for z in noise])
                predictions.append(ensemble.astype(np.float32)[:, None])
                shots.append(
                    Snapshot(
                        trajectory=run.stem,
                        reynolds=run.reynolds,
                        seed=run.seed,
                        index=index,
                        time=0.5 + 0.1 * index,
                        lead=lead,
                    )
                )
        path = self._place(self.layout.samples(case.name, method, seed))
        labels = Labels(
            case=case.name,
            method=method,
            mode="denoiser" if learned else "formula",
            training_seed=seed,
            sampler="ddim",
            steps=2,
            parameters=800_000 * (order + 1) if learned else 0,
            flops=6e8 * (order + 1) if learned else 0.0,
            calls=2 if learned else 0,
        )
        shape = predictions[0].shape
        write_samples(path, predictions, snapshots=shots, shape=shape, labels=labels)
        trajectories = [self.layout.trajectory(run.stem) for run in case.runs]
        self._receipt(path, step="sample", inputs=trajectories)

    def _scores(self, case: Case, method: str, seed: int) -> None:
        samples = self.layout.samples(case.name, method, seed)
        scored = score_samples(
            samples,
            {run.stem: self.layout.trajectory(run.stem) for run in case.runs},
            case=case.name,
            tier="smoke",
            bands=self.config.score.bands,
        )
        path = self._place(self.layout.scores(case.name, method, seed))
        scored.scores.to_csv(path, index=False)
        scored.spectra.to_csv(self.layout.spectra(case.name, method, seed), index=False)
        self._receipt(path, step="score", inputs=[samples])
        self.frames.append(scored.scores)
        learned = method not in FORMULAS
        trained = {"facts": {"training": case.task, "flops": 1e12}, "seconds": 110.0}
        timing = {"seconds_per_member": 0.9 + seed, "relative_time": 300.0}
        facts = {"device": "cpu", "tiles": 16, "timing": timing}
        sampled = {"facts": facts, "seconds": 9.0 + seed, "peak_memory_mib": 512.0}
        self.costs.append(cost_row(scored.scores, train=trained if learned else {}, sample=sampled))

    def _log(self, task: str, method: str, seed: int) -> None:
        random = np.random.default_rng([seed, len(method)])
        lines = []
        for step in range(10, 501, 10):
            loss = 0.4 * (1 + 4 * np.exp(-step / 150)) * (1 + 0.08 * random.normal())
            record = {"step": step, "loss": loss, "lr": 1e-3, "seconds": 0.11 * step * len(method)}
            if step % 100 == 0:
                record["validation_loss"] = loss * 1.06
            lines.append(json.dumps(record))
        path = self._place(self.layout.training_log(task, method, seed))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _tables(self) -> None:
        cases = self.config.cases
        how: dict[str, Any] = {"bootstrap": self.config.score.bootstrap, "confidence": 0.95}
        scores = aggregate(self.frames, **how)
        flags = find_flags(
            scores,
            self.frames,
            tasks=self.config.tasks,
            planned={name: len(case.runs) * case.settings.leads for name, case in cases.items()},
            resolutions={},
            matched={},
            **how,
        )
        shown = [case for case in cases.values() if not case.evaluation or case.is_shifted]
        tables = {
            "scores": scores,
            "leads": aggregate_leads(self.frames, **how),
            "comparisons": comparisons(self.frames, twins=twin_cases(cases.values()), **how),
            "red_flags": RED_FLAGS.of(flag.row for flag in flags),
            "cost": COST.of(self.costs),
            "matrix": matrix(scores, cases=shown, trained=self.config.split("train").reynolds),
            "leaderboard": leaderboard(scores),
        }
        for name, table in tables.items():
            table.to_csv(self._place(self.layout.table(name)), index=False)
        graph = Graph.of(self.config)
        claims = ledger_json(ledger_of(graph, read_claims(default_claims())))
        self.layout.claims.write_text(claims, encoding="utf-8")
        told = {name: tables[name] for name in ("scores", "leads", "comparisons", "cost")}
        evidence = Evidence(graph=graph, flags=flags, claims=json.loads(claims), **told)
        findings = findings_json(findings_of(evidence))
        self.layout.findings.write_text(findings, encoding="utf-8")
        made = [self.layout.table(name) for name in tables]
        made += [self.layout.claims, self.layout.findings]
        self._receipt(*made, step="tabulate", inputs=[])

    @staticmethod
    def _place(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _receipt(self, *outputs: Path, step: str, inputs: list[Path]) -> None:
        def digest(path: Path) -> str:
            return hashlib.sha256(path.read_bytes()).hexdigest()

        output = outputs[0]
        content = {
            "step": step,
            "outputs": {path.name: digest(path) for path in outputs},
            "inputs": {os.path.relpath(path, output.parent): digest(path) for path in inputs},
            "slice": {"tier": "smoke"},
            "slice_digest": digest(output)[:16],
            "code_digest": digest(output)[16:32],
            "facts": {"device": "cpu"},
            "versions": {"flexbench": "0.1", "numpy": np.__version__},
            "benchmark_version": "1",
            "seconds": 1.5,
            "cpu_seconds": 1.4,
            "peak_memory_mib": 300.0,
        }
        receipt_of(output).write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[World], ReportInputs]:
    """Builds the results folder of a world and returns what the report reads it through."""

    def make(world: World) -> ReportInputs:
        return Builder(tmp_path_factory.mktemp("results"), world).build()

    return make


def copy_of(inputs: ReportInputs, root: Path) -> ReportInputs:
    """The same results below another root, to be changed there."""
    layout = Layout(root, inputs.layout.tier)
    shutil.copytree(inputs.layout.folder, layout.folder)
    return replace(inputs, layout=layout)


@pytest.fixture(scope="session")
def usual(build: Callable[[World], ReportInputs]) -> ReportInputs:
    """Two networks, two training seeds, a formula; other flows, and rollouts. Not to be changed."""
    return build(
        World(
            methods={"flex": (0.2, 0.2), "unet": (0.3, 0.1), "interpolation": (0.4, 0.0)},
            tasks={
                "superres_x4": {"kind": "superres", "factor": 4},
                "forecast": {"kind": "forecast"},
            },
            evaluations={
                "far": {"reynolds": [8000.0], "tasks": ["superres_x4"]},
                "rollout": {"leads": 3, "reynolds": [500.0], "seeds": [100, 101, 102]},
            },
            training_seeds=(0, 1),
        )
    )


@pytest.fixture(scope="session")
def bare(build: Callable[[World], ReportInputs]) -> ReportInputs:
    """One formula on one trajectory: no ensemble, no training, no interval. Not to be changed."""
    return build(World(methods={"interpolation": (0.4, 0.0)}, reynolds=(500.0,), seeds=(100,)))
