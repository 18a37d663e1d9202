"""A rollout as a small animation: truth, one member, ensemble mean, spread, lead by lead."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Samples
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics.tables import SUBMITTED
from flexbench.report import style
from flexbench.report.animation import Animation
from flexbench.report.figures.parts import (
    Field,
    Mask,
    amount_scale,
    field_scale,
    in_flow,
    thinned,
)
from flexbench.report.labels import escaped
from flexbench.spec import Observable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from flexbench.report.inputs import ReportInputs
    from flexbench.report.labels import Labels

_MILLISECONDS = 250  # a lead
_DPI = 64
_PANELS = ("truth", "one member", "ensemble mean", "spread (std)")
_WIDTH, _HEIGHT = 9.0, 2.95  # inches
_MAX_PIXELS = 160  # per side of a map: one of the page's is no larger


class _Frame(NamedTuple):
    """One lead: fields (H, W) in the order of _PANELS, and the lead time."""

    fields: tuple[Field, Field, Field, Field]
    time: float


def draw(inputs: "ReportInputs", case: str) -> Animation:
    """The animation of a case that is rolled out: the first rollout in the file of samples."""
    with Samples(_shown_samples(inputs, case)) as samples:
        return draw_rollout(
            samples,
            inputs.layout.trajectory(samples.snapshots[0].trajectory),
            lead_time=inputs.lead_time(case),
            labels=inputs.labels(case),
            observable=inputs.config.cases[case].settings.observable,
        )


def _shown_samples(inputs: "ReportInputs", case: str) -> Path:
    """Those of the first method that draws ensembles, or else of the first method."""
    config = inputs.config
    paths = [
        inputs.layout.samples(case, method, config.training_seeds_of(method)[0])
        for method in config.methods_of(case)
    ]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise FlexbenchError(f"{paths[0]}: no such samples file; run `flexbench sample` first")
    for path in found:
        with Samples(path) as samples:
            if samples.labels.mode in ("denoiser", SUBMITTED):
                return path
    return found[0]


def draw_rollout(
    samples: Samples,
    trajectory: Path,
    *,
    lead_time: float,
    labels: "Labels",
    observable: Observable = "w",
) -> Animation:
    """The first rollout of a trajectory, a picture for each lead.

    samples: of rollouts. trajectory: the file of the truth. lead_time: time between two leads.
    observable: what the samples predict of the file. Raises FlexbenchError where the samples hold
    no rollout of that trajectory.
    """
    rows = _first_rollout(samples, trajectory)
    with open_trajectory(trajectory, observable) as truth:
        # Of the last lead, where every colour of the scales is in use.
        last = _frame(samples, truth, rows[-1], lead_time=lead_time)
        figure, images, title = _stage(last, truth.mask, labels)
        pictures = []
        for row in rows:
            frame = _frame(samples, truth, row, lead_time=lead_time)
            for image, field in zip(images, frame.fields, strict=True):
                image.set_data(thinned(field, most=_MAX_PIXELS))
            title.set_text(f"{trajectory.stem}: {frame.time:.6g} {escaped(labels.times)} ahead")
            pictures.append(_picture(figure))
    return Animation(pictures, _MILLISECONDS)


def _picture(figure: "Figure") -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _first_rollout(samples: Samples, trajectory: Path) -> list[int]:
    """Its rows, by lead."""
    own = [i for i, shot in enumerate(samples.snapshots) if shot.trajectory == trajectory.stem]
    starts = [row for row in own if samples.snapshots[row].lead == 1]
    end = starts[1] if len(starts) > 1 else (own[-1] + 1 if own else 0)
    rows = [row for row in own if row < end]
    if len(rows) < 2:
        raise FlexbenchError(f"{samples.path}: no rollout of {trajectory.stem} to be shown")
    return rows


def _frame(samples: Samples, truth: Trajectory, row: int, *, lead_time: float) -> _Frame:
    shot, members = samples.snapshots[row], samples.ensemble(row)[:, 0]
    spread = members.std(axis=0, ddof=1) if len(members) > 1 else np.zeros_like(members[0])
    fields = (truth.snapshot(shot.index), members[0], members.mean(axis=0), spread)
    return _Frame(fields, lead_time * shot.lead)


def _stage(
    last: _Frame, mask: Mask | None, labels: "Labels"
) -> "tuple[Figure, list[AxesImage], Any]":
    """The figure with its panels; scales hold for all leads and are those of the last one.

    mask: 1 outside the flow, which is grey and sets no end of a scale.
    """
    figure = style.new_figure(width=_WIDTH, height=_HEIGHT)
    figure.set_dpi(_DPI)
    title = figure.suptitle(" ", fontsize=9.5)
    values = field_scale(in_flow(last.fields[0], mask), labels)
    amount = amount_scale([in_flow(last.fields[3], mask)])
    images = []
    axes = list(figure.subplots(1, len(_PANELS)))
    for axis, name, field in zip(axes, _PANELS, last.fields, strict=True):
        look = amount if name == _PANELS[-1] else values
        images.append(_show(axis, field, title=name, look=look))
        if mask is not None:
            style.grey_out(axis, thinned(mask, most=_MAX_PIXELS))
    bar: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 30, "pad": 0.03}
    for image, beside, name in (
        (images[0], axes[:3], labels.field),
        (images[3], axes[3:], "spread"),
    ):
        text = f"{escaped(name)} [{escaped(labels.unit)}]"
        figure.colorbar(image, ax=beside, label=text, **bar)
    return figure, images, title


def _show(axis: "Axes", field: Field, *, title: str, look: dict[str, Any]) -> "AxesImage":
    axis.grid(False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title)
    return axis.imshow(thinned(field, most=_MAX_PIXELS), origin="lower", **look)
