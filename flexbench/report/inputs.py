"""What the report is drawn from: the files of one results folder, each read where it is needed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flexbench.config import Config, TaskSettings
from flexbench.errors import FlexbenchError
from flexbench.graph import TOGETHER
from flexbench.graph.names import imported_stem
from flexbench.graph.submitted import read_record
from flexbench.metrics.tables import SPECTRA, TABLES
from flexbench.paths import Layout, receipt_of
from flexbench.theory.tables import GRADIENTS, SPACES, TARGETS

if TYPE_CHECKING:
    from flexbench.report.labels import Labels
    from flexbench.report.shown_rollout import ShownRollout
    from flexbench.report.shown_snapshot import ShownSnapshot


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

    @property
    def redraws(self) -> bool:
        """Whether figures are to be drawn where their files are gone."""
        return False

    def table(self, name: str) -> pd.DataFrame:
        """tables/<name>.csv; FlexbenchError where the file or one of its columns is missing."""
        return TABLES[name].read(self.layout.table(name))

    def of_case(self, name: str, case: str) -> pd.DataFrame:
        """The rows of a table that are of one case, methods in the configuration's order."""
        table = self.table(name)
        return in_method_order(table[table["case"] == case], self.config.all_methods)

    def task(self, case: str) -> TaskSettings:
        """The settings of a case's task."""
        return self.config.cases[case].task_settings

    def lead_time(self, case: str) -> float:
        """Time between two leads of a case that is rolled out."""
        lead_time = self.task(case).lead_time
        if lead_time is None:
            raise FlexbenchError(f"case '{case}' has no leads; a task that rolls out is needed")
        return lead_time

    def labels(self, case: str) -> "Labels":
        """What the results of a case are labelled with."""
        from flexbench.report.labels import labels_of

        own = self.config.data is not None
        statistics = self.statistics(self.config.cases[case].task) if own else None
        return labels_of(self.config, case, statistics, self.place())

    def place(self) -> dict[str, Any]:
        """What the first test trajectory of own data says of where and when it lies."""
        from flexbench.data.placed import place_of

        data = self.config.data
        if data is None:
            return {}
        return place_of(self.layout.trajectory(imported_stem(data.sources_of("test")[0], "test")))

    def statistics(self, task: str) -> dict[str, Any]:
        """What the data of a task are like; FlexbenchError where the file is not readable."""
        path = self.layout.statistics(task)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FlexbenchError(f"{path}: not readable statistics ({error})") from None
        return found

    def snapshot(self, case: str) -> "ShownSnapshot | None":
        """What the maps of a case show; None where no snapshot was predicted by every method."""
        from flexbench.report.shown_snapshot import shown_snapshot

        return shown_snapshot(self, case)

    def rollout(self, case: str) -> "ShownRollout":
        """What the animation of a case that is rolled out shows."""
        from flexbench.report.shown_rollout import shown_rollout

        return shown_rollout(self, case)

    def spectra(self, case: str) -> pd.DataFrame:
        """Spectra of every method and training seed of a case; empty where none was written."""
        return self._of_runs(case, self.layout.spectra, SPECTRA.read)

    def training_logs(self, task: str) -> pd.DataFrame:
        """Training logs of every method and training seed of a task; empty where nothing learns.

        Of a network that learns several tasks together, it is the log of them all.
        """

        def path_of(task: str, method: str, seed: int) -> Path:
            together = self.config.method(method).together or [task]
            return self.layout.training_log(TOGETHER.join(together), method, seed)

        return self._of_runs(task, path_of, read_log)

    def targets(self, task: str) -> pd.DataFrame:
        """What a network has to say of a task's residuals and of fields."""
        return TARGETS.read(self.layout.targets(task))

    def gradients(self, task: str) -> pd.DataFrame:
        """Noise of gradients on a task of residuals and on that of the same fields, as `space`;
        empty where none was measured.
        """
        theory = self.config.theory
        tasks = zip(SPACES, (task, self.config.fields_of(task)), strict=True)
        frames = [
            self._of_runs(name, self.layout.gradients, GRADIENTS.read).assign(space=space)
            for space, name in tasks
            if name is not None
        ]
        frames = [frame for frame in frames if len(frame)]
        if theory is None or not frames:
            return pd.DataFrame()
        # Not what an earlier configuration asked for.
        found = pd.concat(frames, ignore_index=True)
        seeds = theory.training_seeds or self.config.training_seeds
        asked = found["method"].isin(theory.methods) & found["training_seed"].isin(seeds)
        return found[asked]

    def _of_runs(
        self,
        case: str,
        path_of: Callable[[str, str, int], Path],
        read: Callable[[Path], pd.DataFrame],
    ) -> pd.DataFrame:
        """One frame from the files of all runs of a case, with the run's name in two columns."""
        frames = []
        for method in self.config.methods_of(case):
            for seed in self.config.training_seeds_of(method):
                path = path_of(case, method, seed)
                if path.is_file():
                    frames.append(read(path).assign(method=method, training_seed=seed))
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def cards(self) -> dict[str, dict[str, Any]]:
        """What was said of each method that others ran, by its name."""
        paths = {name: self.layout.submission(name) for name in self.config.submissions}
        return {name: read_record(path)["card"] for name, path in paths.items()}

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
