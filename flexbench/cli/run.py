"""The verb that runs the graph."""

import sys
from typing import Annotated

import typer

from flexbench.cli.app import RUN, Set, Tier, app, overrides_of


@app.command(rich_help_panel=RUN)
def run(
    targets: Annotated[
        list[str] | None, typer.Argument(help="rules or files; default: everything")
    ] = None,
    tier: Tier = None,
    profile: Annotated[
        str | None, typer.Option(help="a Snakemake profile, such as slurm; default: the local one")
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
    from flexbench.graph import Graph
    from flexbench.profiles import profile_configuration
    from flexbench.runner import run_graph
    from flexbench.tiers import load_config, merge

    overrides = merge(profile_configuration(profile), overrides_of(tier, set_))
    config = Graph(load_config(overrides)).config
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
