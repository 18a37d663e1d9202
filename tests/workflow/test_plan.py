"""The graph as Snakemake sees it: every tier plans, edits re-run only what they touch."""

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from flexbench import registry
from flexbench.config import TIERS
from flexbench.config.reading import load_config, parse_assignments
from flexbench.dry_run import read_dry_run
from flexbench.findings.output import read_findings
from flexbench.graph import Graph
from flexbench.graph.planned import planned_jobs
from flexbench.paths import checkout
from flexbench.report.catalogue import FIGURES as CATALOGUE
from flexbench.report.catalogue import figures_of
from flexbench.runner import snakemake_command
from workflow import replan

ALWAYS = {"tabulate": 1, "report": 1}
# Of a task without evaluations.
FIGURES = [name for name, e in CATALOGUE.items() if "task" in e.of and not e.needs_evaluations]
ALL_FIGURES = Counter(figure=len(FIGURES))


def jobs_of(done):
    """What a dry run would do: every job but `all` by its rule and wildcards, with its reasons."""
    assert done.returncode == 0, done.stdout + done.stderr
    text = re.sub(r"^ {4}(?=rule | {4})", "", done.stdout, flags=re.M)  # jobs of a group
    return {key: told for key, told in read_dry_run(text).items() if key != "all "}


def rules_of(jobs):
    return Counter(key.partition(" ")[0] for key in jobs)


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
    trainings, measured, fits = set(), set(), set()
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
                seeds = [0] if file.formula else config.seeds_of(name, method)
                jobs["sample"] += len(seeds)
                jobs["score"] += len(seeds)
                if not file.formula:
                    trainings.update((tuple(together), method, seed) for seed in seeds)
                    fits.update((case.fit, method, seed) for seed in seeds if case.fit)
    jobs["train"], jobs["calibrate"] = len(trainings), len(fits)
    if config.theory is not None:
        seeds = config.theory.training_seeds or config.training_seeds
        jobs["targets"] = sum(task.residual for task in config.tasks.values())
        jobs["gradients"] = sum(
            method in config.theory.methods and seed in seeds for _, method, seed in trainings
        )
    jobs["simulate"], jobs["statistics"] = len(runs), len(measured)
    return +jobs


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_has_the_jobs_that_it_asks_for(tier):
    config = load_config({"tier": tier})
    assert rules_of(planned_jobs(Graph.of(config))) == expected(config)


# Of the others, `desk` is planned bare below, and `paper` by the profile for clusters.
@pytest.mark.parametrize("tier", ["smoke", "gate", "lab"])
def test_a_tier_plans_from_any_folder(shared_clone, tmp_path, tier):
    arguments = ["--tier", tier, "--set", f"root={tmp_path / 'results'}"]
    jobs = jobs_of(shared_clone.flexbench("run", "--dry-run", *arguments, cwd=tmp_path))
    config = load_config({"tier": tier})
    assert set(jobs) == set(planned_jobs(Graph.of(config)))
    told = jobs[f"train training=forecast, method=flex, seed={config.training_seeds[0]}"]
    assert set(told) == {"missing output", "input is made anew"}
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
    assert set(jobs_of(done)) == set(planned_jobs(Graph.of(load_config({"tier": "desk"}))))
    assert not (tmp_path / "results").exists()


def test_the_drawn_graph_is_the_real_one(shared_clone, tmp_path):
    done = shared_clone.snakemake(
        *("--nolock", "--rulegraph", "dot", "--config", "tier=smoke", f"root={tmp_path}")
    )
    labels = dict(re.findall(r'(\d+)\[label = "(\w+)"', done.stdout))
    edges = re.findall(r"(\d+) -> (\d+)", done.stdout)
    drawn = Graph.from_overrides({"tier": "smoke"}).edges
    assert {(labels[a], labels[b]) for a, b in edges} == {*drawn, ("report", "all")}
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize(
    ("command", "tier"), [("snakemake", "paper"), ("flexbench run elsewhere", "smoke")]
)
def test_the_slurm_profile_plans_everything(shared_clone, tmp_path, command, tier):
    """`--profile slurm` as documented: the paper tier unless another is named."""
    asked = [] if tier == "paper" else [f"tier={tier}"]
    settings = [*asked, f"root={tmp_path / 'results'}"]
    if command == "snakemake":
        done = shared_clone.snakemake(
            *("--profile", "slurm", "--dry-run", "--nolock", "--quiet", "host"),
            *("--config", *settings),
        )
    else:
        done = shared_clone.flexbench(
            "run", "--profile", "slurm", "--dry-run", *words(settings), cwd=tmp_path
        )
    assert set(jobs_of(done)) == set(planned_jobs(Graph.of(load_config({"tier": tier}))))
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
        *("--config", "tier=smoke", f"root={tmp_path}"),
        "cluster={gpu_model: a100, train: {gpu: true}, sample: {gpu: true}}",
        *("--set-resources", "sample:runtime=7"),
    ).stdout
    asked = dict(re.findall(r"^ *rule (\w+):\n(?: +.*\n)*? +resources: (.*)$", jobs, flags=re.M))
    assert set(asked) >= {"simulate", "train", "sample", "score", "report"}
    assert all("slurm_account=fluids" in words for rule, words in asked.items() if rule != "all")
    assert "slurm_partition=small" in asked["score"]
    for rule, minutes in (("train", 60), ("sample", 7)):
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


# --- what a change makes stale ----------------------------------------------------------------


class Finished:
    """The clone with the tiny run; its formula is a user's own file where `own` is asked for."""

    def __init__(self, clone, folder):
        self.clone = clone
        self.own = folder / "nearest.py"
        self.own.write_text((checkout() / "baselines" / "interpolation.py").read_text())

    @property
    def folder(self):
        return self.clone.folder / "results" / "smoke"

    def overrides(self, *settings):
        return parse_assignments(self.clone.tiny("results", *settings)[3::2]) | {"tier": "smoke"}

    @property
    def of_own_formula(self):
        return ("methods=[flex,nearest]", f"baseline_folders=[{self.own.parent}]")

    def stale_with(self, *settings):
        """What other settings make stale."""
        return replan.Stale(*(replan.told(self.overrides(*own)) for own in ((), settings)))

    def stale_by_edits(self, edits, *settings):
        """What each of these edits of a file makes stale, all of them found by one process."""
        asked = {"overrides": self.overrides(*settings), "edits": edits}
        done = subprocess.run(
            [sys.executable, replan.__file__, json.dumps(asked, default=str)],
            cwd=self.clone.folder,
            env=self.clone.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        before, *after = json.loads(done.stdout)
        return [replan.Stale(before, own) for own in after]

    def run(self, *settings, targets=(), options=()):
        arguments = self.clone.tiny("results", *settings)
        return self.clone.flexbench("run", *options, *targets, *arguments)

    def plan(self, *settings):
        return jobs_of(self.run(*settings, options=["--dry-run"]))

    def source(self, name):
        return self.clone.folder / "flexbench" / name


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "own").mkdir()
    return Finished(tiny_run.copy(folder / "clone"), folder / "own")


def new_line(path):
    return f"{path.read_text()}\nADDED = 1\n"


@pytest.mark.parametrize(
    "setting",
    ["train.log_every=3", "train.checkpoint_seconds=7", "solver.checkpoint_seconds=7"],
)
def test_the_pace_of_records_changes_nothing(finished, setting):
    assert not finished.stale_with(setting).outputs


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
    stale = finished.stale_with(setting)
    assert stale.rules == jobs + Counter(ALWAYS)
    assert stale.first == {first}


def test_an_edited_baseline_reruns_itself_alone(finished):
    own, unused = finished.own, finished.clone.folder / "baselines" / "unet.py"
    edits = [(own, new_line(own)), (own, f"# A remark.\n{own.read_text()}")]
    edits += [(unused, new_line(unused))]
    edited, remarked, other = finished.stale_by_edits(edits, *finished.of_own_formula)
    assert edited.rules == Counter(ALWAYS, sample=1, score=1) + ALL_FIGURES
    drawn = [Path(name) for name in edited.outputs if "/samples/" in name or "/scores/" in name]
    assert {path.parent.name for path in drawn} == {"nearest"}
    assert not remarked.outputs
    assert not other.outputs


EDITED = {
    "report/figures/spectra.py": {"figure": 1, "report": 1},
    "report/style.py": {"figure": len(FIGURES), "report": 1},
    "report/page.py": {"report": 1},
    "report/templates/page.html": {"report": 1},
    "metrics/score.py": Counter(ALWAYS, score=2) + ALL_FIGURES,
    "models/flex.py": Counter(ALWAYS, train=1, sample=1, score=1) + ALL_FIGURES,
    "solver/stepping.py": Counter(
        ALWAYS, simulate=3, splits=1, statistics=1, train=1, sample=2, score=2
    )
    + ALL_FIGURES,
    "cli/run.py": {},
}


def test_edited_code_reruns_what_it_computes(finished):
    sources = [finished.source(name) for name in EDITED]
    stale = finished.stale_by_edits([(path, new_line(path)) for path in sources])
    found = {name: dict(own.rules) for name, own in zip(EDITED, stale, strict=True)}
    assert found == {name: dict(jobs) for name, jobs in EDITED.items()}


# --- and Snakemake, about a run that was really made --------------------------------------------


def test_receipts_say_what_the_rules_say(finished):
    """Snakemake's own records of the run against the steps that receipts are written of."""
    config = load_config(resolved=finished.folder / "config.yaml")
    steps = Graph.of(config, start=Path()).steps  # as Snakemake names them
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


def test_a_finished_run_verifies(finished):
    done = finished.clone.flexbench("verify", *finished.clone.tiny("results"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(" s\n")
    assert len(done.stdout.splitlines()) == 1


def test_a_second_run_has_nothing_to_do(finished):
    done = finished.run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    # And says again what was found, and where all of it stands.
    folder = Path("results", "smoke")
    found = read_findings(finished.clone.folder / folder / "tables" / "findings.json")
    assert done.stdout.splitlines()[-len(found.first) - 1 :] == [
        *found.first,
        f"All of it: {folder / 'report.html'}",
    ]


def test_snakemake_goes_by_the_slices(finished):
    """The same jobs; of those whose inputs stay, it says that their parameters have changed."""
    setting = "sample.members=3"
    assert_same(finished.plan(setting), finished, finished.stale_with(setting), setting)


def test_snakemake_goes_by_the_code(finished):
    source = finished.source("metrics/score.py")
    (stale,) = finished.stale_by_edits([(source, new_line(source))])
    text = source.read_text()
    source.write_text(new_line(source))
    try:
        jobs = finished.plan()
    finally:
        source.write_text(text)
    assert_same(jobs, finished, stale)


def assert_same(jobs, finished, stale, *settings):
    graph = Graph.of(load_config(finished.overrides(*settings)), start=Path())
    outputs = {key: str(job.step.outputs[0]) for key, job in planned_jobs(graph).items()}
    assert {outputs[key] for key in jobs} == stale.outputs
    changed = {key.partition(" ")[0] for key, told in jobs.items() if "changed parameters" in told}
    assert changed == stale.first


def test_a_changed_setting_is_run_with_and_written_down(finished):
    """For real, and last: the verbs see the new configuration, and a next run is content."""
    folder = finished.folder
    weights = folder / "checkpoints" / "superres_x4" / "flex" / "seed0.safetensors"
    before = weights.read_bytes()
    target = weights.relative_to(finished.clone.folder)
    done = finished.run("train.learning_rate=0.01", targets=[target])
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights.read_bytes() != before
    assert load_config(resolved=folder / "config.yaml").train.learning_rate == 0.01
    receipt = json.loads(weights.with_name(f"{weights.name}.receipt.json").read_text())
    assert receipt["slice"]["train"]["learning_rate"] == 0.01
    rest = rules_of(finished.plan("train.learning_rate=0.01"))
    assert rest == Counter(ALWAYS, sample=1, score=1) + ALL_FIGURES
