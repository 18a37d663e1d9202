"""How long sampling takes, in units of a matrix multiply that is timed beside it.

Seconds say more of the machine than of the sampler. A multiply of fixed size, timed just before
and after each snapshot in the same process, has the same machine and the same neighbours. On a
CPU both are process time, with the threads of the configuration, so that waiting for a busy
machine does not count. Nothing here draws a random number or changes a value that is sampled.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch

from flexbench.provenance import processor

MATMUL_SIDE = 384
MATMUL_REPEATS = 8


class Stopwatch:
    """Times the snapshots that are drawn; those of an earlier, killed run are never seen.

    device: where sampling happens, and so the multiply. members: per snapshot.
    """

    def __init__(self, device: torch.device, *, members: int):
        self.device, self.members = device, members
        values = torch.linspace(-1.0, 1.0, MATMUL_SIDE * MATMUL_SIDE, device=device)
        self._matrix = values.view(MATMUL_SIDE, MATMUL_SIDE)
        self._seconds: list[float] = []
        self._matmul: list[float] = []
        self._multiply()  # once for nothing: the first call sets up threads and workspaces

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Around the work on one snapshot."""
        before = self._multiply()
        start = self._now()
        yield
        self._seconds.append((self._now() - start) / self.members)
        self._matmul.append((before + self._multiply()) / 2)

    def facts(self) -> dict[str, Any]:
        """For a receipt: medians over the snapshots that were drawn; None where there are none.

        seconds_per_member: of one member of one snapshot. matmul_seconds: of one multiply.
        relative_time: their ratio, snapshot by snapshot.
        """
        ratios = [own / unit for own, unit in zip(self._seconds, self._matmul, strict=True)]
        return {
            "snapshots": len(ratios),
            "seconds_per_member": _median(self._seconds),
            "matmul_seconds": _median(self._matmul),
            "relative_time": _median(ratios),
            "matmul_side": MATMUL_SIDE,
            "threads": torch.get_num_threads(),
            "processor": self._processor(),
        }

    def _multiply(self) -> float:
        """Seconds of one multiply: the least of some, which no interruption can lower."""
        least = float("inf")
        for _ in range(MATMUL_REPEATS):
            start = self._now()
            torch.mm(self._matrix, self._matrix)
            least = min(least, self._now() - start)
        return least

    def _now(self) -> float:
        if self.device.type == "cuda":  # never run on a GPU so far
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()

    def _processor(self) -> str:
        if self.device.type == "cuda":  # never run on a GPU so far
            return torch.cuda.get_device_name(self.device)
        return processor()


def _median(values: list[float]) -> float | None:
    return median(values) if values else None
