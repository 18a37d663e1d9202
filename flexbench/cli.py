"""The command line: one short function per verb; everything heavy is imported inside a verb."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexbench.errors import FlexbenchError

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

Tier = Annotated[str | None, typer.Option(help="smoke, desk (default), lab or paper")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="a resolved configuration")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="key=value over the tier, such as train.steps=100", metavar="K=V"),
]
Log = Annotated[Path | None, typer.Option(help="also write what is printed to this file")]
Task = Annotated[str, typer.Argument(help="a task of the configuration, such as superres_x4")]
Method = Annotated[str, typer.Argument(help="a method of the configuration, such as flex")]
Seed = Annotated[int, typer.Option(min=0, help="training seed")]


def main() -> None:
    """Entry point: bad input ends in one line and exit code 1, never in a traceback."""
    try:
        app(prog_name="flexbench")
    except FlexbenchError as error:
        _complain(str(error))
        sys.exit(1)
    except OSError as error:
        full = "No space left" in str(error)  # HDF5 tells neither the file nor the number
        if error.filename is None and not full:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{'no space left on the device' if full else error.strerror}")
        sys.exit(1)


def _complain(message: str) -> None:
    for line in message.splitlines():
        print(f"flexbench: error: {line}", file=sys.stderr)


def _graph(
    tier: str | None, config: Path | None, assignments: list[str] | None, log: Path | None = None
) -> "Graph":
    """The graph of the configuration that the options of a verb ask for."""
    from flexbench.graph import Graph
    from flexbench.tiers import load_config

    if log is not None:
        _also_print_to(log)
    return Graph(load_config(_overrides(tier, assignments), file=config))


def _overrides(tier: str | None, assignments: list[str] | None) -> dict[str, Any]:
    from flexbench.tiers import parse_assignments

    overrides = parse_assignments(assignments or [])
    return {"tier": tier} | overrides if tier else overrides


def _also_print_to(path: Path) -> None:
    """Copy standard error to a rule's log, and say on the terminal which job each line is of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.open("a", encoding="utf-8", buffering=1)
    words = path.with_suffix("").parts
    job = " ".join(words[words.index("logs") + 1 :]) if "logs" in words else path.stem
    terminal = sys.stderr

    class Tee(io.TextIOBase):
        """Writes whole lines; is no terminal, so no progress bar is drawn into it."""

        def write(self, text: str) -> int:
            log.write(text)
            for line in text.splitlines():
                if line.strip():
                    terminal.write(f"  {job}: {line}\n")
            return len(text)

        def flush(self) -> None:
            terminal.flush()

    sys.stderr = Tee()


@app.command()
def run(
    targets: Annotated[
        list[str] | None, typer.Argument(help="rules or files; default: everything")
    ] = None,
    tier: Tier = None,
    profile: Annotated[
        str | None, typer.Option(help="a Snakemake profile; default: workflow/profiles/local")
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=1, help="jobs at once; default: the profile's")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="only show what is to do")
    ] = False,
    set_: Set = None,
) -> None:
    """Run the graph with Snakemake; the same command resumes after any kill."""
    from flexbench.runner import run_graph

    overrides = _overrides(tier, set_)
    config = _graph(tier, None, set_).config
    sys.exit(
        run_graph(
            config,
            overrides=overrides,
            targets=targets or [],
            cores=cores,
            profile=profile,
            dry_run=dry_run,
        )
    )


@app.command()
def simulate(
    reynolds: Annotated[float, typer.Option("--re", help="Reynolds number")],
    seed: Annotated[int, typer.Option(help="seed of the initial condition")],
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Simulate one trajectory of decaying turbulence."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.simulate import simulate_step

    simulate_step(graph, reynolds=reynolds, seed=seed)


@app.command()
def splits(tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None) -> None:
    """Check that no run stands in two splits."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.splits import splits_step

    splits_step(graph)


@app.command()
def statistics(
    task: Task, tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None
) -> None:
    """Measure the scales of a task's fields and residuals on the training split."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.statistics import statistics_step

    statistics_step(graph, task=task)


@app.command()
def train(
    task: Task,
    method: Method,
    seed: Seed = 0,
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Train a method on a task; the same command resumes."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.train import train_step

    train_step(graph, task=task, method=method, seed=seed)


@app.command()
def sample(
    task: Task,
    method: Method,
    seed: Seed = 0,
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Draw a method's ensembles on the test split; the same command resumes."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.sample import sample_step

    sample_step(graph, task=task, method=method, seed=seed)


@app.command()
def score(
    task: Task,
    method: Method,
    seed: Seed = 0,
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Score a file of samples against the test trajectories."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.score import score_step

    score_step(graph, task=task, method=method, seed=seed)


@app.command()
def tabulate(
    tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None
) -> None:
    """Gather all scores into tables, with intervals, comparisons and red flags."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.tabulate import tabulate_step

    tabulate_step(graph)


@app.command()
def figure(
    task: Task,
    name: Annotated[str, typer.Argument(help="a figure of the report, such as spectra")],
    tier: Tier = None,
    config: ConfigFile = None,
    set_: Set = None,
    log: Log = None,
) -> None:
    """Draw one figure of one task."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.figure import figure_step

    figure_step(graph, task=task, name=name)


@app.command()
def report(tier: Tier = None, config: ConfigFile = None, set_: Set = None, log: Log = None) -> None:
    """Write the report: one HTML page that needs nothing else."""
    graph = _graph(tier, config, set_, log)
    from flexbench.steps.report import report_step

    report_step(graph)


@app.command()
def methods(tier: Tier = None, set_: Set = None) -> None:
    """List a tier's tasks, the network files that are found, and the tier's methods."""
    from flexbench import registry

    graph = _graph(tier, None, set_)
    used: dict[str, list[str]] = {}
    for method in graph.config.methods:
        used.setdefault(graph.facts(method).name, []).append(method)
    kinds = ", ".join(f"{task} ({it.kind})" for task, it in graph.config.tasks.items())
    print(f"tasks of {graph.config.tier}: {kinds}")
    for name in registry.names(graph.config.baseline_folders):
        facts = registry.facts(name, graph.config.baseline_folders)
        kind = "formula" if facts.formula else "network"
        as_methods = ", ".join(used.get(name, ["-"]))
        print(f"{name:15} {kind:8} {', '.join(facts.tasks):20} {graph.config.tier}: {as_methods}")


@app.command()
def config(
    tier: Tier = None,
    set_: Set = None,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema instead")] = False,
    output: Annotated[Path | None, typer.Option(help="write to this file instead")] = None,
) -> None:
    """Print a tier's configuration, whole and checked, as YAML."""
    from flexbench.atomic import write_text
    from flexbench.tiers import json_schema, to_yaml

    text = json_schema() if schema else to_yaml(_graph(tier, None, set_).config)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="trajectory files (HDF5)")]) -> None:
    """Check trajectory files against the written format."""
    from flexbench.data.check import check_trajectory

    wrong = 0
    for path in files:
        try:
            problems = check_trajectory(path)
        except FlexbenchError as error:
            problems = [str(error).removeprefix(f"{path}: ")]
        wrong += bool(problems)
        for problem in problems or ["ok"]:
            print(f"{path}: {problem}")
    if wrong:
        raise FlexbenchError(f"{wrong} of {len(files)} files do not follow the format")


@app.command("import-checkpoint")
def import_checkpoint(
    source: Annotated[Path, typer.Argument(help="an official checkpoint: .safetensors or .pt")],
    output: Annotated[Path, typer.Argument(help="where to write the imported weights")],
    heads: Annotated[
        int | None, typer.Option(help="attention heads, where the size is none of S, M, L")
    ] = None,
    ema: Annotated[bool, typer.Option(help="take the averaged weights of a .pt file")] = True,
) -> None:
    """Import a FLEX checkpoint in its authors' layout; no code in it is ever executed."""
    from flexbench.models.official_checkpoint import convert

    print(convert(source, output, heads=heads, use_ema=ema))
