"""Parts one after the other, each in a process of its own and within its share of the time.

A process of its own, because what goes wrong on a GPU stays: after a failed kernel the process can
do nothing more with it, a compiler may not come back, and a kill for lack of memory hits one part.
Rows are told as they are measured, so that none is lost.
"""

import math
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from gpu_parts.part import Bench, Case, Part, Row

# Seconds beyond its share after which a part that is still at a case is ended, and between looks.
GRACE, LOOK = 5.0, 0.2
LONGEST_REASON = 200


@dataclass(kw_only=True)
class Result:
    """What a part gave. share, seconds: that it was given and took. left_out: why it is not whole,
    or empty."""

    part: Part
    share: float = 0.0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    left_out: str = ""


def run_parts(
    parts: Sequence[Part],
    *,
    kind: str,
    dry: bool,
    seconds: float,
    log: Path,
    tell: Callable[[list[Result]], None],
) -> Iterator[list[Result]]:
    """Results of the parts so far, after every part, within so many seconds.

    Each part's share is that of its weight in what is left of the time, so that what one part does
    not use is there for those after it. log: gets what the parts print, and whole
    errors. tell: is called with the results after every row, too.
    """
    end = time.monotonic() + seconds
    results: list[Result] = []
    for place, part in enumerate(parts):
        result = Result(part=part)
        results.append(result)
        left = end - time.monotonic()
        result.share = max(0.0, left * part.weight / sum(it.weight for it in parts[place:]))
        failed = [it.part.name for it in results[:-1] if it.part.needed and it.left_out]
        if failed:
            result.left_out = f"not begun: part {failed[0]} failed"
        elif result.share < part.least:
            result.left_out = (
                f"not begun: it needs {part.least:.0f} s, its share is {result.share:.0f} s"
            )
        else:
            start = time.monotonic()
            limit = min(result.share + GRACE, left)
            _run(result, kind=kind, dry=dry, limit=limit, log=log, tell=lambda: tell(results))
            result.seconds = time.monotonic() - start
        tell(results)
        yield results


def in_a_line(error: BaseException) -> str:
    """What an error says, short."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _run(
    result: Result, *, kind: str, dry: bool, limit: float, log: Path, tell: Callable[[], None]
) -> None:
    """One part in its process; what is not whole is said in `result`."""
    # Forked, so that torch is not imported again; nothing here has touched a GPU before.
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(theirs, result.part, kind, dry, result.share, log)
    )
    end = time.monotonic() + limit
    process.start()
    theirs.close()
    at = "its start"
    try:
        while True:
            if ours.poll(LOOK):
                try:
                    word, content = ours.recv()
                except EOFError:
                    word, content = "died", None
                if word == "begun":
                    at = content
                elif word == "row":
                    result.rows.append(content)
                    tell()
                elif word == "ended":
                    result.left_out = content
                    return
                elif word == "died":
                    process.join()
                    result.left_out = _death(process, at)
                    return
                else:
                    raise ValueError(f"part {result.part.name} said {word!r}")
            elif not process.is_alive() and not ours.poll():
                result.left_out = _death(process, at)
                return
            if time.monotonic() > end:
                result.left_out = f"ended after {limit:.0f} s, its limit, at: {at}"
                return
    finally:
        _end(process)


def _death(process: BaseProcess, at: str) -> str:
    code = process.exitcode or 0
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
    return f"its process died {how} at: {at}"


def _end(process: BaseProcess) -> None:
    """The process and all that it started."""
    try:
        os.killpg(process.pid or 0, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()  # it has no group of its own yet, or is gone
    process.join()


def _work(say: Connection, part: Part, kind: str, dry: bool, seconds: float, log: Path) -> None:
    """In the part's process: measure case after case while there is time, and say so."""
    os.setsid()
    with log.open("ab") as sink:
        for stream in (1, 2):
            os.dup2(sink.fileno(), stream)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    reason = ""
    bench = Bench(kind, dry=dry, seconds=seconds)
    try:
        for case in part.cases(bench):
            say.send(("begun", case.name))
            say.send(("row", _measured(case, bench)))
    except Exception as error:
        traceback.print_exc()
        reason = in_a_line(error)
    say.send(("ended", reason))


def _measured(case: Case, bench: Bench) -> Row:
    if bench.left <= 0:
        return Row(case=case.name, left_out="not begun: the part's time was over")
    try:
        numbers = case.measure()
    except Exception as error:
        traceback.print_exc()
        return Row(case=case.name, left_out=in_a_line(error))
    wrong = [
        key for key, it in numbers.items() if not isinstance(it, str) and not math.isfinite(it)
    ]
    if wrong:
        return Row(case=case.name, left_out=f"not finite: {', '.join(wrong)}")
    return Row(case=case.name, numbers=numbers)
