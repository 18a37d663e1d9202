"""What a change makes stale, told by the planned steps alone, in milliseconds.

    python replan.py EDITS        in a clone; EDITS: JSON, see `main`

Two real dry runs in `test_plan` hold it against Snakemake.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

from flexbench.config.reading import load_config
from flexbench.graph import Graph
from flexbench.provenance import digest_of


def told(overrides):
    """All that Snakemake compares of every step, by its first output."""
    return {
        str(step.outputs[0]): {
            "rule": step.name,
            "outputs": [str(path) for path in step.outputs],
            "inputs": [str(path) for path in step.inputs],
            "slice": digest_of(step.slice),
            "code": step.code,
        }
        for step in Graph.of(load_config(overrides), start=Path()).steps
    }


class Stale:
    """The steps to run again, once everything was made as `before` and is asked for as `after`.

    outputs: the first output of each. rules: how many of which. first: the rules of those that are
    other steps themselves, and not only made of what is made anew.
    """

    def __init__(self, before, after):
        self.outputs, self.first, anew = set(), set(), set()
        for name, step in after.items():  # each after all that it takes
            fed = not anew.isdisjoint(step["inputs"])
            if fed or step != before.get(name):
                self.outputs.add(name)
                anew.update(step["outputs"])
                self.first |= set() if fed else {step["rule"]}
        self.rules = Counter(after[name]["rule"] for name in self.outputs)


def main(text):
    """Print what is told now, and while each file has another text, as a list in JSON.

    text: JSON of `overrides`, and of `edits`, a list of a file and its text. Each is looked at by a
    process of its own that has read no code before, and shares the imports.
    """
    asked = json.loads(text)
    found = [_in_a_child(asked["overrides"])]
    for file, content in asked["edits"]:
        kept = Path(file).read_text()
        Path(file).write_text(content)
        found.append(_in_a_child(asked["overrides"]))
        Path(file).write_text(kept)
    print(json.dumps(found))


def _in_a_child(overrides):
    reader, writer = os.pipe()
    if os.fork() == 0:
        with os.fdopen(writer, "w") as file:
            json.dump(told(overrides), file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.wait()
    return json.loads(text)


if __name__ == "__main__":
    main(sys.argv[1])
