"""Several processes, one training: torchrun's environment, gloo on the CPU, nccl on GPUs.

Every process computes its slice of the same global batch and the gradients are averaged, so two
processes give what one gives, up to the order of sums. Only the main process (rank 0) writes.
gloo is tested with two processes; nccl was never run here.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from flexbench.errors import FlexbenchError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among all that train together."""

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def mean_and_any(
        self, value: torch.Tensor, flag: bool, *, device: torch.device
    ) -> tuple[float, bool]:
        """The mean of a scalar, and whether any process raises the flag: the same for all."""
        if self.count == 1:
            return float(value), flag
        both = torch.tensor([0.0, float(flag)], dtype=torch.float64, device=device)
        both[0] = value.detach()
        dist.all_reduce(both)
        return float(both[0]) / self.count, bool(both[1] > 0)

    def share(self, value: Value) -> Value:
        """The main process's value, in every process."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()

    def wrap(self, module: nn.Module, *, device: torch.device, unused: bool) -> nn.Module:
        """The module, its gradients averaged over the processes after each backward pass.

        unused: whether some parameters never receive a gradient (costs a search in every step).
        Buffers follow the main process's.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[device] if device.type == "cuda" else None,
            find_unused_parameters=unused,
        )


def gradients_kept_local(module: nn.Module) -> AbstractContextManager[None]:
    """Inside, backward passes add to the local gradients without averaging (accumulation)."""
    if isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def is_main() -> bool:
    """Whether this process writes: rank 0, by torchrun's environment; true without torchrun."""
    return _environment_number("RANK", 0) == 0


@contextmanager
def process_group(device: torch.device, *, expected: int) -> Iterator[Processes]:
    """Join the processes that torchrun started; alone without torchrun.

    expected: `train.processes`; FlexbenchError if another number was started.
    """
    count = _environment_number("WORLD_SIZE", 1)
    if count != expected:
        raise FlexbenchError(
            f"train.processes: found {expected}, but {count} process(es) were started; start them "
            f"with torchrun --nproc-per-node {expected}, or set train.processes to {count}"
        )
    if count == 1:
        yield Processes()
        return
    joined_here = not dist.is_initialized()
    if joined_here:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(rank=dist.get_rank(), count=dist.get_world_size())
    finally:
        if joined_here:
            dist.destroy_process_group()


def _environment_number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise FlexbenchError(f"environment {name}: found '{text}', allowed: a number") from None
