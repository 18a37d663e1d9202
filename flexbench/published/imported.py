"""Checkpoints of FLEX's authors, brought in with their sidecar, and ready to be sampled from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flexbench.atomic import write_text
from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.methods import Method, make_method
from flexbench.models.joint import OneTask
from flexbench.models.layout import USUAL, lay_out
from flexbench.models.official_checkpoint import convert, load_converted
from flexbench.published.sidecar import Sidecar, published_sidecar, read_sidecar, sidecar_of
from flexbench.tasks.superres import SuperResolution

_TASK = "superres"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """method: on the device asked for. task: of patches, each of which is a domain by itself."""

    method: Method
    task: SuperResolution
    sidecar: Sidecar


def bring_in(
    source: Path, output: Path, *, heads: int | None, use_ema: bool
) -> tuple[dict[str, Any], Path | None]:
    """Convert an official file, and write a sidecar unless one is there: (facts, the sidecar).

    None: the network does no super-resolution, which is all that a sidecar can describe. One that
    is there is kept, as its user may have changed it. Raises FlexbenchError as `convert`.
    """
    facts = convert(source, output, heads=heads, use_ema=use_ema)
    architecture = facts["architecture"]
    if _TASK not in architecture["tasks"]:
        return facts, None
    sidecar = sidecar_of(output)
    if not sidecar.exists():
        write_text(sidecar, published_sidecar(architecture["patch"]))
    return facts, sidecar


def load_imported(path: Path, *, device: torch.device | str = "cpu") -> Imported:
    """The network of an imported checkpoint as its sidecar describes it.

    Raises FlexbenchError in one line where the file was not imported, has no sidecar or a wrong
    one, or holds a network that does not fit it.
    """
    network = load_converted(path)
    place = sidecar_of(path)
    sidecar = read_sidecar(place)
    task = SuperResolution(
        sidecar.task,
        normaliser=Normaliser(sidecar.scales.std, sidecar.scales.std),
        periodic=False,
    )
    if _TASK not in network.task_encoders:
        known = ", ".join(network.task_encoders)
        raise FlexbenchError(f"{path}: a network of {known}; needed: one of super-resolution")
    if sidecar.task.patch != network.patch:
        raise FlexbenchError(
            f"{place}: task.patch is {sidecar.task.patch}; the network's is {network.patch}"
        )
    weights = network.state_dict()
    for name, stem in (("field", "encoder"), ("condition", f"task_encoders.{_TASK}")):
        found = weights[f"{stem}.conv.stem.weight"].shape[1]
        if found != 1:
            raise FlexbenchError(f"{path}: a {name} of {found} channels; allowed: 1")
    lay_out(network, USUAL)
    method = make_method(
        OneTask(network, _TASK).to(device),
        problem=task.spec,
        settings=sidecar.diffusion.settings,
        mode="denoiser",
    )
    return Imported(method=method, task=task, sidecar=sidecar)
