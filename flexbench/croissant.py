"""The data and the results of an archive in Croissant 1.0 (JSON-LD), with its RAI part.

RO-Crate says how every file came to be; Croissant says what stands in those that one computes with:
the tables, column by column, what each score is, and which flows there are, in which split. What it
says of the data's making, limits and use (RAI) is read from the data card.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flexbench import __version__
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.metrics.definitions import DEFINITIONS, DEFINITIONS_VERSION
from flexbench.metrics.tables import SNAPSHOT_SCORES, SPECTRA, TABLES, Table
from flexbench.paths import checkout
from flexbench.publication import Contents, File, media_type

CROISSANT = "croissant.json"
CONFORMS_TO = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
DATA_CARD = "docs/data-card.md"

# Properties of RAI 1.0 by the sections of the data card that say them.
RAI_SECTIONS = {
    "How they were made": "rai:dataCollection",
    "What is done to them": "rai:dataPreprocessingProtocol",
    "What is missing": "rai:dataCollectionMissingData",
    "What they are for": "rai:dataUseCases",
    "Limits": "rai:dataLimitations",
    "Biases": "rai:dataBiases",
    "People": "rai:personalSensitiveInformation",
    "What may come of it": "rai:dataSocialImpact",
    "Upkeep": "rai:dataReleaseMaintenancePlan",
}

# As the specification's own context has it.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_TRAJECTORY_COLUMNS = {
    "file": ("sc:Text", "its name in an archive that holds the data"),
    "sha256": ("sc:Text", "of the file"),
    "bytes": ("sc:Integer", "size of the file"),
    "present": ("sc:Boolean", "whether this archive holds the file"),
    "split": ("sc:Text", "train, validation, test, or the evaluation that it is made for"),
    "settings": ("sc:Text", "what decides its contents, as JSON"),
}
_SCORE_COLUMNS = {
    "score": ("sc:Text", "as the tables name it"),
    "label": ("sc:Text", "as people read it"),
    "unit": ("sc:Text", "1 where it has none"),
    "better": ("sc:Text", "which values are better"),
    "text": ("sc:Text", "what it is"),
}


def croissant_json(contents: Contents) -> str:
    """The text of croissant.json; the same contents give the same bytes."""
    files = {name: file for name, file in contents.files.items() if _is_data(file)}
    tables = _tables(contents)
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": contents.title,
        "description": contents.description,
        "url": f"{contents.graph.config.tier}/report.html",
        "version": __version__,
        "datePublished": contents.day.isoformat(),
        "license": contents.licence.url
        or f"{contents.licence.name}. {contents.licence.description}",
        "creator": [
            {"@type": author.kind, "name": author.name}
            | ({"url": author.url} if author.url else {})
            for author in contents.citation.authors
        ],
        "keywords": contents.citation.keywords,
        "citeAs": _bibtex(contents),
        "isLiveDataset": False,
        **_responsible(contents),
        "distribution": [_file_object(name, file) for name, file in files.items()],
        "recordSet": [
            *(_of_table(name, table, path) for name, (table, path) in tables.items()),
            _inline("score-definitions", "score", _SCORE_COLUMNS, _definitions())
            | {"description": f"What the scores are (definitions {DEFINITIONS_VERSION})."},
            _inline("trajectories", "file", _TRAJECTORY_COLUMNS, _trajectories(contents))
            | {"description": "Every file of flows, with what was left out of this archive."},
        ],
    }
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def _is_data(file: File) -> bool:
    """What a step made, and is known by its hash; not the software and the texts beside it."""
    return bool(file.step) and file.sha256 is not None


def _bibtex(contents: Contents) -> str:
    names = " and ".join(f"{{{author.name}}}" for author in contents.citation.authors)
    return (
        f"@misc{{flexbench, title = {{{contents.citation.title}}}, author = {{{names}}}, "
        f"version = {{{__version__}}}, year = {{{contents.day.year}}}}}"
    )


def _file_object(name: str, file: File) -> dict[str, Any]:
    size = {} if file.size is None else {"contentSize": f"{file.size} B"}
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        **size,
        "encodingFormat": media_type(name),
        "sha256": file.sha256,
    }


# --- what the data are like (RAI) -----------------------------------------------------------


def _responsible(contents: Contents) -> dict[str, Any]:
    data = contents.graph.config.data
    if data is None:
        said = card_sections(checkout() / DATA_CARD)
        collected = ["Others"]  # simulated: the vocabulary has no word for it
        return {"rai:dataCollectionType": collected} | {
            key: said[section] for section, key in RAI_SECTIONS.items()
        }
    return {
        "rai:dataCollection": "Not known here: the fields were given, in the files "
        f"{', '.join(sorted(Path(source.file).name for source in data.sources.values()))}.",
        "rai:dataCollectionMissingData": "None in what is used: a missing value is refused.",
        "rai:dataPreprocessingProtocol": f"(value - {data.subtract:g}) / {data.divide_by:g}, "
        "rounded to float32; a square is cut out of the field, and parts are cut out of the time.",
    }


def card_sections(path: Path) -> dict[str, str]:
    """The sections of a data card by their headings, each as one paragraph.

    FlexbenchError where a section lacks that RAI_SECTIONS reads.
    """
    found: dict[str, list[str]] = {}
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif heading and line:
            found.setdefault(heading, []).append(line)
    lacking = [section for section in RAI_SECTIONS if section not in found]
    if lacking:
        raise FlexbenchError(f"{path}: lacks the section '{lacking[0]}'")
    return {section: " ".join(lines) for section, lines in found.items()}


# --- what stands in the files ---------------------------------------------------------------


def _tables(contents: Contents) -> dict[str, tuple[Table, str]]:
    """The CSV files of the archive, by the names of their record sets."""
    layout = contents.graph.layout
    found = {name: (table, layout.table(name)) for name, table in TABLES.items()}
    for job in contents.graph.jobs:
        names = (job.case, job.method, job.seed)
        found["scores/{}/{}/{}".format(*names)] = (SNAPSHOT_SCORES, layout.scores(*names))
        found["spectra/{}/{}/{}".format(*names)] = (SPECTRA, layout.spectra(*names))
    return {
        name: (table, contents.name_of(path))
        for name, (table, path) in found.items()
        if contents.name_of(path) in contents.files
    }


def _of_table(name: str, table: Table, path: str) -> dict[str, Any]:
    """A record set whose records are the rows of a CSV file."""
    text = set(table.text)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"The rows of {path}, which `flexbench {table.made_by}` makes.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "dataType": "sc:Text" if column in text else "sc:Float",
                "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
            }
            for column in table.columns
        ],
    }


def _inline(
    name: str,
    key: str,
    columns: Mapping[str, tuple[str, str]],
    rows: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """A record set whose records stand in the description itself."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/{key}"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": meaning,
                "dataType": kind,
            }
            for column, (kind, meaning) in columns.items()
        ],
        "data": [{f"{name}/{column}": row[column] for column in columns} for row in rows],
    }


def _definitions() -> list[dict[str, str]]:
    return [
        {"score": name, **{key: getattr(it, key) for key in ("label", "unit", "better", "text")}}
        for name, it in DEFINITIONS.items()
        if not it.helper
    ]


def _trajectories(contents: Contents) -> list[dict[str, Any]]:
    """Of every file of flows: name, hash, split, and the settings that decide it."""
    known = contents.files | contents.absent
    splits = _splits(contents.graph)
    rows = []
    for step, receipt in contents.runs:
        path = step.outputs[0]
        if path not in splits:
            continue
        file = known[contents.name_of(path)]
        rows.append(
            {
                "file": contents.name_of(path),
                "sha256": file.sha256,
                "bytes": file.size,
                "present": contents.name_of(path) in contents.files,
                "split": splits[path],
                "settings": json.dumps(receipt["slice"], sort_keys=True),
            }
        )
    return rows


def _splits(graph: Graph) -> dict[Path, str]:
    learnt = {split: graph.trajectories(split) for split in ("train", "validation")}
    named = learnt | graph.untrained
    return {path: name for name, paths in named.items() for path in paths}
