"""What every run cost, in a table of its own: seconds and memory never enter a score table."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from flexbench.metrics.cells import SNAPSHOT


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """The cost of one method on one task, with one training seed.

    training: the task that the weights were trained on; where a network learnt several together,
    all of them, joined by "+": what is said of a training is then said in the row of each of its
    tasks, and was spent once. Empty for a formula.
    parameters: of the whole network, the encoders of other tasks included.
    flops_per_evaluation: of one network evaluation of one patch. evaluations: per member.
    tiles: that one field is drawn in, each with so many evaluations; 0: in none, or not known.
    train_flops: of all forward and backward passes over the training's patches.
    train_seconds, sample_seconds: wall time of the whole step; NaN where it is not known.
    seconds_per_member: of one member of one whole field. relative_time: the same, sampling alone,
    over the seconds of a matrix multiply timed beside it (see `inference.timing`).
    peak_memory_mib: of sampling.
    """

    tier: str
    task: str
    method: str
    training_seed: int
    training: str
    parameters: int
    flops_per_evaluation: float
    evaluations: int
    tiles: int
    train_flops: float
    train_seconds: float
    sample_seconds: float
    seconds_per_member: float
    relative_time: float
    peak_memory_mib: float
    device: str


def cost_row(
    scores: pd.DataFrame,
    *,
    train: Mapping[str, Any],
    sample: Mapping[str, Any],
) -> CostRow:
    """The cost of the run behind one score file, from the receipts of its two steps.

    scores: rows of one score file (not empty). train, sample: receipts as
    `provenance.read_receipt` gives them; {} where a step has none (a formula is not trained).
    """
    first = scores.iloc[0].to_dict()
    snapshots = len(scores[list(SNAPSHOT)].drop_duplicates())
    seconds = float(sample.get("seconds", "nan"))
    evaluations = int(first["evaluations"])
    return CostRow(
        tier=first["tier"],
        task=first["task"],
        method=first["method"],
        training_seed=int(first["training_seed"]),
        training=str(train.get("facts", {}).get("training", first["task"])) if train else "",
        parameters=int(first["parameters"]),
        flops_per_evaluation=float(first["flops"]) / max(evaluations, 1),
        evaluations=evaluations,
        tiles=int(sample.get("facts", {}).get("tiles", 0)),
        train_flops=float(train.get("facts", {}).get("flops", "nan")),
        train_seconds=_train_seconds(train),
        sample_seconds=seconds,
        seconds_per_member=seconds / (snapshots * int(first["members"])),
        relative_time=_relative_time(sample),
        peak_memory_mib=float(sample.get("peak_memory_mib", "nan")),
        device=str(sample.get("facts", {}).get("device", "")),
    )


def _train_seconds(receipt: Mapping[str, Any]) -> float:
    """Training time over all runs of a training that was stopped and resumed, if it is known."""
    return float(receipt.get("facts", {}).get("seconds", receipt.get("seconds", "nan")))


def _relative_time(receipt: Mapping[str, Any]) -> float:
    """NaN where it was not measured: all snapshots had been drawn before a kill."""
    found = receipt.get("facts", {}).get("timing", {}).get("relative_time")
    return float("nan") if found is None else float(found)


def cost_table(rows: Iterable[CostRow]) -> pd.DataFrame:
    """The table of costs, a row per run."""
    columns = [field.name for field in fields(CostRow)]
    return pd.DataFrame([asdict(row) for row in rows], columns=columns)
