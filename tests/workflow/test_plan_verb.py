"""`flexbench plan` against Snakemake and against a run that was really made."""

import json
import resource

import pytest
from finished_run import disk_of, measure_run

from flexbench.config import TIERS
from flexbench.config.reading import load_config, parse_assignments
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.machine.measure import measure
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import Slots, all_seconds, forecast
from flexbench.planning.rates import load_measurement, save_measurement
from flexbench.planning.stale import read_dry_run


@pytest.mark.parametrize("tier", TIERS)
def test_the_jobs_are_those_of_snakemake(shared_clone, tmp_path, tier):
    root = tmp_path / "results"
    done = shared_clone.flexbench("run", "--dry-run", "--tier", tier, "--set", f"root={root}")
    assert done.returncode == 0, done.stderr
    found = read_dry_run(done.stdout)
    config = load_config({"tier": tier, "root": str(root)})
    assert set(found) - {"all "} == set(planned_jobs(Graph.of(config)))
    seed = config.training_seeds[0]
    assert set(found[f"train task=forecast, method=flex, seed={seed}"]) == {
        "missing output",
        "input is made anew",
    }


def test_a_plan_of_paper_takes_seconds(shared_clone, tmp_path):
    """Six seconds on an idle machine. Other tests run beside this one, so it counts the processor's
    time, of Snakemake and of the plan, which work at the same time; sharing a core makes it longer.
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
    assert found["everything"]["jobs"] == len(found["stale"]) == 954
    assert found["everything"]["rules"]["train"]["gpu_hours"] > 1000
    assert found["everything"]["disk"]["data"] > 1e12
    assert found["everything"]["chain"][0].startswith("simulate")
    assert found["everything"]["chain"][-1] == "report"
    assert any("retries" in text for text in found["warnings"]), (
        "ten hours are not enough for flex-l"
    )
    assert not list(tmp_path.iterdir()), "a plan writes nothing"
    assert seconds < 12


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


class Finished:
    def __init__(self, clone, root):
        self.clone, self.root = clone, root
        done = clone.flexbench("run", "--cores", "2", *clone.tiny(root), timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr

    def plan(self, *settings):
        done = self.clone.flexbench("plan", "--json", *self.clone.tiny(self.root, *settings))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def text(self, *settings):
        done = self.clone.flexbench("plan", *self.clone.tiny(self.root, *settings))
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def graph(self):
        words = [word for word in self.clone.tiny(self.root) if "=" in word]
        return Graph.of(load_config(parse_assignments(words) | {"tier": "smoke"}))


@pytest.fixture(scope="module")
def finished(make_clone, tmp_path_factory):
    return Finished(make_clone(), tmp_path_factory.mktemp("planned") / "results")


def reasons(plan):
    return {one["job"].partition(" ")[0]: one for one in plan["stale"]}


@pytest.mark.slow
def test_nothing_is_left_to_do(finished):
    plan = finished.plan()
    assert plan["stale"] == []
    assert plan["left"]["jobs"] == 0
    assert plan["left"]["seconds"] == 0
    assert "nothing to do" in finished.text()


@pytest.mark.slow
def test_a_changed_setting_is_named(finished):
    plan = finished.plan("train.learning_rate=0.01")
    found = reasons(plan)
    assert found["train"]["details"] == ["train.learning_rate: 0.001 -> 0.01"]
    assert "simulate" not in found
    assert 0 < plan["left"]["seconds"] < plan["everything"]["seconds"]
    text = finished.text("train.learning_rate=0.01")
    assert "train.learning_rate: 0.001 -> 0.01" in text
    assert "left to do" in text


@pytest.mark.slow
def test_edited_code_and_lost_files_are_named(finished):
    source = finished.clone.folder / "flexbench" / "metrics" / "pointwise.py"
    text = source.read_text()
    lost = finished.graph.layout.report
    kept = lost.read_bytes()
    source.write_text(f"{text}\nADDED = 1\n")
    lost.unlink()
    try:
        found = reasons(finished.plan())
    finally:
        source.write_text(text)
        lost.write_bytes(kept)
    assert "flexbench/metrics/pointwise.py" in found["score"]["details"][0]
    assert "missing output" in found["report"]["reasons"]


@pytest.mark.slow
def test_disk_is_forecast_within_ten_per_cent(finished):
    graph = finished.graph
    jobs = planned_jobs(graph)
    facts = RunFacts.of(graph)
    speed = load_measurement(graph.layout.root, "smoke")
    seconds = all_seconds(facts, speed, jobs)
    found = forecast(facts, speed, jobs, slots=Slots(count=2), seconds=seconds)
    disk, files = disk_of(graph.layout.folder)
    assert found.disk_bytes == pytest.approx(sum(disk.values()), rel=0.1)
    for name in ("data", "checkpoints", "samples", "scores"):
        assert found.disk[name] == pytest.approx(disk[name], rel=0.05), name
    assert found.files == pytest.approx(files, abs=8)
    measured = measure_run(graph, jobs)
    assert measured.disk_bytes == sum(disk.values())
    assert all(measured.seconds[job.rule] > 0 for job in jobs.values())


@pytest.mark.slow
def test_a_measurement_covers_every_rate(finished):
    """On the tiny run's own settings; what it says of this machine is positive and is kept."""
    graph = finished.graph
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
