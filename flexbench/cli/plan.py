"""The verb that says what a run would cost, before anything is submitted."""

import json
from typing import Annotated

import typer

from flexbench.cli.app import RUN, OwnFile, Set, Tier, app, asked_of, located


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
    measure: Annotated[
        bool, typer.Option("--measure", help="first measure this machine, about a minute")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    set_: Set = None,
) -> None:
    """Show what would run and why; hours, disk, files, memory; the longest chain."""
    from flexbench.config.reading import load_config
    from flexbench.planning.plan import make_plan
    from flexbench.planning.show import plan_text
    from flexbench.profiles import profile_configuration

    asked = asked_of(tier, own, set_, given=profile_configuration(profile))
    graph = located(load_config(asked.values, origins=asked.origins))
    if measure:
        from flexbench.machine.measure import measure_tier

        measure_tier(graph, cores=cores, jobs=jobs)
    found = make_plan(
        graph, overrides=asked.options, own=own, cores=cores, jobs=jobs, profile=profile
    )
    print(json.dumps(found.as_json(), indent=1) if as_json else plan_text(found))
