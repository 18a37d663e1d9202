"""Every figure by name: `draw_figure` draws it, `save` writes it.

A figure is the module of its name in this folder, with `draw(inputs, case)`, and its entry in the
catalogue.
"""

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexbench.atomic import replacing
from flexbench.errors import FlexbenchError
from flexbench.report import style
from flexbench.report.animation import Animation
from flexbench.report.catalogue import FIGURES
from flexbench.report.inputs import ReportInputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What would make two runs of the same drawing differ by a byte is left out.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


def draw_figure(name: str, inputs: ReportInputs, *, case: str) -> "Figure | Animation":
    """One figure of one case; FlexbenchError names the figures or cases that exist."""
    if name not in FIGURES:
        raise FlexbenchError(f"figure '{name}' does not exist; allowed: {', '.join(FIGURES)}")
    if case not in inputs.config.cases:
        allowed = ", ".join(inputs.config.cases)
        raise FlexbenchError(f"case '{case}' is not in the configuration; allowed: {allowed}")
    module = importlib.import_module(f"{__name__}.{name}")
    with style.look(inputs.config.all_methods):
        drawn: Figure | Animation = module.draw(inputs, case)
    return drawn


def save(drawn: "Figure | Animation", path: Path) -> None:
    """Write a figure as PNG at `path` and as PDF beside it, or an animation as GIF, atomically.

    The PNG tells where its colours are values (`style.value_boxes`), so that the page can turn all
    else dark.
    The same drawing gives the same bytes.
    """
    if isinstance(drawn, Animation):
        drawn.write(path)
        return
    panels = json.dumps(style.value_boxes(drawn))
    for kind, metadata in _METADATA.items():
        told = {style.PANELS: panels} if kind == "png" else {}
        with style.look(), replacing(path.with_suffix(f".{kind}")) as temporary:
            drawn.savefig(
                temporary, format=kind, metadata=metadata | told, dpi=style.raster_dpi(drawn)
            )
