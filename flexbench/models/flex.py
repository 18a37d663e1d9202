"""FLEX: a U-shaped network whose bottleneck is a transformer, told of its task by an encoder.

Paper: arXiv 2505.17351. Three parts: a *common encoder* sees the noisy residual and the diffusion
time, a *task encoder* sees the condition alone, and a *decoder* joins them. The task encoder's
features come in three ways, each a switch for ablations:

    weak               added to the common encoder's activation after every block
    strong_skip        added to the skips on their way into the decoder
    strong_bottleneck  added to the decoder's bottleneck map

Letters: B batch (of conditions), M members, C channels of the field, Cc of the condition, P patch,
L levels, c0 ... c(L-1) channels per level, E = c(L-1) embedding width, N = 1 + (P / 2^L)^2 tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexbench.errors import FlexbenchError
from flexbench.models.convblocks import ConvOptions, Padding, ResBlock, conv3x3, group_norm
from flexbench.models.embeddings import EmbeddingMLP, TimeEmbedding
from flexbench.models.transformer import LatentDecoder, LatentEncoder
from flexbench.spec import JointProblem, Problem

TASKS = ("superres", "forecast")
# One network may learn several tasks, each by a task encoder of its own.
TOGETHER = True
# Its maps may lie in memory with their channels last, which is often faster.
CHANNELS_LAST = True
# Padding that takes patches as cut from periodic fields.
PERIODIC = {"padding": "periodic"}

Skips = Literal["all", "convolutional", "none"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """A named size: channels and ResBlocks per level, transformer depth (odd) and heads.

    group_width: fewest channels in a normalisation group (1 gives 32 groups at every published
    width; the narrow sizes need more, see `convblocks.group_count`).
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    depth: int
    heads: int
    group_width: int = 1

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks) or not self.channels or min(self.blocks) < 1:
            raise FlexbenchError(
                f"flex size: channels {list(self.channels)} and blocks {list(self.blocks)} "
                "must be lists of one length, with one block or more per level"
            )
        if self.depth < 1 or self.depth % 2 == 0:
            raise FlexbenchError(f"flex size: depth is {self.depth}; it must be odd")
        if self.heads < 1 or self.embedding % self.heads:
            raise FlexbenchError(
                f"flex size: heads is {self.heads}; it must divide the width {self.embedding}"
            )

    @property
    def embedding(self) -> int:
        """E, the width of the bottleneck."""
        return self.channels[-1]

    def at_width(self, embedding: int) -> "Size":
        """The same size with another bottleneck; the finer levels, where most of the arithmetic
        is, keep their channels."""
        return replace(self, channels=(*self.channels[:-1], embedding))

    @property
    def feature_channels(self) -> list[int]:
        """Channels of the feature maps an encoder returns: the stem's, then each block's."""
        widths = [self.channels[0]]
        for channels, count in zip(self.channels, self.blocks, strict=True):
            widths += [channels] * (count + 1)
        return widths


SIZES = {
    "XXS": Size(channels=(8, 12, 16), blocks=(1, 1, 1), depth=3, heads=2, group_width=4),
    "XS": Size(channels=(16, 24, 48), blocks=(1, 1, 1), depth=7, heads=4, group_width=4),
    "S": Size(channels=(64, 128, 128, 256), blocks=(2, 3, 3, 3), depth=13, heads=4),
    "M": Size(channels=(64, 128, 256, 512), blocks=(2, 3, 3, 4), depth=13, heads=8),
    "L": Size(channels=(128, 256, 512, 1152), blocks=(2, 3, 3, 3), depth=21, heads=16),
}


def add_feature(x: Tensor, feature: Tensor | None) -> Tensor:
    """x (B*M, c, H, W) + feature (B, c, H, W) or (B*M, c, H, W); None adds nothing.

    A feature of B rows is shared by the M members of its condition, neighbours in x.
    """
    if feature is None:
        return x
    if feature.shape[0] == x.shape[0]:
        return x + feature
    members = x.unflatten(0, (feature.shape[0], -1))  # (B, M, c, H, W)
    return (members + feature[:, None]).flatten(0, 1)  # (B*M, c, H, W)


class ConvEncoder(nn.Module):
    """The convolutional half of both encoders: (B, inputs, P, P) -> every feature, finest first.

    Each feature of `condition`, None for nothing, is added to the activation of the same index.
    Feature 0 is the stem's; then each level's ResBlocks and its *down* block. The last feature is
    the bottleneck map (B, E, P / 2^L, P / 2^L).
    """

    def __init__(self, inputs: int, size: Size, options: ConvOptions) -> None:
        super().__init__()
        width = size.channels[0]
        self.stem = conv3x3(inputs, width, options)
        self.blocks = nn.ModuleList()
        for channels, count in zip(size.channels, size.blocks, strict=True):
            for _ in range(count):
                self.blocks.append(ResBlock(width, channels, options))
                width = channels
            self.blocks.append(ResBlock(width, width, options, resampling="down"))

    def forward(
        self, x: Tensor, embedding: Tensor, condition: Sequence[Tensor | None]
    ) -> list[Tensor]:
        x = add_feature(self.stem(x), condition[0])  # (B, c0, P, P)
        features = [x]
        for block, added in zip(self.blocks, condition[1:], strict=True):
            x = add_feature(block(x, embedding), added)  # (B, ci, P / 2^i, P / 2^i)
            features.append(x)
        return features


class DecoderLevel(nn.Module):
    """ResBlocks to c_i, each joined with a skip where there is one, then an *up* block if asked.

    x (B, inputs, P / 2^i, P / 2^i) -> (B, ci, P / 2^i, P / 2^i), or twice that size after `up`.
    joined: channels of the skip that each block takes, in their order; 0 for none.
    """

    def __init__(
        self, inputs: int, outputs: int, options: ConvOptions, *, joined: Sequence[int], up: bool
    ) -> None:
        super().__init__()
        self.joined = tuple(joined)
        self.blocks = nn.ModuleList()
        width = inputs
        for extra in joined:
            self.blocks.append(ResBlock(width + extra, outputs, options))
            width = outputs
        self.up = ResBlock(width, width, options, resampling="up") if up else None

    def forward(self, x: Tensor, embedding: Tensor, skips: Iterator[Tensor]) -> Tensor:
        for block, extra in zip(self.blocks, self.joined, strict=True):
            if extra:
                x = torch.cat([x, next(skips)], dim=1)  # (B, c + extra, P / 2^i, P / 2^i)
            x = block(x, embedding)  # (B, ci, P / 2^i, P / 2^i)
        if self.up is not None:
            x = self.up(x, embedding)  # (B, ci, P / 2^(i-1), P / 2^(i-1))
        return x


class ConvDecoder(nn.Module):
    """The convolutional half of the decoder: bottleneck (B, E, P / 2^L, P / 2^L) -> (B, c0, P, P).

    With `skips` every block joins a feature of the encoder, last first; without, only the first
    block does, at the bottleneck's own resolution.
    """

    def __init__(self, size: Size, options: ConvOptions, *, skips: bool) -> None:
        super().__init__()
        width = size.embedding
        self.bottom = ResBlock(2 * width, width, options, resampling="up")
        waiting = size.feature_channels[:-1]  # the last one went into `bottom`
        self.levels = nn.ModuleList()
        for level in reversed(range(len(size.channels))):
            count = size.blocks[level] + 1
            joined = [waiting.pop() if skips else 0 for _ in range(count)]
            channels = size.channels[level]
            self.levels.append(DecoderLevel(width, channels, options, joined=joined, up=level > 0))
            width = channels

    def forward(self, x: Tensor, embedding: Tensor, skips: Iterator[Tensor]) -> Tensor:
        joined = torch.cat([x, next(skips)], dim=1)  # (B, 2E, P / 2^L, P / 2^L)
        x = self.bottom(joined, embedding)  # (B, E, P / 2^(L-1), P / 2^(L-1))
        for level in self.levels:
            x = level(x, embedding, skips)  # (B, ci, P / 2^(i-1), P / 2^(i-1)); at level 0 P
        return x


class TaskEncoder(nn.Module):
    """Condition (B, Cc, P, P) and re (B, 1) -> features, finest first, bottleneck map last."""

    def __init__(self, inputs: int, size: Size, options: ConvOptions) -> None:
        super().__init__()
        self.flow = EmbeddingMLP(1, size.embedding)
        self.conv = ConvEncoder(inputs, size, options)

    def forward(self, condition: Tensor, re: Tensor) -> list[Tensor]:
        nothing = [None] * (1 + len(self.conv.blocks))
        return self.conv(condition, self.flow(re), nothing)


class CommonEncoder(nn.Module):
    """Noisy residual, diffusion time and Re -> features, tokens and long skips.

    features: (B, c, H, W) each, finest first; tokens: (B, N, E), empty without a transformer.
    """

    def __init__(
        self, inputs: int, size: Size, options: ConvOptions, *, side: int, transformer: bool
    ) -> None:
        super().__init__()
        width = size.embedding
        self.time = TimeEmbedding(width)
        self.flow = EmbeddingMLP(1, width)
        self.conv = ConvEncoder(inputs, size, options)
        self.latent = (
            LatentEncoder(width, side=side, depth=size.depth, heads=size.heads)
            if transformer
            else None
        )

    def forward(
        self, noisy: Tensor, t: Tensor, re: Tensor, condition: Sequence[Tensor | None]
    ) -> tuple[list[Tensor], Tensor | None, list[Tensor]]:
        embedding = self.time(t) + self.flow(re)  # (B, E)
        features = self.conv(noisy, embedding, condition)
        if self.latent is None:
            return features, None, []
        tokens, long_skips = self.latent(features[-1], embedding)  # (B, N, E)
        return features, tokens, long_skips


class Decoder(nn.Module):
    """What the common encoder returned, and the condition's features -> field (B, C, P, P)."""

    def __init__(
        self, outputs: int, size: Size, options: ConvOptions, *, transformer: bool, skips: Skips
    ) -> None:
        super().__init__()
        width = size.embedding
        self.time = TimeEmbedding(width)
        self.flow = EmbeddingMLP(1, width)
        self.latent = (
            LatentDecoder(width, depth=size.depth, heads=size.heads, long_skips=skips == "all")
            if transformer
            else None
        )
        self.conv = ConvDecoder(size, options, skips=skips != "none")
        self.norm = group_norm(size.channels[0], options)
        self.head = conv3x3(size.channels[0], outputs, options, zero=True)

    def forward(
        self,
        encoder_output: tuple[list[Tensor], Tensor | None, list[Tensor]],
        t: Tensor,
        re: Tensor,
        *,
        bottleneck_condition: Tensor | None,
        skip_condition: Sequence[Tensor | None],
    ) -> Tensor:
        features, tokens, long_skips = encoder_output
        embedding = self.time(t) + self.flow(re)  # (B, E)
        x = features[-1]  # (B, E, P / 2^L, P / 2^L)
        if self.latent is not None and tokens is not None:
            tokens = self.latent(tokens, long_skips, embedding)  # (B, N, E)
            x = tokens[:, 1:].transpose(1, 2).unflatten(2, x.shape[2:])  # (B, E, H, W)
        x = add_feature(x, bottleneck_condition)  # (B, E, P / 2^L, P / 2^L)
        pairs = zip(reversed(features), reversed(skip_condition), strict=True)
        skips = (add_feature(feature, condition) for feature, condition in pairs)
        x = self.conv(x, embedding, skips)  # (B, c0, P, P)
        return self.head(F.silu(self.norm(x)))  # (B, C, P, P)


class Flex(nn.Module):
    """The network: one common encoder and decoder, and a task encoder for each task.

    tasks: task -> channels of its condition. `encode` takes the task's name; a network of a single
    task needs none.
    """

    def __init__(
        self,
        tasks: Mapping[str, int],
        *,
        size: Size,
        patch: int,
        field_channels: int = 1,
        weak: bool = True,
        strong_skip: bool = True,
        strong_bottleneck: bool = True,
        transformer: bool = True,
        skips: Skips = "all",
        dropout: float = 0.0,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        if not (weak or strong_skip or strong_bottleneck):
            raise FlexbenchError(
                "flex: weak, strong_skip and strong_bottleneck are all off, so nothing "
                "would tell the network its condition; allowed: at least one on"
            )
        stride = 2 ** len(size.channels)
        if patch % stride or patch < stride:
            raise FlexbenchError(f"flex: patch is {patch}; allowed: multiples of {stride}")
        self.size, self.patch = size, patch
        self.weak, self.strong_skip, self.strong_bottleneck = weak, strong_skip, strong_bottleneck
        options = ConvOptions(
            embedding=size.embedding,
            group_width=size.group_width,
            dropout=dropout,
            padding=padding,
        )
        self.encoder = CommonEncoder(
            field_channels, size, options, side=patch // stride, transformer=transformer
        )
        self.task_encoders = nn.ModuleDict()
        for name, channels in tasks.items():
            if hasattr(self.task_encoders, name):
                raise FlexbenchError(
                    f"flex: a task cannot be named '{name}', a word of torch's own"
                )
            self.task_encoders[name] = TaskEncoder(channels, size, options)
        self.decoder = Decoder(field_channels, size, options, transformer=transformer, skips=skips)

    def encode(self, condition: Tensor, re: Tensor, task: str | None = None) -> list[Tensor]:
        """Features of the condition (B, Cc, P, P) and re (B, 1), finest first."""
        if task is None:
            if len(self.task_encoders) != 1:
                raise ValueError(f"this network has several tasks: {', '.join(self.task_encoders)}")
            task = next(iter(self.task_encoders))
        features: list[Tensor] = self.task_encoders[task](condition, re)
        return features

    def denoise(self, noisy: Tensor, t: Tensor, re: Tensor, encoded: list[Tensor]) -> Tensor:
        """Velocity (B*M, C, P, P) of noisy (B*M, C, P, P) at time t (B*M,) and re (B*M, 1).

        `encoded` may hold B*M rows, or B: then M neighbours in `noisy` share a condition.
        """
        if noisy.shape[-2:] != (self.patch, self.patch):
            raise ValueError(f"fields must be {self.patch} x {self.patch}, got {noisy.shape}")
        nothing: list[Tensor | None] = [None] * len(encoded)
        encoder_output = self.encoder(noisy, t, re, encoded if self.weak else nothing)
        return self.decoder(
            encoder_output,
            t,
            re,
            bottleneck_condition=encoded[-1] if self.strong_bottleneck else None,
            skip_condition=encoded if self.strong_skip else nothing,
        )  # (B*M, C, P, P)

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        re: Tensor,
        condition: Tensor | Mapping[str, Tensor],
    ) -> Tensor:
        """Velocity (B, C, P, P): encode, then denoise.

        condition: of each task, where the batch holds rows of several, in the order of the rows.
        """
        if isinstance(condition, Tensor):
            return self.denoise(noisy, t, re, self.encode(condition, re))
        rows = re.split([len(own) for own in condition.values()])
        parts = [
            self.encode(own, own_re, task)
            for (task, own), own_re in zip(condition.items(), rows, strict=True)
        ]
        encoded = [torch.cat(features) for features in zip(*parts, strict=True)]
        return self.denoise(noisy, t, re, encoded)


def build(
    problem: Problem,
    *,
    size: str = "XS",
    width: int | None = None,
    weak: bool = True,
    strong_skip: bool = True,
    strong_bottleneck: bool = True,
    transformer: bool = True,
    skips: Skips = "all",
    dropout: float = 0.0,
    padding: Padding = "zeros",
) -> Flex:
    """FLEX for one task, or for several, on the official layout unless switches say otherwise.

    A task encoder is named after its kind of task, of several after the task.
    size: a key of `SIZES`. width: E in place of the size's own, a multiple of its heads.
    transformer: off, the bottleneck map goes straight to the decoder.
    skips: "all"; "convolutional" (no long skips between transformer blocks); "none" (nor any
    above the bottleneck: `strong_skip` then acts at the bottleneck only).
    padding: of convolutions; "periodic" for patches of periodic fields alone.
    Raises FlexbenchError for a value that is not allowed.
    """
    choices = {"size": (size, tuple(SIZES)), "skips": (skips, get_args(Skips))}
    choices["padding"] = (padding, get_args(Padding) if problem.periodic else ("zeros",))
    problems = problem.by_task if isinstance(problem, JointProblem) else {problem.task: problem}
    choices |= {f"{name}: task": (own.task, TASKS) for name, own in problems.items()}
    for option, (value, allowed) in choices.items():
        if value not in allowed:
            raise FlexbenchError(f"flex: {option} is {value!r}; allowed: {', '.join(allowed)}")
    if not 0 <= dropout < 1:
        raise FlexbenchError(f"flex: dropout is {dropout}; allowed: from 0 to below 1")
    return Flex(
        {name: own.condition_channels for name, own in problems.items()},
        size=SIZES[size] if width is None else SIZES[size].at_width(width),
        patch=problem.patch,
        field_channels=problem.field_channels,
        weak=weak,
        strong_skip=strong_skip,
        strong_bottleneck=strong_bottleneck,
        transformer=transformer,
        skips=skips,
        dropout=dropout,
        padding=padding,
    )
