"""The graph as Snakemake sees it: every tier plans, edits re-run only what they touch."""

import base64
import json
import re
from collections import Counter

import pytest

from flexbench import registry
from flexbench.config.reading import load_config
from flexbench.graph import EDGES, Graph
from flexbench.paths import checkout
from flexbench.report.catalogue import FIGURES as CATALOGUE
from flexbench.report.catalogue import figures_of
from flexbench.runner import snakemake_command

ALWAYS = {"tabulate": 1, "report": 1, "all": 1}
# Of a task without evaluations.
FIGURES = [name for name, e in CATALOGUE.items() if "task" in e.of and not e.needs_evaluations]
ALL_FIGURES = Counter(figure=len(FIGURES))


def planned(done):
    """What a dry run would do: rule and wildcards of every job, each with its reason."""
    assert done.returncode == 0, done.stdout + done.stderr
    blocks = re.split(r"^ *rule ", done.stdout, flags=re.M)[1:]
    jobs = {}
    for block in blocks:
        name = block.partition(":")[0]
        wildcards = re.search(r"^ +wildcards: (.*)$", block, flags=re.M)
        reason = re.search(r"^ +reason: (.*)$", block, flags=re.M)
        jobs[name, wildcards[1] if wildcards else ""] = reason[1] if reason else ""
    return jobs


def count(jobs):
    return Counter(rule for rule, _ in jobs)


def words(settings):
    return [word for text in settings for word in ("--set", text)]


# --- tiers ----------------------------------------------------------------------------------


def expected(config):
    """The number of jobs per rule, counted from the configuration."""
    runs = {
        f"re{reynolds:g}_seed{seed}"
        for split in (config.splits.train, config.splits.validation, config.splits.test)
        for reynolds in split.reynolds
        for seed in split.seeds
    }
    jobs = Counter(ALWAYS, splits=1)
    trainings, measured = set(), set()
    for name, case in config.cases.items():
        kind = config.tasks[case.task].kind
        runs.update(run.stem for run in case.runs)
        measured.add((case.task, case.settings.observable))
        drawn = figures_of(config, name)
        jobs["animation"] += drawn.count("rollout")
        jobs["figure"] += len(drawn) - drawn.count("rollout")
        for method in config.methods_of(name):
            file = registry.facts(config.method(method).network)
            together = config.method(method).together or [case.task]
            if kind in file.tasks and case.task in together:
                seeds = 1 if file.formula else len(config.training_seeds)
                jobs["sample"] += seeds
                jobs["score"] += seeds
                if not file.formula:
                    trainings.add((tuple(together), method))
    jobs["train"] = len(trainings) * len(config.training_seeds)
    jobs["simulate"], jobs["statistics"] = len(runs), len(measured)
    return +jobs


@pytest.mark.parametrize("tier", ["smoke", "gate", "desk", "lab", "paper"])
def test_every_tier_plans_from_any_folder(shared_clone, tmp_path, tier):
    arguments = ["--tier", tier, "--set", f"root={tmp_path / 'results'}"]
    jobs = planned(shared_clone.flexbench("run", "--dry-run", *arguments, cwd=tmp_path))
    assert count(jobs) == expected(load_config({"tier": tier}))
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"


def test_desk_is_what_a_bare_snakemake_runs_without_torch(shared_clone, tmp_path):
    """The Snakefile is read again in every job: what it imports has to be light."""
    probe = tmp_path / "sitecustomize.py"
    probe.write_text(
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('torch', 'h5py', 'scipy', 'matplotlib'):\n"
        "            raise ImportError(name + ' was imported')\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    path = f"{tmp_path}:{shared_clone.folder}"
    done = shared_clone.snakemake(
        *("--nolock", "--dry-run", "--quiet", "host", "--config", f"root={tmp_path}/results"),
        environment={"PYTHONPATH": path},
    )
    jobs = planned(done)
    assert count(jobs) == expected(load_config({"tier": "desk"}))
    assert not (tmp_path / "results").exists()


def test_the_drawn_graph_is_the_real_one(shared_clone, tmp_path):
    done = shared_clone.snakemake(
        *("--nolock", "--rulegraph", "dot", "--config", "tier=smoke", f"root={tmp_path}")
    )
    labels = dict(re.findall(r'(\d+)\[label = "(\w+)"', done.stdout))
    edges = re.findall(r"(\d+) -> (\d+)", done.stdout)
    assert {(labels[a], labels[b]) for a, b in edges} == set(EDGES)
    assert len(EDGES) == len(set(EDGES))


def test_lint_finds_only_what_is_allowed(shared_clone, tmp_path):
    """Software comes with the installation, not rule by rule."""
    done = shared_clone.snakemake("--lint", "--config", "tier=smoke", f"root={tmp_path}")
    told = done.stdout + done.stderr
    found = set(re.findall(r"^    \* (.*)$", told, flags=re.M))
    assert found == {"Specify a conda environment or container for each rule.:"}, told


@pytest.mark.parametrize("tier", ["smoke", "paper"])
@pytest.mark.parametrize("command", ["snakemake", "flexbench run", "flexbench run elsewhere"])
def test_the_slurm_profile_plans_everything(shared_clone, tmp_path, command, tier):
    """`--profile slurm` from the clone, as documented: the paper tier unless another is named."""
    asked = [] if tier == "paper" else [f"tier={tier}"]
    settings = [*asked, f"root={tmp_path / 'results'}"]
    if command == "snakemake":
        done = shared_clone.snakemake(
            *("--profile", "slurm", "--dry-run", "--nolock", "--quiet", "host"),
            *("--config", *settings),
        )
    else:
        where = shared_clone.folder if command == "flexbench run" else tmp_path
        done = shared_clone.flexbench(
            "run", "--profile", "slurm", "--dry-run", *words(settings), cwd=where
        )
    assert count(planned(done)) == expected(load_config({"tier": tier}))
    assert not list(tmp_path.iterdir())


def test_the_site_is_one_file(clone, tmp_path):
    """What stands in site.yaml reaches the jobs; a command line has the last word."""
    site = clone.folder / "workflow" / "profiles" / "slurm" / "site.yaml"
    text = site.read_text()
    site.write_text(
        text.replace("account: null", "account: fluids")
        .replace("gpu_partition: null", "gpu_partition: big")
        .replace("  partition: null", "  partition: small")
    )
    jobs = clone.snakemake(
        *("--profile", "slurm", "--dry-run", "--nolock", "--quiet", "host"),
        *("--config", f"root={tmp_path}", "cluster={gpu_model: a100}"),
        *("--set-resources", "sample:runtime=7"),
    ).stdout
    asked = dict(re.findall(r"^ *rule (\w+):\n(?: +.*\n)*? +resources: (.*)$", jobs, flags=re.M))
    assert set(asked) >= {"simulate", "train", "sample", "score", "report"}
    assert all("slurm_account=fluids" in words for rule, words in asked.items() if rule != "all")
    assert "slurm_partition=small" in asked["score"]
    for rule, minutes in (("train", 1440), ("sample", 7)):
        assert "slurm_partition=big" in asked[rule]
        assert "gpu=1" in asked[rule]
        assert "gpu_model=a100" in asked[rule]
        assert f"runtime={minutes}," in asked[rule]
    site.write_text("tier: paper\ncluster: {acount: fluids}\n")
    done = clone.flexbench("run", "--profile", "slurm", "--dry-run")
    assert done.returncode == 1
    assert "cluster.acount: unknown key; did you mean 'account'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_configuration_travels_whole(tmp_path):
    """What `run` hands to Snakemake is what was asked for, null and small numbers included."""
    settings = {"train": {"steps": 7, "clip_norm": None, "learning_rate": 1e-4}, "methods": ["fno"]}
    words = snakemake_command(settings, targets=[], cores=1, profile=None, dry_run=False)
    given = dict(word.split("=", 1) for word in words[words.index("--config") + 1 : -1])
    assert {key: json.loads(value) for key, value in given.items()} == settings


# --- a run that was really made -------------------------------------------------------------


class Finished:
    """A tiny run to the report, its own formula in a folder of its own, and what may follow it."""

    def __init__(self, clone, folder):
        self.clone = clone
        self.root = folder / "my results"  # a blank in a path is nobody's fault
        self.own = folder / "own" / "nearest.py"
        self.own.parent.mkdir()
        text = (checkout() / "baselines" / "interpolation.py").read_text()
        self.own.write_text(text)
        self.settings = ("methods=[flex,nearest]", f"baseline_folders=[{self.own.parent}]")

    def run(self, *settings, targets=(), options=()):
        arguments = self.clone.tiny(self.root, *self.settings, *settings)
        return self.clone.flexbench("run", *options, *targets, *arguments, timeout=400)

    def plan(self, *settings):
        return planned(self.run(*settings, options=["--dry-run"]))

    def plan_with(self, path, edit):
        """The plan while a file of the code is another one."""
        text = path.read_text()
        path.write_text(edit(text))
        assert path.read_text() != text
        try:
            return self.plan()
        finally:
            path.write_text(text)

    def source(self, name):
        return self.clone.folder / "flexbench" / name


@pytest.fixture(scope="module")
def finished(make_clone, tmp_path_factory):
    finished = Finished(make_clone(), tmp_path_factory.mktemp("finished"))
    done = finished.run(options=["--cores", "2"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (finished.root / "smoke" / "report.html").stat().st_size > 10_000
    return finished


@pytest.mark.slow
def test_receipts_say_what_the_rules_say(finished):
    """Snakemake's own records of the run against the steps that receipts are written of."""
    config = load_config(resolved=finished.root / "smoke" / "config.yaml")
    steps = Graph.of(config).steps
    records = finished.clone.folder / ".snakemake" / "metadata"
    for step in steps:
        for output in step.outputs:
            name = base64.b64encode(str(output).encode()).decode()
            record = json.loads((records / name).read_text())
            assert record["rule"] == step.name
            assert set(record["input"]) == set(map(str, step.inputs)), output
            assert repr(step.code) in record["params"], output
            assert repr(step.slice) in record["params"] or step.name == "report", output
    rules = {json.loads(path.read_text())["rule"] for path in records.iterdir()}
    assert rules == {step.name for step in steps}


@pytest.mark.slow
def test_a_finished_run_verifies(finished):
    done = finished.clone.flexbench(
        "verify", *finished.clone.tiny(finished.root, *finished.settings)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" s\n")
    assert len(done.stdout.splitlines()) == 1


def new_line(text):
    return f"{text}\nADDED = 1\n"


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(finished):
    assert not finished.plan()
    done = finished.run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    ["train.log_every=3", "train.checkpoint_seconds=7", "solver.checkpoint_seconds=7"],
)
def test_the_pace_of_records_changes_nothing(finished, setting):
    assert not finished.plan(setting)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "first", "jobs"),
    [
        ("train.learning_rate=0.01", "train", Counter(train=1, sample=1, score=1) + ALL_FIGURES),
        (
            "method_settings.flex.size=XS",
            "train",
            Counter(train=1, sample=1, score=1) + ALL_FIGURES,
        ),
        ("sample.members=3", "sample", Counter(sample=2, score=2) + ALL_FIGURES),
        ("score.bands=3", "score", Counter(score=2) + ALL_FIGURES),
        ("score.bootstrap=60", "tabulate", ALL_FIGURES),
        ("methods=[flex]", "tabulate", ALL_FIGURES),
    ],
)
def test_a_setting_reruns_what_it_decides(finished, setting, first, jobs):
    plan = finished.plan(setting)
    assert count(plan) == jobs + Counter(ALWAYS)
    changed = {rule for (rule, _), reason in plan.items() if "Params have changed" in reason}
    assert first in changed


@pytest.mark.slow
def test_an_edited_baseline_reruns_itself_alone(finished):
    plan = finished.plan_with(finished.own, new_line)
    assert count(plan) == Counter(ALWAYS, sample=1, score=1) + ALL_FIGURES
    assert all("method=nearest" in job for rule, job in plan if rule in ("sample", "score"))
    assert not finished.plan_with(finished.own, lambda text: f"# A remark.\n{text}")
    unused = finished.clone.folder / "baselines" / "unet.py"
    assert not finished.plan_with(unused, new_line)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "jobs"),
    [
        ("report/figures/spectra.py", {"figure": 1, "report": 1, "all": 1}),
        ("report/style.py", {"figure": len(FIGURES), "report": 1, "all": 1}),
        ("report/page.py", {"report": 1, "all": 1}),
        ("report/templates/page.html", {"report": 1, "all": 1}),
        ("metrics/score.py", Counter(ALWAYS, score=2) + ALL_FIGURES),
        ("models/flex.py", Counter(ALWAYS, train=1, sample=1, score=1) + ALL_FIGURES),
        (
            "solver/stepping.py",
            Counter(ALWAYS, simulate=3, splits=1, statistics=1, train=1, sample=2, score=2)
            + ALL_FIGURES,
        ),
        ("cli/run.py", {}),
    ],
)
def test_edited_code_reruns_what_it_computes(finished, source, jobs):
    assert count(finished.plan_with(finished.source(source), new_line)) == Counter(jobs)


@pytest.mark.slow
def test_a_changed_setting_is_run_with_and_written_down(finished):
    """For real, and last: the verbs see the new configuration, and a next run is content."""
    folder = finished.root / "smoke"
    weights = folder / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"
    before = weights.read_bytes()
    done = finished.run("train.learning_rate=0.01", targets=[weights])
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights.read_bytes() != before
    assert load_config(resolved=folder / "config.yaml").train.learning_rate == 0.01
    receipt = json.loads(weights.with_name(f"{weights.name}.receipt.json").read_text())
    assert receipt["slice"]["train"]["learning_rate"] == 0.01
    rest = count(finished.plan("train.learning_rate=0.01"))
    assert rest == Counter(ALWAYS, sample=1, score=1) + ALL_FIGURES
