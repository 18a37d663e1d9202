"""How long a person waits before anything happens: `flexbench --help`, and a plan of `paper`.

python benchmarks/startup.py

Beside them Snakemake's own start, which is what no plan can take less than.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
FLEXBENCH = [sys.executable, "-m", "flexbench"]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--quiet", "host"]


def commands(folder: Path) -> dict[str, tuple[list[str], float | None]]:
    """Each with its limit in seconds; folder: an empty one, so that all is still to be done."""
    empty = folder / "Snakefile"
    empty.write_text("rule all:\n")
    root = f"root={folder / 'results'}"
    return {
        "flexbench --help": ([*FLEXBENCH, "--help"], 0.5),
        "snakemake -n, no rules": ([*SNAKEMAKE, "--snakefile", str(empty)], None),
        "snakemake -n, tier paper": ([*SNAKEMAKE, "--config", "tier=paper", root], None),
        "flexbench plan --tier paper": (
            [*FLEXBENCH, "plan", "--tier", "paper", "--set", root],
            6.0,
        ),
    }


def main() -> None:
    """Print the medians of wall time and of processor time beside the limit of the former."""
    print(f"{'command':28} {'seconds':>8} {'limit':>6} {'of CPU':>8}")
    with tempfile.TemporaryDirectory() as name:
        for title, (command, limit) in commands(Path(name)).items():
            walls, cpus = zip(*(measure(command) for _ in range(REPEATS)), strict=True)
            wall, cpu = statistics.median(walls), statistics.median(cpus)
            print(f"{title:28} {wall:8.2f} {limit or '-':>6} {cpu:8.2f}", flush=True)


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds that one run of a command takes, and those of the processor, user and system."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
