"""How long a person waits before anything happens: `flexbench --help`, and a plan of `paper`.

python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

REPEATS = 5
COMMANDS = {
    "flexbench --help": ([sys.executable, "-m", "flexbench", "--help"], 0.5),
    "snakemake -n, tier paper": (
        [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--config", "tier=paper"],
        10.0,
    ),
}


def main() -> None:
    """Print the median wall time of each command beside its limit."""
    print(f"{'command':28} {'seconds':>8} {'limit':>6}")
    for name, (command, limit) in COMMANDS.items():
        seconds = statistics.median(wall_time(command) for _ in range(REPEATS))
        print(f"{name:28} {seconds:8.2f} {limit:6.1f}")


def wall_time(command: list[str]) -> float:
    """Seconds that one run of a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
