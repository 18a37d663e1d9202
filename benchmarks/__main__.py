"""All benchmarks, one after the other: `python benchmarks`."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What measures nothing by itself: it is given folders, or is a part of another one; and what needs
# a GPU.
OTHERS = {"same_numbers", "finished_run", "calibrated", "null_models", "time_to_accuracy"}
OTHERS |= {"solver_peer", "gpu", "tuning", "fit_cost", "trend", "inflated"}


def main() -> None:
    """Run every benchmark of this folder in a process of its own."""
    scripts = sorted(HERE.glob("[a-z]*.py"))
    for script in (path for path in scripts if path.stem not in OTHERS):
        print(f"\n== {script.stem}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    main()
