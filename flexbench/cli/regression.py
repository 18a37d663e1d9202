"""Verbs that compare runs: with a committed reference, or with one another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import GATE, Set, app, graph_of

if TYPE_CHECKING:
    from flexbench.regression.scores import Run

GateTier = Annotated[str, typer.Option(help="the tier that was run")]
Against = Annotated[
    Path | None, typer.Option(help="the reference; default: workflow/reference/<tier>.json")
]


@app.command(rich_help_panel=GATE)
def regress(
    tier: GateTier = "gate",
    against: Against = None,
    junit: Annotated[Path | None, typer.Option(help="also write JUnit XML to this file")] = None,
    markdown: Annotated[Path | None, typer.Option(help="also write Markdown to this file")] = None,
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="false alarms per run, all scores together")
    ] = 0.05,
    ignore_configuration: Annotated[
        bool, typer.Option(help="compare although settings differ from the reference's")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="say what the reference can detect; needs no run")
    ] = False,
    set_: Set = None,
) -> None:
    """Fail (exit code 1) if a run's scores are worse than the committed reference's."""
    from flexbench.atomic import write_text
    from flexbench.findings.output import read_findings
    from flexbench.paths import Layout
    from flexbench.regression import gate, output
    from flexbench.regression.reference import default_reference, read_reference

    reference = read_reference(against or default_reference(tier))
    if explain:
        print(output.explanation_text(gate.explain(reference, alpha=alpha)))
        return
    run = _run(tier, set_)
    outcome = gate.judge(run, reference, alpha=alpha, ignore_configuration=ignore_configuration)
    if junit is not None:
        write_text(junit, output.outcome_junit(outcome))
    if markdown is not None:
        found = read_findings(Layout(run.folder.parent, tier).findings).first
        write_text(markdown, output.outcome_markdown(outcome, found=found))
    print(output.outcome_text(outcome))
    if outcome.failures:
        raise typer.Exit(1)


@app.command(rich_help_panel=GATE)
def accept(
    reason: Annotated[str, typer.Option(help="why the reference changes; kept in its history")],
    tier: GateTier = "gate",
    against: Against = None,
    set_: Set = None,
) -> None:
    """Make a run with 8 training seeds or more the committed reference."""
    from flexbench.regression import gate, output
    from flexbench.regression.reference import accept as accept_run
    from flexbench.regression.reference import default_reference

    path = against or default_reference(tier)
    reference = accept_run(_run(tier, set_), path, reason=reason)
    print(output.explanation_text(gate.explain(reference)))
    print(f"\nwritten: {path}")


@app.command(rich_help_panel=GATE)
def compare(
    one: Annotated[Path, typer.Argument(help="a results folder, or a tables/scores.csv")],
    other: Annotated[Path, typer.Argument(help="another one")],
    everything: Annotated[
        bool, typer.Option("--all", help="every score, not the headline ones alone")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown")] = False,
) -> None:
    """Show the scores of two runs side by side, and what differs in settings and code."""
    from flexbench.regression.compare import compare_sides, read_side
    from flexbench.regression.output import markdown_table, plain_table

    sides = read_side(one), read_side(other)
    write = markdown_table if markdown else plain_table
    print(compare_sides(*sides, write=write, everything=everything))


def _run(tier: str, assignments: list[str] | None) -> "Run":
    """The run in the results folder that the options name, as its own configuration says."""
    from flexbench.regression.scores import read_run

    return read_run(graph_of(tier, set_=assignments).layout)
