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
    "models",
    "methods",
    "sizing",
    "training",
    "inference",
    "metrics",
    "regression",
    "report",
    "planned",
    "steps",
    "verify",
    "crate",
    "export",
    "versions",
    "planning",
    "cli",
]
PLUMBING = {"errors", "spec", "config", "paths", "seeding", "provenance", "registry", "tiers"}
PLUMBING |= {
    "atomic",
    "device",
    "graph",
    "profiles",
    "runner",
    "settings",
    "slurm",
    "sources",
    "spares",
}

# Scoring reads files: it needs no network, no diffusion and no task.
FORBIDDEN = {
    "metrics": {"solver", "tasks", "diffusion", "models", "methods", "training", "inference"},
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
        allowed = set()
    assert imported_layers(path) <= allowed | ({"cli"} if layer == "__main__" else set())


def test_every_module_has_a_layer():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert parts - {"__init__", "__main__"} <= set(LAYERS) | PLUMBING


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
