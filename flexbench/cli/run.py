"""The verb that runs the graph."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import RUN, OwnFile, Set, Tier, app, asked_of, located

if TYPE_CHECKING:
    from flexbench.paths import Layout

_DATES = (
    "{} results are older than what they were made from, which by receipts is still the same: "
    "they would be made anew; after a copy without dates, `flexbench verify --redate`, with the "
    "options of this run, checks them and puts their dates right"
)


@app.command(rich_help_panel=RUN)
def run(
    targets: Annotated[
        list[str] | None, typer.Argument(help="rules or files; default: everything")
    ] = None,
    tier: Tier = None,
    own: OwnFile = None,
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
    from flexbench.config.reading import load_config
    from flexbench.dates import mixed_up
    from flexbench.planning.admission import admit, doubts
    from flexbench.profiles import profile_configuration
    from flexbench.runner import run_graph, stage_targets

    asked = asked_of(tier, own, set_, given=profile_configuration(profile))
    graph = located(load_config(asked.values, origins=asked.origins))
    admit(graph, keep=not dry_run)  # a dry run writes nothing
    older = len(mixed_up(graph))
    for line in (*graph.skipped, *doubts(graph), *([_DATES.format(older)] if older else [])):
        print(f"flexbench: {line}", file=sys.stderr)
    code = run_graph(
        graph.config,
        overrides=asked.options,
        own=asked.file,
        targets=targets or [],
        # A cluster has room for all of it at once.
        stages=stage_targets(graph) if not targets and profile is None else (),
        cores=cores,
        profile=profile,
        dry_run=dry_run,
    )
    if not (code or targets or dry_run):
        _tell(graph.layout)
    sys.exit(code)


def _tell(layout: "Layout") -> None:
    """What was found, in short, and where all of it stands."""
    from flexbench.findings.output import read_findings

    print("", *read_findings(layout.findings).first, f"All of it: {layout.report}", sep="\n")
