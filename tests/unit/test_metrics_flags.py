"""Every red flag is raised by what it is about, and by nothing else."""

import numpy as np
import pandas as pd
import pytest

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.flag_types import Matched
from flexbench.metrics.flags import harder_pairs, red_flags
from flexbench.metrics.tables import SNAPSHOT_SCORES

TASKS = {
    "x4": SuperResolutionSettings(factor=4),
    "x8": SuperResolutionSettings(factor=8),
}
FLOWS = 3


def frame_of(case, method, *, mode="denoiser", members=8, training_seed=0, **scores):
    rows = []
    for flow in range(FLOWS):
        for score, value in ({"rfne_mean": 0.2, "rfne_member": 0.3, "crps": 0.1} | scores).items():
            run = ("1", "desk", case, method, mode, training_seed)
            place = (f"re500_seed{flow}", 500.0, flow, 4, 0.9, 1)
            rows.append((*run, *place, score, "", value, members, 10, 100.0, 2))
    return pd.DataFrame(rows, columns=list(SNAPSHOT_SCORES.columns))


def flags_of(*frames, planned=FLOWS, resolutions=None, matched=None):
    table = aggregate(frames, bootstrap=50, confidence=0.95)
    return red_flags(
        table,
        frames,
        tasks=TASKS,
        planned=dict.fromkeys(TASKS, planned),
        resolutions=resolutions or {},
        matched=matched or {},
    )


def sound():
    """Scores with nothing wrong."""
    return [
        frame_of("x4", "flex", pull_square=1.6, pull_mean=0.0, pull_ratio=1.0, zero_spread=0.0),
        frame_of("x8", "flex", rfne_mean=0.4, crps=0.2),
        frame_of("x4", "interpolation", mode="formula", rfne_mean=0.3, crps=0.15, members=1),
        frame_of("x8", "interpolation", mode="formula", rfne_mean=0.5, crps=0.3, members=1),
    ]


def the_flag(table):
    assert len(table) == 1
    return table.iloc[0]


@pytest.mark.parametrize(
    ("ratio", "flagged"),
    [(1.0, 0), (0.951, 0), (1.049, 0), (0.94, 1), (1.06, 1), (0.82, 1), (1.18, 1), (2.0, 1)],
)
def test_a_rival_of_another_size_is_told(ratio, flagged):
    matched = {("x4", "flex"): Matched(by="parameters", ratio=ratio)}
    table = flags_of(*sound(), matched=matched)
    assert list(table["flag"]) == ["another size"] * flagged
    assert all(f"{ratio:.2f} times the parameters" in message for message in table["message"])


def test_sound_scores_raise_none():
    table = flags_of(*sound())
    assert list(table.columns) == ["tier", "case", "method", "flag", "message"]
    assert table.empty


def test_worse_than_the_best_formula():
    bad = frame_of("x4", "unet", rfne_mean=0.31)
    flag = the_flag(flags_of(*sound(), bad))
    assert (flag["case"], flag["method"], flag["flag"]) == ("x4", "unet", "worse than formula")
    expected = "rfne_mean: all Re 0.31 > 0.3 (interpolation); Re 500 0.31 > 0.3 (interpolation)"
    assert flag["message"] == expected


def test_worse_than_one_formula_of_two():
    poor = frame_of("x4", "nearest", mode="formula", rfne_mean=0.9, members=1)
    flag = the_flag(flags_of(*sound(), poor, frame_of("x4", "unet", rfne_mean=0.31)))
    assert (flag["method"], flag["flag"]) == ("unet", "worse than formula")


def test_a_worse_crps_is_told_too():
    flag = the_flag(flags_of(*sound(), frame_of("x4", "unet", crps=0.2)))
    assert flag["message"].startswith("crps: all Re 0.2 > 0.15")


def test_a_formula_may_be_worse_than_another():
    poor = frame_of("x4", "nearest", mode="formula", rfne_mean=0.9, members=1)
    assert flags_of(*sound(), poor).empty


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite(value):
    bad = frame_of("x4", "unet")
    bad.loc[0, "value"] = value
    table = flags_of(*sound(), bad)
    flag = the_flag(table[table["flag"] == "not finite"])
    assert flag["method"] == "unet"
    assert flag["message"].endswith("in 1 of the snapshots: rfne_mean")


def test_fewer_snapshots_than_planned():
    table = flags_of(*sound(), planned=4)
    assert set(table["flag"]) == {"missing snapshots"}
    assert set(table["method"] + table["case"]) == {
        *("flexx4", "flexx8", "interpolationx4", "interpolationx8")
    }
    assert table["message"].str.contains("3 of 4 planned snapshots have all scores").all()


def test_a_score_of_fewer_snapshots():
    short = frame_of("x4", "unet", training_seed=2)
    short = short.drop(short.index[short["score"] == "crps"][0])
    flag = the_flag(flags_of(*sound(), short))
    assert flag["message"] == "training seed 2: 2 of 3 planned snapshots have crps"


def test_the_truth_decides_whether_a_band_is_scored():
    short = frame_of("x4", "unet", spectrum_error=0.1)
    short = short.drop(short.index[short["score"] == "spectrum_error"][0])
    assert flags_of(*sound(), short).empty


def test_better_on_the_harder_task():
    frames = sound()
    frames[1] = frame_of("x8", "flex", rfne_mean=0.15, crps=0.2)
    flag = the_flag(flags_of(*frames))
    assert (flag["case"], flag["flag"]) == ("x8", "harder but better")
    assert flag["message"] == "rfne_mean 0.15, below 0.2 on the easier x4"


def test_which_tasks_differ_in_difficulty_alone():
    tasks = {
        "x16": SuperResolutionSettings(factor=16, patch=32, methods=["flex"]),
        "x4": SuperResolutionSettings(factor=4),
        "x8": SuperResolutionSettings(factor=8),
        "x8_strided": SuperResolutionSettings(factor=8, degradation="strided"),
        "late": ForecastSettings(lead=0.5),
        "soon": ForecastSettings(lead=0.1),
        "official": ForecastSettings(lead=0.9, normalisation="official"),
    }
    assert harder_pairs(tasks) == [("x4", "x8"), ("x8", "x16"), ("soon", "late")]
    assert harder_pairs({"a": ForecastSettings(), "b": ForecastSettings()}) == []


def test_a_copy_of_the_truth():
    flag = the_flag(flags_of(*sound(), frame_of("x4", "unet", rfne_member=1e-7)))
    assert flag["flag"] == "copy of the truth"


def test_a_collapsed_ensemble():
    flag = the_flag(flags_of(*sound(), frame_of("x4", "unet", zero_spread=0.25)))
    assert flag["flag"] == "collapsed ensemble"
    assert "at 25.0% of the points" in flag["message"]


@pytest.mark.parametrize(("square", "word"), [(9.0, "overconfident"), (0.5, "underconfident")])
def test_miscalibration_is_information(square, word):
    bad = frame_of("x4", "unet", pull_square=square, pull_mean=0.0, pull_ratio=1.0)
    flag = the_flag(flags_of(*sound(), bad))
    assert flag["flag"] == "information"
    assert flag["message"].startswith(f"{word}: the truth lies ")


def test_tiles_that_show_are_information():
    edges = {"inner_error": 1.0, "seam_ratio": 1.0}
    assert flags_of(*sound(), frame_of("x4", "unet", seam_error=1.05, **edges)).empty
    flag = the_flag(flags_of(*sound(), frame_of("x4", "unet", seam_error=1.2, **edges)))
    assert (flag["method"], flag["flag"]) == ("unet", "information")
    assert flag["message"] == "seam ratio 1.2, above 1.1: tiles show at their edges"


def test_flows_that_the_grid_does_not_resolve_are_told():
    known = {"x4": {"re500_seed0": 1.2, "re4000_seed0": 0.456}, "x8": {"re500_seed0": 1.0}}
    flag = the_flag(flags_of(*sound(), resolutions=known))
    assert (flag["case"], flag["method"], flag["flag"]) == ("x4", "all", "information")
    assert flag["message"].startswith("k_max eta falls below 1 in 1 of 2 trajectories")
    assert "(smallest: 0.46, re4000_seed0)" in flag["message"]
