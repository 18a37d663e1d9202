"""Receipts, code digests and configuration slices: what made a file, and whether it is stale.

A step of the graph is a module `flexbench.steps.<name>`. Its code digest covers that module and
all of flexbench that it imports, found by reading the source (nothing is imported here, so a
Snakefile can ask in milliseconds). Comments, docstrings and assertions do not count.
"""

import hashlib
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from flexbench import BENCHMARK_VERSION, __version__
from flexbench.atomic import write_text
from flexbench.errors import FlexbenchError
from flexbench.nested import differences
from flexbench.paths import receipt_of

PACKAGE = Path(__file__).resolve().parent

# Plumbing whose edits cannot change a number: values reach a step through its slice, and the
# files that a step loads by name (networks, FLEX's among them, and kinds of task) are digested on
# their own. What a kind of task says of itself (its window, say) does decide numbers. Which claims
# are registered is told in receipts of samples, and decides none.
_PLUMBING = frozenset(
    (
        *("atomic", "cli", "config", "errors", "graph", "nested", "paths", "planned"),
        *("provenance", "registry", "models.flex", "user_code", "environment", "claims"),
    )
)
_COUNTS = "config.tasks"

# By these a caller keeps a library from the newest instructions that the processor has.
KERNEL_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")

ELSEWHERE = "elsewhere:"  # begins the names of inputs that lie outside the results folder


def _is_plumbing(module: str) -> bool:
    """Of a module of this package by its whole name; a folder stands for all that is in it."""
    inside = module.removeprefix("flexbench.")
    above = {inside, *(inside[:place] for place, sign in enumerate(inside) if sign == ".")}
    return bool(above & _PLUMBING) and _COUNTS not in above


@cache
def code_digest(step: str, *network_files: Path) -> str:
    """Digest of the code behind a step, and of the network files that it loads by name.

    step: a module below flexbench, such as "steps.train".
    """
    modules = code_files(step, *network_files)
    digest = hashlib.sha256()
    # By place in the package: file names repeat, and a set has no order of its own.
    for name, path in sorted((_place(path), path) for path in modules):
        digest.update(name.encode())
        digest.update(_read(path).code)
    return digest.hexdigest()[:16]


def code_files(step: str, *network_files: Path) -> frozenset[Path]:
    """The source files that `code_digest` covers."""
    modules = _closure(_source_of(f"flexbench.{step}"))
    return modules.union(*map(_closure, network_files))


def digest_of(values: Any) -> str:
    """Digest of JSON-like values, such as a configuration slice."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def plain(values: Any) -> Any:
    """The values as JSON gives them back: lists for tuples."""
    return json.loads(json.dumps(values))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run of one step of the graph: what it makes, from what, and what decides the result.

    name: the rule's. folder: of the results, its own and those that it is made from. outputs: the
    receipt stands beside the first. slice: the part of the configuration that counts, JSON-like.
    code: digest of the code behind it.
    """

    name: str
    folder: Path
    outputs: tuple[Path, ...]
    inputs: tuple[Path, ...]
    slice: Mapping[str, Any]
    code: str

    @property
    def receipt(self) -> Path:
        return receipt_of(self.outputs[0])


class Receipt:
    """Collects what made the outputs of a step; `write` puts it beside them, atomically.

    Create it before the work starts: it measures the wall time until it is written. It is written
    last, so that a kill leaves outputs without a receipt, or beside one that they do not fit.
    """

    def __init__(self, step: Step):
        self.start = time.perf_counter()
        self.step = step

    def write(self, *, hashes: Mapping[Path, str] | None = None, **facts: Any) -> dict[str, Any]:
        """Write the receipt and return it.

        hashes: of inputs that the step has read through already. facts: whatever else is worth
        keeping (seed, device, steps, ...). An input that is not there is not named.
        """
        known, step = dict(hashes or {}), self.step
        inputs = {name_in(step, path): path for path in step.inputs if path.is_file()}
        outputs = {path.name: path for path in step.outputs}
        usage = resource.getrusage(resource.RUSAGE_SELF)
        receipt = {
            "step": step.name,
            "outputs": {name: file_digest(path) for name, path in outputs.items()},
            "inputs": {name: known.get(path) or file_digest(path) for name, path in inputs.items()},
            "bytes": {name: path.stat().st_size for name, path in (outputs | inputs).items()},
            "slice": dict(step.slice),
            "slice_digest": digest_of(step.slice),
            "code_digest": step.code,
            "facts": facts,
            "versions": versions(),
            "benchmark_version": BENCHMARK_VERSION,
            "processor": processor(),
            **kernels(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self.start, 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_memory_mib": round(usage.ru_maxrss / 1024, 1),
        }
        write_text(step.receipt, json.dumps(receipt, indent=1) + "\n")
        return receipt


def name_in(step: Step, path: Path) -> str:
    """An input's name in a receipt, which survives a move of either.

    Of what lies in the results folder the path from the receipt; of a file from elsewhere, such as
    a user's data, its own name: where it lies says nothing of it, and its digest says what it is.
    """
    inside = os.path.relpath(path, step.folder)
    if inside.partition(os.sep)[0] == os.pardir:
        return ELSEWHERE + path.name
    return os.path.relpath(path, step.outputs[0].parent)


def read_receipt(output: Path) -> dict[str, Any]:
    """The receipt of an output, or {} where it has none.

    Raises FlexbenchError for a file that is no receipt.
    """
    path = receipt_of(output)
    if not path.is_file():
        return {}
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FlexbenchError(f"{path}: not a readable receipt ({error})") from None
    sections = ("outputs", "inputs", "slice", "facts", "versions")
    if not isinstance(receipt, dict) or not all(
        isinstance(receipt.get(key), dict) for key in sections
    ):
        raise FlexbenchError(f"{path}: not a receipt (it needs {', '.join(sections)})")
    return receipt


def require_settings(step: Step, found: Mapping[str, Any], *, again: str) -> None:
    """FlexbenchError where the output of a step was made with other settings than are asked for.

    found: the settings that it was made with, as its receipt or the file itself has them.
    again: the command that makes it anew.
    """
    for difference in differences(plain(step.slice), found):
        place, now, then = difference.place, difference.before, difference.after
        raise FlexbenchError(
            f"{step.outputs[0]}: was made with other settings ({place}: {then!r} there, {now!r} "
            f"asked for); `{again}` makes it anew"
        )


def require_bytes(path: Path, digest: str | None, *, again: str, of: Path | None = None) -> str:
    """A file's digest; FlexbenchError where that is not the one of a receipt.

    digest: None where the receipt names no such file. again: the command that makes it anew. of:
    whose receipt it is; None: the file's own.
    """
    found = file_digest(path) if path.is_file() else None
    if found is None or found != digest:
        whose = "its receipt" if of is None else f"the receipt of {of}"
        raise FlexbenchError(
            f"{path}: is not the file of {whose} (`flexbench verify` tells more); `{again}` makes "
            "it anew"
        )
    return found


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


def processor() -> str:
    """The kind of processor: bits and times are its own. No name of a host."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def kernels() -> dict[str, str]:
    """Which of a processor's instructions torch computes with, which decides the last bits.

    {} where the step computes without torch: it is asked only where it is loaded.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    limits = {name: os.environ[name] for name in KERNEL_LIMITS if name in os.environ}
    told = ", ".join(f"{name}={value}" for name, value in limits.items())
    return {"kernels": " ".join(filter(None, (torch.backends.cpu.get_cpu_capability(), told)))}


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
        waiting += [_source_of(name) for name in _read(path).imports if not _is_plumbing(name)]
    return frozenset(found)


@dataclass(frozen=True)
class _Source:
    """A source file: modules of flexbench that it imports, and its code without docstrings."""

    imports: frozenset[str]
    code: bytes


# `import flexbench.data.store`; `from flexbench.data import store, schema`, on one line or more.
_IMPORT = re.compile(
    r"^[ \t]*(?:import[ \t]+(?P<whole>flexbench\.[\w.]+)"
    r"|from[ \t]+(?P<package>flexbench[\w.]*)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n(]+))",
    flags=re.M,
)


@cache
def _read(path: Path) -> _Source:
    """Read once in a process: every digest covers many files, and most files are in many."""
    text = path.read_text(encoding="utf-8")
    names: set[str] = set()
    for found in _IMPORT.finditer(text):
        if found["whole"]:
            names.add(found["whole"])
            continue
        names.add(found["package"])
        # `from flexbench.data import store` names a module, not a value, where one exists.
        names |= {f"{found['package']}.{name}" for name in re.findall(r"\w+", found["names"])}
    known = (name for name in names if name.startswith("flexbench."))
    imports = frozenset(name for name in known if _source_of(name).is_file())
    # Compiled as under `python -OO`: neither docstrings nor assertions change a number.
    code = compile(text, path.name, "exec", dont_inherit=True, optimize=2)
    return _Source(imports, b"".join(_parts_of(code)))


def _parts_of(code: CodeType) -> Iterator[bytes]:
    """All that decides what a piece of code does, and nothing of where it stands in its file."""
    yield code.co_code
    yield code.co_exceptiontable
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_flags, code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount)
    yield repr((code.co_name, names, counts)).encode()
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _parts_of(value)
        elif isinstance(value, frozenset):
            yield repr(sorted(map(repr, value))).encode()  # in the order of no process's own hashes
        else:
            yield repr(value).encode()
