"""Code of a user's file, such as a network: whatever it does wrong becomes one line that names it.

What it raises is blamed on the deepest of its lines in the traceback (`told`); what it returns, or
cannot be called with, on the function (`call`, `misreturned`); and it is given only so long to be
loaded, built and counted (`within_time`).
"""

import inspect
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from flexbench.errors import FlexbenchError

# What loading a file, building its network or counting it may take; paper-sized ones take seconds.
SECONDS = 300.0

_files: set[str] = set()


def told(error: BaseException) -> str | None:
    """`file:line: what went wrong`; None of an error that no user's file has to do with."""
    stack = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in stack if frame.filename in _files]
    if isinstance(error, SyntaxError) and error.filename in _files:
        return f"{error.filename}:{error.lineno}: not valid Python ({error.msg})"
    if not own:
        return None
    if isinstance(error, SystemExit):
        what = f"ends the program (exit code {error.code!r}), which is not its to end"
    else:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    return f"{own[-1].filename}:{own[-1].lineno}: {what}"


@contextmanager
def running(path: Path) -> Iterator[None]:
    """Inside, and ever after, lines of this file are to blame for what they raise."""
    _files.add(str(path))
    try:
        with within_time(path, "loading it"):
            yield
    except (KeyboardInterrupt, FlexbenchError):
        raise
    except BaseException as error:
        raise FlexbenchError(told(error) or f"{path}: {type(error).__name__}: {error}") from error


def file_of(function: Callable[..., Any]) -> str:
    """The file that a function stands in."""
    return place(function).rpartition(":")[0]


def place(function: Callable[..., Any]) -> str:
    """`file:line` of a function or method; of another thing that can be called, of its kind."""
    code = getattr(inspect.unwrap(function), "__code__", None) or type(function).__call__.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of a user's; FlexbenchError where it does not take what it is given."""
    try:
        inspect.signature(function).bind(*arguments, **options)
    except TypeError as error:
        raise FlexbenchError(f"{place(function)}: {function.__name__}: {error}") from None
    return function(*arguments, **options)


def misreturned(function: Callable[..., Any], found: Any, *, wanted: str) -> FlexbenchError:
    """The error of a function that returned something else than what its contract says."""
    shape = getattr(found, "shape", None)
    kind = type(found)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    what = name if shape is None else f"{name} of {found.dtype}, of shape {tuple(shape)}"
    what = "None" if found is None else what
    text = f"{place(function)}: {function.__name__} returned {what}, must be {wanted}"
    return FlexbenchError(text)


def require_like(function: Callable[..., Any], found: Any, like: Any) -> None:
    """FlexbenchError unless a function returned a tensor of `like`'s shape, and of real numbers no
    wider than its: double precision would be rounded away, or make all that follows it slow."""
    real = getattr(found, "is_floating_point", lambda: False)()
    if not real or found.shape != like.shape or found.dtype.itemsize > like.dtype.itemsize:
        wanted = f"a tensor of {like.dtype}, of shape {tuple(like.shape)}"
        raise misreturned(function, found, wanted=wanted)


@contextmanager
def within_time(path: Path | str, what: str) -> Iterator[None]:
    """End the program, in one line, where the block is not over after `SECONDS`.

    An endless loop, or one that waits for an answer, cannot be talked to from within Python.
    """
    thread = threading.get_ident()

    def end() -> None:
        line = _line_in(sys._current_frames().get(thread), str(path))
        print(
            f"flexbench: error: {path}{line}: {what} was not over after {SECONDS:g} s; "
            "is there a loop without end?",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    timer = threading.Timer(SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _line_in(frame: FrameType | None, path: str) -> str:
    """`:line` at which a thread is in a file; empty where it is not."""
    while frame is not None:
        if frame.f_code.co_filename == path:
            return f":{frame.f_lineno}"
        frame = frame.f_back
    return ""
