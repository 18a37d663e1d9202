"""What jobs ask a cluster for: from one section of the configuration, and in no result."""

import pytest

from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph
from flexbench.graph.resources import resources
from flexbench.graph.snakefile import SnakemakeRule

SIMULATED = [rule.name for rule in RULES if rule.name != "import_data"]


def graph(tier="smoke", **overrides):
    theory = {"theory": {"methods": ["flex"]}}
    return Graph.of(load_config({"tier": tier} | theory | overrides))


def asked_for(graph, name, method=None):
    """What the first job of a rule (of a method) asks for."""
    rule = graph.rule(name)
    names = next(it for it in rule.jobs(graph) if method in (None, it.get("method")))
    return resources(graph, rule, names)


@pytest.mark.parametrize("rule", SIMULATED)
def test_without_a_site_jobs_name_no_place(rule):
    """So that --default-resources, or the cluster itself, says where they go."""
    asked = asked_for(graph(), rule)
    assert set(asked) == {"runtime", "mem_mb", "cpus_per_task", "slurm_extra"}
    assert asked["cpus_per_task"] == 1
    assert asked["slurm_extra"] == "--signal=TERM@60 --open-mode=append"


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
    assert asked_for(asked, "score") == common | sized | {"slurm_partition": "cpu"}
    sized = {"runtime": 60, "mem_mb": 4000, "cpus_per_task": 1}
    gpu = {"slurm_partition": "gpu", "gpu": 1, "gpu_model": "a100", "tasks": 0}
    assert asked_for(asked, "train", "flex") == common | sized | gpu


def test_a_training_gets_a_gpu_and_cpus_for_each_of_its_processes():
    asked = graph(
        threads=3,
        cluster={"partition": "all", "train": {"gpu": True}, "sample": {"gpu": True}},
        method_settings={"unet": {"train": {"processes": 4}}},
    )
    wildcards = {"training": "superres_x4", "method": "unet", "seed": "0"}
    assert asked_for(asked, "train", "unet")["gpu"] == 4
    assert SnakemakeRule(asked, "train").resources["gpu"](wildcards) == 4
    assert asked_for(asked, "train", "flex")["gpu"] == 1
    assert asked_for(asked, "sample", "unet")["gpu"] == 1
    assert asked_for(asked, "sample", "unet")["slurm_partition"] == "all"
    cpus = {
        method: asked_for(asked, "train", method)["cpus_per_task"] for method in ("unet", "flex")
    }
    assert cpus == {"unet": 12, "flex": 3}
    assert SnakemakeRule(asked, "train").resources["cpus_per_task"](wildcards) == 12
    assert asked_for(asked, "sample", "unet")["cpus_per_task"] == 3
    assert asked_for(asked, "figure")["cpus_per_task"] == 1


def test_a_short_job_is_not_told_to_end_as_it_begins():
    asked = graph(cluster={"save_seconds": 90, "train": {"minutes": 1}})
    assert asked_for(asked, "train", "flex")["slurm_extra"] == "--signal=TERM@30 --open-mode=append"


def test_needs_in_part_keep_the_rule_s_own_defaults():
    needs = load_config({"tier": "smoke", "cluster": {"train": {"minutes": "90"}}}).cluster.train
    assert (needs.minutes, needs.memory_mb, needs.gpu) == (90, 4000, False)


@pytest.mark.parametrize("tier", ["lab", "paper"])
def test_large_tiers_use_gpus_to_learn_and_to_sample(tier):
    asked = graph(tier)
    on_gpus = {rule for rule in SIMULATED if "gpu" in asked_for(asked, rule)}
    assert on_gpus == {"train", "calibrate", "sample", "gradients"}
    assert asked_for(asked, "train")["runtime"] > 60


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
    there = {"partition": "gpu", "save_seconds": 5, "train": {"minutes": 3, "gpu": True}}
    assert graph(cluster=there).steps == graph().steps
