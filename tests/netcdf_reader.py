"""Read arrays with NetCDF's own library, in a process of its own: it brings its own HDF5.

    python netcdf_reader.py FOLDER NAMES

First it makes files of its own, which no other library touches: FOLDER/own<number>.nc for each
name in the JSON list NAMES; then it says "made". From its input it takes a JSON list of jobs,
[[file, variable], ...]. Of every job two files appear in FOLDER: `<number>.npy`, unpacked values
as float64, and `<number>.mask.npy`, where they are missing; or `<number>.txt`, why there are none.
"""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np

SHAPE = (20, 16, 16)


def field() -> np.ndarray:
    """Values of small integers, so that every type holds them."""
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) * 7 % 113).astype(float)


def _whole(file: netCDF4.Dataset, kind: str, **options: object) -> None:
    file.createVariable("a", kind, ("time", "y", "x"), **options)[:] = field()


def _part(file: netCDF4.Dataset, kind: str, **options: object) -> None:
    """One snapshot of a training split is never written."""
    variable = file.createVariable("a", kind, ("time", "y", "x"), **options)
    variable[:5], variable[6:] = field()[:5], field()[6:]


def _packed(file: netCDF4.Dataset, kind: str, **options: object) -> None:
    """Numbers that the library itself packs."""
    variable = file.createVariable("a", kind, ("time", "y", "x"), **options)
    variable.scale_factor, variable.add_offset = 0.5, 40.0
    variable[:] = 40.0 + field()


def _masked(file: netCDF4.Dataset, kind: str, **options: object) -> None:
    variable = file.createVariable("a", kind, ("time", "y", "x"), **options)
    variable[:] = np.ma.masked_equal(field(), 50)


MAKERS: dict[str, Callable[..., None]] = {
    "whole": _whole,
    "part": _part,
    "packed": _packed,
    "masked": _masked,
}


def make(path: Path, name: str) -> None:
    """name: maker, type and options, as in "part i2 zlib fixed"."""
    maker, kind, *words = name.split()
    options = {word: True for word in words if word not in ("fixed", "nofill", "fill")}
    if "fill" in words:
        options["fill_value"] = 121
    with netCDF4.Dataset(path, "w") as file:
        if "nofill" in words:
            file.set_fill_off()
        file.createDimension("time", SHAPE[0] if "fixed" in words else None)
        file.createDimension("y", SHAPE[1])
        file.createDimension("x", SHAPE[2])
        MAKERS[maker](file, kind, **options)
        time = file.createVariable("time", "f8", ("time",))
        time[:] = np.arange(SHAPE[0])
        time.units = "hours since 2000-01-01"


def main(folder: Path, names: list[str]) -> None:
    warnings.simplefilter("ignore")
    for number, name in enumerate(names):
        make(folder / f"own{number}.nc", name)
    print("made", flush=True)
    for number, (path, variable) in enumerate(json.loads(sys.stdin.readline())):
        try:
            with netCDF4.Dataset(path) as file:
                read = np.ma.asarray(file[variable][...])
            np.save(folder / f"{number}.npy", read.data.astype(np.float64))
            np.save(folder / f"{number}.mask.npy", np.ma.getmaskarray(read))
        except Exception as error:  # whatever its library says of a damaged file
            (folder / f"{number}.txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
