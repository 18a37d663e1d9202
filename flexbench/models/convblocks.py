"""The convolutional blocks of FLEX.

Letters: B batch, C channels, H W grid, E width of the embedding.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.models.embeddings import linear

MAX_GROUPS = 32

Resample = Literal["none", "down", "up"]
Padding = Literal["zeros", "periodic"]


@dataclass(frozen=True, kw_only=True)
class ConvOptions:
    """What all convolutional blocks of one network share.

    embedding: width E of the embedding that drives the FiLM layers.
    group_width: fewest channels in a normalisation group (see `group_count`).
    """

    embedding: int
    group_width: int = 1
    dropout: float = 0.0
    padding: Padding = "zeros"


def group_count(channels: int, group_width: int) -> int:
    """Groups of a GroupNorm: the largest divisor of `channels` that is at most 32 and leaves
    each group `group_width` channels or more.

    With group_width = 1 every multiple of 32 gets 32 groups, as in the published sizes; narrow
    networks ask for wider groups, because a group of one channel would erase its mean.
    """
    most = max(1, min(MAX_GROUPS, channels // group_width))
    return next(count for count in range(most, 0, -1) if channels % count == 0)


def group_norm(channels: int, options: ConvOptions) -> nn.GroupNorm:
    """GroupNorm over (B, C, H, W), eps 1e-5."""
    return nn.GroupNorm(group_count(channels, options.group_width), channels, eps=1e-5)


def conv3x3(inputs: int, outputs: int, options: ConvOptions, *, zero: bool = False) -> nn.Conv2d:
    """3x3 convolution, stride 1, same size; `zero` starts it (weight and bias) at zero."""
    mode: Literal["circular", "zeros"] = "circular" if options.padding == "periodic" else "zeros"
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode)
    if zero:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return layer


def doubled_conv3x3(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """`conv` (3x3) of x (B, C, H, W) doubled by repeating points: (B, C_out, 2H, 2W).

    Repeating each point is a transposed convolution with a 2x2 box, so both together are one
    transposed convolution with the 3x3 kernel smeared by that box: 4 products a point, not 9.
    """
    kernel = conv.weight.flip(2, 3)  # (C_out, C, 3, 3), transposed convolutions run backwards
    corners = ((0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 1, 0))
    smeared = torch.stack([F.pad(kernel, corner) for corner in corners]).sum(0)  # (C_out, C, 4, 4)
    margin = 0
    if conv.padding_mode == "circular":
        x, margin = F.pad(x, (1, 1, 1, 1), mode="circular"), 2  # (B, C, H+2, W+2)
    return F.conv_transpose2d(
        x, smeared.transpose(0, 1), conv.bias, stride=2, padding=1 + margin
    )  # (B, C_out, 2H, 2W)


class ResBlock(nn.Module):
    """Residual block with FiLM: x (B, C_in, H, W), embedding (B, E) -> (B, C_out, H', W').

    Its last convolution starts at zero, so a new block is its identity path alone.
    """

    def __init__(
        self, inputs: int, outputs: int, options: ConvOptions, *, resampling: Resample = "none"
    ) -> None:
        super().__init__()
        self.resampling = resampling
        self.norm_in = group_norm(inputs, options)
        self.conv_in = conv3x3(inputs, outputs, options)
        self.film = linear(options.embedding, 2 * outputs)
        self.norm_out = group_norm(outputs, options)
        self.dropout = nn.Dropout(options.dropout)
        self.conv_out = conv3x3(outputs, outputs, options, zero=True)
        self.identity = conv3x3(inputs, outputs, options) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = F.silu(self.norm_in(x))  # (B, C_in, H, W)
        h = self._resampled(h, self.conv_in)  # (B, C_out, H', W')
        film = self.film(F.silu(embedding))[:, :, None, None]  # (B, 2 C_out, 1, 1)
        scale, shift = film.chunk(2, dim=1)  # (B, C_out, 1, 1) each
        h = F.silu(torch.addcmul(shift, self.norm_out(h), 1 + scale))  # (B, C_out, H', W')
        h = self.conv_out(self.dropout(h))  # (B, C_out, H', W')
        return self._resampled(x, self.identity) + h  # (B, C_out, H', W')

    def _resampled(self, x: Tensor, layer: nn.Module) -> Tensor:
        """`layer` of x halved by 2x2 means, or doubled by repeating points, or as it is."""
        if self.resampling == "up" and isinstance(layer, nn.Conv2d):
            return doubled_conv3x3(x, layer)  # (B, C_out, 2H, 2W)
        if self.resampling == "up":
            x = F.interpolate(x, scale_factor=2, mode="nearest")  # (B, C, 2H, 2W)
        if self.resampling == "down":
            x = F.avg_pool2d(x, 2)  # (B, C, H/2, W/2)
        return layer(x)  # (B, C_out, H', W')
