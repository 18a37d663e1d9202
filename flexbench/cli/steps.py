"""The verbs of the graph's steps: one rule calls one of them."""

from typing import Annotated

import typer

from flexbench.cli.app import (
    STEPS,
    Case,
    ConfigFile,
    Log,
    Method,
    Seed,
    Set,
    Task,
    Tier,
    app,
    graph_of,
)
from flexbench.spec import Boundary, Observable


@app.command(rich_help_panel=STEPS)
def simulate(
    reynolds: Annotated[float, typer.Option("--re", help="Reynolds number")],
    seed: Annotated[int, typer.Option(help="seed of the initial condition")],
    boundary: Annotated[Boundary, typer.Option(help="what bounds the flow")] = "periodic",
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Simulate one trajectory of decaying turbulence."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.simulate import simulate_step

    simulate_step(graph, reynolds=reynolds, seed=seed, boundary=boundary)


@app.command("import-data", rich_help_panel=STEPS)
def import_data(
    source: Annotated[str, typer.Argument(help="a name under data.sources")],
    split: Annotated[str, typer.Argument(help="train, validation or test")],
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Bring a part of your own data into the trajectory format."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.import_data import import_data_step

    import_data_step(graph, source=source, split=split)


@app.command(rich_help_panel=STEPS)
def splits(tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None) -> None:
    """Check that no run stands in two splits."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.splits import splits_step

    splits_step(graph)


@app.command(rich_help_panel=STEPS)
def statistics(
    task: Task,
    observable: Annotated[Observable, typer.Option(help="the field to be scaled")] = "w",
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Measure the scales of a task's fields and residuals on the training split."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.statistics import statistics_step

    statistics_step(graph, task=task, observable=observable)


@app.command(rich_help_panel=STEPS)
def train(
    task: Task,
    method: Method,
    seed: Seed = 0,
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Train a method on a task; the same command resumes."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.train import train_step

    train_step(graph, task=task, method=method, seed=seed)


@app.command(rich_help_panel=STEPS)
def sample(
    task: Case,
    method: Method,
    seed: Seed = 0,
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Draw a method's ensembles of a task's test flows; the same command resumes."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.sample import sample_step

    sample_step(graph, task=task, method=method, seed=seed)


@app.command(rich_help_panel=STEPS)
def score(
    task: Case,
    method: Method,
    seed: Seed = 0,
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Score a file of samples against the trajectories that it predicts."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.score import score_step

    score_step(graph, task=task, method=method, seed=seed)


@app.command(rich_help_panel=STEPS)
def tabulate(
    tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None
) -> None:
    """Gather all scores into tables, with intervals, comparisons and red flags."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.tabulate import tabulate_step

    tabulate_step(graph)


@app.command(rich_help_panel=STEPS)
def figure(
    task: Case,
    name: Annotated[str, typer.Argument(help="a figure of the report, such as spectra")],
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Draw one figure of one task."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.figure import figure_step

    figure_step(graph, task=task, name=name)


@app.command(rich_help_panel=STEPS)
def report(tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None) -> None:
    """Write the report: one HTML page that needs nothing else."""
    graph = graph_of(tier, config, set_, log)
    from flexbench.steps.report import report_step

    report_step(graph)
