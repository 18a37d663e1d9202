"""Samples in bfloat16: nearly those of float32, and nothing but the network is rounded."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from flexbench.config import DiffusionSettings, ForecastSettings, SampleSettings
from flexbench.config.reading import load_config
from flexbench.data.normaliser import Normaliser
from flexbench.data.samples import Samples, Snapshot
from flexbench.graph import Graph
from flexbench.inference.precision import answer_in
from flexbench.inference.predictors import NetworkPredictor
from flexbench.methods import make_method
from flexbench.planning.costs import cost_of
from flexbench.planning.facts import RunFacts
from flexbench.tasks import make_task
from flexbench.user_code import place

PATCH, SIDE, MEMBERS = 16, 32, 3
SNAPSHOT = Snapshot(trajectory="re500_seed1", reynolds=500.0, seed=1, index=4, time=0.9)


class Toy(nn.Module):
    """A convolution of each part; it remembers what its products were of."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(9, 1, 3, padding=1)
        self.products = set()

    def encode(self, condition, re, /):
        features = self.first(condition)
        self.products.add(features.dtype)
        return [features]

    def denoise(self, noisy, t, re, encoded, /):
        found = self.last(torch.cat([noisy, *encoded], dim=1))
        self.products.add(found.dtype)
        return found

    def forward(self, noisy, t, re, condition, /):
        return self.denoise(noisy, t, re, self.encode(condition, re))


def inputs(rows=2):
    stream = torch.Generator().manual_seed(1)
    noisy = torch.randn(rows, 1, PATCH, PATCH, generator=stream)
    condition = torch.randn(rows, 2, PATCH, PATCH, generator=stream)
    return noisy, torch.full((rows,), 0.5), torch.ones(rows, 1), condition


def answers(network):
    noisy, t, re, condition = inputs()
    with torch.no_grad():
        return network.denoise(noisy, t, re, network.encode(condition, re))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_rounded_and_fields_are_not(precision):
    network = Toy()
    exact = answers(Toy())
    answer_in(network, precision)
    found = answers(network)
    assert found.dtype == torch.float32
    assert network.products == {getattr(torch, precision)}
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    error = float((found - exact).norm() / exact.norm())
    assert 1e-4 < error < 1e-2 if precision == "bfloat16" else error == 0


def test_messages_name_the_networks_own_lines():
    network = Toy()
    answer_in(network, "bfloat16")
    assert place(network.denoise) == place(Toy().denoise)


def members(precision, **options):
    """Physical (M, 1, N, N) of a whole domain."""
    task = make_task(ForecastSettings(patch=PATCH), normaliser=Normaliser(1.0, 1.0), interval=0.1)
    stream = torch.Generator().manual_seed(1)
    example = task.prepare(
        torch.randn(1, 3, SIDE, SIDE, generator=stream), torch.full((1,), 1000.0)
    )
    network = Toy()
    answer_in(network, precision)
    method = make_method(network, problem=task.spec, settings=DiffusionSettings(), mode="denoiser")
    settings = SampleSettings(members=MEMBERS, precision=precision, **options)
    predictor = NetworkPredictor(method, settings=settings, seed=0, device="cpu")
    return predictor.predict(example, task, SNAPSHOT), predictor.identity()


@pytest.mark.parametrize("overlap", [0, 4])
def test_ensembles_differ_in_the_third_digit(overlap):
    exact, told = members("float32", overlap=overlap)
    rounded, other = members("bfloat16", overlap=overlap)
    assert rounded.dtype == torch.float32
    assert 1e-4 < float((rounded - exact).norm() / exact.norm()) < 1e-2
    assert torch.equal(members("bfloat16", overlap=overlap)[0], rounded)
    assert json.dumps(told) != json.dumps(other)


def test_verbs_sample_in_it(entry, made, tiny, tmp_path):
    """Of the same checkpoint: other samples, near those of float32."""
    drawn = {}
    for precision in ("float32", "bfloat16"):
        root = tmp_path / precision
        (root / "smoke").mkdir(parents=True)
        for part in ("data", "checkpoints"):
            (root / "smoke" / part).symlink_to(made / "smoke" / part)
        assignments = [*tiny, f"root={root}", f"sample.precision={precision}"]
        options = [word for text in assignments for word in ("--set", text)]
        code, _, lines = entry("sample", "superres_x4", "flex", "--tier", "smoke", *options)
        assert code == 0, lines
        with Samples(root / "smoke" / "samples" / "superres_x4" / "flex" / "seed0.h5") as found:
            drawn[precision] = found.ensemble(0)
    exact, rounded = drawn["float32"], drawn["bfloat16"]
    assert 0 < np.linalg.norm(rounded - exact) < 1e-2 * np.linalg.norm(exact)


def test_the_plan_knows_that_it_takes_less_memory(tiny):
    facts = [
        RunFacts.of(Graph.of(load_config({"tier": "smoke", "sample": {"precision": precision}})))
        for precision in ("float32", "bfloat16")
    ]
    names = {"case": "superres_x4", "method": "flex", "seed": "0"}
    exact, rounded = (cost_of("sample").memory(it, names) for it in facts)
    assert 0.5 * exact < rounded < exact


def test_each_precision_has_a_fit_of_its_own():
    names = set()
    for precision in ("float32", "bfloat16"):
        sample = {"sampler": "calibrated", "precision": precision}
        case = load_config({"tier": "smoke", "sample": sample}).cases["superres_x4"]
        names.add(case.fit.name)
    assert names == {"superres_x4-calibrated-2", "superres_x4-calibrated-2-bfloat16"}
