"""Where a run is shown: one line that changes on a terminal, a few plain lines anywhere else."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column

from flexbench.planning.show import duration

TENTHS = 10
BAR = 20


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A run at one moment. doing: what its jobs do, in words. left: seconds."""

    done: int
    total: int
    failed: int
    doing: list[str]
    left: float

    @property
    def text(self) -> str:
        """ "3.4 min left: training FLEX on Forecast; sampling U-Net: Forecast"."""
        failed = f", {self.failed} failed" if self.failed else ""
        doing = f": {'; '.join(self.doing)}" if self.doing else ""
        return f"{duration(self.left)} left{failed}{doing}"


class Screen:
    """Standard error, as one run at a time uses it.

    quiet: errors alone. plain: no live line, whatever standard error is.
    """

    def __init__(self, *, quiet: bool = False, plain: bool = False):
        self._quiet = quiet
        console = Console(stderr=True)
        live = sys.stderr.isatty() and not console.is_dumb_terminal and not plain
        self._bar = None if quiet or not live else _live_line(console)
        self._task: TaskID | None = None
        self._tenths = 0

    def __enter__(self) -> "Screen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str, *, error: bool = False) -> None:
        """A line that stays, above the one that changes."""
        if self._quiet and not error:
            return
        if self._bar is None:
            self.write(f"{line}\n")
            return
        with suppress(OSError):  # as it is, however long: paths are copied from it
            self._bar.console.print(
                line, markup=False, emoji=False, highlight=False, soft_wrap=True
            )

    def write(self, text: str) -> None:
        """Somebody else's words, as they come; a terminal that is gone stops no run."""
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()

    def show(self, moment: Moment) -> None:
        """How far the run is."""
        if self._bar is not None:
            with suppress(OSError):
                self._redraw(self._bar, moment)
            return
        tenths = TENTHS * moment.done // max(moment.total, 1)
        if tenths > self._tenths and moment.done < moment.total:
            self._tenths = tenths
            self.say(f"flexbench: {moment.done} of {moment.total} jobs done, {moment.text}")

    def _redraw(self, bar: Progress, moment: Moment) -> None:
        if self._task is None:
            self._task = bar.add_task(moment.text, total=moment.total)
            bar.start()
        bar.update(self._task, completed=moment.done, total=moment.total, description=moment.text)
        bar.refresh()


def _live_line(console: Console) -> Progress:
    """Refreshed by hand; what does not fit on the line is cut off."""
    return Progress(
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        BarColumn(bar_width=BAR),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        console=console,
        auto_refresh=False,
        transient=True,
        expand=True,
    )
