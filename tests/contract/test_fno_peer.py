"""Our FNO against the FNO of `neuraloperator`, with the same weights."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flexbench import registry

FROZEN = Path(__file__).parents[1] / "data" / "peer_fno.npz"


def copy_weights(
    weights: Mapping[str, Tensor], *, inputs: int, width: int, layers: int, modes: int
):
    """Our lifting's first layer and core, holding the peer's weights."""
    fno = registry.load("fno")
    lifting_in = nn.Conv2d(inputs, 2 * width, 1)
    core = fno.Core(1, width=width, modes=modes, layers=layers, dropout=0.0)
    ours = {"lifting_out": "lifting.fcs.1"}
    ours |= {"projection.hidden": "projection.fcs.0", "projection.out": "projection.fcs.1"}
    for n in range(layers):
        ours[f"blocks.{n}.linear"] = f"fno_blocks.fno_skips.{n}.conv"
        ours[f"blocks.{n}.mlp.hidden"] = f"fno_blocks.channel_mlp.{n}.fcs.0"
        ours[f"blocks.{n}.mlp.out"] = f"fno_blocks.channel_mlp.{n}.fcs.1"
    state = {}
    for mine, theirs in ours.items():
        state[f"{mine}.weight"] = weights[f"{theirs}.weight"][..., None]
        if f"{theirs}.bias" in weights:
            state[f"{mine}.bias"] = weights[f"{theirs}.bias"]
    for n in range(layers):
        spectral = weights[f"fno_blocks.convs.{n}.weight.tensor"]
        state[f"blocks.{n}.spectral.weight"] = torch.view_as_real(spectral)
        state[f"blocks.{n}.spectral.bias"] = weights[f"fno_blocks.convs.{n}.bias"]
        state[f"blocks.{n}.gain"] = weights[f"fno_blocks.channel_mlp_skips.{n}.weight"]
    core.load_state_dict(state)
    lifting_in.load_state_dict(
        {
            "weight": weights["lifting.fcs.0.weight"][..., None],
            "bias": weights["lifting.fcs.0.bias"],
        }
    )
    return lifting_in, core


def test_frozen_output_of_the_peer():
    with np.load(FROZEN) as file:
        arrays = {name: file[name] for name in file.files}
    setting = {
        name[9:]: int(value) for name, value in arrays.items() if name.startswith("settings/")
    }
    weights = {
        name[8:]: torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith("weights/")
    }
    lifting_in, core = copy_weights(
        weights,
        inputs=setting["inputs"],
        width=setting["width"],
        layers=setting["layers"],
        modes=setting["modes"],
    )
    with torch.no_grad():
        output = core(lifting_in(torch.from_numpy(arrays["input"])), None)
    expected = torch.from_numpy(arrays["output"])
    assert expected.std() > 0.1
    assert (output - expected).abs().max() < 1e-5


@pytest.mark.parametrize(("patch", "modes"), [(32, 8), (16, 16), (24, 10)])
def test_live_peer(patch, modes):
    models = pytest.importorskip("neuralop.models", reason="neuraloperator is not installed")
    torch.manual_seed(0)
    peer = models.FNO((modes, modes), 2, 1, 8, n_layers=4, positional_embedding=None)
    weights = {key: value for key, value in peer.state_dict().items() if torch.is_tensor(value)}
    lifting_in, core = copy_weights(weights, inputs=2, width=8, layers=4, modes=modes)
    field = torch.randn(2, 2, patch, patch)
    with torch.no_grad():
        assert (core(lifting_in(field), None) - peer(field)).abs().max() < 1e-5


def test_the_whole_network_is_the_core_where_modulation_is_neutral():
    """With FiLM at zero, `denoise` is lifting and core on the concatenated channels."""
    from flexbench.spec import ProblemSpec

    torch.manual_seed(1)
    problem = ProblemSpec(task="forecast", condition_channels=2, patch=16)
    network = registry.load("fno").build(problem, width=6)
    nn.init.zeros_(network.film.weight)
    nn.init.zeros_(network.film.bias)
    noisy, condition = torch.randn(2, 1, 16, 16), torch.randn(2, 2, 16, 16)
    lifting = nn.Conv2d(3, 12, 1)
    lifting.weight.data = torch.cat([network.noisy_in.weight, network.condition_in.weight], 1).data
    lifting.bias.data = network.noisy_in.bias.data
    with torch.no_grad():
        output = network(noisy, torch.rand(2), torch.rand(2, 1), condition)
        expected = network.core(lifting(torch.cat([noisy, condition], 1)), None)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
