"""The gate's judgement, what it refuses, what it keeps, and what it prints."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from flexbench.errors import FlexbenchError
from flexbench.regression import output
from flexbench.regression.gate import explain, judge
from flexbench.regression.reference import accept, read_reference
from flexbench.regression.scores import kind_of

from .conftest import COUNTS, NAMES, make_run

HOSTILE = 'a<b>&"c" | \x00 é ]]>\nsecond line'


def status(outcome):
    return {verdict.name: verdict.status for verdict in outcome.verdicts}


def test_another_seed_passes(reference):
    outcome = judge(make_run([100]), reference)
    assert not outcome.failures
    assert set(status(outcome)) == {*NAMES, *COUNTS}


@pytest.mark.parametrize("name", NAMES)
def test_one_worse_score_fails_alone(reference, name):
    outcome = judge(make_run([100], shift={name: 1.3}), reference)
    assert [verdict.name for verdict in outcome.verdicts if verdict.failed] == [name]
    (line,) = outcome.failures
    assert name in line
    assert "above the limit" in line


def test_more_seeds_see_smaller_changes(reference):
    """The mean over m seeds is held against sqrt(1/m + 1/n)."""
    one, many = (judge(make_run(range(100, 100 + m)), reference) for m in (1, 6))
    assert not many.failures
    for a, b in zip(one.verdicts[:6], many.verdicts[:6], strict=True):
        mean, *limits = (kind_of(a.name).forward(it) for it in (a.mean, a.limit, b.limit))
        ratio = (limits[1] - mean) / (limits[0] - mean)
        assert ratio == pytest.approx(((1 / 6 + 1 / 12) / (1 + 1 / 12)) ** 0.5)
    assert "sqrt(1/6 + 1/12)" in output.outcome_text(many)


def test_better_is_told_and_passes(reference):
    outcome = judge(make_run([100], shift={"fc.accuracy": 0.6}), reference)
    assert status(outcome)["fc.accuracy"] == "better"
    assert not outcome.failures
    assert any("flexbench accept" in note for note in outcome.notes)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_may_not_grow_at_all(reference, name):
    outcome = judge(make_run([100], counts=COUNTS | {name: COUNTS[name] + 1}), reference)
    assert status(outcome)[name] == "worse"
    assert name in outcome.failures[0]
    fewer = judge(make_run([100], counts=COUNTS | {name: COUNTS[name] - 1}), reference)
    assert status(fewer)[name] == "better"
    assert not fewer.failures


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_missing_score_fails(reference, value):
    run = make_run([100])
    if value is None:
        del run.seeds[100]["sr.calibration"]
    else:
        run.seeds[100]["sr.calibration"] = value
    outcome = judge(run, reference)
    assert outcome.failures == ["sr.calibration: the run has no finite value"]
    assert "MISSING" in output.outcome_text(outcome)


def test_a_red_flag_fails(reference):
    outcome = judge(make_run([100], flags=["sr flex: not finite: x"]), reference)
    assert outcome.failures == ["red flag: sr flex: not finite: x"]


def test_what_cannot_be_compared_is_refused(reference):
    other = {"train": {"steps": 150}, "size": "XXS", "batch": 4}
    with pytest.raises(FlexbenchError) as error:
        judge(make_run([100], configuration=other), reference)
    assert "train.steps: 300 in the reference, 150 in the run" in str(error.value)
    assert "batch: absent in the reference, 4 in the run" in str(error.value)
    outcome = judge(make_run([100], configuration=other), reference, ignore_configuration=True)
    assert any("train.steps" in note for note in outcome.notes)
    with pytest.raises(FlexbenchError, match="seed 3 is one of the reference's"):
        judge(make_run([3, 100]), reference)
    with pytest.raises(FlexbenchError, match="benchmark version 2, the reference has 1"):
        judge(make_run([100], benchmark_version="2"), reference)


def test_other_code_and_machines_are_told(reference):
    run = make_run([100], code={"train": "x", "sample": "b"}, machine={"torch": "3.0.0"})
    notes = judge(run, reference).notes
    assert "code behind these steps has changed: train" in notes
    assert "torch: 2.13.0 in the reference, 3.0.0 in the run" in notes


# --- the reference --------------------------------------------------------------------------


def test_accept_writes_what_it_reads_and_keeps_the_history(reference, path):
    assert read_reference(path) == reference
    again = accept(make_run(range(20, 30)), path, reason=" a  better\nsampler ")
    assert [change.reason for change in again.history] == ["the first one", "a better sampler"]
    assert list(again.seeds) == list(range(20, 30))
    assert again.history[0] == reference.history[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", again.history[1].date)


@pytest.mark.parametrize(
    ("run", "reason", "message"),
    [
        (make_run(range(7)), "x", "7 training seeds; a reference needs 8"),
        (make_run(range(8)), "  ", "--reason"),
        (make_run(range(8), flags=["sr flex: copy"]), "x", "red flag: sr flex: copy"),
        (make_run(range(8), shift={"sr.time": float("nan")}), "x", "sr.time of training seed 0"),
    ],
)
def test_accept_refuses(reference, path, run, reason, message):
    before = path.read_bytes()
    with pytest.raises(FlexbenchError, match=message):
        accept(run, path, reason=reason)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["gate.json"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda values: "{", "not a reference"),
        (lambda values: json.dumps(values | {"extra": 1}), "extra"),
        (lambda values: json.dumps(values | {"format": "other"}), "format"),
        (lambda values: json.dumps(values | {"history": []}), "history"),
        (lambda values: json.dumps(values | {"seeds": {"0": values["seeds"]["0"]}}), "seeds"),
        (
            lambda values: json.dumps(values | {"seeds": values["seeds"] | {"3": {"a": 1.0}}}),
            "seed 3 does not have the scores",
        ),
    ],
)
def test_a_damaged_reference_is_told_in_one_line(reference, path, edit, message):
    path.write_text(edit(json.loads(path.read_text())))
    with pytest.raises(FlexbenchError, match=message) as error:
        read_reference(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_reference_is_told(path):
    with pytest.raises(FlexbenchError, match="no such reference"):
        read_reference(path)


# --- output ---------------------------------------------------------------------------------


def test_junit_holds_a_case_per_score_and_any_character(reference):
    run = make_run([100], shift={"sr.accuracy": 1.5}, flags=[HOSTILE])
    root = ElementTree.fromstring(output.outcome_junit(judge(run, reference)))
    (suite,) = root
    cases = {case.get("name"): case for case in suite}
    assert set(cases) == {*NAMES, *COUNTS, "red_flags"}
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failed == {"sr.accuracy", "red_flags"}
    assert (suite.get("tests"), suite.get("failures")) == ("11", "2")
    assert cases["red_flags"].findtext("failure") == HOSTILE.replace("\x00", "�")
    assert all(case.get("classname") and case.get("time") for case in cases.values())


def test_markdown_is_one_table_whatever_stands_in_it(reference):
    run = make_run([100], shift={"fc.time": 2.0}, flags=[HOSTILE])
    text = output.outcome_markdown(judge(run, reference))
    assert text.startswith("### Regression gate: regression\n")
    assert "- **fc.time: " in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(NAMES) + len(COUNTS)
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "second line" in next(line for line in text.splitlines() if "red flag: a" in line)


def test_a_comment_begins_with_what_was_found(reference):
    found = ["Forecast: FLEX wins | by far.", "How sure: not at all."]
    text = output.outcome_markdown(judge(make_run([100]), reference), found=found)
    heading, first, second, *rest = [line for line in text.splitlines() if line]
    assert heading.startswith("### Regression gate: ")
    assert [first, second] == ["Forecast: FLEX wins \\| by far.", found[1]]
    assert rest[0].startswith("| score |")


def test_the_plain_table_has_a_line_per_score(reference):
    text = output.outcome_text(judge(make_run([100]), reference))
    for name in (*NAMES, *COUNTS):
        assert re.search(rf"^{re.escape(name)} .* (ok|better)$", text, flags=re.M)
    assert text.endswith("passed")


def test_the_gate_explains_itself(reference):
    told = explain(reference)
    text = output.explanation_text(told)
    assert f"{told.false} of 12 seeds" in text
    assert told.interval[0] <= told.false / 12 <= told.interval[1]
    assert f"{told.interval[1]:.1%}" in text
    for power in told.powers:
        assert power.limit > power.mean > 0
        assert power.name in text
