"""Of what `test_drill` does by night, for every change: a defect in the samples of a real run."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flexbench.paths import Layout
from flexbench.regression.reference import accept
from flexbench.regression.scores import read_run

from .conftest import failed_cases, scale_spread

SAMPLES = Path("smoke/samples/superres_x4/flex/seed0.h5")


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "root")


@pytest.fixture
def against(root, tmp_path):
    """A reference of eight seeds, as good as the tiny run to within 2 %."""
    run = read_run(Layout(root, "smoke"))
    (scores,) = run.seeds.values()
    noise = np.random.default_rng(0).normal(0, 0.02, 9)
    seeds = {
        seed: {name: value * math.exp(noise[seed]) for name, value in scores.items()}
        for seed in range(1, 9)
    }
    accept(replace(run, seeds=seeds, flags=[]), tmp_path / "reference.json", reason="the first")
    return tmp_path / "reference.json"


def test_another_spread_fails_on_calibration_alone(root, against, made, tmp_path, entry, tiny_run):
    def regress():
        junit, where = tmp_path / "gate.xml", ("--tier", "smoke", "--set", f"root={root}")
        code, *_ = entry("regress", "--against", against, "--junit", junit, *where)
        return code, set(failed_cases(junit))

    # Hardly trained, so there may be red flags; they fail on their own.
    before = regress()[1]
    assert before <= {"red_flags"}
    scores = pd.read_csv(root / "smoke" / "tables" / "scores.csv")
    whole = (scores["score"] == "spread_skill") & scores["detail"].isna()
    (ratio,) = scores.loc[whole & (scores["method"] == "flex"), "value"].unique()
    scale_spread(made / SAMPLES, root / SAMPLES, 0.5 if ratio < 1 else 2.0)
    for words in (("score", "superres_x4", "flex"), ("tabulate",)):
        assert entry(*words, *tiny_run.tiny(root))[0] == 0
    code, failed = regress()
    assert code == 1
    assert failed - before == {"superres_x4.calibration"}
