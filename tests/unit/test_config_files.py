"""A user's own file over its tier, and a whole configuration: the same words on every verb."""

import inspect

import pytest
import yaml

from flexbench import cli
from flexbench.cli.app import asked_of, graph_of
from flexbench.config.reading import load_config, to_yaml
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout


@pytest.fixture
def partial(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("tier: smoke\ntrain: {learning_rate: 3.0e-4}\nevaluations: null\n")
    return path


def test_a_file_of_ones_own_means_the_same_to_every_verb(partial):
    asked = asked_of(None, partial, None)
    run = load_config(asked.values, origins=asked.origins)
    step = graph_of(config=partial).config
    assert run == step
    # What it does not say is its tier's, and not a bare default.
    smoke = load_config({"tier": "smoke"})
    assert step.train.steps == smoke.train.steps != type(smoke.train)().steps
    assert step.train.learning_rate == 3e-4


def test_a_resolved_file_says_everything(partial, tmp_path):
    whole = tmp_path / "config.yaml"
    whole.write_text(to_yaml(graph_of(config=partial).config))
    assert graph_of(resolved=whole).config == graph_of(config=partial).config
    assert graph_of(resolved=whole, set_=["train.steps=300"]).config.train.steps == 300


@pytest.mark.parametrize("key", ["threads", "train.clip_norm", "tasks.superres_x4.residual"])
def test_a_resolved_file_that_lacks_a_key_is_refused(partial, tmp_path, key):
    values = yaml.safe_load(to_yaml(graph_of(config=partial).config))
    inner = values
    *path, last = key.split(".")
    for part in path:
        inner = inner[part]
    del inner[last]
    lacking = tmp_path / "lacking.yaml"
    lacking.write_text(yaml.safe_dump(values))
    with pytest.raises(FlexbenchError) as error:
        graph_of(resolved=lacking)
    assert str(error.value).startswith(f"{lacking}: not a resolved configuration: it lacks {key};")
    assert "--config" in str(error.value)


def test_a_partial_file_is_not_taken_for_a_whole_one(partial):
    with pytest.raises(FlexbenchError, match=r"methods|not a resolved configuration"):
        graph_of(resolved=partial)


def test_one_of_the_two_is_enough(partial):
    with pytest.raises(FlexbenchError, match="--config and --resolved: give one of them"):
        graph_of(config=partial, resolved=partial)


def test_every_verb_that_reads_a_configuration_takes_a_file_of_ones_own():
    """And none calls anything else by that name."""
    for command in cli.app.registered_commands:
        options = {
            word: parameter
            for parameter in inspect.signature(command.callback).parameters.values()
            for hint in getattr(parameter.annotation, "__metadata__", ())
            for word in getattr(hint, "param_decls", None) or ()
        }
        if "--resolved" in options:
            assert "--config" in options, command.callback.__name__


def test_the_frontier_is_desk_with_other_samplers_and_modes():
    """On desk's data and by its recipe, so that only what is asked about differs."""
    path = checkout() / "workflow" / "config" / "frontier.yaml"
    found = graph_of(config=path)
    desk = graph_of(tier="desk")
    for key in ("solver", "splits", "tasks", "train", "size", "diffusion"):
        assert getattr(found.config, key) == getattr(desk.config, key), key
    modes = {found.config.method(it.method).mode for it in found.trainings}
    assert modes == {"denoiser", "crps", "regressor"}
    asked = {
        (found.case(case).sample.sampler, found.case(case).sample.steps) for case in found.cases
    }
    assert asked >= {("calibrated", n) for n in (1, 2, 4)} | {("ddim", n) for n in (1, 2, 4, 16)}
    assert found.is_stochastic("flex-regressor", "forecast.calibrated")
    assert not found.is_stochastic("flex-regressor", "forecast")


def test_a_run_of_before_a_key_was_known_can_be_read(tmp_path):
    """Where the key stands for nothing, or for what a cluster gives."""
    config = load_config({"tier": "study"})
    values = config.model_dump(mode="json")
    del values["cluster"]["gradients"]
    for settings in (*values["method_settings"].values(), *values["evaluations"].values()):
        if settings["training_seeds"] is None:
            del settings["training_seeds"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    assert load_config(resolved=path) == config
