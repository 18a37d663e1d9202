"""Intervals of a single flow: over stretches of its time."""

import numpy as np
import pandas as pd
import pytest
from score_rows import frame_of

from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.blocks import BLOCK, in_blocks
from flexbench.metrics.comparisons import comparisons

HOW = {"bootstrap": 200, "confidence": 0.95}


def series(values, *, method="flex", reynolds=100.0, first=0):
    """A score file of one flow, a snapshot each 0.1 time units."""
    rows = [(reynolds, 0, first + i, {"crps": v, "rfne_mean": v}) for i, v in enumerate(values)]
    return frame_of(method, rows)


def blocks_of(frame, length=None):
    (found,) = in_blocks([frame], length=length)
    return found.drop_duplicates("index").sort_values("index")[BLOCK].tolist()


def row_of(frames, **how):
    table = aggregate(frames, **(HOW | how))
    return table[(table["score"] == "crps") & (table["reynolds"] == "all")].iloc[0]


def test_blocks_are_alike_long_and_follow_one_another():
    assert blocks_of(series(np.ones(8))) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert blocks_of(series(np.ones(7))) == [0, 0, 0, 1, 1, 2, 2]
    # A length that is asked for is the least one.
    assert blocks_of(series(np.ones(8)), length=0.25) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert blocks_of(series(np.ones(8)), length=0.2) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert blocks_of(series(np.ones(3)), length=9.0) == [0, 0, 0]


def test_a_rollout_stays_in_one_block():
    frames = [series(np.ones(6), first=lead).assign(lead=lead + 1) for lead in range(3)]
    (found,) = in_blocks([pd.concat(frames, ignore_index=True)], length=0.2)
    start = found["index"] - found["lead"]
    assert (found.groupby(start)[BLOCK].nunique() == 1).all()
    assert found[BLOCK].nunique() == 3


def test_the_score_is_that_of_all_snapshots_however_they_are_cut():
    values = np.random.default_rng(0).exponential(size=11)
    plain, cut = row_of([series(values)]), row_of(in_blocks([series(values)], length=None))
    assert plain["value"] == pytest.approx(cut["value"], rel=1e-12)
    assert np.isnan(plain["low"])
    assert cut["low"] < cut["value"] < cut["high"]
    assert plain["trajectories"] == cut["trajectories"] == 1


def test_flows_count_alike_however_long_they_are():
    long, short = series(np.full(12, 2.0)), series(np.full(6, 5.0), reynolds=200.0)
    (both,) = in_blocks([pd.concat([long, short], ignore_index=True)], length=None)
    assert row_of([both])["value"] == pytest.approx(3.5)


def test_too_few_blocks_give_no_interval():
    assert np.isnan(row_of(in_blocks([series([1.0, 2, 3, 4])], length=None))["low"])


def test_comparisons_are_paired_block_by_block():
    """A method that is worse by a factor everywhere is so for sure, whatever the flow does."""
    values = np.exp(np.random.default_rng(1).standard_normal(24))
    frames = [series(values), series(1.1 * values, method="unet")]
    table = comparisons(in_blocks(frames, length=None), **HOW)
    row = table[(table["method"] == "unet") & (table["reference"] == "flex")].iloc[0]
    assert row["low"] == pytest.approx(1.1)
    assert row["high"] == pytest.approx(1.1)


def test_intervals_cover_the_long_run_where_blocks_outlast_the_memory():
    """Errors that remember their past: single snapshots as units would promise too much."""
    random = np.random.default_rng(2)
    memory, count, runs = 0.8, 60, 60
    covered = {0.1: 0, 1.5: 0}
    for _ in range(runs):
        noise = random.standard_normal(count + 100)
        state = np.zeros_like(noise)
        for i in range(1, len(noise)):
            state[i] = memory * state[i - 1] + noise[i]
        frame = series(10.0 + state[-count:])
        for length in covered:
            (cut,) = in_blocks([frame[frame["score"] == "crps"]], length=length)
            row = row_of([cut])
            covered[length] += row["low"] <= 10.0 <= row["high"]
    assert covered[1.5] / runs > 0.85
    assert covered[0.1] / runs < 0.65
