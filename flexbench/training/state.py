"""Restart points: everything a training needs to go on as if it had never been stopped.

    <state_dir>/lock                          who trains here
    <state_dir>/<digest>/step-000000120.pt    state after 120 steps; the last two are kept
    <state_dir>/<digest>/log.jsonl            the log so far

The digest names what is trained (settings, seed, metadata, shapes), so the state of other settings
stays beside, unused. There are no generator states: streams are found again by step. Files are
plain tensors and numbers, read with `weights_only=True`.
"""

import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flexbench.atomic import replacing
from flexbench.config import PACE, TrainSettings
from flexbench.errors import FlexbenchError
from flexbench.models.layout import Layout
from flexbench.provenance import digest_of

KEPT = 2


@dataclass(kw_only=True)
class TrainingState:
    """All of a training's state after `step` optimiser steps, under names.

    network, average: weights by name. optimizer: its tensors by parameter name. layout: of the
    network's maps, which decides the last digits.
    elapsed: seconds of training so far. loss_sum, loss_count: of the steps since the last log row.
    validation: {"last": {"step", "loss"}, "best": ...} once there is one.
    """

    step: int
    seed: int
    digest: str
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    average_updates: int
    optimizer: dict[str, dict[str, Any]]
    layout: Layout
    elapsed: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    validation: dict[str, dict[str, float]] = field(default_factory=dict)
    parameters_without_gradient: list[str] = field(default_factory=list)


class StateFolder:
    """The restart points of one digest below `folder`; `say` receives messages."""

    def __init__(self, folder: Path, digest: str, *, say: Callable[[str], None]) -> None:
        self.root = Path(folder)
        self.digest = digest
        self.path = self.root / digest
        self._say = say

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    def newest(self) -> Path | None:
        """The latest readable restart point, or None; what is unreadable or foreign is told."""
        others = sorted(p.parent.name for p in self.root.glob(f"*/{_name('*')}"))
        foreign = [name for name in dict.fromkeys(others) if name != self.digest]
        if foreign:
            self._say(
                f"{self.root}: state of other settings is set aside, not used "
                f"({', '.join(foreign)}); delete it if it is not wanted"
            )
        for path in reversed(self._points()):
            try:
                read_state(path)
            except FlexbenchError as error:
                self._say(f"{error}; the one before it is tried")
            else:
                return path
        return None

    def save(self, state: TrainingState) -> Path:
        """Write a restart point atomically, then drop all but the last two.

        Later ones can only be unreadable ones, or this training would have gone on from them.
        """
        path = self.path / _name(f"{state.step:09d}")
        with replacing(path) as temporary:
            # Not asdict, which would copy every tensor.
            torch.save({f.name: getattr(state, f.name) for f in fields(state)}, temporary)
        points = self._points()
        place = points.index(path)
        for old in points[: max(0, place + 1 - KEPT)] + points[place + 1 :]:
            old.unlink()
        return path

    def _points(self) -> list[Path]:
        return sorted(self.path.glob(_name("*")))


def read_state(path: Path) -> TrainingState:
    """A restart point, on the CPU; FlexbenchError if it is cut off or of another kind.

    The file is mapped: its tensors are read when they are copied from.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return TrainingState(**saved)
    except (OSError, RuntimeError, EOFError, TypeError, ValueError, pickle.UnpicklingError):
        size = path.stat().st_size if path.exists() else 0
        raise FlexbenchError(f"{path}: not a whole training state ({size} bytes)") from None


def clear_state(state_dir: Path) -> None:
    """Remove a finished training's state folder (once its outputs and receipt are written)."""
    shutil.rmtree(state_dir, ignore_errors=True)


def training_digest(
    settings: TrainSettings, *, seed: int, metadata: Mapping[str, Any], network: nn.Module
) -> str:
    """Digest of what is trained: another one means that a state must not be used."""
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    learnt = settings.model_dump(mode="json", exclude=PACE["train"])
    return digest_of([learnt, seed, dict(metadata), shapes])


def optimizer_state(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Any]:
    """The optimiser's tensors by parameter name (references, not copies)."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in network.named_parameters()
        if parameter in optimizer.state
    }


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, network: nn.Module, saved: Mapping[str, Any]
) -> None:
    """Give an optimiser over `network.parameters()` the state that `optimizer_state` saved."""
    names = [name for name, _ in network.named_parameters()]
    optimizer.load_state_dict(
        {
            "state": {i: saved[name] for i, name in enumerate(names) if name in saved},
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )


def _name(step: str) -> str:
    return f"step-{step}.pt"
