"""Methods that others ran: which there are in a results folder, and the receipts of their samples.

No job of Snakemake makes these samples: `flexbench submit` checks them and puts them there. All
that follows of them (scores, tables, figures, the report) is made as of any other method.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from flexbench.config import Config, SubmittedSettings
from flexbench.config.reading import Origin, explain
from flexbench.errors import FlexbenchError
from flexbench.graph.rule import JOB, Names, Rule
from flexbench.graph.slices import flows_slice
from flexbench.paths import Layout
from flexbench.provenance import digest_of

if TYPE_CHECKING:
    from flexbench.graph.jobs import Graph

# Of a record, and of what an answer has to hold: another version is another protocol.
FORMAT = "flexbench-submission"
FORMAT_VERSION = 1
# Of a task, that which is about the networks here.
_OF_NETWORKS = {"methods", "patch", "normalisation", "residual"}
# Of a record, that which the graph has to know.
_KNOWN = tuple(SubmittedSettings.model_fields)


class Submit(Rule):
    """The samples of a method that others ran, as they were taken in.

    Its receipt says what they were held against. It has no code: what was computed was computed
    elsewhere, and an edit of what checks a file makes no file another one.
    """

    name = "submit"
    wildcards: ClassVar[Names] = JOB
    record = ("{case}", "{method}", "seed{seed}")
    large = True

    def jobs(self, graph: "Graph") -> list[Names]:
        return [graph.names_of(job) for job in graph.jobs if graph.is_submitted(job.method)]

    def outputs(self, layout: Layout, names: Names) -> tuple[Path, ...]:
        return (layout.samples(names["case"], names["method"], names["seed"]),)

    def inputs(self, graph: "Graph", names: Names) -> list[Path]:
        """Who ran it, and the truth that it was held against."""
        return [graph.layout.submission(names["method"]), *graph.tested(names["case"])]

    def slice(self, graph: "Graph", names: Names) -> dict[str, Any]:
        return request_slice(graph, names["case"])

    def code(self, graph: "Graph", names: Names) -> str:
        return digest_of([FORMAT, FORMAT_VERSION])

    def code_files(self, graph: "Graph", names: Names) -> frozenset[Path]:
        return frozenset()


def request_slice(graph: "Graph", case: str) -> dict[str, Any]:
    """What decides which snapshots of a case are predicted, from what, and by how many members."""
    sample = graph.case(case).sample
    return {
        "task": graph.task_settings(case).model_dump(exclude=_OF_NETWORKS),
        "flows": flows_slice(graph, case),
        "snapshots": sample.snapshots,
        "members": sample.members,
    }


def with_submissions(config: Config, layout: Layout) -> Config:
    """The configuration with the methods that a results folder holds of others, unless it says
    itself which of them there are.

    Raises FlexbenchError for a record that is none, and for one whose name a method of the
    configuration has.
    """
    if config.submitted is not None:
        return config
    paths = sorted(layout.submission("any").parent.glob("*.json"))
    found = {path.stem: _read(path) for path in paths}
    for name in found:
        if name in (*config.methods, *config.method_settings):
            raise FlexbenchError(
                f"{layout.submission(name)}: a method of the configuration has the name '{name}', "
                "too; submit it under another name, or leave it out: --set 'submitted={}'"
            )
    return config.model_copy(update={"submitted": found}) if found else config


def read_record(path: Path) -> dict[str, Any]:
    """The record of a method that others ran: `SubmittedSettings`, and its card.

    Raises FlexbenchError for a file that is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FlexbenchError(f"{path}: not a readable record of a submission ({error})") from None
    version = [FORMAT, FORMAT_VERSION]
    if not isinstance(record, dict) or [record.get(k) for k in ("format", "version")] != version:
        raise FlexbenchError(
            f"{path}: not a record of a submission; allowed: format '{FORMAT}' version "
            f"{FORMAT_VERSION}, as `flexbench submit` writes it"
        )
    return record


def _read(path: Path) -> SubmittedSettings:
    record: Mapping[str, Any] = read_record(path)
    given = {key: record[key] for key in _KNOWN if key in record}
    try:
        return SubmittedSettings.model_validate(given)
    except ValidationError as error:
        origin = Origin(str(path), given)
        lines = [explain(item, [origin], whole=SubmittedSettings) for item in error.errors()]
        raise FlexbenchError("\n".join(lines)) from None
