"""Step `import_data`: one part of a source of own data, as a trajectory file."""

import sys

from flexbench.data.adapters import import_part
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.provenance import Receipt


def import_data_step(graph: Graph, *, source: str, split: str) -> None:
    """Write `data/<source>_<split>.h5`."""
    data = graph.config.data
    if data is None:
        raise FlexbenchError("data: null; there is nothing to import")
    step = graph.step("import_data", source=source, split=split)
    receipt = Receipt(step)
    summary = import_part(
        data,
        source=source,
        split=split,
        file=graph.source_file(source),
        path=step.outputs[0],
        side_step=graph.config.side_step,
    )
    print(summary.text, file=sys.stderr)
    receipt.write(snapshots=summary.snapshots, grid=summary.grid, periodic=summary.periodic)
