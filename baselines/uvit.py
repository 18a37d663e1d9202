"""U-ViT: a transformer over patches of the field, with long skips across its middle.

After Bao et al. 2023 (arXiv 2209.12152): the embedding of time and Re is a token among the
others, each block of the second half first merges the state of its mirror image in the first, and
a last 3x3 convolution smooths the borders of the patches. The condition joins the noisy field by
channel concatenation before the patches are embedded.

Letters: B batch, C channels of the field, Cc of the condition, P patch (side of the field),
p side of a token's square, N = 1 + (P / p)^2 tokens, D width, h heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.errors import FlexbenchError
from flexbench.models.embeddings import EmbeddingMLP, TimeEmbedding, linear
from flexbench.spec import ProblemSpec

TASKS = ("superres", "forecast")
WIDTH_STEP = 4
MLP_RATIO = 4


class Block(nn.Module):
    """Pre-norm block, (B, N, D) -> (B, N, D); with `merges` it first takes in an earlier state."""

    def __init__(self, width: int, *, heads: int, dropout: float, merges: bool) -> None:
        super().__init__()
        self.heads = heads
        self.merge = linear(2 * width, width) if merges else None
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = linear(width, 3 * width, bias=False)
        self.attention_out = linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp_in = linear(width, MLP_RATIO * width)
        self.mlp_out = linear(MLP_RATIO * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.merge is not None and skip is not None:
            x = self.merge(torch.cat([x, skip], dim=-1))  # (B, N, 2D) -> (B, N, D)
        packed = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # (B, h, N, D/h) each
        mixed = F.scaled_dot_product_attention(query, key, value)  # (B, h, N, D/h)
        x = x + self.dropout(self.attention_out(mixed.transpose(1, 2).flatten(2)))  # (B, N, D)
        h = F.gelu(self.mlp_in(self.norm_mlp(x)))  # (B, N, 4D)
        return x + self.dropout(self.mlp_out(h))  # (B, N, D)


class UViT(nn.Module):
    """See the head of this file; `build` says what the arguments mean."""

    def __init__(
        self,
        problem: ProblemSpec,
        *,
        width: int,
        depth: int,
        patch_size: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        tokens = 1 + (problem.patch // patch_size) ** 2
        square = patch_size * patch_size
        self.time = TimeEmbedding(width)
        self.flow = EmbeddingMLP(1, width)
        # The embedding of concatenated channels, as a sum of its two halves.
        self.condition_in = linear(problem.condition_channels * square, width, bias=False)
        self.noisy_in = linear(problem.field_channels * square, width)
        self.position = nn.Parameter(torch.empty(1, tokens, width))
        nn.init.trunc_normal_(self.position, std=0.02)

        def block(*, merges: bool) -> Block:
            return Block(width, heads=heads, dropout=dropout, merges=merges)

        self.first = nn.ModuleList(block(merges=False) for _ in range(depth // 2))
        self.middle = block(merges=False)
        self.second = nn.ModuleList(block(merges=True) for _ in range(depth // 2))
        self.norm = nn.LayerNorm(width)
        self.head = linear(width, problem.field_channels * square)
        channels = problem.field_channels
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def encode(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        tokens = self.condition_in(self.to_tokens(condition))  # (B, N - 1, D)
        return [tokens, self.flow(re)]  # (B, N - 1, D), (B, D)

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        condition, re_embedding = encoded
        embedding = self.time(t) + re_embedding  # (B, D)
        squares = self.noisy_in(self.to_tokens(noisy)) + condition  # (B, N - 1, D)
        x = torch.cat([embedding[:, None], squares], dim=1) + self.position  # (B, N, D)
        skips = []
        for block in self.first:
            x = block(x)  # (B, N, D)
            skips.append(x)
        x = self.middle(x)  # (B, N, D)
        for block in self.second:
            x = block(x, skips.pop())  # (B, N, D)
        squares = self.head(self.norm(x[:, 1:]))  # (B, N - 1, C p^2)
        return self.smooth(self.to_field(squares, noisy))  # (B, C, P, P)

    def forward(self, noisy: Tensor, t: Tensor, re: Tensor, condition: Tensor) -> Tensor:
        return self.denoise(noisy, t, re, self.encode(condition, re))  # (B, C, P, P)

    def to_tokens(self, x: Tensor) -> Tensor:
        """(B, C, P, P) -> (B, N - 1, C p^2), squares row by row."""
        return F.pixel_unshuffle(x, self.patch_size).flatten(2).transpose(1, 2)

    def to_field(self, x: Tensor, like: Tensor) -> Tensor:
        """(B, N - 1, C p^2) -> (B, C, P, P), the inverse of `to_tokens`."""
        side = like.shape[-1] // self.patch_size
        maps = x.transpose(1, 2).unflatten(2, (side, side))  # (B, C p^2, P/p, P/p)
        return F.pixel_shuffle(maps, self.patch_size)  # (B, C, P, P)


def build(
    problem: ProblemSpec,
    *,
    width: int,
    depth: int | None = None,
    patch_size: int | None = None,
    heads: int | None = None,
    dropout: float = 0.0,
) -> UViT:
    """U-ViT for one task.

    width: channels of a token (384, 768 and 1152 in the official U-ViTs).
    depth: transformer blocks, odd; default 7, and 13 (the official one) from patch 128 on.
    patch_size: side of the square that becomes a token; default 4 up to patch 64, 8 above (the
        official one).
    heads: attention heads; default the most that divide the width and leave each 32 channels.
    Raises FlexbenchError for a patch size that does not divide the patch, and for bad options.
    """
    square = (4 if problem.patch <= 64 else 8) if patch_size is None else patch_size
    if square < 1 or problem.patch % square:
        raise FlexbenchError(
            f"uvit: patch_size is {square}; it must divide the patch {problem.patch}"
        )
    most = max(1, width // 32)
    many = next(n for n in range(most, 0, -1) if width % n == 0) if heads is None else heads
    if many < 1 or width % many:
        raise FlexbenchError(f"uvit: heads is {many}; it must divide the width {width}")
    layers = (13 if problem.patch >= 128 else 7) if depth is None else depth
    if layers < 1 or layers % 2 == 0:
        raise FlexbenchError(f"uvit: depth is {layers}; it must be odd")
    return UViT(problem, width=width, depth=layers, patch_size=square, heads=many, dropout=dropout)
