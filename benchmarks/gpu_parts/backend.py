"""What a part measures with: a device, its clock, its memory, its precisions.

A `Backend` is all that differs between a GPU and the CPU that stands in for it under `--dry`; the
parts themselves never ask which of the two they have.
"""

import gc
import resource
import statistics
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch

from flexbench.errors import FlexbenchError
from flexbench.provenance import processor

Action = Callable[[], object]

# Calls that are not timed: kernels are chosen and memory is reserved in them.
WARM_UP = 3
# Of what is timed, and the seconds that it is repeated for at most.
FEWEST, MOST = 3, 50


@dataclass(frozen=True)
class Precision:
    """Whether products and convolutions of float32 may round to TF32; whether to autocast."""

    products: bool
    convolutions: bool
    bfloat16: bool = False


# `float32` and `bfloat16` are what flexbench computes in where `train.precision` says so (see
# `flexbench.device`); `tf32` is what torch offers besides.
PRECISIONS = {
    "float32": Precision(products=False, convolutions=False),
    "tf32": Precision(products=True, convolutions=True),
    "bfloat16": Precision(products=False, convolutions=False, bfloat16=True),
}


class Backend(ABC):
    """A kind of device. product_side, copy_bytes: of what its rates are taken from."""

    kind: ClassVar[str]
    product_side: ClassVar[int]
    copy_bytes: ClassVar[int]
    seconds_per_case: ClassVar[float]

    def __init__(self) -> None:
        self.device = torch.device(self.kind)

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """What the machine is, for the head of the table."""

    @abstractmethod
    def wait(self) -> None:
        """Until the device has done what it was told."""

    @abstractmethod
    def seconds(self, action: Action, *, repeats: int) -> list[float]:
        """Seconds of each call, one after the other."""

    @abstractmethod
    def captured(self, action: Action) -> Action:
        """What does the same as `action` with a single launch, where the device can."""

    @abstractmethod
    def forget_peak(self) -> None:
        """Let go of memory that nothing holds, and count the peak from here."""

    @abstractmethod
    def peak_bytes(self) -> int:
        """The most memory that was held at once since `forget_peak`."""

    def median_seconds(self, action: Action) -> float:
        """Median over some calls, after others that are not timed."""
        for _ in range(WARM_UP):
            action()
        self.wait()
        (first,) = self.seconds(action, repeats=1)
        wanted = round(self.seconds_per_case / max(first, 1e-6))
        return statistics.median(self.seconds(action, repeats=min(max(wanted, FEWEST), MOST)))

    @contextmanager
    def precision(self, name: str) -> Iterator[None]:
        """Inside, a precision of `PRECISIONS`; KeyError on any other."""
        wanted = PRECISIONS[name]
        products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
        former = products.allow_tf32, convolutions.allow_tf32
        products.allow_tf32, convolutions.allow_tf32 = wanted.products, wanted.convolutions
        try:
            with torch.autocast(self.kind, dtype=torch.bfloat16, enabled=wanted.bfloat16):
                yield
        finally:
            products.allow_tf32, convolutions.allow_tf32 = former

    def product_rate(self, precision: str) -> float:
        """FLOP per second of a square matrix product; a multiply-add is two."""
        side = self.product_side
        left, right = torch.randn(2, side, side, device=self.device).unbind()
        if PRECISIONS[precision].bfloat16:
            left, right = left.bfloat16(), right.bfloat16()
        out = torch.empty_like(left)
        with self.precision(precision):
            return 2 * side**3 / self.median_seconds(lambda: torch.mm(left, right, out=out))

    def copy_rate(self) -> float:
        """Bytes per second that a large copy on the device reads and writes, both counted."""
        source = torch.zeros(self.copy_bytes, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return 2 * self.copy_bytes / self.median_seconds(lambda: target.copy_(source))


class Cpu(Backend):
    """One core, on which every branch can be run at toy size; its numbers mean nothing."""

    kind = "cpu"
    product_side = 256
    copy_bytes = 1 << 22
    seconds_per_case = 0.01

    def facts(self) -> dict[str, str]:
        return {"card": f"none: a dry run on {processor()}", "torch": torch.__version__}

    def wait(self) -> None:
        """A CPU has done what it was told when the call returns."""

    def seconds(self, action: Action, *, repeats: int) -> list[float]:
        found = []
        for _ in range(repeats):
            start = time.perf_counter()
            action()
            found.append(time.perf_counter() - start)
        return found

    def captured(self, action: Action) -> Action:
        """The action itself: nothing is launched on a CPU."""
        return action

    def forget_peak(self) -> None:
        gc.collect()

    def peak_bytes(self) -> int:
        """Of the whole process: its peak cannot be forgotten."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Cuda(Backend):
    """The GPU that torch sees first."""

    kind = "cuda"
    product_side = 8192
    copy_bytes = 1 << 30
    seconds_per_case = 0.5

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise FlexbenchError("torch sees no GPU; --dry runs everything at toy size on a CPU")
        super().__init__()

    def facts(self) -> dict[str, str]:
        card = torch.cuda.get_device_properties(self.device)
        return {
            "card": f"{card.name}, {card.total_memory / 2**30:.0f} GiB, "
            f"compute capability {card.major}.{card.minor}",
            "torch": torch.__version__,
            "CUDA": str(torch.version.cuda),
            "cuDNN": str(torch.backends.cudnn.version()),
            "driver": _driver(),
        }

    def wait(self) -> None:
        torch.cuda.synchronize()

    def seconds(self, action: Action, *, repeats: int) -> list[float]:
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
        marks[0].record()
        for mark in marks[1:]:
            action()
            mark.record()
        self.wait()
        return [before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)]

    def captured(self, action: Action) -> Action:
        """A CUDA graph of the action, replayed on the same memory."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                action()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            action()
        return graph.replay

    def forget_peak(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        return torch.cuda.max_memory_allocated()


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({type(error).__name__})"
    return ", ".join(sorted(set(found.stdout.split())))


BACKENDS: dict[str, type[Backend]] = {backend.kind: backend for backend in (Cpu, Cuda)}


def backend_of(kind: str) -> Backend:
    """FlexbenchError on a kind that is none of `BACKENDS`, and where there is no such device."""
    if kind not in BACKENDS:
        raise FlexbenchError(f"device: found {kind!r}, allowed: {', '.join(BACKENDS)}")
    return BACKENDS[kind]()
