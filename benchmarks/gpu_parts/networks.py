"""FLEX and its rivals, and what they are given here."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flexbench.config import DiffusionSettings
from flexbench.methods import Method, make_method
from flexbench.sizing.matching import build_network
from flexbench.sizing.sizes import Flops
from flexbench.spec import ProblemSpec
from flexbench.tasks.base import Example

RIVALS = ("unet", "fno", "dit", "uvit")
NETWORKS = ("flex", *RIVALS)
# Points per side of what each size sees; XXS stands for all of them where --dry asks for toys.
PATCHES = {"XXS": 16, "XS": 64, "S": 128, "M": 256}


@dataclass(frozen=True)
class Built:
    """A network as large as FLEX at a size, for super-resolution. flops: of one patch."""

    network: nn.Module
    problem: ProblemSpec
    flops: Flops

    @property
    def method(self) -> Method:
        """The network as a denoiser of the default diffusion."""
        return make_method(
            self.network, problem=self.problem, settings=DiffusionSettings(), mode="denoiser"
        )


def built(
    name: str, size: str, *, options: tuple[tuple[str, int], ...] = (), width: int | None = None
) -> Built:
    """On the CPU, from one seed, with no tensor left at its initial zero: gradients reach all."""
    problem = ProblemSpec(task="superres", condition_channels=1, patch=PATCHES[size])
    torch.manual_seed(0)
    network, summary = build_network(name, problem, size=size, width=width, options=dict(options))
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return Built(network, problem, summary.footprint.flops)


@dataclass(frozen=True)
class Batch:
    """Random fields (B, 1, P, P), times (B,) and re (B, 1), from one seed."""

    noisy: Tensor
    condition: Tensor
    target: Tensor
    t: Tensor
    re: Tensor

    @classmethod
    def drawn(cls, rows: int, patch: int) -> "Batch":
        stream = torch.Generator().manual_seed(1)
        noisy, condition, target = torch.randn(3, rows, 1, patch, patch, generator=stream)
        t, re = torch.rand(rows, generator=stream), torch.rand(rows, 1, generator=stream)
        return cls(noisy, condition, target, t, re)

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))

    @property
    def example(self) -> Example:
        """As an example whose condition is the base."""
        same = self.condition
        return Example(same, self.re, self.target, same, same, same)
