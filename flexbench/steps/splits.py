"""Step `splits`: proof that no run stands in two splits; the build stops where one does."""

import json

from flexbench.atomic import write_text
from flexbench.data.splits import LEARNT, check_leaks
from flexbench.graph import Graph
from flexbench.provenance import Receipt, file_digest


def splits_step(graph: Graph) -> None:
    """Write `data/splits.json`: the files of each split with their hashes."""
    receipt = Receipt(graph.step("splits"))
    paths = {name: graph.trajectories(name) for name in LEARNT} | graph.untrained
    check_leaks(paths, gap=graph.config.gap)
    hashes = {path: file_digest(path) for files in paths.values() for path in files}
    content = {split: {path.name: hashes[path] for path in files} for split, files in paths.items()}
    write_text(graph.layout.splits, json.dumps(content, indent=1) + "\n")
    receipt.write(hashes=hashes)
