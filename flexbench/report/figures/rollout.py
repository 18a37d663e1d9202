"""A rollout as a small animation: truth, one member, ensemble mean, spread, lead by lead."""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from flexbench.report import style
from flexbench.report.animation import Animation
from flexbench.report.figures.parts import (
    Field,
    Mask,
    amount_scale,
    field_scale,
    in_flow,
)
from flexbench.report.labels import escaped
from flexbench.report.shown_rollout import ShownLead, ShownRollout

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


def draw(inputs: "ReportInputs", case: str) -> Animation:
    """The animation of a case that is rolled out."""
    return draw_rollout(inputs.rollout(case), labels=inputs.labels(case))


def draw_rollout(rollout: ShownRollout, *, labels: "Labels") -> Animation:
    """A picture for each lead."""
    # Of the last lead, where every colour of the scales is in use.
    figure, images, title = _stage(rollout.leads[-1], rollout.mask, labels)
    pictures = []
    for lead in rollout.leads:
        for image, field in zip(images, _fields(lead), strict=True):
            image.set_data(field)
        title.set_text(f"{rollout.trajectory}: {lead.ahead:.6g} {escaped(labels.times)} ahead")
        pictures.append(_picture(figure))
    return Animation(pictures, _MILLISECONDS)


def _fields(lead: ShownLead) -> tuple[Field, Field, Field, Field]:
    """In the order of _PANELS."""
    return lead.truth, lead.member, lead.mean, lead.spread


def _picture(figure: "Figure") -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _stage(
    last: ShownLead, mask: Mask | None, labels: "Labels"
) -> "tuple[Figure, list[AxesImage], Any]":
    """The figure with its panels; scales hold for all leads and are those of the last one.

    mask: 1 outside the flow, which is grey and sets no end of a scale.
    """
    figure = style.new_figure(width=_WIDTH, height=_HEIGHT)
    figure.set_dpi(_DPI)
    title = figure.suptitle(" ", fontsize=9.5)
    values = field_scale(in_flow(last.truth, mask), labels)
    amount = amount_scale([in_flow(last.spread, mask)])
    images = []
    axes = list(figure.subplots(1, len(_PANELS)))
    for axis, name, field in zip(axes, _PANELS, _fields(last), strict=True):
        look = amount if name == _PANELS[-1] else values
        images.append(_show(axis, field, title=name, look=look))
        if mask is not None:
            style.grey_out(axis, mask)
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
    return axis.imshow(field, origin="lower", **look)
