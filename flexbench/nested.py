"""Nested mappings, as configurations and their slices are: put together, and told apart."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Absent:
    """Stands for the value of a key that one of two mappings lacks."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


class Difference(NamedTuple):
    """place: the dotted key. before, after: its values, ABSENT where there is none."""

    place: str
    before: Any
    after: Any


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested keys of both; where both have one, that of `over`."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = merge(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def differences(before: Any, after: Any, *, place: str = "") -> Iterator[Difference]:
    """Every innermost key whose value differs, in the order of the keys of `before`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{place}.{key}" if place else str(key)
            values = before.get(key, ABSENT), after.get(key, ABSENT)
            yield from differences(*values, place=inner)
    elif before != after:
        yield Difference(place, before, after)
