"""Configurations changed at random: refused in plain lines, or run to their end.

Each is one small run, whole, with one or two of its values changed by type, sign, range, name or
nesting. What `plan` and `run` ask before any work is asked here, in one process; of those that are
accepted some are run whole, every step of every rule.
"""

import copy
import importlib
from collections import Counter

import numpy as np
import pytest

from flexbench.config.reading import load_config, plain
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph, boundary_of, observable_of
from flexbench.graph.rules import RULES
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
ROLLOUT = {"leads": 2, "tasks": ["forecast"], "methods": ["flex"]}
# What decides where and how fast, and what this machine may lack.
LEFT_ALONE = {"tier", "root", "baseline_folders", "device", "cluster", "threads"}
LEFT_ALONE_KEYS = {"processes", "compile", "size"}


def small(root):
    """Under a name of its own, so that no tier's file stands behind it."""
    values = plain(load_config(SMALL))
    settings = {"unet": values["method_settings"]["unet"]}
    return values | {
        "tier": "small",
        "root": str(root),
        "method_settings": settings,
        "evaluations": {"rollout": ROLLOUT},
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
    kind = generator.choice(["near"] * 6 + ["far", "name", "nest", "drop"])
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


def changed(number, root):
    generator = np.random.default_rng(number)
    before = small(root)
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


def accepted(numbers, root):
    found = {number: asked(changed(number, root)) for number in numbers}
    return {number: graph for number, graph in found.items() if graph is not None}


def test_a_configuration_is_accepted_or_refused_in_lines(root):
    found = accepted(range(COUNT), root)
    assert SHARE * COUNT <= len(found) < COUNT


# The wildcards of a rule, as its step takes them.
ARGUMENTS = {
    "walls": ("boundary", boundary_of),
    "velocity": ("observable", observable_of),
    "reynolds": ("reynolds", float),
    "seed": ("seed", int),
}


def run_whole(graph):
    """Every step of every rule, in this process."""
    graph.layout.config.parent.mkdir(parents=True, exist_ok=True)
    graph.layout.config.write_text(graph.text)
    done = Counter()
    for rule in RULES:
        step = getattr(
            importlib.import_module(f"flexbench.steps.{rule.section}"), f"{rule.section}_step"
        )
        for names in rule.jobs(graph):
            given = (ARGUMENTS.get(key, (key, str)) for key in names)
            step(
                graph,
                **{key: kind(it) for (key, kind), it in zip(given, names.values(), strict=True)},
            )
            done[rule.name] += 1
    return done


def check_whole(numbers, most, root, tmp_path):
    found = accepted(numbers, root)
    for number, graph in list(found.items())[:most]:
        values = changed(number, tmp_path / str(number))
        graph = Graph.of(load_config(values))
        done = run_whole(graph)
        assert graph.layout.report.stat().st_size > 10_000, number
        assert done["report"] == 1, number


def test_what_is_accepted_runs_to_its_end(root, tmp_path):
    check_whole(range(COUNT, COUNT + 60), WHOLE, root, tmp_path)


@pytest.mark.nightly
def test_a_hundred_that_are_accepted_run_to_their_end(root, tmp_path):
    check_whole(range(2 * COUNT, 2 * COUNT + 400), 100, root, tmp_path)
