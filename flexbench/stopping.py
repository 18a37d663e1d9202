"""The end of a run that somebody stops: in one line, whatever it is at."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Stopped(BaseException):
    def __init__(self, number: int):
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Ends the program in one line on Ctrl-C and SIGTERM, whatever the block is at; 128 + signal.

    While Snakemake runs it has handlers of its own.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except _Stopped as stopped:
        tell_stopped()
        raise SystemExit(128 + stopped.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_stopped() -> None:
    """On standard error."""
    print("flexbench: stopped; the same command goes on from here", file=sys.stderr)
