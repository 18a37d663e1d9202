"""Every number of `flex_tiny_golden.npz`, made by the authors' code from random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flexbench.diffusion import CosineSchedule, Draw, sample
from flexbench.models.flex import Flex
from flexbench.models.official_checkpoint import import_checkpoint

DATA = Path(__file__).parents[1] / "data"
TASKS = {"sr": "superres", "fc": "forecast"}
ARRAYS = ("cond_skip0", "cond_skip_last", "cond_bottleneck", "tokens", "dec_tokens", "v")
CHECKED = {f"{short}_{array}" for short in TASKS for array in (*ARRAYS, "ddim1", "ddim2", "ddim4")}
INPUTS = {"noisy", "lowres", "past", "t", "re", "init_noise"}
SCHEDULES = {"schedule_shift1": 1.0, "schedule_shift16": 16.0}


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(DATA / "flex_tiny_golden.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def network() -> Flex:
    return import_checkpoint(DATA / "flex_tiny.safetensors", heads=4)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def condition(golden: dict[str, torch.Tensor], short: str) -> torch.Tensor:
    return golden["lowres" if short == "sr" else "past"]


def test_no_array_is_left_out(golden: dict[str, torch.Tensor]) -> None:
    assert set(golden) == CHECKED | INPUTS | set(SCHEDULES)


def test_parameters(network: Flex) -> None:
    parts = [network.encoder, *network.task_encoders.values(), network.decoder]
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [569_984, 452_480, 452_768, 1_496_577]


@pytest.mark.parametrize("short", TASKS)
@torch.no_grad()
def test_network(network: Flex, golden: dict[str, torch.Tensor], short: str) -> None:
    noisy, t, re = golden["noisy"], golden["t"], golden["re"]
    encoded = network.encode(condition(golden, short), re, TASKS[short])
    close(encoded[0], golden[f"{short}_cond_skip0"])
    close(encoded[-1], golden[f"{short}_cond_skip_last"])
    close(encoded[-1], golden[f"{short}_cond_bottleneck"])

    seen: dict[str, torch.Tensor] = {}
    hooks = [
        network.encoder.register_forward_hook(lambda _m, _i, out: seen.update(tokens=out[1])),
        network.decoder.latent.register_forward_hook(lambda _m, _i, out: seen.update(last=out)),
    ]
    velocity = network.denoise(noisy, t, re, encoded)
    for hook in hooks:
        hook.remove()
    close(seen["tokens"], golden[f"{short}_tokens"])
    close(seen["last"], golden[f"{short}_dec_tokens"])
    close(velocity, golden[f"{short}_v"])


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("short", TASKS)
@torch.no_grad()
def test_ddim(network: Flex, golden: dict[str, torch.Tensor], short: str, steps: int) -> None:
    re = golden["re"]
    encoded = network.encode(condition(golden, short), re, TASKS[short])
    residual = sample(
        lambda x, t: network.denoise(x, t, re, encoded),
        golden["init_noise"],
        schedule=CosineSchedule(shift=1.0),
        draw=Draw(sampler="ddim", steps=steps),
    )
    base = golden["lowres"] if short == "sr" else golden["past"][:, -1:]
    close(base + residual, golden[f"{short}_ddim{steps}"])


@pytest.mark.parametrize(("name", "shift"), SCHEDULES.items())
def test_schedule(golden: dict[str, torch.Tensor], name: str, shift: float) -> None:
    schedule = CosineSchedule(shift=shift)
    t, logsnr, alpha, sigma = golden[name]
    close(schedule.logsnr(t), logsnr)
    found = schedule.alpha_sigma(t)
    close(found[0], alpha)
    close(found[1], sigma)
