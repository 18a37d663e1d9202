"""Every known fault of an ensemble is told as what it is, and as nothing else."""

import pytest
from known_ensembles import ensemble_with
from score_rows import CASE, frame_of

from flexbench.config import SuperResolutionSettings
from flexbench.metrics.aggregate import aggregate
from flexbench.metrics.flags import red_flags
from flexbench.metrics.snapshot_scores import score_snapshot

# The flag, and how its message begins.
FAULTS = {
    "too narrow": ("information", "overconfident: "),
    "too wide": ("information", "underconfident: "),
    "biased": (
        "information",
        "biased: the truth lies 1",
    ),
    "flat": ("information", "flat in space: right on average, but errors differ "),
    "elsewhere": ("information", "spread in the wrong places: "),
    "heavy tails": ("information", "heavy tails: "),
    "one copied": ("copied members", "training seed 0: in "),
    "half copied": ("copied members", "training seed 0: in "),
    "one is the truth": ("member is the truth", "training seed 0: in "),
    "collapsed": ("collapsed ensemble", "training seed 0: all members agree at 100.0% of "),
    "not finite": ("not finite", "training seed 0: not finite in "),
}


def flags_of(fault, *, members, flows, scale=None):
    snapshots = [
        (
            500.0,
            flow,
            4,
            score_snapshot(*ensemble_with(fault, members=members, seed=flow, scale=scale), bands=3)[
                0
            ],
        )
        for flow in range(flows)
    ]
    frames = [frame_of("flex", snapshots, members=members)]
    return red_flags(
        aggregate(frames, bootstrap=50, confidence=0.95),
        frames,
        tasks={CASE: SuperResolutionSettings(factor=4)},
        planned={CASE: flows},
        resolutions={},
        matched={},
    )


@pytest.mark.parametrize("flows", [1, 4])
@pytest.mark.parametrize("members", [8, 16])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_as_what_it_is(fault, members, flows):
    table = flags_of(fault, members=members, flows=flows)
    found = list(zip(table["flag"], table["message"], strict=True))
    flag, message = FAULTS[fault]
    assert [(own, told[: len(message)]) for own, told in found] == [(flag, message)], found


@pytest.mark.parametrize("fault", ["too narrow", "too wide", "biased", "flat", "elsewhere"])
def test_so_it_is_where_errors_hang_together(fault):
    table = flags_of(fault, members=8, flows=4, scale=12)
    flag, message = FAULTS[fault]
    assert list(table["flag"]) == [flag]
    assert table["message"].iloc[0].startswith(message[:12])


@pytest.mark.parametrize("flows", [1, 4])
@pytest.mark.parametrize("scale", [None, 12, 3])
@pytest.mark.parametrize("members", [1, 2, 6, 8, 16])
@pytest.mark.parametrize("fault", ["", "even", "levels"])
def test_a_perfect_ensemble_has_no_flag(fault, members, scale, flows):
    table = flags_of(fault, members=members, flows=flows, scale=scale)
    assert table.empty, list(table["message"])


def test_copies_of_the_truth_are_no_members_that_are_the_truth():
    table = flags_of("all are the truth", members=8, flows=2)
    assert set(table["flag"]) == {"copy of the truth", "collapsed ensemble", "not finite"}
    told = table.loc[table["flag"] == "not finite", "message"].iloc[0]
    assert told.endswith("psnr, spread_skill"), "no error: infinite, and 0 over 0"


def test_a_member_that_is_no_number_spoils_all_scores():
    (message,) = flags_of("not finite", members=8, flows=2)["message"]
    assert message == "training seed 0: not finite in 2 of the snapshots: all scores"


def test_what_holds_copies_is_not_judged():
    table = flags_of("half copied", members=8, flows=2)
    (message,) = table["message"]
    assert message == (
        "training seed 0: in 2 of 2 snapshots as many as 4 of 8 members equal another one: they "
        "are no draws of their own, and calibration cannot be judged"
    )
