"""Costs from the receipts of the steps."""

import math

import pandas as pd

from flexbench.metrics.cost import cost_row
from flexbench.metrics.tables import COST, SNAPSHOT_SCORES


def scores(**changes):
    row = dict.fromkeys(SNAPSHOT_SCORES.columns, 0) | {
        "tier": "desk",
        "case": "forecast",
        "method": "flex",
        "training_seed": 1,
        "members": 4,
        "parameters": 800_000,
        "flops": 6e8,
        "calls": 2,
    }
    return pd.DataFrame([row | changes | {"index": index} for index in (3, 4, 4)])


def test_a_trained_method():
    facts = {"seconds": 120.0, "training": "forecast", "flops": 7e12, "resumed_step": 0}
    train = {"seconds": 5.0, "cpu_seconds": 90.0, "facts": facts}
    sample = {"seconds": 16.0, "peak_memory_mib": 512.0, "facts": {"device": "cpu", "tiles": 25}}
    sample["facts"]["timing"] = {"relative_time": 12.5, "seconds_per_member": 0.5}
    row = cost_row(scores(), train=train, sample=sample)
    assert (row["tier"], row["case"], row["method"], row["training_seed"]) == (
        "desk",
        "forecast",
        "flex",
        1,
    )
    assert row["parameters"] == 800_000
    assert (row["flops_per_call"], row["tiles"]) == (3e8, 25)
    assert (row["training"], row["train_flops"]) == ("forecast", 7e12)
    # Of all runs of a training that was stopped and resumed.
    assert row["train_seconds"] == 120.0
    assert row["train_cpu_seconds"] == 90.0
    # Of a whole field: two calls on each of 25 tiles, timed by the sampler itself.
    assert row["flops_per_member"] == 25 * 6e8
    assert (row["seconds_per_member"], row["relative_time"]) == (0.5, 12.5)
    assert (row["sample_seconds"], row["peak_memory_mib"], row["device"]) == (16.0, 512.0, "cpu")


def test_a_resumed_training_has_no_processor_time():
    train = {"seconds": 5.0, "cpu_seconds": 90.0, "facts": {"seconds": 120.0, "resumed_step": 7}}
    row = cost_row(scores(), train=train, sample={})
    assert math.isnan(row["train_cpu_seconds"])
    assert row["train_seconds"] == 120.0


def test_a_formula_has_no_training():
    row = cost_row(scores(parameters=0, flops=0.0, calls=0), train={}, sample={"seconds": 1.0})
    assert math.isnan(row["train_seconds"])
    assert math.isnan(row["train_flops"])
    assert row["training"] == ""
    assert (row["flops_per_call"], row["tiles"], row["flops_per_member"]) == (0, 0, 0)
    assert math.isnan(row["relative_time"])
    assert row["device"] == ""


def test_snapshots_drawn_before_a_kill_have_no_time():
    sample = {"seconds": 1.0, "facts": {"timing": {"snapshots": 0, "relative_time": None}}}
    row = cost_row(scores(), train={}, sample=sample)
    assert math.isnan(row["relative_time"])
    assert math.isnan(row["seconds_per_member"])


def test_a_row_has_the_columns_of_the_table():
    assert tuple(cost_row(scores(), train={}, sample={})) == COST.columns
