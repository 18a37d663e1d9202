"""Attributes of files that were made elsewhere: one reading, however they are spelled.

Text comes as a scalar or as an array of one element, of fixed or variable length, as bytes or
characters, with blanks around it; numbers come as a scalar or as an array.
"""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.config.reading import in_one_line
from flexbench.errors import FlexbenchError

_FLAGS = {"true": True, "false": False}


def text_of(dataset: h5py.Dataset, name: str) -> str | None:
    """An attribute that is text, in one line of printable characters; None where it is none."""
    value = _value(dataset, name)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if not isinstance(value, str | bytes):
        return None
    line = "".join(c if c.isprintable() else " " for c in _decoded(value))
    return " ".join(line.split()) or None


def flag_of(dataset: h5py.Dataset, name: str, *, where: str) -> bool | None:
    """An attribute that is "true" or "false", in any case; None where there is none.

    Raises FlexbenchError, naming the attribute, where it is anything else.
    """
    if name not in dataset.attrs:
        return None
    text = text_of(dataset, name)
    if text is None or text.casefold() not in _FLAGS:
        raise _refusal(dataset, name, where=where, allowed="true, false")
    return _FLAGS[text.casefold()]


def numbers_of(
    dataset: h5py.Dataset, name: str, *, where: str, count: int | None = None
) -> NDArray[Any]:
    """An attribute that is real numbers, (N,), of the type in the file; (0,) where there is none.

    count: how many there have to be; None: one or more. Raises FlexbenchError, naming the
    attribute, where it is anything else.
    """
    if name not in dataset.attrs:
        return np.empty(0)
    value = _value(dataset, name)
    found = np.empty(0) if value is None or isinstance(value, h5py.Empty) else np.ravel(value)
    if found.dtype.kind not in "fiu" or not found.size or count not in (None, found.size):
        allowed = "numbers" if count is None else f"numbers, {count} of them"
        raise _refusal(dataset, name, where=where, allowed=allowed)
    return found


def _value(dataset: h5py.Dataset, name: str) -> Any:
    try:
        return dataset.attrs.get(name)
    except (OSError, TypeError, ValueError):  # of a type that has no equal in numpy
        return None


def _decoded(value: str | bytes) -> str:
    """Older files hold Latin-1; h5py hands out bytes that are no UTF-8 as surrogates."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _refusal(dataset: h5py.Dataset, name: str, *, where: str, allowed: str) -> FlexbenchError:
    value = in_one_line(repr(_value(dataset, name)))
    return FlexbenchError(f"{where}: attribute '{name}' is {value}; allowed: {allowed}")
