"""The configuration: tiers load, and everything wrong is told in one line."""

import pytest
import yaml

from flexbench.config import TIERS, Config
from flexbench.config.reading import json_schema, load_config, parse_assignments, to_yaml
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_loads_and_survives_a_round_trip(tier, tmp_path):
    config = load_config({"tier": tier})
    assert config.tier == tier
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(resolved=path) == config


def test_desk_is_the_default():
    assert load_config().tier == "desk"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"tier": "dsk"}, ["dsk", "smoke, gate, desk, study, lab, paper"]),
        ({"train": {"stepz": 3}}, ["train.stepz", "unknown key", "'steps'"]),
        ({"train": {"steps": "many"}}, ["train.steps", "integer", "many"]),
        ({"tasks": {"forecast": {"leed": 1}}}, ["tasks.forecast.leed", "'lead'"]),
        ({"tasks": {"forecast": {"patch": 512}}}, ["patch (512)", "larger than the field (256)"]),
        ({"tasks": {"forecast": {"lead": 0.15}}}, ["lead (0.15)", "multiple", "0.1"]),
        (
            {"splits": {"test": {"reynolds": [-5]}}},
            ["splits.test.reynolds", "greater than 0", "-5"],
        ),
        ({"splits": {"test": {"seeds": [0]}}}, ["leak", "Re 500", "seed 0", "train", "test"]),
        (
            {"method_settings": {"unet": {"train": {"lr": 1}}}},
            ["method_settings.unet.train.lr: unknown key"],
        ),
        (
            {"method_settings": {"unet": {"train": {"steps": -5}}}},
            ["command line: method_settings.unet.train.steps: ", "greater than 0, found -5"],
        ),
        (
            {"method_settings": {"unet": {"train": {"betas": [0.9, 1.5]}}}},
            ["command line: method_settings.unet.train.betas.1: ", "less than 1, found 1.5"],
        ),
        ({"method_settings": {"unet": {"wdith": 8}}}, ["method_settings.unet.wdith", "'width'"]),
        ({"splits": {"train": {"seed": [1]}}}, ["splits.train.seed", "'seeds'", "reynolds, seeds"]),
        ({"cluster": {"train": {"minuts": 3}}}, ["cluster.train.minuts", "'minutes'"]),
        ({"sample": {"snapshots": 99}}, ["command line: sample.snapshots (99)", "stores 31"]),
        (
            {"tasks": {"forecast": {"lead": 2}}},
            ["command line: tasks.forecast.lead (2): its snapshots span 4 time units", " 3 ("],
        ),
        ({"solver": {"t_end": 0.2}}, ["t_end (0.2)", "t_start (0.5)"]),
        ({"methods": []}, ["methods"]),
        (
            {"method_settings": {"unet": {"training_seeds": [0, 3]}}},
            ["method_settings.unet.training_seeds: found 3, allowed: 0"],
        ),
        (
            {"evaluations": {"far": {"reynolds": [9], "training_seeds": [1]}}},
            ["evaluations.far.training_seeds: found 1, allowed: 0"],
        ),
        ({"stages": [["flex"], ["uvit"]]}, ["stages: no method 'uvit'; allowed: flex, unet"]),
        ({"sample": {"overlap": 64}}, ["sample.overlap (64)", "smaller than", "patch (64)"]),
        ({"sample": {"overlap": 62}}, ["sample.overlap (62)", "at most", "factor (60)"]),
        ({"sample": {"overlap": 8}, "solver": {"grid": 202}}, ["factor (4)", "the grid (202)"]),
        ({"sample": {"overlap": -1}}, ["sample.overlap", "greater than or equal to 0"]),
        ({"solver": {"grid": 200}}, ["patch (64)", "must divide the grid (200)", "sample.overlap"]),
    ],
)
def test_a_wrong_value_is_told_in_one_line(overrides, words):
    with pytest.raises(FlexbenchError) as error:
        load_config(overrides)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_with_an_overlap_any_grid_will_do():
    config = load_config({"solver": {"grid": 200}, "sample": {"overlap": 8}})
    assert (config.solver.grid, config.sample.overlap) == (200, 8)


def test_numbers_that_arrive_as_strings_are_taken():
    config = load_config({"train": {"learning_rate": "1e-4", "steps": "12"}})
    assert config.train.learning_rate == 1e-4
    assert config.train.steps == 12


def test_null_arrives_as_a_word_from_snakemake():
    assert load_config({"train": {"clip_norm": "null"}}).train.clip_norm is None


def test_assignments_nest_and_merge():
    parsed = parse_assignments(["train.steps=3", "train.batch=2", "methods=[flex,mine]"])
    assert parsed == {"train": {"steps": 3, "batch": 2}, "methods": ["flex", "mine"]}
    with pytest.raises(FlexbenchError, match="key=value"):
        parse_assignments(["train.steps"])


def test_a_broken_yaml_is_told_in_one_line(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: [1,")
    with pytest.raises(FlexbenchError, match=r"bad\.yaml: not valid YAML"):
        load_config(resolved=path)


def test_a_yaml_with_a_payload_runs_nothing(tmp_path):
    path = tmp_path / "bad.yaml"
    marker = tmp_path / "ran"
    path.write_text(f"tier: !!python/object/apply:os.mkdir ['{marker}']\n")
    with pytest.raises(FlexbenchError, match="not valid YAML"):
        load_config(resolved=path)
    assert not marker.exists()


def test_the_committed_schema_is_the_models_schema():
    from flexbench.paths import checkout

    committed = checkout() / "workflow" / "schemas" / "config.schema.json"
    assert committed.read_text() == json_schema(), "run: flexbench config --schema --output " + str(
        committed.relative_to(checkout())
    )


def test_a_method_without_settings_is_a_file_of_that_name():
    config = load_config({"methods": ["flex", "mine"]})
    assert config.method("mine").network == "mine"
    assert isinstance(config, Config)


def test_a_method_may_override_whatever_train_holds():
    values = load_config().train.model_dump(mode="json") | {"betas": [0.5, 0.75], "clip_norm": None}
    config = load_config({"method_settings": {"unet": {"train": values}}})
    assert config.train_settings("unet").model_dump(mode="json") == values
    assert load_config(yaml.safe_load(to_yaml(config))) == config


def test_a_method_may_override_the_training():
    config = load_config({"method_settings": {"unet": {"train": {"learning_rate": 0.5}}}})
    assert config.train_settings("unet").learning_rate == 0.5
    assert config.train_settings("flex").learning_rate == config.train.learning_rate


def test_what_was_taken_away_stays_so_in_a_file_of_ones_own(tmp_path):
    """A configuration that was written out says the same over its tier's file as alone."""
    config = load_config({"tier": "smoke", "evaluations": None})
    assert load_config({"tier": "smoke"}).evaluations
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(read_yaml(path)) == load_config(resolved=path) == config


def test_a_task_that_nothing_runs_needs_no_time():
    short = {"tier": "smoke", "evaluations": None, "solver": {"t_end": 0.8}}
    many = short | {"sample": {"snapshots": 4}}
    with pytest.raises(FlexbenchError, match="'forecast' needs"):
        load_config(many)
    assert load_config(many | {"tasks": {"forecast": {"methods": []}}})
