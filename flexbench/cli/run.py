"""The verb that runs the graph."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import RUN, OwnFile, Set, Tier, app, asked_of, located
from flexbench.errors import FlexbenchError
from flexbench.stopping import stoppable

if TYPE_CHECKING:
    from flexbench.graph import Graph
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
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="only errors, and what was found")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="show what Snakemake says, too")
    ] = False,
    set_: Set = None,
) -> None:
    """Run the graph with Snakemake; the same command resumes after any kill."""
    if quiet and verbose:
        raise FlexbenchError("--quiet and --verbose: give one of them")
    with stoppable():
        from flexbench.config.reading import load_config
        from flexbench.owners import refuse_another
        from flexbench.planning.admission import admit
        from flexbench.profiles import profile_configuration
        from flexbench.runner import run_graph, stage_targets
        from flexbench.watch.run import RunWatch
        from flexbench.watch.screen import Screen

        asked = asked_of(tier, own, set_, given=profile_configuration(profile))
        graph = located(load_config(asked.values, origins=asked.origins))
        if not dry_run:
            refuse_another(graph.layout.folder)
        facts = admit(graph, keep=not dry_run)  # a dry run writes nothing
        # A cluster has room for all of it at once.
        stages = stage_targets(graph) if not targets and profile is None else []
        with (
            Screen(quiet=quiet, plain=verbose) as screen,
            RunWatch(graph, facts, screen, whole=bool(stages), verbose=verbose) as watch,
        ):
            for line in _warnings(graph, here=profile is None):
                screen.say(f"flexbench: {line}")
            code = run_graph(
                graph.config,
                overrides=asked.options,
                own=asked.file,
                targets=targets or [],
                stages=stages,
                cores=cores,
                profile=profile,
                dry_run=dry_run,
                watch=watch,
            )
            if not dry_run:
                watch.end(code)
        if not (code or targets or dry_run):
            _tell(graph.layout)
    sys.exit(code)


def _warnings(graph: "Graph", *, here: bool) -> list[str]:
    """What to know before anything runs. here: on this machine, and not on a cluster's."""
    from flexbench.dates import mixed_up
    from flexbench.machine.rounding import slow_rounding
    from flexbench.planning.admission import doubts

    older = len(mixed_up(graph))
    return [
        *graph.skipped,
        *doubts(graph),
        *(slow_rounding(graph) if here else []),
        *([_DATES.format(older)] if older else []),
    ]


def _tell(layout: "Layout") -> None:
    """What was found, in short, and where all of it stands."""
    from flexbench.findings.output import read_findings

    print("", *read_findings(layout.findings).first, f"All of it: {layout.report}", sep="\n")
