"""Step `train` writes down all that sampling needs, as the method's own settings have it."""

import torch

from flexbench.config import DiffusionSettings
from flexbench.config.reading import load_config, parse_assignments
from flexbench.graph import Graph
from flexbench.inference.trained import load_trained, rebuild
from flexbench.steps.simulate import simulate_step
from flexbench.steps.statistics import statistics_step
from flexbench.steps.train import train_step


def test_a_method_learns_and_is_rebuilt_with_a_diffusion_of_its_own(tiny, tmp_path):
    own = [
        "methods=[flex,other]",
        "method_settings.other.network=flex",
        "train.steps=2",
        "train.warmup_steps=1",
    ]
    own += ["diffusion={loss: mse}", "method_settings.other.diffusion={target: x, shift: 2.0}"]
    overrides = parse_assignments([*tiny, *own, f"root={tmp_path}"])
    graph = Graph.of(load_config({"tier": "smoke"} | overrides))
    for run in graph.runs("train", "validation"):
        simulate_step(graph, reynolds=run.reynolds, seed=run.seed, boundary=run.boundary)
    statistics_step(graph, task="superres_x4", observable="w")
    weights = {}
    for method, settings in (
        ("flex", DiffusionSettings(loss="mse")),
        ("other", DiffusionSettings(loss="mse", target="x", shift=2.0)),
    ):
        train_step(graph, training="superres_x4", method=method, seed=0)
        path = graph.layout.checkpoint("superres_x4", method, 0)
        weights[method], metadata = load_trained(path)
        trained = rebuild(weights[method], metadata, source=path, task="superres_x4")
        assert trained.method.settings == settings
    # The first step moves what starts at zero: the losses have to differ.
    assert any(
        not torch.equal(weights["flex"][name], weights["other"][name]) for name in weights["flex"]
    )
