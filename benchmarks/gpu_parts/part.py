"""What a part of the benchmark is: a name, a share of the time, and cases that give numbers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gpu_parts.backend import Backend, backend_of

Value = float | int | str
Numbers = dict[str, Value]


@dataclass(frozen=True)
class Case:
    """One row to be: its name, and what measures it."""

    name: str
    measure: Callable[[], Numbers]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: numbers by column, or, in a line, why there are none."""

    case: str
    numbers: Numbers = field(default_factory=dict)
    left_out: str = ""


class Bench:
    """What a part is given: what kind of device, whether at toy size, and until when.

    The device is asked for at first use, for a part whose own processes use it must not.
    """

    def __init__(self, kind: str, *, dry: bool, seconds: float):
        self.kind, self.dry = kind, dry
        self._end = time.monotonic() + seconds
        self._backend: Backend | None = None

    @property
    def left(self) -> float:
        """Seconds of the part's share that are left."""
        return self._end - time.monotonic()

    @property
    def backend(self) -> Backend:
        """The device; FlexbenchError where there is none."""
        if self._backend is None:
            self._backend = backend_of(self.kind)
        return self._backend


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part: `cases` yields what to measure, in the order of importance.

    about: plain sentences on what is measured and what the numbers mean. columns: header -> how
    its numbers are written. weight: of its share of the time that is left. least: seconds below
    which it is not begun. needed: without it, nothing else is.
    """

    name: str
    title: str
    about: str
    columns: dict[str, str]
    cases: Callable[[Bench], Iterator[Case]]
    weight: float
    least: float
    needed: bool = False
