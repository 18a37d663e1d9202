"""The named scores of a run: what the gate holds against the reference, seed by seed.

Three scores per task, of FLEX; smaller is better for all. `accuracy`: the error of the ensemble
mean over that of the best formula. `calibration`: |ln(spread / skill)|, 0 where calibrated.
`time`: of sampling, relative to a yardstick timed beside it. Beside them `counts`, which
have no noise: calls of the network, and FLOPs, of one member.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flexbench.config import PACE, Config
from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.metrics.comparisons import CENTRAL, best_formula
from flexbench.metrics.definitions import definition_of
from flexbench.metrics.flag_types import INFORMATION
from flexbench.metrics.group_scores import mean_score
from flexbench.metrics.rows import gather
from flexbench.metrics.tables import COST, RED_FLAGS, SNAPSHOT_SCORES
from flexbench.paths import Layout
from flexbench.provenance import read_receipt

MOST_SCORES = 6
COUNTS = ("calls", "flops")

# Settings that say where a run goes, how it is scheduled and what else it measures, not what scores
# come out.
FREE = ("root", "training_seeds", "stages", "submitted", "theory", "cluster")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of score.

    log: compared on the log scale, as ratios are. elsewhere: what the same code and seed differ by
    between machines and their neighbours (standard deviation, on that scale).
    """

    text: str
    log: bool
    elsewhere: float = 0.0

    def forward(self, value: float) -> float:
        """To the scale on which seeds are compared; NaN where the value has no place there."""
        if not self.log:
            return value
        return math.log(value) if value > 0 else math.nan

    def back(self, value: float) -> float:
        return math.exp(value) if self.log else value


KINDS = {
    "accuracy": Kind(text="RFNE of FLEX's ensemble mean / of the best formula", log=True),
    "calibration": Kind(text="|ln(spread / skill)| of FLEX, 0 if calibrated", log=False),
    # The same work took 8.0 to 10.0 yardsticks within a day, alone and beside jobs in its caches.
    "time": Kind(
        text="sampling time per member / a yardstick of fixed work beside it",
        log=True,
        elsewhere=0.08,
    ),
}


def kind_of(name: str) -> Kind:
    """The kind of a score named `<task>.<kind>`."""
    return KINDS[name.rpartition(".")[2]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a finished run says.

    seeds: scores of each training seed. configuration: without what is free to differ.
    code: digest of the code behind each step. machine: what the times depend on.
    """

    folder: Path
    tier: str
    benchmark_version: str
    configuration: dict[str, Any]
    seeds: dict[int, dict[str, float]]
    counts: dict[str, float]
    flags: list[str] = field(default_factory=list)
    code: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)


def read_run(layout: Layout) -> Run:
    """The scores of the run in a results folder; FlexbenchError where it is not finished."""
    if not layout.config.is_file():
        raise FlexbenchError(
            f"{layout.folder}: holds no run; `flexbench run tabulate --tier {layout.tier}` makes it"
        )
    config = load_config(resolved=layout.config)
    graph = Graph.of(config)
    if CENTRAL not in config.methods:
        raise FlexbenchError(
            f"{layout.config}: methods lack '{CENTRAL}', whose scores are compared"
        )
    tasks = [task for task in graph.tasks if CENTRAL in {job.method for job in graph.jobs_of(task)}]
    if len(tasks) * len(KINDS) > MOST_SCORES:
        raise FlexbenchError(
            f"{layout.config}: {len(tasks)} tasks give {len(tasks) * len(KINDS)} scores; at most "
            f"{MOST_SCORES} are compared, so at most {MOST_SCORES // len(KINDS)} tasks"
        )
    cost = COST.read(layout.table("cost"))
    frames = {
        task: gather(
            SNAPSHOT_SCORES.read(layout.scores(job.case, job.method, job.seed))
            for job in graph.jobs_of(task)
        )
        for task in tasks
    }
    seeds: dict[int, dict[str, float]] = {seed: {} for seed in config.training_seeds}
    counts: dict[str, float] = {}
    for task, rows in frames.items():
        own = rows[rows["method"] == CENTRAL]
        counts |= {f"{task}.{name}": float(own[name].max()) for name in COUNTS}
        for seed, scores in seeds.items():
            measured = _measure(
                rows, own[own["training_seed"] == seed], _relative_time(cost, task, seed)
            )
            scores.update({f"{task}.{name}": value for name, value in measured.items()})
    return Run(
        folder=layout.folder,
        tier=config.tier,
        benchmark_version=str(next(iter(frames.values()))["benchmark_version"].iloc[0]),
        configuration=comparable(config),
        seeds=seeds,
        counts=counts,
        flags=_flags(layout),
        code=code_of(layout, tasks[0], config.training_seeds[0]),
        machine=_machine(layout, tasks[0], config.training_seeds[0]),
    )


def comparable(config: Config) -> dict[str, Any]:
    """The configuration without where it goes and runs, which seeds it trains, and its pace; and
    without how samplers are fitted, where none is."""
    values = config.model_dump(mode="json", exclude=set(FREE))
    if not any(case.fit for case in config.cases.values()):
        del values["calibration"]
    for settings in (*values["method_settings"].values(), *values["evaluations"].values()):
        del settings["training_seeds"]
    for section, keys in PACE.items():
        values[section] = {key: it for key, it in values[section].items() if key not in keys}
    return values


def code_of(layout: Layout, task: str, seed: int, method: str = CENTRAL) -> dict[str, str]:
    """The code digest in the receipt of each step behind a method's scores."""
    outputs = {
        "train": layout.checkpoint(task, method, seed),
        "sample": layout.samples(task, method, seed),
        "score": layout.scores(task, method, seed),
        "tabulate": layout.table("scores"),
    }
    receipts = {step: read_receipt(output) for step, output in outputs.items()}
    return {step: str(it["code_digest"]) for step, it in receipts.items() if "code_digest" in it}


def _measure(rows: pd.DataFrame, own: pd.DataFrame, time: float) -> dict[str, float]:
    """The scores of one seed on one task; NaN where there is none."""
    best = best_formula(rows, score="rfne_mean")
    formula = _score(rows[rows["method"] == best], "rfne_mean") if best else math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.float64(_score(own, "spread_skill"))
        return {
            "accuracy": _score(own, "rfne_mean") / formula,
            "calibration": float(abs(np.log(ratio))),
            "time": time,
        }


def _score(rows: pd.DataFrame, name: str) -> float:
    needed = definition_of(name).moments or (name,)
    whole = rows[rows["detail"] == ""]
    return mean_score(whole, name) if set(needed) <= set(whole["score"]) else math.nan


def _relative_time(cost: pd.DataFrame, task: str, seed: int) -> float:
    """Relative time of sampling; NaN where it was not measured."""
    keys = (cost["case"] == task) & (cost["method"] == CENTRAL) & (cost["training_seed"] == seed)
    found = cost.loc[keys, "relative_time"].tolist()
    return float(found[0]) if found else math.nan


def _flags(layout: Layout) -> list[str]:
    """The red flags that are defects."""
    table = RED_FLAGS.read(layout.table("red_flags"))
    return [
        f"{row['case']} {row['method']}: {row['flag']}: {row['message']}"
        for row in table.to_dict("records")
        if row["flag"] != INFORMATION
    ]


def _machine(layout: Layout, task: str, seed: int) -> dict[str, str]:
    """Versions and hardware behind the sampling of a task."""
    receipt = read_receipt(layout.samples(task, CENTRAL, seed))
    facts, versions = receipt.get("facts", {}), receipt.get("versions", {})
    found: dict[str, Any] = {name: versions.get(name) for name in ("python", "torch", "numpy")}
    found |= {
        name: facts.get("timing", {}).get(name) for name in ("processor", "threads", "yardstick")
    }
    found["device"] = facts.get("device")
    return {name: str(value) for name, value in found.items() if value is not None}
