"""What a network is told besides fields: the diffusion time and re, the flow parameter.

Letters: B batch, E embedding width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and zero bias, the rule for all of FLEX."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class EmbeddingMLP(nn.Module):
    """Linear - SiLU - Linear through twice the embedding width: (B, inputs) -> (B, E)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.hidden = linear(inputs, 2 * width)
        self.out = linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.hidden(x))  # (B, 2E)
        return self.out(h)  # (B, E)


class TimeEmbedding(nn.Module):
    """Random Fourier features of the diffusion time, then an MLP: t (B,) -> (B, E).

    The features are `sqrt(2) cos(t f + p)` with `f ~ 2 pi N(0, 1)`, `p ~ 2 pi U(0, 1)`: drawn once,
    kept as buffers, never trained.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * math.pi * torch.randn(width))
        self.register_buffer("phases", 2 * math.pi * torch.rand(width))
        self.mlp = EmbeddingMLP(width, width)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies + self.phases  # (B, E), float32 under autocast too
        return self.mlp(math.sqrt(2) * angles.cos())  # (B, E)
