"""Methods against one another, and a method with its twin, against ratios taken by hand."""

import numpy as np
import pandas as pd
import pytest
from score_rows import frame_of, runs

from flexbench.config import Case, Config
from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.bootstrap import Factor, estimate
from flexbench.metrics.comparisons import best_formula, comparisons, ratio_rows, twin_cases
from flexbench.metrics.group_scores import Resampling
from flexbench.metrics.rows import rows_of_score
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.metrics.tables import COMPARISONS

FEW = {"bootstrap": 200, "confidence": 0.95}
HOW = Resampling(resamples=200, confidence=0.95, seed=0)


def ratios(frames, method, reference, *, score="crps"):
    """The rows of one pair."""
    rows = rows_of_score(pd.concat(frames, ignore_index=True), score)
    pair = (rows[rows["method"] == name] for name in (method, reference))
    return COMPARISONS.of(ratio_rows(*pair, HOW, score=score))


def test_an_exact_ratio_has_no_width():
    """Trajectories differ by a factor of three, the ratio does not: that is what pairing is for."""
    frames = [*runs("flex", scale=0.5), *runs("unet")]
    table = ratios(frames, "flex", "unet")
    assert tuple(table.columns) == COMPARISONS.columns
    assert list(table["reynolds"]) == ["all", "500", "1000"]
    np.testing.assert_allclose(table[["value", "low", "high"]], 0.5, rtol=1e-9)
    assert list(table["trajectories"]) == [8, 4, 4]


def test_turning_a_ratio_round():
    frames = [*runs("flex", scale=0.5, noise=0.1, seeds=(0, 1, 2)), *runs("unet", noise=0.1)]
    there = ratios(frames, "flex", "unet")
    back = ratios(frames, "unet", "flex")
    np.testing.assert_allclose(there["value"], 1 / back["value"])
    np.testing.assert_allclose(there["low"], 1 / back["high"])
    np.testing.assert_allclose(there["high"], 1 / back["low"])


def test_a_ratio_is_taken_where_both_predict():
    frames = [*runs("flex"), *runs("unet", scale=2.0, flows=3)]
    # Flow 0 of the reference is far off, and the method does not predict it.
    frames[0] = frames[0][frames[0]["seed"] != 0]
    frames[1].loc[frames[1]["seed"] == 0, "value"] = 1e6
    table = ratios(frames, "flex", "unet")
    assert list(table["trajectories"]) == [4, 2, 2]
    np.testing.assert_allclose(table["value"], 0.5)


def test_derived_scores_can_be_compared():
    random = np.random.default_rng(0)
    truth = random.normal(size=(3, 16, 16))
    frames = []
    for method, spread in (("flex", 1.0), ("unet", 0.5)):
        members = truth[:, None] + spread * random.normal(size=(3, 8, 16, 16))
        frames.append(
            frame_of(
                method,
                [(500.0, i, 0, score_snapshot(members[i], truth[i], bands=2)[0]) for i in range(3)],
            )
        )
    table = aggregate(frames, **FEW)
    found = ratios(frames, "unet", "flex", score="spread")
    overall = table[(table["score"] == "spread") & (table["detail"] == "")]
    value = overall[overall["reynolds"] == "all"].set_index("method")["value"]
    assert found["value"].iloc[0] == pytest.approx(value["unet"] / value["flex"])
    assert set(found["score"]) == {"spread"}


def test_no_shared_snapshots_give_no_ratio():
    assert ratios([*runs("flex"), *shifted(runs("unet"), by=50)], "flex", "unet").empty


def test_all_comparisons():
    frames = [
        *runs("flex", scale=0.5),
        *runs("unet", scale=0.8),
        *runs("persistence", scale=3.0, mode="formula", members=1),
        *runs("extrapolation", scale=2.0, mode="formula", members=1),
    ]
    table = comparisons(frames, **FEW)
    overall = table[(table["reynolds"] == "all") & (table["score"] == "rfne_mean")]
    found = {(r.method, r.reference): r.value for r in overall.itertuples()}
    assert found == {
        ("flex", "best formula"): pytest.approx(0.25),
        ("unet", "best formula"): pytest.approx(0.4),
        ("persistence", "best formula"): pytest.approx(1.5),
        ("unet", "flex"): pytest.approx(1.6),
        ("persistence", "flex"): pytest.approx(6),
        ("extrapolation", "flex"): pytest.approx(4),
    }
    assert set(table["score"]) == {"rfne_mean", "crps"}


def test_one_network_alone_is_compared_with_nothing():
    frames = runs("unet", scale=0.8)
    assert comparisons(frames, **FEW).empty
    assert best_formula(pd.concat(frames), score="crps") is None


def test_networks_are_compared_with_the_best_of_them_where_that_is_not_flex():
    frames = [
        *runs("unet", scale=0.8),
        *runs("cubic"),
        *runs("flex", scale=2.0),
        *runs("interpolation", mode="formula"),
    ]
    table = comparisons(frames, **FEW)
    own = table[(table["reference"] == "best network") & (table["reynolds"] == "all")]
    assert list(zip(own["score"], own["method"], strict=True)) == [
        (score, method) for score in ("rfne_mean", "crps") for method in ("cubic", "flex")
    ]
    np.testing.assert_allclose(own["value"], [1.25, 2.5] * 2)
    best = comparisons([*runs("unet"), *runs("flex", scale=0.5)], **FEW)
    assert set(best["reference"]) == {"flex"}


# --- a task that generates the field itself, beside the unchanged one ----------------------------

CONFIG = {
    "methods": ["flex"],
    "splits": {
        name: {"reynolds": [500], "seeds": [seed]}
        for seed, name in enumerate(("train", "validation", "test"))
    },
    "tasks": {
        "x4": {"kind": "superres", "factor": 4, "methods": ["flex"]},
        "x4_field": {"kind": "superres", "factor": 4, "residual": False},
        "x8_field": {"kind": "superres", "factor": 8, "residual": False},
        "x4_wide_field": {"kind": "superres", "factor": 4, "patch": 128, "residual": False},
        "next": {"kind": "forecast"},
        "next_field": {"kind": "forecast", "residual": False},
    },
    "evaluations": {"far": {"reynolds": [4000]}, "rollout": {"leads": 3}},
}


def test_twins_are_alike_but_for_the_residual():
    cases = Config.model_validate(CONFIG).cases
    assert all(isinstance(case, Case) for case in cases.values())
    assert twin_cases(cases.values()) == [
        ("x4_field", "x4"),
        ("next_field", "next"),
        ("x4_field.far", "x4.far"),
        ("next_field.far", "next.far"),
        ("next_field.rollout", "next.rollout"),
    ]


def shifted(frames, *, by):
    return [frame.assign(index=frame["index"] + by) for frame in frames]


def brute_ratio(pair, weights):
    """Ratio of the scores of two arms at weights (R, T) and (R, S), snapshot by snapshot."""
    found = []
    for arm, own in zip(pair, ("method", "reference"), strict=True):
        flows = sorted({(row.reynolds, row.trajectory) for row in arm.itertuples()})
        seeds = sorted(set(arm["training_seed"]))
        means = {
            (seed, flow): np.mean(
                [
                    row.value
                    for row in arm.itertuples()
                    if (row.training_seed, row.reynolds, row.trajectory) == (seed, *flow)
                ]
            )
            for seed in seeds
            for flow in flows
        }
        by_flow, by_seed = weights["trajectories"], weights[own]
        draws = []
        for r in range(max(len(by_flow), len(by_seed))):
            total = above = 0.0
            for s, seed in enumerate(seeds):
                for t, flow in enumerate(flows):
                    weight = by_seed[r % len(by_seed), s] * by_flow[r % len(by_flow), t]
                    total, above = total + weight, above + weight * means[seed, flow]
            draws.append(above / total)
        found.append(np.array(draws))
    return (found[0] / found[1])[None]


def test_a_method_is_compared_with_itself_on_the_unchanged_task():
    """Where both predict, with the same trajectories and each arm's own training seeds."""
    arms = {}
    for case, scale in (("x4_field", 1.4), ("x4", 1.0)):
        frames = runs("flex", scale=scale, seeds=(0, 1, 2), noise=0.2, case=case)
        random = np.random.default_rng(len(case))
        arms[case] = [f.assign(value=f["value"] * np.exp(0.1 * random.normal())) for f in frames]
    # What one arm alone predicts counts nowhere.
    alone = runs("flex", scale=1e6, case="x4")[0]
    arms["x4"][0] = pd.concat([arms["x4"][0], *shifted([alone], by=9)], ignore_index=True)
    formula = [runs("nearest", mode="formula", members=1, case=case)[0] for case in arms]
    frames = [*arms["x4_field"], *arms["x4"], *formula]
    how = {"bootstrap": 40, "confidence": 0.9}
    table = comparisons(frames, twins=[("x4_field", "x4")], **how)
    found = table[table["reference"] == "flex on x4"]
    assert set(found["case"] + " " + found["method"]) == {"x4_field flex"}
    assert list(found["score"]) == 3 * ["rfne_mean"] + 3 * ["crps"]
    assert "nearest on x4" not in set(table["reference"])
    rest = table[table["reference"] != "flex on x4"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, comparisons(frames, **how))

    for reynolds, strata in (("all", (4, 4)), ("500", (4,)), ("1000", (4,))):
        pair = []
        for case in ("x4_field", "x4"):
            rows = pd.concat(arms[case])
            rows = rows[(rows["score"] == "crps") & (rows["index"] < 9)]
            pair.append(rows if reynolds == "all" else rows[rows["reynolds"] == float(reynolds)])
        names = (0, "bootstrap")
        factors = {
            "trajectories": Factor(
                strata=strata, identity=(*names, "trajectories", "x4_field", reynolds)
            ),
            "method": Factor(
                strata=(3,), identity=(*names, "training", "x4_field", "flex", reynolds)
            ),
            "reference": Factor(strata=(3,), identity=(*names, "training", "x4", "flex", reynolds)),
        }
        expected = estimate(
            lambda weights, pair=pair: brute_ratio(pair, weights),
            factors,
            main="trajectories",
            resamples=40,
            confidence=0.9,
            positive=np.array([True]),
        )
        row = found[(found["score"] == "crps") & (found["reynolds"] == reynolds)].iloc[0]
        for name in ("value", "low", "high"):
            assert row[name] == pytest.approx(getattr(expected, name)[0], rel=1e-9), name
        assert row["trajectories"] == sum(strata)


def test_what_twins_share_has_no_width():
    """Trajectories differ by a factor of three, the twins do not: they are paired."""
    frames = [*runs("flex", scale=0.5, case="x4_field"), *runs("flex", case="x4")]
    table = comparisons(frames, twins=[("x4_field", "x4")], **FEW)
    assert set(table["reference"]) == {"flex on x4"}
    np.testing.assert_allclose(table[["value", "low", "high"]], 0.5, rtol=1e-9)
