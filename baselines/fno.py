"""FNO: Fourier neural operator (Li et al. 2021, arXiv 2010.08895), with FiLM for time and Re.

`Core` is the plain operator: lifting - blocks - projection, where a block is

    x -> gelu(Spectral(x) + Linear(x)) -> MLP(x) + gain * (block's input)

with the activations left out after the last block. Without a modulation it equals the FNO of the
`neuraloperator` package with the same weights (default blocks, no positional embedding). As a
denoiser, each block's sum of spectral and linear paths is scaled and shifted by the embedding.
The condition joins the noisy field by channel concatenation.

To a Fourier transform every patch is periodic. Patches of fields that are not are padded with
zeros between lifting and projection, as Li et al. pad what is not periodic, so that what lies at
one end has no neighbour at the other.

Letters: B batch, C channels of the field, Cc of the condition, P patch, w width, m modes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.errors import FlexbenchError
from flexbench.models.embeddings import EmbeddingMLP, TimeEmbedding
from flexbench.spec import ProblemSpec

TASKS = ("superres", "forecast")
WIDTH_STEP = 1


class SpectralConv(nn.Module):
    """A linear map of the lowest Fourier modes, one matrix per mode; the others are dropped.

    Along y the modes are -m/2 ... m/2 - 1, along x (real transform) 0 ... m/2. Transforms are
    scaled by 1/N forwards. `weight[i, o, ky + m/2, kx]` holds (real, imaginary) parts, as real
    numbers, so that every optimiser and file format takes them.
    """

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.highest = modes // 2
        shape = (width, width, modes, self.highest + 1, 2)
        # Complex entries of variance 1 / width keep the variance of the modes that pass.
        self.weight = nn.Parameter(torch.randn(shape) * (2 * width) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        half, columns = self.highest, self.highest + 1
        # FFTs know no 16-bit numbers, hence float(); autocast leaves complex products alone. The
        # second transform only sees the columns that are kept, the last pads with zeros.
        spectrum = torch.fft.rfft(x.float(), norm="forward")[..., :columns]  # (B, w, H, m/2 + 1)
        spectrum = torch.fft.fft(spectrum, dim=-2, norm="forward")  # (B, w, H, m/2 + 1)
        low = torch.cat([spectrum[..., -half:, :], spectrum[..., :half, :]], dim=-2)
        weight = torch.view_as_complex(self.weight)  # (w, w, m, m/2 + 1)
        low = torch.einsum("biyx,ioyx->boyx", low, weight)  # (B, w, m, m/2 + 1)
        gap = low.new_zeros(*low.shape[:2], height - 2 * half, columns)
        spectrum = torch.cat([low[..., half:, :], gap, low[..., :half, :]], dim=-2)
        spectrum = torch.fft.ifft(spectrum, dim=-2, norm="forward")  # (B, w, H, m/2 + 1)
        out = torch.fft.irfft(spectrum, n=width, norm="forward")  # (B, w, H, W)
        return out.to(x.dtype) + self.bias


class ChannelMLP(nn.Module):
    """Two 1x1 convolutions with a GELU between: (B, inputs, H, W) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(inputs, hidden, 1)
        self.out = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.gelu(self.hidden(x)))  # (B, outputs, H, W)


class Block(nn.Module):
    """One Fourier layer and its channel MLP: (B, w, H, W) -> (B, w, H, W)."""

    def __init__(self, width: int, *, modes: int, dropout: float, last: bool) -> None:
        super().__init__()
        self.last = last
        self.spectral = SpectralConv(width, modes)
        self.linear = nn.Conv2d(width, width, 1, bias=False)
        self.mlp = ChannelMLP(width, max(1, width // 2), width)
        self.gain = nn.Parameter(torch.ones(1, width, 1, 1))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, modulation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        h = self.spectral(x) + self.linear(x)  # (B, w, H, W)
        if modulation is not None:
            scale, shift = modulation  # (B, w, 1, 1) each
            h = torch.addcmul(shift, h, 1 + scale)  # (B, w, H, W)
        h = h if self.last else F.gelu(h)
        h = self.mlp(self.dropout(h)) + self.gain * x  # (B, w, H, W)
        return h if self.last else F.gelu(h)


class Core(nn.Module):
    """The plain FNO behind its lifting's first layer: (B, 2w, H, W) -> (B, outputs, H, W)."""

    def __init__(
        self,
        outputs: int,
        *,
        width: int,
        modes: int,
        layers: int,
        dropout: float,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.lifting_out = nn.Conv2d(2 * width, width, 1)
        self.blocks = nn.ModuleList(
            Block(width, modes=modes, dropout=dropout, last=number == layers - 1)
            for number in range(layers)
        )
        self.projection = ChannelMLP(width, 2 * width, outputs)

    def forward(self, lifted: Tensor, modulations: list[tuple[Tensor, Tensor]] | None) -> Tensor:
        height, width = lifted.shape[-2:]
        x = self.lifting_out(F.gelu(lifted))  # (B, w, H, W)
        if self.padding:
            x = F.pad(x, (0, self.padding, 0, self.padding))  # (B, w, H + padding, W + padding)
        for number, block in enumerate(self.blocks):
            x = block(x, modulations[number] if modulations else None)  # as before
        return self.projection(x[..., :height, :width])  # (B, outputs, H, W)


class FNO(nn.Module):
    """See the head of this file; `build` says what the arguments mean."""

    def __init__(
        self,
        problem: ProblemSpec,
        *,
        width: int,
        modes: int,
        layers: int,
        dropout: float,
        padding: int,
    ) -> None:
        super().__init__()
        self.width = width
        self.time = TimeEmbedding(2 * width)
        self.flow = EmbeddingMLP(1, 2 * width)
        self.film = nn.Linear(2 * width, layers * 2 * width)
        # The lifting's first layer on the concatenated channels, as a sum of its two halves.
        self.condition_in = nn.Conv2d(problem.condition_channels, 2 * width, 1, bias=False)
        self.noisy_in = nn.Conv2d(problem.field_channels, 2 * width, 1)
        self.core = Core(
            problem.field_channels,
            width=width,
            modes=modes,
            layers=layers,
            dropout=dropout,
            padding=padding,
        )

    def encode(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        return [self.condition_in(condition), self.flow(re)]  # (B, 2w, P, P), (B, 2w)

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        condition, re_embedding = encoded
        embedding = F.silu(self.time(t) + re_embedding)  # (B, 2w)
        film = self.film(embedding)[:, :, None, None]  # (B, layers * 2w, 1, 1)
        pairs = film.split(2 * self.width, dim=1)  # layers of (B, 2w, 1, 1)
        modulations = [(pair[:, : self.width], pair[:, self.width :]) for pair in pairs]
        lifted = self.noisy_in(noisy) + condition  # (B, 2w, P, P)
        return self.core(lifted, modulations)  # (B, C, P, P)

    def forward(self, noisy: Tensor, t: Tensor, re: Tensor, condition: Tensor) -> Tensor:
        return self.denoise(noisy, t, re, self.encode(condition, re))  # (B, C, P, P)


def build(
    problem: ProblemSpec,
    *,
    width: int,
    modes: int | None = None,
    layers: int = 4,
    padding: int | None = None,
    dropout: float = 0.0,
) -> FNO:
    """FNO for one task.

    width: hidden channels; lifting and projection have twice as many inside.
    modes: Fourier modes kept along y, of both signs together (along x the same range); even;
        default a quarter of the patch: 16 at patch 64, the package's usual setting.
    layers: Fourier layers.
    padding: zeros after the last row and column, inside the Fourier layers; default an eighth of
        the patch where fields are not periodic, else none.
    Raises FlexbenchError for modes that the patch does not hold, for no layers, and for no padding
    where fields are not periodic.
    """
    kept = max(2, problem.patch // 4) if modes is None else modes
    if kept % 2 or not 2 <= kept <= problem.patch:
        raise FlexbenchError(
            f"fno: modes is {kept}; allowed at patch {problem.patch}: even, 2 to {problem.patch}"
        )
    if layers < 1:
        raise FlexbenchError(f"fno: layers is {layers}; allowed: from 1")
    least = 0 if problem.periodic else 1
    zeros = least * max(1, problem.patch // 8) if padding is None else padding
    if zeros < least:
        why = "" if problem.periodic else ", as fields are not periodic"
        raise FlexbenchError(f"fno: padding is {zeros}; allowed: from {least}{why}")
    return FNO(problem, width=width, modes=kept, layers=layers, dropout=dropout, padding=zeros)
