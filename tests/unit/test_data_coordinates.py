"""What a foreign file says of where its points lie is read, and held to what is computed."""

import h5py
import numpy as np
import pytest
from own_files import H, T, W, config, imported

from flexbench.data.own_data import check_sources
from flexbench.errors import FlexbenchError

FIELDS = np.random.default_rng(1).standard_normal((T, H, W)).astype(np.float32)
EVEN = 0.5 * np.arange(H)
STRETCHED = np.tanh(np.linspace(-1.5, 1.5, H))
HALF_STRETCHED = np.concatenate([EVEN[:16], EVEN[15] + 0.6 * 1.1 ** np.arange(16)])


def write(path, y=None, x=None, *, how="scale", units=None, group=""):
    """A file with coordinates (name, values) of its axes, attached, labelled or only named."""
    with h5py.File(path, "w") as file:
        field = file.create_dataset(f"{group}a", data=FIELDS)
        for place, given in ((1, y), (2, x)):
            if given is None:
                continue
            name, values = given
            made = file.create_dataset(f"{group}{name}", data=values)
            if units:
                made.attrs["units"] = units
            if how == "scale":
                made.make_scale(name)
                field.dims[place].attach_scale(made)
            elif how == "label":
                field.dims[place].label = name
    return path


def look(path, **data):
    settings = config(path, **data)
    check_sources(settings, lambda _: path)
    return settings


# What is taken: coordinates, and how the file has them.
TAKEN = {
    "even": {"y": ("y", EVEN), "x": ("x", 2 * EVEN)},
    "falling": {"y": ("lat", 90 - EVEN), "x": ("lon", EVEN)},
    "float32, far from zero": {"y": ("y", (3000 + 0.01 * EVEN).astype("f4"))},
    "rounded": {"y": ("y", np.round(EVEN / 3, 2))},
    "across Greenwich": {"x": ("lon", (350 + EVEN) % 360), "units": "degrees_east"},
    "whole numbers": {"x": ("x", np.arange(W))},
    "without a name that is known": {"y": ("depth", STRETCHED), "how": "name"},
    "missing": {"y": ("y", np.where(EVEN < 2, np.nan, STRETCHED))},
    "of another length": {"y": ("y", STRETCHED[:-1]), "how": "name"},
    "text": {"y": ("y", np.array([b"a"] * H)), "how": "name"},
}


@pytest.mark.parametrize("case", TAKEN)
def test_even_coordinates_are_taken(case, tmp_path):
    look(write(tmp_path / "a.h5", **TAKEN[case]))


def test_a_dimension_without_a_variable_says_nothing(tmp_path):
    """NetCDF then makes a scale that is never written."""
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        scale = file.create_dataset("y", shape=(H,), dtype="f4")
        scale.make_scale("This is a netCDF dimension but not a netCDF variable.        32")
        file["a"].dims[1].attach_scale(scale)
    look(path)


def test_coordinates_in_two_dimensions_say_nothing(tmp_path):
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["lat"] = np.outer(STRETCHED, STRETCHED)
    look(path)


def test_coordinates_in_other_files_are_not_read(tmp_path):
    write(tmp_path / "b.h5", ("y", STRETCHED))
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["y"] = h5py.ExternalLink("b.h5", "/y")
    look(path)


# What is refused: how the file has its coordinates, and what the line says.
UNEVEN = {
    "attached": ({"y": ("depth", STRETCHED)}, "'depth' has points 0.0"),
    "labelled": ({"y": ("depth", STRETCHED), "how": "label"}, "'depth' has points"),
    "named": ({"y": ("y", STRETCHED), "how": "name"}, "'y' has points"),
    "of latitude": ({"y": ("latitude", STRETCHED), "how": "name"}, "'latitude' has points"),
    "along x": ({"x": ("lon", STRETCHED), "how": "name"}, "'lon' has points"),
    "one jump": ({"x": ("x", EVEN + (EVEN > 8))}, "0.5 to 1.5 apart in 0 to 31"),
    "no step at all": ({"x": ("x", np.ones(W))}, "0 to 0 apart"),
    "a wrap without degrees": ({"x": ("lon", (350 + EVEN) % 360)}, "to 359.5 apart"),
}


@pytest.mark.parametrize("case", UNEVEN)
def test_uneven_coordinates_are_refused_before_any_work_and_by_an_import(case, tmp_path):
    given, says = UNEVEN[case]
    path = write(tmp_path / "a.h5", **given)
    with pytest.raises(FlexbenchError) as caught:
        look(path)
    line = str(caught.value)
    assert "\n" not in line
    assert says in line
    assert "data.crop" in line
    with pytest.raises(FlexbenchError) as again:
        imported(config(path), path)
    assert str(again.value) == line


def test_coordinates_of_a_group_are_those_beside_the_field(tmp_path):
    path = write(tmp_path / "a.h5", ("y", STRETCHED), how="name", group="run/")
    source = {"own": {"file": str(path), "reynolds": 7, "key": "run/a"}}
    with pytest.raises(FlexbenchError, match="'run/y' has points"):
        look(path, sources=source)


@pytest.mark.parametrize(("row", "fits"), [(0, True), (8, False), (16, False)])
def test_only_what_is_used_has_to_be_even(row, fits, tmp_path):
    path = write(tmp_path / "a.h5", ("y", HALF_STRETCHED))
    crop = {"y": row, "x": 0, "size": 16}
    if fits:
        assert imported(look(path, crop=crop), path).grid == 16
        return
    with pytest.raises(FlexbenchError, match=f"apart in {row} to {row + 15}"):
        look(path, crop=crop)


# An extent, the file's units, and what the line says; None: it is taken.
EXTENTS = [
    ({"x": [0, 16], "y": [0, 16]}, None, None),
    ({"x": [-0.25, 15.75], "y": [0, 15.5]}, None, None),
    ({"x": [0, 16], "y": [16, 0]}, None, "data.extent.y is [16, 0], and 'y' of the file goes from"),
    ({"x": [0, 32], "y": [0, 16]}, None, "from 0 to 15.5; allowed: about [-0.25, 15.75], or null"),
    ({"x": [0, 32], "y": [0, 32], "units": "m"}, "m", "data.extent.x"),
    ({"x": [0, 0.016], "y": [0, 0.016], "units": "km"}, "m", None),
]


@pytest.mark.parametrize(("extent", "units", "says"), EXTENTS)
def test_an_extent_is_that_of_the_file(extent, units, says, tmp_path):
    path = write(tmp_path / "a.h5", ("y", EVEN), ("x", EVEN), units=units)
    if says is None:
        look(path, extent=extent)
        return
    with pytest.raises(FlexbenchError) as caught:
        look(path, extent=extent)
    assert says in str(caught.value)


@pytest.mark.parametrize(("factor", "says"), [(1, None), (2, "points are 1 apart in x, 0.5 in y")])
def test_the_energy_of_a_vorticity_needs_the_file_to_be_as_far_apart_in_x_and_y(
    factor, says, tmp_path
):
    path = write(tmp_path / "a.h5", ("y", EVEN), ("x", factor * EVEN))
    if says is None:
        look(path, vorticity=True, periodic=True)
        return
    with pytest.raises(FlexbenchError, match=says):
        look(path, vorticity=True, periodic=True)
    look(path, vorticity=False, periodic=True)
