"""Putting trained networks of a run where git keeps them, with all that says how they were made."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from flexbench.archive import new_folder
from flexbench.config import Run
from flexbench.config.reading import plain
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.names import Job, Training
from flexbench.metrics.tables import SNAPSHOT_SCORES
from flexbench.paths import checkout, receipt_of
from flexbench.provenance import PACKAGE, Step, file_digest, read_receipt, require_settings
from flexbench.shared.card import card
from flexbench.shared.folder import CONFIG, MANIFEST, SAMPLER, SCORES

# Of a network's weights: git keeps every version of them for ever.
MOST_BYTES = 4_000_000


def share(graph: Graph, output: Path, *, methods: Sequence[str], seed: int) -> dict[str, int]:
    """Write the networks of these methods and this training seed to the folder `output`, whole or
    not at all; the bytes of every file by its name.

    Raises FlexbenchError where `output` exists, where anything of it is not made, was made with
    other settings or changed since, and for networks that a clone could not use, or not keep.
    """
    if output.exists():
        raise FlexbenchError(f"{output}: exists already; remove it, or choose another --output")
    chosen = _Chosen(graph, _networks(graph, methods, seed))
    made = chosen.steps
    for step in made:
        _require_made(graph, step)
    written: dict[str, dict[str, Any]] = {}
    with new_folder(output) as archive:

        def add(name: str, source: Path | str) -> None:
            content = source.encode() if isinstance(source, str) else source
            digest, size = archive.add(name, content)
            written[name] = {"sha256": digest, "bytes": size}

        for path in chosen.files:
            add(chosen.name_of(path), path)
            add(chosen.name_of(receipt_of(path)), receipt_of(path))
        for network in chosen.networks:
            place = chosen.weights(network).with_suffix(".md")
            add(chosen.name_of(place), card(graph, network, cases=chosen.cases_of(network)))
        add(CONFIG, chosen.settings)
        add(SCORES, chosen.scores.to_csv(index=False))
        archive.add(MANIFEST, _manifest(chosen, written).encode())
    return {name: facts["bytes"] for name, facts in written.items()}


@dataclass(frozen=True)
class _Chosen:
    """What of a run is shared."""

    graph: Graph
    networks: list[Training]

    @cached_property
    def flow(self) -> Run:
        """The one of the test split whose scores are kept: of its middle Re, the first."""
        test = self.graph.split("test")
        middle = sorted(test.reynolds)[len(test.reynolds) // 2]
        return Run("periodic", middle, test.seeds[0])

    @cached_property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for network in self.networks for task in network.tasks))

    @cached_property
    def jobs(self) -> list[Job]:
        """What is scored: the networks with each of their samplers, and formulas beside them."""
        found = [
            job
            for task in self.tasks
            for case in plain_cases(self.graph, task)
            for job in self.graph.jobs_of(case)
        ]
        return [job for job in found if self.graph.is_formula(job.method) or self._has(job)]

    def _has(self, job: Job) -> bool:
        """Whether a job's network is one of those that are shared."""
        training = self.graph.training(job.case, job.method)
        return Training(training, job.method, job.seed) in self.networks

    @cached_property
    def methods(self) -> list[str]:
        """In the configuration's order, as samples are drawn."""
        own = {job.method for job in self.jobs}
        return [name for name in self.graph.config.methods if name in own]

    def cases_of(self, network: Training) -> dict[str, list[str]]:
        """By task, the cases on which a network is scored."""
        own = [it for it in self.jobs if (it.method, it.seed) == (network.method, network.seed)]
        found = {task: [it.case for it in own if self._task(it) == task] for task in network.tasks}
        return {task: cases for task, cases in found.items() if cases}

    def _task(self, job: Job) -> str:
        return self.graph.case(job.case).task

    def weights(self, network: Training) -> Path:
        return self.graph.layout.checkpoint(network.name, network.method, network.seed)

    @cached_property
    def files(self) -> list[Path]:
        """That are copied with their receipts: scales, weights, and fits to them."""
        scales = [self.graph.layout.statistics(task) for task in self.tasks]
        weights = [self.weights(network) for network in self.networks]
        fits = [
            path
            for job in self.jobs
            for path in self.graph.calibrations(job.case, job.method, job.seed)
        ]
        return [*scales, *weights, *dict.fromkeys(fits)]

    @cached_property
    def score_files(self) -> list[Path]:
        return [self.graph.layout.scores(it.case, it.method, it.seed) for it in self.jobs]

    @cached_property
    def steps(self) -> list[Step]:
        """That made all this, the tables for the cards among them."""
        outputs = {*self.files, *self.score_files, self.graph.layout.table("scores")}
        return [step for step in self.graph.steps if outputs.intersection(step.outputs)]

    @property
    def scores(self) -> pd.DataFrame:
        """The rows of the one flow in score files, and the sampler of each."""
        frames = []
        for job, path in zip(self.jobs, self.score_files, strict=True):
            rows = SNAPSHOT_SCORES.read(path)
            formula = self.graph.is_formula(job.method)
            sampler = "none" if formula else self.graph.case(job.case).sample.sampler
            frames.append(rows[rows["trajectory"] == self.flow.stem].assign(**{SAMPLER: sampler}))
        return pd.concat(frames, ignore_index=True)

    @property
    def settings(self) -> str:
        """The run's configuration as YAML, without what is about others, or about a cluster."""
        values = plain(self.graph.config)
        del values["cluster"], values["stages"], values["theory"], values["submitted"]
        used = {name: values["method_settings"].get(name) for name in self.methods}
        values |= {
            "root": "results",
            "methods": self.methods,
            "method_settings": {
                name: own | {"training_seeds": None} for name, own in used.items() if own
            },
            "training_seeds": list(dict.fromkeys(network.seed for network in self.networks)),
            "tasks": {task: values["tasks"][task] | {"methods": None} for task in self.tasks},
            "evaluations": None,
        }
        return yaml.safe_dump(values, sort_keys=False, width=100)

    def name_of(self, path: Path) -> str:
        return path.relative_to(self.graph.layout.folder).as_posix()


def plain_cases(graph: Graph, task: str) -> list[str]:
    """The task on the test split, and where nothing but the sampler differs from that."""
    usual = graph.case(task)
    return [
        name
        for name in graph.cases
        if (here := graph.case(name)).task == task
        and here.runs == usual.runs
        and here.settings.observable == usual.settings.observable
        and here.settings.leads == usual.settings.leads
        and here.sample.model_copy(update={"sampler": usual.sample.sampler}) == usual.sample
    ]


def _networks(graph: Graph, methods: Sequence[str], seed: int) -> list[Training]:
    """Every training that is asked for; FlexbenchError for what is none, or of no use elsewhere."""
    if graph.config.data is not None:
        raise FlexbenchError(
            "networks of own data are not shared: nobody else could simulate a flow for them"
        )
    for method in methods:
        graph.facts(method)  # an error where no method has the name
        known = [it for it in graph.trainings if it.method == method]
        if not any(it.seed == seed for it in known):
            told = ", ".join(dict.fromkeys(f"{it.method} --seed {it.seed}" for it in known))
            trained = ", ".join(dict.fromkeys(it.method for it in graph.trainings))
            raise FlexbenchError(
                f"{method}, seed {seed}: nothing is trained so; allowed: "
                f"{told or f'{trained} (a formula has no weights)'}"
            )
        file = graph.network_file(method)
        if not any(file.is_relative_to(place) for place in (checkout() / "baselines", PACKAGE)):
            raise FlexbenchError(f"{method}: its file, {file}, is not in the clone's baselines/")
    return [it for it in graph.trainings if it.method in methods and it.seed == seed]


def _require_made(graph: Graph, step: Step) -> None:
    """FlexbenchError unless a step's outputs are those of its receipt, and of these settings."""
    again = f"flexbench run --tier {graph.config.tier}"
    receipt = read_receipt(step.outputs[0])
    missing = [path for path in step.outputs if not path.is_file()]
    if missing or not receipt:
        raise FlexbenchError(f"{[*missing, step.receipt][0]}: missing; `{again}` makes it")
    require_settings(step, receipt["slice"], again=again)
    for path in step.outputs:
        if receipt["outputs"].get(path.name) != file_digest(path):
            raise FlexbenchError(f"{path}: is not the file of its receipt; `flexbench verify`")
        size = path.stat().st_size
        if step.name == "train" and size > MOST_BYTES:
            raise FlexbenchError(
                f"{path}: {size / 1e6:.1f} MB, allowed: {MOST_BYTES / 1e6:g} MB, as git keeps it "
                "for ever; `flexbench record` and `flexbench export --with-data` take larger ones"
            )


def _manifest(chosen: _Chosen, written: Any) -> str:
    """What the folder holds, and the digests of the score files that its rows are from."""
    receipts: Iterable[tuple[Path, Any]] = ((it, read_receipt(it)) for it in chosen.score_files)
    content = {
        "networks": [asdict(network) for network in chosen.networks],
        "flow": {"reynolds": chosen.flow.reynolds, "seed": chosen.flow.seed},
        "files": written,
        "scores_from": {
            chosen.name_of(path): receipt["outputs"][path.name] for path, receipt in receipts
        },
    }
    return json.dumps(content, indent=1) + "\n"
