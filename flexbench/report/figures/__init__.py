"""Every figure by name: `draw_figure` reads what one needs and draws it, `save` writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexbench.atomic import replacing
from flexbench.config import ForecastSettings, SuperResolutionSettings
from flexbench.errors import FlexbenchError
from flexbench.report import style
from flexbench.report.catalogue import FIGURES
from flexbench.report.figures.accuracy import draw_accuracy_cost, draw_rfne_by_re
from flexbench.report.figures.calibration import (
    draw_coverage,
    draw_pull,
    draw_rank,
    draw_spread_skill,
)
from flexbench.report.figures.leads import draw_leads
from flexbench.report.figures.maps import draw_maps
from flexbench.report.figures.matrix import draw_matrix
from flexbench.report.figures.spectra import draw_spectra
from flexbench.report.figures.training import draw_loss
from flexbench.report.inputs import ReportInputs, in_method_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What would make two runs of the same drawing differ by a byte is left out.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def draw_figure(name: str, inputs: ReportInputs, *, task: str) -> "Figure":
    """One figure of one task; FlexbenchError names the figures or tasks that exist."""
    if name not in _DRAWERS:
        raise FlexbenchError(f"figure '{name}' does not exist; allowed: {', '.join(FIGURES)}")
    if task not in inputs.config.cases:
        allowed = ", ".join(inputs.config.cases)
        raise FlexbenchError(f"task '{task}' is not in the configuration; allowed: {allowed}")
    with style.look(inputs.config.methods):
        return _DRAWERS[name](inputs, task)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG at `path` and as PDF beside it, atomically; same figure, same bytes."""
    for kind, metadata in _METADATA.items():
        with style.look(), replacing(path.with_suffix(f".{kind}")) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata, dpi=style.raster_dpi(figure))


def _maps(inputs: ReportInputs, task: str) -> "Figure":
    snapshot = inputs.snapshot(task)
    if snapshot is None:
        return style.nothing_to_show("no test snapshot was predicted by every method")
    given, base = "past snapshot", "last snapshot"
    if isinstance(inputs.task(task), SuperResolutionSettings):
        given, base = "low resolution", "up-sampled"
    return draw_maps(snapshot, given_label=given, base_label=base, labels=inputs.labels(task))


def _spectra(inputs: ReportInputs, task: str) -> "Figure":
    settings, spectra = inputs.task(task), inputs.spectra(task)
    cutoff = None
    if isinstance(settings, SuperResolutionSettings):
        cutoff = spectra["k"].max() / settings.factor if len(spectra) else None
    return draw_spectra(spectra, cutoff=cutoff, labels=inputs.labels(task))


def _rfne_by_re(inputs: ReportInputs, task: str) -> "Figure":
    trained = set(inputs.config.split("train").reynolds)
    scores, labels = inputs.task_scores(task), inputs.labels(task)
    return draw_rfne_by_re(scores, trained=trained, labels=labels)


def _accuracy_cost(inputs: ReportInputs, task: str) -> "Figure":
    cost = inputs.table("cost")
    return draw_accuracy_cost(inputs.task_scores(task), cost[cost["task"] == task])


def _matrix(inputs: ReportInputs, task: str) -> "Figure":
    table = inputs.table("matrix")
    return draw_matrix(in_method_order(table[table["task"] == task], inputs.config.methods))


def _leads(inputs: ReportInputs, task: str) -> "Figure":
    settings, table = inputs.task(task), inputs.table("leads")
    lead = settings.lead if isinstance(settings, ForecastSettings) else 1.0
    rows = in_method_order(table[table["task"] == task], inputs.config.methods)
    return draw_leads(rows, lead_time=lead, labels=inputs.labels(task))


def _spread_skill(inputs: ReportInputs, task: str) -> "Figure":
    return draw_spread_skill(inputs.task_scores(task), labels=inputs.labels(task))


_DRAWERS: dict[str, Callable[[ReportInputs, str], "Figure"]] = {
    "maps": _maps,
    "spectra": _spectra,
    "rfne_by_re": _rfne_by_re,
    "accuracy_cost": _accuracy_cost,
    "loss": lambda inputs, task: draw_loss(inputs.training_logs(task)),
    "pull": lambda inputs, task: draw_pull(inputs.task_scores(task)),
    "spread_skill": _spread_skill,
    "rank": lambda inputs, task: draw_rank(inputs.task_scores(task)),
    "matrix": _matrix,
    "leads": _leads,
    "coverage": lambda inputs, task: draw_coverage(inputs.task_scores(task)),
}
