"""The numbers that say how large a network is."""

from dataclasses import dataclass
from typing import Literal

Match = Literal["parameters", "flops"]

# Two networks are as large as one another where their sizes differ by no more than this share.
SAME_SIZE = 0.05


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs for one patch: `encode` once per condition, `denoise` at every call.

    Of a network of several tasks both are means over its tasks, as they share a batch.
    """

    encode: int
    denoise: int

    @property
    def forward(self) -> int:
        """One pass of training, and what `match: flops` compares."""
        return self.encode + self.denoise


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Size of a network for one problem.

    parameters: trainable numbers; a complex weight counts as two.
    """

    parameters: int
    flops: Flops

    def measure(self, match: Match) -> int:
        """The number that is matched."""
        return self.parameters if match == "parameters" else self.flops.forward


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """parameters: trainable numbers. state_bytes: all tensors. header_bytes: of a checkpoint.

    encode, denoise: FLOPs of one patch. saved_bytes: what autograd keeps of one patch in float32.
    Of a network of several tasks the three are means over them, as they share a batch.
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
