"""What lies at one end of a patch of a field that is not periodic is no neighbour of the other.

Every network runs under a watch over all that could join the two: circular padding, rolled tensors,
and Fourier transforms over no more than the patch. Perturbing one end would not tell, as attention
and normalisation look at all of a patch anyway.
"""

import dataclasses

import pytest
import torch
from torch.overrides import TorchFunctionMode

from flexbench import registry
from flexbench.config import SuperResolutionSettings
from flexbench.data.normaliser import Normaliser
from flexbench.errors import FlexbenchError
from flexbench.tasks import make_task

from .conftest import PROBLEMS, WIDTH


class Watch(TorchFunctionMode):
    """Notes every call that takes the last two dimensions (of `side` points) as periodic."""

    def __init__(self, side):
        super().__init__()
        self.side, self.found = side, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        mode = kwargs.get("mode", args[2] if len(args) > 2 else None)
        if name == "roll" or (name == "pad" and mode == "circular"):
            self.found.append(name)
        if name in ("fft_rfft", "fft_fft", "fft_rfft2", "fft_fft2", "fft_rfftn", "fft_fftn"):
            dim = kwargs.get("dim", -1 if name.endswith("fft") else (-2, -1))
            for axis in (dim,) if isinstance(dim, int) else dim:
                if args[0].shape[axis] <= self.side:
                    self.found.append(name)
        return func(*args, **kwargs)


def build(name, problem, *, folders=(), **options):
    size = {"size": "XXS"} if name == registry.FLEX else {"width": WIDTH}
    torch.manual_seed(0)
    return registry.load(name, folders).build(problem, **size, **options).eval()


def watched(network, inputs):
    with Watch(inputs["noisy"].shape[-1]) as watch, torch.no_grad():
        network(*inputs.values())
    return watch.found


def own(problem):
    return dataclasses.replace(problem, periodic=False)


def test_no_network_joins_the_ends(network_name, extra, problem, inputs):
    if problem.task not in registry.tasks(network_name, extra):
        pytest.skip("not its task")
    assert watched(build(network_name, own(problem), folders=extra), inputs) == []


def test_the_watch_sees_what_does(inputs, problem):
    """Of periodic fields FLEX may be told to wrap, and a Fourier layer does."""
    assert "pad" in watched(build("flex", problem, padding="periodic"), inputs)
    assert {"fft_rfft", "fft_fft"} == set(watched(build("fno", problem), inputs))


def test_a_formula_that_wraps_is_refused():
    settings = SuperResolutionSettings(patch=16)
    task = make_task(settings, normaliser=Normaliser(1.0, 1.0), interval=1.0, periodic=False)
    example = task.prepare(torch.randn(1, 1, 32, 32), torch.ones(1))
    interpolation = registry.load("interpolation")
    with Watch(32) as watch:
        assert interpolation.predict(example, task).shape == example.truth.shape
    assert watch.found == []
    with pytest.raises(FlexbenchError, match="needs a periodic one"):
        interpolation.predict(example, task, kernel="spectral")


def test_a_network_that_wraps_is_refused():
    problem = own(PROBLEMS["superres"])
    with pytest.raises(FlexbenchError, match="padding is 'periodic'; allowed: zeros"):
        build("flex", problem, padding="periodic")
    with pytest.raises(FlexbenchError, match="padding is 0; allowed: from 1, as fields are not"):
        build("fno", problem, padding=0)


def test_padding_keeps_fno_from_taking_a_patch_as_a_torus(inputs, problem):
    """Without it, a patch that is turned on itself gives the same output, turned."""

    def torn(network):
        turned = {
            name: value.roll(8, dims=-1) if value.ndim == 4 else value
            for name, value in inputs.items()
        }
        with torch.no_grad():
            plain, other = network(*inputs.values()), network(*turned.values())
        return float((plain.roll(8, dims=-1) - other).norm() / plain.norm())

    assert torn(build("fno", problem)) < 1e-5
    assert torn(build("fno", own(problem))) > 1e-3
