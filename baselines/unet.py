"""U-Net: residual blocks with FiLM on a pyramid of resolutions, attention at the lowest ones.

The usual diffusion U-Net (Ho et al. 2020, arXiv 2006.11239; FiLM as in Dhariwal and Nichol 2021,
arXiv 2105.05233). The condition joins the noisy field by channel concatenation: the first
convolution of a concatenation is the sum of two convolutions, so the condition's half is computed
once, in `encode`.

Letters: B batch, C channels of the field, Cc of the condition, P patch, c0 ... channels per level,
E = channels of the widest level, the embedding's width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.errors import FlexbenchError
from flexbench.models.embeddings import EmbeddingMLP, TimeEmbedding
from flexbench.spec import ProblemSpec

TASKS = ("superres", "forecast")
WIDTH_STEP = 2
# Its maps may lie in memory with their channels last, which is often faster.
CHANNELS_LAST = True


def group_norm(channels: int) -> nn.GroupNorm:
    """As many groups as divide the channels, at most 32, with four channels or more in each."""
    most = max(1, min(32, channels // 4))
    groups = next(count for count in range(most, 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


class ResBlock(nn.Module):
    """x (B, c_in, H, W), embedding (B, E) -> (B, c_out, H, W); starts as its identity path."""

    def __init__(self, inputs: int, outputs: int, *, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm_in = group_norm(inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * outputs)
        self.norm_out = group_norm(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]
        self.identity = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv_in(F.silu(self.norm_in(x)))  # (B, c_out, H, W)
        scale, shift = self.film(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(shift, self.norm_out(h), 1 + scale))  # (B, c_out, H, W)
        return self.identity(x) + self.conv_out(self.dropout(h))  # (B, c_out, H, W)


class Attention(nn.Module):
    """Self-attention over the H W points of a map (B, c, H, W), as a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The most heads that leave 32 channels or more in each.
        most = max(1, channels // 32)
        self.heads = next(count for count in range(most, 0, -1) if channels % count == 0)
        self.norm = group_norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        points = self.norm(x).flatten(2).transpose(1, 2)  # (B, HW, c)
        packed = self.qkv(points).unflatten(-1, (3, self.heads, -1))  # (B, HW, 3, h, c/h)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # (B, h, HW, c/h) each
        mixed = F.scaled_dot_product_attention(query, key, value)  # (B, h, HW, c/h)
        mixed = self.out(mixed.transpose(1, 2).flatten(2))  # (B, HW, c)
        return x + mixed.transpose(1, 2).reshape(x.shape)  # (B, c, H, W)


class Stage(nn.Module):
    """A ResBlock, followed by attention at the resolutions that have it."""

    def __init__(
        self, inputs: int, outputs: int, *, embedding: int, dropout: float, attention: bool
    ) -> None:
        super().__init__()
        self.block = ResBlock(inputs, outputs, embedding=embedding, dropout=dropout)
        self.attention = Attention(outputs) if attention else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.attention(self.block(x, embedding))  # (B, c_out, H, W)


class UNet(nn.Module):
    """See the head of this file; `build` says what the arguments mean."""

    def __init__(
        self,
        problem: ProblemSpec,
        *,
        channels: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        width = max(channels)
        sides = [problem.patch // 2**level for level in range(len(channels))]

        def stage(inputs: int, level: int) -> Stage:
            return Stage(
                inputs,
                channels[level],
                embedding=width,
                dropout=dropout,
                attention=sides[level] in attention,
            )

        self.time = TimeEmbedding(width)
        self.flow = EmbeddingMLP(1, width)
        self.condition_in = nn.Conv2d(
            problem.condition_channels, channels[0], 3, padding=1, bias=False
        )
        self.noisy_in = nn.Conv2d(problem.field_channels, channels[0], 3, padding=1)

        self.down_stages = nn.ModuleList()
        self.downs = nn.ModuleList()
        current = channels[0]
        for level, count in enumerate(channels):
            inputs = [current] + [count] * (blocks - 1)
            self.down_stages.append(nn.ModuleList(stage(c, level) for c in inputs))
            current = count
            if level < len(channels) - 1:
                self.downs.append(nn.Conv2d(count, count, 3, stride=2, padding=1))

        self.middle_in = Stage(current, current, embedding=width, dropout=dropout, attention=True)
        self.middle_out = ResBlock(current, current, embedding=width, dropout=dropout)

        self.up_stages = nn.ModuleList()
        for level in reversed(range(len(channels))):
            count = channels[level]
            inputs = [current + count] + [2 * count] * (blocks - 1)
            self.up_stages.append(nn.ModuleList(stage(c, level) for c in inputs))
            current = count

        self.norm = group_norm(channels[0])
        self.head = nn.Conv2d(channels[0], problem.field_channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def encode(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        return [self.condition_in(condition), self.flow(re)]  # (B, c0, P, P), (B, E)

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        condition, re_embedding = encoded
        embedding = self.time(t) + re_embedding  # (B, E)
        x = self.noisy_in(noisy) + condition  # (B, c0, P, P)
        skips: list[Tensor] = []
        for level, stages in enumerate(self.down_stages):
            if level > 0:
                x = self.downs[level - 1](x)  # (B, c(i-1), P/2^i, P/2^i)
            for stage in stages:  # type: ignore[attr-defined]
                x = stage(x, embedding)  # (B, ci, P/2^i, P/2^i)
                skips.append(x)
        x = self.middle_out(self.middle_in(x, embedding), embedding)  # (B, c(L-1), ...)
        for number, stages in enumerate(self.up_stages):
            if number > 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")  # (B, c(i+1), P/2^i, P/2^i)
            for stage in stages:  # type: ignore[attr-defined]
                x = torch.cat([x, skips.pop()], dim=1)  # (B, c(i+1) + ci, P/2^i, P/2^i)
                x = stage(x, embedding)  # (B, ci, P/2^i, P/2^i)
        return self.head(F.silu(self.norm(x)))  # (B, C, P, P)

    def forward(self, noisy: Tensor, t: Tensor, re: Tensor, condition: Tensor) -> Tensor:
        return self.denoise(noisy, t, re, self.encode(condition, re))  # (B, C, P, P)


def build(
    problem: ProblemSpec,
    *,
    width: int,
    multipliers: Sequence[int] | None = None,
    blocks: int | None = None,
    attention: Sequence[int] | None = None,
    dropout: float = 0.0,
) -> UNet:
    """U-Net for one task.

    width: channels of the widest level; level i has `width * multipliers[i] / max(multipliers)`,
        rounded to a multiple of 4.
    multipliers: one per level; default 1 2 4 4, and 1 2 4 4 8 from patch 128 on (the official
        U-Net at base width 32, 64 or 128 is width 256, 512 or 1024).
    blocks: ResBlocks per level, on the way down and again on the way up; default 1, and 2 from
        patch 128 on.
    attention: heights of the maps that get attention; default the two lowest (32 and 16 at patch
        256, as in the official U-Net). The middle of the U always has it.
    Raises FlexbenchError for a patch that cannot be halved often enough, and for bad options.
    """
    large = problem.patch >= 128
    ratios = list(multipliers or ([1, 2, 4, 4, 8] if large else [1, 2, 4, 4]))
    if min(ratios) < 1:
        raise FlexbenchError(f"unet: multipliers is {ratios}; allowed: whole numbers from 1")
    halvings = len(ratios) - 1
    if problem.patch % 2**halvings:
        raise FlexbenchError(
            f"unet: {len(ratios)} multipliers need a patch that is a multiple of {2**halvings}; "
            f"found {problem.patch}"
        )
    sides = [problem.patch // 2**level for level in range(len(ratios))]
    heights = sides[-2:] if attention is None else list(attention)
    unknown = sorted(set(heights) - set(sides))
    if unknown:
        raise FlexbenchError(
            f"unet: attention is {unknown} at patch {problem.patch}; allowed: {sides}"
        )
    count = (2 if large else 1) if blocks is None else blocks
    if count < 1:
        raise FlexbenchError(f"unet: blocks is {count}; allowed: from 1")
    widest = max(ratios)
    channels = [
        width if ratio == widest else max(4, 4 * round(width * ratio / widest / 4))
        for ratio in ratios
    ]
    return UNet(problem, channels=channels, blocks=count, attention=heights, dropout=dropout)
