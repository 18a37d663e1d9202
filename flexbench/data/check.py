"""Check trajectory files against FORMAT.md: `python -m flexbench.data.check FILE...`."""

import sys
from pathlib import Path

import h5py
import numpy as np

from flexbench.data import schema
from flexbench.data.store import open_readonly, own_dataset, wall_problems
from flexbench.errors import FlexbenchError


def check_trajectory(path: Path | str) -> list[str]:
    """All that is wrong with a trajectory file, one line each; [] when it is in the format.

    Reads every snapshot. Raises FlexbenchError when the file is missing, truncated, or no HDF5.
    """
    path = Path(path)
    with open_readonly(path) as file:
        problems = schema.attribute_problems(dict(file.attrs))
        missing = [name for name in (schema.TIME, schema.FIELD) if own_dataset(file, name) is None]
        problems += [f"dataset '{name}' is missing" for name in missing]
        if schema.TIME not in missing:
            problems += schema.time_problems(np.asarray(file[schema.TIME][()]))
        if schema.FIELD not in missing:
            problems += _field_problems(path, file)
        return problems or wall_problems(file)


def _field_problems(path: Path, file: h5py.File) -> list[str]:
    field = file[schema.FIELD]
    problems = []
    if field.dtype != schema.FIELD_DTYPE:
        problems.append(f"dataset '{schema.FIELD}' is {field.dtype}; allowed: float32")
    times = file[schema.TIME].shape if schema.TIME in file else field.shape[:1]
    grid = schema.plain(file.attrs.get("grid"))
    if len(times) == 1 and type(grid) is int:
        problems += schema.shape_problems(field.shape, times=times[0], grid=grid)
    if problems or field.ndim != 3 or field.shape[1] != field.shape[2]:
        return problems
    if field.chunks != schema.chunk_shape(field.shape[1]) or field.compression is not None:
        problems.append(
            f"dataset '{schema.FIELD}' has chunks {field.chunks}, compression "
            f"{field.compression}; allowed: {schema.chunk_shape(field.shape[1])}, none"
        )
    try:
        for index in range(field.shape[0]):
            if not np.isfinite(field[index]).all():
                problems.append(f"snapshot {index} holds a value that is not finite")
    except OSError as error:
        raise FlexbenchError(f"{path}: snapshot {index} cannot be read ({error})") from error
    return problems


def main(arguments: list[str]) -> int:
    """Print what is wrong with each file; 1 if anything is."""
    failed = 0
    for name in arguments:
        try:
            problems = check_trajectory(name)
        except FlexbenchError as error:
            problems = [str(error).removeprefix(f"{name}: ")]
        failed += bool(problems)
        for line in problems or ["ok"]:
            print(f"{name}: {line}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
