"""What the report is drawn from: the files of one results folder, each read where it is needed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flexbench.config import Config, TaskSettings
from flexbench.errors import FlexbenchError
from flexbench.paths import Layout, receipt_of

if TYPE_CHECKING:
    from flexbench.report.labels import Labels
    from flexbench.report.snapshot import ShownSnapshot

# Columns that pandas would otherwise guess to be numbers, or whose empty cells mean "".
_TEXT_COLUMNS = {"benchmark_version", "tier", "task", "method", "mode", "reynolds", "detail"}
_TEXT_COLUMNS |= {
    "score",
    "observable",
    "boundary",
    "reference",
    "receipt",
    "flag",
    "message",
    "device",
    "trajectory",
}

_REQUIRED = {
    "scores": ("task", "method", "reynolds", "score", "detail", "value", "low", "high"),
    "leads": ("task", "method", "score", "lead", "value", "low", "high"),
    "comparisons": ("task", "method", "reference", "score", "reynolds", "value", "low", "high"),
    "red_flags": ("task", "method", "flag", "message"),
    "matrix": ("task", "method", "score", "observable", "boundary", "reynolds", "value"),
    "cost": ("task", "method", "parameters", "flops_per_evaluation", "evaluations"),
}


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A receipt: the file it stands beside (relative to the results folder), and what it says."""

    output: str
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The results folder of one tier, and the configuration that made it.

    Nothing is read before it is asked for, so that one figure can be drawn alone.
    """

    layout: Layout
    config: Config

    def table(self, name: str) -> pd.DataFrame:
        """tables/<name>.csv; FlexbenchError where the file or one of its columns is missing."""
        path = self.layout.table(name)
        if not path.is_file():
            raise FlexbenchError(f"{path}: no such table; run `flexbench tabulate` first")
        return read_table(path, required=_REQUIRED[name])

    def task_scores(self, task: str) -> pd.DataFrame:
        """The aggregated scores of one task, methods in the configuration's order."""
        scores = self.table("scores")
        return in_method_order(scores[scores["task"] == task], self.methods(task))

    def task(self, case: str) -> TaskSettings:
        """The settings of a case's task."""
        return self.config.tasks[self.config.cases[case].task]

    def labels(self, case: str) -> "Labels":
        """What the results of a case are labelled with."""
        from flexbench.report.labels import labels_of

        statistics = None
        if self.config.data is not None:
            path = self.layout.statistics(self.config.cases[case].task)
            try:
                statistics = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise FlexbenchError(f"{path}: not readable statistics ({error})") from None
        return labels_of(self.config, case, statistics)

    def methods(self, task: str) -> list[str]:
        """The methods of a task, in the configuration's order."""
        return self.config.methods_of(task)

    def spectra(self, task: str) -> pd.DataFrame:
        """Spectra of every method and training seed of a task; empty where none was written."""
        spectra = self._of_runs(task, self.layout.spectra, read_table)
        return spectra.astype({"reynolds": float}) if len(spectra) else spectra

    def training_logs(self, task: str) -> pd.DataFrame:
        """Training logs of every method and training seed of a task; empty where nothing learns."""
        return self._of_runs(task, self.layout.training_log, read_log)

    def _of_runs(self, task: str, path_of: Any, read: Any) -> pd.DataFrame:
        """One frame from the files of all runs of a task, with the run's name in two columns."""
        frames = []
        for method in self.methods(task):
            for seed in self.config.training_seeds:
                path = path_of(task, method, seed)
                if path.is_file():
                    frames.append(read(path).assign(method=method, training_seed=seed))
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def snapshot(self, task: str) -> "ShownSnapshot | None":
        """The middle one (by Re, trajectory, time) of the snapshots that all methods predicted."""
        from flexbench.report.snapshot import read_snapshot

        seed = self.config.training_seeds[0]
        paths = {method: self.layout.samples(task, method, seed) for method in self.methods(task)}
        paths = {method: path for method, path in paths.items() if path.is_file()}
        if not paths:
            return None
        return read_snapshot(
            paths,
            self.layout,
            self.task(task),
            interval=None if self.config.data else self.config.solver.interval,
            observable=self.config.cases[task].settings.observable,
        )

    def receipts(self) -> list[Receipt]:
        """Every receipt below the results folder, by path, but for an older report's own."""
        folder = self.layout.folder
        found = []
        for path in sorted(folder.rglob("*.receipt.json")):
            if path == receipt_of(self.layout.report):
                continue
            output = path.relative_to(folder).as_posix().removesuffix(".receipt.json")
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise FlexbenchError(f"{path}: not a JSON receipt ({error})") from error
            found.append(Receipt(output=output, content=content))
        return found


def read_table(path: Path, *, required: tuple[str, ...] = ()) -> pd.DataFrame:
    """A CSV with text columns kept as text ("" where empty) and everything else as numbers."""
    try:
        header = pd.read_csv(path, nrows=0)
        text = [column for column in _TEXT_COLUMNS if column in header]
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, "object"), na_values=["nan"])
    except (ValueError, pd.errors.EmptyDataError) as error:
        raise FlexbenchError(f"{path}: not a readable CSV table ({error})") from error
    for column in required:
        if column not in frame:
            raise FlexbenchError(
                f"{path}: column {column!r} is missing; found {', '.join(frame.columns)}"
            )
    frame[text] = frame[text].fillna("")
    return frame


def read_log(path: Path) -> pd.DataFrame:
    """A training log: one JSON object a line; a last line cut short by a kill is left out."""
    records = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise FlexbenchError(f"{path}: line {number} is not JSON ({error})") from error
        if "step" in record:
            records.append(record)
    return pd.DataFrame.from_records(records)


def in_method_order(frame: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Rows sorted by the configuration's order of methods (unknown ones last), else unchanged."""
    place = {method: position for position, method in enumerate(methods)}
    return frame.sort_values(
        "method", key=lambda column: column.map(lambda m: place.get(m, len(place))), kind="stable"
    ).reset_index(drop=True)
