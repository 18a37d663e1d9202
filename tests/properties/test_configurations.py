"""Configurations changed at random: refused in plain lines, or run to their end.

Each is one small run, whole, with one or two of its values changed by type, sign, range, name or
nesting. What `plan` and `run` ask before any work is asked here, in one process; of those that are
accepted some are run whole, every step of every rule.
"""

import copy

import numpy as np
import pytest
from whole_run import run_whole

from flexbench.config.reading import load_config, plain
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.planning.admission import admit

COUNT, WHOLE = 500, 10
SHARE = 1 / 3  # of them is accepted at least

# One small run of everything: both tasks, a network, its rival, formulas, a rollout, other flows.
SMALL = {
    "tier": "smoke",
    "methods": ["flex", "unet", "interpolation", "persistence"],
    "method_settings": {"unet": {"train": {"learning_rate": 1e-3}, "diffusion": {"loss": "mse"}}},
    "solver": {"grid": 32, "t_end": 1.0, "peak_wavenumber": 4},
    "splits": {
        "train": {"reynolds": [100], "seeds": [0]},
        "validation": {"reynolds": [100], "seeds": [50]},
        "test": {"reynolds": [100], "seeds": [100]},
    },
    "tasks": {"superres_x4": {"patch": 16}, "forecast": {"patch": 16}},
    "train": {"steps": 4, "warmup_steps": 1, "validate_every": 2, "log_every": 2},
    "sample": {"members": 2, "snapshots": 1, "steps": 1},
    "score": {"bootstrap": 20},
    "evaluations": None,
}
FORMULAS = {"superres_x4": "interpolation", "forecast": "persistence"}
ROLLOUT = {"leads": 2, "tasks": ["forecast"], "methods": ["flex"]}
# What decides where and how fast, and what this machine may lack.
LEFT_ALONE = {"tier", "root", "baseline_folders", "device", "cluster", "threads"}
LEFT_ALONE_KEYS = {"processes", "compile", "size"}


def small(root, tasks):
    """Under a name of its own, so that no tier's file stands behind it.

    tasks: some of those in SMALL; with one alone, the rival and the rollout are left out, too.
    """
    values = plain(load_config(SMALL))
    settings = {"unet": values["method_settings"]["unet"]}
    everything = len(tasks) > 1
    return values | {
        "tasks": {name: values["tasks"][name] for name in tasks},
        "methods": values["methods"] if everything else [values["methods"][0], FORMULAS[tasks[0]]],
        "tier": "small",
        "root": str(root),
        "method_settings": settings if everything else {"flex": settings["unet"]},
        "evaluations": {"rollout": ROLLOUT} if everything else None,
    }


def places(values, above=()):
    """Every key of the configuration, and every entry of its lists."""
    found = []
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        place = (*above, key)
        if place[0] in LEFT_ALONE or place[-1] in LEFT_ALONE_KEYS:
            continue
        found.append(place)
        if isinstance(value, dict | list):
            found += places(value, place)
    return found


def at(values, place):
    for part in place:
        values = values[part]
    return values


def near(value, generator):
    """A value of the same kind that might as well have been written."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return int(generator.choice([value + 1, value - 1, 2 * value, 3 * value, value // 2]))
    if isinstance(value, float):
        return float(value * generator.choice([0.5, 0.9, 1.1, 2.0, 3.0]))
    if isinstance(value, list) and value:
        return [near(value[0], generator), *value[1:]]
    return value


FAR = [
    *(-1, 0, 10**29, -1e300, 1e-300, 0.5, "many", "", "007", "null", None, True, False, [], {}),
    *([1], ["flex"], {"a": 1}, "../x", "a b", "\x00", float("nan"), float("inf"), 2**63),
]


def change(values, generator):
    """One value changed, in place."""
    choices = places(values)
    place = choices[int(generator.integers(len(choices)))]
    holder, key = at(values, place[:-1]), place[-1]
    kind = generator.choice(["near"] * 10 + ["far", "name", "nest", "drop"])
    value = holder[key]
    if kind == "near":
        holder[key] = near(value, generator)
    elif kind == "far":
        holder[key] = FAR[int(generator.integers(len(FAR)))]
    elif kind == "name" and isinstance(holder, dict):
        holder[f"{key}x" if generator.random() < 0.5 else key[:-1]] = holder.pop(key)
    elif kind == "nest":
        holder[key] = [value] if generator.random() < 0.5 else {str(key): value}
    elif kind == "drop":
        del holder[key]


def changed(number, root, tasks=tuple(FORMULAS)):
    generator = np.random.default_rng(number)
    before = small(root, tasks)
    values = copy.deepcopy(before)
    while values == before:
        for _ in range(int(generator.integers(1, 3))):
            change(values, generator)
    return values


def asked(values):
    """The graph of a configuration that `plan` accepts; None where it is refused, in lines."""
    try:
        graph = Graph.of(load_config(values))
        admit(graph)
    except FlexbenchError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(line.strip() and len(line) < 600 for line in lines), lines
        return None
    return graph


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("configurations")


def test_a_configuration_is_accepted_or_refused_in_lines(root):
    found = [asked(changed(number, root)) for number in range(COUNT)]
    assert SHARE * COUNT <= COUNT - found.count(None) < COUNT


def check_whole(numbers, most, root, tasks_of):
    """So many of those that are accepted, each with a root of its own."""
    checked = 0
    for number in numbers:
        graph = asked(changed(number, root / str(number), tasks_of(number)))
        if graph is None:
            continue
        assert run_whole(graph)["report"] == 1, number
        assert graph.layout.report.stat().st_size > 10_000, number
        checked += 1
        if checked == most:
            return
    raise AssertionError(f"only {checked} were accepted")


def test_what_is_accepted_runs_to_its_end(root):
    """One task each, as a figure takes a second: the other tasks' code is not another."""
    names = list(FORMULAS)
    check_whole(range(COUNT, 2 * COUNT), WHOLE, root, lambda number: [names[number % 2]])


@pytest.mark.nightly
def test_a_hundred_that_are_accepted_run_to_their_end(root):
    check_whole(range(2 * COUNT, 3 * COUNT), 100, root, lambda _: list(FORMULAS))
