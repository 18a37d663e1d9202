"""The transformer at FLEX's bottleneck.

Letters: B batch, N tokens (one for the embedding, then the grid row by row), E width, h heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.models.embeddings import linear

MLP_RATIO = 2


class SelfAttention(nn.Module):
    """Multi-head self-attention, queries, keys and values from one packed layer without bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = linear(width, 3 * width, bias=False)
        self.out = linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        packed = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, N, 3, h, E/h)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, h, N, E/h)
        mixed = F.scaled_dot_product_attention(query, key, value)  # (B, h, N, E/h)
        return self.out(mixed.transpose(1, 2).flatten(2))  # (B, N, E)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP; with `long_skip` the block first merges an earlier state."""

    def __init__(self, width: int, heads: int, *, long_skip: bool = False) -> None:
        super().__init__()
        self.merge = linear(2 * width, width) if long_skip else None
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6)
        self.mlp_in = linear(width, MLP_RATIO * width)
        self.mlp_out = linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.merge is not None and skip is not None:
            x = self.merge(torch.cat([x, skip], dim=-1))  # (B, N, 2E) -> (B, N, E)
        x = x + self.attention(self.norm_attention(x))  # (B, N, E)
        h = F.gelu(self.mlp_in(self.norm_mlp(x)), approximate="tanh")  # (B, N, 2E)
        return x + self.mlp_out(h)  # (B, N, E)


class LatentEncoder(nn.Module):
    """First half of the bottleneck transformer: D//2 blocks, each kept, and a middle one.

    (B, E, H, W) and the embedding (B, E) -> tokens (B, 1 + HW, E) and the D//2 long skips.
    """

    def __init__(self, width: int, *, side: int, depth: int, heads: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.empty(1, 1 + side * side, width))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth // 2))
        self.middle = TransformerBlock(width, heads)

    def forward(self, x: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        grid = x.flatten(2).transpose(1, 2)  # (B, HW, E)
        tokens = torch.cat([embedding[:, None], grid], dim=1) + self.position  # (B, 1 + HW, E)
        skips = []
        for block in self.blocks:
            tokens = block(tokens)  # (B, 1 + HW, E)
            skips.append(tokens)
        return self.middle(tokens), skips  # (B, 1 + HW, E)


class LatentDecoder(nn.Module):
    """Second half: the embedding is added to token 0, D//2 blocks merge the long skips, last first.

    Tokens (B, 1 + HW, E) and embedding (B, E) -> tokens (B, 1 + HW, E), token 0 still in front.
    """

    def __init__(self, width: int, *, depth: int, heads: int, long_skips: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, long_skip=long_skips) for _ in range(depth // 2)
        )
        self.norm = nn.LayerNorm(width, eps=1e-5)

    def forward(self, tokens: Tensor, skips: list[Tensor], embedding: Tensor) -> Tensor:
        first = tokens[:, :1] + embedding[:, None]  # (B, 1, E)
        tokens = torch.cat([first, tokens[:, 1:]], dim=1)  # (B, 1 + HW, E)
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            tokens = block(tokens, skip)  # (B, 1 + HW, E)
        return self.norm(tokens)  # (B, 1 + HW, E)
