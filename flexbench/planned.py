"""What each step of the graph takes and makes: for its receipt, and for whoever checks receipts.

The rules say the same to Snakemake (a test holds them together); nothing heavy is imported.
"""

from pathlib import Path

from flexbench.config import Run
from flexbench.graph import TOGETHER, Graph, Job, imported_stem
from flexbench.paths import TABLES
from flexbench.provenance import Step
from flexbench.report.catalogue import FIGURES, figures_of


def planned_steps(graph: Graph) -> list[Step]:
    """Every step that a configuration asks for, in an order in which they can run."""
    jobs = [(job.task, job.method, job.seed) for job in graph.jobs]
    return [
        *(simulate(graph, run) for run in graph.all_runs),
        *(import_data(graph, source, split) for source, split in graph.imports()),
        splits(graph),
        *(statistics(graph, *measured) for measured in graph.measured),
        *(train(graph, job.task, job.method, job.seed) for job in graph.trainings),
        *(sample(graph, *job) for job in jobs),
        *(score(graph, *job) for job in jobs),
        tabulate(graph),
        *(figure(graph, case, name) for case, name in drawn(graph)),
        report(graph),
    ]


def simulate(graph: Graph, run: Run) -> Step:
    return Step(
        name="simulate",
        outputs=(graph.layout.trajectory(run.stem),),
        inputs=(),
        slice=graph.simulate_slice(run.reynolds, run.seed, run.boundary),
        code=graph.code("simulate"),
    )


def import_data(graph: Graph, source: str, split: str) -> Step:
    return Step(
        name="import_data",
        outputs=(graph.layout.trajectory(imported_stem(source, split)),),
        inputs=(graph.source_file(source),),
        slice=graph.import_slice(source, split),
        code=graph.code("import_data"),
    )


def splits(graph: Graph) -> Step:
    return Step(
        name="splits",
        outputs=(graph.layout.splits,),
        inputs=tuple(graph.all_trajectories),
        slice=graph.splits_slice(),
        code=graph.code("splits"),
    )


def statistics(graph: Graph, task: str, observable: str = "w") -> Step:
    return Step(
        name="statistics",
        outputs=(graph.layout.statistics(task, observable),),
        inputs=tuple(graph.trajectories("train")),
        slice=graph.statistics_slice(task, observable),
        code=graph.code("statistics"),
    )


def train(graph: Graph, task: str, method: str, seed: int) -> Step:
    """task: one that the method learns, or the name of its training."""
    layout, training = graph.layout, graph.training(task, method)
    return Step(
        name="train",
        outputs=(
            layout.checkpoint(training, method, seed),
            layout.training_log(training, method, seed),
        ),
        inputs=(*train_statistics(graph, training), *graph.trajectories("train", "validation")),
        slice=graph.train_slice(task, method, seed),
        code=graph.code("train", method),
    )


def train_statistics(graph: Graph, training: str) -> list[Path]:
    """The scales of every task of a training."""
    return [graph.layout.statistics(task) for task in training.split(TOGETHER)]


def sample(graph: Graph, task: str, method: str, seed: int) -> Step:
    layout = graph.layout
    return Step(
        name="sample",
        outputs=(layout.samples(task, method, seed),),
        inputs=(
            *graph.weights(task, method, seed),
            graph.statistics(task),
            layout.splits,
            *graph.tested(task),
        ),
        slice=graph.sample_slice(task, method, seed),
        code=graph.code("sample", method),
    )


def score(graph: Graph, task: str, method: str, seed: int) -> Step:
    layout = graph.layout
    return Step(
        name="score",
        outputs=(layout.scores(task, method, seed), layout.spectra(task, method, seed)),
        inputs=(layout.samples(task, method, seed), *graph.tested(task)),
        slice=graph.score_slice(task),
        code=graph.code("score"),
    )


def tabulate(graph: Graph) -> Step:
    layout = graph.layout
    return Step(
        name="tabulate",
        outputs=(*_tables(graph), layout.headline),
        inputs=tuple(layout.scores(job.task, job.method, job.seed) for job in graph.jobs),
        slice=graph.tabulate_slice(),
        code=graph.code("tabulate"),
    )


def figure(graph: Graph, task: str, name: str) -> Step:
    outputs = figure_files(graph, task, name)
    return Step(
        name="animation" if FIGURES[name].animated else "figure",
        outputs=outputs,
        inputs=(*_tables(graph), *figure_sources(graph, task, name)),
        slice=graph.figure_slice(task, name),
        code=graph.figure_code(FIGURES[name].module),
    )


def figure_files(graph: Graph, task: str, name: str) -> tuple[Path, ...]:
    """What a figure is written to: a PNG and a PDF, or a GIF where it moves."""
    if FIGURES[name].animated:
        return (graph.layout.animation(task, name),)
    png = graph.layout.figure(task, name)
    return (png, png.with_suffix(".pdf"))


def figure_sources(graph: Graph, task: str, name: str) -> list[Path]:
    """What a figure is drawn from, beside the tables."""
    return [*_drawn_from(graph, task, name), *described_in(graph, task)]


def described_in(graph: Graph, *cases: str) -> list[Path]:
    """The files that say how own data is to be labelled: the statistics of its tasks."""
    if graph.config.data is None:
        return []
    return list(dict.fromkeys(graph.statistics(case) for case in cases))


def _drawn_from(graph: Graph, task: str, name: str) -> list[Path]:
    layout, source = graph.layout, FIGURES[name].source
    jobs = graph.jobs_of(task)
    if source == "logs":
        return [
            layout.training_log(graph.training(task, job.method), job.method, job.seed)
            for job in graph.trained_jobs(task)
        ]
    if source == "spectra":
        return [layout.spectra(job.task, job.method, job.seed) for job in jobs]
    if source == "rollout":
        job = shown_rollout(graph, task)
        shown = layout.samples(job.task, job.method, job.seed)
        return [shown, graph.tested(task)[0]]
    if source == "snapshot":
        first = graph.config.training_seeds[0]
        jobs = [job for job in jobs if job.seed == first]
        samples = [layout.samples(job.task, job.method, job.seed) for job in jobs]
        return [*samples, *graph.tested(task)]
    return []


def shown_rollout(graph: Graph, case: str) -> Job:
    """Whose rollout is animated: the first method's that draws ensembles, or else the first's."""
    jobs = graph.jobs_of(case)
    return next((job for job in jobs if graph.is_stochastic(job.method)), jobs[0])


def drawn(graph: Graph) -> list[tuple[str, str]]:
    """(case, name) of every figure of a configuration."""
    return [(case, name) for case in graph.cases for name in figures_of(graph.config, case)]


def all_figures(graph: Graph) -> list[Path]:
    """A file of every figure."""
    return [figure_files(graph, case, name)[0] for case, name in drawn(graph)]


def report(graph: Graph) -> Step:
    return Step(
        name="report",
        outputs=(graph.layout.report,),
        inputs=(*_tables(graph), *all_figures(graph), *described_in(graph, *graph.cases)),
        slice={"tasks": graph.cases, **graph.words},
        code=graph.report_code,
    )


def _tables(graph: Graph) -> tuple[Path, ...]:
    return tuple(graph.layout.table(name) for name in TABLES)
