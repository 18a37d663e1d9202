"""Snakemake profiles: where one stands, and what it says about the configuration."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flexbench.config.reading import parse_assignments
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.nested import merge
from flexbench.paths import checkout


def profile_folder(profile: str | None) -> Path | None:
    """The folder of a profile, by its name or path; without one, the local profile's.

    Looked for where the user stands, in the clone, and where Snakemake looks; None: nowhere.
    """
    if profile is None:
        return checkout() / "workflow" / "profiles" / "local"
    places = (
        Path(profile),
        checkout() / profile,
        Path.home() / ".config" / "snakemake" / profile,
        Path("/etc/xdg/snakemake") / profile,
    )
    return next((place.resolve() for place in places if _files(place)), None)


def profile_configuration(profile: str | None) -> dict[str, Any]:
    """The keys of the configuration that a profile sets: its `configfile`, then its `config`.

    A run needs them before Snakemake starts: the tier says in which folder it works.
    """
    folder = profile_folder(profile)
    if folder is None:
        return {}
    values: dict[str, Any] = {}
    for file in _files(folder):
        values |= read_yaml(file)
    found: dict[str, Any] = {}
    for name in _listed(values.get("configfile")) + _listed(values.get("configfiles")):
        # As Snakemake does: beside the profile, else where it works.
        beside = folder / str(name)
        found = merge(found, read_yaml(beside if beside.exists() else checkout() / str(name)))
    settings = values.get("config") or {}
    if not isinstance(settings, dict | list):
        raise FlexbenchError(f"{folder}: config: a mapping or a list of key=value is needed")
    if isinstance(settings, list):
        settings = parse_assignments(str(word) for word in settings)
    return merge(found, settings)


def _files(folder: Path) -> list[Path]:
    """The files that make a folder a profile."""
    names = ("config.yaml", "config.v8+.yaml", "config.v9+.yaml")
    return [folder / name for name in names if (folder / name).is_file()]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
