"""What all verbs share: the application, their common options, the graph that these ask for."""

import inspect
import io
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TextIO

import typer

from flexbench import BENCHMARK_VERSION, __version__
from flexbench.cli import completion
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout, job_of_log

if TYPE_CHECKING:
    from flexbench.config import Config
    from flexbench.config.reading import Origin
    from flexbench.graph import Graph

app = typer.Typer(
    name="flexbench",
    # Asked for nothing it shows its help, which is no error.
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What `--help` puts the verbs under, in this order.
PANELS = ("Run the graph", "One step of it", "What was made", "Regression gate", "Look and check")
RUN, STEPS, RESULTS, GATE, TOOLS = PANELS

Tier = Annotated[
    str | None,
    typer.Option(
        help="smoke, gate, desk (default), study, lab or paper", autocompletion=completion.tiers
    ),
]
OwnFile = Annotated[
    Path | None,
    typer.Option("--config", help="a YAML file of your own: what differs from its tier's"),
]
Resolved = Annotated[
    Path | None,
    typer.Option("--resolved", help="instead: a whole configuration, as a run wrote it"),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value over the tier, such as train.steps=100", metavar="K=V"),
]
Log = Annotated[Path | None, typer.Option(help="also write what is printed to this file")]
Task = Annotated[
    str,
    typer.Argument(
        help="a task of the configuration, such as superres_x4", autocompletion=completion.tasks
    ),
]
Training = Annotated[
    str,
    typer.Argument(
        help="a task, or those learnt together: a+b", autocompletion=completion.trainings
    ),
]
Case = Annotated[
    str,
    typer.Argument(
        help="a task, or one on other flows: superres_x4, forecast.no_slip",
        autocompletion=completion.cases,
    ),
]
Method = Annotated[
    str,
    typer.Argument(
        help="a method of the configuration, such as flex", autocompletion=completion.methods
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="training seed")]

# What every verb takes that is about a configuration; steps of the graph have a log, too.
_COMMON: dict[str, Any] = {"tier": Tier, "config": OwnFile, "resolved": Resolved, "set_": Set}
_STEP = {**_COMMON, "log": Log}


def _print_version(asked: bool) -> None:
    if asked:
        print(f"flexbench {__version__} (benchmark version {BENCHMARK_VERSION})")
        raise typer.Exit


@app.callback(help="An open benchmark of diffusion models for turbulent flow.")
def of_all_verbs(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print it")
    ] = False,
) -> None:
    """Options of the program itself, which are done with before a verb is looked for."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def graph_verb(
    panel: str, *, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a verb whose first parameter is the graph that its common options ask for."""
    common = _STEP if panel == STEPS else _COMMON

    def register(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function).parameters.values()

        def command(**arguments: Any) -> None:
            function(graph_of(**{key: arguments.pop(key) for key in common}), **arguments)

        options = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for key, kind in common.items()
        ]
        kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        signature = inspect.Signature([*kept, *options])
        command.__dict__["__signature__"] = signature
        command.__annotations__ = {key: it.annotation for key, it in signature.parameters.items()}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        app.command(name, rich_help_panel=panel)(command)
        return function

    return register


def graph_of(
    tier: str | None = None,
    config: Path | None = None,
    resolved: Path | None = None,
    set_: list[str] | None = None,
    log: Path | None = None,
) -> "Graph":
    """The graph of the configuration that the options of a verb ask for.

    config: a user's own file, over its tier. resolved: a whole configuration. FlexbenchError where
    both are given.
    """
    from flexbench.config.reading import load_config

    if log is not None:
        _also_print_to(log)
    if resolved is not None:
        if config is not None:
            raise FlexbenchError("--config and --resolved: give one of them")
        return located(load_config(overrides_of(tier, set_), resolved=resolved))
    asked = asked_of(tier, config, set_)
    return located(load_config(asked.values, origins=asked.origins))


def located(config: "Config") -> "Graph":
    """The graph of a configuration; of results below the checkout, where the user stands in it,
    paths stay as short as he would write them."""
    from flexbench.graph import Graph

    return Graph.of(config, start=Path() if Path.cwd() == checkout() else None)


class Asked(NamedTuple):
    """values: all that differs from the tier's file. options: of these, what a user's own file does
    not say, but the command line and the profile. file: the user's own, which Snakemake reads too.
    origins: where the values come from, those that win first.
    """

    values: dict[str, Any]
    options: dict[str, Any]
    file: Path | None
    origins: list["Origin"]


def asked_of(
    tier: str | None,
    config: Path | None,
    assignments: list[str] | None,
    *,
    given: Mapping[str, Any] | None = None,
) -> Asked:
    """What a verb is asked for: a profile's part, over it a user's file, then the options.

    given: the profile's part of the configuration.
    """
    from flexbench.config.reading import COMMAND_LINE, Origin, read_own
    from flexbench.nested import merge

    given, own = given or {}, read_own(config) if config else {}
    options = overrides_of(tier, assignments)
    return Asked(
        values=merge(merge(given, own), options),
        options=merge({key: value for key, value in given.items() if key not in own}, options),
        file=config,
        origins=[
            Origin(COMMAND_LINE, options),
            *([Origin(config.name, own)] if config else ()),
            *([Origin("profile", given)] if given else ()),
        ],
    )


def overrides_of(tier: str | None, assignments: list[str] | None) -> dict[str, Any]:
    from flexbench.config.reading import parse_assignments

    overrides = parse_assignments(assignments or [])
    return {"tier": tier} | overrides if tier else overrides


def _also_print_to(path: Path) -> None:
    """Copy standard error to a rule's log, and say on the terminal which job each line is of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = Tee(path, sys.stderr)


class Tee(io.TextIOBase):
    """Writes whole lines; is no terminal, so no progress bar is drawn into it."""

    def __init__(self, path: Path, terminal: TextIO):
        self.path, self._terminal = path, terminal
        self._log = path.open("ab", buffering=0)
        self._job = job_of_log(path)

    def write(self, text: str) -> int:
        with suppress(OSError):  # a full disk is told by those who write results
            self._log.write(text.encode("utf-8", "backslashreplace"))
        for line in text.splitlines():
            if line.strip():
                self._terminal.write(f"  {self._job}: {line}\n")
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()
