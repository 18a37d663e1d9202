"""Which patches a step sees, cut for processes and micro-batches, drawn one step ahead."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

import torch

from flexbench.config import TrainSettings
from flexbench.data.patches import Windows
from flexbench.errors import FlexbenchError
from flexbench.training.distributed import Processes


class PatchSource(Protocol):
    """A patch sampler: patch number i is the same whatever the batch, worker or order."""

    def draw(self, indices: Sequence[int]) -> Windows: ...


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Rows first_row, first_row + 1, ... of a step's global batch."""

    first_row: int
    windows: Windows

    @property
    def rows(self) -> range:
        return range(self.first_row, self.first_row + len(self.windows.fields))

    def on(self, device: torch.device) -> Windows:
        """The windows on a device; from pinned memory the copy does not hold the CPU up."""
        fields = self.windows.fields.to(device, non_blocking=True)
        reynolds = self.windows.reynolds.to(device, non_blocking=True)
        return replace(self.windows, fields=fields, reynolds=reynolds)


def micro_batch_size(settings: TrainSettings) -> int:
    """Rows per micro-batch and process; FlexbenchError if the batch cannot be cut evenly."""
    parts = settings.accumulate * settings.processes
    if settings.batch % parts:
        raise FlexbenchError(
            f"train.batch: found {settings.batch}, allowed: multiples of "
            f"train.accumulate x train.processes ({parts})"
        )
    return settings.batch // parts


class Batches:
    """This process's micro-batches of each step; the next step's are read while one computes."""

    def __init__(
        self,
        sampler: PatchSource,
        *,
        settings: TrainSettings,
        processes: Processes,
        device: torch.device,
    ) -> None:
        self._sampler = sampler
        self._settings = settings
        self._size = micro_batch_size(settings)
        self._first_row = processes.rank * settings.accumulate * self._size
        self._pin = device.type == "cuda"
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="patches")
        self._ahead: tuple[int, Future[list[MicroBatch]]] | None = None

    def __enter__(self) -> "Batches":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.shutdown(wait=True, cancel_futures=True)

    def take(self, step: int) -> list[MicroBatch]:
        """The micro-batches of a step, counted from 0."""
        if self._ahead is not None and self._ahead[0] == step:
            batches = self._ahead[1].result()
        else:
            batches = self._read(step)
        if step + 1 < self._settings.steps:
            self._ahead = (step + 1, self._reader.submit(self._read, step + 1))
        return batches

    def _read(self, step: int) -> list[MicroBatch]:
        offset = step * self._settings.batch
        rows = [self._first_row + i * self._size for i in range(self._settings.accumulate)]
        return [_draw(self._sampler, offset, row, self._size, pin=self._pin) for row in rows]


def fixed_batches(sampler: PatchSource, settings: TrainSettings) -> Iterator[MicroBatch]:
    """The patches that every validation looks at, numbered 0, 1, ... over all its batches."""
    size = micro_batch_size(settings)
    for row in range(0, settings.validation_batches * settings.batch, size):
        yield _draw(sampler, 0, row, size, pin=False)


def _draw(sampler: PatchSource, offset: int, row: int, size: int, *, pin: bool) -> MicroBatch:
    windows = sampler.draw(range(offset + row, offset + row + size))
    if pin:
        fields, reynolds = windows.fields.pin_memory(), windows.reynolds.pin_memory()
        windows = replace(windows, fields=fields, reynolds=reynolds)
    return MicroBatch(first_row=row, windows=windows)
