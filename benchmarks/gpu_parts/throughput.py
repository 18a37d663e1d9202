"""How fast networks train and sample, and what they hold in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from itertools import product
from typing import Any

import torch
from torch import nn

from flexbench.config import TrainSettings
from flexbench.diffusion import Draw
from flexbench.models.layout import Layout, lay_out
from flexbench.spec import TRAINING_PASSES
from flexbench.training.optim import make_optimizer
from gpu_parts.backend import Action
from gpu_parts.networks import RIVALS, Batch, Built, built
from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "train: one optimiser step (forward, L1, backward, fused AdamW) on so many patches. sample: so "
    "many members by DDIM in two steps, up to eight of one condition, which is encoded once. FLOPs "
    "are those that the suite counts (a step is three forward passes; a multiply-add is two); of "
    "product is their rate over that of a large matrix product in the same precision and process. "
    "Rivals have FLEX's number of parameters. graph: a CUDA graph, one launch for the whole step. "
    "Times are medians; the peak is that of torch's allocator, and where compiled, compiling is "
    "not in the time."
)

MEMBERS, STEPS = 8, 2
Build = Callable[..., Built]


@dataclass(frozen=True)
class Engine:
    """How the kernels of a step are launched. compile: a mode of torch.compile."""

    compile: str | None = None
    graph: bool = False


ENGINES = {
    "eager": Engine(),
    "graph": Engine(graph=True),
    "compiled": Engine(compile="default"),
    "reduce-overhead": Engine(compile="reduce-overhead"),
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One case: a network at FLEX's size, and how it runs. rows: patches, or members.

    options, width: of toys, in place of those that are matched.
    """

    network: str
    size: str
    rows: int
    work: str
    precision: str = "bfloat16"
    layout: Layout = "contiguous"
    engine: str = "eager"
    options: tuple[tuple[str, int], ...] = ()
    width: int | None = None

    @property
    def name(self) -> str:
        how = (self.precision, self.layout, self.engine)
        return f"{self.network} {self.size} {self.work} x{self.rows}, {', '.join(how)}"


def train_step(made: Built, batch: Batch) -> tuple[Action, float]:
    """One optimiser step, and its FLOPs."""
    network = made.network.train()
    optimizer = make_optimizer(network.parameters(), TrainSettings())
    for group in optimizer.param_groups:
        group["capturable"] = batch.t.is_cuda  # what a CUDA graph asks for; the kernel is the same

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        velocity = network(batch.noisy, batch.t, batch.re, batch.condition)
        nn.functional.l1_loss(velocity, batch.target).backward()
        optimizer.step()

    return step, TRAINING_PASSES * len(batch.t) * made.flops.forward


def ensemble(made: Built, batch: Batch) -> tuple[Action, float]:
    """As many members as the batch has rows, and their FLOPs."""
    rows = len(batch.t)
    conditions = max(1, rows // MEMBERS)
    noise = batch.noisy.unflatten(0, (conditions, -1))
    example = Batch(*(tensor[:conditions] for tensor in vars(batch).values())).example
    draw = Draw(sampler="ddim", steps=STEPS)
    flops = conditions * made.flops.encode + rows * STEPS * made.flops.denoise
    return lambda: made.method.sample(example, noise, draw=draw), flops


WORKS: dict[str, Callable[[Built, Batch], tuple[Action, float]]] = {
    "train": train_step,
    "sample": ensemble,
}


def compile_parts(network: nn.Module, mode: str) -> None:
    """Compile both halves, so that samples are compiled as well.

    The suite compiles `forward`, which calls them and which samples never do.
    """
    for name in ("encode", "denoise"):
        setattr(network, name, torch.compile(getattr(network, name), mode=mode))


def measured(
    bench: Bench, variant: Variant, product_rate: Callable[[str], float], build: Build
) -> Numbers:
    """A row of the table."""
    backend = bench.backend
    limit = product_rate(variant.precision)
    made = build(variant.network, variant.size, options=variant.options, width=variant.width)
    made.network.zero_grad(set_to_none=True)
    backend.forget_peak()
    engine = ENGINES[variant.engine]
    made.network.to(backend.device)
    lay_out(made.network, variant.layout)
    if engine.compile is not None:
        compile_parts(made.network, engine.compile)
    batch = Batch.drawn(variant.rows, made.problem.patch).to(backend.device)
    action, flops = WORKS[variant.work](made, batch)

    def precise() -> None:
        with backend.precision(variant.precision):
            action()

    seconds = backend.median_seconds(backend.captured(precise) if engine.graph else precise)
    return {
        "ms": seconds * 1e3,
        "rows/s": variant.rows / seconds,
        "TFLOP/s": flops / seconds / 1e12,
        "of product": flops / seconds / limit,
        "peak MiB": backend.peak_bytes() / 2**20,
    }


def every(base: Variant, **choices: Sequence[str]) -> Iterator[Variant]:
    """The variant with every combination of values, the last key changing fastest."""
    for chosen in product(*choices.values()):
        changes: dict[str, Any] = dict(zip(choices, chosen, strict=True))
        yield replace(base, **changes)


# Rows of a batch: few, as desk trains XS, so that launches decide; and as many as fill a GPU.
FEW = 8
LARGE = {"XS": 256, "S": 32, "M": 8}
WORK = tuple(WORKS)
XS_FEW = Variant(network="flex", size="XS", rows=FEW, work="train")
FULL = {
    size: Variant(network="flex", size=size, rows=rows, work="train")
    for size, rows in LARGE.items()
}


def eager_variants() -> Iterator[Variant]:
    """Without a compiler, what is asked first standing first."""
    for base in (XS_FEW, *FULL.values()):
        yield from every(base, precision=("bfloat16", "tf32", "float32"), work=WORK)
        yield from every(replace(base, layout="channels_last"), work=WORK)
    yield from every(replace(XS_FEW, engine="graph"), precision=("bfloat16", "tf32"), work=WORK)
    for base in FULL.values():
        for network in RIVALS:
            yield from every(replace(base, network=network), work=WORK)
            yield replace(base, network=network, precision="tf32")


def compiled_variants() -> Iterator[Variant]:
    """With one: each takes up to a minute to compile, so there are few."""
    yield from every(XS_FEW, engine=("compiled", "reduce-overhead"), work=WORK)
    for size in ("XS", "S"):
        yield replace(FULL[size], engine="compiled")
    yield from every(replace(FULL["XS"], engine="compiled"), network=RIVALS)
    yield replace(FULL["M"], engine="compiled")


TOY = Variant(network="flex", size="XXS", rows=2, work="train")


def toy_eager_variants() -> Iterator[Variant]:
    """Each branch once."""
    yield from every(TOY, precision=("bfloat16", "tf32"), work=WORK)
    yield from every(replace(TOY, engine="graph"), work=WORK)
    yield replace(TOY, layout="channels_last")
    yield from every(replace(TOY, precision="float32"), network=RIVALS)


def toy_compiled_variants() -> Iterator[Variant]:
    """One block of a transformer, which compiles in seconds."""
    block = replace(TOY, network="dit", options=(("depth", 1),), width=16, precision="float32")
    yield replace(block, engine="compiled", work="sample")


def eager_cases(bench: Bench) -> Iterator[Case]:
    """Variants of one network follow one another, and it is built once."""
    chosen = toy_eager_variants() if bench.dry else eager_variants()
    return _cases(bench, chosen, build=lru_cache(maxsize=1)(built))


def compiled_cases(bench: Bench) -> Iterator[Case]:
    """Each compiles a network of its own."""
    chosen = toy_compiled_variants() if bench.dry else compiled_variants()
    return _cases(bench, chosen, build=built)


def _cases(bench: Bench, chosen: Iterator[Variant], *, build: Build) -> Iterator[Case]:
    product_rate = cache(bench.backend.product_rate)
    for variant in chosen:
        yield Case(variant.name, partial(measured, bench, variant, product_rate, build))


COLUMNS = {"ms": ".2f", "rows/s": ".0f", "TFLOP/s": ".3g", "of product": ".3f", "peak MiB": ".0f"}
EAGER = Part(
    name="throughput",
    title="Training steps and samples",
    about=ABOUT,
    columns=COLUMNS,
    cases=eager_cases,
    weight=8,
    least=5,
)
COMPILED = Part(
    name="compiled",
    title="The same by torch.compile",
    about=ABOUT,
    columns=COLUMNS,
    cases=compiled_cases,
    weight=7,
    least=10,
)
