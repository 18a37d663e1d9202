"""Whether the GPU computes what the CPU does."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product

import torch
from torch import Tensor, nn

from flexbench.diffusion import Draw
from gpu_parts.backend import PRECISIONS, Backend, backend_of
from gpu_parts.networks import NETWORKS, PATCHES, Batch, Built, built
from gpu_parts.part import Bench, Case, Numbers, Part

ABOUT = (
    "Networks on this device in each precision against float32 on the CPU, with the same weights, "
    "fields and noise: the velocity, the gradient of one L1 step, and a sample of DDIM in two "
    "steps. Each number is the largest difference over the largest value, of gradients in the "
    "worst tensor. Allowed is the policy of each precision, in the same order: round-off alone in "
    "float32, which is what flexbench computes in where its configuration says so, ten bits of "
    "mantissa in TF32, which it never takes, seven in bfloat16."
)

ROWS = 2
# A gradient tensor is compared with its own largest value, or with this share of the largest of
# all: some are zero but for round-off, such as those of biases before a normalisation.
FLOOR = 0.1


@dataclass(frozen=True)
class Allowed:
    """The largest relative differences that a precision may make."""

    velocity: float
    gradient: float
    sample: float


# Four times and more of what rounding to these formats did to any of the networks, emulated on CPUs
# at XS: 1e-6, 4e-6 and 5e-7 in float32 (other kernels, another order of sums), 1e-3, 5e-2 and 8e-4
# in TF32, 2e-2, 7e-2 and 7e-3 in bfloat16.
ALLOWED = {
    "float32": Allowed(5e-5, 5e-4, 5e-5),
    "tf32": Allowed(5e-3, 2e-1, 5e-3),
    "bfloat16": Allowed(1e-1, 3e-1, 5e-2),
}


@dataclass(frozen=True)
class Answers:
    """What a network says, float64 on the CPU."""

    velocity: Tensor
    gradient: list[Tensor]
    sample: Tensor


def answers(made: Built, backend: Backend, precision: str) -> Answers:
    """Of one network on a device, in a precision."""
    network = made.network.to(backend.device)
    batch = Batch.drawn(ROWS, made.problem.patch)
    batch = batch.to(backend.device)
    network.zero_grad()
    with backend.precision(precision):
        velocity = network(batch.noisy, batch.t, batch.re, batch.condition)
        nn.functional.l1_loss(velocity, batch.target).backward()
        noise = batch.noisy[:, None]
        sample = made.method.sample(batch.example, noise, draw=Draw(sampler="ddim", steps=2))
    gradient = [it.grad for it in network.parameters() if it.grad is not None]
    return Answers(_exact(velocity), [_exact(it) for it in gradient], _exact(sample))


def difference(found: Tensor, wanted: Tensor, *, floor: float = 0.0) -> float:
    """The largest difference over the largest value, or over the floor."""
    scale = max(float(wanted.abs().max()), floor)
    return float((found - wanted).abs().max()) / scale


def gradient_difference(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Of the tensor that differs most."""
    floor = FLOOR * max(float(tensor.abs().max()) for tensor in wanted)
    pairs = zip(found, wanted, strict=True)
    return max(difference(one, other, floor=floor) for one, other in pairs)


def cases(bench: Bench) -> Iterator[Case]:
    size = "XXS" if bench.dry else "XS"

    @lru_cache(maxsize=1)
    def reference(name: str) -> Answers:
        return answers(built(name, size), backend_of("cpu"), "float32")

    def compared(name: str, precision: str) -> Numbers:
        wanted = reference(name)
        found = answers(built(name, size), bench.backend, precision)
        differences = Allowed(
            velocity=difference(found.velocity, wanted.velocity),
            gradient=gradient_difference(found.gradient, wanted.gradient),
            sample=difference(found.sample, wanted.sample),
        )
        allowed = ALLOWED[precision]
        met = all(value <= getattr(allowed, key) for key, value in vars(differences).items())
        limits = " / ".join(f"{value:g}" for value in vars(allowed).values())
        return {**vars(differences), "allowed": limits, "met": "yes" if met else "NO"}

    for name, precision in product(NETWORKS, PRECISIONS):
        yield Case(
            f"{name} {size} ({PATCHES[size]}²), {precision}",
            partial(compared, name, precision),
        )


def _exact(tensor: Tensor) -> Tensor:
    """On the CPU in double precision; of complex ones the two parts."""
    tensor = tensor.detach().cpu()
    return torch.view_as_real(tensor).double() if tensor.is_complex() else tensor.double()


PART = Part(
    name="agreement",
    title="The device against the CPU",
    about=ABOUT,
    columns={"velocity": ".1e", "gradient": ".1e", "sample": ".1e", "allowed": "", "met": ""},
    cases=cases,
    weight=3,
    least=5,
)
