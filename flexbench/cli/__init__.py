"""The command line: one short function per verb; everything heavy is imported inside a verb.

A module of verbs registers them with `app`, each under a panel of `--help`.
"""

import atexit
import gc
import sys
import traceback
from contextlib import suppress

from flexbench import environment, user_code
from flexbench.cli import (  # noqa: F401
    cluster,
    plan,
    receipts,
    regression,
    run,
    shared,
    steps,
    submissions,
    tools,
    versions,
)
from flexbench.cli.app import PANELS, Tee, app
from flexbench.errors import FlexbenchError

__all__ = ["app", "main"]

# Objects made between two searches for garbage in circles. Python's own 700 were made for small
# programs: importing torch is a million objects that all stay, and a third of a verb's start.
COLLECT_EVERY = 10_000

app.registered_commands.sort(key=lambda verb: PANELS.index(str(verb.rich_help_panel)))


def main() -> None:
    """Entry point: bad input ends in one line and exit code 1, never in a traceback."""
    gc.set_threshold(COLLECT_EVERY)
    atexit.register(gc.freeze)  # memory ends with the process: nothing need be looked for in it
    try:
        environment.begin()
        app(prog_name="flexbench")
    except (Exception, SystemExit) as error:
        message = _in_words(error)
        if message is None:
            raise
        _complain(message)
        sys.exit(1)


def _in_words(error: Exception | SystemExit) -> str | None:
    """What a user has to know of an error; None of a fault of our own, and of an end in order."""
    blamed = user_code.told(error)
    if isinstance(error, FlexbenchError):
        cause = error.__cause__
        return str(error) + (_trace_kept(cause) if cause and user_code.told(cause) else "")
    if blamed is not None:
        return blamed + _trace_kept(error)
    if isinstance(error, OSError):
        full = "No space left" in str(error)  # HDF5 tells neither the file nor the number
        if error.filename is None and not full:
            return None
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{'no space left on the device' if full else error.strerror}"
    return None


def _trace_kept(error: BaseException) -> str:
    """Where the whole trace of an error in a user's file is: beside the job's log, if it has one.

    Not in it: Snakemake shows the log of a job that failed.
    """
    if not isinstance(sys.stderr, Tee):
        return ""
    path = sys.stderr.path.with_suffix(".trace")
    with suppress(OSError):
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return f" (whole trace: {path})"
    return ""


def _complain(message: str) -> None:
    for line in message.splitlines():
        print(f"flexbench: error: {line}", file=sys.stderr)
