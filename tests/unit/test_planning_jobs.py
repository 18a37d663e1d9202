"""Jobs and steps of a plan, counted from the configuration."""

import json

import pytest

from flexbench.config import TIERS, Config
from flexbench.config.reading import load_config
from flexbench.data.example import write_example
from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.graph.planned import planned_jobs
from flexbench.machine.rehearsal import rehearsal_config, simulated_alike
from flexbench.planning.costs import CATEGORIES, cost_of
from flexbench.planning.costs.cost import hdf5_bytes
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import all_seconds
from flexbench.planning.rates import (
    DEFAULTS,
    WALLS,
    Measurement,
    load_measurement,
    rate,
    rates_file,
    save_measurement,
)
from flexbench.planning.show import duration, size
from flexbench.report.catalogue import FIGURES
from flexbench.solver.simulate import Simulation
from flexbench.solver.step_count import solver_steps


def graph_of(tier, **overrides):
    return Graph.of(load_config({"tier": tier, **overrides}))


@pytest.mark.parametrize("tier", TIERS)
def test_every_job_comes_after_what_it_needs(tier):
    jobs = planned_jobs(graph_of(tier))
    seen = set()
    for key, job in jobs.items():
        assert set(job.needs) <= seen
        seen.add(key)


def test_own_data_is_measured_with_simulated_flows_as_large(tmp_path):
    """Of as many trajectories, points and snapshots, and without what cannot run on the data."""
    write_example(tmp_path / "tank.nc", snapshots=40, height=36, width=44)
    source = {"file": str(tmp_path / "tank.nc"), "key": "temperature", "reynolds": 100}
    splits = {"train": [0, 0.5], "validation": [0.6, 0.7], "test": [0.8, 1]}
    spectral = {"network": "interpolation", "options": {"kernel": "spectral"}}
    graph = graph_of(
        "tank",
        methods=["flex", "fno", "interpolation", "spectral", "persistence"],
        method_settings={"spectral": spectral},
        data={"sources": {"a": source, "b": source}, "time": "time", "splits": splits},
        tasks={
            "sr": {"kind": "superres", "patch": 16},
            "fc": {"kind": "forecast", "patch": 16, "lead": 0.25},
        },
    )
    facts = RunFacts(graph, {})
    alike = RunFacts(simulated_alike(facts), {})
    assert len(alike.graph.runs("test")) == len(set(alike.graph.runs())) // 3 == 2
    assert (alike.grid, alike.snapshots) == (facts.grid, facts.snapshots) == (32, 20)
    assert {*alike.graph.jobs} == {*graph.jobs}
    text = rehearsal_config(alike.graph, tmp_path).model_dump_json()
    assert Config.model_validate_json(text).data is None
    simulated = graph_of("smoke")
    assert simulated_alike(RunFacts(simulated, {})) is simulated


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((7, 64, 64), (1, 64, 64)), ((200, 64, 64), (1, 64, 64)), ((40, 256, 256), (1, 128, 128))],
)
def test_an_hdf5_file_is_as_large_as_said(tmp_path, shape, chunks):
    import h5py
    import numpy as np

    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("w", shape=shape, dtype="<f4", chunks=chunks)
        for row in range(shape[0]):
            dataset[row] = np.zeros(shape[1:], dtype=np.float32)
    count = int(np.prod([-(-side // part) for side, part in zip(shape, chunks, strict=True)]))
    chunk = 4 * int(np.prod(chunks))
    said = hdf5_bytes(chunks=count, chunk_bytes=chunk, rank=3, fixed=2048)
    assert abs(path.stat().st_size - said) < 0.003 * said + 4096


@pytest.mark.parametrize(
    ("grid", "boundary"),
    [(64, "periodic"), (128, "periodic"), (64, "free_slip"), (64, "no_slip"), (128, "no_slip")],
)
def test_steps_of_a_simulation(grid, boundary):
    """The Courant number decides them, or the penalty; the forecast tries a coarse grid."""
    config = load_config({"tier": "smoke", "solver": {"grid": grid}})
    for reynolds in (100.0, 200.0):
        simulation = Simulation(config.solver, reynolds=reynolds, seed=5, boundary=boundary)
        from flexbench.solver.times import snapshot_times

        for moment in snapshot_times(config.solver).tolist():
            simulation.advance_to(moment)
        said = solver_steps(config.solver, reynolds, boundary)
        assert said == pytest.approx(simulation.steps, rel=0.2)


def test_steps_of_a_fixed_length_are_counted():
    assert solver_steps(load_config({"tier": "paper"}).solver, 2000.0) == 16000


# --- rates ----------------------------------------------------------------------------------


def test_rates_of_another_machine_say_so():
    found = Measurement.model_validate_json(DEFAULTS.read_bytes())
    assert found.default


def test_each_tier_keeps_its_rates(tmp_path):
    assert load_measurement(tmp_path, "smoke").default
    default = load_measurement(tmp_path, "smoke").model_dump() | {"default": False}
    smoke = Measurement.model_validate(default | {"tier": "smoke", "measured": "2026-01-01"})
    desk = Measurement.model_validate(default | {"tier": "desk", "measured": "2026-02-01"})
    save_measurement(tmp_path, smoke)
    save_measurement(tmp_path, desk)
    assert load_measurement(tmp_path, "smoke") == smoke
    assert load_measurement(tmp_path, "desk") == desk
    assert load_measurement(tmp_path, "paper") == desk, "the newest"


@pytest.mark.parametrize("text", ["", "[]", '{"smoke": 3}', '{"smoke": {"format": 1}}'])
def test_broken_rates_are_one_line(tmp_path, text):
    rates_file(tmp_path).write_text(text)
    with pytest.raises(FlexbenchError, match=r"rates\.json: not a measurement") as error:
        load_measurement(tmp_path, "smoke")
    assert "\n" not in str(error.value)


def test_steps_with_walls_are_measured_where_the_tier_has_them(monkeypatch):
    from flexbench.machine import probe

    monkeypatch.setattr(probe, "BUDGET", 0.0)
    found = probe.simulate(graph_of("smoke"))["walls"]
    assert set(found) == {"free_slip", "no_slip"}
    assert all(0.1 < ratio < 20 for ratio in found.values())
    assert probe.simulate(graph_of("smoke", evaluations=None))["walls"] == {}


def test_measured_steps_decide_the_time_of_runs_with_walls():
    graph = graph_of("smoke")
    facts, jobs = RunFacts.of(graph), planned_jobs(graph)
    default = Measurement.model_validate_json(DEFAULTS.read_bytes())
    rates = default.rates.model_copy(update={"solver": 1.0})
    slow = rates.model_copy(update={"walls": {**WALLS, "no_slip": 2 * WALLS["no_slip"]}})
    before, after = (
        all_seconds(facts, default.model_copy(update={"rates": own}), jobs) for own in (rates, slow)
    )
    for key in jobs:
        longer = 2.0 if "walls=no_slip_" in key else 1.0
        assert after[key] == pytest.approx(longer * before[key], rel=1e-3), key


def test_a_rate_is_the_methods_then_the_networks_then_any():
    table = {"unet-regressor": 3.0, "unet": 2.0, "*": 1.0}
    assert rate(table, "unet-regressor", "unet") == 3
    assert rate(table, "unet-small", "unet") == 2
    assert rate(table, "mine", "mine") == 1


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 kB"), (4096, "4.1 kB"), (999_600, "1 MB"), (22_900_000, "22.9 MB"), (9e12, "9 TB")],
)
def test_sizes_are_read_easily(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (204, "3.4 min"), (36000, "10.0 h"), (864000, "10.0 days")]
)
def test_durations_are_read_easily(seconds, text):
    assert duration(seconds) == text


def test_default_rates_are_of_figures_that_there_are():
    assert set(json.loads(DEFAULTS.read_text())["rates"]["figures"]) <= set(FIGURES)


@pytest.mark.parametrize("tier", TIERS)
def test_every_rule_has_a_cost(tier):
    """Of each of its jobs: as many sizes as outputs, and numbers that are some."""
    graph = graph_of(tier)
    facts = RunFacts.of(graph)
    default = Measurement.model_validate_json(DEFAULTS.read_bytes())
    for rule in RULES:
        cost = cost_of(rule.name)
        for names in rule.jobs(graph)[:1]:
            outputs = rule.outputs(graph.layout, names)
            assert len(cost.sizes(facts, names)) == len(outputs)
            assert all(size > 0 for size in cost.sizes(facts, names))
            assert cost.start(facts, default, names) + cost.work(facts, default, names) > 0
            assert cost.memory(facts, names) >= 0
            assert cost.category in CATEGORIES


def test_a_rule_without_a_cost_is_an_error():
    with pytest.raises(FlexbenchError, match="rule 'weigh' has no cost; these have: simulate, imp"):
        cost_of("weigh")
