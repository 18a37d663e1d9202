"""Training and validation loss."""

from typing import TYPE_CHECKING

import pandas as pd

from flexbench.report import style
from flexbench.report.figures.parts import connected, methods_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs

_SMOOTHING = 0.1  # share of a run over which the training loss is averaged
_CLOCKS = {"step": "optimiser step", "seconds": "wall time [s]"}


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case on the test split, which is a task."""
    return draw_loss(inputs.training_logs(case))


def draw_loss(logs: pd.DataFrame) -> "Figure":
    """Loss against steps and against seconds.

    logs: columns method, training_seed, step, loss, seconds and, at some steps, validation_loss.
    """
    if logs.empty or "loss" not in logs:
        return style.nothing_to_show("no method of this task is trained")
    clocks = [clock for clock in _CLOCKS if clock in logs]
    figure = style.new_figure(height=4.2)
    axes = figure.subplots(1, len(clocks), sharey=True, squeeze=False)[0]
    for method in methods_of(logs):
        runs = logs[logs["method"] == method].groupby("training_seed")
        for _, run in runs:
            for axis, clock in zip(axes, clocks, strict=True):
                _draw_run(axis, run, clock=clock)
    losses = logs.filter(["loss", "validation_loss"])
    for axis, clock in zip(axes, clocks, strict=True):
        axis.set_yscale("log" if (losses.min() > 0).all() else "linear")
        axis.set_xlim(left=0)
        axis.yaxis.set_major_formatter(_number)
        axis.yaxis.set_minor_formatter(_number)
        axis.set_xlabel(_CLOCKS[clock])
    axes[0].set_ylabel("loss")
    style.legend_below(figure, methods_of(logs), kind=connected)
    return figure


def _draw_run(axis: "Axes", run: pd.DataFrame, *, clock: str) -> None:
    """One training run: the smoothed training loss as a line, validation as dots."""
    method = str(run["method"].iloc[0])
    run = run.sort_values("step")
    training = run.dropna(subset=["loss"])
    smooth = training["loss"].ewm(span=max(1.0, _SMOOTHING * len(training))).mean()
    axis.plot(training[clock], smooth, **style.line(method, width=1.2))
    if "validation_loss" in run:
        checks = run.dropna(subset=["validation_loss"])
        axis.plot(checks[clock], checks["validation_loss"], **style.dots(method, size=5))


def _number(value: float, _: int) -> str:
    return f"{value:g}"
