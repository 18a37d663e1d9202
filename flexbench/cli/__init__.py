"""The command line: one short function per verb; everything heavy is imported inside a verb.

A module of verbs registers them with `app`, each under a panel of `--help`.
"""

import sys

from flexbench import environment
from flexbench.cli import cluster, plan, receipts, regression, run, steps, tools, versions  # noqa: F401
from flexbench.cli.app import PANELS, app
from flexbench.errors import FlexbenchError

__all__ = ["app", "main"]

app.registered_commands.sort(key=lambda verb: PANELS.index(str(verb.rich_help_panel)))


def main() -> None:
    """Entry point: bad input ends in one line and exit code 1, never in a traceback."""
    try:
        environment.begin()
        app(prog_name="flexbench")
    except FlexbenchError as error:
        _complain(str(error))
        sys.exit(1)
    except OSError as error:
        full = "No space left" in str(error)  # HDF5 tells neither the file nor the number
        if error.filename is None and not full:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{'no space left on the device' if full else error.strerror}")
        sys.exit(1)


def _complain(message: str) -> None:
    for line in message.splitlines():
        print(f"flexbench: error: {line}", file=sys.stderr)
