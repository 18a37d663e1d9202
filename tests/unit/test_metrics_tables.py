"""Tables are read as they were written, and what is none is refused in one line."""

import math

import numpy as np
import pandas as pd
import pytest

from flexbench import paths
from flexbench.errors import FlexbenchError
from flexbench.metrics.tables import MATRIX, RED_FLAGS, SCORES, SNAPSHOT_SCORES, SPECTRA, TABLES

ALL_TABLES = TABLES | {"snapshot scores": SNAPSHOT_SCORES, "spectra": SPECTRA}
HOSTILE = ["007", "none", "NA", "null", "1e3", "", 'a "quoted", word', "all"]


def test_the_tables_are_those_of_the_layout():
    assert tuple(TABLES) == paths.TABLES


@pytest.mark.parametrize("name", ALL_TABLES)
def test_what_is_written_is_read(name, tmp_path):
    table, random = ALL_TABLES[name], np.random.default_rng(0)
    numbers = [*random.normal(size=6) * 10.0 ** np.arange(-160, 200, 60), math.nan, math.inf]
    frame = table.of(
        {column: text if column in table.text else number for column in table.columns}
        for text, number in zip(HOSTILE, numbers, strict=True)
    )
    if "score" in frame:
        frame["score"] = "crps"
    path = tmp_path / "table.csv"
    path.write_text(frame.assign(more=1).to_csv(index=False))
    read = table.read(path)
    assert tuple(read.columns) == table.columns
    for column in table.columns:
        if column in table.text:
            assert read[column].to_list() == frame[column].to_list()
        else:
            np.testing.assert_allclose(read[column], frame[column], rtol=1e-14)
    table.of([]).to_csv(path, index=False)
    assert table.read(path).empty


def test_reynolds_numbers_are_names_where_all_of_them_have_one():
    assert "reynolds" in SCORES.text
    assert "reynolds" in MATRIX.text
    assert "reynolds" not in SNAPSHOT_SCORES.text
    assert "reynolds" not in SPECTRA.text


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "red_flags.csv"
    with pytest.raises(FlexbenchError, match=r"red_flags\.csv: no such table; run `flexbench tab"):
        RED_FLAGS.read(path)
    path.write_text("tier,case,flag,message\n")
    with pytest.raises(FlexbenchError, match=r"column 'method' is missing; found tier, case, flag"):
        RED_FLAGS.read(path)
    path.write_text("")
    with pytest.raises(FlexbenchError, match=r"red_flags\.csv: not a readable CSV"):
        RED_FLAGS.read(path)
    path.write_bytes(b"tier,case,method,flag,message\n\xff,,,,\n")
    with pytest.raises(FlexbenchError, match=r"red_flags\.csv: not a readable CSV"):
        RED_FLAGS.read(path)


def test_a_score_that_nobody_defined_is_named_with_its_file(tmp_path):
    path = tmp_path / "seed0.csv"
    rows = SNAPSHOT_SCORES.of([{"score": "crps"}, {"score": "own"}])
    rows.to_csv(path, index=False)
    with pytest.raises(FlexbenchError, match=r"seed0\.csv: score 'own' is not defined; allowed"):
        SNAPSHOT_SCORES.read(path)


def test_rows_may_hold_more_than_the_table():
    frame = RED_FLAGS.of([{"tier": "desk", "case": "x4", "score": "crps"}])
    assert tuple(frame.columns) == RED_FLAGS.columns
    assert pd.isna(frame["method"].iloc[0])
