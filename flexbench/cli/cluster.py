"""Verbs for runs on a cluster."""

from typing import Annotated

import typer

from flexbench.cli.app import RUN, app


@app.command(rich_help_panel=RUN)
def jobs(
    cancel: Annotated[
        bool, typer.Option("--cancel", help="end the orphans; training saves its state first")
    ] = False,
) -> None:
    """List this clone's Slurm jobs, and which of them a killed run has left behind."""
    from flexbench import owners, slurm
    from flexbench.errors import FlexbenchError
    from flexbench.paths import checkout

    if not slurm.available():
        raise FlexbenchError("squeue is not on the PATH: there is no Slurm here")
    found = slurm.jobs_of(checkout())
    owner = owners.live_owner()
    for job in found:
        kind = "attended" if owner else "ORPHAN"
        print(f"{job.number:>9} {job.state:11} {job.time:>11} {kind:8} {job.rule} {job.wildcards}")
        print(f"{'':10}log: {job.log}")
    if owner:
        print(f"{len(found)} jobs, attended by {owner}")
    elif not found:
        print("no jobs")
    elif not cancel:
        print(f"{len(found)} orphans of a killed run; end them with `flexbench jobs --cancel`,")
        print("or simply go on with `flexbench run`, which does so itself")
    else:
        slurm.cancel(found, folder=checkout())
        print(f"{len(found)} orphans ended")
