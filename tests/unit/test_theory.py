"""What theory says of residuals: closed forms, the noise of known gradients, the two steps."""

import numpy as np
import pytest
import torch

from flexbench.config.reading import load_config, parse_assignments
from flexbench.data.store import Trajectory
from flexbench.diffusion import CosineSchedule
from flexbench.diffusion.parametrization import noised, velocity
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.steps.gradients import gradients_step
from flexbench.steps.simulate import simulate_step
from flexbench.steps.statistics import statistics_step
from flexbench.steps.targets import targets_step
from flexbench.steps.train import train_step
from flexbench.tasks.loading import load_task
from flexbench.theory.noise import gradient_noise
from flexbench.theory.tables import GRADIENTS, SPACES, TARGETS
from flexbench.theory.targets import TIMES, Spread
from flexbench.training.checkpoint import load_checkpoint

GRID = 64
TASK = "superres_x4"


def alpha_sigma(*times):
    t = torch.tensor(times, dtype=torch.float64)
    return [it.numpy() for it in CosineSchedule().alpha_sigma(t)]


def white(count, scale, seed=0):
    return scale * np.random.default_rng(seed).normal(size=(count, GRID, GRID))


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_the_variance_of_the_target_is_that_of_sampled_ones(scale):
    fields = white(8, scale)
    noise = white(8, 1.0, seed=1)
    alpha, sigma = alpha_sigma(0.1, 0.5, 0.9)
    found = Spread.of(list(fields), periodic=True).target_variance(alpha, sigma)
    sampled = [velocity(fields, noise, a, s).var() for a, s in zip(alpha, sigma, strict=True)]
    np.testing.assert_allclose(found, sampled, rtol=0.02)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_of_white_gaussian_data_the_best_velocity_is_the_regression_on_x_t(scale):
    """It is linear in x_t there: what is explained of v is the square of its correlation."""
    fields = white(16, scale)
    noise = white(16, 1.0, seed=1)
    alpha, sigma = alpha_sigma(0.1, 0.5, 0.9)
    found = Spread.of(list(fields), periodic=True).optimal_velocity(alpha, sigma)
    closed = alpha**2 * sigma**2 * (1 - scale**2) ** 2 / (alpha**2 * scale**2 + sigma**2)
    np.testing.assert_allclose(found, closed, rtol=0.03, atol=2e-3)
    for a, s, value in zip(alpha, sigma, found, strict=True):
        x_t, v = noised(fields, noise, a, s), velocity(fields, noise, a, s)
        explained = np.mean(x_t * v) ** 2 / np.mean(x_t**2)
        assert value == pytest.approx(explained, rel=0.05, abs=2e-3)


def test_a_spectrum_counts_mode_by_mode():
    """A single wave of a smooth field: all other modes are known to be nothing."""
    wave = np.sqrt(2) * np.cos(3 * np.linspace(0, 2 * np.pi, GRID, endpoint=False))
    spread = Spread.of([np.broadcast_to(wave, (GRID, GRID))], periodic=True)
    assert spread.variance == pytest.approx(1.0)
    assert spread.modes.sum() == pytest.approx(GRID**2)
    assert (spread.of_modes * spread.modes).sum() / GRID**2 == pytest.approx(1.0)
    (shell,) = np.flatnonzero(spread.of_modes > 1e-9)
    assert shell == 3
    alpha, sigma = alpha_sigma(0.5)
    share = spread.modes[shell] / GRID**2
    s2 = 1.0 / share
    one = alpha**2 * sigma**2 * (1 - s2) ** 2 / (alpha**2 * s2 + sigma**2)
    expected = share * one + (1 - share) * alpha**2
    np.testing.assert_allclose(spread.optimal_velocity(alpha, sigma), expected)
    # Without a period the same field has the same variance, its spectrum is an estimate.
    windowed = Spread.of([np.broadcast_to(wave, (GRID, GRID))], periodic=False)
    assert windowed.variance == pytest.approx(1.0)
    assert (windowed.of_modes * windowed.modes).sum() / GRID**2 == pytest.approx(1.0)


def test_the_noise_scale_of_known_gradients_is_found_without_bias():
    """G of norm 2 in 50 dimensions, Sigma with trace 600, batches of 8: noise scale 150."""
    random = np.random.default_rng(0)
    spread = np.linspace(0.5, 5.0, 50)
    spread *= np.sqrt(600 / (spread**2).sum())
    mean = np.full(50, 2 / np.sqrt(50))
    studies = 400
    norms, traces = [], []
    for _ in range(studies):
        noise = random.normal(size=(32, 50)) * spread / np.sqrt(8)
        found = gradient_noise((torch.from_numpy(mean + row) for row in noise), batch=8)
        norms.append(found.squared_norm)
        traces.append(found.trace)
    for values, truth in ((norms, 4.0), (traces, 600.0)):
        error = np.std(values, ddof=1) / np.sqrt(studies)
        assert abs(np.mean(values) - truth) < 3 * error
        assert error < 0.03 * truth


def test_where_noise_hides_the_gradient_there_is_no_scale():
    opposite = [torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])]
    found = gradient_noise(opposite, batch=4)
    assert (found.squared_norm, found.trace) == (-1.0, 8.0)
    assert np.isnan(found.scale)
    with pytest.raises(ValueError, match="1 gradients"):
        gradient_noise(opposite[:1], batch=4)


# --- the steps --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph(tiny, tmp_path_factory):
    own = [
        "methods=[flex]",
        "train={steps: 4, warmup_steps: 1, validate_every: 2, accumulate: 2, dropout: 0.1}",
        "splits.train={reynolds: [100], seeds: [0, 1]}",
        "theory={methods: [flex], batches: 3, snapshots: 2}",
    ]
    settings = [*tiny, *own, f"root={tmp_path_factory.mktemp('theory')}"]
    graph = Graph.of(load_config({"tier": "smoke"} | parse_assignments(settings)))
    for run in graph.runs("train", "validation"):
        simulate_step(graph, reynolds=run.reynolds, seed=run.seed, boundary=run.boundary)
    statistics_step(graph, task=TASK, observable="w")
    return graph


def test_targets_are_of_the_task_s_own_fields(graph):
    targets_step(graph, task=TASK)
    table = TARGETS.read(graph.layout.targets(TASK))
    assert len(table) == 2 * 2 * 2 * TIMES
    assert set(table["space"]) == set(SPACES)
    of = {
        (space, scaling): rows.groupby("trajectory")["variance"].first()
        for (space, scaling), rows in table.groupby(["space", "scaling"])
    }
    # By hand: the field's variance over the middles of both halves, in units of the split's.
    field_std = load_task(graph, TASK).normaliser.field_std
    for path in graph.trajectories("train"):
        with Trajectory(path) as trajectory:
            half = trajectory.shape[0] / 2
            fields = trajectory.whole()[[int(half / 2), int(3 * half / 2)]].astype(np.float64)
        expected = fields.var(axis=(1, 2)).mean() / field_std**2
        assert of["fields", "equal"][path.stem] == pytest.approx(expected)
    assert (of["residuals", "equal"] < of["fields", "equal"]).all()
    for space in SPACES:
        assert of[space, "unit"].mean() == pytest.approx(1.0)
    alpha, sigma = (it.numpy() for it in CosineSchedule().alpha_sigma(torch.tensor(table["t"])))
    np.testing.assert_allclose(
        table["target_variance"], alpha**2 + sigma**2 * table["variance"], rtol=1e-6
    )
    # What can be known is a part of all.
    assert (table["optimal_velocity"] < table["target_variance"]).all()


def test_a_training_that_is_looked_at_learns_the_same_to_the_bit(graph):
    train_step(graph, training=TASK, method="flex", seed=0)
    learner = gradients_step(graph, training=TASK, method="flex", seed=0)
    weights, _ = load_checkpoint(graph.layout.checkpoint(TASK, "flex", 0))
    again = learner.average.state_dict()
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    table = GRADIENTS.read(graph.layout.gradients(TASK, "flex", 0))
    assert table["step"].tolist() == [1, 2, 4]
    assert set(table["batches"]) == {3}
    assert (table["trace"] > 0).all()
    # The same batches at the same weights give the same numbers.
    written = graph.layout.gradients(TASK, "flex", 0).read_text()
    gradients_step(graph, training=TASK, method="flex", seed=0)
    assert graph.layout.gradients(TASK, "flex", 0).read_text() == written


# --- the configuration ------------------------------------------------------------------------


def test_theory_is_asked_for_and_makes_nothing_else_stale():
    overrides = {"tier": "study"}
    asked = Graph.of(load_config(overrides | {"theory": {"methods": ["flex-xxs"]}}))
    plain = Graph.of(load_config(overrides | {"theory": None}))
    assert {step.name for step in asked.steps} - {step.name for step in plain.steps} == {
        *("targets", "gradients")
    }
    drawn = ("tabulate", "figure", "report")  # of what was measured, too
    former = {step.outputs: step for step in plain.steps if step.name not in drawn}
    assert former.items() <= {step.outputs: step for step in asked.steps}.items()
    jobs = [names["training"] for names in asked.rule("gradients").jobs(asked)]
    assert set(jobs) == {TASK, "forecast", f"{TASK}_fields", "forecast_fields"}
    assert asked.config.fields_of(TASK) == f"{TASK}_fields"
    assert asked.config.fields_of(f"{TASK}_fields") is None


@pytest.mark.parametrize(
    ("theory", "words"),
    [
        ({"methods": ["flax"]}, ["theory.methods", "flax", "flex"]),
        ({"methods": ["persistence"]}, ["theory.methods", "persistence", "trains nothing"]),
        ({"batches": 1}, ["theory.batches", "2"]),
        ({"batch": 8}, ["theory.batch", "did you mean 'batches'"]),
    ],
)
def test_what_cannot_be_measured_is_refused(theory, words):
    with pytest.raises(FlexbenchError) as caught:
        Graph.of(load_config({"tier": "smoke", "theory": theory}))
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line
