"""Verbs about what of a run stands in the repository: trained networks, and drawn data."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import RESULTS, Seed, app, graph_verb

if TYPE_CHECKING:
    from flexbench.graph import Graph


@graph_verb(RESULTS)
def share(
    graph: "Graph",
    method: Annotated[list[str], typer.Option(help="whose networks; give it once for each")],
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option(help="default: networks/ in the tier's results")
    ] = None,
) -> None:
    """Put trained networks where git keeps them, with fits, scores and a card of each."""
    from flexbench.shared.share import share as write

    folder = output or graph.layout.networks
    sizes = write(graph, folder, methods=method, seed=seed)
    networks = sum(name.endswith(".safetensors") for name in sizes)
    print(f"{folder}: {networks} networks, {len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB")


@graph_verb(RESULTS)
def keep(graph: "Graph") -> None:
    """Keep what the figures are drawn from in one small file, for `report` to draw them anew."""
    from flexbench.report.drawn import keep_drawn
    from flexbench.report.inputs import ReportInputs

    size = keep_drawn(ReportInputs(layout=graph.layout, config=graph.config))
    print(f"{graph.layout.drawn}: {size / 1e6:.1f} MB")


@app.command("try", rich_help_panel=RESULTS)
def try_(
    task: Annotated[str | None, typer.Argument(help="default: the first that is there")] = None,
    method: Annotated[str | None, typer.Argument(help="default: the first that is there")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="training seed")] = None,
    reynolds: Annotated[
        float | None, typer.Option("--re", help="Reynolds number; default: a test flow's")
    ] = None,
    flow_seed: Annotated[
        int | None, typer.Option(min=0, help="of the initial condition; default: a test flow's")
    ] = None,
    members: Annotated[int | None, typer.Option(min=1, help="default: as in the run")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="default: as in the run")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="default: calibrated where there is a fit, or the run's")
    ] = None,
    networks: Annotated[
        Path | None, typer.Option(help="a folder that `share` made; default: the clone's")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="folder for fields, maps and scores; default: results/try")
    ] = None,
) -> None:
    """Sample a network of the repository on a flow that is simulated at once; takes a minute."""
    from flexbench.config import Run
    from flexbench.paths import checkout
    from flexbench.shared.attempt import attempt
    from flexbench.shared.folder import SharedNetworks, default_folder
    from flexbench.shared.words import told

    shared = SharedNetworks.read(networks or default_folder())
    network = shared.network(task, method, seed)
    flow = Run(
        "periodic",
        shared.flow.reynolds if reynolds is None else reynolds,
        shared.flow.seed if flow_seed is None else flow_seed,
    )
    options = {"members": members, "steps": steps, "sampler": sampler}
    with tempfile.TemporaryDirectory(prefix="flexbench-") as work:
        found = attempt(
            shared,
            network,
            task=task or network.tasks[0],
            flow=flow,
            work=Path(work),
            sample={key: value for key, value in options.items() if value is not None},
        )
        for line in told(found):
            print(line)
        place = f"{found.task}_{network.method}_{flow.stem}"
        written = found.write(output or checkout() / "results" / "try" / place)
    print("Written: " + ", ".join(map(str, written)))
