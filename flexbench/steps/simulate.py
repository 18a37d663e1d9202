"""Step `simulate`: one trajectory of decaying turbulence."""

import sys

from flexbench.data.generate import generate_trajectory
from flexbench.device import prepare_device
from flexbench.graph import Graph, trajectory_stem
from flexbench.provenance import Receipt


def simulate_step(graph: Graph, *, reynolds: float, seed: int) -> None:
    """Write `data/re<Re>_seed<seed>.h5`; resumes from its restart point after a kill."""
    stem = trajectory_stem(reynolds, seed)
    path = graph.layout.trajectory(stem)
    receipt = Receipt("simulate", slice_=graph.simulate_slice(reynolds, seed))
    device = prepare_device(graph.config)
    summary = generate_trajectory(
        graph.config.solver,
        reynolds=reynolds,
        seed=seed,
        path=path,
        state_dir=graph.layout.state("simulate", stem),
        device=str(device),
        progress=sys.stderr.isatty(),
        attributes={"code_digest": receipt.code},
    )
    receipt.write([path], seed=seed, device=str(device), **summary)
