"""Step `figure`: one figure of one task."""

from pathlib import Path

from flexbench.config import ForecastSettings
from flexbench.data.samples import Samples
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.judge import shown_rollout
from flexbench.provenance import Receipt
from flexbench.report.catalogue import FIGURES, figures_of
from flexbench.report.figures import draw_figure, save
from flexbench.report.figures.animation import write_animation
from flexbench.report.inputs import ReportInputs


def figure_step(graph: Graph, *, task: str, name: str) -> None:
    """Write `figures/<case>/<name>.png`, and the same as PDF beside it; or a GIF."""
    allowed = figures_of(graph.config, graph.case(task).name)
    if name not in allowed:
        raise FlexbenchError(f"{task} has no figure '{name}'; allowed: {', '.join(allowed)}")
    step = graph.step("animation" if FIGURES[name].animated else "figure", case=task, name=name)
    receipt = Receipt(step)
    inputs = ReportInputs(layout=graph.layout, config=graph.config)
    inputs.table("scores")  # an error where nothing was scored yet, not an empty figure
    if FIGURES[name].animated:
        _animate(inputs, graph, task, step.outputs[0])
    else:
        save(draw_figure(name, inputs, task=task), step.outputs[0])
    receipt.write()


def _animate(inputs: ReportInputs, graph: Graph, case: str, path: Path) -> None:
    job, settings = shown_rollout(graph, case), graph.task_settings(case)
    lead_time = settings.lead if isinstance(settings, ForecastSettings) else 1.0
    with Samples(graph.layout.samples(case, job.method, job.seed)) as samples:
        write_animation(
            samples,
            graph.tested(case)[0],
            path,
            lead_time=lead_time,
            labels=inputs.labels(case),
            observable=graph.case(case).settings.observable,
        )
