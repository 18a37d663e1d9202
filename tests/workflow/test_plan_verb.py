"""`flexbench plan` against Snakemake and against a run that was really made."""

import json
import resource

import numpy as np
import pytest
from finished_run import disk_of, measure_run

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.machine import probe
from flexbench.machine.measure import measure
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import Slots, all_seconds, forecast
from flexbench.planning.rates import load_measurement, save_measurement


def test_a_plan_of_paper_takes_seconds(shared_clone, tmp_path):
    """Six seconds on an idle machine. Other tests run beside this one, so it counts the processor's
    time, of Snakemake and of the plan, which work at the same time. Sharing a core makes that up to
    three times as long; counting every network anew would make it half a minute at the least.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = shared_clone.flexbench(
        "plan",
        "--tier",
        "paper",
        "--jobs",
        "16",
        "--set",
        f"root={tmp_path}",
        "--json",
        "--set",
        "cluster.train.minutes=600",
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["everything"]["jobs"] == 1032
    assert {one["job"] for one in found["stale"]} == set(
        planned_jobs(Graph.of(load_config({"tier": "paper"})))
    )
    assert found["everything"]["rules"]["train"]["gpu_hours"] > 1000
    assert found["everything"]["disk"]["data"] > 1e12
    assert found["everything"]["chain"][0].startswith("simulate")
    assert found["everything"]["chain"][-1] == "report"
    assert any("retries" in text for text in found["warnings"]), (
        "ten hours are not enough for flex-l"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["sizes.json"], "all that a plan writes"
    assert seconds < 25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cores", "2", "--jobs", "3"], "--cores and --jobs: give one of them"),
        (["--profile", "nowhere"], "--profile nowhere: no such profile"),
        (["--set", "train.stepz=3"], "did you mean 'steps'"),
    ],
)
def test_wrong_options_are_told_in_a_line(shared_clone, tmp_path, arguments, message):
    done = shared_clone.flexbench(
        "plan", "--tier", "smoke", "--set", f"root={tmp_path}", *arguments
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# --- beside a run that was really made -------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    return tiny_run.copy(tmp_path_factory.mktemp("planned") / "clone")


@pytest.fixture
def graph(finished, tiny_graph):
    return tiny_graph(finished.folder / "results")


def plan(clone, *settings, options=()):
    done = clone.flexbench("plan", *options, *clone.tiny("results", *settings))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_left_to_do(finished):
    found = json.loads(plan(finished, options=["--json"]))
    assert found["stale"] == []
    assert found["left"]["jobs"] == 0
    assert found["left"]["seconds"] == 0


def test_changed_settings_edited_code_and_lost_files_are_named(finished, graph):
    source = finished.folder / "flexbench" / "metrics" / "pointwise.py"
    text, lost = source.read_text(), graph.layout.report
    kept = lost.read_bytes()
    source.write_text(f"{text}\nADDED = 1\n")
    lost.unlink()
    setting = "train.log_every=3", "train.learning_rate=0.01"
    try:
        found = json.loads(plan(finished, options=["--json"]))
        shown = plan(finished, *setting)
    finally:
        source.write_text(text)
        lost.write_bytes(kept)
    stale = {one["job"].partition(" ")[0]: one for one in found["stale"]}
    assert "flexbench/metrics/pointwise.py" in stale["score"]["details"][0]
    assert "missing output" in stale["report"]["reasons"]
    assert not {"simulate", "train", "sample"} & set(stale)
    assert 0 < found["left"]["seconds"] < found["everything"]["seconds"]
    assert "train.learning_rate: 0.001 -> 0.01" in shown
    assert "left to do" in shown
    assert "log_every" not in shown


def test_disk_is_forecast_within_ten_per_cent(graph):
    jobs = planned_jobs(graph)
    facts = RunFacts.of(graph)
    speed = load_measurement(graph.layout.root, "smoke")
    seconds = all_seconds(facts, speed, jobs)
    found = forecast(facts, speed, jobs, slots=Slots(count=2), seconds=seconds)
    disk, files = disk_of(graph.layout.folder)
    # Figures are forecast by their mean size over tiers, and the page by that of its figures: with
    # two methods they are smaller.
    drawn = {"figures", "report"}
    ratios = {name: disk[name] / found.disk[name] for name in drawn}
    assert all(0.3 < ratio < 1.5 for ratio in ratios.values()), ratios
    rest = [
        sum(size for name, size in own.items() if name not in drawn) for own in (found.disk, disk)
    ]
    assert rest[0] == pytest.approx(rest[1], rel=0.1)
    for name in ("data", "checkpoints", "samples", "scores"):
        assert found.disk[name] == pytest.approx(disk[name], rel=0.05), name
    assert found.files == pytest.approx(files, abs=8)
    measured = measure_run(graph, jobs)
    assert measured.disk_bytes == sum(disk.values())
    assert all(measured.seconds[job.rule] > 0 for job in jobs.values())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("simulate", ()),
        ("statistics", ("superres_x4", "{folder}")),
        ("train", ("superres_x4", "flex", "XXS", "16", "1")),
        ("sample", ("superres_x4", "flex", "XXS", "16", "1")),
        ("formula", ("superres_x4", "interpolation")),
        ("score", ()),
        ("disk", ("{folder}",)),
    ],
)
def test_a_probe_measures_its_rate(graph, tmp_path, monkeypatch, kind, words):
    """In this process, and once instead of for seconds: what a calibration starts for each rate."""
    monkeypatch.setattr(probe, "BUDGET", 0.0)
    found = probe.PROBES[kind](graph, *(word.format(folder=tmp_path) for word in words))
    assert found.pop("measured") > 0
    assert found
    assert np.all(np.array([rate for rate in found.values() if rate != {}]) > 0), found


@pytest.mark.nightly
def test_a_calibration_measures_every_rate(graph):
    """On the tiny run's own settings; what it says of this machine is positive and is kept."""
    said = []
    found = measure(graph, together=2, say=said.append)
    assert not found.default
    assert {"flex", "*"} <= set(found.rates.train)
    assert {"train/flex", "sample/flex", "formula", "report"} <= set(found.rates.start)
    assert all(1e6 < speed < 1e13 for speed in found.rates.train.values())
    assert len(said) == 3
    path = save_measurement(graph.layout.root, found)
    try:
        assert load_measurement(graph.layout.root, "smoke") == found
        assert not list(graph.layout.root.glob(".measuring-*")), "scratch files are gone"
    finally:
        path.unlink()
