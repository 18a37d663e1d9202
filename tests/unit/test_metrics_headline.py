"""The headline: a few pooled numbers of each method, nested, and valid JSON whatever they are."""

import json
import math

import pandas as pd

from flexbench.metrics.headline import headline, headline_json


def scores(*rows):
    columns = ("case", "method", "reynolds", "score", "detail", "value")
    return pd.DataFrame(rows, columns=columns)


TABLE = scores(
    ("sr", "flex", "all", "crps", "", 0.5),
    ("sr", "flex", "100", "crps", "", 0.9),
    ("sr", "flex", "all", "coverage", "0.5", 0.4),
    ("sr", "flex", "all", "rfne_mean", "", 0.25),
    ("sr", "flex", "all", "psnr", "", 30.0),
    ("sr", "flex", "all", "spread_skill", "k=1-4", 0.7),
    ("sr", "persistence", "all", "rfne_mean", "", 1.5),
    ("forecast", "flex", "all", "pull_ratio", "", math.nan),
    ("forecast", "flex", "all", "rfne_mean", "", 0.1),
)


def test_pooled_scores_by_case_and_method():
    assert headline(TABLE) == {
        "sr": {"flex": {"rfne_mean": 0.25, "crps": 0.5}, "persistence": {"rfne_mean": 1.5}},
        "forecast": {"flex": {"rfne_mean": 0.1}},
    }


def test_the_text_is_strict_json():
    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(headline_json(TABLE), parse_constant=refuse) == headline(TABLE)
