"""The jobs of a configuration, and what each of them depends on."""

import os
import shutil
import subprocess
import sys

import pytest

from flexbench import provenance, registry
from flexbench.config import PACE, Run
from flexbench.config.reading import load_config
from flexbench.errors import FlexbenchError
from flexbench.graph import RULES, Graph, Job, Training, named
from flexbench.graph.snakefile import launcher
from flexbench.provenance import digest_of
from flexbench.runner import stage_targets


def graph(**overrides):
    return Graph.from_overrides({"tier": "smoke"} | overrides)


@pytest.fixture(scope="module")
def smoke():
    return graph()


def test_jobs_are_what_methods_can_do():
    methods = ["flex", "interpolation", "persistence"]
    of = graph(methods=methods, training_seeds=[3, 5])
    assert [job for job in of.jobs if job.case in of.config.tasks] == [
        Job("superres_x4", "flex", 3),
        Job("superres_x4", "flex", 5),
        Job("superres_x4", "interpolation", 3),  # a formula has nothing to learn: once
        Job("forecast", "flex", 3),
        Job("forecast", "flex", 5),
        Job("forecast", "persistence", 3),
    ]


def test_evaluations_ask_trained_methods_about_other_flows(smoke):
    case = smoke.case("superres_x4.no_slip")
    assert smoke.weights(case.name, "flex", 0) == smoke.weights("superres_x4", "flex", 0)
    assert [path.stem for path in smoke.tested(case.name)] == [
        "no_slip_re100_seed100",
        "no_slip_re200_seed100",
    ]
    assert smoke.statistics(case.name) == smoke.layout.statistics("superres_x4")
    own = smoke.statistics("superres_x4.velocity_u")
    assert own.name == "statistics_superres_x4.u.json"
    assert {job.method for job in smoke.jobs_of(case.name)} == {"flex", "interpolation"}
    assert not {it.name for it in smoke.trainings} & set(smoke.config.evaluations)
    # A rollout needs a past.
    assert "superres_x4.rollout" not in smoke.cases
    assert "forecast.rollout" in smoke.cases


def test_a_network_of_several_tasks_may_be_asked_about_other_flows():
    more = graph(evaluations={"blended": {"methods": ["flex-multi"]}})
    assert more.unfit("superres_x4.blended", "flex-multi") is None
    (path,) = more.weights("superres_x4.blended", "flex-multi", 0)
    assert path == more.layout.checkpoint("superres_x4+forecast", "flex-multi", 0)


def test_every_file_of_an_evaluation_is_held_against_the_training(smoke):
    files = [path.stem for paths in smoke.untrained.values() for path in paths]
    assert len(files) == len(set(files))
    assert {"re50_seed100", "free_slip_re100_seed100"} <= set(files)
    assert not set(files) & set(smoke.stems("train", "validation"))


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        ({"seeds": [0]}, "leak: Re 100, seed 0 is in both evaluations.mine and train"),
        (
            {"leads": 3, "tasks": ["superres_x4"]},
            "leads is 3, and none of its tasks can be rolled out",
        ),
        ({"tasks": ["nothing"]}, "no task 'nothing'; allowed: superres_x4, forecast"),
        (
            {"sample": {"member": 3}},
            "sample.member: unknown key; did you mean 'members'? (allowed: members",
        ),
        ({"sample": {"overlap": 32}}, "evaluations.mine.sample.overlap (32) must be smaller than"),
        ({"sample": {"steps": 0}}, "evaluations.mine.sample.steps: Input should be greater than 0"),
        ({"leads": 30}, "(30): its snapshots span 3.1 time units, and the trajectories 0.6"),
        ({"boundary": "porous"}, "'periodic', 'free_slip' or 'no_slip'"),
        ({"reynold": [50]}, "mine.reynold: unknown key; did you mean 'reynolds'? (allowed: reyn"),
        ({"methods": ["flecks"]}, "evaluations.mine.methods: no network or formula is named 'fl"),
        ({"methods": []}, "evaluations.mine.methods: Value should have at least 1 item"),
        ({"tasks": []}, "evaluations.mine.tasks: Value should have at least 1 item"),
        ({"feedback": "mean"}, "evaluations.mine.feedback: leads is 1, so nothing is fed back"),
        (
            {"sample": {"snapshots": 8}},
            "evaluations.mine.sample.snapshots (8): 'superres_x4.mine' needs 8 snapshots of a "
            "trajectory, and the solver stores 7",
        ),
        ({"leads": 4, "sample": {"snapshots": 3}}, "'forecast.mine' needs 8 snapshots"),
    ],
)
def test_a_wrong_evaluation_is_told_in_one_line(evaluation, words):
    with pytest.raises(FlexbenchError) as error:
        graph(evaluations={"mine": evaluation})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_grid_too_coarse_for_a_no_slip_channel_is_told_before_anything_is_simulated():
    with pytest.raises(FlexbenchError, match=r"no_slip\.boundary: .* at least 64, found 32"):
        graph(solver={"grid": 32})


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_no_evaluation_is_named_like_a_split(name):
    """Its files would stand in place of the split's where leaks are looked for."""
    with pytest.raises(FlexbenchError, match=rf"evaluations\.{name}: a split's name"):
        graph(evaluations={name: {"reynolds": [50]}})


def test_an_evaluation_that_nothing_runs_is_left_out_with_a_reason():
    left = graph(evaluations={"mine": {"tasks": ["forecast"], "methods": ["interpolation"]}})
    assert left.skipped == ["evaluation 'mine' is left out: none of `methods` runs it"]
    assert not any(name.endswith(".mine") for name in left.cases)
    assert not graph().skipped


def test_a_task_may_choose_its_methods():
    chosen = graph(tasks={"superres_x4": {"methods": ["fno", "flex"]}})
    assert [job.method for job in chosen.jobs_of("superres_x4")] == ["flex", "fno"]
    assert {"unet", "persistence"} <= {job.method for job in chosen.jobs_of("forecast")}


def test_a_task_without_methods_is_left_out():
    alone = graph(methods=["persistence"])
    assert alone.tasks == ["forecast"]
    assert alone.trained_jobs("forecast") == []


def test_nothing_to_run_is_an_error():
    with pytest.raises(FlexbenchError, match="none of persistence runs any of the tasks"):
        _ = graph(methods=["persistence"], tasks={"forecast": {"methods": []}}).jobs


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"methods": ["flecks"]}, "'flecks'; did you mean flex"),
        (
            {"tasks": {"forecast": {"methods": ["flecks"]}}},
            r"tasks\.forecast\.methods: .*'flecks'; did you mean flex",
        ),
        (
            {"method_settings": {"flecks": {"size": "S"}}},
            r"method_settings\.flecks: no list of methods has it; did you mean 'flex'\?",
        ),
        (
            {"methods": ["mine"], "method_settings": {"mine": {"network": "unett"}}},
            "'unett'; did you mean unet",
        ),
    ],
)
def test_every_method_that_is_named_exists(overrides, words):
    with pytest.raises(FlexbenchError, match=words):
        graph(**overrides)


def test_unknown_names_tell_the_known(smoke):
    with pytest.raises(FlexbenchError, match=r"'x8' is not in the .* superres_x4, forecast"):
        smoke.task_settings("x8")
    with pytest.raises(FlexbenchError, match=r"'mine' is not in the .* flex, flex-multi"):
        smoke.facts("mine")
    with pytest.raises(FlexbenchError, match=r"'persistence' .* \(superres\); it does: forecast"):
        smoke.step("sample", case="superres_x4", method="persistence", seed=0)


def test_trajectories_are_named_by_re_and_seed(smoke):
    assert smoke.stems("train") == ["re100_seed0", "re100_seed1", "re200_seed0", "re200_seed1"]
    assert len(smoke.stems()) == len(set(smoke.stems())) == 10
    assert Run("periodic", 2.5e6, 7).stem == "re2.5e+06_seed7"
    assert Run("periodic", 750.5, 0).stem == "re750.5_seed0"
    assert Run("periodic", 40000.0, 0).stem == "re40000_seed0"
    assert Run("no_slip", 500.0, 3).stem == "no_slip_re500_seed3"


def test_only_networks_have_weights(smoke):
    assert smoke.weights("forecast", "persistence", 0) == []
    (path,) = smoke.weights("forecast", "flex", 0)
    assert path == smoke.layout.checkpoint("forecast", "flex", 0)


def test_tasks_that_are_learnt_together_share_a_training(smoke):
    shared = [it for it in smoke.trainings if it.method == "flex-multi"]
    assert shared == [Training("superres_x4+forecast", "flex-multi", 0)]
    weights = smoke.layout.checkpoint("superres_x4+forecast", "flex-multi", 0)
    for task in ("superres_x4", "forecast"):
        assert smoke.weights(task, "flex-multi", 0) == [weights]
    steps = [step for step in smoke.steps if weights in step.outputs]
    assert [step.name for step in steps] == ["train"]
    assert {smoke.layout.statistics(task) for task in smoke.tasks} <= set(steps[0].inputs)
    assert set(steps[0].slice["task"]) == set(smoke.tasks)


def test_a_training_is_named_by_one_of_its_tasks_or_all(smoke):
    for name in ("superres_x4", "forecast", "superres_x4+forecast"):
        assert smoke.named_training(name, "flex-multi") == "superres_x4+forecast"
    with pytest.raises(
        FlexbenchError, match=r"training is 'superres_x4\+forecast'|method is 'flex'"
    ):
        smoke.step("train", training="superres_x4+forecast", method="flex", seed=0)


def test_a_task_that_a_method_does_not_learn_is_left_out():
    more = graph(tasks={"superres_x2": {"kind": "superres", "factor": 2, "patch": 32}})
    assert "flex-multi" not in {job.method for job in more.jobs_of("superres_x2")}
    with pytest.raises(FlexbenchError, match="'flex-multi' does not learn task 'superres_x2'; it"):
        more.step("score", case="superres_x2", method="flex-multi", seed=0)


def test_a_task_may_be_learnt_without_being_asked_for():
    only = graph(methods=["flex-multi"], tasks={"forecast": {"methods": []}})
    assert only.tasks == ["superres_x4"]
    assert only.trainings == [Training("superres_x4+forecast", "flex-multi", 0)]
    assert [pair for pair in only.measured if pair[1] == "w"] == [
        ("superres_x4", "w"),
        ("forecast", "w"),
    ]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            {"method_settings": {"flex-multi": {"together": ["superres_x4", "x8"]}}},
            r"flex-multi\.together: no task 'x8'; allowed: superres_x4, forecast",
        ),
        ({"method_settings": {"flex-multi": {"together": ["forecast"]}}}, "at least 2 items"),
        (
            {"method_settings": {"flex-multi": {"together": ["forecast", "forecast"]}}},
            "forecast stands in the list more than once",
        ),
        ({"tasks": {"forecast": {"patch": 64}}}, r"patches differ \(superres_x4 32, forecast 64\)"),
        ({"method_settings": {"flex-multi": {"network": "unet"}}}, "'unet' learns one task at a"),
        (
            {"method_settings": {"flex": {"narrow": True}}},
            "method_settings.flex: narrow: found true without `together`; allowed: with it",
        ),
        (
            {"method_settings": {"flex-multi": {"width": 8}}},
            "flex-multi: narrow: found true and width 8; allowed: one of them",
        ),
        (
            {"method_settings": {"flex-multi": {"match": "flops"}}},
            "flex-multi: narrow: found true and match: flops; allowed: match: parameters",
        ),
    ],
)
def test_tasks_that_cannot_be_learnt_together(overrides, words):
    with pytest.raises(FlexbenchError, match=words) as error:
        graph(**overrides)
    assert "\n" not in str(error.value)


def test_several_processes_start_under_torchrun():
    several = graph(method_settings={"flex": {"train": {"processes": 2}}})
    assert launcher(several, "unet") == "flexbench"
    words = launcher(several, "flex").split()
    assert words[0] == "torchrun"
    assert words[words.index("--nproc-per-node") + 1] == "2"
    assert words[-3:] == ["-m", "--", "flexbench"]


# --- slices ---------------------------------------------------------------------------------

FLEX = {"method": "flex", "seed": "0"}
UNET = {"method": "unet", "seed": "0"}


def slices(graph):
    """The digest of every kind of slice, as one configuration gives them."""
    asked = {
        "simulate": ("simulate", {"walls": "", "reynolds": "100", "seed": "0"}),
        "splits": ("splits", {}),
        "statistics": ("statistics", {"task": "superres_x4", "velocity": ""}),
        "train": ("train", {"training": "superres_x4"} | FLEX),
        "train unet": ("train", {"training": "superres_x4"} | UNET),
        "sample": ("sample", {"case": "superres_x4"} | FLEX),
        "score": ("score", {"case": "superres_x4"} | FLEX),
        "tabulate": ("tabulate", {}),
        "figure": ("figure", {"case": "superres_x4", "name": "maps"}),
    }
    return {
        place: digest_of(graph.rule(rule).slice(graph, names))
        for place, (rule, names) in asked.items()
    }


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        ({"train": {"learning_rate": 0.5}}, {"train", "train unet"}),
        ({"method_settings": {"flex": {"train": {"learning_rate": 0.5}}}}, {"train"}),
        ({"method_settings": {"unet": {"width": 32}}}, {"train unet"}),
        ({"method_settings": {"flex": {"size": "S"}}}, {"train", "sample"}),
        ({"diffusion": {"shift": 2.0}}, {"train", "train unet"}),
        ({"method_settings": {"flex": {"diffusion": {"target": "eps"}}}}, {"train"}),
        (
            {"tasks": {"superres_x4": {"residual": False}}},
            {"statistics", "train", "train unet", "sample"},
        ),
        ({"sample": {"steps": 4}}, {"sample"}),
        ({"score": {"bands": 3}}, {"score", "tabulate"}),
        ({"score": {"bootstrap": 7}}, {"tabulate"}),
        ({"solver": {"cfl": 0.5}}, {"simulate"}),
        ({"threads": 2}, {"simulate", "train", "train unet", "sample"}),
        ({"tasks": {"forecast": {"normalisation": "official"}}}, set()),
        ({"training_seeds": [0, 1]}, {"tabulate", "figure"}),
        ({"root": "elsewhere"}, set()),
        *(({section: {key: 7}}, set()) for section, keys in PACE.items() for key in keys),
    ],
)
def test_a_slice_holds_what_decides_a_step(smoke, overrides, changed):
    before, after = slices(smoke), slices(graph(**overrides))
    assert {name for name in before if before[name] != after[name]} == changed


def test_slices_do_not_depend_on_how_numbers_arrive(smoke):
    """Snakemake hands wildcards over as text, and steps as numbers."""
    fast = graph(splits={"train": {"reynolds": [1e6], "seeds": [7]}})
    walls = {"walls": ""}
    assert (
        fast.step("simulate", **walls, reynolds="1e+06", seed="7").slice
        == fast.step("simulate", **walls, reynolds=named(1_000_000), seed=7).slice
    )
    place = {"training": "forecast", "method": "flex"}
    assert smoke.step("train", **place, seed="0") == smoke.step("train", **place, seed=0)


def test_the_text_is_the_configuration(smoke, tmp_path):
    (tmp_path / "config.yaml").write_text(smoke.text)
    assert load_config(resolved=tmp_path / "config.yaml") == smoke.config


def test_digests_are_the_same_in_every_process():
    """Sets of strings come in another order in each: digests must not."""
    code = (
        "from flexbench.graph import Graph\n"
        "graph = Graph.from_overrides({'tier': 'smoke'})\n"
        "print(*dict.fromkeys(step.code for step in graph.steps))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert len(told.pop().split()) > len(RULES)


def code_of(graph, rule, method, case="superres_x4"):
    names = {"training": case, "case": case, "method": method, "seed": "0"}
    return graph.rule(rule).code(graph, names)


def test_code_digests_are_of_the_method_too(smoke):
    assert code_of(smoke, "train", "flex") != code_of(smoke, "train", "unet")
    assert code_of(smoke, "train", "unet") == code_of(smoke, "train", "unet-regressor")


@pytest.mark.parametrize("rule", ["train", "sample"])
def test_code_digests_are_of_the_kind_of_task_too(smoke, rule):
    """Kinds are loaded by name, so no import tells of them."""
    own, other = (code_of(smoke, rule, "flex", case) for case in ("superres_x4", "forecast"))
    assert own != other
    names = {"training": "forecast", "case": "forecast", "method": "flex", "seed": "0"}
    files = {
        path.relative_to(provenance.PACKAGE).as_posix() for path in code_files(smoke, rule, names)
    }
    assert {"tasks/forecast.py", "config/tasks/forecast.py", "config/tasks/base.py"} <= files
    assert not {"tasks/superres.py", "config/tasks/superres.py"} & files


def code_files(graph, rule, names):
    return {
        path
        for path in graph.rule(rule).code_files(graph, names)
        if path.is_relative_to(provenance.PACKAGE)
    }


SMALLEST = "channels=(8, 12, 16)"


@pytest.fixture
def edited_flex(monkeypatch, tmp_path):
    """Call it to double FLEX's channels, in a copy that stands for FLEX's file from the start."""
    copy = tmp_path / "flex.py"
    shutil.copy(registry.names()[registry.FLEX], copy)
    monkeypatch.setattr(registry, "_FLEX_FILE", copy)

    def edit():
        text = copy.read_text()
        assert SMALLEST in text
        copy.write_text(text.replace(SMALLEST, "channels=(16, 24, 32)"))
        forget_sources()

    forget_sources()
    yield edit
    forget_sources()


def forget_sources():
    for cached in (provenance._closure, provenance._read, provenance.code_digest):
        cached.cache_clear()


def test_an_edit_of_flex_counts_where_a_width_is_solved_to_match_it(edited_flex):
    own = {"network": "unet", "width": 16}
    narrow = {"network": "flex", "together": ["superres_x4", "forecast"], "narrow": True}
    methods = {"matched": {"network": "unet", "match": "flops"}, "own": own, "narrow": narrow}
    steps = [
        *(("train", name) for name in ("flex", "unet", "fno", "dit", "interpolation", *methods)),
        *(("sample", name) for name in ("unet", "own")),
    ]

    def codes():
        names = list(dict.fromkeys(name for _, name in steps))
        made = graph(methods=names, method_settings=methods)
        return {step: code_of(made, *step) for step in steps}

    before = codes()
    edited_flex()
    after = codes()
    changed = {step for step in steps if before[step] != after[step]}
    assert changed == {
        ("train", name) for name in ("flex", "unet", "fno", "dit", "matched", "narrow")
    }


def test_edges_have_no_cycle_and_end_in_the_report(smoke):
    rules = {name for edge in smoke.edges for name in edge}
    done = set()
    while ready := {
        rule for rule in rules - done if {a for a, b in smoke.edges if b == rule} <= done
    }:
        done |= ready
    assert done == rules
    assert {rule for rule in rules if all(rule != a for a, _ in smoke.edges)} == {"report"}
    assert set(smoke.edges) >= {("train", "sample"), ("tabulate", "figure"), ("simulate", "splits")}


@pytest.mark.parametrize("tier", ["smoke", "desk", "paper"])
def test_every_rule_is_whole(tier):
    """Patterns are those of its jobs' outputs, and section `cluster` says what these need."""
    found = Graph.from_overrides({"tier": tier})
    for rule in RULES:
        assert hasattr(found.config.cluster, rule.section), rule.name
        patterns = rule.outputs(found.layout, {name: f"{{{name}}}" for name in rule.wildcards})
        for names in rule.jobs(found):
            assert tuple(names) == tuple(rule.wildcards)
            filled = [str(path).format(**names) for path in patterns]
            assert [str(path) for path in rule.outputs(found.layout, names)] == filled


# By rule and wildcard, what a job may not be asked for with, and what the line then says.
STRANGE = {
    ("simulate", "walls"): (
        "free_slip_",
        ["boundary is 'free_slip'", "allowed: periodic (evalua"],
    ),
    ("simulate", "reynolds"): ("777", ["reynolds is '777'", "100", "splits.*.reynolds"]),
    ("simulate", "seed"): ("7", ["seed is '7'", "0, 1", "splits.*.seeds"]),
    ("statistics", "task"): ("superres_x8", ["task is 'superres_x8'", "superres_x4", "(tasks)"]),
    ("statistics", "velocity"): (".v", ["observable is 'v'", "w, u", "evaluations"]),
    ("train", "training"): ("superres_x4.no_slip", ["superres_x4.no_slip'", "superres_x4+fore"]),
    ("train", "method"): ("mine", ["method is 'mine'", "flex", "(methods)"]),
    ("train", "seed"): ("7", ["seed is '7'", "0", "(training_seeds)"]),
    ("calibrate", "training"): ("mine", ["training is 'mine'", "superres_x4", "together"]),
    ("calibrate", "fit"): ("mine", ["fit is 'mine'", "superres_x4-calibrated-2", ".sample"]),
    ("calibrate", "method"): ("mine", ["method is 'mine'", "flex", "(methods)"]),
    ("calibrate", "seed"): ("7", ["seed is '7'", "0", "(training_seeds)"]),
    ("targets", "task"): ("mine", ["task is 'mine'", "superres_x4, forecast", "(tasks, theory)"]),
    ("gradients", "training"): ("mine", ["training is 'mine'", "superres_x4, forecast"]),
    ("gradients", "method"): ("fno", ["method is 'fno'", "allowed: flex, unet", "(methods)"]),
    ("gradients", "seed"): ("7", ["seed is '7'", "0", "(training_seeds)"]),
    ("sample", "case"): ("forecast.mine", ["case is 'forecast.mine'", "forecast.roll", "evalu"]),
    ("sample", "method"): ("mine", ["method is 'mine'", "flex, flex-multi", "(methods)"]),
    ("sample", "seed"): ("7", ["seed is '7'", "0", "(training_seeds)"]),
    ("score", "case"): ("mine", ["case is 'mine'", "superres_x4, forecast"]),
    ("score", "method"): ("mine", ["method is 'mine'", "flex"]),
    ("score", "seed"): ("7", ["seed is '7'", "0"]),
    ("figure", "case"): ("mine", ["case is 'mine'", "superres_x4, forecast"]),
    ("figure", "name"): ("portrait", ["name is 'portrait'", "spectra", "maps"]),
    ("animation", "case"): ("mine", ["case is 'mine'", "forecast.rollout"]),
    ("animation", "name"): ("maps", ["name is 'maps'", "rollout"]),
}


@pytest.mark.parametrize(("rule", "wildcard"), STRANGE)
def test_a_job_that_the_graph_does_not_have_is_refused(rule, wildcard):
    value, words = STRANGE[rule, wildcard]
    theory = {"methods": ["flex", "unet"]}
    here = graph(theory=theory, **({"evaluations": None} if wildcard == "walls" else {}))
    names = here.rule(rule).jobs(here)[0]
    assert here.step(rule, **names).name == rule
    with pytest.raises(FlexbenchError) as caught:
        here.step(rule, **names | {wildcard: value})
    line = str(caught.value)
    assert "\n" not in line
    for word in (rule, "allowed: ", *words):
        assert word in line


def test_every_wildcard_of_every_rule_is_held_to_the_graph():
    wildcards = {(rule.name, wildcard) for rule in RULES for wildcard in rule.wildcards}
    of_own_data = {("import_data", "source"), ("import_data", "split")}
    assert wildcards == set(STRANGE) | of_own_data


def test_a_part_of_own_data_that_no_split_holds_is_refused():
    sources = {name: {"file": f"{name}.h5", "reynolds": 1} for name in ("one", "two", "three")}
    splits = {"train": ["one"], "validation": ["two"], "test": ["three"]}
    tank = graph(data={"layout": "flex", "sources": sources, "splits": splits}, evaluations=None)
    assert tank.step("import_data", source="one", split="train").slice["number"] == 0
    for names, words in (
        (
            {"source": "four", "split": "train"},
            r"source is 'four'; allowed: one, two, three \(data",
        ),
        ({"source": "one", "split": "test"}, r"split is 'test'; allowed: train \(data.splits"),
    ):
        with pytest.raises(FlexbenchError, match=words):
            tank.step("import_data", **names)
    with pytest.raises(FlexbenchError, match="no job of this kind"):
        tank.step("simulate", walls="", reynolds="100", seed=0)


def test_a_formula_is_sampled_under_the_first_seed_alone():
    more = graph(training_seeds=[3, 4])
    assert more.step("sample", case="forecast", method="persistence", seed=3)
    with pytest.raises(FlexbenchError, match=r"seed is '4'; allowed: 3 \(training_seeds\)"):
        more.step("sample", case="forecast", method="persistence", seed=4)


def test_a_reynolds_number_is_not_rounded_to_one_of_the_graph():
    assert named(1000.0) == "1000"
    assert named(2.5e6) == "2.5e+06"
    assert named(100.0000001) == "100.0000001"


def test_a_rule_that_does_not_exist_is_named(smoke):
    with pytest.raises(FlexbenchError, match="rule 'weigh' does not exist; allowed: simulate, imp"):
        smoke.step("weigh", case="forecast")


def test_the_graph_is_the_same_wherever_it_is_asked_for(monkeypatch, tmp_path):
    here = Graph.of(load_config({"tier": "smoke"}))
    monkeypatch.chdir(tmp_path)
    there = Graph.of(load_config({"tier": "smoke"}))
    assert here.steps == there.steps


def test_methods_and_evaluations_may_have_fewer_training_seeds(tmp_path):
    """A formula runs once in any case; what has fewer seeds makes nothing that has them stale."""
    settings = {
        "root": str(tmp_path),
        "training_seeds": [3, 4, 5],
        "method_settings": {"unet": {"training_seeds": [5, 3]}},
        "evaluations": {"far": {"reynolds": [9], "training_seeds": [4, 5, 6]}},
    }
    graph = Graph.of(load_config({"tier": "desk"} | settings))

    def seeds(case, method):
        return [job.seed for job in graph.jobs_of(case) if job.method == method]

    assert seeds("forecast", "flex") == [3, 4, 5]
    assert seeds("forecast", "unet") == [3, 5]
    assert seeds("forecast.far", "flex") == [4, 5]
    assert seeds("forecast.far", "unet") == [5]
    assert seeds("forecast.far", "persistence") == [3]
    assert {it.seed for it in graph.trainings if it.method == "unet"} == {3, 5}

    all_seeds = settings | {"method_settings": {}, "evaluations": {"far": {"reynolds": [9]}}}
    whole = Graph.of(load_config({"tier": "desk"} | all_seeds))
    for rule in ("train", "sample", "score"):
        ours = {step.outputs: step.slice for step in graph.steps if step.name == rule}
        theirs = {step.outputs: step.slice for step in whole.steps if step.name == rule}
        assert all(ours[made] == theirs[made] for made in ours)


def test_a_stage_of_no_method_is_told_before_any_job(tmp_path):
    stages = {"stages": [["flex"], ["uvit", "flux"]], "root": str(tmp_path)}
    with pytest.raises(FlexbenchError, match=r"stages.*flux"):
        Graph.of(load_config({"tier": "desk"} | stages))
    known = Graph.of(load_config({"tier": "desk", "stages": [["uvit"]], "root": str(tmp_path)}))
    assert stage_targets(known) == [[]]  # a method of another run
