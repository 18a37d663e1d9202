"""Vocabulary shared by every layer: what a problem is and what a network must offer.

Tensor letters: B batch, K past snapshots, C channels, H W grid, M ensemble members.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

# Re is given to networks as a fraction of this (the paper's normalisation).
REYNOLDS_SCALE = 40_000.0


@dataclass(frozen=True, kw_only=True)
class ProblemSpec:
    """All that a network has to know of a task before it is built.

    task: kind of task, "superres" or "forecast".
    condition_channels: channels of the condition (1 low-resolution field; K past snapshots).
    field_channels: channels of the residual that is generated.
    patch: height and width of the square fields the network sees.
    """

    task: str
    condition_channels: int
    patch: int
    field_channels: int = 1


class Network(Protocol):
    """A backbone: the same three methods whether it runs as a denoiser or as a regressor."""

    def encode(self, condition: "Tensor", flow: "Tensor") -> "list[Tensor]":
        """Features of the condition (B,Cc,H,W) and flow (B,1), batch first in every tensor.

        Never sees the diffusion time or the noise, so it runs once per condition.
        """
        ...

    def denoise(
        self, noisy: "Tensor", t: "Tensor", flow: "Tensor", encoded: "list[Tensor]"
    ) -> "Tensor":
        """Velocity (B,C,H,W) at diffusion time t (B,) of noisy (B,C,H,W)."""
        ...

    def forward(
        self, noisy: "Tensor", t: "Tensor", flow: "Tensor", condition: "Tensor"
    ) -> "Tensor":
        """encode, then denoise: what training (and DDP) calls."""
        ...
