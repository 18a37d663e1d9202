"""What the Snakefile asks: which jobs a configuration stands for, and what each depends on.

Pure functions of the configuration and the source tree; torch is never imported, because a
Snakefile is read again in every job.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, get_args

from flexbench import registry
from flexbench.config import PACE, Case, Config, Needs, Run, SplitSettings, TaskSettings
from flexbench.config.own_data import WORDS
from flexbench.config.reading import load_config, to_yaml
from flexbench.errors import FlexbenchError
from flexbench.paths import Layout, checkout
from flexbench.provenance import PACKAGE, code_digest, digest_of, file_digest, source_digest
from flexbench.spec import Boundary, Observable

SPLITS = ("train", "validation", "test")

# Between the tasks in the name of a training that learns several.
TOGETHER = "+"

# The rules' graph, for the report's drawing: what each rule takes, and from which other rule. A
# test holds it against `snakemake --rulegraph`.
_NEEDS = {
    "splits": ("simulate",),
    "statistics": ("simulate",),
    "train": ("statistics", "simulate"),
    "sample": ("statistics", "splits", "simulate", "train"),
    "score": ("sample", "simulate"),
    "tabulate": ("score",),
    "animation": ("tabulate", "simulate", "sample"),
    "figure": ("tabulate", "simulate", "train", "sample", "score"),
    "report": ("tabulate", "figure", "animation"),
    "all": ("report",),
}
EDGES = tuple((source, rule) for rule, sources in _NEEDS.items() for source in sources)

# The rules that compute with the configuration's threads; the others need one.
_THREADED = {"simulate", "statistics", "train", "sample", "score"}


@dataclass(frozen=True)
class Job:
    """One file of samples to be made: a method on a case, with one training seed.

    task: the case's name, which for the test split is the task's own.
    """

    task: str
    method: str
    seed: int


class Graph:
    """The jobs of one configuration, with the slice and the code digest of each."""

    def __init__(self, config: Config):
        self.config = config
        root = Path(config.root)
        # A relative root starts at the checkout, wherever a verb is called. Snakemake works there
        # already, and its targets are named from there.
        if not root.is_absolute() and Path.cwd() != checkout():
            root = checkout() / root
        self.layout = Layout(root, config.tier)
        self._tested: dict[str, list[Path]] = {}
        # Read every method's file now: one that is missing or broken is an error before any work.
        self._facts = {name: self._facts_at(name, "methods") for name in config.methods}
        # So is one that stands anywhere else, even though it may not run this time.
        others = {name: f"method_settings.{name}" for name in config.method_settings}
        for section in ("tasks", "evaluations"):
            for place, settings in getattr(config, section).items():
                for name in settings.methods or ():
                    others.setdefault(name, f"{section}.{place}.methods")
        for name, place in others.items():
            self._check_together(name, self._facts_at(name, place))

    def _facts_at(self, method: str, place: str) -> registry.Facts:
        """What a method's file says; place: the key that names the method."""
        network = self.config.method(method).network or method
        try:
            return registry.facts(network, self.config.baseline_folders)
        except FlexbenchError as error:
            raise FlexbenchError(f"{place}: {error}") from None

    @classmethod
    def from_overrides(cls, overrides: Mapping[str, Any]) -> "Graph":
        """The graph that `snakemake --config …` asks for."""
        return cls(load_config(overrides))

    # --- which jobs there are -------------------------------------------------------------

    def split(self, name: str) -> SplitSettings:
        return self.config.split(name)

    def runs(self, *splits: str) -> list[Run]:
        """The simulated trajectories of these splits (all three of them without arguments)."""
        if self.config.data is not None:
            return []
        return [
            Run("periodic", reynolds, seed)
            for split in splits or SPLITS
            for reynolds in self.split(split).reynolds
            for seed in self.split(split).seeds
        ]

    def imports(self, *splits: str) -> list[tuple[str, str]]:
        """(source, split) of every trajectory that is made of own data; [] where none is given."""
        data = self.config.data
        if data is None:
            return []
        return [(source, split) for split in splits or SPLITS for source in data.sources_of(split)]

    def source_file(self, source: str) -> Path:
        """The file of a source of own data; a relative path starts at the checkout."""
        if self.config.data is None or source not in self.config.data.sources:
            raise FlexbenchError(f"data.sources: no source is named '{source}'")
        return checkout() / Path(self.config.data.sources[source].file).expanduser()

    @property
    def all_runs(self) -> list[Run]:
        """Every trajectory that is simulated: those of the splits, then of the evaluations."""
        if self.config.data is not None:
            return []
        others = [run for name in self.cases for run in self.case(name).runs]
        return list(dict.fromkeys([*self.runs(), *others]))

    def stems(self, *splits: str) -> list[str]:
        """Names of the trajectories of these splits (all of them without arguments)."""
        if self.config.data is not None:
            return [imported_stem(*pair) for pair in self.imports(*splits)]
        return [run.stem for run in self.runs(*splits)]

    def trajectories(self, *splits: str) -> list[Path]:
        """Files of the trajectories of these splits."""
        return [self.layout.trajectory(stem) for stem in self.stems(*splits)]

    def tested(self, case: str) -> list[Path]:
        """Files of the trajectories that a case is scored on."""
        if self.config.data is not None:
            return self.trajectories("test")
        name = self.case(case).name
        if name not in self._tested:
            self._tested[name] = [self.layout.trajectory(run.stem) for run in self.case(name).runs]
        return list(self._tested[name])

    @cached_property
    def all_trajectories(self) -> list[Path]:
        """Every trajectory file: those of the splits, then of the evaluations."""
        others = [path for name in self.cases for path in self.tested(name)]
        return list(dict.fromkeys([*self.trajectories(), *others]))

    @property
    def untrained(self) -> dict[str, list[Path]]:
        """Files that nothing may have learnt from: the test split's, then by evaluation those
        that no one before it has.
        """
        found = {"test": self.trajectories("test")}
        for name in self.cases:
            evaluation = self.case(name).evaluation
            known = {path for paths in found.values() for path in paths}
            others = [path for path in self.tested(name) if path not in known]
            if evaluation is not None and others:
                found.setdefault(evaluation, []).extend(others)
        return found

    def case(self, name: str) -> Case:
        """A case by its name; FlexbenchError names those that exist."""
        cases = self._cases
        if name not in cases:
            raise FlexbenchError(
                f"task '{name}' is not in the configuration; allowed: {', '.join(cases)}"
            )
        return cases[name]

    @cached_property
    def _cases(self) -> dict[str, Case]:
        return self.config.cases

    @cached_property
    def jobs(self) -> list[Job]:
        """Every (case, method, training seed), without methods that cannot do a task's kind."""
        jobs = [
            Job(name, method, seed)
            for name, case in self._cases.items()
            for method in self.config.methods_of(name)
            if self.task_settings(name).kind in self.tasks_of(method)
            and self._learns(case.task, method)
            and not self._needs_periodic(method)
            for seed in self._seeds(method)
        ]
        if not jobs:
            raise FlexbenchError(
                f"methods: none of {', '.join(self.config.methods)} runs any of the tasks "
                f"{', '.join(self.config.tasks)}"
            )
        return jobs

    def _needs_periodic(self, method: str) -> str | None:
        """The option by which a method takes fields as periodic, where they are not."""
        if self.config.data is None or self.config.data.is_periodic:
            return None
        options = self.config.method(method).options
        for name, value in self.facts(method).periodic.items():
            if options.get(name) == value:
                return f"{name}: {value}"
        return None

    @property
    def skipped(self) -> list[str]:
        """Methods and evaluations that are left out, each with the reason."""
        methods = [
            f"method '{method}' is left out: its option {option} needs periodic fields, and "
            "data.periodic is false, or data.crop given"
            for method in self.config.methods
            if (option := self._needs_periodic(method))
        ]
        done = {self.case(case).evaluation for case in self.cases}
        return methods + [
            f"evaluation '{name}' is left out: none of `methods` runs it"
            for name in self.config.evaluations
            if name not in done
        ]

    def _seeds(self, method: str) -> list[int]:
        """A formula learns nothing: it runs once, under the first training seed's name."""
        seeds = self.config.training_seeds
        return seeds[:1] if self.is_formula(method) else seeds

    def jobs_of(self, case: str) -> list[Job]:
        return [job for job in self.jobs if job.task == case]

    @cached_property
    def cases(self) -> list[str]:
        """The cases that at least one method runs: the tasks first, then their evaluations."""
        return [name for name in self._cases if self.jobs_of(name)]

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks that at least one method runs."""
        return [task for task in self.config.tasks if self.jobs_of(task)]

    @property
    def shifted(self) -> list[str]:
        """The cases whose flows differ from those of training in kind."""
        return [name for name in self.cases if self.case(name).is_shifted]

    @property
    def measured(self) -> list[tuple[str, str]]:
        """(task, observable) of every file of statistics: of what is scored, and of the tasks
        that are learnt beside others."""
        scored = [(case.task, case.settings.observable) for case in map(self.case, self.cases)]
        learnt = [(name, "w") for job in self.trainings for name in job.task.split(TOGETHER)]
        return list(dict.fromkeys([*scored, *learnt]))

    def statistics(self, case: str) -> Path:
        """The scales that a case's fields are divided by."""
        here = self.case(case)
        return self.layout.statistics(here.task, here.settings.observable)

    def trained_jobs(self, task: str) -> list[Job]:
        return [job for job in self.jobs_of(task) if not self.is_formula(job.method)]

    @cached_property
    def trainings(self) -> list[Job]:
        """Every training once: `task` is what it is named by, see `training`."""
        jobs = [job for task in self.tasks for job in self.trained_jobs(task)]
        named = (replace(job, task=self.training(job.task, job.method)) for job in jobs)
        return list(dict.fromkeys(named))

    def training(self, case: str, method: str) -> str:
        """The name of the training that a case's weights come from: its task's own, or, joined by
        "+", those of all the tasks that the method learns together."""
        return TOGETHER.join(self.config.method(method).together or [self.case(case).task])

    def task_settings(self, case: str) -> TaskSettings:
        """The settings of a case's task; FlexbenchError names the cases that exist."""
        return self.config.tasks[self.case(case).task]

    def require(self, task: str, method: str) -> None:
        """FlexbenchError unless this method runs on this task."""
        kind = self.task_settings(task).kind
        if kind not in self.tasks_of(method):
            raise FlexbenchError(
                f"method '{method}' cannot run on task '{task}' ({kind}); "
                f"it does: {', '.join(self.tasks_of(method))}"
            )
        if not self._learns(self.case(task).task, method):
            together = self.config.method(method).together or []
            raise FlexbenchError(
                f"method '{method}' does not learn task '{task}'; it learns: {', '.join(together)}"
            )

    def require_training(self, task: str, method: str) -> None:
        """FlexbenchError unless this method trains on this task, or on the tasks so joined."""
        together = self.config.method(method).together or []
        for name in together if task == TOGETHER.join(together) else [task]:
            self.require(name, method)

    # --- what a method is -----------------------------------------------------------------

    def facts(self, method: str) -> registry.Facts:
        """What the method's file says of itself (kinds of task, formula or network)."""
        if method not in self._facts:
            known = ", ".join(self._facts)
            raise FlexbenchError(f"method '{method}' is not in the configuration; allowed: {known}")
        return self._facts[method]

    def network_file(self, method: str) -> Path:
        return self.facts(method).path

    def is_formula(self, method: str) -> bool:
        return self.facts(method).formula

    def is_stochastic(self, method: str) -> bool:
        """Whether it draws ensembles: formulas and regressors say one thing only."""
        return not self.is_formula(method) and self.config.method(method).mode == "denoiser"

    def tasks_of(self, method: str) -> tuple[str, ...]:
        return self.facts(method).tasks

    def weights(self, case: str, method: str, seed: int | str) -> list[Path]:
        """The checkpoint that a method samples from; a formula has none."""
        if self.is_formula(method):
            return []
        return [self.layout.checkpoint(self.training(case, method), method, seed)]

    def launcher(self, method: str) -> str:
        """How `flexbench train` starts: alone, or once per GPU under torchrun."""
        processes = self.config.train_settings(method).processes
        if processes == 1:
            return "flexbench"
        # `--`, or torchrun takes the verb's --log for one of its own options.
        return f"torchrun --standalone --nproc-per-node {processes} -m -- flexbench"

    def cores(self, rule: str, method: str | None = None) -> int:
        """CPUs of one job: the configuration's threads, for each process of a training."""
        return self.config.threads * self._processes(rule, method) if rule in _THREADED else 1

    def resources(self, rule: str, method: str | None = None) -> dict[str, int | str]:
        """What one job asks the cluster for, in the words of Snakemake's Slurm plugin.

        runtime [minutes], mem_mb, cpus_per_task, slurm_extra, and those of slurm_account,
        slurm_partition, constraint, qos, gpu, gpu_model, tasks that are needed: what is not here
        is left to the user's profile and --default-resources. method: of `train` and `sample`.

        Resources lie in no slice: another partition makes nothing stale.
        """
        cluster = self.config.cluster
        # An animation is a figure that moves.
        needs: Needs = getattr(cluster, "figure" if rule == "animation" else rule)
        partition = (cluster.gpu_partition if needs.gpu else None) or cluster.partition
        # TERM, to every process of the job but the batch shell: who can, saves its state. Where
        # the limit is short, half of it is for work.
        warning = min(cluster.save_seconds, needs.minutes * 30)
        # A requeued job adds to its log.
        extra = f"--signal=TERM@{warning} --open-mode=append {cluster.extra or ''}".strip()
        wanted: dict[str, int | str | None] = {
            "runtime": needs.minutes,
            "mem_mb": needs.memory_mb,
            # By `threads` alone Snakemake would cut it to the cores of the submitting host.
            "cpus_per_task": self.cores(rule, method),
            "slurm_account": cluster.account,
            "slurm_partition": partition,
            "constraint": cluster.constraint,
            "qos": cluster.qos,
            "slurm_extra": extra,
        }
        if needs.gpu:
            wanted |= {"gpu": self._processes(rule, method), "gpu_model": cluster.gpu_model}
            # One task per job, which may be torchrun; never one per GPU.
            wanted["tasks"] = 0
        return {name: value for name, value in wanted.items() if value is not None}

    def rule_resources(self, rule: str) -> dict[str, Any]:
        """The same for a whole rule: a function of the wildcards, where methods may differ."""
        resources: dict[str, Any] = dict(self.resources(rule))
        if rule == "train":
            for name in {"cpus_per_task", "gpu"} & set(resources):
                resources[name] = partial(self._train_resource, name)
        return resources

    def _train_resource(self, name: str, wildcards: Any) -> int | str:
        return self.resources("train", wildcards.method)[name]

    def _processes(self, rule: str, method: str | None) -> int:
        if rule != "train" or method is None:
            return 1
        return self.config.train_settings(method).processes

    @property
    def text(self) -> str:
        """The resolved configuration, as every verb reads it."""
        return to_yaml(self.config)

    # --- what a step depends on -----------------------------------------------------------

    def code(self, step: str, method: str | None = None) -> str:
        """Digest of the code of a step (with the network files that it loads, see there)."""
        return code_digest(f"steps.{step}", *self.network_files(step, method))

    def network_files(self, step: str, method: str | None) -> tuple[Path, ...]:
        """The files that a step loads by name: the method's own, and FLEX's where a training solves
        for the width at which a network is as large. A sample has its width from the checkpoint.
        """
        if method is None:
            return ()
        solves = not self.is_formula(method) and self.config.method(method).width is None
        flex = (self._flex_file,) if step == "train" and solves else ()
        return (self.network_file(method), *flex)

    @cached_property
    def _flex_file(self) -> Path:
        return registry.facts(registry.FLEX).path

    def figure_code(self, module: str) -> str:
        """Digest of the code that draws one figure: its own module, and what reads its inputs."""
        figures = PACKAGE / "report" / "figures"
        shared = (figures / "__init__.py", PACKAGE / "steps" / "figure.py")
        drawn = (code_digest(f"report.figures.{module}"), code_digest("report.inputs"))
        return digest_of([*drawn, *(source_digest(path) for path in shared)])

    @property
    def report_code(self) -> str:
        """Digest of the code of the report, and of the templates that it fills."""
        templates = sorted((PACKAGE / "report" / "templates").iterdir())
        return digest_of([self.code("report"), *(file_digest(path) for path in templates)])

    def simulate_slice(
        self, reynolds: float, seed: int, boundary: str = "periodic"
    ) -> dict[str, Any]:
        walls = {} if boundary == "periodic" else {"boundary": boundary}
        return self._common() | {
            "solver": self._section("solver"),
            "reynolds": float(reynolds),
            "seed": int(seed),
            **walls,
        }

    def splits_slice(self) -> dict[str, Any]:
        if self.config.data is not None:
            return {split: self.stems(split) for split in SPLITS} | {"gap": self.config.gap}
        names = {name: [path.stem for path in files] for name, files in self.untrained.items()}
        return {split: self._split_slice(split) for split in SPLITS} | {"untrained": names}

    def import_slice(self, source: str, split: str) -> dict[str, Any]:
        """What decides an imported trajectory, beside the bytes of its file."""
        data = self.config.data
        if data is None or (source, split) not in self.imports():
            raise FlexbenchError(f"data.splits: split '{split}' holds nothing of source '{source}'")
        part = data.model_dump(exclude={"sources", "splits", "gap", *WORDS})
        own = data.sources[source].model_dump(exclude={"file"})
        return part | {
            "source": source,
            **own,
            "part": data.part(split),
            "number": list(data.sources).index(source),
            "side_step": self.config.side_step,
        }

    def _split_slice(self, name: str) -> dict[str, Any]:
        if self.config.data is not None:
            return {"trajectories": self.stems(name)}
        return self.split(name).model_dump()

    def statistics_slice(self, task: str, observable: str = "w") -> dict[str, Any]:
        return {
            "task": self._task(task),
            "observable": observable,
            "interval": None if self.config.data else self.config.solver.interval,
            "train": self._split_slice("train"),
        }

    def train_slice(self, task: str, method: str, seed: int) -> dict[str, Any]:
        """Everything that decides the weights, data aside."""
        train = self.config.train_settings(method).model_dump(exclude=PACE["train"])
        together = self.config.method(method).together
        learnt = {name: self._task(name) for name in together} if together else self._task(task)
        return self._common() | {
            "task": learnt,
            "method": self._method(method),
            "size": self.config.method(method).size or self.config.size,
            "diffusion": self.config.diffusion_settings(method).model_dump(),
            "train": train,
            "training_seed": int(seed),
            "splits": {name: self._split_slice(name) for name in ("train", "validation")},
        }

    def sample_slice(self, task: str, method: str, seed: int) -> dict[str, Any]:
        return self._common() | {
            "task": self._task(task),
            "method": self._method(method),
            "sample": self.case(task).sample.model_dump(),
            "training_seed": int(seed),
            "flows": self._flows(task),
        }

    def score_slice(self, case: str) -> dict[str, Any]:
        own = {"vorticity": self.config.data.is_vorticity} if self.config.data else {}
        return {"bands": self.config.score.bands, "flows": self._flows(case), **own}

    def tabulate_slice(self) -> dict[str, Any]:
        return {
            "score": self.config.score.model_dump(),
            "jobs": [[job.task, job.method, job.seed] for job in self.jobs],
            "trained": self.split("train").reynolds,
            "flows": {name: self._flows(name) for name in self.cases},
        }

    def figure_slice(self, task: str, name: str) -> dict[str, Any]:
        methods = [job.method for job in self.jobs_of(task)]
        return {"task": task, "figure": name, "methods": methods, **self.words}

    @property
    def words(self) -> dict[str, Any]:
        """How own data is to be labelled; {} of simulated flows."""
        data = self.config.data
        if data is None:
            return {}
        scale = {"subtract": data.subtract, "divide_by": data.divide_by}
        return {"words": data.model_dump(include=set(WORDS)) | scale}

    def _flows(self, case: str) -> dict[str, Any]:
        """What a case is scored on."""
        own = self.case(case).settings.model_dump(exclude={"tasks", "methods", "sample"})
        return own | {"trajectories": [path.stem for path in self.tested(case)]}

    def _common(self) -> dict[str, Any]:
        return {"threads": self.config.threads, "device": self.config.device}

    def _section(self, name: str) -> dict[str, Any]:
        section: dict[str, Any] = getattr(self.config, name).model_dump(exclude=PACE.get(name))
        return section

    def _task(self, task: str) -> dict[str, Any]:
        """A task's settings without the list of methods, which decides no number."""
        return self.task_settings(task).model_dump(exclude={"methods"})

    def _method(self, method: str) -> dict[str, Any]:
        return self.config.method(method).model_dump(exclude={"train", "diffusion", "together"})

    def _learns(self, task: str, method: str) -> bool:
        together = self.config.method(method).together
        return together is None or task in together

    def _check_together(self, method: str, facts: registry.Facts) -> None:
        """FlexbenchError where a network is to learn tasks together and cannot."""
        together = self.config.method(method).together
        if together is None:
            return
        registry.require_together(facts)
        for task in together:
            if self.config.tasks[task].kind not in facts.tasks:
                raise FlexbenchError(
                    f"method_settings.{method}.together: '{facts.name}' cannot run on task "
                    f"'{task}' ({self.config.tasks[task].kind}); it does: {', '.join(facts.tasks)}"
                )


def imported_stem(source: str, split: str) -> str:
    """The name of a trajectory made of own data: tank_train."""
    return f"{source}_{split}"


def boundary_of(walls: str) -> Boundary:
    """The boundary that the name of a trajectory's file begins with: "no_slip_" or the like."""
    return next(name for name in get_args(Boundary) if name == (walls.rstrip("_") or "periodic"))


def observable_of(velocity: str) -> Observable:
    """The observable that the name of a file of statistics ends with: ".u" or the like."""
    return next(name for name in get_args(Observable) if name == (velocity.lstrip(".") or "w"))
