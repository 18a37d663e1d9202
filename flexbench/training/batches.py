"""Which patches a step sees, cut for processes and micro-batches, drawn one step ahead."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import torch

from flexbench.config import TrainSettings
from flexbench.data.joint import JointWindows
from flexbench.data.patches import Windows
from flexbench.training.distributed import Processes


class PatchSource(Protocol):
    """A patch sampler: patch number i is the same whatever the batch, worker or order."""

    def draw(self, indices: Sequence[int]) -> Windows | JointWindows: ...


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Some rows of a step's global batch: of one task, or the same rows of each of several."""

    rows: range
    windows: Windows | JointWindows


class Batches:
    """This process's micro-batches of each step; the next step's are read while one computes.

    tasks: how many share a batch.
    """

    def __init__(
        self,
        sampler: PatchSource,
        *,
        settings: TrainSettings,
        processes: Processes,
        device: torch.device,
        tasks: int = 1,
    ) -> None:
        self._sampler = sampler
        self._settings = settings
        self._rows = settings.batch // tasks
        self._size = settings.rows(tasks=tasks)
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
        offset = step * self._rows
        rows = [self._first_row + i * self._size for i in range(self._settings.accumulate)]
        return [_draw(self._sampler, offset, row, self._size, pin=self._pin) for row in rows]


def fixed_batches(
    sampler: PatchSource, settings: TrainSettings, *, tasks: int
) -> Iterator[MicroBatch]:
    """The patches that every validation looks at, numbered 0, 1, ... over all its batches."""
    size = settings.rows(tasks=tasks)
    for row in range(0, settings.validation_batches * settings.batch // tasks, size):
        yield _draw(sampler, 0, row, size, pin=False)


def _draw(sampler: PatchSource, offset: int, row: int, size: int, *, pin: bool) -> MicroBatch:
    windows = sampler.draw(range(offset + row, offset + row + size))
    return MicroBatch(rows=range(row, row + size), windows=windows.pinned() if pin else windows)
