"""The matrix of flows unlike those of training, from a table of scores."""

import numpy as np
import pandas as pd
import pytest

from flexbench.config.reading import load_config
from flexbench.metrics.matrix import matrix
from flexbench.metrics.tables import MATRIX

CONFIG = load_config({"tier": "smoke"})
NAMES = ("unseen_re", "velocity_v", "free_slip")
CASES = [
    CONFIG.cases[name]
    for name in ("superres_x4", "forecast", *(f"forecast.{evaluation}" for evaluation in NAMES))
]


def row(case, reynolds, value, *, method="flex", score="rfne_mean", detail=""):
    interval = {"low": value - 0.03, "high": value + 0.07, "trajectories": 2}
    names = {"case": case, "method": method, "reynolds": reynolds, "score": score}
    names["mark"] = "reproduced"
    return names | {"detail": detail, "value": value} | interval


SCORES = pd.DataFrame(
    [
        row("superres_x4", "100", 7.0),
        row("forecast", "all", 9.0),
        row("forecast", "100", 0.1),
        row("forecast", "200", 0.3),
        row("forecast", "200", 0.7, detail="near"),
        row("forecast", "200", 0.9, score="pearson"),
        row("forecast", "200", 0.8, score="skill"),
        row("forecast", "200", 0.5, method="unet"),
        row("forecast.unseen_re", "50", 0.4),
        row("forecast.unseen_re", "200", 0.9),  # as in training, but not of the test split
        row("forecast.velocity_v", "100", 0.45),
        row("forecast.free_slip", "100", 0.5),
        row("forecast.free_slip", "100", 0.6, method="persistence"),
        row("forecast.rollout", "100", 5.0),
    ]
)


@pytest.fixture
def table():
    return matrix(SCORES, cases=CASES, trained=[100, 200])


def test_every_flow_has_its_row(table):
    assert tuple(table.columns) == MATRIX.columns
    assert set(table["score"]) == {"rfne_mean", "pearson"}
    found = table[table["score"] == "rfne_mean"]
    places = found[["case", "boundary", "observable", "reynolds", "method"]]
    assert list(map(tuple, places.itertuples(index=False))) == [
        ("superres_x4", "periodic", "w", "100", "flex"),
        ("forecast", "periodic", "w", "100", "flex"),
        ("forecast", "periodic", "w", "200", "flex"),
        ("forecast", "periodic", "w", "200", "unet"),
        ("forecast.unseen_re", "periodic", "w", "50", "flex"),
        ("forecast.unseen_re", "periodic", "w", "200", "flex"),
        ("forecast.velocity_v", "periodic", "v", "100", "flex"),
        ("forecast.free_slip", "free_slip", "w", "100", "flex"),
        ("forecast.free_slip", "free_slip", "w", "100", "persistence"),
    ]
    assert list(found["task"]) == ["superres_x4", *8 * ["forecast"]]
    assert list(found["in_distribution"]) == [*4 * [True], False, True, *3 * [False]]


def test_values_and_intervals_are_those_of_the_scores(table):
    for own in table.to_dict("records"):
        same = SCORES[["case", "reynolds", "method", "score"]] == [
            own[name] for name in ("case", "reynolds", "method", "score")
        ]
        (wanted,) = SCORES[same.all(axis=1) & (SCORES["detail"] == "")].to_dict("records")
        for name in ("value", "low", "high", "trajectories"):
            assert own[name] == wanted[name]


def test_the_reference_is_the_method_itself_at_the_same_reynolds_number(table):
    own = table[table["task"] == "forecast"]
    flex = own[(own["method"] == "flex") & (own["score"] == "rfne_mean")]
    known = {"100": 0.1, "200": 0.3, "all": 0.2}
    assert flex["reference_reynolds"].tolist() == ["100", "200", "all", "200", "100", "100"]
    np.testing.assert_allclose(
        flex["to_reference"], flex["value"] / flex["reference_reynolds"].map(known)
    )
    for method, score in (("unet", "rfne_mean"), ("flex", "pearson")):
        alone = own[(own["method"] == method) & (own["score"] == score)]
        assert alone["to_reference"].tolist() == [1.0]
    formula = own[own["method"] == "persistence"]
    assert formula[["to_reference", "reference_reynolds"]].isna().all(axis=None)
    assert table[table["task"] == "superres_x4"]["to_reference"].tolist() == [1.0]


def test_which_evaluations_are_shifted():
    shifted = {name for name, case in CONFIG.cases.items() if case.is_shifted}
    kinds = {name.partition(".")[2] for name in shifted}
    assert kinds == {"unseen_re", "velocity_u", "velocity_v", "free_slip", "no_slip"}
