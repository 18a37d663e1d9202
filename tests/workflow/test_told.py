"""What a whole run shows on a terminal, and what it leaves in its logs."""

import re

import pytest
from terminal import COLUMNS, lines_of

from flexbench.findings.output import read_findings
from flexbench.watch.progress import read_events

MOST_LINES = 40


@pytest.fixture(scope="module")
def told(tiny_run):
    """All that the tiny run wrote to its terminal."""
    return (tiny_run.folder / "told").read_bytes().decode()


@pytest.fixture(scope="module")
def events(tiny_run):
    path = tiny_run.folder / "results" / "smoke" / "logs" / "run.events.jsonl"
    return read_events(path.read_text().splitlines())


def test_few_lines_are_left_and_the_last_name_result_and_report(told, tiny_run):
    lines = lines_of(told, fold=False)
    while not lines[-1]:
        lines.pop()
    assert len(lines_of(told)) <= MOST_LINES
    found = read_findings(tiny_run.folder / "results" / "smoke" / "tables" / "findings.json")
    assert 1 <= len(found.first) <= 3
    assert lines[-len(found.first) - 1 :] == [
        *found.first,
        "All of it: results/smoke/report.html",
    ]
    assert lines[0].startswith("flexbench: tier smoke: ")
    assert lines[0].endswith("what Snakemake says: results/smoke/logs/run.log")
    assert all(line.startswith("flexbench: ") for line in lines[: -len(found.first) - 2])


def test_one_line_tells_how_far_it_is(told, events):
    """Jobs by the names that people give them, and the time that is left; it never wraps."""
    frames = re.findall(r"(?<=\r\x1b\[2K).*?(?=\r)", told)
    lines = [re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", frame) for frame in frames]
    shown = [re.match(r" *(\d+)/(\d+) \S+ ([\d.]+ (?:s|min|h)) left", line) for line in lines]
    shown = [match for match in shown if match]
    assert len(shown) > 100
    assert max(map(len, lines)) <= COLUMNS
    done = [int(match[1]) for match in shown]
    assert done == sorted(done)
    finished = sum(event["event"] == "finished" for event in events)
    assert {int(match[2]) for match in shown} == {finished - 1}  # without the milestone
    assert any("left: training FLEX on Super-resolution ×4" in line for line in lines)


def test_the_log_has_what_snakemake_and_the_jobs_said(tiny_run, told):
    log = (tiny_run.folder / "results" / "smoke" / "logs" / "run.log").read_text()
    assert "Building DAG of jobs" in log
    assert "  train superres_x4 flex seed0: " in log
    assert "Building DAG" not in told
