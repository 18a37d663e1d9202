"""About a minute of measuring: every rate of a forecast, on this machine, with this tier's sizes.

As many probes run at once as there will be jobs, because jobs of one machine slow each other.
Whatever is too large for the minute is measured smaller, and its FLOPs per second are taken over.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from flexbench.atomic import write_text
from flexbench.config.reading import to_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph import TOGETHER, Graph
from flexbench.paths import checkout
from flexbench.planning.facts import RunFacts
from flexbench.planning.forecast import cores_here
from flexbench.planning.rates import ANY, WALLS, Measurement, Rates, save_measurement
from flexbench.report.catalogue import figures_of
from flexbench.runner import dry_run_command, run_environment

# FLOP per second that a network is taken to run at, to decide how large it may be measured.
_GUESS = {"cpu": 1.5e10, "cuda": 2e12}
_LONGEST = 2.0  # seconds that one call may take then
_SMALLER: dict[str, Any] = {"size": "XS", "patch": 64, "rows": 8}


@dataclass(frozen=True)
class Measured:
    """Seconds of a whole process, and what it printed as its result."""

    wall: float
    result: dict[str, Any]

    @property
    def start(self) -> float:
        """What the process took besides measuring."""
        return max(self.wall - self.result.get("measured", 0.0), 0.01)


Say = Callable[[str], None]


class _Session:
    """Probes that share a folder, a number of processes at once, and the threads of a job."""

    def __init__(self, graph: Graph, folder: Path, pool: ThreadPoolExecutor):
        self.graph = graph
        self.folder = folder
        self.pool = pool
        self.config = folder / "tier.yaml"
        write_text(self.config, to_yaml(graph.config))
        self.threads = str(graph.config.threads)

    def probe(self, kind: str, *words: object) -> "Future[Measured]":
        module = "flexbench.machine.probe"
        return self.submit([module, kind, str(self.config), *map(str, words)])

    def verb(self, config: Path, *words: str) -> "Future[Measured]":
        return self.submit(["flexbench", *words, "--resolved", str(config)])

    def submit(self, words: Sequence[str]) -> "Future[Measured]":
        return self.pool.submit(self._run, words)

    def _run(self, words: Sequence[str]) -> Measured:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env=run_environment() | {"OMP_NUM_THREADS": self.threads},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        wall = time.perf_counter() - start
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise FlexbenchError(f"measuring: {' '.join(words[:4])} failed: {last}")
        lines = done.stdout.strip().splitlines()
        result = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        return Measured(wall, result)


def measure_tier(graph: Graph, *, cores: int | None = None, jobs: int | None = None) -> None:
    """Measure with as many processes as will run, and write `<root>/rates.json`."""
    # A cluster gives every job cores of its own.
    here = max(1, (cores or cores_here()) // graph.config.threads)
    together = here if jobs is None else 1

    def say(text: str) -> None:
        print(f"flexbench: {text}", file=sys.stderr)

    measured = measure(graph, together=together, say=say)
    path = save_measurement(graph.layout.root, measured)
    say(f"measured in {measured.seconds:.0f} s; wrote {path}")


def measure(graph: Graph, *, together: int, say: Say) -> Measurement:
    """Measure; the results root holds the scratch files meanwhile. say: receives progress."""
    from flexbench.device import prepare_device

    begin = time.perf_counter()
    root = graph.layout.root
    root.mkdir(parents=True, exist_ok=True)
    device = prepare_device(graph.config).type
    say(
        f"measuring {graph.config.tier} on {machine()}: {together} processes at once, "
        f"{graph.config.threads} threads each, {device}"
    )
    with (
        tempfile.TemporaryDirectory(prefix=".measuring-", dir=root) as name,
        ThreadPoolExecutor(together) as pool,
    ):
        session = _Session(_alike(graph), Path(name), pool)
        rates, notes = _measure(session, device, say)
    return Measurement(
        machine=machine(),
        device=device,
        threads=graph.config.threads,
        together=together,
        tier=graph.config.tier,
        measured=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(time.perf_counter() - begin, 1),
        rates=rates,
        notes=notes,
    )


def _alike(graph: Graph) -> Graph:
    from flexbench.machine.rehearsal import simulated_alike

    return simulated_alike(RunFacts(graph, {}))


def machine() -> str:
    """Kind of processor and how many of them this process may use."""
    kind = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                kind = line.partition(":")[2].strip()
                break
    return f"{kind}, {cores_here()} cores"


def _measure(session: _Session, device: str, say: Say) -> tuple[Rates, list[str]]:
    from flexbench.machine.rehearsal import rehearsal_config

    graph = session.graph
    small = Graph.of(rehearsal_config(graph, session.folder / "run"))
    config = session.folder / "small.yaml"
    write_text(config, small.text)
    say("starting processes, solver, statistics, scores, disk")
    rehearsed = session.submit(["flexbench.machine.rehearsal", str(config)])
    planning = session.pool.submit(_dry_run_seconds, session)
    simulated = session.probe("simulate")
    scored = session.probe("score")
    looked = session.probe("statistics", graph.tasks[0], session.folder)
    stored = session.probe("disk", session.folder)
    trained, sampled, notes = _networks(session, device)
    formulas = _formulas(session)
    rehearsed.result()
    say("tables, figures and the report of a small run")
    task = small.tasks[0]
    leaks = session.verb(config, "splits")
    tables = session.verb(config, "tabulate")
    # The page and the figures read the tables.
    tables.result()
    names = figures_of(small.config, task)
    drawn = {name: session.verb(config, "figure", task, name) for name in names}
    figures = {name: future.result().wall for name, future in drawn.items()}
    page = session.verb(config, "report").result()

    train_found = {name: future.result() for name, future in trained.items()}
    sample_found = {name: future.result() for name, future in sampled.items()}
    formula_found = [future.result() for future in formulas]
    start = {
        "simulate": simulated.result().start,
        "statistics": looked.result().start,
        "splits": leaks.result().wall,
        "score": scored.result().start,
        "tabulate": scored.result().start,
        "report": page.wall,
    }
    start |= {f"train/{name}": found.start for name, found in train_found.items()}
    start |= {f"sample/{name}": found.start for name, found in sample_found.items()}
    for rule, found in (("train", train_found), ("sample", sample_found)):
        starts = [one.start for one in found.values()]
        start[rule] = fmean(starts or [start["statistics"]])
    start["formula"] = fmean([one.start for one in formula_found] or [start["sample"]])
    # Work grows with the files of scores, and with the trajectories that are resampled.
    more = len(graph.stems("test")) / len(small.stems("test"))
    tabulated = max(tables.result().wall - start["tabulate"], 0.05) / len(small.jobs)
    return (
        Rates(
            start=start,
            solver=simulated.result().result["solver"],
            walls=WALLS | simulated.result().result["walls"],
            train=_speeds(graph, "train", train_found),
            sample=_speeds(graph, "sample", sample_found),
            formula=fmean([one.result["formula"] for one in formula_found] or [1e-7]),
            statistics=looked.result().result["statistics"],
            score=scored.result().result["score"],
            tabulate=tabulated * more,
            figures=figures,
            write=stored.result().result["write"],
            digest=stored.result().result["digest"],
            snakemake=planning.result(),
        ),
        notes,
    )


def _networks(
    session: _Session, device: str
) -> tuple[dict[str, "Future[Measured]"], dict[str, "Future[Measured]"], list[str]]:
    """Probes of every trained method on the first task that it runs, and what was made smaller."""
    facts = RunFacts.of(session.graph)
    speed = _GUESS.get(device, _GUESS["cpu"])
    if device == "cpu":
        speed *= session.graph.config.threads
    trained, sampled, notes = {}, {}, []
    for (training, method), size in facts.networks.items():
        if method in trained:
            continue
        task = training.split(TOGETHER)[0]  # the speed of a network of several is that of one
        settings = facts.train(method)
        exact: dict[str, Any] = {
            "size": session.graph.config.method(method).size or session.graph.config.size,
            "patch": session.graph.task_settings(task).patch,
            "rows": settings.batch // settings.processes,
        }
        too_large = 3 * exact["rows"] * size.forward > _LONGEST * speed
        if too_large:
            patch = min(exact["patch"], _SMALLER["patch"])
            exact = {**_SMALLER, "patch": patch, "rows": min(exact["rows"], _SMALLER["rows"])}
            notes.append(f"{method}: measured at size {exact['size']}, patch {patch}")
        trained[method] = session.probe("train", task, method, *exact.values())
        members = facts.members(method)
        rows = max(1, facts.sample.batch)
        per_row = facts.calls(method) * size.denoise
        if too_large:
            rows = min(rows, _SMALLER["rows"])
        elif rows * per_row > _LONGEST * speed:
            rows = max(1, min(members, int(_LONGEST * speed / per_row)))
        sampled[method] = session.probe("sample", task, method, *{**exact, "rows": rows}.values())
    return trained, sampled, notes


def _formulas(session: _Session) -> list["Future[Measured]"]:
    """Probes of formulas: one for each kind of task."""
    graph, found = session.graph, {}
    for job in graph.jobs:
        kind = graph.task_settings(job.case).kind
        if graph.is_formula(job.method) and kind not in found:
            found[kind] = session.probe("formula", job.case, job.method)
    return list(found.values())


def _speeds(graph: Graph, kind: str, found: dict[str, Measured]) -> dict[str, float]:
    """By method, by network, and for whatever was not measured the slowest."""
    by_method = {name: float(one.result[kind]) for name, one in found.items()}
    by_network: dict[str, float] = {}
    for name, speed in by_method.items():
        network = graph.facts(name).name
        by_network[network] = min(speed, by_network.get(network, speed))
    slowest = min(by_method.values(), default=1e9)
    return {ANY: slowest} | by_network | by_method


def _dry_run_seconds(session: _Session) -> float:
    """What Snakemake takes before its first job."""
    start = time.perf_counter()
    overrides = {"root": str(session.folder / "none")}
    command = dry_run_command(session.graph.config, overrides, own=session.config)
    done = subprocess.run(
        command,
        cwd=checkout(),
        env=run_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no message"])[-1]
        raise FlexbenchError(f"measuring: snakemake -n failed: {last}")
    return time.perf_counter() - start
