"""The description of an archive for machines: RO-Crate 1.1, with every step as an action of it.

Files that are in the archive are its data entities; what was left out is described beside them,
by name, size and SHA-256, so that an archive of the data can be recognised.
"""

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flexbench import __version__
from flexbench.errors import FlexbenchError
from flexbench.provenance import Step
from flexbench.publication import MIT, Author, Contents, File, Licence, media_type

if TYPE_CHECKING:
    from rocrate.model import Entity
    from rocrate.rocrate import ROCrate

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # sha256 is one of them


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
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    root, citation = crate.root_dataset, contents.citation
    root["name"] = contents.title
    root["description"] = contents.description
    root["datePublished"] = contents.day.isoformat()
    root["conformsTo"] = _entity(crate, PROFILE, profile)
    root["license"] = _licence(crate, contents.licence)
    authors = [_author(crate, author) for author in citation.authors]
    root["author"] = _one_or_all(authors)
    publishers = [author for author in authors if author.type == "Organization"]
    if publishers:
        root["publisher"] = publishers[0]
    root["keywords"] = ", ".join(citation.keywords)
    root["citation"] = _one_or_all(
        [
            _entity(crate, work.url, {"@type": "ScholarlyArticle", "name": work.title})
            for work in citation.works
        ]
    )


def _one_or_all(entities: list["Entity"]) -> "Entity | list[Entity]":
    """RO-Crate 1.1 wants no list around a single value."""
    return entities[0] if len(entities) == 1 else entities


def _author(crate: "ROCrate", author: Author) -> "Entity":
    identifier = author.url or f"#{author.name.replace(' ', '-')}"
    return _entity(crate, identifier, {"@type": author.kind, "name": author.name})


def _licence(crate: "ROCrate", licence: Licence) -> "Entity":
    facts = {
        "@type": "CreativeWork",
        "name": licence.name,
        "description": licence.description,
    }
    return _entity(crate, licence.url or "#terms-of-the-data", facts)


def _describe_files(crate: "ROCrate", contents: Contents) -> dict[str, "Entity"]:
    """Every file, by its name; the software under its own licence."""
    mit = _licence(crate, MIT)
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
    facts = {"name": name, "encodingFormat": media_type(name), "sha256": file.sha256}
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
