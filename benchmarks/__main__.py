"""All benchmarks, one after the other: `python benchmarks`."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPARES_RUNS = "same_numbers"  # of two folders that it has to be given


def main() -> None:
    """Run every benchmark of this folder in a process of its own."""
    scripts = sorted(HERE.glob("[a-z]*.py"))
    for script in (path for path in scripts if path.stem != COMPARES_RUNS):
        print(f"\n== {script.stem}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    main()
