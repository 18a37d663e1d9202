"""Template of a network: a small convolutional net with FiLM. Copy it under a name of your own.

The file's name is the network's name: `cp baselines/_template.py baselines/mine.py`, then put
`mine` among the `methods` of a configuration. Say here what the method is and where it is from.

Letters: B batch, C channels of the field, Cc of the condition, P patch, w width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.models.embeddings import EmbeddingMLP, TimeEmbedding
from flexbench.spec import ProblemSpec

# The kinds of task this network can do, and the step between two widths. Plain values: they are
# read without running the file.
TASKS = ("superres", "forecast")
WIDTH_STEP = 1
# The maps may lie in memory with their channels last (no `view` here), which is often faster.
CHANNELS_LAST = True


class Layer(nn.Module):
    """Residual convolution whose output is scaled and shifted by the embedding (FiLM)."""

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.conv(x), 1 + scale)  # (B, w, P, P)
        return x + self.dropout(F.silu(h))  # (B, w, P, P)


class ConvNet(nn.Module):
    """`encode` sees the condition, `denoise` the noisy field and the time; `forward` is both."""

    def __init__(self, problem: ProblemSpec, *, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.time = TimeEmbedding(width)
        self.re = EmbeddingMLP(1, width)
        self.condition_in = nn.Conv2d(problem.condition_channels, width, 3, padding=1, bias=False)
        self.noisy_in = nn.Conv2d(problem.field_channels, width, 3, padding=1)
        self.layers = nn.ModuleList(Layer(width, dropout=dropout) for _ in range(layers))
        self.head = nn.Conv2d(width, problem.field_channels, 3, padding=1)

    def encode(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        """Condition (B, Cc, P, P), re (B, 1): whatever `denoise` needs of them, batch first."""
        return [self.condition_in(condition), self.re(re)]  # (B, w, P, P), (B, w)

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        """Noisy (B, C, P, P), t (B,) in [0, 1], re (B, 1): the velocity (B, C, P, P)."""
        condition, re_embedding = encoded
        embedding = self.time(t) + re_embedding  # (B, w)
        x = self.noisy_in(noisy) + condition  # (B, w, P, P)
        for layer in self.layers:
            x = layer(x, embedding)  # (B, w, P, P)
        return self.head(x)  # (B, C, P, P)

    def forward(self, noisy: Tensor, t: Tensor, re: Tensor, condition: Tensor) -> Tensor:
        return self.denoise(noisy, t, re, self.encode(condition, re))  # (B, C, P, P)


def build(problem: ProblemSpec, *, width: int, layers: int = 4, dropout: float = 0.0) -> ConvNet:
    """The network for one task; `width` is solved so that its size matches FLEX's.

    Further keyword arguments are options that a configuration can set
    (`method_settings.mine.options`); `dropout` comes from the training settings.
    """
    return ConvNet(problem, width=width, layers=layers, dropout=dropout)
