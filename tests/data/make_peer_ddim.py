"""What diffusers' schedulers make of a toy velocity on our schedule: the numbers of peer_ddim.npz.

Run with torch and diffusers installed (made with diffusers 0.42.1, torch 2.13.0):

    python tests/data/make_peer_ddim.py tests/data/peer_ddim.npz

Nothing of flexbench is imported. The schedulers' own noise tables are replaced by the cosine
log-SNR schedule in float64; theirs are float32 products of discrete betas.
"""

import math
import sys

import numpy as np
import torch

STEPS = (1, 2, 4, 20)
OFFSET = math.atan(math.exp(-10))
SLOPE = math.atan(math.exp(10)) - OFFSET


def alpha_sigma(t: float) -> tuple[float, float]:
    return math.cos(SLOPE * t + OFFSET), math.sin(SLOPE * t + OFFSET)


def toy_velocity(x: torch.Tensor, t: float) -> torch.Tensor:
    """E[v | x_t = x] for data of two equal bumps, N(-1, 0.3^2) and N(1.2, 0.6^2)."""
    alpha, sigma = alpha_sigma(t)
    logits, means = [], []
    for mean, std in ((-1.0, 0.3), (1.2, 0.6)):
        variance = alpha**2 * std**2 + sigma**2
        misfit = x - alpha * mean
        logits.append(-0.5 * misfit**2 / variance - 0.5 * math.log(variance))
        means.append(mean + alpha * std**2 / variance * misfit)
    weight = torch.softmax(torch.stack(logits), dim=0)
    x0 = (weight * torch.stack(means)).sum(dim=0)
    return (alpha * x - x0) / sigma


def noise(*name: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(name).standard_normal(64))


def ancestral_and_ddim(steps: int, eta: float) -> torch.Tensor:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        num_train_timesteps=steps,
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )
    alphas = [alpha_sigma((k + 1) / steps)[0] ** 2 for k in range(steps)]
    scheduler.alphas_cumprod = torch.tensor(alphas, dtype=torch.float64)
    scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    scheduler.set_timesteps(steps)
    x = noise(0)
    for step, k in enumerate(scheduler.timesteps.tolist()):
        v = toy_velocity(x, (k + 1) / steps)
        z = noise(1, step) if eta else None
        x = scheduler.step(v, k, x, eta=eta, variance_noise=z).prev_sample
    return x


def dpmpp_2m(steps: int) -> torch.Tensor:
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(steps)
    grid = [k / steps for k in range(steps, 0, -1)]
    ratios = [alpha_sigma(t)[1] / alpha_sigma(t)[0] for t in grid]
    scheduler.sigmas = torch.tensor([*ratios, 0.0], dtype=torch.float64)
    x = noise(0)
    for k, t in zip(scheduler.timesteps, grid, strict=True):
        x = scheduler.step(toy_velocity(x, t), k, x).prev_sample
    return x


def peer_outputs() -> dict[str, np.ndarray]:
    """All of the peer's samples, from noise(0), by name."""
    outputs = {}
    for steps in STEPS:
        outputs[f"ddim_{steps}"] = ancestral_and_ddim(steps, eta=0.0).numpy()
        outputs[f"ddpm_{steps}"] = ancestral_and_ddim(steps, eta=1.0).numpy()
        outputs[f"dpmpp_2m_{steps}"] = dpmpp_2m(steps).numpy()
    return outputs


if __name__ == "__main__":
    np.savez(sys.argv[1], **peer_outputs())
