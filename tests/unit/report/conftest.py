"""A results folder as the steps before the report leave it, made of synthetic ensembles.

The ensembles have a known error and a known spread, and every table, spectrum and receipt is
computed from them, so that what the report shows can be checked against what was put in.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flexbench.config import Config
from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.paths import Layout, receipt_of
from flexbench.report.inputs import ReportInputs

GRID = 48
BANDS = ("k=1-3", "k=4-8", "k=9-16", "k=17-24")
FORMULAS = {"interpolation", "persistence", "extrapolation"}


@dataclass
class World:
    """What a synthetic run is made of; methods map to (error, spread) in units of the truth."""

    methods: dict[str, tuple[float, float]]
    tasks: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"superres_x4": {"kind": "superres", "factor": 4}}
    )
    reynolds: tuple[float, ...] = (500.0, 2000.0)
    seeds: tuple[int, ...] = (100, 101)
    members: int = 8
    grid: int = GRID
    training_seeds: tuple[int, ...] = (0,)
    flags: tuple[tuple[str, str, str, str], ...] = ()

    def config(self, root: Path) -> Config:
        return Config.model_validate(
            {
                "tier": "smoke",
                "root": str(root),
                "methods": list(self.methods),
                "training_seeds": list(self.training_seeds),
                "solver": {"grid": self.grid},
                "splits": {
                    "train": {"reynolds": [500.0], "seeds": [0]},
                    "validation": {"reynolds": [500.0], "seeds": [50]},
                    "test": {"reynolds": list(self.reynolds), "seeds": list(self.seeds)},
                },
                "tasks": {name: {"patch": 16, **task} for name, task in self.tasks.items()},
                "sample": {"members": self.members},
            }
        )


def smooth_field(random: np.random.Generator, grid: int, reynolds: float) -> np.ndarray:
    """A vorticity-like random field (grid, grid): steeper at low Reynolds numbers."""
    k = np.hypot(
        *np.meshgrid(np.fft.fftfreq(grid, 1 / grid), np.fft.rfftfreq(grid, 1 / grid), indexing="ij")
    )
    amplitude = k**2 / (1 + (k / 5) ** 4) * np.exp(-k / (3 + reynolds / 400))
    spectrum = amplitude * np.exp(2j * np.pi * random.random(k.shape))
    values = np.fft.irfft2(spectrum, s=(grid, grid))
    return (8 * values / values.std()).astype(np.float32)


def energy_spectrum(values: np.ndarray) -> np.ndarray:
    """Kinetic energy by integer wavenumber 1 .. grid/2 of a vorticity field."""
    grid = values.shape[-1]
    k = np.hypot(
        *np.meshgrid(np.fft.fftfreq(grid, 1 / grid), np.fft.fftfreq(grid, 1 / grid), indexing="ij")
    )
    power = np.abs(np.fft.fft2(values) / grid**2) ** 2 / 2
    energy = np.where(k > 0, power / np.maximum(k, 1) ** 2, 0.0)
    bins = np.rint(k).astype(int)
    return np.bincount(bins.ravel(), energy.ravel(), minlength=grid)[1 : grid // 2 + 1]


class Builder:
    """Writes the files of one world below a root folder."""

    def __init__(self, root: Path, world: World):
        self.world = world
        self.config = world.config(root)
        self.layout = Layout(root, "smoke")
        self.stems = [
            (f"re{re:g}_seed{seed}", re, seed) for re in world.reynolds for seed in world.seeds
        ]
        self.truth: dict[str, np.ndarray] = {}
        self.rows: list[dict[str, Any]] = []
        self.cost: list[dict[str, Any]] = []

    def build(self) -> ReportInputs:
        for stem, reynolds, seed in self.stems:
            self._trajectory(stem, reynolds, seed)
        for task in self.world.tasks:
            for order, method in enumerate(self.world.methods):
                for training_seed in self._seeds(method):
                    self._run(task, method, training_seed, order)
        self._tables()
        return ReportInputs(layout=self.layout, config=self.config)

    def _seeds(self, method: str) -> tuple[int, ...]:
        return self.world.training_seeds[:1] if method in FORMULAS else self.world.training_seeds

    def _trajectory(self, stem: str, reynolds: float, seed: int) -> None:
        random = np.random.default_rng([seed, int(reynolds)])
        fields = np.stack([smooth_field(random, self.world.grid, reynolds) for _ in range(4)])
        self.truth[stem] = fields
        path = self.layout.trajectory(stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_trajectory(
            path,
            fields,
            time=0.5 + 0.1 * np.arange(4),
            grid=self.world.grid,
            reynolds=reynolds,
            seed=seed,
            attributes={},
        )
        self._receipt(path, step="simulate", inputs=[])

    def _run(self, task: str, method: str, training_seed: int, order: int) -> None:
        error, spread = self.world.methods[method]
        members = 1 if method in FORMULAS else self.world.members
        random = np.random.default_rng([order, training_seed])
        predictions, spectra = [], []
        for stem, reynolds, _ in self.stems:
            truth = self.truth[stem][-1]
            scale = float(truth.std())
            mean = truth + error * scale * smooth_field(random, self.world.grid, reynolds) / 8
            noise = [smooth_field(random, self.world.grid, reynolds) / 8 for _ in range(members)]
            ensemble = np.stack([mean + spread * scale * z for z in noise]).astype(np.float32)
            predictions.append(ensemble[:, None])
            spectra.append(self._spectra(stem, reynolds, truth, ensemble))
        learned = method not in FORMULAS
        self._samples(task, method, training_seed, np.stack(predictions))
        path = self.layout.spectra(task, method, training_seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(spectra).to_csv(path, index=False)
        if learned:
            self._log(task, method, training_seed, error)
        self._scores(task, method, training_seed, np.stack(predictions)[:, :, 0], order)

    def _spectra(
        self, stem: str, reynolds: float, truth: np.ndarray, ensemble: np.ndarray
    ) -> pd.DataFrame:
        mean = ensemble.mean(axis=0)
        return pd.DataFrame(
            {
                "trajectory": stem,
                "index": 3,
                "lead": 1,
                "reynolds": reynolds,
                "k": np.arange(1, self.world.grid // 2 + 1),
                "truth": energy_spectrum(truth),
                "member_mean": np.mean([energy_spectrum(m) for m in ensemble], axis=0),
                "ensemble_mean": energy_spectrum(mean),
                "error": energy_spectrum(mean - truth),
                "spread": np.mean([energy_spectrum(m - mean) for m in ensemble], axis=0),
            }
        )

    def _samples(self, task: str, method: str, seed: int, prediction: np.ndarray) -> None:
        path = self.layout.samples(task, method, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = Labels(
            case=task,
            method=method,
            mode="denoiser",
            training_seed=seed,
            sampler="ddim",
            steps=2,
            parameters=1,
            flops=1.0,
            calls=2,
        )
        shots = [
            Snapshot(trajectory=stem, reynolds=reynolds, seed=run, index=3, time=0.8)
            for stem, reynolds, run in self.stems
        ]
        write_samples(path, prediction, snapshots=shots, shape=prediction.shape[1:], labels=labels)
        self._receipt(
            path, step="sample", inputs=[self.layout.trajectory(s) for s, _, _ in self.stems]
        )

    def _log(self, task: str, method: str, seed: int, error: float) -> None:
        path = self.layout.training_log(task, method, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([seed, len(method)])
        lines = []
        for step in range(10, 1001, 10):
            loss = (0.2 + error) * (1 + 4 * np.exp(-step / 150)) * (1 + 0.08 * random.normal())
            record = {"step": step, "loss": loss, "lr": 1e-3, "seconds": 0.11 * step * len(method)}
            if step % 200 == 0:
                record["validation_loss"] = loss * 1.06
            lines.append(json.dumps(record))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _scores(self, task: str, method: str, seed: int, ensembles: np.ndarray, order: int) -> None:
        path = self.layout.scores(task, method, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("benchmark_version,tier\n", encoding="utf-8")
        self._receipt(path, step="score", inputs=[self.layout.samples(task, method, seed)])
        self.cost.append(
            {
                "tier": "smoke",
                "task": task,
                "method": method,
                "training_seed": seed,
                "parameters": 0 if method in FORMULAS else 800_000 * (order + 1),
                "flops_per_evaluation": 0 if method in FORMULAS else 3.0e8 * (order + 1),
                "evaluations": 0 if method in FORMULAS else 2,
                "train_seconds": 110.0,
                "sample_seconds": 9.0,
                "seconds_per_member": 0.001 if method in FORMULAS else 0.02 * (order + 1),
                "peak_memory_mib": 512.0,
                "device": "cpu",
            }
        )
        if seed != self.world.training_seeds[0]:
            return
        everywhere = ["all", *[f"{re:g}" for re in self.world.reynolds]]
        for reynolds in everywhere:
            chosen = [
                i for i, (_, re, _) in enumerate(self.stems) if reynolds in ("all", f"{re:g}")
            ]
            truth = np.stack([self.truth[self.stems[i][0]][-1] for i in chosen])
            for (score, detail), values in score_values(truth, ensembles[chosen]).items():
                self._row(task, method, reynolds, score, detail, values)

    def _row(
        self, task: str, method: str, reynolds: str, score: str, detail: str, values: np.ndarray
    ) -> None:
        learned = method not in FORMULAS
        half = 1.96 * values.std() / np.sqrt(len(values)) + 0.01 * abs(values.mean())
        self.rows.append(
            {
                "benchmark_version": "1",
                "tier": "smoke",
                "task": task,
                "method": method,
                "mode": "denoiser" if learned else "formula",
                "reynolds": reynolds,
                "score": score,
                "detail": detail,
                "value": values.mean(),
                "low": values.mean() - half,
                "high": values.mean() + half,
                "snapshots": len(values),
                "trajectories": len(values),
                "training_seeds": 1,
                "members": self.world.members if learned else 1,
                "parameters": 800_000 if learned else 0,
                "flops": 3e8 if learned else 0,
                "evaluations": 2 if learned else 0,
                "receipt": f"scores/{task}/{method}/seed0.csv.receipt.json",
            }
        )

    def _tables(self) -> None:
        folder = self.layout.folder / "tables"
        folder.mkdir(parents=True, exist_ok=True)
        scores = pd.DataFrame(self.rows)
        scores.to_csv(self.layout.table("scores"), index=False)
        pd.DataFrame(self.cost).to_csv(self.layout.table("cost"), index=False)
        pd.DataFrame(
            [("smoke", *flag) for flag in self.world.flags],
            columns=["tier", "task", "method", "flag", "message"],
        ).to_csv(self.layout.table("red_flags"), index=False)
        self._comparisons(scores).to_csv(self.layout.table("comparisons"), index=False)
        tables = [self.layout.table(name) for name in ("scores", "comparisons", "cost")]
        self._receipt(*tables, step="tabulate", inputs=[])

    def _comparisons(self, scores: pd.DataFrame) -> pd.DataFrame:
        rfne = scores[(scores["score"] == "rfne_mean") & (scores["reynolds"] == "all")]
        found = []
        for task, rows in rfne.groupby("task", sort=False):
            reference = rows.iloc[-1]
            for row in rows.iloc[:-1].to_dict("records"):
                ratio = row["value"] / reference["value"]
                found.append(
                    (
                        "1",
                        "smoke",
                        task,
                        row["method"],
                        reference["method"],
                        "rfne_mean",
                        "all",
                        ratio,
                        0.95 * ratio,
                        1.05 * ratio,
                        len(self.stems),
                    )
                )
        columns = "benchmark_version tier task method reference score reynolds value low high"
        return pd.DataFrame(found, columns=[*columns.split(), "trajectories"])

    def _receipt(self, *outputs: Path, step: str, inputs: list[Path]) -> None:
        output = outputs[0]
        digest = hashlib.sha256(output.read_bytes()).hexdigest()
        content = {
            "step": step,
            "outputs": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in outputs
            },
            "inputs": {
                os.path.relpath(path, output.parent): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in inputs
            },
            "slice": {"tier": "smoke"},
            "slice_digest": digest[:16],
            "code_digest": digest[16:32],
            "facts": {"device": "cpu"},
            "versions": {"flexbench": "0.1", "numpy": np.__version__},
            "benchmark_version": "1",
            "seconds": 1.5,
            "cpu_seconds": 1.4,
            "peak_memory_mib": 300.0,
        }
        receipt_of(output).write_text(json.dumps(content), encoding="utf-8")


def score_values(truth: np.ndarray, ensembles: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Scores by snapshot: truth (S, H, W), ensembles (S, M, H, W); plain definitions."""
    mean = ensembles.mean(axis=1)
    norm = np.sqrt((truth**2).sum(axis=(1, 2)))
    rfne = np.sqrt(((mean - truth) ** 2).sum(axis=(1, 2))) / norm
    each = np.sqrt(((ensembles - truth[:, None]) ** 2).sum(axis=(2, 3))) / norm[:, None]
    pearson = np.array(
        [np.corrcoef(m.ravel(), t.ravel())[0, 1] for m, t in zip(mean, truth, strict=True)]
    )
    found = {
        ("rfne_mean", ""): rfne,
        ("rfne_member", ""): each.mean(axis=1),
        ("pearson", ""): pearson,
        ("max_error", ""): np.abs(mean - truth).max(axis=(1, 2)),
        ("crps", ""): rfne * 3,
        **{("spectrum_error", band): rfne * (1 + i) for i, band in enumerate(BANDS)},
    }
    members = ensembles.shape[1]
    if members > 1:
        found |= ensemble_values(truth, ensembles, mean)
    return found


def ensemble_values(
    truth: np.ndarray, ensembles: np.ndarray, mean: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    snapshots, members = ensembles.shape[:2]
    std = ensembles.std(axis=1, ddof=1)
    skill = np.sqrt(((mean - truth) ** 2).mean(axis=(1, 2)))
    spread = np.sqrt((std**2).mean(axis=(1, 2)) * (members + 1) / members)
    pull = ((truth - mean) / std).reshape(snapshots, -1)
    edges = np.linspace(-6, 6, 25)
    density = np.stack([np.histogram(p, edges, density=True)[0] for p in pull])
    ranks = (ensembles < truth[:, None]).sum(axis=1).reshape(snapshots, -1)
    frequency = np.stack([np.bincount(r, minlength=members + 1) / r.size for r in ranks])
    ordered = np.sort(ensembles, axis=1)
    found = {
        ("skill", ""): skill,
        ("spread", ""): spread,
        ("spread_skill", ""): spread / skill,
        ("pull_std", ""): pull.std(axis=1),
        ("pull_ratio", ""): pull.std(axis=1) / 1.2,
        **{("spread_skill", band): spread / skill / (1 + i / 4) for i, band in enumerate(BANDS)},
        **{("rank_hist", str(rank)): frequency[:, rank] for rank in range(members + 1)},
    }
    for centre, values in zip((edges[:-1] + edges[1:]) / 2, density.T, strict=True):
        found["pull_hist", f"{centre:g}"] = values
    for i in range(1, members // 2 + 1):
        nominal = (members + 1 - 2 * i) / (members + 1)
        inside = (truth >= ordered[:, i - 1]) & (truth <= ordered[:, members - i])
        found["coverage", f"{nominal:.4g}"] = inside.mean(axis=(1, 2))
    return found


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[World], ReportInputs]:
    """Builds the results folder of a world and returns what the report reads it through."""

    def make(world: World) -> ReportInputs:
        return Builder(tmp_path_factory.mktemp("results"), world).build()

    return make
