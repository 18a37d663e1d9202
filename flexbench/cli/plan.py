"""The verb that says what a run would cost, before anything is submitted."""

import json
from typing import Annotated

import typer

from flexbench.cli.app import RUN, OwnFile, Set, Tier, app, asked_of


@app.command(rich_help_panel=RUN)
def plan(
    tier: Tier = None,
    own: OwnFile = None,
    cores: Annotated[
        int | None, typer.Option(min=1, help="cores of this machine; default: all of them")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="instead: jobs that a cluster runs at once")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="a Snakemake profile, such as slurm: its jobs and retries")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="first measure this machine, about a minute")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    set_: Set = None,
) -> None:
    """Show what would run and why; hours, disk, files, memory; the longest chain."""
    from flexbench.config.reading import load_config
    from flexbench.graph import Graph
    from flexbench.planning.plan import calibrate_tier, make_plan
    from flexbench.planning.show import plan_text

    asked = asked_of(tier, own, set_, profile)
    graph = Graph(load_config(asked.values, origin=own))
    if calibrate:
        calibrate_tier(graph, cores=cores, jobs=jobs)
    found = make_plan(
        graph, overrides=asked.options, own=own, cores=cores, jobs=jobs, profile=profile
    )
    print(json.dumps(found.as_json(), indent=1) if as_json else plan_text(found))
