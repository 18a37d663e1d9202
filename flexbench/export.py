"""A results folder as one archive that can be published: a folder or a .zip, an RO-Crate.

What is small goes in whole: tables, figures, report, scores, receipts, configuration, and the
source that made them. Trajectories, weights and samples go in on request, and are described by
size and hash where they do not. The same results give the same bytes.
"""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flexbench.archive import Archive, new_folder, zipped
from flexbench.config.reading import to_yaml
from flexbench.crate import metadata_json
from flexbench.croissant import CROISSANT, DATA_CARD, croissant_json
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.provenance import PACKAGE, Step, read_receipt
from flexbench.publication import Contents, File
from flexbench.verify import verify

METADATA = "ro-crate-metadata.json"
SOFTWARE = "software"

_DATA_LICENCE = "LICENSE-DATA"
_TEXTS = ("LICENSE", _DATA_LICENCE, "CITATION.cff")
# All that an installation and a run need of the checkout.
_SOURCES = (
    *("Snakefile", "pyproject.toml", "constraints.txt", "README.md", *_TEXTS),
    *(DATA_CARD, "flexbench", "baselines", "workflow"),
)


def export(
    graph: Graph,
    output: Path,
    *,
    with_data: bool = False,
    published: date | None = None,
    force: bool = False,
) -> Contents:
    """Write the archive to `output` (a .zip, or else a folder), whole or not at all.

    published: the archive's date; without it, the day on which the last result was made.
    Raises FlexbenchError where `output` exists, or where `verify` finds faults, unless `force`.
    """
    if output.exists():
        raise FlexbenchError(f"{output}: exists already; choose another name, or remove it")
    found = verify(graph)
    if not found.clean and not force:
        raise FlexbenchError(
            f"{graph.layout.folder}: {found.verdict}, `flexbench verify` tells which; "
            "repair it with `flexbench run`, or export all the same with --force"
        )
    contents = Contents(graph=graph)
    with zipped(output) if output.suffix == ".zip" else new_folder(output) as archive:
        _add_results(archive, contents, with_data=with_data, trusted=found.clean)
        _add_texts(archive, contents)
        contents.published = published or _last_day(contents)
        _add(archive, contents, CROISSANT, croissant_json(contents).encode())
        archive.add(METADATA, metadata_json(contents).encode())
    return contents


def _last_day(contents: Contents) -> date:
    """When the last result was made, by the receipts."""
    times = [str(receipt.get("finished", "")) for _, receipt in contents.runs]
    try:
        return max(datetime.fromisoformat(time) for time in times).date()
    except ValueError:
        raise FlexbenchError(
            f"{contents.graph.layout.folder}: a receipt names no time; say --published YYYY-MM-DD"
        ) from None


def _add_results(archive: Archive, contents: Contents, *, with_data: bool, trusted: bool) -> None:
    """Every output that is there, with its receipt; the configuration without its folder."""
    graph = contents.graph
    for step in graph.steps:
        receipt = _receipt(step, trusted=trusted)
        if receipt:
            contents.runs.append((step, receipt))
        for path in step.outputs:
            name = contents.name_of(path)
            named = receipt.get("outputs", {}).get(path.name)
            if graph.rule(step.name).large and not with_data and path.suffix != ".jsonl":
                size = receipt.get("bytes", {}).get(path.name)
                contents.absent[name] = File(sha256=named, size=size, step=step.name)
            elif path.is_file():
                digest, size = archive.add(name, path)
                if trusted and digest != named:
                    raise FlexbenchError(f"{path}: changed while it was exported; export again")
                contents.files[name] = File(sha256=digest, size=size, step=step.name)
        if step.receipt.is_file():
            _add(archive, contents, contents.name_of(step.receipt), step.receipt)
    for method in graph.config.submissions:
        path = graph.layout.submission(method)
        if path.is_file():
            _add(archive, contents, contents.name_of(path), path)
    anywhere = graph.config.model_copy(update={"root": "."})
    _add(archive, contents, contents.name_of(graph.layout.config), to_yaml(anywhere).encode())


def _receipt(step: Step, *, trusted: bool) -> dict[str, Any]:
    """The receipt of a step; {} where it has none, or one that cannot be read and need not be."""
    try:
        return read_receipt(step.outputs[0])
    except FlexbenchError:
        if trusted:
            raise
        return {}


def _add_texts(archive: Archive, contents: Contents) -> None:
    """Licences, citation, a word to the reader, and the source that made the results."""
    root = checkout()
    for name in _TEXTS:
        if name == _DATA_LICENCE and contents.graph.config.data is not None:
            continue  # it gives away what flexbench simulates, not what it was given
        if (root / name).is_file():
            _add(archive, contents, name, root / name)
    _add(archive, contents, "README.md", _readme(contents).encode())
    for path in _sources(root):
        _add(archive, contents, f"{SOFTWARE}/{path.relative_to(root).as_posix()}", path)
    methods = contents.graph.config.methods
    for path in dict.fromkeys(contents.graph.network_file(method) for method in methods):
        if not path.is_relative_to(root) and not path.is_relative_to(PACKAGE):
            _add(archive, contents, f"{SOFTWARE}/baselines/{path.name}", path)


def _sources(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        start = root / name
        paths = sorted(start.rglob("*")) if start.is_dir() else [start]
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _add(archive: Archive, contents: Contents, name: str, source: Path | bytes) -> None:
    digest, size = archive.add(name, source)
    contents.files[name] = File(sha256=digest, size=size)


def _readme(contents: Contents) -> str:
    config = contents.graph.config
    tier = config.tier
    others = _DATA_LICENCE if config.data is None else "the terms of whoever owns the data"
    return f"""# {contents.title}

`{tier}/report.html` is the report: open it in a browser. `{tier}/tables/` holds its numbers,
`{tier}/figures/` its figures, `{tier}/scores/` the scores of every snapshot. Beside the files are
their receipts (`*.receipt.json`): what made them, from what, with which settings and code.
`{METADATA}` (RO-Crate 1.1, Process Run Crate 0.5) says the same for machines, with the
SHA-256 of every file, and of the data that were left out. `{CROISSANT}` (Croissant 1.0) says what
stands in the tables, column by column, and how the data were made. `{SOFTWARE}/` is the source that
made it.

To check the archive, install `{SOFTWARE}/` (its pyproject.toml), and in that folder:

    flexbench verify --partial --config ../{tier}/config.yaml --set root="$(realpath ..)"

To make the results again: `flexbench run --tier {tier}` with the settings in `{tier}/config.yaml`.
Licences: LICENSE (the software), {others} (everything else).
"""
