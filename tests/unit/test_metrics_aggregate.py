"""Aggregated tables against averages that are taken by hand, in the stated order."""

import numpy as np
import pandas as pd
import pytest
from score_rows import frame_of, runs

from flexbench.errors import FlexbenchError
from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.calibration import FIFTHS, sigma_ref
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.metrics.tables import SCORES

FEW = {"bootstrap": 200, "confidence": 0.95}


def pick(table, score, *, reynolds="all", detail="", method="flex"):
    rows = table[
        (table["score"] == score)
        & (table["reynolds"] == reynolds)
        & (table["detail"] == detail)
        & (table["method"] == method)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def test_order_of_averaging():
    """Snapshots first, then trajectories: a trajectory with more snapshots counts no more."""
    frame = frame_of(
        "flex",
        [
            (500.0, 0, 0, {"crps": 1.0}),
            (500.0, 0, 1, {"crps": 2.0}),
            (500.0, 0, 2, {"crps": 3.0}),
            (500.0, 1, 0, {"crps": 10.0}),
        ],
    )
    row = pick(aggregate([frame], **FEW), "crps")
    assert row["value"] == pytest.approx((2 + 10) / 2)
    assert (row["snapshots"], row["trajectories"], row["training_seeds"]) == (4, 2, 1)


def test_training_seeds_are_averaged_last():
    frames = [
        frame_of("flex", [(500.0, 0, 0, {"crps": 1.0}), (500.0, 1, 0, {"crps": 3.0})]),
        frame_of(
            "flex", [(500.0, 0, 0, {"crps": 5.0}), (500.0, 1, 0, {"crps": 7.0})], training_seed=1
        ),
    ]
    row = pick(aggregate(frames, **FEW), "crps")
    assert row["value"] == 4.0
    assert row["training_seeds"] == 2
    assert row["receipt"] == "tables/scores.csv.receipt.json"  # which names the files of both


def test_groups_and_columns():
    table = aggregate(runs(), **FEW)
    assert tuple(table.columns) == SCORES.columns
    assert list(dict.fromkeys(table["reynolds"])) == ["all", "500", "1000"]
    by_reynolds = [pick(table, "crps", reynolds=re)["value"] for re in ("500", "1000")]
    assert by_reynolds == [pytest.approx(4.5), pytest.approx(5.5)]
    row = pick(table, "crps")
    assert row["value"] == pytest.approx(5.0)
    assert row["receipt"] == "scores/superres_x4/flex/seed0.csv.receipt.json"
    assert (row["members"], row["parameters"], row["flops"], row["calls"]) == (8, 10, 100, 2)
    assert row["low"] < row["value"] < row["high"]


def test_roots_and_ratios_are_formed_last():
    values = [
        {"spread": 1.0, "skill": 2.0, "spread_skill": 9.0, "truth_rms": 4.0, "rfne_batch": 9.0},
        {"spread": 3.0, "skill": 1.0, "spread_skill": 9.0, "truth_rms": 5.0, "rfne_batch": 9.0},
    ]
    frame = frame_of("flex", [(500.0, flow, 0, value) for flow, value in enumerate(values)])
    table = aggregate([frame], **FEW)
    spread, skill = np.sqrt((1 + 9) / 2), np.sqrt((4 + 1) / 2)
    assert pick(table, "spread")["value"] == pytest.approx(spread)
    assert pick(table, "skill")["value"] == pytest.approx(skill)
    ratio = np.sqrt(9 / 8) * spread / skill
    assert pick(table, "spread_skill")["value"] == pytest.approx(ratio)
    batch = skill / np.sqrt((16 + 25) / 2)
    assert pick(table, "rfne_batch")["value"] == pytest.approx(batch)
    # What only serves to form others is not shown.
    assert not {"truth_rms", "seam_error", "inner_error"} & set(table["score"])


def test_pooled_scores_are_those_of_the_pooled_points():
    """Two snapshots of one ensemble size score like one field that holds both."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(2, 32, 32))
    members = truth[:, None] + np.array([0.5, 2.0])[:, None, None, None] * random.normal(
        size=(2, 8, 32, 32)
    )
    frame = frame_of(
        "flex",
        [
            (500.0, flow, 0, score_snapshot(members[flow], truth[flow], bands=2, patch=16)[0])
            for flow in (0, 1)
        ],
    )
    table = aggregate([frame], **FEW)
    error = members.mean(axis=1) - truth
    std = members.std(axis=1, ddof=1)
    pull = -error / std
    assert pick(table, "pull_std")["value"] == pytest.approx(pull.std())
    assert pick(table, "pull_ratio")["value"] == pytest.approx(pull.std() / sigma_ref(8))
    assert pick(table, "pull_mean")["value"] == pytest.approx(pull.mean())
    ratio = np.sqrt(9 / 8 * np.mean(std**2) / np.mean(error**2))
    assert pick(table, "spread_skill")["value"] == pytest.approx(ratio)
    batch = np.linalg.norm(error) / np.linalg.norm(truth)
    assert pick(table, "rfne_batch")["value"] == pytest.approx(batch)
    inner = np.concatenate(
        [
            error[:, rows : rows + 8, columns : columns + 8]
            for rows in (4, 20)
            for columns in (4, 20)
        ]
    )
    near = (error**2).sum() - (inner**2).sum()
    torn = np.sqrt(near / (error.size - inner.size) / np.mean(inner**2))
    assert pick(table, "seam_ratio")["value"] == pytest.approx(torn)


def test_one_snapshot_aggregates_to_itself():
    random = np.random.default_rng(1)
    truth = random.normal(size=(32, 32))
    scores, _ = score_snapshot(truth + random.normal(size=(8, 32, 32)), truth, bands=3)
    table = aggregate([frame_of("flex", [(500.0, 0, 0, scores)])], **FEW)
    for row in table[table["reynolds"] == "all"].itertuples():
        assert row.value == pytest.approx(scores[row.score, row.detail], rel=1e-12, abs=1e-15)


def test_no_interval_without_two_degrees_of_freedom():
    table = aggregate(runs(flows=2), **FEW)
    # Two trajectories of each of two Reynolds numbers: enough together, not one by one.
    assert pick(table, "crps")["trajectories"] == 4
    assert np.isfinite(pick(table, "crps")["low"])
    assert np.isnan(pick(table, "crps", reynolds="500")["low"])
    alone = aggregate(runs(flows=1), **FEW)
    assert alone["low"].isna().all()
    assert alone["high"].isna().all()


def test_the_choice_of_reynolds_numbers_is_no_accident():
    """Scores that differ between Reynolds numbers but not within have no width."""
    snapshots = [
        (reynolds, flow, 0, {"crps": reynolds / 100})
        for reynolds in (500.0, 1000.0)
        for flow in range(4)
    ]
    row = pick(aggregate([frame_of("flex", snapshots)], **FEW), "crps")
    assert row["low"] == pytest.approx(row["value"])
    assert row["high"] == pytest.approx(row["value"])


def test_training_seeds_widen_the_interval():
    same = pick(aggregate(runs(seeds=(0, 1, 2)), **FEW), "crps")
    frames = [
        f.assign(value=f["value"] * (1 + 0.5 * i)) for i, f in enumerate(runs(seeds=(0, 1, 2)))
    ]
    differ = pick(aggregate(frames, **FEW), "crps")
    one = pick(aggregate(runs(), **FEW), "crps")
    # Seeds that agree bring nothing.
    assert same["high"] / same["low"] == pytest.approx(one["high"] / one["low"], rel=1e-9)
    assert differ["high"] / differ["low"] > 1.5 * one["high"] / one["low"]


def test_rows_do_not_depend_on_the_rest_of_the_table():
    alone = aggregate(runs("flex", noise=0.1), **FEW)
    others = runs("unet", noise=0.1)
    among = aggregate([*others, *runs("flex", noise=0.1)], **FEW)
    among = among[among["method"] == "flex"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among)
    shuffled = [f.sample(frac=1, random_state=1) for f in runs("flex", noise=0.1)]
    for score in ("crps", "rfne_mean"):
        expected, found = pick(alone, score), pick(aggregate(shuffled, **FEW), score)
        for name in ("value", "low", "high"):
            assert found[name] == pytest.approx(expected[name], rel=1e-12)


def test_another_seed_draws_others():
    first, second = (pick(aggregate(runs(noise=0.1), **FEW, seed=s), "crps") for s in (0, 1))
    assert first["value"] == second["value"]
    assert first["low"] != second["low"]


def test_a_nan_is_not_averaged_away():
    frames = runs()
    frames[0].loc[(frames[0]["score"] == "crps").idxmax(), "value"] = np.nan
    table = aggregate(frames, **FEW)
    assert np.isnan(pick(table, "crps")["value"])
    assert np.isfinite(pick(table, "rfne_mean")["value"])


def test_a_score_that_a_snapshot_lacks_is_averaged_over_the_others():
    band = ("spectrum_error", "k=8-16")
    frame = frame_of(
        "flex",
        [
            (500.0, 0, 0, {"crps": 1.0, band: 4.0}),
            (500.0, 0, 1, {"crps": 1.0}),
            (500.0, 1, 0, {"crps": 1.0}),
            (500.0, 2, 0, {"crps": 1.0, band: 8.0}),
        ],
    )
    assert pick(aggregate([frame], **FEW), *band[:1], detail=band[1])["value"] == 6.0


def test_a_score_that_nobody_defined_is_refused():
    frame = frame_of("flex", [(500.0, flow, 0, {"own": 1.0}) for flow in range(3)])
    with pytest.raises(FlexbenchError, match="score 'own' is not defined; allowed: rfne_mean"):
        aggregate([frame], **FEW)


def test_intervals_stay_inside_bounds():
    values = [0.999, 0.9, 0.99]
    frame = frame_of("flex", [(500.0, i, 0, {"pearson": v}) for i, v in enumerate(values)])
    row = pick(aggregate([frame], **FEW), "pearson")
    assert row["high"] == 1.0


def test_bad_input_is_refused():
    with pytest.raises(FlexbenchError, match="every score table is empty"):
        aggregate([], **FEW)
    other = runs()[0].assign(benchmark_version="2")
    with pytest.raises(FlexbenchError, match="versions 1, 2 cannot be compared"):
        aggregate([*runs(), other], **FEW)
    lone = frame_of("flex", [(500.0, 0, 0, {"pull_std": 1.0})])
    with pytest.raises(FlexbenchError, match=r"'pull_square' \(all scales\) is missing"):
        aggregate([lone], **FEW)


def fifths(spread, skill, **others):
    """Scores of a snapshot: moments by fifth, and others."""
    values = {("fifth_spread", fifth): v for fifth, v in zip(FIFTHS, spread, strict=True)}
    values |= {("fifth_skill", fifth): v for fifth, v in zip(FIFTHS, skill, strict=True)}
    return values | others


def test_scores_across_fifths_are_formed_from_averaged_moments():
    own = {"spread_skill_worst": 0.0, "reliability_slope": 0.0}  # not what is averaged
    first = fifths([1, 2, 3, 4, 5], [1, 1, 1, 1, 1], **own)
    second = fifths([1, 1, 1, 1, 1], [1, 2, 3, 4, 10], **own)
    frame = frame_of("flex", [(500.0, 0, 1, first), (500.0, 0, 2, second)])
    table = aggregate([frame], **FEW)
    spread = np.log(np.square([1, 2, 3, 4, 5]) + 1) / 2
    skill = np.log(np.square([1, 2, 3, 4, 10]) + 1) / 2
    assert pick(table, "spread_skill_worst")["value"] == pytest.approx(np.exp(spread - skill)[-1])
    slope = pick(table, "reliability_slope")["value"]
    assert slope == pytest.approx(np.polyfit(spread, skill, 1)[0])


def test_a_spread_that_is_flat_on_average_has_no_slope():
    first = fifths([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], reliability_slope=1.0)
    second = fifths([5, 4.5, 4, 3, 1], [1, 1, 1, 1, 1])
    alone = frame_of("flex", [(500.0, 0, 1, first)])
    assert pick(aggregate([alone], **FEW), "reliability_slope")["value"] == pytest.approx(1.0)
    both = frame_of("flex", [(500.0, 0, 1, first), (500.0, 0, 2, second)])
    assert "reliability_slope" not in set(aggregate([both], **FEW)["score"])
    # What is no number elsewhere is told, and not left out.
    lost = frame_of("flex", [(500.0, 0, 1, first | {"crps": np.nan})])
    assert np.isnan(pick(aggregate([lost], **FEW), "crps")["value"])
