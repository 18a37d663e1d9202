"""Which jobs a configuration stands for, and what they are named.

Pure functions of the configuration and of what the methods' files say; torch is never imported,
because a Snakefile is read again in every job.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from flexbench import registry
from flexbench.config import Case, Config, Run, SplitSettings, TaskSettings
from flexbench.config.reading import load_config, to_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph.asked import require_job
from flexbench.graph.methods import (
    check_theory,
    check_together,
    check_training,
    facts_of,
    left_out,
    needs_periodic,
)
from flexbench.graph.names import SPLITS, TOGETHER, Fit, Job, Training, imported_stem
from flexbench.graph.rule import Names, Rule
from flexbench.graph.rules import GIVEN, RULES
from flexbench.graph.submitted import with_submissions
from flexbench.paths import Layout, checkout
from flexbench.provenance import Step


class Graph:
    """The jobs of one configuration.

    layout: where its files are. facts: what the file of each method says (see `Graph.of`).
    """

    def __init__(self, config: Config, *, layout: Layout, facts: Mapping[str, registry.Facts]):
        self.config, self.layout, self._facts = config, layout, dict(facts)
        self._tested: dict[str, list[Path]] = {}

    @classmethod
    def of(cls, config: Config, *, start: Path | None = None) -> "Graph":
        """The graph of a configuration, with what the methods' files say.

        start: where a relative root starts; None: at the checkout. Every method that is named
        anywhere is looked at, even one that may not run this time: FlexbenchError for a file that
        is missing or broken is an error before any work.
        """
        layout = Layout((checkout() if start is None else start) / config.root, config.tier)
        config = with_submissions(config, layout)
        named = dict.fromkeys(config.methods, "methods")
        others = {name: f"method_settings.{name}" for name in config.method_settings}
        others |= {name: "stages" for names in config.stages for name in names}
        others |= dict.fromkeys(config.theory.methods if config.theory else (), "theory.methods")
        for section in ("tasks", "evaluations"):
            for place, settings in getattr(config, section).items():
                for name in settings.methods or ():
                    others.setdefault(name, f"{section}.{place}.methods")
        facts = {name: facts_of(config, name, place) for name, place in named.items()}
        for name, place in others.items():
            check_together(config, name, facts_of(config, name, place))
        graph = cls(config, layout=layout, facts=facts)
        for training in graph.trainings:
            check_training(config, training)
        check_theory(config, graph.trainings)
        return graph

    @classmethod
    def from_overrides(cls, overrides: Mapping[str, Any], *, start: Path | None = None) -> "Graph":
        """The graph that `snakemake --config …` asks for."""
        return cls.of(load_config(overrides), start=start)

    # --- rules and their jobs -------------------------------------------------------------

    def rule(self, name: str) -> Rule:
        """A rule by its name; FlexbenchError names those that exist."""
        found = next((rule for rule in (*RULES, *GIVEN) if rule.name == name), None)
        if found is None:
            known = ", ".join(rule.name for rule in (*RULES, *GIVEN))
            raise FlexbenchError(f"rule '{name}' does not exist; allowed: {known}")
        return found

    def step(self, rule: str, **names: str | int) -> Step:
        """One job of a rule, by its wildcards; FlexbenchError where the graph has no such job."""
        found, asked = self.rule(rule), {name: str(value) for name, value in names.items()}
        require_job(self, found, asked)
        return found.step(self, asked)

    @property
    def steps(self) -> list[Step]:
        """Every step that the configuration asks for, in an order in which they can run."""
        return [rule.step(self, names) for rule in (*GIVEN, *RULES) for names in rule.jobs(self)]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Which rule makes what another one takes, for the rules that have jobs."""
        makers: dict[Path, str] = {}
        found: dict[tuple[str, str], None] = {}
        for rule in RULES:
            for names in rule.jobs(self):
                makers |= dict.fromkeys(rule.outputs(self.layout, names), rule.name)
                taken = (makers[path] for path in rule.inputs(self, names) if path in makers)
                found |= dict.fromkeys((maker, rule.name) for maker in taken)
        return list(found)

    @staticmethod
    def names_of(job: Job) -> Names:
        """The wildcards of what is sampled and scored."""
        return {"case": job.case, "method": job.method, "seed": str(job.seed)}

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
            for name in self._cases
            for method in self.config.methods_of(name)
            if not self.unfit(name, method)
            for seed in self._seeds(name, method)
        ]
        if not jobs:
            raise FlexbenchError(
                f"methods: none of {', '.join(self.config.methods)} runs any of the tasks "
                f"{', '.join(self.config.tasks)}"
            )
        return jobs

    def _needs_periodic(self, method: str) -> str | None:
        """The option by which a method takes fields as periodic, where they are not."""
        return needs_periodic(self.config, method, self.facts(method))

    @property
    def skipped(self) -> list[str]:
        """Methods and evaluations that are left out, each with the reason."""
        done = {self.case(case).evaluation for case in self.cases}
        return left_out(self.config, self._facts, evaluated=done)

    def _seeds(self, case: str, method: str) -> list[int]:
        """A formula learns nothing: it runs once, under the first training seed's name."""
        if self.is_formula(method):
            return self.config.training_seeds[:1]
        return self.config.seeds_of(case, method)

    @cached_property
    def _jobs_by_case(self) -> dict[str, list[Job]]:
        found: dict[str, list[Job]] = {}
        for job in self.jobs:
            found.setdefault(job.case, []).append(job)
        return found

    def jobs_of(self, case: str) -> list[Job]:
        return self._jobs_by_case.get(case, [])

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
        learnt = [(task, "w") for training in self.trainings for task in training.tasks]
        return list(dict.fromkeys([*scored, *learnt]))

    def statistics(self, case: str) -> Path:
        """The scales that a case's fields are divided by."""
        here = self.case(case)
        return self.layout.statistics(here.task, here.settings.observable)

    def trained_jobs(self, task: str) -> list[Job]:
        return [job for job in self.jobs_of(task) if self.is_trained(job.method)]

    @cached_property
    def trainings(self) -> list[Training]:
        """Every training once."""
        jobs = [job for task in self.tasks for job in self.trained_jobs(task)]
        named = (Training(self.training(it.case, it.method), it.method, it.seed) for it in jobs)
        return list(dict.fromkeys(named))

    @cached_property
    def fits(self) -> dict[tuple[str, str, str], Fit]:
        """Every fit of a sampler once, by (its setting's name, method, seed)."""
        found: dict[tuple[str, str, str], Fit] = {}
        for job in self.jobs:
            setting = self.case(job.case).fit
            if setting is not None and self.is_trained(job.method):
                training = self.training(job.case, job.method)
                fit = Fit(setting, training, job.method, job.seed, job.case)
                found.setdefault((setting.name, job.method, str(job.seed)), fit)
        return found

    def fit(self, setting: str, method: str, seed: int | str) -> Fit:
        """A fit by its names; FlexbenchError names those that exist."""
        key = (setting, method, str(seed))
        if key not in self.fits:
            known = ", ".join(" ".join(names) for names in self.fits) or "none"
            raise FlexbenchError(f"fit '{' '.join(key)}' does not exist; allowed: {known}")
        return self.fits[key]

    def training(self, case: str, method: str) -> str:
        """The name of the training that a case's weights come from: its task's own, or, joined by
        "+", those of all the tasks that the method learns together."""
        return TOGETHER.join(self.config.method(method).together or [self.case(case).task])

    def source(self, case: str, method: str, seed: int | str) -> Step:
        """What a file of samples comes from: the job that draws it, or its submission."""
        rule = "submit" if self.is_submitted(method) else "sample"
        return self.step(rule, case=case, method=method, seed=seed)

    def named_training(self, name: str, method: str) -> str:
        """The training of a method that is called by its name, or by any one of its tasks."""
        own = (it for it in self.trainings if it.method == method)
        return next((it.name for it in own if name in (it.name, *it.tasks)), name)

    def task_settings(self, case: str) -> TaskSettings:
        """The settings of a case's task; FlexbenchError names the cases that exist."""
        return self.case(case).task_settings

    def unfit(self, case: str, method: str) -> str | None:
        """Why one of `methods` cannot run on a case; None: it can."""
        here = self.case(case)
        if self.is_submitted(method):
            answered = self.config.submissions[method].cases
            told = f"method '{method}' was submitted without '{case}'; it answered: "
            return None if case in answered else told + ", ".join(answered)
        kind, together = here.task_settings.kind, self.config.method(method).together
        if kind not in self.tasks_of(method):
            done = ", ".join(self.tasks_of(method))
            return f"method '{method}' cannot run on task '{case}' ({kind}); it does: {done}"
        if together is not None and here.task not in together:
            learnt = ", ".join(together)
            return f"method '{method}' does not learn task '{case}'; it learns: {learnt}"
        if option := self._needs_periodic(method):
            return f"method '{method}' needs periodic fields for its option {option}"
        return None

    # --- what a method is -----------------------------------------------------------------

    def facts(self, method: str) -> registry.Facts:
        """What the method's file says of itself (kinds of task, formula or network)."""
        if method not in self._facts:
            known = ", ".join(self._facts)
            raise FlexbenchError(f"method '{method}' is not in the configuration; allowed: {known}")
        return self._facts[method]

    def is_submitted(self, method: str) -> bool:
        """Whether others ran it, so that its samples have a receipt and no job."""
        return method in self.config.submissions

    def is_trained(self, method: str) -> bool:
        """Whether it is trained here."""
        return not self.is_submitted(method) and not self.is_formula(method)

    def network_file(self, method: str) -> Path:
        return self.facts(method).path

    def is_formula(self, method: str) -> bool:
        """Whether it is known to have no weights; of what others ran nothing is known."""
        return not self.is_submitted(method) and self.facts(method).formula

    def is_stochastic(self, method: str, case: str | None = None) -> bool:
        """Whether it draws ensembles: formulas and regressors say one thing only, but for
        regressors whose errors a case's sampler adds.

        case: None: for no case in particular.
        """
        if self.is_submitted(method):
            return self.config.submissions[method].ensemble
        fitted = case is not None and self.case(case).sample.is_fitted
        drawn = self.config.method(method).mode != "regressor" or fitted
        return not self.is_formula(method) and drawn

    def tasks_of(self, method: str) -> tuple[str, ...]:
        return self.facts(method).tasks

    def weights(self, case: str, method: str, seed: int | str) -> list[Path]:
        """The checkpoint that a method samples from; what is not trained here has none."""
        if not self.is_trained(method):
            return []
        return [self.layout.checkpoint(self.training(case, method), method, seed)]

    def calibrations(self, case: str, method: str, seed: int | str) -> list[Path]:
        """The fit that a method's sampler needs on a case, where it needs one."""
        setting = self.case(case).fit
        if setting is None or not self.is_trained(method):
            return []
        return [self.layout.calibration(self.training(case, method), setting.name, method, seed)]

    @cached_property
    def flex_file(self) -> Path:
        """FLEX's own file, which solves for the widths of its rivals."""
        return registry.facts(registry.FLEX).path

    @property
    def text(self) -> str:
        """The resolved configuration, as every verb reads it."""
        return to_yaml(self.config)
