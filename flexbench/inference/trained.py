"""A trained network, built again as its checkpoint describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flexbench import registry
from flexbench.config import DiffusionSettings, NetworkPrecision
from flexbench.errors import FlexbenchError
from flexbench.inference.precision import answer_in
from flexbench.methods import Method, make_method
from flexbench.models.joint import OneTask
from flexbench.models.layout import lay_out, layouts_of, usual
from flexbench.sizing.counting import count_flops
from flexbench.sizing.matching import build_network
from flexbench.sizing.sizes import Flops
from flexbench.spec import JointProblem, problem_of
from flexbench.training.checkpoint import load_checkpoint, load_weights

# What sampling takes from a checkpoint's metadata; `steps.train` writes it.
NEEDED = (
    *("task", "problem", "normaliser", "network", "size", "width", "matched", "options"),
    *("diffusion", "mode"),
)


@dataclass(frozen=True)
class Trained:
    """method: on the device asked for. parameters: of the whole network. cost: of one task's."""

    method: Method
    parameters: int
    cost: Flops


def load_trained(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and metadata of a checkpoint that can be sampled from.

    Raises FlexbenchError as `load_checkpoint`, and for one that was imported: it says nothing of
    a task, of scales or of diffusion.
    """
    state, metadata = load_checkpoint(path)
    missing = [name for name in NEEDED if name not in metadata]
    if missing:
        raise FlexbenchError(
            f"{path}: not a trained checkpoint: its metadata lacks {', '.join(missing)}; "
            "`flexbench train` writes them, `flexbench import-checkpoint` does not"
        )
    return state, metadata


def rebuild(
    state: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    *,
    source: Path,
    task: str,
    device: torch.device | str = "cpu",
    folders: Sequence[str | Path] = (),
    precision: NetworkPrecision = "float32",
) -> Trained:
    """From what `load_trained` gave.

    source: the checkpoint, for messages. task: of several that it learnt, the one to do. folders:
    with network files, beside the checkout's. precision: that it samples in. Raises FlexbenchError
    for weights that do not fit.
    """
    spec = problem_of(metadata["problem"])
    network, built = build_network(
        metadata["network"],
        spec,
        size=metadata["size"],
        width=metadata["width"],
        match=metadata["matched"]["by"],
        options=metadata["options"],
        baseline_folders=folders,
    )
    load_weights(network, state, source=source)
    facts = registry.facts(metadata["network"], folders)
    lay_out(network, usual(layouts_of(channels_last=facts.channels_last)))
    cost = built.footprint.flops
    if isinstance(spec, JointProblem):
        network, spec = OneTask(network, task), spec.by_task[task]
        cost = count_flops(network, spec)
    answer_in(network, precision)
    method = make_method(
        network.to(device),
        problem=spec,
        settings=DiffusionSettings.model_validate(metadata["diffusion"]),
        mode=metadata["mode"],
    )
    return Trained(method, built.footprint.parameters, cost)
