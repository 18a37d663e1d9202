"""Streams are known by name: same name, same numbers; another name, others."""

import numpy as np
import torch

from flexbench.seeding import generator, numpy_generator, stream_seed


def test_the_same_identity_gives_the_same_stream():
    assert torch.equal(
        torch.randn(5, generator=generator(1, "train", 2)),
        torch.randn(5, generator=generator(1, "train", 2)),
    )
    assert np.array_equal(numpy_generator(1, "a").random(4), numpy_generator(1, "a").random(4))


def test_identities_do_not_run_together():
    seeds = {
        stream_seed(*identity)
        for identity in [(1, "a"), ("1", "a"), (1, "a", 0), ("1a",), (11, "a"), (1, "1a")]
    }
    assert len(seeds) == 6


def test_numpy_integers_are_integers():
    assert stream_seed(np.int64(3), "x") == stream_seed(3, "x")


def test_the_seed_is_stable_across_processes_and_versions():
    # Frozen on purpose: if this number changes, no old result can be reproduced any more.
    assert stream_seed(0, "initial") == 5946678074482032648
