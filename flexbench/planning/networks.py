"""How large each network of a run is, counted without memory and cached by what decides it."""

import json
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from flexbench import registry
from flexbench.graph import TOGETHER, Graph
from flexbench.provenance import code_digest, digest_of
from flexbench.spec import JointProblem, Problem

# Sizes of the shipped tiers' networks: counting those of `paper` takes longer than all the rest of
# a plan. `python benchmarks/plan.py --sizes` writes it anew.
TABLE = Path(__file__).with_name("sizes.json")

# A checkpoint's own description of itself (configuration slice, problem, footprint, ...).
METADATA_BYTES = 2600


@dataclass(frozen=True, kw_only=True)
class Request:
    """All that decides a network's size; equal requests are counted once."""

    network: str
    problem: Problem
    size: str
    width: int | None
    match: str
    narrow: bool
    options: str
    folders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """parameters: trainable numbers. state_bytes: all tensors. header_bytes: of a checkpoint.

    encode, denoise: FLOPs of one patch. saved_bytes: what autograd keeps of one patch in float32.
    Of a network of several tasks the two are means over them, as they share a batch.
    """

    parameters: int
    state_bytes: int
    header_bytes: int
    encode: int
    denoise: int
    saved_bytes: int

    @property
    def forward(self) -> int:
        return self.encode + self.denoise


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


def network_sizes(graph: Graph) -> dict[tuple[str, str], NetworkSize]:
    """The size of every trained network of a run, by (training, method)."""
    requests = {
        (it.name, it.method): request_of(graph, it.name, it.method) for it in graph.trainings
    }
    counted = _known_or_counted(list(dict.fromkeys(requests.values())))
    return {place: counted[request] for place, request in requests.items()}


def known_sizes() -> dict[str, NetworkSize]:
    """The sizes that come with the code, by `digest`: those of the shipped tiers."""
    found = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {}
    return {digest: NetworkSize(**size) for digest, size in found.items()}


def digest(request: Request) -> str:
    """Digest of a request and of the code of what it asks for, FLEX's included."""
    own = registry.facts(request.network, request.folders).path
    flex = registry.facts(registry.FLEX).path
    values = asdict(request) | {"folders": []}
    return digest_of([values, code_digest("sizing", own), code_digest("sizing", flex)])


def _known_or_counted(requests: list[Request]) -> dict[Request, NetworkSize]:
    """From the table of known sizes; what is not there is counted, a process for each core."""
    known = known_sizes()
    sizes = {request: known.get(digest(request)) for request in requests}
    unknown = [request for request, size in sizes.items() if size is None]
    found = {request: size for request, size in sizes.items() if size is not None}
    workers = min(len(unknown), len(os.sched_getaffinity(0)))
    if workers < 2:
        return found | {request: count(request) for request in unknown}
    import torch

    torch.set_num_threads(1)  # before the fork, which would not survive a pool of threads
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        return found | dict(zip(unknown, pool.map(count, unknown), strict=True))


def count(request: Request) -> NetworkSize:
    """Build the network on the meta device and count."""
    import torch

    from flexbench.sizing import build_network, reference_size

    options = json.loads(request.options)
    with warnings.catch_warnings(), torch.device("meta"):
        # How well a width matches is the training's to tell.
        warnings.simplefilter("ignore")
        named = request.width is None and not request.narrow and not options
        if request.network == registry.FLEX and named:
            # `build_network` would count FLEX twice, as what it is and as what it is matched to.
            footprint = reference_size(request.size, request.problem)
            network = registry.load(registry.FLEX).build(request.problem, size=request.size)
        else:
            network, built = build_network(
                request.network,
                request.problem,
                size=request.size,
                width=request.width,
                match="flops" if request.match == "flops" else "parameters",
                narrow=request.narrow,
                options=options,
                baseline_folders=request.folders,
            )
            footprint = built.footprint
        state = network.state_dict()
        return NetworkSize(
            parameters=footprint.parameters,
            state_bytes=sum(tensor.nbytes for tensor in state.values()),
            header_bytes=_header_bytes({name: tuple(t.shape) for name, t in state.items()}),
            encode=footprint.flops.encode,
            denoise=footprint.flops.denoise,
            saved_bytes=_saved_bytes(network, request.problem),
        )


def _header_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    """Of a safetensors file: its table of tensors, and what a checkpoint says of itself."""
    offset, table = 0, {}
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return 8 + len(json.dumps(table, separators=(",", ":"))) + METADATA_BYTES


def _saved_bytes(network: object, problem: Problem) -> int:
    """Bytes that a training's backward pass needs of the forward pass of one patch, weights aside.

    Of several tasks a patch each is run, and the mean given.

    The network is on the meta device, where tensors have a storage, and a size, but no memory.
    """
    from typing import Any, cast

    import torch
    from torch import Tensor, nn

    module = cast(nn.Module, network).train()
    known = {id_of(parameter) for parameter in (*module.parameters(), *module.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if id_of(tensor) not in known:
            kept[id_of(tensor)] = tensor
        return tensor

    side = (problem.patch, problem.patch)
    if isinstance(problem, JointProblem):
        rows = len(problem.tasks)
        condition: Any = {
            task: torch.zeros(1, own.condition_channels, *side) for task, own in problem.tasks
        }
    else:
        rows, condition = 1, torch.zeros(1, problem.condition_channels, *side)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(
            torch.zeros(rows, problem.field_channels, *side),
            torch.zeros(rows),
            torch.zeros(rows, 1),
            condition,
        )
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) // rows


def id_of(tensor: object) -> int:
    """A name for a tensor's storage, which views share."""
    from typing import Any, cast

    return int(cast(Any, tensor).untyped_storage()._cdata)
