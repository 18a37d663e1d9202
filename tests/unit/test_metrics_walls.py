"""Scores of flows with walls: which points count, against brute force."""

import math

import numpy as np
import pandas as pd
import pytest

from flexbench.data.samples import Labels, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics.calibration import sigma_ref
from flexbench.metrics.definitions import DEFINITIONS, NEAR_WALL, REGION_SCORES
from flexbench.metrics.score import score_samples
from flexbench.metrics.snapshot_scores import score_flow, score_snapshot
from flexbench.metrics.tables import SPECTRA
from flexbench.metrics.walls import regions

GRID, MEMBERS = 32, 8


def channel():
    """A wall of three rows about y = 0, and an obstacle."""
    mask = np.zeros((GRID, GRID), np.uint8)
    mask[[0, 1, -1]] = 1
    mask[12:15, 29:31] = 1
    return mask


def draw(members=MEMBERS, seed=0):
    random = np.random.default_rng([seed, members])
    truth = (8 * random.normal(size=(GRID, GRID))).astype(np.float32)
    noise = random.normal(size=(members, GRID, GRID)) * np.linspace(0.5, 2, GRID)[:, None]
    return (truth + noise).astype(np.float32), truth


def distances(mask):
    """Distance of each point to the nearest masked one on the periodic square, by brute force."""
    y, x = np.nonzero(mask)
    found = np.empty(mask.shape)
    for i, j in np.ndindex(mask.shape):
        dy, dx = np.abs(y - i), np.abs(x - j)
        found[i, j] = np.hypot(np.minimum(dy, GRID - dy), np.minimum(dx, GRID - dx)).min()
    return found


@pytest.mark.parametrize("mask", [channel(), np.roll(channel(), (7, 20), axis=(0, 1))])
def test_regions_against_brute_force(mask):
    near = distances(mask) < NEAR_WALL * GRID
    found = regions(mask)
    np.testing.assert_array_equal(found[""], mask == 0)
    np.testing.assert_array_equal(found["near"], near & (mask == 0))
    np.testing.assert_array_equal(found["away"], ~near)


def test_regions_that_are_empty_are_absent():
    assert list(regions(np.zeros((GRID, GRID), np.uint8))) == [""]
    narrow = np.ones((GRID, GRID), np.uint8)
    narrow[4] = 0
    assert list(regions(narrow)) == ["", "near"]
    with pytest.raises(FlexbenchError, match="no point of the flow"):
        regions(np.ones((GRID, GRID), np.uint8))


def test_scores_against_brute_force():
    ensemble, truth = draw()
    mask = channel()
    scores = score_flow(ensemble, truth, mask=mask)
    distance = distances(mask)
    where = {
        "": mask == 0,
        "near": (mask == 0) & (distance < GRID / 16),
        "away": distance >= GRID / 16,
    }
    for detail, points in where.items():
        x, y = ensemble[:, points].astype(float), truth[points].astype(float)
        mean, std = x.mean(axis=0), x.std(axis=0, ddof=1)
        expected = {
            "rfne_mean": np.linalg.norm(mean - y) / np.linalg.norm(y),
            "rfne_member": np.mean([np.linalg.norm(m - y) / np.linalg.norm(y) for m in x]),
            "pearson": np.corrcoef(mean, y)[0, 1],
            "crps": np.abs(x - y).mean()
            - np.abs(x[:, None] - x[None]).sum() / (2 * MEMBERS * (MEMBERS - 1) * len(y)),
            "pull_ratio": ((y - mean) / std).std() / sigma_ref(MEMBERS),
        }
        for name, value in expected.items():
            assert scores[name, detail] == pytest.approx(value, rel=1e-6), (name, detail)
    fluid = where[""]
    spread = np.sqrt(ensemble[:, fluid].astype(float).var(axis=0, ddof=1).mean())
    skill = np.sqrt(np.mean((ensemble[:, fluid].mean(axis=0) - truth[fluid]) ** 2))
    assert scores["spread_skill", ""] == pytest.approx(math.sqrt(9 / 8) * spread / skill, rel=1e-5)


def test_what_lies_outside_the_flow_counts_nowhere():
    ensemble, truth = draw()
    mask = channel()
    scores = score_flow(ensemble, truth, mask=mask)
    ensemble[:, mask == 1], truth[mask == 1] = np.nan, 1e9
    assert score_flow(ensemble, truth, mask=mask) == scores
    ensemble[0, 16, 16] = np.nan
    assert all(math.isnan(value) for value in score_flow(ensemble, truth, mask=mask).values())


@pytest.mark.parametrize("members", [1, 2, 6])
def test_which_scores_there_are(members):
    """Those of the whole square but the spectral ones, equal to them where nothing is masked."""
    ensemble, truth = draw(members)
    scores = score_flow(ensemble, truth, mask=np.zeros((GRID, GRID), np.uint8))
    whole, _ = score_snapshot(ensemble, truth, bands=4)
    left_out = {name for name, how in DEFINITIONS.items() if how.square}
    expected = {
        (name, detail)
        for name, detail in whole
        if name not in left_out and not detail.startswith("k=")
    }
    assert set(scores) == expected
    for key, value in scores.items():
        assert value == pytest.approx(whole[key], rel=1e-12, nan_ok=True)
    detailed = score_flow(ensemble, truth, mask=channel())
    near = {name for name, detail in detailed if detail == "near"}
    assert near == REGION_SCORES & {name for name, _ in whole}
    assert list(dict.fromkeys(name for name, _ in detailed)) == [
        name for name in DEFINITIONS if name in {name for name, _ in detailed}
    ]


def test_files_with_walls_are_scored_over_the_flow(tmp_path):
    ensemble, truth = draw()
    write_trajectory(
        tmp_path / "no_slip_re500_seed1.h5",
        [truth],
        time=np.array([0.5]),
        grid=GRID,
        reynolds=500.0,
        seed=1,
        attributes={},
        boundary="no_slip",
        mask=channel(),
    )
    name = "no_slip_re500_seed1"
    labels = Labels(
        case="x", method="m", mode="denoiser", training_seed=0, sampler="ddim", steps=2,
        parameters=1, flops=1.0, calls=2,
    )  # fmt: skip
    snapshot = Snapshot(trajectory=name, reynolds=500.0, seed=1, index=0, time=0.5)
    write_samples(
        tmp_path / "s.h5",
        iter([ensemble[:, None]]),
        shape=(MEMBERS, 1, GRID, GRID),
        snapshots=[snapshot],
        labels=labels,
    )
    scored = score_samples(
        tmp_path / "s.h5", {name: tmp_path / f"{name}.h5"}, case="x", tier="smoke", bands=4
    )
    found = {(s, d): v for s, d, v in scored.scores[["score", "detail", "value"]].to_numpy()}
    assert found == score_flow(ensemble, truth, mask=channel())
    assert isinstance(scored.spectra, pd.DataFrame)
    assert list(scored.spectra.columns) == list(SPECTRA.columns)
    assert scored.spectra.empty
