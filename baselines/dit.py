"""DiT: a transformer over patches of the field, told the time and Re by adaLN-zero.

After Peebles and Xie 2023 (arXiv 2212.09748): every block scales, shifts and gates its two halves
by the embedding, and starts as the identity. The condition joins the noisy field by channel
concatenation before the patches are embedded.

Letters: B batch, C channels of the field, Cc of the condition, P patch (side of the field),
p side of a token's square, N = (P / p)^2 tokens, D width, h heads.
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


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that starts at zero."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x (B, N, D), scale and shift (B, 1, D) -> (B, N, D)."""
    return torch.addcmul(shift, x, 1 + scale)


class Attention(nn.Module):
    """Multi-head self-attention: (B, N, D) -> (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = linear(width, 3 * width)
        self.out = linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        packed = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, N, 3, h, D/h)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # (B, h, N, D/h) each
        mixed = F.scaled_dot_product_attention(query, key, value)  # (B, h, N, D/h)
        return self.out(mixed.transpose(1, 2).flatten(2))  # (B, N, D)


class Block(nn.Module):
    """adaLN-zero block: tokens (B, N, D), embedding (B, D) -> (B, N, D)."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.mlp_in = linear(width, MLP_RATIO * width)
        self.mlp_out = linear(MLP_RATIO * width, width)
        self.dropout = nn.Dropout(dropout)
        self.modulation = zero_linear(width, 6 * width)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        parts = self.modulation(F.silu(embedding))[:, None].chunk(6, dim=-1)  # 6 of (B, 1, D)
        scale_a, shift_a, gate_a, scale_m, shift_m, gate_m = parts
        h = self.attention(modulate(self.norm_attention(x), scale_a, shift_a))  # (B, N, D)
        x = x + gate_a * self.dropout(h)  # (B, N, D)
        h = self.mlp_in(modulate(self.norm_mlp(x), scale_m, shift_m))  # (B, N, 4D)
        h = self.mlp_out(F.gelu(h, approximate="tanh"))  # (B, N, D)
        return x + gate_m * self.dropout(h)  # (B, N, D)


class DiT(nn.Module):
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
        tokens = (problem.patch // patch_size) ** 2
        square = patch_size * patch_size
        self.time = TimeEmbedding(width)
        self.flow = EmbeddingMLP(1, width)
        # The embedding of concatenated channels, as a sum of its two halves.
        self.condition_in = linear(problem.condition_channels * square, width, bias=False)
        self.noisy_in = linear(problem.field_channels * square, width)
        self.position = nn.Parameter(torch.empty(1, tokens, width))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.blocks = nn.ModuleList(
            Block(width, heads=heads, dropout=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.modulation = zero_linear(width, 2 * width)
        self.head = zero_linear(width, problem.field_channels * square)

    def encode(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        tokens = self.condition_in(self.to_tokens(condition))  # (B, N, D)
        return [tokens, self.flow(re)]  # (B, N, D), (B, D)

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        condition, re_embedding = encoded
        embedding = self.time(t) + re_embedding  # (B, D)
        x = self.noisy_in(self.to_tokens(noisy)) + condition + self.position  # (B, N, D)
        for block in self.blocks:
            x = block(x, embedding)  # (B, N, D)
        scale, shift = self.modulation(F.silu(embedding))[:, None].chunk(2, dim=-1)  # (B, 1, D)
        x = self.head(modulate(self.norm(x), scale, shift))  # (B, N, C p^2)
        return self.to_field(x, noisy)  # (B, C, P, P)

    def forward(self, noisy: Tensor, t: Tensor, re: Tensor, condition: Tensor) -> Tensor:
        return self.denoise(noisy, t, re, self.encode(condition, re))  # (B, C, P, P)

    def to_tokens(self, x: Tensor) -> Tensor:
        """(B, C, P, P) -> (B, N, C p^2), squares row by row."""
        return F.pixel_unshuffle(x, self.patch_size).flatten(2).transpose(1, 2)

    def to_field(self, x: Tensor, like: Tensor) -> Tensor:
        """(B, N, C p^2) -> (B, C, P, P), the inverse of `to_tokens`."""
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
) -> DiT:
    """DiT for one task.

    width: channels of a token.
    depth: transformer blocks; default 6, and 12 from patch 128 on.
    patch_size: side of the square that becomes a token; default 4 up to patch 64, 8 above.
    heads: attention heads; default the most that divide the width and leave each 32 channels.
    Raises FlexbenchError for a patch size that does not divide the patch, and for bad options.
    """
    square = (4 if problem.patch <= 64 else 8) if patch_size is None else patch_size
    if square < 1 or problem.patch % square:
        raise FlexbenchError(
            f"dit: patch_size is {square}; it must divide the patch {problem.patch}"
        )
    most = max(1, width // 32)
    many = next(n for n in range(most, 0, -1) if width % n == 0) if heads is None else heads
    if many < 1 or width % many:
        raise FlexbenchError(f"dit: heads is {many}; it must divide the width {width}")
    layers = (12 if problem.patch >= 128 else 6) if depth is None else depth
    if layers < 1:
        raise FlexbenchError(f"dit: depth is {layers}; allowed: from 1")
    return DiT(problem, width=width, depth=layers, patch_size=square, heads=many, dropout=dropout)
