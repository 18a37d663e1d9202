"""YAML as people mean it: what its readers would change without a word is refused.

PyYAML follows YAML 1.1, where a key that stands twice keeps its last value, `010` is eight and
`1:30` is ninety. None of these is ever meant in a configuration.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from flexbench.errors import FlexbenchError

# What the safe loader raises: for other tags, numbers without end, nesting without end.
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)

_OCTAL = re.compile(r"[-+]?0[0-9_]+")


class _Loader(yaml.SafeLoader):
    """The safe loader, without double keys, anchors that hold themselves, and old numbers."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Any, yaml.Node] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # `<<`: what it brings is overridden by design
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                first = seen[key].start_mark.line + 1
                raise _refusal(f"the key '{key}' stands twice, first in line {first}", key_node)
            if isinstance(key, Hashable):
                seen[key] = key_node
        return super().construct_mapping(node, deep)

    def number(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        for refused, why in ((":" in text, "sixty-based"), (_OCTAL.fullmatch(text), "octal")):
            if refused:
                advice = "write a decimal number, or text in quotes"
                raise _refusal(f"'{text}' is {why} in YAML; {advice}", node)
        if node.tag.endswith(":int"):
            return self.construct_yaml_int(node)
        return self.construct_yaml_float(node)


def _refusal(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.number)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text; one of NOT_YAML where it is none, or one that would be misread."""
    value = yaml.load(text, Loader=_Loader)
    _refuse_cycles(value, above=set(), done=set())
    return value


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping of a file, read without running anything; FlexbenchError in one line."""
    if path.exists() and not path.is_file():
        raise FlexbenchError(
            f"{path}: a plain file is needed, which each process of a run can read again; found "
            f"{_kind_of(path)}"
        )
    try:
        values = parse_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FlexbenchError(f"{path}: cannot be read ({error.strerror})") from None
    except NOT_YAML as error:
        raise FlexbenchError(f"{path}: not valid YAML ({in_words(error)})") from None
    if not isinstance(values, dict):
        raise FlexbenchError(f"{path}: a mapping of keys is needed, found {type(values).__name__}")
    return values


def _kind_of(path: Path) -> str:
    """What stands in a plain file's place."""
    if path.is_dir():
        return "a folder"
    return "a pipe, from which it can be read once" if path.is_fifo() else "a device or a socket"


def in_words(error: Exception) -> str:
    """What a YAML reader found wrong, in one line, with its place."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error.reason} at byte {error.start}"
    return " ".join(str(error).split())


def _refuse_cycles(value: Any, *, above: set[int], done: set[int]) -> None:
    """ValueError where an anchor stands inside what it names; each thing is looked at once."""
    if not isinstance(value, dict | list) or id(value) in done:
        return
    if id(value) in above:
        raise ValueError("an anchor stands inside what it names, without end")
    for item in value.values() if isinstance(value, dict) else value:
        _refuse_cycles(item, above=above | {id(value)}, done=done)
    done.add(id(value))
