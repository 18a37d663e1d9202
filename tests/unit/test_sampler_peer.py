"""Our samplers against diffusers' schedulers: frozen numbers always, live ones where installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from flexbench.diffusion import CosineSchedule, Draw, sample

DATA = Path(__file__).parents[1] / "data"


def _peer():
    spec = importlib.util.spec_from_file_location("make_peer_ddim", DATA / "make_peer_ddim.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PEER = _peer()


def _ours(sampler, steps, dtype=torch.float64):
    return sample(
        lambda x, t: PEER.toy_velocity(x.double(), float(t[0])).to(dtype),
        PEER.noise(0).to(dtype)[:, None],
        schedule=CosineSchedule(1.0),
        draw=Draw(
            sampler=sampler,
            steps=steps,
            noise=lambda step: PEER.noise(1, step).to(dtype)[:, None],
        ),
    )[:, 0]


# The peer's DPM-Solver++ works in float32 inside, whatever it is given.
TOLERANCE = {"ddim": 1e-9, "ddpm": 1e-9, "dpmpp_2m": 2e-6}
CASES = [(s, n) for s in ("ddim", "ddpm", "dpmpp_2m") for n in PEER.STEPS]


@pytest.fixture(scope="module")
def live():
    pytest.importorskip("diffusers")
    return PEER.peer_outputs()


@pytest.mark.parametrize(("sampler", "steps"), CASES)
def test_frozen_peer(sampler, steps):
    with np.load(DATA / "peer_ddim.npz") as frozen:
        peer = frozen[f"{sampler}_{steps}"]
    found = _ours(sampler, steps).numpy()
    np.testing.assert_allclose(found, peer, rtol=0, atol=TOLERANCE[sampler])
    single = _ours(sampler, steps, torch.float32).numpy()
    np.testing.assert_allclose(single, peer, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("sampler", "steps"), CASES)
def test_live_peer(live, sampler, steps):
    found, peer = _ours(sampler, steps).numpy(), live[f"{sampler}_{steps}"]
    np.testing.assert_allclose(found, peer, rtol=0, atol=TOLERANCE[sampler])
