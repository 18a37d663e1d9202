"""How long sampling takes, in units of a yardstick that is timed beside it.

Seconds say more of the machine than of the sampler. The yardstick is a fixed piece of a network's
own kinds of work (convolutions, normalisations, activations, attention) on tensors of the size that
the smallest networks see. Timed just before and after each snapshot in the same process, it has the
same machine, the same neighbours and the same kernels. A matrix multiply alone would not do: sets
of instructions and sizes of caches move it and a sampler apart, the more so the smaller the network
is. On a CPU both are process time, with the threads of the configuration, so that waiting for a
busy machine does not count. Nothing here draws a random number or changes a value that is sampled.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch.nn import functional

from flexbench.provenance import processor

# Another yardstick has another name: times in units of two different ones do not compare.
YARDSTICK = "network-1"
BATCH, CHANNELS, SIDE = 4, 32, 16
HEADS, WIDTH = 4, 16
LAYERS, BLOCKS = 4, 2
REPEATS = 6


class Stopwatch:
    """Times the snapshots that are drawn; those of an earlier, killed run are never seen.

    device: where sampling happens, and so the yardstick. members: per snapshot.
    """

    def __init__(self, device: torch.device, *, members: int):
        self.device, self.members = device, members
        self._yardstick = Yardstick(device)
        self._seconds: list[float] = []
        self._units: list[float] = []
        self._unit()  # once for nothing: the first call sets up threads and workspaces

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Around the work on one snapshot."""
        before = self._unit()
        start = self._now()
        yield
        self._seconds.append((self._now() - start) / self.members)
        self._units.append((before + self._unit()) / 2)

    def facts(self) -> dict[str, Any]:
        """For a receipt: medians over the snapshots that were drawn; None where there are none.

        seconds_per_member: of one member of one snapshot. yardstick_seconds: of the yardstick.
        relative_time: their ratio, snapshot by snapshot.
        """
        ratios = [own / unit for own, unit in zip(self._seconds, self._units, strict=True)]
        return {
            "snapshots": len(ratios),
            "seconds_per_member": _median(self._seconds),
            "yardstick": YARDSTICK,
            "yardstick_seconds": _median(self._units),
            "relative_time": _median(ratios),
            "threads": torch.get_num_threads(),
            "processor": self._processor(),
        }

    def _unit(self) -> float:
        """Seconds of the yardstick: the least of some, which no interruption can lower."""
        least = float("inf")
        for _ in range(REPEATS):
            start = self._now()
            self._yardstick.run()
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


class Yardstick:
    """Fixed work on fixed numbers, without a random one: 1 to 10 ms of a CPU's core."""

    def __init__(self, device: torch.device):
        def wave(*shape: int) -> torch.Tensor:
            count = torch.Size(shape).numel()
            return torch.sin(torch.arange(count, device=device, dtype=torch.float32)).view(shape)

        self._map = wave(BATCH, CHANNELS, SIDE, SIDE)
        self._kernel = wave(CHANNELS, CHANNELS, 3, 3) / (9 * CHANNELS) ** 0.5
        self._tokens = wave(BATCH, SIDE * SIDE // 4, HEADS * WIDTH)
        self._heads = wave(BATCH, HEADS, SIDE * SIDE // 4, WIDTH)
        self._weights = wave(HEADS * WIDTH, HEADS * WIDTH) / (HEADS * WIDTH) ** 0.5

    @torch.inference_mode()
    def run(self) -> None:
        values = self._map
        for _ in range(LAYERS):
            active = functional.silu(functional.group_norm(values, 8))
            values = functional.conv2d(active, self._kernel, padding=1)
        tokens = self._tokens
        for _ in range(BLOCKS):
            functional.scaled_dot_product_attention(self._heads, self._heads, self._heads)
            normal = functional.layer_norm(tokens, (HEADS * WIDTH,))
            tokens = tokens + functional.gelu(functional.linear(normal, self._weights))


def _median(values: list[float]) -> float | None:
    return median(values) if values else None
