"""Stopping in good order: a signal sets a flag, the loop saves and leaves."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Context in which SIGTERM and SIGINT only leave a note in `received`.

    One handler serves Slurm's time limit, scancel, requeue, pre-emption and Ctrl-C. It may be
    entered many times (Slurm follows SIGTERM with SIGCONT). A second Ctrl-C stops at once.
    Outside the main thread, where Python has no handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._former: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal, as a shell reports it: 143 for SIGTERM, 130 for SIGINT."""
        return 128 + (self.received or signal.SIGTERM)

    @property
    def name(self) -> str:
        return signal.Signals(self.received or signal.SIGTERM).name

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
