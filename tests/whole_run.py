"""Every step of a configuration by its function, one after the other, in one process.

    python whole_run.py CONFIG [NAME ...]

in a clone, whose code it then is. CONFIG: a resolved file. NAME: rules and figures that are left
out; so is what has been made before.
"""

import importlib
import sys
from collections import Counter
from pathlib import Path

from flexbench.config.reading import load_config
from flexbench.graph import Graph, boundary_of, observable_of
from flexbench.graph.rules import RULES

# The wildcards of a rule, as its step takes them.
ARGUMENTS = {
    "walls": ("boundary", boundary_of),
    "velocity": ("observable", observable_of),
    "reynolds": ("reynolds", float),
    "seed": ("seed", int),
}


def run_whole(graph, without=()):
    """How many steps of each rule were run."""
    graph.layout.config.parent.mkdir(parents=True, exist_ok=True)
    graph.layout.config.write_text(graph.text)
    done = Counter()
    for rule in RULES:
        module = importlib.import_module(f"flexbench.steps.{rule.section}")
        step = getattr(module, f"{rule.section}_step")
        for names in rule.jobs(graph):
            made = all(path.exists() for path in rule.outputs(graph.layout, names))
            if made or not {rule.name, names.get("name")}.isdisjoint(without):
                continue
            given = (ARGUMENTS.get(key, (key, str)) for key in names)
            step(
                graph,
                **{key: kind(it) for (key, kind), it in zip(given, names.values(), strict=True)},
            )
            done[rule.name] += 1
    return done


if __name__ == "__main__":
    run_whole(Graph.of(load_config(resolved=Path(sys.argv[1]))), without=sys.argv[2:])
