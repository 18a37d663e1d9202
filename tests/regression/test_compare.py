"""Two runs side by side, from folders or from tables alone."""

import json
import re

import pytest

from flexbench.config.reading import load_config, to_yaml
from flexbench.errors import FlexbenchError
from flexbench.metrics.tables import SCORES
from flexbench.paths import Layout, receipt_of
from flexbench.regression.compare import compare_sides, read_side
from flexbench.regression.output import markdown_table, plain_table


def make_results(root, methods, *, overrides=None, code="a"):
    """A results folder with a table of scores and what receipts say of the code."""
    layout = Layout(root, "gate")
    rows = [
        {"case": "forecast", "method": method, "reynolds": reynolds, "score": score}
        | {"detail": detail, "value": value, "low": value - 0.1, "high": value + 0.1}
        for method, value in methods.items()
        for reynolds in ("all", "100")
        for score, detail in (("rfne_mean", ""), ("spread", "k=1-2"))
    ]
    layout.table("scores").parent.mkdir(parents=True)
    SCORES.of(rows).to_csv(layout.table("scores"), index=False)
    layout.config.write_text(to_yaml(load_config({"tier": "gate"} | (overrides or {}))))
    receipt = {key: {} for key in ("outputs", "inputs", "slice", "facts", "versions")}
    receipt |= {"code_digest": code}
    receipt_of(layout.table("scores")).write_text(json.dumps(receipt))
    return layout.folder


def told(one, other, **options):
    return compare_sides(read_side(one), read_side(other), write=plain_table, **options)


def test_scores_stand_side_by_side(tmp_path):
    one = make_results(tmp_path / "a", {"flex": 0.5, "unet": 0.6})
    other = make_results(tmp_path / "b", {"flex": 0.8, "fno": 0.7})
    text = told(one, other)
    row = r"^forecast flex rfne_mean +0\.5 \[0\.4, 0\.6\] +0\.8 \[0\.7, 0\.9\] +1\.600 +APART$"
    assert len(re.findall(row, text, flags=re.M)) == 1
    assert "only in A: forecast unet" in text
    assert "only in B: forecast fno" in text
    assert "configuration: the same" in text
    assert "code: the same" in text
    assert "spread" not in text
    assert "forecast flex spread k=1-2" in told(one, other, everything=True)


def test_what_differs_is_told(tmp_path):
    one = make_results(tmp_path / "a", {"flex": 0.5})
    changed = {"train": {"steps": 7}, "training_seeds": [5]}
    other = make_results(tmp_path / "b", {"flex": 0.5}, overrides=changed, code="b")
    text = told(one, other)
    assert "configuration: train.steps: 300 | 7" in text
    assert "configuration: training_seeds: [100] | [5]" in text
    assert "code: differs in tabulate flex" in text
    assert " overlap" in text


def test_tables_alone_and_markdown(tmp_path):
    one = make_results(tmp_path / "a", {"flex": 0.5})
    table = make_results(tmp_path / "b", {"flex": 0.5}) / "tables" / "scores.csv"
    text = compare_sides(read_side(one), read_side(table), write=markdown_table)
    assert "| forecast flex rfne_mean | 0.5 [0.4, 0.6] |" in text
    assert "not known of a table alone" in text


def test_runs_with_nothing_in_common(tmp_path):
    one = make_results(tmp_path / "a", {"flex": 0.5})
    other = make_results(tmp_path / "b", {"fno": 0.5})
    assert "share no case, method and score" in told(one, other)


def test_no_results_are_told(tmp_path):
    with pytest.raises(FlexbenchError, match="no such table of scores"):
        read_side(tmp_path)
    (tmp_path / "scores.csv").write_text("case,method\n")
    with pytest.raises(FlexbenchError, match="column 'benchmark_version' is missing"):
        read_side(tmp_path / "scores.csv")
