"""Receipts, code digests and configuration slices: what made a file, and whether it is stale.

A step of the graph is a module `flexbench.steps.<name>`. Its code digest covers that module and
all of flexbench that it imports, found by reading the source (nothing is imported here, so a
Snakefile can ask in milliseconds). Comments and docstrings do not count.
"""

import ast
import hashlib
import json
import os
import platform
import resource
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flexbench import BENCHMARK_VERSION, __version__
from flexbench.atomic import write_text
from flexbench.paths import receipt_of

PACKAGE = Path(__file__).resolve().parent

# Plumbing whose edits cannot change a number: values reach a step through its slice, and the
# network file that a step loads by name is digested on its own.
PLUMBING = frozenset(
    f"flexbench.{name}"
    for name in (
        *("atomic", "cli", "config", "errors", "graph", "paths", "provenance"),
        *("registry", "tiers", "models.flex"),
    )
)


@cache
def code_digest(step: str, network_file: Path | None = None) -> str:
    """Digest of the code behind a step, and of the network file that it loads by name.

    step: a module below flexbench, such as "steps.train".
    """
    modules = _closure(_source_of(f"flexbench.{step}"))
    if network_file is not None:
        modules |= _closure(network_file)
    digest = hashlib.sha256()
    # By place in the package: file names repeat, and a set has no order of its own.
    for name, path in sorted((_place(path), path) for path in modules):
        digest.update(name.encode())
        digest.update(_tree_without_docstrings(path).encode())
    return digest.hexdigest()[:16]


def digest_of(values: Any) -> str:
    """Digest of JSON-like values, such as a configuration slice."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Receipt:
    """Collects what made an output; `write` puts it beside the output, atomically.

    Create it before the work starts: it measures the wall time until it is written.
    """

    def __init__(self, step: str, *, slice_: Mapping[str, Any], network_file: Path | None = None):
        self.start = time.perf_counter()
        self.step = step
        self.slice = dict(slice_)
        self.code = code_digest(f"steps.{step}", network_file)

    def write(
        self, outputs: Iterable[Path], *, inputs: Iterable[Path] = (), **facts: Any
    ) -> dict[str, Any]:
        """Write the receipt beside the first output and return it.

        facts: whatever else is worth keeping (device, seed, steps, ...).
        """
        outputs = list(outputs)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        receipt = {
            "step": self.step,
            "outputs": {path.name: file_digest(path) for path in outputs},
            "inputs": {_relative(path, outputs[0]): file_digest(path) for path in inputs},
            "slice": self.slice,
            "slice_digest": digest_of(self.slice),
            "code_digest": self.code,
            "facts": facts,
            "versions": versions(),
            "benchmark_version": BENCHMARK_VERSION,
            "seconds": round(time.perf_counter() - self.start, 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_memory_mib": round(usage.ru_maxrss / 1024, 1),
        }
        write_text(receipt_of(outputs[0]), json.dumps(receipt, indent=1) + "\n")
        return receipt


def read_receipt(output: Path) -> dict[str, Any]:
    """The receipt of an output, or {} where it has none."""
    path = receipt_of(output)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def versions() -> dict[str, str]:
    """Versions of what computes, without importing any of it."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"flexbench": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "h5py", "scoringrules", "scikit-image"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _relative(path: Path, output: Path) -> str:
    """An input's path as seen from the output, so that a receipt survives a move of the root."""
    return os.path.relpath(path, output.parent)


def _source_of(module: str) -> Path:
    """The source file of a module of this package."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _place(path: Path) -> str:
    """A source file's path inside the package; of a file from elsewhere, its name."""
    inside = path.is_relative_to(PACKAGE)
    return path.relative_to(PACKAGE).as_posix() if inside else path.name


@cache
def _closure(start: Path) -> frozenset[Path]:
    """`start` and every source file of flexbench that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        waiting += [_source_of(name) for name in _imports(path) - PLUMBING]
    return frozenset(found)


@cache
def _imports(path: Path) -> frozenset[str]:
    """The modules of flexbench named in a file's import statements, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            # `from flexbench.data import store` names a module, not a value, where one exists.
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(
        name for name in names if name.startswith("flexbench.") and _source_of(name).is_file()
    )


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


@cache
def _tree_without_docstrings(path: Path) -> str:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
