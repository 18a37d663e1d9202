"""The trajectory file, as FORMAT.md describes it: its vocabulary and rules, in one place."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "flexbench-trajectory"
FORMAT_VERSION = 1

FIELD = "w"
TIME = "time"
FIELD_DTYPE = np.dtype("<f4")
TIME_DTYPE = np.dtype("<f8")

# Of flows with walls.
BOUNDARY = "boundary"
BOUNDARIES = ("periodic", "free_slip", "no_slip")
MASK = "mask"
MASK_DTYPE = np.dtype("u1")
MEAN_FLOW = "mean_flow"
MEAN_FLOW_DTYPE = np.dtype("<f8")

# Attribute of simulated flows: the smallest k_max eta of the snapshots; above about 1 the
# dissipation range lies on the solver's grid.
K_MAX_ETA = "k_max_eta"
RESOLVED = 1.0

# Small enough that a random patch touches few bytes, large enough that the index stays small.
CHUNK = 128

# Attributes of the root that every file has, and what their values may be.
REQUIRED_ATTRIBUTES: dict[str, type] = {
    "format": str,
    "format_version": int,
    "grid": int,
    "reynolds": float,
    "seed": int,
}

ATTRIBUTE_TYPES = (str, int, float)

# Attribute that a file may have: 0 where the field does not go on beyond its edges; absent: 1.
PERIODIC = "periodic"

# What a file of own data may say for labels: what its source calls the field, the units of values
# and times there, and which rows and columns were taken of how many.
DESCRIPTION = (
    *("field_name", "field_units", "time_units"),
    *("first_row", "last_row", "rows", "first_column", "last_column", "columns"),
)


def chunk_shape(grid: int) -> tuple[int, int, int]:
    """Chunks of `/w` on a grid of `grid` points per side."""
    side = min(CHUNK, grid)
    return (1, side, side)


def plain(value: Any) -> Any:
    """An attribute as HDF5 hands it out, as a plain Python value where it is a scalar."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, np.generic):
        return value.item()
    return value


def attribute_problems(attributes: Mapping[str, Any]) -> list[str]:
    """What is wrong with a file's root attributes, one line each; [] when nothing is."""
    problems = []
    for name, expected in REQUIRED_ATTRIBUTES.items():
        if name not in attributes:
            problems.append(f"attribute '{name}' is missing")
            continue
        value = plain(attributes[name])
        # bool is an int to Python, never to this format.
        if type(value) is not expected:
            problems.append(
                f"attribute '{name}' is {type(value).__name__} {value!r}; "
                f"allowed: {expected.__name__}"
            )
    problems += [
        f"attribute '{name}' is {type(plain(value)).__name__}; allowed: str, int, float"
        for name, value in attributes.items()
        if name not in REQUIRED_ATTRIBUTES and type(plain(value)) not in ATTRIBUTE_TYPES
    ]
    return problems or _value_problems({name: plain(attributes[name]) for name in attributes})


def _value_problems(attributes: Mapping[str, Any]) -> list[str]:
    problems = []
    if attributes["format"] != FORMAT:
        problems.append(f"attribute 'format' is '{attributes['format']}'; allowed: '{FORMAT}'")
    if attributes["format_version"] != FORMAT_VERSION:
        problems.append(
            f"attribute 'format_version' is {attributes['format_version']}; "
            f"allowed: {FORMAT_VERSION}"
        )
    if not (np.isfinite(attributes["reynolds"]) and attributes["reynolds"] > 0):
        problems.append(f"attribute 'reynolds' is {attributes['reynolds']}; allowed: above 0")
    if attributes["grid"] < 1:
        problems.append(f"attribute 'grid' is {attributes['grid']}; allowed: 1 or more")
    if attributes["seed"] < 0:
        problems.append(f"attribute 'seed' is {attributes['seed']}; allowed: 0 or more")
    if attributes.get(BOUNDARY, BOUNDARIES[0]) not in BOUNDARIES:
        problems.append(
            f"attribute '{BOUNDARY}' is {attributes[BOUNDARY]!r}; allowed: {', '.join(BOUNDARIES)}"
        )
    if attributes.get(PERIODIC, 1) not in (0, 1):
        problems.append(f"attribute '{PERIODIC}' is {attributes[PERIODIC]!r}; allowed: 0, 1")
    return problems


def mask_problems(mask: NDArray[Any] | None, *, boundary: str, grid: int) -> list[str]:
    """What is wrong with `/mask`, None where a file has none: only a periodic flow needs none."""
    if mask is None:
        if boundary == BOUNDARIES[0]:
            return []
        return [f"dataset '{MASK}' is missing; a flow of boundary '{boundary}' needs it"]
    if mask.dtype != MASK_DTYPE or mask.shape != (grid, grid):
        return [
            f"dataset '{MASK}' is {mask.dtype} of shape {mask.shape}; "
            f"allowed: uint8 of shape {(grid, grid)}"
        ]
    if mask.max() > 1 or mask.all():
        return [f"dataset '{MASK}' holds {np.unique(mask).tolist()}; allowed: 0 (flow) and 1"]
    return []


def mean_flow_problems(mean_flow: NDArray[Any] | None, *, times: int) -> list[str]:
    """What is wrong with `/mean_flow`, None where a file has none (the mean flow is zero)."""
    if mean_flow is None:
        return []
    if mean_flow.dtype != MEAN_FLOW_DTYPE or mean_flow.shape != (times, 2):
        return [
            f"dataset '{MEAN_FLOW}' is {mean_flow.dtype} of shape {mean_flow.shape}; "
            f"allowed: float64 of shape {(times, 2)}"
        ]
    if not np.isfinite(mean_flow).all():
        return [f"dataset '{MEAN_FLOW}' holds a value that is not finite"]
    return []


def shape_problems(shape: tuple[int, ...], *, times: int, grid: int) -> list[str]:
    """What is wrong with the shape of `/w`, given the length of `/time` and the grid."""
    if len(shape) != 3:
        return [f"dataset '{FIELD}' has shape {shape}; allowed: rank 3, (T, H, W)"]
    if shape[0] < 1 or shape != (times, grid, grid):
        return [
            f"dataset '{FIELD}' has shape {shape}; allowed: ({times}, {grid}, {grid}) "
            f"from '{TIME}' and attribute 'grid', at least one snapshot"
        ]
    return []


def time_problems(time: NDArray[Any]) -> list[str]:
    """What is wrong with `/time`: it must be a float64 vector, finite, and grow."""
    if time.ndim != 1 or time.dtype != TIME_DTYPE:
        return [f"dataset '{TIME}' is {time.dtype} of shape {time.shape}; allowed: float64, rank 1"]
    if not np.isfinite(time).all():
        return [f"dataset '{TIME}' holds a value that is not finite"]
    steps = np.diff(time)
    if (steps <= 0).any():
        worst = int(np.argmax(steps <= 0))
        return [
            f"dataset '{TIME}' does not grow: {time[worst]:g} at {worst}, "
            f"{time[worst + 1]:g} at {worst + 1}"
        ]
    return []
