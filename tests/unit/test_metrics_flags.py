"""Every red flag is raised by what it is about, and by nothing else."""

import numpy as np
import pandas as pd
import pytest

from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.flag_types import Matched
from flexbench.metrics.flags import find_flags, harder_pairs
from flexbench.metrics.tables import RED_FLAGS, SNAPSHOT_SCORES

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


def found_in(*frames, planned=FLOWS, resolutions=None, matched=None, **more):
    return find_flags(
        aggregate(frames, bootstrap=50, confidence=0.95),
        frames,
        tasks=TASKS,
        planned=dict.fromkeys((*TASKS, "x4.rollout"), planned),
        resolutions=resolutions or {},
        matched=matched or {},
        bootstrap=50,
        **more,
    )


def flags_of(*frames, **more):
    return RED_FLAGS.of(flag.row for flag in found_in(*frames, **more))


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
    expected = (
        "rfne_mean, all Re: worse than interpolation (1.033 times its, 95% interval 1.03 to 1.03)"
    )
    assert flag["message"] == expected


def test_worse_than_one_formula_of_two():
    poor = frame_of("x4", "nearest", mode="formula", rfne_mean=0.9, crps=0.9, members=1)
    flag = the_flag(flags_of(*sound(), poor, frame_of("x4", "unet", rfne_mean=0.31)))
    assert (flag["method"], flag["flag"]) == ("unet", "worse than formula")


def test_a_worse_crps_is_told_too():
    flag = the_flag(flags_of(*sound(), frame_of("x4", "unet", crps=0.2)))
    assert flag["message"].startswith("crps, all Re: worse than interpolation (1.333 times")


def with_values(frame, score, values):
    """The frame with values of its own for a score, trajectory by trajectory."""
    frame = frame.copy()
    frame.loc[frame["score"] == score, "value"] = values
    return frame


def test_a_tie_with_a_formula_is_a_note():
    """Worse in the mean, and by an interval that holds 1."""
    tied = with_values(frame_of("x4", "unet"), "rfne_mean", (0.35, 0.26, 0.31))
    (flag,) = found_in(*sound(), tied)
    assert (flag.kind, flag.is_defect, flag.against) == (
        "no better than formula", False, "interpolation",
    )  # fmt: skip
    assert flag.low < 1 < flag.value < flag.high
    assert flag.row["flag"] == "information"


def test_two_trajectories_make_a_method_no_worse():
    """Without an interval nothing is a defect."""
    frames = [frame[frame["seed"] < 2] for frame in [*sound(), frame_of("x4", "unet", crps=0.3)]]
    (flag,) = found_in(*frames, planned=2)
    assert (flag.kind, flag.score) == ("no better than formula", "crps")
    assert "without an interval: too few trajectories" in flag.message


def at_other_re(frame, **scores):
    """The frame, and beside it the same flows at Re 900 with other scores."""
    own = frame.assign(reynolds=900.0, trajectory=frame["trajectory"] + "b")
    for score, value in scores.items():
        own.loc[own["score"] == score, "value"] = value
    return pd.concat([frame, own], ignore_index=True)


def test_a_re_is_told_of_where_it_is_worse_off_than_all():
    frames = [at_other_re(frame) for frame in sound()]
    (flag,) = found_in(*frames, at_other_re(frame_of("x4", "unet"), rfne_mean=0.33), planned=6)
    assert (flag.kind, flag.reynolds, flag.score) == ("worse than formula", "900", "rfne_mean")
    assert flag.value == pytest.approx(1.1)
    assert found_in(*frames, at_other_re(frame_of("x4", "unet")), planned=6) == []


def in_bands(frame, **values):
    """The frame with errors of the spectrum in bands "low" and "high"."""
    first = frame[frame["score"] == "crps"]
    bands = [
        first.assign(score="spectrum_error", detail=band, value=value)
        for band, value in values.items()
    ]
    return pd.concat([frame, *bands], ignore_index=True)


def test_worse_than_a_formula_in_a_band():
    flex, harder, formula, other = sound()
    formula = in_bands(formula, low=0.1, high=0.9)
    (flag,) = found_in(in_bands(flex, low=0.3, high=0.4), harder, formula, other)
    assert (flag.kind, flag.detail, flag.against) == ("worse in a band", "low", "interpolation")
    assert (flag.value, flag.low, flag.is_defect) == (pytest.approx(3), pytest.approx(3), False)


@pytest.mark.parametrize("low", [0.05, (0.3, 0.02, 0.1)], ids=["better", "within the noise"])
def test_no_worse_in_a_band(low):
    flex, harder, formula, other = sound()
    formula = in_bands(formula, low=0.1, high=0.9)
    assert found_in(in_bands(flex, low=low, high=0.4), harder, formula, other) == []


def test_a_spectrum_that_is_right_to_a_percent_is_right_enough():
    flex, harder, formula, other = sound()
    frames = (in_bands(flex, low=0.009), harder, in_bands(formula, low=0.001), other)
    assert found_in(*frames) == []


def rollout_of(method, *, mode="denoiser", **errors):
    """Two leads; errors: of the energy of each, over trajectories."""
    frames = []
    for lead, values in zip((1, 2), errors.values(), strict=True):
        frame = frame_of("x4.rollout", method, mode=mode, energy_error=0.0)
        frames.append(with_values(frame, "energy_error", values).assign(lead=lead))
    return pd.concat(frames, ignore_index=True)


START = {"one": 0.05, "two": (0.1, 0.11, 0.12)}


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ((0.2, 0.21, 0.23), "energy grows"),
        ((0.05, 0.07, 0.06), "energy above the truth"),
        ((0.05, -0.02, 0.03), None),
        ((-0.2, -0.21, -0.23), None),
    ],
)
def test_a_rollout_gains_energy(last, kind):
    """The start has a tenth more than the truth is left with; one lead is none of a rollout."""
    start = rollout_of("persistence", mode="formula", **START)
    frames = [rollout_of("unet", one=0.5, two=last), start]
    found = found_in(*frames, planned=6)
    assert [flag.kind for flag in found] == [kind] * bool(kind)
    assert found_in(*frames, planned=6, decaying=False) == []
    for flag in found:
        assert (flag.is_defect, flag.detail) == (kind == "energy grows", "after 2 steps")
        assert flag.value == pytest.approx(np.mean(last))


def test_without_persistence_nobody_knows_the_energy_of_the_start():
    (flag,) = found_in(rollout_of("unet", one=0.5, two=(0.2, 0.21, 0.23)), planned=6)
    assert flag.kind == "energy above the truth"


def test_a_formula_may_gain_energy():
    start = rollout_of("persistence", mode="formula", **START)
    grown = rollout_of("extrapolation", mode="formula", one=0.5, two=0.9)
    assert found_in(start, grown, planned=6) == []


def test_a_formula_may_be_worse_than_another():
    poor = frame_of("x4", "nearest", mode="formula", rfne_mean=0.9, crps=0.9, members=1)
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
    assert flag["message"] == (
        "rfne_mean is 0.75 times that on the easier x4, 95% interval 0.75 to 0.75"
    )


def test_as_good_on_the_harder_task_by_chance():
    frames = sound()
    frames[1] = with_values(frames[1], "rfne_mean", (0.1, 0.25, 0.19))
    assert flags_of(*frames).empty


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


def test_tiles_that_show_by_chance_are_not_told():
    edges = frame_of("x4", "unet", inner_error=1.0, seam_ratio=1.0, seam_error=1.0)
    assert flags_of(*sound(), with_values(edges, "seam_error", (1.9, 0.5, 1.1))).empty


def test_flows_that_the_grid_does_not_resolve_are_told():
    known = {"x4": {"re500_seed0": 1.2, "re4000_seed0": 0.456}, "x8": {"re500_seed0": 1.0}}
    flag = the_flag(flags_of(*sound(), resolutions=known))
    assert (flag["case"], flag["method"], flag["flag"]) == ("x4", "all", "information")
    assert flag["message"].startswith("k_max eta falls below 1 in 1 of 2 trajectories")
    assert "(smallest: 0.46, re4000_seed0)" in flag["message"]
