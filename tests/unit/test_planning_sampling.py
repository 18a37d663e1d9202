"""What sampling is planned to cost, against a count of what it does, with a tiny network."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from flexbench import registry
from flexbench.config.reading import load_config
from flexbench.data.dummy import write_dummy
from flexbench.data.normaliser import Normaliser
from flexbench.graph import Graph
from flexbench.inference import predictors, tiles
from flexbench.inference.ensemble import describe, draw_samples
from flexbench.inference.rollout import Targets
from flexbench.methods import make_method
from flexbench.planning.costs.learn import sampling_flops
from flexbench.planning.facts import RunFacts
from flexbench.solver.times import snapshot_times
from flexbench.tasks import make_task

GRID, PATCH = 32, 16
CASE = "forecast.flows"

NETWORK = '''
import torch
from torch import nn

TASKS = ("forecast",)
WIDTH_STEP = 1


class Tiny(nn.Module):
    """Encoding costs other than denoising, by a factor that is not a whole number."""

    def __init__(self, channels, width):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.last = nn.Conv2d(1 + width, 1, 1)

    def encode(self, condition, re):
        return [self.first(condition)]

    def denoise(self, noisy, t, re, encoded):
        return self.last(torch.cat([noisy, *encoded], dim=1))

    def forward(self, noisy, t, re, condition):
        return self.denoise(noisy, t, re, self.encode(condition, re))


def build(problem, *, width):
    return Tiny(problem.condition_channels, width)
'''


@pytest.mark.parametrize(
    ("evaluation", "mode", "together"),
    [
        ({"sample": {"overlap": 0}}, "denoiser", 5),
        ({"sample": {"overlap": 4}}, "denoiser", 5),
        ({"sample": {"overlap": 4, "sampler": "heun", "steps": 3}}, "denoiser", 5),
        ({"sample": {"overlap": 4, "batch": 3}}, "denoiser", 5),
        ({"sample": {"overlap": 4, "batch": 3}}, "denoiser", 4),
        ({"sample": {"overlap": 4}}, "regressor", 5),
        ({"leads": 3}, "denoiser", 5),
        ({"leads": 3, "feedback": "mean"}, "denoiser", 5),
        ({"leads": 3, "sample": {"overlap": 4}}, "denoiser", 5),
        ({"leads": 3, "sample": {"overlap": 4, "batch": 3}}, "denoiser", 4),
        ({"leads": 3, "feedback": "mean", "sample": {"overlap": 4, "batch": 3}}, "denoiser", 4),
    ],
)
@pytest.mark.parametrize("room", [0, tiles.ENCODED_BYTES])
def test_flops_of_sampling(tmp_path, monkeypatch, evaluation, mode, together, room):
    """together: members whose domains fit into memory at once, out of five. room: for features."""
    monkeypatch.setattr(predictors, "DOMAIN_BYTES", together * 4 * GRID**2)
    monkeypatch.setattr(tiles, "ENCODED_BYTES", room)
    folder = tmp_path / "networks"
    folder.mkdir()
    (folder / "tiny.py").write_text(NETWORK)
    config = load_config(
        {
            "tier": "smoke",
            "root": str(tmp_path),
            "baseline_folders": [str(folder)],
            "methods": ["tiny"],
            "method_settings": {"tiny": {"width": 3, "mode": mode}},
            "solver": {"grid": GRID},
            "tasks": {"superres_x4": {"patch": PATCH}, "forecast": {"patch": PATCH}},
            "sample": {"members": 5},
            "evaluations": {"flows": evaluation},
        }
    )
    graph = Graph.of(config)
    case = graph.case(CASE)
    problem = make_task(
        graph.task_settings(CASE), normaliser=Normaliser(1.0, 1.0), interval=config.solver.interval
    )
    for path, run in zip(graph.tested(CASE), case.runs, strict=True):
        times = snapshot_times(config.solver)
        write_dummy(path, grid=GRID, times=times, reynolds=run.reynolds, seed=run.seed)
    network = registry.load("tiny", [folder]).build(problem.spec, width=3)
    predictor = predictors.NetworkPredictor(
        make_method(network, problem=problem.spec, settings=config.diffusion, mode=mode),
        settings=case.sample,
        seed=0,
        device="cpu",
    )
    targets = Targets(
        trajectories=graph.tested(CASE),
        snapshots=case.sample.snapshots,
        leads=case.settings.leads,
        feedback=case.settings.feedback,
    )
    with FlopCounterMode(display=False) as counter:
        draw_samples(
            predictor,
            task=problem,
            targets=targets,
            labels=describe(predictor, targets, case=CASE, method="tiny", training_seed=0),
            path=tmp_path / "samples.h5",
            state_dir=tmp_path / "state",
            identity="",
        )
    assert sampling_flops(RunFacts.of(graph), CASE, "tiny") == counter.get_total_flops()
