"""Spectra of truth, members and error."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flexbench.report import style
from flexbench.report.figures.parts import methods_of
from flexbench.report.labels import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels

_MOST_COLUMNS = 3
_DECADES = 7.0  # below the peak; what lies deeper is round-off of float32 fields


def draw(inputs: "ReportInputs", case: str) -> "Figure":
    """The figure of a case."""
    spectra = inputs.spectra(case)
    # The largest wavenumber of a field is half its points per side.
    points = 2 * int(spectra["k"].max()) if len(spectra) else 0
    cutoff = inputs.task(case).cutoff(points)
    return draw_spectra(spectra, cutoff=cutoff, labels=inputs.labels(case))


def draw_spectra(
    spectra: pd.DataFrame, *, labels: "Labels", cutoff: float | None = None
) -> "Figure":
    """Spectra by Reynolds number (lowest, middle, highest), the error's share of them below.

    Of rollouts: by lead, of all Reynolds numbers together.

    spectra: columns method, trajectory, index, lead, reynolds, k, truth, member_mean, error.
    cutoff: the largest wavenumber that the given field holds; None: all that there are.
    """
    if spectra.empty:
        return style.nothing_to_show("no spectra were written for this task")
    rollout = spectra["lead"].max() > 1
    column, title = ("lead", "lead") if rollout else ("reynolds", labels.flow_short)
    every = sorted(spectra[column].unique())
    chosen = every if len(every) <= _MOST_COLUMNS else [every[0], every[len(every) // 2], every[-1]]
    figure = style.new_figure(height=6.2)
    grid = figure.subplots(
        2, len(chosen), sharex=True, sharey="row", squeeze=False, height_ratios=[1.25, 1]
    )
    for (above, below), value in zip(grid.T, chosen, strict=True):
        above.set_title(f"{title} {value:g}")
        _draw_column(above, below, spectra[spectra[column] == value])
        if cutoff is not None:
            for axis in (above, below):
                axis.axvline(cutoff, color=style.MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
            above.annotate(
                "grid of the\ngiven field ",
                (cutoff, 0.02),
                xycoords=("data", "axes fraction"),
                ha="right",
                va="bottom",
                fontsize=7.5,
                color=style.MUTED,
            )
        below.set_xlabel(f"wavenumber k [{labels.wavenumber}]")
    _set_energy_range(grid[0, 0], spectra)
    low, high = grid[1, 0].get_ylim()
    grid[1, 0].set_ylim(max(low, 1e-5), min(high, 30.0))
    grid[0, 0].set_ylabel(_density_label(labels))
    grid[1, 0].set_ylabel(f"error {labels.density} / true {labels.density}")
    truth = {"truth": {"color": style.TRUTH, "linewidth": 2.2}}
    style.legend_below(figure, methods_of(spectra), kind=style.line, first=truth)
    return figure


def _density_label(labels: "Labels") -> str:
    if labels.kinetic and not labels.per_side:
        return "energy E(k)\n[velocity² × length unit]"
    # A vorticity times a length is a velocity; of a side, whose length is not known, 2π are one.
    side = " × side / 2π" if labels.kinetic else ""
    unit = f"({escaped(labels.unit)}{side})²"
    window = "(Hann window) " if labels.windowed else ""
    return f"{labels.density} per wavenumber\n{window}[{unit}]"


def _draw_column(above: "Axes", below: "Axes", spectra: pd.DataFrame) -> None:
    """One Reynolds number or lead: means over snapshots and training seeds at each wavenumber."""
    truth = _positive(spectra.groupby("k")["truth"].mean())
    above.loglog(truth.index, truth, color=style.TRUTH, linewidth=2.2, zorder=2.5)
    for method in methods_of(spectra):
        mean = (
            spectra[spectra["method"] == method]
            .groupby("k")[["truth", "member_mean", "error"]]
            .mean()
        )
        mean = mean[mean.index > 0]
        look = style.line(method)
        above.loglog(mean.index, mean["member_mean"].where(mean["member_mean"] > 0), **look)
        share = mean["error"] / mean["truth"].where(mean["truth"] > 0)
        below.loglog(mean.index, share.where(share > 0), **look)
    below.axhline(1.0, color=style.TRUTH, linewidth=0.9, linestyle="--")


def _positive(values: pd.Series) -> pd.Series:
    values = values[values.index > 0]
    return values.where(values > 0)


def _set_energy_range(axis: "Axes", spectra: pd.DataFrame) -> None:
    """Show the decades below the peak that mean something."""
    truth = spectra.loc[spectra["k"] > 0, "truth"]
    peak = float(np.nanmax(truth, initial=0.0))
    if peak <= 0:
        return
    floor = max(peak * 10**-_DECADES, float(truth[truth > 0].min()) / 10)
    axis.set_ylim(floor, peak * 4)
