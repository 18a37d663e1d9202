"""The rules of `workflow/rules/learn.smk`: trainings, and ensembles of what was trained."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flexbench.config import PACE
from flexbench.graph.names import TOGETHER, Fit
from flexbench.graph.rule import JOB, Names, Rule, kind_files
from flexbench.graph.slices import common, flows_slice, method_slice, split_slice, task_slice
from flexbench.paths import Layout

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph


class Train(Rule):
    """The weights of one method with one seed, on one task or on several together.

    Its wildcard `training` names the task, or all of them, joined by "+".
    """

    name = "train"
    doing = "training {method} on {training}{repeat}"
    wildcards: ClassVar[Names] = {
        "training": "tasks, method_settings.*.together",
        "method": "methods",
        "seed": "training_seeds",
    }
    record = ("{training}", "{method}", "seed{seed}")
    threaded = resumes = large = True
    # The longest jobs first, so that no core waits for the last of them.
    priority = 1
    lowered_by = "a larger train.accumulate, a smaller train.batch or fewer train.processes"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [
            {"training": it.name, "method": it.method, "seed": str(it.seed)}
            for it in graph.trainings
        ]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        place = names["training"], names["method"], names["seed"]
        return (layout.checkpoint(*place), layout.training_log(*place))

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        scales = [graph.layout.statistics(task) for task in names["training"].split(TOGETHER)]
        return [*scales, *graph.trajectories("train", "validation")]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        """Everything that decides the weights, data aside."""
        config, method = graph.config, names["method"]
        tasks = names["training"].split(TOGETHER)
        learnt = {task: task_slice(graph, task) for task in tasks}
        return common(graph) | {
            "task": learnt if len(tasks) > 1 else learnt[tasks[0]],
            "method": method_slice(graph, method),
            "size": config.method(method).size or config.size,
            "diffusion": config.diffusion_settings(method).model_dump(),
            "train": config.train_settings(method).model_dump(exclude=PACE["train"]),
            "training_seed": int(names["seed"]),
            "splits": {name: split_slice(graph, name) for name in ("train", "validation")},
        }

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        """The network's file, and FLEX's where the width is solved at which one is as large."""
        tasks, method = names["training"].split(TOGETHER), names["method"]
        solves = not graph.is_formula(method) and graph.config.method(method).width is None
        flex = (graph.flex_file,) if solves else ()
        return (graph.network_file(method), *flex, *kind_files(graph, *tasks))

    def cores(self, graph: "Graph", names: Names) -> int:
        """The configuration's threads, for each process of the training."""
        return graph.config.threads * self.gpus(graph, names)

    def gpus(self, graph: "Graph", names: Names) -> int:
        """One for each process."""
        return graph.config.train_settings(names["method"]).processes


class Calibrate(Rule):
    """What validation tells of the errors of one method's weights, for one setting of a sampler."""

    name = "calibrate"
    doing = "calibrating {method} on {training} ({fit}){repeat}"
    wildcards: ClassVar[Names] = {
        "training": "tasks, method_settings.*.together",
        "method": "methods",
        "seed": "training_seeds",
        "fit": "tasks, sample, evaluations.*.sample",
    }
    record = ("{training}", "{method}", "seed{seed}", "{fit}")
    threaded = resumes = True

    def jobs(self, graph: "Graph") -> list[Names]:
        return [
            {"training": fit.training, "method": method, "seed": seed, "fit": setting}
            for (setting, method, seed), fit in graph.fits.items()
        ]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        place = names["training"], names["fit"], names["method"], names["seed"]
        return (layout.calibration(*place),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        case, method, seed = self._fit(graph, names).case, names["method"], names["seed"]
        return [
            *graph.weights(case, method, seed),
            graph.statistics(case),
            *graph.trajectories("validation"),
        ]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        fit = self._fit(graph, names)
        return common(graph) | {
            "task": task_slice(graph, fit.case),
            "method": method_slice(graph, names["method"]),
            "fit": asdict(fit.setting) | {"batch": graph.config.sample.batch},
            "calibration": graph.config.calibration.model_dump(),
            "training_seed": int(names["seed"]),
            "splits": {"validation": split_slice(graph, "validation")},
        }

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        """As of sampling."""
        task = self._fit(graph, names).setting.task
        return (graph.network_file(names["method"]), *kind_files(graph, task))

    @staticmethod
    def _fit(graph: "Graph", names: Names) -> Fit:
        return graph.fit(names["fit"], names["method"], names["seed"])


class Sample(Rule):
    """The ensembles of one method on the flows of one case, but for those that others ran."""

    name = "sample"
    doing = "sampling {method}: {case}{repeat}"
    wildcards: ClassVar[Names] = JOB
    record = ("{case}", "{method}", "seed{seed}")
    threaded = resumes = large = True
    lowered_by = "a smaller sample.batch or fewer sample.members"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [graph.names_of(job) for job in graph.jobs if not graph.is_submitted(job.method)]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.samples(names["case"], names["method"], names["seed"]),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        case = names["case"]
        return [
            *graph.weights(case, names["method"], names["seed"]),
            *graph.calibrations(case, names["method"], names["seed"]),
            graph.statistics(case),
            graph.layout.splits,
            *graph.tested(case),
        ]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        case = names["case"]
        return common(graph) | {
            "task": task_slice(graph, case),
            "method": method_slice(graph, names["method"]),
            "sample": graph.case(case).sample.model_dump(),
            "training_seed": int(names["seed"]),
            "flows": flows_slice(graph, case),
        }

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        """The method's own file; a network has its width from the checkpoint."""
        task = graph.case(names["case"]).task
        return (graph.network_file(names["method"]), *kind_files(graph, task))
