"""What every run cost, in a table of its own: seconds and memory never enter a score table."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from flexbench.metrics.tables import MARK, SUBMITTED, mark_of


def cost_row(
    scores: pd.DataFrame, *, train: Mapping[str, Any], sample: Mapping[str, Any]
) -> dict[str, Any]:
    """The cost of one method on one case, with one training seed: a row of `tables.COST`.

    scores: rows of one score file (not empty). train, sample: receipts of its two steps as
    `provenance.read_receipt` gives them; {} where a step has none: a formula is not trained, and
    what others ran, whose card has the cost in their words, is neither trained nor drawn here.

    training: what the weights were trained on; where a network learnt several tasks together, all
    of them, joined by "+": what is said of a training is then said in the row of each of its tasks,
    and was spent once. Empty for a formula.
    flops_per_call: of one call of the network on one patch. calls: per member.
    tiles: that one field is drawn in, each with so many calls; 0: in none, or not known.
    flops_per_member: of one member of one whole field, all calls on all tiles.
    seconds_per_member: of the same, sampling alone: processor time, on a GPU wall time.
    relative_time: the same over the seconds of a yardstick timed beside it (`inference.timing`).
    train_flops: of all forward and backward passes over the training's patches.
    train_cpu_seconds: processor time of the training; NaN where it was stopped and resumed.
    train_seconds, sample_seconds: wall time of the whole step, which other programs lengthen.
    peak_memory_mib: of sampling. NaN stands for what is not known.
    """
    first = scores.iloc[0].to_dict()
    calls, mark = int(first["calls"]), mark_of(str(first["mode"]))
    size, flops = first["parameters"], float(first["flops"])
    if mark == SUBMITTED:
        size, flops = size or math.nan, math.nan
    tiles = int(sample.get("facts", {}).get("tiles", 0))
    return {
        "tier": first["tier"],
        "case": first["case"],
        "method": first["method"],
        "training_seed": int(first["training_seed"]),
        "training": str(train.get("facts", {}).get("training", first["case"])) if train else "",
        "parameters": size,
        "flops_per_call": flops / max(calls, 1),
        "calls": calls,
        "tiles": tiles,
        "flops_per_member": flops * max(tiles, 1),
        "seconds_per_member": _timed(sample, "seconds_per_member"),
        "relative_time": _timed(sample, "relative_time"),
        "train_flops": float(train.get("facts", {}).get("flops", "nan")),
        "train_cpu_seconds": _train_cpu_seconds(train),
        "train_seconds": _train_seconds(train),
        "sample_seconds": float(sample.get("seconds", "nan")),
        "peak_memory_mib": float(sample.get("peak_memory_mib", "nan")),
        "device": str(sample.get("facts", {}).get("device", "")),
        MARK: mark,
    }


def _train_seconds(receipt: Mapping[str, Any]) -> float:
    """Training time over all runs of a training that was stopped and resumed, if it is known."""
    return float(receipt.get("facts", {}).get("seconds", receipt.get("seconds", "nan")))


def _train_cpu_seconds(receipt: Mapping[str, Any]) -> float:
    """A receipt knows the processor time of the last run alone."""
    if receipt.get("facts", {}).get("resumed_step", 0):
        return float("nan")
    return float(receipt.get("cpu_seconds", "nan"))


def _timed(receipt: Mapping[str, Any], fact: str) -> float:
    """NaN where it was not measured: all snapshots had been drawn before a kill."""
    found = receipt.get("facts", {}).get("timing", {}).get(fact)
    return float("nan") if found is None else float(found)
