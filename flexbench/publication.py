"""What an archive holds, and what it says of itself: title, authors, licence, the works behind it.

Said once, for every description that goes with an archive (RO-Crate, Croissant) and for cards.
"""

import mimetypes
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from flexbench import __version__
from flexbench.config.strict_yaml import read_yaml
from flexbench.graph import Graph
from flexbench.paths import checkout
from flexbench.provenance import Step

CITATION = "CITATION.cff"

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


def media_type(name: str) -> str:
    """How machines name the format of a file, by its suffix."""
    return _FORMATS.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "text/plain"


@dataclass(frozen=True, kw_only=True)
class Licence:
    """url: None where the terms are nobody's to give but the owner's."""

    name: str
    url: str | None
    description: str


CC0 = Licence(
    name="CC0 1.0 Universal",
    url="https://spdx.org/licenses/CC0-1.0",
    description="Public domain.",
)
MIT = Licence(
    name="MIT License",
    url="https://spdx.org/licenses/MIT",
    description="Use as you like; keep the notice.",
)
OWNERS = Licence(
    name="Terms of the data's owner",
    url=None,
    description="Fields, and what was made of them: ask whoever owns the data.",
)


@dataclass(frozen=True, kw_only=True)
class Author:
    """kind: Person or Organization, as schema.org has them. url: an ORCID or a page, if any."""

    kind: str
    name: str
    url: str | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """A work that the project rests on."""

    title: str
    url: str
    authors: tuple[str, ...]
    year: int


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
    def day(self) -> date:
        """Of publication; ValueError where it was not said yet."""
        if self.published is None:
            raise ValueError("an archive needs a date")
        return self.published

    @property
    def title(self) -> str:
        return f"flexbench {__version__}: results of the {self.graph.config.tier} tier"

    @property
    def description(self) -> str:
        config = self.graph.config
        flows = "two-dimensional decaying turbulence"
        if config.data is not None:
            flows = f"own data ({', '.join(config.data.sources)})"
        return (
            f"Scores, tables, figures and report of {len(config.all_methods)} methods "
            f"({', '.join(config.all_methods)}) on {', '.join(self.graph.tasks)} of {flows}, "
            "with the receipt of every file and the software that made it."
        )

    @property
    def licence(self) -> Licence:
        """Of all but the software; nobody but their owner can give other people's fields away."""
        return CC0 if self.graph.config.data is None else OWNERS

    @cached_property
    def citation(self) -> "Citation":
        return Citation.read(checkout() / CITATION)


@dataclass(frozen=True, kw_only=True)
class Citation:
    """What CITATION.cff says."""

    title: str
    authors: list[Author]
    keywords: list[str]
    works: list[Work]

    @classmethod
    def read(cls, path: Path) -> "Citation":
        said = read_yaml(path)
        works = [work for work in said.get("references", []) if "url" in work]
        return cls(
            title=said["title"],
            authors=[_author(author) for author in said["authors"]],
            keywords=list(said.get("keywords", [])),
            works=[
                Work(
                    title=work["title"],
                    url=work["url"],
                    authors=tuple(_author(author).name for author in work["authors"]),
                    year=int(work["year"]),
                )
                for work in works
            ],
        )


def _author(author: dict[str, str]) -> Author:
    """A person or an organisation of the citation file."""
    url = author.get("orcid") or author.get("website")
    if "name" in author:
        return Author(kind="Organization", name=author["name"], url=url)
    name = " ".join(filter(None, (author.get("given-names"), author.get("family-names"))))
    return Author(kind="Person", name=name, url=url)
