"""Verbs about predictions that others make: what is asked for, and taking in the answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import RESULTS, graph_verb
from flexbench.errors import FlexbenchError

if TYPE_CHECKING:
    from flexbench.graph import Graph


@graph_verb(RESULTS)
def request(
    graph: "Graph",
    output: Annotated[Path, typer.Option(help="the folder to write to")] = Path("requests"),
    case: Annotated[
        list[str] | None, typer.Option(help="a case, such as forecast; default: all of the tier")
    ] = None,
) -> None:
    """Write what a model from elsewhere is to predict: inputs, without the truth."""
    from flexbench.submissions.request import DESCRIPTION, write_requests

    for name in case or ():
        if name not in graph.cases:
            raise FlexbenchError(f"--case: found '{name}'; allowed: {', '.join(graph.cases)}")
    found = write_requests(graph, output, cases=case or graph.cases)
    snapshots = sum(len(it.snapshots) for it in found)
    print(f"{output / DESCRIPTION}: {len(found)} cases, {snapshots} snapshots to predict")


@graph_verb(RESULTS)
def submit(
    graph: "Graph",
    answer: Annotated[Path, typer.Argument(help="an HDF5 file, or a folder of them")],
    card: Annotated[Path, typer.Option(help="YAML: who, what, how trained, seeds, cost")],
    replace: Annotated[
        bool, typer.Option("--replace", help="in place of what has this name so far")
    ] = False,
) -> None:
    """Check predictions that were made elsewhere, and put them among the samples as submitted."""
    from flexbench.runner import sole_owner
    from flexbench.steps.submit import submit_step

    with sole_owner(graph.layout.folder):
        taken = submit_step(graph, answer=answer, card=card, replace=replace)
    for doubt in taken.doubts:
        print(f"doubtful: {doubt}")
    print(
        f"{taken.method}: submitted to {', '.join(taken.cases)} ({taken.files} files); "
        f"`flexbench run --tier {graph.config.tier}` scores it"
    )
