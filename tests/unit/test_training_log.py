"""The log of a training: whole rows only, no row twice."""

import json
import sys

import pytest

from flexbench.training import log
from flexbench.training.log import Narrator, TrainingLog, read_log


def row(step, **more):
    values = {"loss": 1.0 / step, "lr": 0.1, "grad_norm": 2.0, "seconds": 1.5}
    return {"step": step} | values | {"examples_per_second": 8.0} | more


def test_rows_survive_without_closing(tmp_path):
    rows = TrainingLog(tmp_path / "log.jsonl", resumed_step=0)
    rows.append(row(5))
    rows.append(row(10, validation_loss=0.5))
    assert read_log(tmp_path / "log.jsonl") == [row(5), row(10, validation_loss=0.5)]
    assert rows.last_loss == 0.1
    rows.close()


def test_rows_of_steps_that_are_done_again_go(tmp_path):
    path = tmp_path / "log.jsonl"
    with TrainingLog(path, resumed_step=0) as rows:
        for step in (5, 10, 15):
            rows.append(row(step))
    with path.open("a") as file:
        file.write(json.dumps(row(20))[:-9])  # cut off by a kill
    with TrainingLog(path, resumed_step=10) as rows:
        assert rows.last_loss == 0.1
        rows.append(row(15, loss=7.0))
    assert [r["step"] for r in read_log(path)] == [5, 10, 15]
    assert read_log(path)[-1]["loss"] == 7.0


def test_published_copy(tmp_path):
    with TrainingLog(tmp_path / "state" / "log.jsonl", resumed_step=0) as rows:
        rows.append(row(5))
        rows.publish(tmp_path / "log.jsonl")
        rows.append(row(10))
    assert read_log(tmp_path / "log.jsonl") == [row(5)]


def test_no_log_no_rows(tmp_path):
    assert read_log(tmp_path / "log.jsonl") == []


def test_not_a_number_is_refused(tmp_path):
    rows = TrainingLog(tmp_path / "log.jsonl", resumed_step=0)
    with pytest.raises(ValueError, match="JSON"):
        rows.append(row(5, validation_loss=float("nan")))
    rows.close()
    assert read_log(tmp_path / "log.jsonl") == []


def test_sparse_lines_where_nobody_watches(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    with Narrator(steps=100, live=True) as narrator:
        for step in range(1, 101):
            now[0] += 1.0
            narrator.row(row(step))
        narrator.say("[bold]a path[/bold]")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == [
        f"step {step}/100" for step in (1, 31, 61, 91, 100)
    ]
    assert lines[0] == "step 1/100: loss 1, 8.0 examples/s, 2 s, 148 s left"
    assert lines[-1] == "[bold]a path[/bold]"


def test_quiet(capsys):
    with Narrator(steps=2, live=True, quiet=True) as narrator:
        narrator.row(row(2))
        narrator.say("hello")
    assert capsys.readouterr().err == ""


def test_live_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Narrator(steps=40, live=True) as narrator:
        narrator.row(row(20))
        narrator.say("a message")
    shown = capsys.readouterr().err
    assert "20/40" in shown
    assert "loss 0.05" in shown
    assert "8.0 examples/s" in shown
    assert "a message" in shown
