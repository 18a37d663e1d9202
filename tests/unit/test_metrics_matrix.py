"""The matrix of flows unlike those of training, from a table of scores."""

import numpy as np
import pandas as pd
import pytest

from flexbench.metrics.matrix import MATRIX_COLUMNS, matrix
from flexbench.tiers import load_config

CONFIG = load_config({"tier": "smoke"})
CASES = [CONFIG.cases[name] for name in ("forecast", "forecast.unseen_re", "forecast.free_slip")]


def row(task, reynolds, value, *, method="flex", score="rfne_mean", detail=""):
    interval = {"low": value / 2, "high": 2 * value, "trajectories": 2}
    names = {"task": task, "method": method, "reynolds": reynolds, "score": score}
    return names | {"detail": detail, "value": value} | interval


SCORES = pd.DataFrame(
    [
        row("forecast", "all", 9.0),
        row("forecast", "100", 0.1),
        row("forecast", "200", 0.3),
        row("forecast", "200", 0.7, detail="near"),
        row("forecast", "200", 0.9, score="pearson"),
        row("forecast.unseen_re", "50", 0.4),
        row("forecast.free_slip", "100", 0.5),
        row("forecast.free_slip", "100", 0.6, method="persistence"),
        row("forecast.rollout", "100", 5.0),
    ]
)


@pytest.fixture
def table():
    return matrix(SCORES, cases=CASES, trained=[100, 200])


def test_every_flow_has_its_row(table):
    assert tuple(table.columns) == MATRIX_COLUMNS
    assert set(table["task"]) == {"forecast"}
    found = table[table["score"] == "rfne_mean"]
    places = found[["boundary", "observable", "reynolds", "method"]].itertuples(index=False)
    assert list(map(tuple, places)) == [
        ("periodic", "w", "100", "flex"),
        ("periodic", "w", "200", "flex"),
        ("periodic", "w", "50", "flex"),
        ("free_slip", "w", "100", "flex"),
        ("free_slip", "w", "100", "persistence"),
    ]
    assert list(found["in_distribution"]) == [True, True, False, False, False]


def test_the_reference_is_the_methods_own_mean_in_distribution(table):
    own = table[(table["method"] == "flex") & (table["score"] == "rfne_mean")]
    np.testing.assert_allclose(own["to_reference"], np.array([0.1, 0.3, 0.4, 0.5]) / 0.2)
    assert table[table["method"] == "persistence"]["to_reference"].isna().all()


def test_which_evaluations_are_shifted():
    shifted = {name for name, case in CONFIG.cases.items() if case.is_shifted}
    kinds = {name.partition(".")[2] for name in shifted}
    assert kinds == {"unseen_re", "velocity_u", "velocity_v", "free_slip", "no_slip"}
