"""Files in the layout of The Well (Polymathic AI): what they say of their fields.

A file holds B trajectories of one set of parameters:

    attributes             dataset_name, grid_type, n_spatial_dims, n_trajectories,
                           simulation_parameters, and each of these by its name
    dimensions/            attribute spatial_dims, such as [x, y]; time (T,) or (B,T); x, y
    boundary_conditions/   of an axis: associated_dims, bc_type (PERIODIC, WALL, OPEN), mask
    scalars/               Re and so on, ()
    t0_fields/             scalars (B,T,W,H); t1_fields/: vectors (B,T,W,H,2); t2_fields/: tensors

Attributes of a dataset say which of its axes are there: sample_varying, time_varying, dim_varying.
Numbers are float32. Files that flexbench writes hold the times in full beside (`EXACT_TIME`).
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data import schema
from flexbench.data.coordinates import Coordinates, read_coordinates
from flexbench.data.store import own_dataset
from flexbench.data.times import evened, rounding_of
from flexbench.errors import FlexbenchError

# The name of what is written, and of a group that only flexbench reads.
FIELD = "vorticity"
MASK = "mask"
EXACT_TIME = "flexbench/time"

SCALARS, VECTORS, TENSORS = FIELDS = ("t0_fields", "t1_fields", "t2_fields")
TIME = "dimensions/time"
PERIODIC, OPEN = "PERIODIC", "OPEN"

# One index of such an axis is taken.
TRAJECTORY = "trajectory"


def default_key(opened: h5py.File, file: Path) -> str:
    """The file's only scalar field; FlexbenchError lists what there is where it has several."""
    names = [
        f"{group}/{name}"
        for group in (SCALARS, VECTORS)
        for name, item in _group(opened, file, group).items()
        if isinstance(item, h5py.Dataset) and _is(item, "time_varying")
    ]
    scalars = [name for name in names if name.startswith(SCALARS)]
    if len(scalars) != 1:
        found = ", ".join(names) or "none"
        raise FlexbenchError(f"{file}: write which field is meant (sources.*.key); found: {found}")
    return scalars[0]


def axes_of(opened: h5py.File, file: Path, dataset: h5py.Dataset) -> tuple[str, ...]:
    """The axes of a field, in its order: trajectory, time, y and x, channel.

    FlexbenchError where it is not a scalar or a vector that varies in time and in two dimensions.
    """
    where = f"{file}: '{str(dataset.name).removeprefix('/')}'"
    order = str(dataset.name).removeprefix("/").split("/")[0]
    if order not in (SCALARS, VECTORS):
        raise FlexbenchError(f"{where} is none of the fields allowed: {SCALARS}/..., {VECTORS}/...")
    varying = np.ravel(dataset.attrs.get("dim_varying", True))
    if not _is(dataset, "time_varying") or not varying.all():
        raise FlexbenchError(f"{where} is constant along an axis; allowed: fields that vary in all")
    axes = (
        *((TRAJECTORY,) if _is(dataset, "sample_varying") else ()),
        *("time", *_in_plane(opened, file)),
        *(("channel",) if order == VECTORS else ()),
    )
    if dataset.ndim != len(axes):
        raise FlexbenchError(f"{where} has shape {dataset.shape}; allowed: ({', '.join(axes)})")
    return axes


def _in_plane(opened: h5py.File, file: Path) -> tuple[str, ...]:
    """Which of the two dimensions is y and which x: by name, else rows before columns."""
    names = _names(opened, file)
    return tuple(names) if set(names) == {"x", "y"} else ("y", "x")


def _names(opened: h5py.File, file: Path) -> list[str]:
    said = np.ravel(_group(opened, file, "dimensions").attrs.get("spatial_dims", []))
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in said]
    if len(names) != 2:
        raise FlexbenchError(f"{file}: has dimensions {', '.join(names) or 'none'}; allowed: two")
    return names


def coordinates_of(opened: h5py.File, file: Path) -> dict[str, Coordinates]:
    """Of axes y and x, where the file has any."""
    found = {}
    for axis, name in zip(_in_plane(opened, file), _names(opened, file), strict=True):
        values = own_dataset(opened, f"dimensions/{name}", packed=True)
        read = read_coordinates(values) if values is not None and values.ndim == 1 else None
        if read is not None:
            found[axis] = read
    return found


def times_of(
    opened: h5py.File, file: Path, *, trajectory: int, count: int
) -> tuple[NDArray[np.float64], float]:
    """Times (count,) of a trajectory, made even where rounding kept them off it, and rounding."""
    name = EXACT_TIME if own_dataset(opened, EXACT_TIME) is not None else TIME
    dataset = own_dataset(opened, name, packed=True)
    if dataset is None:
        raise FlexbenchError(f"{file}: no dataset '{TIME}'")
    if dataset.shape[-1:] != (count,) or dataset.ndim > 2:
        raise FlexbenchError(f"{file}: '{name}' has shape {dataset.shape}; allowed: ({count},)")
    stored = dataset[trajectory] if dataset.ndim == 2 else dataset[()]
    time = np.asarray(stored, dtype=np.float64)
    for problem in schema.time_problems(time):
        raise FlexbenchError(f"{file}: {problem.replace(repr(schema.TIME), repr(name))}")
    rounding = rounding_of(stored, time, scale=1.0)
    return evened(time, rounding=rounding), rounding


def refuse_edges(opened: h5py.File, file: Path) -> None:
    """FlexbenchError where a file says that its fields end at an edge: they are not periodic."""
    found: dict[str, str] = {}
    for condition in _group(opened, file, "boundary_conditions").values():
        kind = str(schema.plain(condition.attrs.get("bc_type", OPEN))).upper()
        for name in np.ravel(condition.attrs.get("associated_dims", [])):
            found[str(schema.plain(name))] = kind
    for name in _names(opened, file):
        if found.get(name, OPEN) != PERIODIC:
            raise FlexbenchError(
                f"{file}: its boundary in {name} is {found.get(name, OPEN).lower()}, so the field "
                "is not periodic; write data.periodic: false"
            )


def _group(opened: h5py.File, file: Path, name: str) -> h5py.Group:
    group = opened.get(name)
    if not isinstance(group, h5py.Group) or group.file.filename != opened.filename:
        raise FlexbenchError(f"{file}: no group '{name}', which files of The Well have")
    return group


def _is(dataset: h5py.Dataset, name: str) -> bool:
    value: Any = dataset.attrs.get(name, False)
    return bool(np.ravel(value).all())
