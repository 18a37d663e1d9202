"""What the suite does on a GPU, in one table: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py [--minutes 8] [--parts machine solver ...] [--output FILE.md ...]
    python benchmarks/gpu.py --dry

Each part runs in a process of its own and is given a share of the minutes. What fails, or does not
fit into its share, is left out with a line that says why, and the rest goes on. Tables are printed
after every part, and saved after every row, so that nothing measured is lost when this is ended.
What the parts say besides, whole errors too, goes into a log in the folder of temporary files.

--dry runs every branch at toy size on the CPU, within a minute; its numbers mean nothing.
"""

import argparse
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from gpu_parts import PARTS
from gpu_parts.report import require_format, save, table_of
from gpu_parts.run import Result, run_parts
from rich.console import Console

from flexbench.errors import FlexbenchError

# Of the minutes, what starting Python and ending processes takes.
RESERVE_SECONDS = 10.0


def main() -> None:
    start = time.monotonic()
    # So that the part's process is ended, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    options = _parser().parse_args()
    try:
        outputs = [require_format(path) for path in options.output]
    except FlexbenchError as error:
        sys.exit(str(error))
    console, printed = Console(), 0
    log = Path(tempfile.mkstemp(prefix="flexbench-gpu-", suffix=".log")[1])
    console.print(f"log: {log}", soft_wrap=True)

    def tell(results: list[Result]) -> None:
        for path in outputs:
            save(results, path)

    parts = [part for part in PARTS if part.name in options.parts or part.needed]
    seconds = 60 * options.minutes - RESERVE_SECONDS - (time.monotonic() - start)
    for results in run_parts(
        parts,
        kind="cpu" if options.dry else "cuda",
        dry=options.dry,
        seconds=seconds,
        log=log,
        tell=tell,
    ):
        for result in results[printed:]:
            console.print(table_of(result))
        printed = len(results)
    if any(result.part.needed and result.left_out for result in results):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parts = "\n\n".join(textwrap.fill(f"{part.name}: {part.about}", 100) for part in PARTS)
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"The parts, and what their numbers mean:\n\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [part.name for part in PARTS]
    parser.add_argument("--minutes", type=float, default=8.0, help="that all of it may take (8)")
    parser.add_argument("--parts", nargs="+", choices=names, default=names, help="without: all")
    parser.add_argument("--dry", action="store_true", help="every branch, at toy size, on the CPU")
    parser.add_argument(
        "--output", type=Path, nargs="+", default=[], help="files to keep: .md or .json"
    )
    return parser


if __name__ == "__main__":
    main()
