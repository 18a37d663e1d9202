"""Time of random patch reads from one trajectory file: `python benchmarks/patch_read.py`.

Prints microseconds per patch, one reader, warm page cache: the low-level reads that flexbench
uses, h5py's slicing of the same file, and a whole draw of the sampler (from file, from memory).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from flexbench.data.patches import PatchSampler
from flexbench.data.store import Trajectory, open_readonly, write_trajectory


def microseconds(read: Callable[[int], object], count: int) -> float:
    """Best of five runs over `count` reads, per read."""
    runs = []
    for _ in range(5):
        start = time.perf_counter()
        for index in range(count):
            read(index)
        runs.append(time.perf_counter() - start)
    return min(runs) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=int, default=512, help="points per side")
    parser.add_argument("--snapshots", type=int, default=100)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--count", type=int, default=1000, help="reads per run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patches.h5"
        rng = np.random.default_rng(0)
        write_trajectory(
            path,
            (
                rng.standard_normal((options.grid, options.grid), dtype=np.float32)
                for _ in range(options.snapshots)
            ),
            time=np.arange(options.snapshots) * 0.1,
            grid=options.grid,
            reynolds=1000.0,
            seed=0,
            attributes={},
        )
        report(path, rng, options)


def report(path: Path, rng: np.random.Generator, options: argparse.Namespace) -> None:
    """Measure and print."""
    patch, count = options.patch, options.count
    first = rng.integers(0, options.snapshots, count).tolist()
    y, x = rng.integers(0, options.grid - patch + 1, (2, count)).tolist()
    out = np.empty((1, patch, patch), np.float32)

    def low_level(i: int) -> None:
        shape = {"count": 1, "stride": 1, "height": patch, "width": patch}
        trajectory.read(first[i], y=y[i], x=x[i], out=out, **shape)

    def slicing(i: int) -> None:
        _ = file["w"][first[i], y[i] : y[i] + patch, x[i] : x[i] + patch]

    shape = {"window": 1, "stride": 1, "patch": patch, "halo": 0, "seed": 0}
    on_disk = PatchSampler([path], memory_bytes=0, **shape)
    in_memory = PatchSampler([path], memory_bytes=1 << 40, **shape)
    with Trajectory(path) as trajectory, open_readonly(path) as file:
        rows = {
            "Trajectory.read": microseconds(low_level, count),
            "h5py slicing": microseconds(slicing, count),
            "PatchSampler.draw, file": microseconds(lambda i: on_disk.draw([i]), count),
            "PatchSampler.draw, memory": microseconds(lambda i: in_memory.draw([i]), count),
        }
    print(f"{patch} x {patch} patches of {options.snapshots} x {options.grid} x {options.grid}")
    for name, value in rows.items():
        print(f"{name:26} {value:7.1f} us")


if __name__ == "__main__":
    main()
