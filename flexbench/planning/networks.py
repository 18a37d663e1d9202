"""How large each network of a run is. What was counted once is kept below the results' root."""

import gc
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from flexbench import registry
from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.graph import TOGETHER, Graph
from flexbench.provenance import code_digest, digest_of
from flexbench.sizing.sizes import Match, NetworkSize
from flexbench.spec import JointProblem, Problem


@dataclass(frozen=True, kw_only=True)
class Request:
    """All that decides a network's size; equal requests are counted once."""

    network: str
    problem: Problem
    size: str
    width: int | None
    match: Match
    narrow: bool
    options: str
    folders: tuple[str, ...]


def problem_of(graph: Graph, training: str) -> Problem:
    """What a network has to know of the task, or tasks, of a training."""
    data = graph.config.data
    periodic = data is None or data.is_periodic
    specs = {
        task: graph.task_settings(task).problem(periodic=periodic)
        for task in training.split(TOGETHER)
    }
    return JointProblem.of(specs) if len(specs) > 1 else specs[training]


def request_of(graph: Graph, training: str, method: str) -> Request:
    """What decides the size of the network of a training."""
    chosen = graph.config.method(method)
    return Request(
        network=graph.facts(method).name,
        problem=problem_of(graph, training),
        size=chosen.size or graph.config.size,
        width=chosen.width,
        match=chosen.match,
        narrow=chosen.narrow,
        options=json.dumps(chosen.options, sort_keys=True),
        folders=tuple(graph.config.baseline_folders),
    )


def network_sizes(graph: Graph, *, keep: bool = True) -> dict[tuple[str, str], NetworkSize]:
    """The size of every trained network of a run, by (training, method).

    keep: whether what is counted anew may be written below the results' root.
    """
    requests = {
        (it.name, it.method): request_of(graph, it.name, it.method) for it in graph.trainings
    }
    wanted: dict[Request, str] = {}
    for (training, method), request in requests.items():
        wanted.setdefault(request, _place(graph, training, method))
    sizes = _known_or_counted(wanted, sizes_file(graph.layout.root), keep=keep)
    return {place: sizes[request] for place, request in requests.items()}


def _place(graph: Graph, training: str, method: str) -> str:
    """Whose network it is, for messages, with the keys that decide whether it can be built."""
    patches = (
        f"tasks.{task}.patch {graph.task_settings(task).patch}" for task in training.split(TOGETHER)
    )
    matched = graph.facts(method).name != registry.FLEX
    told = "; as large as FLEX, which the message may be about" if matched else ""
    return f"method '{method}' on {training} ({', '.join(patches)}{told})"


def sizes_file(root: Path) -> Path:
    """Sizes that were counted for the plans of all tiers below this root, by `digest`."""
    return root / "sizes.json"


def digest(request: Request) -> str:
    """Digest of a request, of the code of what it asks for, FLEX's included, and of torch."""
    own = registry.facts(request.network, request.folders).path
    flex = registry.facts(registry.FLEX).path
    values = asdict(request) | {"folders": [], "torch": version("torch")}
    return digest_of(
        [values, code_digest("sizing.matching", own), code_digest("sizing.matching", flex)]
    )


def _known_or_counted(
    requests: Mapping[Request, str], file: Path, *, keep: bool
) -> dict[Request, NetworkSize]:
    """From the file; what is not in it is counted, and added. requests: with their places."""
    known, digests = _read(file), {request: digest(request) for request in requests}
    unknown = {it: place for it, place in requests.items() if digests[it] not in known}
    if unknown:
        known |= {digests[request]: size for request, size in count(unknown).items()}
        if not keep:
            return {request: known[digests[request]] for request in requests}
        # A plan of results that may only be read is as good, and so is one on a full disk.
        with suppress(OSError, FlexbenchError):
            text = json.dumps({key: asdict(size) for key, size in known.items()}, indent=1)
            write_text(file, f"{text}\n")
    return {request: known[digests[request]] for request in requests}


def _read(file: Path) -> dict[str, NetworkSize]:
    """The sizes in the file; {} where it is not there, or not what was written."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {key: NetworkSize(**size) for key, size in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def count(requests: Mapping[Request, str]) -> dict[Request, NetworkSize]:
    """Build the networks without memory, and count. FlexbenchError names the request's place."""
    with _without_collection(), warnings.catch_warnings():
        # How well a width matches is the training's to tell.
        warnings.simplefilter("ignore")
        from flexbench.sizing.matching import network_size

        sizes = {}
        for request, place in requests.items():
            try:
                sizes[request] = network_size(
                    request.network,
                    request.problem,
                    size=request.size,
                    width=request.width,
                    match=request.match,
                    narrow=request.narrow,
                    options=json.loads(request.options),
                    baseline_folders=request.folders,
                )
            except FlexbenchError as error:
                raise FlexbenchError(f"{place}: {error}") from None
        return sizes


@contextmanager
def _without_collection() -> Iterator[None]:
    """What importing torch makes stays for good, and networks have no cycles: to look through all
    of it for garbage, again and again, would take a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
