"""The rules of `workflow/rules/judge.smk`: scores, tables, figures, the report."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flexbench.config.strict_yaml import read_yaml
from flexbench.graph.names import Job
from flexbench.graph.rule import JOB, Names, Rule, kind_files
from flexbench.graph.slices import flows_slice, words_slice
from flexbench.graph.theory import Gradients, Targets
from flexbench.paths import TABLES, Layout, default_claims
from flexbench.provenance import PACKAGE, digest_of, file_digest
from flexbench.report.catalogue import FIGURES, figures_of

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph


class Score(Rule):
    """The scores of one file of samples, and the spectra that figures need."""

    name = "score"
    doing = "scoring {method}: {case}{repeat}"
    wildcards: ClassVar[Names] = JOB
    record = ("{case}", "{method}", "seed{seed}")
    threaded = True
    lowered_by = "fewer sample.members"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [graph.names_of(job) for job in graph.jobs]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        place = names["case"], names["method"], names["seed"]
        return (layout.scores(*place), layout.spectra(*place))

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        samples = graph.layout.samples(names["case"], names["method"], names["seed"])
        return [samples, *graph.tested(names["case"])]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        data = graph.config.data
        own = {"vorticity": data.is_vorticity} if data else {}
        flows = flows_slice(graph, names["case"])
        return {"bands": graph.config.score.bands, "flows": flows, **own}


class Tabulate(Rule):
    """All scores in tables, what they say of the registered claims, and what was found."""

    name = "tabulate"
    doing = "making the tables"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [{}]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        told = (layout.claims, layout.claims_page, layout.findings)
        return (*tables(layout), layout.headline, *told)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        scores = [graph.layout.scores(job.case, job.method, job.seed) for job in graph.jobs]
        return [*scores, *measured(graph)]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        data = graph.config.data
        return {
            **({"block": data.block} if data is not None and data.has_one_flow else {}),
            "score": graph.config.score.model_dump(),
            "jobs": [[job.case, job.method, job.seed] for job in graph.jobs],
            "trained": graph.split("train").reynolds,
            "flows": {name: flows_slice(graph, name) for name in graph.cases},
            "claims": digest_of(read_yaml(default_claims())),
        }

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        """How verdicts are reached, which decides no other step."""
        return tuple(sorted((PACKAGE / "claims").glob("*.py")))


class Figure(Rule):
    """One figure of one case, as PNG and PDF."""

    name = "figure"
    doing = "drawing {name}: {case}"
    wildcards: ClassVar[Names] = {"case": "tasks, evaluations", "name": "of the report"}
    record = ("{case}", "{name}")
    animated = False

    def jobs(self, graph: "Graph") -> list[Names]:
        return [
            {"case": case, "name": name}
            for case, name in drawn(graph)
            if FIGURES[name].animated is self.animated
        ]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        png = layout.figure(names["case"], names["name"])
        return (png, png.with_suffix(".pdf"))

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        sources = SOURCES[FIGURES[names["name"]].source](graph, names["case"])
        found = (*tables(graph.layout), *sources, *described_in(graph, names["case"]))
        return list(dict.fromkeys(found))

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        case = names["case"]
        methods = [job.method for job in graph.jobs_of(case)]
        return {"case": case, "figure": names["name"], "methods": methods, **words_slice(graph)}

    def loaded(self, graph: "Graph", names: Names) -> tuple[Path, ...]:
        """The figure's module; and, where a snapshot is shown, what a network was given of it."""
        own = PACKAGE / "report" / "figures" / f"{names['name']}.py"
        if FIGURES[names["name"]].source != "snapshot":
            return (own,)
        return (own, *kind_files(graph, graph.case(names["case"]).task))


class Animation(Figure):
    """A figure that moves, as GIF."""

    name = "animation"
    doing = "drawing {name}: {case}"
    section = "figure"
    animated = True

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.animation(names["case"], names["name"]),)


class Report(Rule):
    """The page that tells it all."""

    name = "report"
    doing = "writing the report"

    def jobs(self, graph: "Graph") -> list[Names]:
        return [{}]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.report,)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        figures = [figure_file(graph.layout, case, name) for case, name in drawn(graph)]
        words = described_in(graph, *graph.cases)
        told = (graph.layout.claims, graph.layout.findings)
        cards = [graph.layout.submission(method) for method in graph.config.submissions]
        return [*tables(graph.layout), *told, *cards, *figures, *words]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        return {"cases": graph.cases, **words_slice(graph)}

    def code(self, graph: "Graph", names: Names) -> str:
        """Of the templates that it fills, too."""
        templates = sorted((PACKAGE / "report" / "templates").iterdir())
        return digest_of([super().code(graph, names), *(file_digest(path) for path in templates)])


def measured(graph: "Graph") -> list[Path]:
    """What claims rest on besides scores."""
    return [
        path
        for rule in (Targets(), Gradients())
        for names in rule.jobs(graph)
        for path in rule.outputs(graph.layout, names)
    ]


def tables(layout: Layout) -> tuple[Path, ...]:
    return tuple(layout.table(name) for name in TABLES)


def drawn(graph: "Graph") -> list[tuple[str, str]]:
    """(case, name) of every figure of a configuration."""
    return [(case, name) for case in graph.cases for name in figures_of(graph.config, case)]


def figure_file(layout: Layout, case: str, name: str) -> Path:
    """The file of a figure that the page shows."""
    return (layout.animation if FIGURES[name].animated else layout.figure)(case, name)


def described_in(graph: "Graph", *cases: str) -> list[Path]:
    """The files that say how own data is to be labelled: the statistics of its tasks, and the first
    test trajectory, which knows where and when it lies."""
    if graph.config.data is None:
        return []
    return [*dict.fromkeys(graph.statistics(case) for case in cases), graph.trajectories("test")[0]]


def shown_rollout(graph: "Graph", case: str) -> Job:
    """Whose rollout is animated: the first method's that draws ensembles, or else the first's."""
    jobs = graph.jobs_of(case)
    return next((job for job in jobs if graph.is_stochastic(job.method, case)), jobs[0])


def _logs(graph: "Graph", case: str) -> list[Path]:
    return [
        graph.layout.training_log(graph.training(case, job.method), job.method, job.seed)
        for job in graph.trained_jobs(case)
    ]


def _spectra(graph: "Graph", case: str) -> list[Path]:
    jobs = graph.jobs_of(case)
    return [graph.layout.spectra(job.case, job.method, job.seed) for job in jobs]


def _rollout(graph: "Graph", case: str) -> list[Path]:
    job = shown_rollout(graph, case)
    return [graph.layout.samples(job.case, job.method, job.seed), graph.tested(case)[0]]


def _snapshot(graph: "Graph", case: str) -> list[Path]:
    first = graph.config.training_seeds_of
    jobs = [job for job in graph.jobs_of(case) if job.seed == first(job.method)[0]]
    samples = [graph.layout.samples(job.case, job.method, job.seed) for job in jobs]
    return [*samples, *graph.tested(case)]


def _targets(graph: "Graph", case: str) -> list[Path]:
    return [graph.layout.targets(case)]


def _gradients(graph: "Graph", case: str) -> list[Path]:
    """Of residuals, and of fields."""
    pair = (case, graph.config.fields_of(case))
    rule = Gradients()
    return [
        path
        for names in rule.jobs(graph)
        if names["training"] in pair
        for path in rule.outputs(graph.layout, names)
    ]


# What a figure is drawn from beside the tables, by the names that the catalogue uses.
SOURCES: dict[str, Callable[["Graph", str], list[Path]]] = {
    "": lambda graph, case: [],
    "logs": _logs,
    "spectra": _spectra,
    "rollout": _rollout,
    "snapshot": _snapshot,
    "targets": _targets,
    "gradients": _gradients,
}
