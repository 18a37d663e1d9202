"""A trained network, built again as its checkpoint describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flexbench.config import DiffusionSettings
from flexbench.methods import Method, make_method
from flexbench.models.joint import OneTask
from flexbench.sizing import Flops, build_network, count_flops
from flexbench.spec import JointProblem, problem_of
from flexbench.training.checkpoint import load_weights


@dataclass(frozen=True)
class Trained:
    """method: on the device asked for. parameters: of the whole network. cost: of one task's."""

    method: Method
    parameters: int
    cost: Flops


def rebuild(
    state: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    *,
    source: Path,
    task: str,
    device: torch.device | str = "cpu",
    folders: Sequence[str | Path] = (),
) -> Trained:
    """From what `load_checkpoint` gave.

    source: the checkpoint, for messages. task: of several that it learnt, the one to do. folders:
    with network files, beside the checkout's. Raises FlexbenchError for weights that do not fit.
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
    cost = built.footprint.flops
    if isinstance(spec, JointProblem):
        network, spec = OneTask(network, task), spec.by_task[task]
        cost = count_flops(network, spec)
    method = make_method(
        network.to(device),
        problem=spec,
        settings=DiffusionSettings.model_validate(metadata["diffusion"]),
        mode=metadata["mode"],
    )
    return Trained(method, built.footprint.parameters, cost)
