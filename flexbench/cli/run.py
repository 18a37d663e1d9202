"""The verb that runs the graph."""

import sys
from typing import Annotated

import typer

from flexbench.cli.app import Set, Tier, app, graph_of, overrides_of


@app.command()
def run(
    targets: Annotated[
        list[str] | None, typer.Argument(help="rules or files; default: everything")
    ] = None,
    tier: Tier = None,
    profile: Annotated[
        str | None, typer.Option(help="a Snakemake profile; default: workflow/profiles/local")
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=1, help="jobs at once; default: the profile's")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="only show what is to do")
    ] = False,
    set_: Set = None,
) -> None:
    """Run the graph with Snakemake; the same command resumes after any kill."""
    from flexbench.runner import run_graph

    overrides = overrides_of(tier, set_)
    config = graph_of(tier, None, set_).config
    sys.exit(
        run_graph(
            config,
            overrides=overrides,
            targets=targets or [],
            cores=cores,
            profile=profile,
            dry_run=dry_run,
        )
    )
