"""What jobs ask a cluster for: from one section of the configuration, and in no result."""

import pytest

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph

RULES = (
    "simulate",
    "splits",
    "statistics",
    "train",
    "sample",
    "score",
    "tabulate",
    "figure",
    "report",
)


def graph(tier="smoke", **overrides):
    return Graph.of(load_config({"tier": tier} | overrides))


@pytest.mark.parametrize("rule", RULES)
def test_without_a_site_jobs_name_no_place(rule):
    """So that --default-resources, or the cluster itself, says where they go."""
    resources = graph().resources(rule)
    assert set(resources) == {"runtime", "mem_mb", "cpus_per_task", "slurm_extra"}
    assert resources["cpus_per_task"] == 1
    assert resources["slurm_extra"] == "--signal=TERM@60 --open-mode=append"


def test_a_site_is_told_once():
    site = {"account": "turbulence", "partition": "cpu", "gpu_partition": "gpu", "qos": "long"}
    site |= {"constraint": "ib&avx512", "gpu_model": "a100", "extra": "--mail-type=FAIL"}
    asked = graph(cluster=site | {"save_seconds": 90, "train": {"gpu": True}})
    common = {
        "slurm_account": "turbulence",
        "qos": "long",
        "constraint": "ib&avx512",
        "slurm_extra": "--signal=TERM@90 --open-mode=append --mail-type=FAIL",
    }
    sized = {"runtime": 20, "mem_mb": 2000, "cpus_per_task": 1}
    assert asked.resources("score") == common | sized | {"slurm_partition": "cpu"}
    sized = {"runtime": 60, "mem_mb": 4000, "cpus_per_task": 1}
    gpu = {"slurm_partition": "gpu", "gpu": 1, "gpu_model": "a100", "tasks": 0}
    assert asked.resources("train", "flex") == common | sized | gpu


def test_a_training_gets_a_gpu_and_cpus_for_each_of_its_processes():
    asked = graph(
        threads=3,
        cluster={"partition": "all", "train": {"gpu": True}, "sample": {"gpu": True}},
        method_settings={"unet": {"train": {"processes": 4}}},
    )
    wildcards = type("Wildcards", (), {"method": "unet"})
    assert asked.resources("train", "unet")["gpu"] == 4
    assert asked.rule_resources("train")["gpu"](wildcards) == 4
    assert asked.resources("train", "flex")["gpu"] == 1
    assert asked.resources("sample", "unet")["gpu"] == 1
    assert asked.resources("sample", "unet")["slurm_partition"] == "all"
    cpus = {
        method: asked.resources("train", method)["cpus_per_task"] for method in ("unet", "flex")
    }
    assert cpus == {"unet": 12, "flex": 3}
    assert asked.rule_resources("train")["cpus_per_task"](wildcards) == 12
    assert asked.resources("sample", "unet")["cpus_per_task"] == 3
    assert asked.resources("figure")["cpus_per_task"] == 1


def test_a_short_job_is_not_told_to_end_as_it_begins():
    asked = graph(cluster={"save_seconds": 90, "train": {"minutes": 1}})
    assert asked.resources("train", "flex")["slurm_extra"] == "--signal=TERM@30 --open-mode=append"


def test_needs_in_part_keep_the_rule_s_own_defaults():
    needs = load_config({"tier": "smoke", "cluster": {"train": {"minutes": "90"}}}).cluster.train
    assert (needs.minutes, needs.memory_mb, needs.gpu) == (90, 4000, False)


@pytest.mark.parametrize("tier", ["lab", "paper"])
def test_large_tiers_use_gpus_to_learn_and_to_sample(tier):
    asked = graph(tier)
    assert {rule for rule in RULES if "gpu" in asked.resources(rule)} == {"train", "sample"}
    assert asked.resources("train")["runtime"] > 60


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"acount": "x"}, ["cluster.acount", "'account'"]),
        ({"train": {"minute": 3}}, ["cluster.train.minute", "'minutes'"]),
        ({"train": {"memory_mb": 10}}, ["cluster.train.memory_mb", "500", "found 10"]),
        ({"train": 5}, ["cluster.train", "mapping"]),
        ({"gpu_model": "a 100"}, ["cluster.gpu_model", "a 100"]),
        ({"partition": ""}, ["cluster.partition", "pattern", "found ''"]),
    ],
)
def test_a_wrong_wish_is_told_in_one_line(cluster, words):
    with pytest.raises(FlexbenchError) as error:
        graph(cluster=cluster)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_where_a_job_runs_decides_no_result():
    def slices(of):
        yield of.simulate_slice(100, 0)
        yield of.splits_slice()
        yield of.statistics_slice("forecast")
        yield of.train_slice("forecast", "flex", 0)
        yield of.sample_slice("forecast", "flex", 0)
        yield of.score_slice("forecast")
        yield of.tabulate_slice()
        yield of.figure_slice("forecast", "maps")
        yield of.launcher("flex")

    there = {"partition": "gpu", "save_seconds": 5, "train": {"minutes": 3, "gpu": True}}
    assert list(slices(graph(cluster=there))) == list(slices(graph()))
