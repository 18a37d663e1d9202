"""The definitions: complete, in one order, and true of the rows that a snapshot has."""

from typing import get_args

import numpy as np
import pytest

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import (
    DEFINITIONS,
    REGION_SCORES,
    definition_of,
    in_order,
    rows_per_snapshot,
)
from flexbench.metrics.score_types import Definition, Group
from flexbench.metrics.snapshot_scores import score_flow, score_snapshot
from flexbench.metrics.spectral import wavenumber_bands

GRID = 32


def draw(members, *, seed=0):
    """An ensemble that has every score: its spread is far from flat in space."""
    random = np.random.default_rng([seed, members])
    truth = random.normal(size=(GRID, GRID))
    noise = random.normal(size=(members, GRID, GRID)) * np.geomspace(0.3, 3, GRID)
    return truth + noise, truth


def shown(scores):
    return sum(not definition_of(name).helper for name, _ in scores)


@pytest.mark.parametrize("members", [1, 2, 3, 5, 6, 7, 13])
@pytest.mark.parametrize("patch", [0, 16])
@pytest.mark.parametrize("vorticity", [True, False])
def test_rows_of_a_snapshot_are_counted(members, patch, vorticity):
    scores, _ = score_snapshot(*draw(members), bands=3, patch=patch, vorticity=vorticity)
    scored = {"members": members, "bands": 3, "tiled": patch > 0, "vorticity": vorticity}
    assert rows_per_snapshot(**scored) == len(scores)
    assert rows_per_snapshot(**scored, helpers=False) == shown(scores)


@pytest.mark.parametrize("members", [1, 2, 3, 6])
def test_rows_beside_walls_are_counted(members):
    mask = np.zeros((GRID, GRID), np.uint8)
    mask[:3] = 1
    scores = score_flow(*draw(members), mask=mask)
    scored = {"members": members, "bands": 3, "tiled": True, "walls": True}
    assert rows_per_snapshot(**scored) == len(scores)
    assert rows_per_snapshot(**scored, helpers=False) == shown(scores)


def test_a_small_grid_has_fewer_bands_than_asked_for():
    bands = len(wavenumber_bands(16, 30))
    assert bands < 30
    random = np.random.default_rng(0)
    truth = random.normal(size=(16, 16))
    scores, _ = score_snapshot(truth + random.normal(size=(2, 16, 16)), truth, bands=30)
    assert rows_per_snapshot(members=2, bands=bands, tiled=False) == len(scores)


def test_a_score_that_nobody_defined_is_an_error():
    with pytest.raises(FlexbenchError, match=r"score 'own' is not defined; allowed: rfne_mean, "):
        definition_of("own")
    with pytest.raises(FlexbenchError, match="score 'own'"):
        in_order(["rfne_mean", "own"])


def test_there_is_one_order():
    names = list(DEFINITIONS)
    assert in_order(reversed([*names, *names])) == names
    groups = [definition_of(name).group for name in names]
    assert set(groups) == set(get_args(Group))


def test_scores_have_what_they_are_formed_from():
    for name, how in DEFINITIONS.items():
        assert (how.combine is None) == (not how.moments), name
        for moment in how.moments:
            needed = definition_of(moment)
            assert how.members >= needed.members, (name, moment)
            assert how.tiled or not needed.tiled, (name, moment)
            assert how.details in (None, needed.details), (name, moment)
            assert how.square or not needed.square, (name, moment)
            if how.across:
                assert needed.details is not None, (name, moment)
    assert len({how.label for how in DEFINITIONS.values()}) == len(DEFINITIONS)


def test_region_scores_are_those_that_say_so():
    assert {
        *("rfne_mean", "rfne_member", "pearson", "crps"),
        *("pull_mean", "pull_square", "pull_std", "pull_ratio", "pull_iqr_ratio"),
    } == REGION_SCORES


def test_a_new_score_is_its_definition_and_what_computes_it(monkeypatch):
    """Formed from others it needs no more than its definition, up to the rows of a snapshot."""
    own = Definition(
        label="Members over mean",
        group="Accuracy",
        better="lower",
        text="rfne_member over rfne_mean",
        moments=("rfne_member", "rfne_mean"),
        combine=lambda moment, members: moment("rfne_member", 1) / moment("rfne_mean", 1),
    )
    monkeypatch.setitem(DEFINITIONS, "own", own)
    scores, _ = score_snapshot(*draw(4), bands=3)
    assert scores["own", ""] == scores["rfne_member", ""] / scores["rfne_mean", ""]
    assert list(scores)[-1] == ("own", "")
    assert rows_per_snapshot(members=4, bands=3, tiled=False) == len(scores)
