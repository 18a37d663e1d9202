"""The description of an archive for machines: RO-Crate 1.1, with every step as an action of it.

Files that are in the archive are its data entities; what was left out is described beside them,
by name, size and SHA-256, so that an archive of the data can be recognised.
"""

import json
import mimetypes
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flexbench import __version__
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.provenance import Step

if TYPE_CHECKING:
    from rocrate.model import Entity
    from rocrate.rocrate import ROCrate

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # sha256 is one of them
_CC0 = "https://spdx.org/licenses/CC0-1.0"
_MIT = "https://spdx.org/licenses/MIT"
_FORMATS = {
    ".h5": "application/x-hdf5",
    ".jsonl": "application/jsonl",
    ".safetensors": "application/octet-stream",
    ".smk": "text/plain",
    ".cff": "application/yaml",
    ".yaml": "application/yaml",
    ".toml": "application/toml",
    ".md": "text/markdown",
}


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it was written, or as its receipt describes it; step: the rule that made it."""

    sha256: str | None
    size: int | None
    step: str = ""


@dataclass(kw_only=True)
class Contents:
    """What an archive holds and describes; names are paths from its root.

    absent: outputs that were left out. runs: the steps that were run, with their receipts.
    """

    graph: Graph
    files: dict[str, File] = field(default_factory=dict)
    absent: dict[str, File] = field(default_factory=dict)
    runs: list[tuple[Step, dict[str, Any]]] = field(default_factory=list)
    published: date | None = None

    def name_of(self, path: Path) -> str:
        """A path of the results folder as the archive names it: <tier>/..."""
        return path.relative_to(self.graph.layout.root).as_posix()

    @property
    def title(self) -> str:
        return f"flexbench {__version__}: results of the {self.graph.config.tier} tier"


def metadata_json(contents: Contents) -> str:
    """The text of ro-crate-metadata.json; the same contents give the same bytes."""
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise FlexbenchError(
            "the export needs the package rocrate: pip install 'flexbench[workflow]'"
        ) from None
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(_TERMS)
    _describe_root(crate, contents)
    entities = _describe_files(crate, contents)
    for step, receipt in contents.runs:
        _describe_run(crate, contents, entities, step=step, receipt=receipt)
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"


def _describe_root(crate: "ROCrate", contents: Contents) -> None:
    """Title, authors, licence, date: what a repository that gives DOIs asks for."""
    if contents.published is None:
        raise ValueError("an archive needs a date")
    config = contents.graph.config
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    root = crate.root_dataset
    root["name"] = contents.title
    flows = "two-dimensional decaying turbulence"
    if config.data is not None:
        flows = f"own data ({', '.join(config.data.sources)})"
    root["description"] = (
        f"Scores, tables, figures and report of {len(config.all_methods)} methods "
        f"({', '.join(config.all_methods)}) on {', '.join(contents.graph.tasks)} of {flows}, "
        "with the receipt of every file and the software that made it."
    )
    root["datePublished"] = contents.published.isoformat()
    root["conformsTo"] = _entity(crate, PROFILE, profile)
    root["license"] = _results_licence(crate, own=config.data is not None)
    citation = read_yaml(checkout() / "CITATION.cff")
    authors = [_author(crate, author) for author in citation["authors"]]
    root["author"] = _one_or_all(authors)
    publishers = [author for author in authors if author.type == "Organization"]
    if publishers:
        root["publisher"] = publishers[0]
    root["keywords"] = ", ".join(citation.get("keywords", []))
    works = [work for work in citation.get("references", []) if "url" in work]
    root["citation"] = _one_or_all(
        [
            _entity(crate, work["url"], {"@type": "ScholarlyArticle", "name": work["title"]})
            for work in works
        ]
    )


def _one_or_all(entities: list["Entity"]) -> "Entity | list[Entity]":
    """RO-Crate 1.1 wants no list around a single value."""
    return entities[0] if len(entities) == 1 else entities


def _author(crate: "ROCrate", author: dict[str, str]) -> "Entity":
    """A person or an organisation of the citation file."""
    if "name" in author:
        kind, name = "Organization", author["name"]
    else:
        kind = "Person"
        name = " ".join(filter(None, (author.get("given-names"), author.get("family-names"))))
    identifier = author.get("orcid") or author.get("website") or f"#{name.replace(' ', '-')}"
    return _entity(crate, identifier, {"@type": kind, "name": name})


def _licence(crate: "ROCrate", identifier: str, name: str, description: str) -> "Entity":
    facts = {"@type": "CreativeWork", "name": name, "description": description}
    return _entity(crate, identifier, facts)


def _results_licence(crate: "ROCrate", *, own: bool) -> "Entity":
    """Of all but the software; nobody but their owner can give other people's fields away."""
    if own:
        terms = "Fields, and what was made of them: ask whoever owns the data."
        return _licence(crate, "#terms-of-the-data", "Terms of the data's owner", terms)
    return _licence(crate, _CC0, "CC0 1.0 Universal", "Public domain.")


def _describe_files(crate: "ROCrate", contents: Contents) -> dict[str, "Entity"]:
    """Every file, by its name; the software under its own licence."""
    mit = _licence(crate, _MIT, "MIT License", "Use as you like; keep the notice.")
    entities = {}
    for name, file in contents.files.items():
        facts = _facts(name, file)
        if name.startswith("software/") or name == "LICENSE":
            facts["license"] = mit
        entities[name] = crate.add_file(dest_path=name, properties=facts)
    for name, file in contents.absent.items():
        facts = _facts(name, file) | {
            "@type": "CreativeWork",
            "description": "Not in this archive; recognise it by its SHA-256, or make it again.",
        }
        entities[name] = _entity(crate, f"#absent/{name}", facts)
    return entities


def _facts(name: str, file: File) -> dict[str, Any]:
    """Name, format, size and hash of a file; what is not known is left out."""
    suffix = Path(name).suffix
    kind = _FORMATS.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    facts = {"name": name, "encodingFormat": kind, "sha256": file.sha256}
    facts["contentSize"] = None if file.size is None else str(file.size)
    return {key: value for key, value in facts.items() if value is not None}


def _describe_run(
    crate: "ROCrate",
    contents: Contents,
    entities: dict[str, "Entity"],
    *,
    step: Step,
    receipt: dict[str, Any],
) -> None:
    """One step as an action: what it took, what it made, with which code, when."""
    names = [contents.name_of(path) for path in step.outputs]
    root = contents.graph.layout.root  # what lies elsewhere is in no archive
    inputs = [contents.name_of(path) for path in step.inputs if path.is_relative_to(root)]
    facts = receipt["facts"]
    told = [f"{receipt.get('seconds')} s", f"{receipt.get('peak_memory_mib')} MiB"]
    told += [f"{key} {facts[key]}" for key in ("device", "seed") if key in facts]
    properties = {
        "@type": "CreateAction",
        "name": f"{step.name}: {names[0]}",
        "description": f"{', '.join(told)}; processor: {receipt.get('processor')}",
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "agent": crate.root_dataset["author"],
    }
    if "finished" in receipt:
        end = datetime.fromisoformat(receipt["finished"])
        start = end - timedelta(seconds=round(float(receipt.get("seconds", 0))))
        properties |= {"startTime": start.isoformat(), "endTime": end.isoformat()}
    action = crate.add_action(
        _instrument(crate, receipt),
        identifier=f"#run/{names[0]}",
        object=_one_or_all([entities[name] for name in inputs if name in entities]),
        result=_one_or_all([entities[name] for name in names if name in entities]),
        properties=properties,
    )
    action["subjectOf"] = entities[contents.name_of(step.receipt)]
    crate.root_dataset.append_to("mentions", action)


def _instrument(crate: "ROCrate", receipt: dict[str, Any]) -> "Entity":
    """The code of a step, named by its digest, with the packages that it ran on."""
    step, code = receipt["step"], receipt["code_digest"]
    versions = receipt["versions"]
    identifier = f"#code/{step}/{code}"
    known = crate.get(identifier)
    if known is not None:
        return known
    packages = [(name, found) for name, found in versions.items() if name != "flexbench"]
    facts = {
        "@type": "SoftwareApplication",
        "name": f"flexbench {step}",
        "description": f"Step `{step}` of flexbench; digest of its source: {code}.",
        "version": f"{versions.get('flexbench', __version__)}+{code}",
        "identifier": code,
        "softwareRequirements": [_package(crate, name, found) for name, found in packages],
    }
    return _entity(crate, identifier, facts)


def _package(crate: "ROCrate", name: str, version: str) -> "Entity":
    facts = {"@type": "SoftwareApplication", "name": name, "version": version}
    return _entity(crate, f"#package/{name}-{version}", facts)


def _entity(crate: "ROCrate", identifier: str, properties: dict[str, Any]) -> "Entity":
    """A contextual entity; the one that is there already where the identifier is known."""
    from rocrate.model.contextentity import ContextEntity

    known = crate.get(identifier)
    return known or crate.add(ContextEntity(crate, identifier, properties=properties))
