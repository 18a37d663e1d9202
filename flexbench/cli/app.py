"""What all verbs share: the application, their common options, the graph that these ask for."""

import io
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from flexbench.graph import Graph

app = typer.Typer(
    name="flexbench",
    help="An open benchmark of diffusion models for turbulent flow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What `--help` puts the verbs under, in this order.
PANELS = ("Run the graph", "One step of it", "What was made", "Regression gate", "Look and check")
RUN, STEPS, RESULTS, GATE, TOOLS = PANELS

Tier = Annotated[str | None, typer.Option(help="smoke, gate, desk (default), lab or paper")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="a resolved configuration")]
OwnFile = Annotated[
    Path | None,
    typer.Option("--config", help="a YAML file of your own: what differs from its tier's"),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value over the tier, such as train.steps=100", metavar="K=V"),
]
Log = Annotated[Path | None, typer.Option(help="also write what is printed to this file")]
Task = Annotated[str, typer.Argument(help="a task of the configuration, such as superres_x4")]
Case = Annotated[
    str,
    typer.Argument(help="a task, or one on other flows: superres_x4, forecast.no_slip"),
]
Method = Annotated[str, typer.Argument(help="a method of the configuration, such as flex")]
Seed = Annotated[int, typer.Option(min=0, help="training seed")]


def graph_of(
    tier: str | None, config: Path | None, assignments: list[str] | None, log: Path | None = None
) -> "Graph":
    """The graph of the configuration that the options of a verb ask for."""
    from flexbench.config.reading import load_config
    from flexbench.graph import Graph

    if log is not None:
        _also_print_to(log)
    return Graph(load_config(overrides_of(tier, assignments), resolved=config))


class Asked(NamedTuple):
    """values: all that differs from the tier's file. options: of these, what a user's own file does
    not say, but the command line and the profile. file: the user's own, which Snakemake reads too.
    """

    values: dict[str, Any]
    options: dict[str, Any]
    file: Path | None


def asked_of(
    tier: str | None, config: Path | None, assignments: list[str] | None, profile: str | None
) -> Asked:
    """What a run is asked for: the profile's part, over it a user's file, then the options."""
    from flexbench.config.reading import merge, read_own
    from flexbench.profiles import profile_configuration

    given, own = profile_configuration(profile), read_own(config) if config else {}
    options = overrides_of(tier, assignments)
    return Asked(
        values=merge(merge(given, own), options),
        options=merge({key: value for key, value in given.items() if key not in own}, options),
        file=config,
    )


def overrides_of(tier: str | None, assignments: list[str] | None) -> dict[str, Any]:
    from flexbench.config.reading import parse_assignments

    overrides = parse_assignments(assignments or [])
    return {"tier": tier} | overrides if tier else overrides


def _also_print_to(path: Path) -> None:
    """Copy standard error to a rule's log, and say on the terminal which job each line is of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.open("ab", buffering=0)
    words = path.with_suffix("").parts
    job = " ".join(words[words.index("logs") + 1 :]) if "logs" in words else path.stem
    terminal = sys.stderr

    class Tee(io.TextIOBase):
        """Writes whole lines; is no terminal, so no progress bar is drawn into it."""

        def write(self, text: str) -> int:
            with suppress(OSError):  # a full disk is told by those who write results
                log.write(text.encode())
            for line in text.splitlines():
                if line.strip():
                    terminal.write(f"  {job}: {line}\n")
            return len(text)

        def flush(self) -> None:
            terminal.flush()

    sys.stderr = Tee()
