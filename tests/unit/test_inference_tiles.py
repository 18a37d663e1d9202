"""Overlapping tiles: weights, coverage, and whole domains drawn as if there were no tiles."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flexbench.config import (
    DiffusionSettings,
    ForecastSettings,
    SampleSettings,
    SuperResolutionSettings,
)
from flexbench.config.sections import FITTED
from flexbench.data.normaliser import Normaliser
from flexbench.data.samples import Snapshot
from flexbench.diffusion import SAMPLERS, CosineSchedule, Draw, sample
from flexbench.errors import FlexbenchError
from flexbench.inference import predictors
from flexbench.inference.predictors import NetworkPredictor
from flexbench.inference.tiles import Room, TiledNetwork, Tiling, tile_starts, tile_weights
from flexbench.methods import make_method
from flexbench.seeding import generator
from flexbench.tasks import Example, make_task

PATCH = 16
SNAPSHOT = Snapshot(trajectory="re500_seed1", reynolds=500.0, seed=1, index=4, time=0.9)

axes = st.integers(2, 24).flatmap(
    lambda patch: st.tuples(
        st.just(patch), st.integers(1, patch - 1), st.integers(patch, 5 * patch), st.booleans()
    )
)


class Toy(nn.Module):
    """Knows its own point only (kernel 1), or its neighbours too, with zeros beyond the patch.

    It is told everything by position, as a user's file may name its parameters as it likes.
    """

    def __init__(self, kernel=1):
        super().__init__()
        stream = torch.Generator().manual_seed(4)
        self.weight = nn.Parameter(0.4 * torch.randn(1, 2, kernel, kernel, generator=stream))
        self.encoded, self.denoised = [], []

    def encode(self, condition, re, /):
        self.encoded.append(len(condition))
        mixed = nn.functional.conv2d(condition, self.weight, padding="same")
        return [mixed + re[:, :, None, None]]

    def denoise(self, noisy, t, re, encoded, /):
        self.denoised.append(len(noisy))
        near = nn.functional.conv2d(noisy, self.weight[:, :1], padding="same")
        return torch.tanh(near + encoded[0]) * (1 - t.view(-1, 1, 1, 1) / 2)

    def forward(self, noisy, t, re, condition, /):
        return self.denoise(noisy, t, re, self.encode(condition, re))


def domain(height, width, *, conditions=1, periodic=True):
    scales = Normaliser(field_std=1.0, residual_std=1.0)
    task = make_task(
        ForecastSettings(patch=PATCH), normaliser=scales, interval=0.1, periodic=periodic
    )
    stream = torch.Generator().manual_seed(1)
    fields = torch.randn(conditions, 3, height, width, generator=stream)
    return task, task.prepare(fields, 2000.0 * torch.arange(1, conditions + 1))


def predictor(task, *, kernel=1, mode="denoiser", **options):
    options = {"members": 3, "steps": 3, "batch": 5, "overlap": 6} | options
    method = make_method(Toy(kernel), problem=task.spec, settings=DiffusionSettings(), mode=mode)
    return NetworkPredictor(method, settings=SampleSettings(**options), seed=0, device="cpu")


def at_once(chosen, example, member, *, row=0):
    """One member drawn on the whole domain by the sampler alone."""
    network = chosen.method.network
    shape = example.base[:1].shape

    def noise(kind, *step):
        stream = generator(0, kind, SNAPSHOT.trajectory, SNAPSHOT.index, member, *step)
        return torch.randn(shape, generator=stream)

    condition, re = example.condition[row : row + 1], example.re[row : row + 1]
    with torch.no_grad():
        residual = sample(
            lambda x, t: network(x, t, re, condition),
            noise("initial noise"),
            schedule=CosineSchedule(1.0),
            draw=Draw(
                sampler=chosen.settings.sampler,
                steps=chosen.settings.steps,
                noise=lambda step: noise("step noise", step),
            ),
        )
    return (example.base[row] + residual)[0]


@given(axes)
@settings(max_examples=300, deadline=None)
def test_tiles_cover_every_point_with_weights_that_sum_to_one(axis):
    patch, overlap, size, periodic = axis
    starts = tile_starts(size, patch=patch, overlap=overlap, periodic=periodic)
    weights = tile_weights(starts, size, patch=patch, periodic=periodic).numpy()
    total = np.zeros(size)
    for start, weight in zip(starts, weights, strict=True):
        for offset in range(patch):
            total[(start + offset) % size] += weight[offset]
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
    assert (weights > 0).all()
    after = [*starts[1:], starts[0] + size] if periodic else starts[1:]
    gaps = [b - a for a, b in zip(starts, after, strict=periodic)]
    assert all(patch - gap >= overlap for gap in gaps)
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    if not periodic:
        assert starts[0] == 0
        assert starts[-1] + patch == size


def test_weights_are_those_of_a_hand_made_case():
    """Two tiles of 8 that share 4 points inside 12: sin^2 of 1, 3, 5, 7 sixteenths of pi."""
    starts = tile_starts(12, patch=8, overlap=4, periodic=False)
    assert starts == [0, 4]
    rise = np.sin(np.pi * np.array([1, 3, 5, 7]) / 16) ** 2
    first, second = tile_weights(starts, 12, patch=8, periodic=False).numpy()
    np.testing.assert_allclose(first, [1, 1, 1, 1, *rise[::-1]], atol=1e-12)
    np.testing.assert_allclose(second, [*rise, 1, 1, 1, 1], atol=1e-12)
    # Where the second of three tiles begins, the first still has all of its say.
    first = tile_weights([0, 2, 4], 12, patch=8, periodic=False)[0].numpy()
    np.testing.assert_allclose(first[:3], [1, 1, 1 / (1 + rise[0])], atol=1e-12)
    assert tile_starts(12, patch=8, overlap=2) == [0, 6]
    assert tile_starts(32, patch=16, overlap=0) == [0, 16]


@given(axes, st.sampled_from([2, 4]))
@settings(max_examples=200, deadline=None)
def test_aligned_tiles_are_those_of_a_coarser_grid(axis, align):
    patch, overlap, size, periodic = axis
    coarse = tile_starts(size, patch=patch, overlap=overlap, periodic=periodic)
    fine = tile_starts(
        size * align, patch=patch * align, overlap=overlap * align, periodic=periodic, align=align
    )
    assert fine == [align * start for start in coarse]
    between = tile_starts(
        size * align,
        patch=patch * align,
        overlap=overlap * align - 1,
        periodic=periodic,
        align=align,
    )
    assert between == fine


def test_super_resolution_sees_whole_low_resolution_points():
    """A network that tells where its patch lies on the coarse grid is told what it learnt."""
    scales = Normaliser(field_std=1.0, residual_std=1.0)
    task = make_task(
        SuperResolutionSettings(patch=PATCH, factor=4), normaliser=scales, interval=0.1
    )

    class Phase(Toy):
        def encode(self, condition, re):
            return [torch.arange(condition.shape[-1]).expand_as(condition) % 4.0]

        def denoise(self, noisy, t, re, encoded):
            return encoded[0]

    method = make_method(Phase(), problem=task.spec, settings=DiffusionSettings(), mode="regressor")
    fields = torch.zeros(1, 1, *(2 * [44 + 2 * task.halo]))
    settings = SampleSettings(overlap=6, consistent=False)
    chosen = NetworkPredictor(method, settings=settings, seed=0, device="cpu")
    drawn = chosen.predict(task.prepare(fields, torch.tensor([500.0])), task, SNAPSHOT)
    wanted = (torch.arange(44) % 4.0).expand_as(drawn)
    torch.testing.assert_close(drawn, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - set(FITTED)))
@pytest.mark.parametrize("periodic", [True, False])
def test_a_pointwise_network_does_not_see_the_tiles(sampler, periodic):
    """On a grid that is no multiple of the patch, not even square."""
    task, example = domain(41, 32, periodic=periodic)
    chosen = predictor(task, sampler=sampler)
    drawn = chosen.predict(example, task, SNAPSHOT)
    wanted = torch.stack([at_once(chosen, example, member) for member in range(3)])
    torch.testing.assert_close(drawn, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_members_with_conditions_of_their_own(sampler):
    task, example = domain(32, 40, conditions=3)
    chosen = predictor(task, sampler=sampler, batch=7)  # two tiles of all members at once
    drawn = chosen.predict(example, task, SNAPSHOT)
    wanted = [at_once(chosen, example, member, row=member) for member in range(3)]
    torch.testing.assert_close(drawn, torch.stack(wanted), rtol=0, atol=1e-5)


def test_networks_run_in_eval_mode_without_gradients():
    task, example = domain(32, 32)
    chosen = predictor(task)
    network, seen = chosen.method.network.train(), set()
    denoise = network.denoise
    network.denoise = lambda *given: (
        seen.add((network.training, torch.is_grad_enabled())) or denoise(*given)
    )
    chosen.predict(example, task, SNAPSHOT)
    assert seen == {(False, False)}
    assert network.training


def test_regressors_are_blended_too():
    task, example = domain(41, 32)
    chosen = predictor(task, mode="regressor")
    residual = chosen.method.network(
        example.base, torch.zeros(1), example.re, example.condition
    ).detach()
    drawn = chosen.predict(example, task, SNAPSHOT)
    torch.testing.assert_close(drawn, example.base + residual, rtol=0, atol=1e-5)


def output_of(tiling, x, condition, *, batch=5, kernel=5):
    network = Toy(kernel)
    re = torch.full((1, 1), 0.1)
    with torch.no_grad():
        tiled = TiledNetwork(network, condition, re, tiling=tiling, batch=batch)
        return network, tiled(x, torch.full((len(x),), 0.5))


@pytest.mark.parametrize("conditions", [1, 3])
def test_a_condition_is_encoded_once_where_there_is_room(conditions):
    """And the outputs are the same bits where there is none, or for some tiles alone."""
    stream = torch.Generator().manual_seed(6)
    condition = torch.randn(conditions, 2, 40, 40, generator=stream)
    first, second = torch.randn(2, 3, 1, 40, 40, generator=stream)
    tiling, re = Tiling(height=40, width=40, patch=16, overlap=6), torch.full((conditions, 1), 0.1)
    tile_bytes = 4 * 16**2
    found = {}
    for tiles in (0, 5 * conditions, 16 * conditions):
        network, room = Toy(3), Room(tiles * tile_bytes)
        # Two members at a time: a chunk of each tile is smaller than the other.
        tiled = TiledNetwork(network, condition, re, tiling=tiling, batch=2, room=room)
        with torch.no_grad():
            drawn = [tiled(x, torch.full((3,), 0.5)) for x in (first, second)]
        found[tiles] = torch.stack(drawn), sum(network.encoded), room.left
    (none, every, _), (some, fewer, _), (all_, once, left) = found.values()
    assert torch.equal(none, all_)
    assert torch.equal(none, some)
    # Without room a shared condition is encoded for either chunk of members, at both calls.
    assert (every, once, left) == (16 * (4 if conditions == 1 else 6), 16 * conditions, 0)
    assert once < fewer < every


def test_domains_that_move_by_a_stride_move_the_output():
    """A network that sees its patch's edges: only if tiles wrap around is the output moved."""
    stream = torch.Generator().manual_seed(2)
    x, condition = (torch.randn(m, c, 40, 40, generator=stream) for m, c in ((2, 1), (1, 2)))
    for periodic in (True, False):
        # Four tiles around, 10 points apart; or inside, 8 apart.
        tiling = Tiling(height=40, width=40, patch=16, overlap=6, periodic=periodic)
        step = 10 if periodic else 8
        _, still = output_of(tiling, x, condition)
        moves = (step, -step), (-2, -1)
        _, moved = output_of(tiling, x.roll(*moves), condition.roll(*moves))
        far = (moved - still.roll(*moves)).abs().max()
        assert far < 1e-5 if periodic else far > 0.01


@pytest.mark.parametrize("periodic", [True, False])
def test_what_is_told_at_one_edge_reaches_the_other_on_periodic_domains_alone(periodic):
    task, example = domain(40, 40, periodic=periodic)
    condition = example.condition.clone()
    condition[..., -1] += 5
    told = replace(example, condition=condition)
    drawn, other = (predictor(task, kernel=3).predict(e, task, SNAPSHOT) for e in (example, told))
    assert torch.equal(drawn[..., :8], other[..., :8]) is not periodic


def test_blending_joins_what_stitching_tears():
    """The step across a seam, beside that inside tiles: of a network blind beyond its patch."""
    x, condition = torch.ones(1, 1, 64, 64), torch.ones(1, 2, 64, 64)
    steps = {}
    for overlap in (0, 8):
        tiling = Tiling(height=64, width=64, patch=16, overlap=overlap)
        _, output = output_of(tiling, x, condition)
        steps[overlap] = float(output.diff(dim=-1).abs().max())
    assert steps[8] < steps[0] / 2


def test_never_more_tiles_at_once_than_the_batch():
    for side in (32, 96):
        for conditions in (1, 3):
            task, example = domain(side, side, conditions=conditions)
            chosen = predictor(task, batch=7)
            chosen.predict(example, task, SNAPSHOT)
            network, tiles = chosen.method.network, len(tile_starts(side, patch=16, overlap=6)) ** 2
            assert max(network.denoised) <= 7
            assert max(network.encoded) <= 7
            assert sum(network.denoised) == 3 * 3 * tiles  # steps x members x tiles
            assert sum(network.encoded) == tiles * conditions


def test_neither_batches_nor_groups_of_members_change_the_result(monkeypatch):
    task, example = domain(32, 40)
    options = {"sampler": "ddpm", "kernel": 3, "members": 5}
    drawn = predictor(task, **options).predict(example, task, SNAPSHOT)
    for batch in (1, 64):
        other = predictor(task, batch=batch, **options).predict(example, task, SNAPSHOT)
        torch.testing.assert_close(other, drawn, rtol=0, atol=1e-5)
    monkeypatch.setattr(predictors, "DOMAIN_BYTES", 2 * example.base.nbytes)
    for conditions in (
        example,
        Example(*(v.repeat_interleave(5, 0) for v in vars(example).values())),
    ):
        other = predictor(task, **options).predict(conditions, task, SNAPSHOT)
        torch.testing.assert_close(other, drawn, rtol=0, atol=1e-5)


def test_bad_overlaps_are_told():
    with pytest.raises(FlexbenchError, match=r"sample.overlap: found 16, allowed: 0 to 15"):
        tile_starts(64, patch=16, overlap=16)
    with pytest.raises(FlexbenchError, match=r"patch 16 is larger than the field \(12\)"):
        Tiling(height=12, width=64, patch=16, overlap=4).tiles  # noqa: B018
