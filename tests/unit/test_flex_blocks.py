"""The blocks of FLEX against independent formulas."""

import math
import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flexbench.models.convblocks import (
    ConvOptions,
    ResBlock,
    conv3x3,
    doubled_conv3x3,
    group_count,
)
from flexbench.models.embeddings import TimeEmbedding
from flexbench.models.transformer import LatentDecoder, LatentEncoder, SelfAttention


@pytest.mark.parametrize("padding", ["zeros", "periodic"])
@pytest.mark.parametrize(("height", "width"), [(1, 2), (4, 4), (3, 5)])
def test_merged_upsampling_is_upsampling_then_convolution(
    padding: str, height: int, width: int
) -> None:
    torch.manual_seed(0)
    conv = conv3x3(3, 5, ConvOptions(embedding=4, padding=padding)).double()
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    expected = conv(F.interpolate(x, scale_factor=2, mode="nearest"))
    found = doubled_conv3x3(x, conv)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    inputs = (x, conv.weight, conv.bias)
    weights = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(found, inputs, weights),
        torch.autograd.grad(expected, inputs, weights),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("group_width", [1, 2, 4])
def test_group_count_is_the_largest_allowed_divisor(group_width: int) -> None:
    for channels in range(1, 200):
        fits = [
            count
            for count in range(1, 33)
            if channels % count == 0 and (channels // count >= group_width or count == 1)
        ]
        assert group_count(channels, group_width) == max(fits)


def test_published_widths_have_32_groups() -> None:
    widths = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1152, 1664, 2304]
    assert {group_count(width, 1) for width in widths} == {32}


def test_periodic_padding_wraps_around() -> None:
    conv = conv3x3(1, 1, ConvOptions(embedding=4, padding="periodic"))
    x = torch.randn(1, 1, 8, 8)
    rolled = conv(x.roll((3, 5), (2, 3)))
    torch.testing.assert_close(rolled, conv(x).roll((3, 5), (2, 3)))


@pytest.mark.parametrize("resampling", ["none", "up", "down"])
def test_new_block_is_its_identity_path(resampling: str) -> None:
    torch.manual_seed(0)
    block = ResBlock(8, 8, ConvOptions(embedding=6), resampling=resampling)
    x = torch.arange(2 * 8 * 4 * 4, dtype=torch.float32).reshape(2, 8, 4, 4)
    blocks = x.reshape(2, 8, 2, 2, 2, 2)
    expected = {
        "none": x,
        "up": x.repeat_interleave(2, 2).repeat_interleave(2, 3),
        "down": blocks.sum((3, 5)) / 4,
    }
    assert torch.equal(block(x, torch.randn(2, 6)), expected[resampling])


def test_film_scales_and_shifts_the_normalised_branch() -> None:
    torch.manual_seed(0)
    block = ResBlock(4, 4, ConvOptions(embedding=3, group_width=2)).double()
    nn.init.normal_(block.conv_out.weight)
    x, embedding = torch.randn(2, 4, 6, 6).double(), torch.randn(2, 3).double()

    def normalised(h: torch.Tensor) -> torch.Tensor:
        groups = h.reshape(2, 2, -1)
        mean, var = groups.mean(-1, keepdim=True), groups.var(-1, keepdim=True, correction=0)
        return ((groups - mean) / (var + 1e-5).sqrt()).reshape(h.shape)

    film = (embedding * embedding.sigmoid()) @ block.film.weight.T + block.film.bias
    scale, shift = film[:, :4, None, None], film[:, 4:, None, None]
    h = block.conv_in(F.silu(normalised(x)))
    h = block.conv_out(F.silu(normalised(h) * (1 + scale) + shift))
    torch.testing.assert_close(block(x, embedding), x + h)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    block = ResBlock(8, 8, ConvOptions(embedding=6, dropout=0.5))
    nn.init.normal_(block.conv_out.weight)
    x, embedding = torch.randn(1, 8, 4, 4), torch.randn(1, 6)
    assert not torch.equal(block(x, embedding), block(x, embedding))
    block.eval()
    assert torch.equal(block(x, embedding), block(x, embedding))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_block_is_the_same() -> None:
    torch.manual_seed(0)
    block = ResBlock(8, 4, ConvOptions(embedding=6), resampling="up").eval()
    nn.init.normal_(block.conv_out.weight)
    x, embedding = torch.randn(2, 8, 4, 4), torch.randn(2, 6)
    compiled = torch.compile(block)
    torch.testing.assert_close(compiled(x, embedding), block(x, embedding), rtol=1e-4, atol=1e-5)


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    mine = SelfAttention(12, heads=3)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(mine.qkv.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(mine.out.state_dict())
        x = torch.randn(2, 5, 12)
        torch.testing.assert_close(mine(x), theirs(x, x, x)[0])


def test_time_features_are_fourier_features_of_a_gaussian_kernel() -> None:
    """E[2 cos(t f + p) cos(s f + p)] = exp(-(2 pi (t - s))^2 / 2) for f ~ 2 pi N(0, 1)."""
    torch.manual_seed(0)
    embedding = TimeEmbedding(4000)
    t = torch.tensor([0.0, 0.05, 0.1, 0.2, 0.7])
    seen: list[torch.Tensor] = []
    embedding.mlp.hidden = nn.Identity()
    embedding.mlp.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    embedding.mlp.out = nn.Identity()
    embedding(t)
    kernel = seen[0] @ seen[0].T / 4000
    expected = torch.exp(-((2 * math.pi * (t[:, None] - t)) ** 2) / 2)
    assert (kernel - expected).abs().max() < 0.08  # standard error 1 / sqrt(4000) = 0.016


def test_latent_halves_order_tokens_and_skips() -> None:
    """With blocks that do nothing, tokens are [embedding, grid rows] + position, and back."""
    torch.manual_seed(0)
    encoder = LatentEncoder(8, side=2, depth=5, heads=2)
    decoder = LatentDecoder(8, depth=5, heads=2, long_skips=False)
    for block in [*encoder.blocks, encoder.middle, *decoder.blocks]:
        for layer in (block.attention.out, block.mlp_out):
            nn.init.zeros_(layer.weight)
    x, e, e_d = torch.randn(3, 8, 2, 2), torch.randn(3, 8), torch.randn(3, 8)
    tokens, skips = encoder(x, e)
    rows = torch.stack([e, x[..., 0, 0], x[..., 0, 1], x[..., 1, 0], x[..., 1, 1]], dim=1)
    torch.testing.assert_close(tokens, rows + encoder.position)
    assert len(skips) == 2
    out = decoder(tokens, skips, e_d)
    shifted = tokens + torch.cat([e_d[:, None], torch.zeros(3, 4, 8)], dim=1)
    torch.testing.assert_close(out, F.layer_norm(shifted, (8,), eps=1e-5))
