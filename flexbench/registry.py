"""The folder is the registry: which networks and formulas exist, and how to load one.

Every `<name>.py` of the checkout's `baselines/` and of the folders that a configuration adds is a
file of the benchmark; a leading underscore hides it. Listing and asking only parse the files, so
the Snakefile can call them: nothing here imports torch, and a user's code runs in `load` alone.
"""

import ast
import difflib
import importlib
import importlib.util
import keyword
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from flexbench import user_code
from flexbench.config.tasks import KINDS
from flexbench.errors import FlexbenchError
from flexbench.paths import checkout

FLEX = "flex"
_CONSTANTS = ("TASKS", "TOGETHER", "CHANNELS_LAST", "WIDTH_STEP", "PERIODIC")
_FLEX_FILE = Path(__file__).resolve().parent / "models" / "flex.py"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file says of itself, read without running it.

    formula: it defines `predict` and has no weights; otherwise it defines `build`.
    tasks: the kinds of task it can do, out of `KINDS`.
    together: one network of it can learn several tasks.
    channels_last: its maps may lie in memory with their channels last (`models.layout`).
    periodic: values of options that take fields as periodic, so that others are none for them.
    width_step: widths are multiples of it; None for formulas and for FLEX, which has sizes instead.
    required: options of a formula that it has no value of its own for.
    """

    name: str
    path: Path
    formula: bool
    tasks: tuple[str, ...]
    together: bool
    channels_last: bool
    width_step: int | None
    periodic: dict[str, str]
    required: tuple[str, ...]


def folders(extra: Sequence[str | Path] = ()) -> list[Path]:
    """The checkout's `baselines/`, then the configured folders, each once.

    Relative folders are taken from the working directory, then from the checkout.
    Raises FlexbenchError for a folder that does not exist.
    """
    found = [checkout() / "baselines"]
    for entry in extra:
        given = Path(entry).expanduser()
        candidates = (given, checkout() / given)
        folder = next((path.resolve() for path in candidates if path.is_dir()), None)
        if folder is None:
            raise FlexbenchError(f"baseline_folders: '{entry}' is not a folder")
        found.append(folder)
    return list(dict.fromkeys(path.resolve() for path in found))


def names(extra: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Every network and formula by name, FLEX first, then in alphabetical order; imports nothing.

    Raises FlexbenchError if two files claim a name, or a name is not a Python identifier.
    """
    found = {FLEX: _FLEX_FILE}
    for folder in folders(extra):
        for path in sorted(folder.glob("*.py")):
            name = path.stem
            if name.startswith("_"):
                continue
            if not name.isidentifier() or keyword.iskeyword(name):
                raise FlexbenchError(
                    f"{path}: the file's name is the network's name: letters, digits and "
                    "underscores only, not a Python keyword"
                )
            if name in found:
                raise FlexbenchError(
                    f"two files are named '{name}': {found[name]} and {path}; rename one"
                )
            found[name] = path
    return {FLEX: found.pop(FLEX)} | dict(sorted(found.items()))


def facts(name: str, extra: Sequence[str | Path] = ()) -> Facts:
    """What the file of this name says of itself; parses it, runs nothing.

    Raises FlexbenchError for an unknown name and for a file that breaks the contract.
    """
    path = _path_of(name, extra)
    tree = _parse(path)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    kinds = functions.keys() & {"build", "predict"}
    if len(kinds) != 1:
        found = "both" if kinds else "neither"
        raise FlexbenchError(
            f"{path}: define one function, build (a network) or predict (a formula); found {found}"
        )
    formula = kinds == {"predict"}
    constants = _constants(path, tree)
    return Facts(
        name=name,
        path=path,
        formula=formula,
        tasks=_tasks(path, constants),
        together=_switch("TOGETHER", path, constants, formula=formula),
        channels_last=_switch("CHANNELS_LAST", path, constants, formula=formula),
        width_step=None if formula or name == FLEX else _width_step(path, constants),
        periodic=_periodic(path, constants),
        required=_required(functions["predict"].args) if formula else (),
    )


def is_formula(name: str, extra: Sequence[str | Path] = ()) -> bool:
    """Whether the file defines `predict` (no weights, nothing to train)."""
    return facts(name, extra).formula


def tasks(name: str, extra: Sequence[str | Path] = ()) -> tuple[str, ...]:
    """The kinds of task the file can do: its `TASKS`."""
    return facts(name, extra).tasks


def require_together(facts: Facts) -> None:
    """FlexbenchError unless one network of this file can learn several tasks."""
    if not facts.together:
        raise FlexbenchError(
            f"together: '{facts.name}' learns one task at a time ({facts.path} does not say "
            "`TOGETHER = True`)"
        )


def load(name: str, extra: Sequence[str | Path] = ()) -> ModuleType:
    """The module of this name, run once per process.

    Raises FlexbenchError, with the line of the file, if its code fails on import.
    """
    path = facts(name, extra).path
    if name == FLEX:
        return importlib.import_module("flexbench.models.flex")
    label = f"flexbench_baseline_{name}"
    loaded = sys.modules.get(label)
    if loaded is not None and loaded.__file__ == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(label, path)
    if spec is None or spec.loader is None:
        raise FlexbenchError(f"{path}: Python cannot load this file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module
    try:
        with user_code.running(path):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[label]
        raise
    return module


def _path_of(name: str, extra: Sequence[str | Path]) -> Path:
    known = names(extra)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    places = ", ".join(str(folder) for folder in folders(extra))
    raise FlexbenchError(
        f"no network or formula is named '{name}'; {hint}known: {', '.join(known)} (from {places})"
    )


def _parse(path: Path) -> ast.Module:
    try:
        return _parsed(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise FlexbenchError(f"{path}:{error.lineno}: not valid Python ({error.msg})") from None
    except (OSError, ValueError) as error:
        raise FlexbenchError(f"{path}: cannot be read ({error})") from None


@cache
def _parsed(text: str, path: str) -> ast.Module:
    """Once for all methods that a file is the network of."""
    return ast.parse(text, filename=path)


def _constants(path: Path, tree: ast.Module) -> dict[str, object]:
    """The constants of the contract, where the file sets them at top level to literal values."""
    values: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            if not isinstance(target, ast.Name) or target.id not in _CONSTANTS:
                continue
            try:
                values[target.id] = ast.literal_eval(value)
            except ValueError:
                raise FlexbenchError(
                    f"{path}:{node.lineno}: {target.id} must be written as plain values, "
                    "because it is read without running the file"
                ) from None
    return values


def _tasks(path: Path, constants: dict[str, object]) -> tuple[str, ...]:
    value = constants.get("TASKS")
    if isinstance(value, tuple | list) and value and all(kind in KINDS for kind in value):
        return tuple(str(kind) for kind in value)
    found = f"found {value!r}" if "TASKS" in constants else "it is missing"
    raise FlexbenchError(f"{path}: TASKS must be a tuple out of {tuple(KINDS)}; {found}")


def _switch(name: str, path: Path, constants: dict[str, object], *, formula: bool) -> bool:
    """A constant that says what a network can do besides; False where it is missing."""
    value = constants.get(name, False)
    if not isinstance(value, bool):
        raise FlexbenchError(f"{path}: {name} must be True or False; found {value!r}")
    if value and formula:
        raise FlexbenchError(f"{path}: {name} is for networks; a formula learns nothing")
    return value


def _width_step(path: Path, constants: dict[str, object]) -> int:
    value = constants.get("WIDTH_STEP")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = f"found {value!r}" if "WIDTH_STEP" in constants else "it is missing"
    raise FlexbenchError(f"{path}: WIDTH_STEP must be a positive whole number; {found}")


def _required(taken: ast.arguments) -> tuple[str, ...]:
    """Parameters without a default, after the example and the task."""
    placed = [*taken.posonlyargs, *taken.args]
    named = zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
    bare = placed[2 : len(placed) - len(taken.defaults)]
    return tuple(it.arg for it in [*bare, *(own for own, default in named if default is None)])


def _periodic(path: Path, constants: dict[str, object]) -> dict[str, str]:
    value = constants.get("PERIODIC", {})
    if isinstance(value, dict) and all(
        isinstance(it, str) for pair in value.items() for it in pair
    ):
        return value
    raise FlexbenchError(f"{path}: PERIODIC must map options to values; found {value!r}")
