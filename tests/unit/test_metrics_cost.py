"""Costs from the receipts of the steps."""

import math

import pandas as pd

from flexbench.metrics.cost import cost_row, cost_table
from flexbench.metrics.score import COLUMNS


def scores(**changes):
    row = dict.fromkeys(COLUMNS, 0) | {
        "tier": "desk",
        "task": "forecast",
        "method": "flex",
        "training_seed": 1,
        "members": 4,
        "parameters": 800_000,
        "flops": 6e8,
        "evaluations": 2,
    }
    return pd.DataFrame([row | changes | {"index": index} for index in (3, 4, 4)])


def test_a_trained_method():
    train = {"seconds": 5.0, "facts": {"seconds": 120.0, "training": "forecast", "flops": 7e12}}
    sample = {"seconds": 16.0, "peak_memory_mib": 512.0, "facts": {"device": "cpu", "tiles": 25}}
    sample["facts"]["timing"] = {"relative_time": 12.5}
    row = cost_row(scores(), train=train, sample=sample)
    assert (row.tier, row.task, row.method, row.training_seed) == ("desk", "forecast", "flex", 1)
    assert row.parameters == 800_000
    assert (row.flops_per_evaluation, row.tiles) == (3e8, 25)
    assert (row.training, row.train_flops) == ("forecast", 7e12)
    # Of all runs of a training that was stopped and resumed.
    assert row.train_seconds == 120.0
    # Two snapshots of four members.
    assert row.seconds_per_member == 2.0
    assert row.relative_time == 12.5
    assert (row.sample_seconds, row.peak_memory_mib, row.device) == (16.0, 512.0, "cpu")


def test_a_formula_has_no_training():
    row = cost_row(
        scores(parameters=0, flops=0.0, evaluations=0), train={}, sample={"seconds": 1.0}
    )
    assert math.isnan(row.train_seconds)
    assert math.isnan(row.train_flops)
    assert row.training == ""
    assert (row.flops_per_evaluation, row.tiles) == (0, 0)
    assert math.isnan(row.relative_time)
    assert row.device == ""


def test_snapshots_drawn_before_a_kill_have_no_time():
    sample = {"seconds": 1.0, "facts": {"timing": {"snapshots": 0, "relative_time": None}}}
    assert math.isnan(cost_row(scores(), train={}, sample=sample).relative_time)


def test_the_table_has_its_columns_without_rows():
    columns = (
        "tier task method training_seed training parameters flops_per_evaluation evaluations tiles "
        "train_flops train_seconds "
        "sample_seconds seconds_per_member relative_time peak_memory_mib device"
    )
    assert list(cost_table([]).columns) == columns.split()
    table = cost_table([cost_row(scores(), train={}, sample={})])
    assert list(table.columns) == columns.split()
    assert len(table) == 1
