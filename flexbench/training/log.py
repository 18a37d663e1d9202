"""What a training tells: a log of rows in a file, and a live line for whoever watches."""

import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flexbench.atomic import replacing, telling_full, write_text

# Where nobody watches live, a line this often is enough.
SPARSE_SECONDS = 30.0


class TrainingLog:
    """JSON lines {step, loss, lr, grad_norm, seconds, examples_per_second [, validation_loss]}.

    step: optimiser steps done. loss: mean over the steps since the row before. seconds: of
    training so far, over all its runs.

    The rows grow in `path`, inside the state folder, where runners delete nothing; `publish`
    copies them to where readers look.
    """

    def __init__(self, path: Path, *, resumed_step: int) -> None:
        """Rows after `resumed_step` belong to steps that will be done again: they are dropped."""
        self.path = path
        kept = [row for row in read_log(path) if row["step"] <= resumed_step]
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        self.last_loss: float | None = kept[-1]["loss"] if kept else None
        self._file: TextIO = path.open("a", encoding="utf-8")

    def append(self, row: dict[str, Any]) -> None:
        """Add a row; it survives a kill of this process."""
        with telling_full(self.path):
            self._file.write(json.dumps(row, allow_nan=False) + "\n")
            self._file.flush()
        self.last_loss = row["loss"]

    def publish(self, target: Path) -> None:
        """Copy all rows so far to `target`, atomically."""
        os.fsync(self._file.fileno())
        with replacing(target) as temporary:
            shutil.copyfile(self.path, temporary)

    def close(self) -> None:
        # Every row was flushed; what a full disk did not take cannot be written now either.
        with suppress(OSError):
            self._file.close()

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole rows of a log, in order; a last line that a kill cut off is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break
        rows.append(row)
    return rows


class Narrator:
    """Tells on standard error how a training goes.

    live: a bar with rate, time left and loss, if standard error is a terminal; else a plain line
    now and then, as fits the log file of a job. quiet: nothing at all (processes other than main).
    """

    def __init__(self, *, steps: int, live: bool, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False)
        self._steps = steps
        self._last_line = -float("inf")
        self._bar: Progress | None = None
        if live and not quiet and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("loss {task.fields[loss]:.4g}  {task.fields[rate]:.1f} examples/s"),
                TimeRemainingColumn(),
                console=self._console,
            )

    def __enter__(self) -> "Narrator":
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task("training", total=self._steps, loss=float("nan"), rate=0.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, message: str) -> None:
        """A message that must be seen."""
        self._console.print(message, markup=False)

    def row(self, row: dict[str, Any]) -> None:
        """Progress, from a row of the log."""
        rate = row["examples_per_second"]
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=row["step"], loss=row["loss"], rate=rate)
            return
        last = row["step"] == self._steps
        if not last and time.monotonic() - self._last_line < SPARSE_SECONDS:
            return
        self._last_line = time.monotonic()
        checked = row.get("validation_loss")
        tail = "" if checked is None else f", validation loss {checked:.4g}"
        left = row["seconds"] * (self._steps / row["step"] - 1)
        self.say(
            f"step {row['step']}/{self._steps}: loss {row['loss']:.4g}{tail}, "
            f"{rate:.1f} examples/s, {row['seconds']:.0f} s, {left:.0f} s left"
        )
