"""The verbs of the graph's steps: one rule calls one of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from flexbench.cli.app import STEPS, Case, Method, Seed, Task, Training, graph_verb
from flexbench.spec import Boundary, Observable

if TYPE_CHECKING:
    from flexbench.graph import Graph


@graph_verb(STEPS)
def simulate(
    graph: "Graph",
    reynolds: Annotated[float, typer.Option("--re", help="Reynolds number")],
    seed: Annotated[int, typer.Option(help="seed of the initial condition")],
    boundary: Annotated[Boundary, typer.Option(help="what bounds the flow")] = "periodic",
) -> None:
    """Simulate one trajectory of decaying turbulence."""
    from flexbench.steps.simulate import simulate_step

    simulate_step(graph, reynolds=reynolds, seed=seed, boundary=boundary)


@graph_verb(STEPS, name="import-data")
def import_data(
    graph: "Graph",
    source: Annotated[str, typer.Argument(help="a name under data.sources")],
    split: Annotated[str, typer.Argument(help="train, validation or test")],
) -> None:
    """Bring a part of your own data into the trajectory format."""
    from flexbench.steps.import_data import import_data_step

    import_data_step(graph, source=source, split=split)


@graph_verb(STEPS)
def splits(graph: "Graph") -> None:
    """Check that no run stands in two splits."""
    from flexbench.steps.splits import splits_step

    splits_step(graph)


@graph_verb(STEPS)
def statistics(
    graph: "Graph",
    task: Task,
    observable: Annotated[Observable, typer.Option(help="the field to be scaled")] = "w",
) -> None:
    """Measure the scales of a task's fields and residuals on the training split."""
    from flexbench.steps.statistics import statistics_step

    statistics_step(graph, task=task, observable=observable)


@graph_verb(STEPS)
def train(graph: "Graph", training: Training, method: Method, seed: Seed = 0) -> None:
    """Train a method on a task; the same command resumes."""
    from flexbench.steps.train import train_step

    train_step(graph, training=training, method=method, seed=seed)


@graph_verb(STEPS)
def calibrate(
    graph: "Graph",
    fit: Annotated[str, typer.Argument(help="such as forecast-calibrated-2: task, sampler, steps")],
    method: Method,
    seed: Seed = 0,
) -> None:
    """Fit a method's sampler to the validation split; the same command resumes."""
    from flexbench.steps.calibrate import calibrate_step

    calibrate_step(graph, fit=fit, method=method, seed=seed)


@graph_verb(STEPS)
def sample(graph: "Graph", case: Case, method: Method, seed: Seed = 0) -> None:
    """Draw a method's ensembles of a case's flows; the same command resumes."""
    from flexbench.steps.sample import sample_step

    sample_step(graph, case=case, method=method, seed=seed)


@graph_verb(STEPS)
def targets(graph: "Graph", task: Task) -> None:
    """Measure the variance of what a network has to say of a task's residuals, and of fields."""
    from flexbench.steps.targets import targets_step

    targets_step(graph, task=task)


@graph_verb(STEPS)
def gradients(graph: "Graph", training: Training, method: Method, seed: Seed = 0) -> None:
    """Train a method once more, and measure the noise of its gradients on the way."""
    from flexbench.steps.gradients import gradients_step

    gradients_step(graph, training=training, method=method, seed=seed)


@graph_verb(STEPS)
def score(graph: "Graph", case: Case, method: Method, seed: Seed = 0) -> None:
    """Score a file of samples against the trajectories that it predicts."""
    from flexbench.steps.score import score_step

    score_step(graph, case=case, method=method, seed=seed)


@graph_verb(STEPS)
def tabulate(graph: "Graph") -> None:
    """Gather all scores into tables, with intervals, comparisons and red flags."""
    from flexbench.steps.tabulate import tabulate_step

    tabulate_step(graph)


@graph_verb(STEPS)
def figure(
    graph: "Graph",
    case: Case,
    name: Annotated[str, typer.Argument(help="a figure of the report, such as spectra")],
) -> None:
    """Draw one figure of one case."""
    from flexbench.steps.figure import figure_step

    figure_step(graph, case=case, name=name)


@graph_verb(STEPS)
def report(graph: "Graph") -> None:
    """Write the report: one HTML page that needs nothing else."""
    from flexbench.steps.report import report_step

    report_step(graph)
