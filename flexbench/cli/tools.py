"""Verbs beside the graph: what there is to run, and files from elsewhere."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import TOOLS, app, graph_verb
from flexbench.errors import FlexbenchError

if TYPE_CHECKING:
    from flexbench.graph import Graph


@graph_verb(TOOLS)
def methods(graph: "Graph") -> None:
    """List a tier's tasks, the network files that are found, and the tier's methods."""
    from flexbench import registry

    used: dict[str, list[str]] = {}
    for method in graph.config.methods:
        used.setdefault(graph.facts(method).name, []).append(method)
    kinds = ", ".join(f"{task} ({it.kind})" for task, it in graph.config.tasks.items())
    print(f"tasks of {graph.config.tier}: {kinds}")
    for name in registry.names(graph.config.baseline_folders):
        facts = registry.facts(name, graph.config.baseline_folders)
        kind = "formula" if facts.formula else "network"
        as_methods = ", ".join(used.get(name, ["-"]))
        print(f"{name:15} {kind:8} {', '.join(facts.tasks):20} {graph.config.tier}: {as_methods}")
    for name, own in graph.config.submissions.items():
        print(f"{name:15} submitted to {', '.join(own.cases)}")


@graph_verb(TOOLS)
def config(
    graph: "Graph",
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema instead")] = False,
    output: Annotated[Path | None, typer.Option(help="write to this file instead")] = None,
) -> None:
    """Print a tier's configuration, whole and checked, as YAML."""
    from flexbench.atomic import write_text
    from flexbench.config.reading import json_schema, to_yaml

    text = json_schema() if schema else to_yaml(graph.config)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)


@app.command(rich_help_panel=TOOLS)
def check(files: Annotated[list[Path], typer.Argument(help="trajectory files (HDF5)")]) -> None:
    """Check trajectory files against the written format."""
    from flexbench.data.check import check_trajectory

    wrong = 0
    for path in files:
        try:
            problems = check_trajectory(path)
        except FlexbenchError as error:
            problems = [str(error).removeprefix(f"{path}: ")]
        wrong += bool(problems)
        for problem in problems or ["ok"]:
            print(f"{path}: {problem}")
    if wrong:
        raise FlexbenchError(f"{wrong} of {len(files)} files do not follow the format")


@app.command("import-checkpoint", rich_help_panel=TOOLS)
def import_checkpoint(
    source: Annotated[Path, typer.Argument(help="an official checkpoint: .safetensors or .pt")],
    output: Annotated[Path, typer.Argument(help="where to write the imported weights")],
    heads: Annotated[
        int | None, typer.Option(help="attention heads, where the size is none of S, M, L")
    ] = None,
    ema: Annotated[bool, typer.Option(help="take the averaged weights of a .pt file")] = True,
) -> None:
    """Import a FLEX checkpoint in its authors' layout; no code in it is ever executed.

    Beside the weights stands OUTPUT.yaml, with what they cannot tell: scales, diffusion and task,
    as minFLEX has them. Edit it where a network was trained otherwise; one that is there is kept.
    """
    from flexbench.published.imported import bring_in

    facts, sidecar = bring_in(source, output, heads=heads, use_ema=ema)
    size = facts["size"] or "none of S, M, L"
    print(
        f"{output}: {facts['parameters']:,} parameters, size: {size}, weights: {facts['weights']}"
    )
    if sidecar is None:
        print("no super-resolution encoder, so it cannot be sampled from")
    else:
        print(f"{sidecar}: scales, diffusion and task; edit it where they are others")


@app.command(rich_help_panel=TOOLS)
def published(
    checkpoint: Annotated[Path, typer.Argument(help="what import-checkpoint wrote")],
    data: Annotated[Path, typer.Argument(help="minFLEX's box of ERA5 (HDF5, with `fields`)")],
    first: Annotated[int, typer.Option(min=0, help="the first snapshot, from 0")] = 0,
    snapshots: Annotated[int, typer.Option(min=1, help="how many, one after the other")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="of the sampler")] = 3,
    members: Annotated[int, typer.Option(min=4, max=1000, help="of the ensemble")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="of the noise")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="patches x members at once")] = 8,
    threads: Annotated[
        int | None, typer.Option(min=1, max=4096, help="of the processor; default: all cores")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    output: Annotated[
        Path | None, typer.Option(help="the JSON file; default: CHECKPOINT.published.json")
    ] = None,
) -> None:
    """Score the public checkpoint as its authors' notebook does, beside their numbers (claim 0)."""
    from flexbench.atomic import write_text
    from flexbench.config.reading import load_config
    from flexbench.device import prepare_device
    from flexbench.published import output as shown
    from flexbench.published.box import open_box
    from flexbench.published.imported import load_imported
    from flexbench.published.score import Protocol, score_published

    cores = len(os.sched_getaffinity(0))
    target = prepare_device(load_config({"device": device, "threads": threads or cores}))
    protocol = Protocol(first=first, count=snapshots, steps=steps, members=members, seed=seed)
    imported = load_imported(checkpoint, device=target)
    with open_box(data, patch=imported.sidecar.task.patch) as box:
        scores = score_published(imported, box, protocol, batch=batch)
    path = output or checkpoint.with_name(f"{checkpoint.name}.published.json")
    text = shown.published_json(
        scores, protocol, sidecar=imported.sidecar, checkpoint=checkpoint, data=data
    )
    write_text(path, text)
    print(shown.published_text(scores, protocol, sidecar=imported.sidecar))
    print(f"\nwritten: {path}")
