"""Verbs about what was made: is it whole, and who may have it."""

from collections import defaultdict
from contextlib import nullcontext
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import RESULTS, graph_verb, located
from flexbench.errors import FlexbenchError

if TYPE_CHECKING:
    from flexbench.graph import Graph
    from flexbench.verify import Finding, Verification


class Format(StrEnum):
    """What `export` writes."""

    CRATE = "crate"
    WELL = "well"


_SHOWN = 3  # of a kind and step, unless all are asked for


@graph_verb(RESULTS)
def verify(
    graph: "Graph",
    quick: Annotated[
        bool, typer.Option("--quick", help="compare sizes, not bytes (for terabytes)")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="what was not made, or left out, is no fault")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="list every single finding")] = False,
    redate: Annotated[
        bool,
        typer.Option(
            "--redate", help="after a copy without dates: where all is well, nothing is stale"
        ),
    ] = False,
) -> None:
    """Check every output against its receipt, the configuration and today's code."""
    from flexbench import dates
    from flexbench.config.reading import plain
    from flexbench.config.strict_yaml import read_yaml
    from flexbench.runner import sole_owner
    from flexbench.verify import verify as check

    if redate and quick:
        raise FlexbenchError("--redate and --quick: give one of them; dates need the bytes checked")
    folder = graph.layout.folder
    with sole_owner(folder) if redate else nullcontext():
        found = check(graph, quick=quick, partial=partial)
        for line in _lines(found, shown=None if all_ else _SHOWN):
            print(line)
        if found.clean:
            if redate:
                print(f"{dates.redate(graph)} files are dated as made now")
            return
    own = graph.layout.config
    anywhere = {"root": "."}  # results may have been moved since
    if own.is_file() and read_yaml(own) | anywhere != plain(graph.config) | anywhere:
        print(
            f"its last run had other settings: --resolved {own} --set root={graph.layout.root} "
            "checks against those"
        )
    raise FlexbenchError(f"{folder}: {found.verdict}")


def _lines(found: "Verification", *, shown: int | None) -> list[str]:
    """What was found, in lines: alike findings of one step together, after the first few."""
    alike: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in found.findings:
        alike[finding.step, finding.kind].append(finding)
    lines = []
    for (step, kind), findings in alike.items():
        lines += [str(finding) for finding in findings[:shown]]
        if more := len(findings) - len(findings[:shown]):
            lines.append(f"... and {more} more of step {step}: {kind} (--all lists them)")
    for step, paths in found.not_made.items():
        some = f"{len(paths)} of {found.planned[step]}"
        lines.append(f"{step}: not made: {some}, such as {paths[0]}")
    if found.leftovers:
        some = ", ".join(found.leftovers[:_SHOWN]) + (", ..." if found.leftovers[_SHOWN:] else "")
        lines.append(f"for information: {len(found.leftovers)} files that nobody planned: {some}")
    how = "sizes" if found.quick else "bytes"
    lines.append(
        f"{found.files} files, {found.bytes / 1e9:.3g} GB, {how} checked in {found.seconds:.1f} s"
    )
    return lines


@graph_verb(RESULTS)
def export(
    graph: "Graph",
    output: Annotated[Path, typer.Argument(help="what to write: a .zip, or else a folder")],
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            help="crate: tables, figures, receipts, an RO-Crate; well: the trajectories alone, as "
            "The Well has them",
        ),
    ] = Format.CRATE,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="with trajectories, weights and samples")
    ] = False,
    published: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="default: the day of the last result"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="even where `verify` finds faults")
    ] = False,
) -> None:
    """Write the results as an archive to publish: an RO-Crate, with all receipts."""
    if format_ is Format.WELL:
        if with_data or published or force:
            raise FlexbenchError("--with-data, --published, --force: of --format crate alone")
        _export_well(graph, output)
        return
    from flexbench.export import export as write

    day = published.date() if published else None
    contents = write(graph, output, with_data=with_data, published=day, force=force)
    size = sum(file.size or 0 for file in contents.files.values())
    left_out = f"; {len(contents.absent)} data files are described only" if contents.absent else ""
    print(f"{output}: {len(contents.files)} files, {size / 1e6:.1f} MB{left_out}")


def _export_well(graph: "Graph", output: Path) -> None:
    from flexbench.well import export_well

    written = export_well(graph, output)
    print(f"{output}: {sum(written.values())} trajectories in {len(written)} files")


@graph_verb(RESULTS)
def claims(
    graph: "Graph",
    registry: Annotated[
        Path | None, typer.Option(help="another file of claims; default: workflow/claims.yaml")
    ] = None,
    instead: Annotated[
        Path | None,
        typer.Option(help="a results folder whose trainings take the place of the same seeds'"),
    ] = None,
) -> None:
    """Say of every claim of the paper whether a run bears it out, as far as the run has come."""
    from flexbench.claims.ledger import ledger_of
    from flexbench.claims.output import ledger_text
    from flexbench.claims.registry import default_claims, read_claims
    from flexbench.config.reading import load_config

    layout = graph.layout
    if not layout.config.is_file():
        raise FlexbenchError(
            f"{layout.folder}: holds no run; `flexbench run tabulate --tier {layout.tier}` makes it"
        )
    run = located(load_config({"root": graph.config.root}, resolved=layout.config))
    if instead is not None:
        _say_what_moves(run, registry or default_claims(), instead)
        return
    scored = any(layout.scores(it.case, it.method, it.seed).is_file() for it in run.jobs)
    if scored or registry or not layout.claims_page.is_file():
        print(ledger_text(ledger_of(run, read_claims(registry or default_claims()))))
        return
    print(layout.claims_page.read_text(encoding="utf-8"))
    print(f"as tabulated with the scores, which are not here: {layout.claims_page}")


def _say_what_moves(run: "Graph", registry: Path, folder: Path) -> None:
    from flexbench.claims.ledger import ledger_of
    from flexbench.claims.registry import read_claims
    from flexbench.claims.retrained import moves, moves_text
    from flexbench.paths import Layout

    instead, claims = Layout(folder.resolve().parent, folder.resolve().name), read_claims(registry)
    found = list(moves(run, instead))
    if not found:
        raise FlexbenchError(f"{folder}: has no scores that {run.layout.folder} has, too")
    print(moves_text(found, ledger_of(run, claims), ledger_of(run, claims, instead=instead)))
