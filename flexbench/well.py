"""A run's trajectories as a data set of The Well: a folder that `the_well` reads.

    data/<split>/<flows>.hdf5   flows of one Reynolds number and boundary, one after the other
    stats.yaml                  mean, standard deviation and so on, of the training split

Splits are named as The Well has them (`valid`); evaluations have folders of their own. What stands
in the files: `data/well.py`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from math import sqrt, tau
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray

from flexbench.archive import new_folder
from flexbench.data import schema
from flexbench.data.newfile import new_hdf5
from flexbench.data.store import Trajectory
from flexbench.data.well import (
    EXACT_TIME,
    FIELD,
    FIELDS,
    MASK,
    OPEN,
    PERIODIC,
    SCALARS,
    TIME,
)
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.paths import receipt_of
from flexbench.provenance import file_digest, read_receipt

_SPLITS = {"train": "train", "validation": "valid"}
_FLOAT = np.dtype("<f4")
_TEXTS = h5py.string_dtype()


def export_well(graph: Graph, output: Path) -> dict[str, int]:
    """Write every trajectory of a run to the folder `output`, whole or not at all; how many each
    file holds, by its name.

    Raises FlexbenchError where `output` exists, and where a trajectory is not made, or is not the
    one of its receipt.
    """
    if output.exists():
        raise FlexbenchError(f"{output}: exists already; choose another name, or remove it")
    splits = {split: graph.trajectories(split) for split in _SPLITS} | graph.untrained
    for paths in splits.values():
        for path in paths:
            _require_whole(path)
    written = {}
    with new_folder(output) as folder:
        for split, paths in splits.items():
            for name, together in _together(paths):
                place = f"data/{_SPLITS.get(split, split)}/{name}.hdf5"
                write_well(folder.root / place, together, name=f"flexbench_{graph.config.tier}")
                written[place] = len(together)
        statistics = yaml.safe_dump(_statistics(splits["train"]))
        folder.add("stats.yaml", statistics.encode())
    return written


def _require_whole(path: Path) -> None:
    if not path.is_file():
        raise FlexbenchError(f"{path}: not made; `flexbench run all_data` makes it")
    if file_digest(path) != read_receipt(path)["outputs"].get(path.name):
        raise FlexbenchError(
            f"{path}: is not the file of {receipt_of(path).name}; `flexbench verify` tells more"
        )


def _together(paths: list[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Files of one file of The Well: same parameters, grid and edges, and as many snapshots."""

    def alike(path: Path) -> tuple[Any, ...]:
        it = Trajectory(path)
        return (it.boundary, it.reynolds, it.grid, len(it.time), it.periodic)

    for (boundary, reynolds, grid, count, _), group in groupby(sorted(paths, key=alike), key=alike):
        yield f"{boundary}_re{reynolds:g}_{grid}_{count}", sorted(group)


def write_well(path: Path, files: list[Path], *, name: str) -> None:
    """Write trajectories (B) that are alike in all but their seeds as one file of The Well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, new_hdf5(path) as (file, check):
        flows = [stack.enter_context(Trajectory(own)) for own in files]
        first = flows[0]
        file.attrs["dataset_name"] = name
        file.attrs["grid_type"] = "cartesian"
        file.attrs["n_spatial_dims"] = 2
        file.attrs["n_trajectories"] = len(flows)
        file.attrs.create("simulation_parameters", ["Re"], dtype=_TEXTS)
        file.attrs["Re"] = first.reynolds
        _write_dimensions(file, flows)
        _write_boundaries(file, first)
        _write_scalars(file, first)
        for group in FIELDS:
            file.create_group(group).attrs.create("field_names", [], shape=(0,), dtype=_TEXTS)
        _write_fields(file[SCALARS], flows)
        check()
        _write_exactly(file, flows)


def _write_dimensions(file: h5py.File, flows: list[Trajectory]) -> None:
    """Axes in the order x, y, as The Well's vectors have them; times in full stand elsewhere."""
    group = file.create_group("dimensions")
    group.attrs.create("spatial_dims", ["x", "y"], dtype=_TEXTS)
    same = all(np.array_equal(flow.time, flows[0].time) for flow in flows)
    time = flows[0].time if same else np.stack([flow.time for flow in flows])
    _dataset(file, TIME, time.astype(_FLOAT), sample_varying=not same)
    for axis in ("x", "y"):
        values = _positions(flows[0], axis).astype(_FLOAT)
        _dataset(group, axis, values, sample_varying=False, time_varying=False)


def _positions(flow: Trajectory, axis: str) -> NDArray[np.float64]:
    """Of points along an axis: on the square of side 2 pi; of own data that has edges, counted."""
    return np.arange(flow.grid, dtype=np.float64) * (tau / flow.grid if flow.periodic else 1.0)


def _write_boundaries(file: h5py.File, flow: Trajectory) -> None:
    """Of the square's edges; walls within it are what the mask says."""
    mask = np.zeros(flow.grid, dtype=bool)
    mask[[0, -1]] = True
    kind = PERIODIC if flow.periodic else OPEN
    for axis in ("x", "y"):
        group = file.create_group(f"boundary_conditions/{axis}_{kind.lower()}")
        group.attrs.create("associated_dims", [axis], dtype=_TEXTS)
        group.attrs.create("associated_fields", [], shape=(0,), dtype=_TEXTS)
        group.attrs["bc_type"] = kind
        group.attrs["sample_varying"] = group.attrs["time_varying"] = False
        _dataset(group, "mask", mask)
        _dataset(group, "values", np.zeros(mask.sum(), dtype=_FLOAT))


def _write_scalars(file: h5py.File, flow: Trajectory) -> None:
    group = file.create_group("scalars")
    group.attrs.create("field_names", ["Re"], dtype=_TEXTS)
    _dataset(group, "Re", _FLOAT.type(flow.reynolds), sample_varying=False, time_varying=False)


def _write_fields(group: h5py.Group, flows: list[Trajectory]) -> None:
    """The field (B,T,W,H), and where there are walls the mask (W,H), 1 outside the flow."""
    first = flows[0]
    names = [FIELD]
    shape = (len(flows), len(first.time), first.grid, first.grid)
    field = group.create_dataset(
        FIELD, shape, dtype=_FLOAT, chunks=(1, *schema.chunk_shape(first.grid)), track_times=False
    )
    _mark(field, sample_varying=True, time_varying=True, dim_varying=[True, True])
    for number, flow in enumerate(flows):
        for index in range(len(flow.time)):
            field[number, index] = flow.snapshot(index).T
    if first.mask is not None:
        names.append(MASK)
        mask = _dataset(group, MASK, first.mask.T.astype(_FLOAT))
        _mark(mask, sample_varying=False, time_varying=False, dim_varying=[True, True])
    group.attrs.create("field_names", names, dtype=_TEXTS)


def _write_exactly(file: h5py.File, flows: list[Trajectory]) -> None:
    """What float32 cannot hold, and where each trajectory comes from, for flexbench alone."""
    _dataset(file, EXACT_TIME, np.stack([flow.time for flow in flows]))
    told = [json.dumps(flow.attributes, sort_keys=True) for flow in flows]
    file[EXACT_TIME].parent.attrs.create("trajectories", told, dtype=_TEXTS)


def _dataset(group: h5py.Group, name: str, values: Any, **marks: Any) -> h5py.Dataset:
    dataset = group.create_dataset(name, data=values, track_times=False)
    _mark(dataset, **marks)
    return dataset


def _mark(dataset: h5py.Dataset, **marks: Any) -> None:
    for name, value in marks.items():
        dataset.attrs[name] = value


def _statistics(paths: list[Path]) -> Mapping[str, dict[str, float]]:
    """Of the field and of its change from one snapshot to the next, over these trajectories."""
    found: dict[str, dict[str, float]] = {}
    whole, change = _Moments(), _Moments()
    for path in paths:
        with Trajectory(path) as flow:
            before = None
            for index in range(len(flow.time)):
                field = flow.snapshot(index).astype(np.float64)
                whole.add(field)
                if before is not None:
                    change.add(field - before)
                before = field
    for suffix, moments in (("", whole), ("_delta", change)):
        for key, value in moments.values.items():
            found[f"{key}{suffix}"] = {FIELD: value}
    # A mask is 0 and 1, and stays so.
    for key, value in {"mean": 0.0, "std": 1.0, "rms": 1.0}.items():
        found[key][MASK] = value
    return found


class _Moments:
    """Mean, standard deviation and root mean square of all that was added."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, field: NDArray[np.float64]) -> None:
        self.count += field.size
        self.sum += float(field.sum())
        self.squares += float(np.square(field).sum())

    @property
    def values(self) -> dict[str, float]:
        mean, square = self.sum / self.count, self.squares / self.count
        return {"mean": mean, "std": sqrt(max(square - mean**2, 0.0)), "rms": sqrt(square)}
