"""Verbs that keep versions of data and results, and bring them back."""

from pathlib import Path
from typing import Annotated

import typer

from flexbench.cli.app import RESULTS, app, graph_of

Tier = Annotated[str | None, typer.Option(help="smoke, desk, lab, paper; default: params.yaml's")]
Remote = Annotated[str | None, typer.Option(help="DVC's name of a remote; default: its default")]


@app.command(rich_help_panel=RESULTS)
def record(
    tier: Tier = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="also commit it with git")
    ] = None,
    remote: Remote = None,
    push: Annotated[bool, typer.Option(help="copy to the remote, if there is one")] = True,
    cache: Annotated[
        Path | None, typer.Option(help="keep DVC's cache here, shared with your group")
    ] = None,
) -> None:
    """Record a tier's finished results as a version (DVC); runs no step."""
    from flexbench.versions.dvc import tier_parameter
    from flexbench.versions.record import record as keep

    graph = graph_of(tier or tier_parameter())
    done = keep(graph, remote=remote, push=push, cache=cache, message=message)
    print(f"{graph.layout.folder}: {done.files} files, {done.bytes / 1e6:.1f} MB, all verified")
    print(f"cache and results share bytes by: {done.link}")
    print(f"pushed to {done.remote}" if done.remote else "not pushed: kept in DVC's cache alone")
    if done.changed:
        print(f"warning: git does not hold {', '.join(done.changed[:5])} as it is; commit it too")
    if done.commit:
        print(f"committed as {done.commit}")
    else:
        print(f"now: git add dvc.lock params.yaml {graph.layout.folder} && git commit")


@app.command(rich_help_panel=RESULTS)
def restore(
    tier: Tier = None,
    remote: Remote = None,
    force: Annotated[
        bool, typer.Option("--force", help="overwrite results that no version holds")
    ] = False,
) -> None:
    """Bring back the data and results of the version that git has checked out."""
    from flexbench.versions.dvc import tier_parameter
    from flexbench.versions.restore import restore as bring_back

    graph = graph_of(tier or tier_parameter())
    done = bring_back(graph, remote=remote, force=force)
    where = f"{done.remote} and the cache" if done.remote else "the cache"
    print(f"{graph.layout.folder}: {done.files} files, {done.bytes / 1e6:.1f} MB, from {where}")
    print("all verified; `snakemake -n` has nothing to do")
