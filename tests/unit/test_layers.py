"""Imports go one way along the data's path, and light verbs stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flexbench

PACKAGE = Path(flexbench.__file__).parent

# From the bottom up: a layer may import itself, those below it, and the plumbing.
LAYERS = [
    "solver",
    "data",
    "tasks",
    "diffusion",
    "posterior",
    "models",
    "methods",
    "sizing",
    "training",
    "inference",
    "metrics",
    "theory",
    "regression",
    "claims",
    "published",
    "findings",
    "report",
    "submissions",
    "steps",
    "verify",
    "publication",
    "crate",
    "croissant",
    "export",
    "well",
    "shared",
    "versions",
    "planning",
    "watch",
    "machine",
    "cli",
]
# What imports nothing heavy, and may be imported from everywhere.
PLUMBING = {
    *("errors", "spec", "config", "nested", "paths", "atomic", "archive", "seeding", "provenance"),
    *("registry", "graph", "device", "profiles", "slurm", "spares", "runner"),
    *("owners", "processes", "snakemake_events", "stopping"),
    *("environment", "git", "dry_run", "user_code", "killed", "dates", "allocation"),
}
# The graph has to know which figures there are; their names stand in a module that is as light.
LIGHT = {"graph": {"report"}}
# Inside the configuration: from the base up, and the kinds of task know nothing of the whole.
CONFIGURATION = ["strict_yaml", "base", "tasks", "own_data", "sections", "cluster", "cases"]
CONFIGURATION += ["checks", "whole", "reading"]


# Scoring reads files: it needs no network, no diffusion and no task.
FORBIDDEN = {
    "metrics": {"solver", "tasks", "diffusion", "models", "methods", "training", "inference"},
    "findings": {"solver", "tasks", "diffusion", "models", "methods", "training", "inference"},
    "claims": {"solver", "tasks", "diffusion", "models", "methods", "training", "inference"},
    "report": {"solver", "diffusion", "models", "methods", "training"},
    "diffusion": {"models", "tasks", "data"},
    "training": {"solver"},
}

FILES = sorted(PACKAGE.rglob("*.py"))


def imported_layers(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flexbench."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "flexbench":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {n.name.split(".")[1] for n in node.names if n.name.startswith("flexbench.")}
    return found & set(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if layer in LAYERS:
        allowed = set(LAYERS[: LAYERS.index(layer) + 1]) - FORBIDDEN.get(layer, set())
    else:
        allowed = LIGHT.get(layer, set())
    assert imported_layers(path) <= allowed | ({"cli"} if layer == "__main__" else set())


def test_every_module_has_a_layer():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert parts - {"__init__", "__main__"} <= set(LAYERS) | PLUMBING


@pytest.mark.parametrize("path", sorted((PACKAGE / "config").rglob("*.py")), ids=str)
def test_the_configuration_is_built_from_its_base_up(path):
    """Only what is checked as one piece is known by all: types of a later file may be named."""
    own = path.relative_to(PACKAGE / "config").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    below = CONFIGURATION[: CONFIGURATION.index(own) + 1]
    for node in ast.parse(path.read_text()).body:  # what stands under TYPE_CHECKING does not count
        name = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
        if name.startswith("flexbench.config."):
            assert name.split(".")[2] in below, (path, name)


def test_no_file_is_too_long_to_be_read_in_one_go():
    """But a network's own: one file is one network."""
    allowed = {PACKAGE / "models" / "flex.py"}
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert not {path: n for path, n in lengths.items() if n > 400 and path not in allowed}


def test_planning_is_no_larger_than_what_it_plans():
    files = (PACKAGE / "planning").rglob("*.py")
    assert sum(len(path.read_text().splitlines()) for path in files) < 2100


@pytest.mark.parametrize(
    "modules",
    ["flexbench.cli", "flexbench.graph, flexbench.config.reading", "flexbench.report.catalogue"],
)
def test_light_modules_import_nothing_heavy(modules):
    code = (
        f"import sys, {modules}\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'h5py', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
