"""Step `simulate`: one trajectory of decaying turbulence."""

import sys
from collections.abc import Mapping
from typing import Any

from flexbench.config import Run
from flexbench.data.generate import generate_trajectory
from flexbench.device import prepare_device
from flexbench.graph import Graph, named
from flexbench.provenance import Receipt
from flexbench.spec import Boundary


def simulate_step(
    graph: Graph, *, reynolds: float, seed: int, boundary: Boundary = "periodic"
) -> None:
    """Write a trajectory's file; resumes from its restart point after a kill."""
    run = Run(boundary, reynolds, seed)
    step = graph.step("simulate", walls=run.walls, reynolds=named(run.reynolds), seed=run.seed)
    receipt = Receipt(step)
    device = prepare_device(graph.config)
    summary = generate_trajectory(
        graph.config.solver,
        reynolds=reynolds,
        seed=seed,
        boundary=boundary,
        path=step.outputs[0],
        state_dir=graph.layout.state("simulate", run.stem),
        device=str(device),
        progress=sys.stderr.isatty(),
        attributes={"code_digest": step.code},
    )
    receipt.write(seed=seed, device=str(device), **summary)
    print(_limits(run.stem, summary), file=sys.stderr)


def _limits(stem: str, summary: Mapping[str, Any]) -> str:
    """What the grid resolves, in one line."""
    line = f"{stem}: {summary['steps']} steps, k_max eta at least {summary['k_max_eta']:.2f}"
    if "layer_points" in summary:
        line += f", penalisation layer {summary['layer_points']:.2f} grid points"
    return line
