"""A file as a user may bring it: `python -m flexbench.data.example FILE`.

Warm blobs drift through a rectangular tank and spread: an exact solution of advection and diffusion
in the open plane, so nothing is periodic. Laid out as NetCDF-4 is: dimension scales, a time axis in
seconds, gzip.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from flexbench.data.newfile import new_hdf5
from flexbench.seeding import numpy_generator

BLOBS = 150
DIFFUSIVITY = 2e-5
DRIFT = (0.12, -0.05)  # along x and y, per second
MEAN = 20.0


def write_example(
    path: Path, *, snapshots: int = 120, height: int = 70, width: int = 90, seed: int = 0
) -> None:
    """Write `temperature` (time, y, x) float32 in degrees, with `time`, `y` and `x` beside it."""
    time = 0.25 * np.arange(snapshots)
    y, x = np.linspace(0, height / width, height), np.linspace(0, 1, width)
    with new_hdf5(path) as (file, check):
        for name, values in {"time": time, "y": y, "x": x}.items():
            scale = file.create_dataset(name, data=values, track_times=False)
            scale.make_scale(name)
            scale.attrs["units"] = "s" if name == "time" else "m"
        field = file.create_dataset(
            "temperature",
            shape=(snapshots, height, width),
            dtype="f4",
            chunks=(min(10, snapshots), height, width),
            compression="gzip",
            track_times=False,
        )
        field.attrs["long_name"], field.attrs["units"] = "water temperature", "°C"
        for axis, name in enumerate(("time", "y", "x")):
            field.dims[axis].attach_scale(file[name])
        for index, moment in enumerate(time):
            field[index] = temperature(float(moment), y, x, seed=seed)
            check()


def temperature(
    moment: float, y: NDArray[np.float64], x: NDArray[np.float64], *, seed: int
) -> NDArray[np.float32]:
    """The field (H, W) at one time, on points y (H,) and x (W,)."""
    random = numpy_generator(seed, "example")
    total = np.full((len(y), len(x)), MEAN)
    for _ in range(BLOBS):
        x0, y0 = random.uniform(-3.8, 1.2), random.uniform(-0.2, 2.4)
        size, strength = random.uniform(0.03, 0.09), random.normal(scale=4.0)
        variance = size**2 + 2 * DIFFUSIVITY * moment
        ahead = x[None] - x0 - DRIFT[0] * moment
        above = y[:, None] - y0 - DRIFT[1] * moment
        shape = np.exp(-(ahead**2 + above**2) / (2 * variance))
        total += strength * size**2 / variance * shape
    return total.astype(np.float32)


def main(arguments: list[str]) -> None:
    for name in arguments:
        write_example(Path(name))
        with h5py.File(name, "r") as file:
            print(f"{name}: temperature {file['temperature'].shape}")


if __name__ == "__main__":
    main(sys.argv[1:])
