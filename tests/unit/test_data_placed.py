"""Where and when own data lies, by its own axes; and where a field is whole."""

import h5py
import numpy as np
import pytest
from own_files import H, T, W, config, imported

from flexbench.data.gaps import largest_whole
from flexbench.data.own_data import check_sources, told_of_sources
from flexbench.data.placed import Dates, place_of
from flexbench.errors import FlexbenchError
from flexbench.report.labels import of_own_data

VALUES = np.random.default_rng(0).standard_normal((T, H, W + 8)).astype(np.float32)
SINCE = "hours since 2020-02-28 18:00:00"


@pytest.fixture
def sea(tmp_path):
    """A file by CF's conventions: north first, every six hours."""
    path = tmp_path / "sea.nc"
    with h5py.File(path, "w") as file:
        axes = {
            "time": (6.0 * np.arange(T), SINCE),
            "lat": (60.0 - 0.25 * np.arange(H), "degrees_north"),
            "lon": (0.5 * np.arange(W + 8), "degrees_east"),
        }
        field = file.create_dataset("a", data=VALUES)
        field.attrs["long_name"], field.attrs["units"] = "sea level", "m"
        for place, (name, (values, units)) in enumerate(axes.items()):
            scale = file.create_dataset(name, data=values)
            scale.make_scale(name)
            scale.attrs["units"] = units
            field.dims[place].attach_scale(scale)
    return path


def labels(settings, path, **changes):
    """As figures have them; what statistics say is not about places."""
    found = imported(settings, path, split="test")
    said = {name: found.attributes[name] for name in found.attributes if name != "source"}
    place = place_of(found.path)
    return of_own_data(settings.data, {"periodic": False, "described": said} | changes, place)


def test_maps_and_times_are_those_of_the_file(sea):
    settings = config(sea, time="time", crop={"y": 4, "x": 8, "size": 16})
    own = labels(settings, sea)
    assert (own.box.name("x"), own.box.name("y")) == ("lon [degrees_east]", "lat [degrees_north]")
    # Half a point beyond the outer ones that are used.
    assert own.box.x == pytest.approx((3.75, 11.75))
    assert own.box.y == pytest.approx((59.125, 55.125))
    assert own.when(0.0) == "2020-02-28 18:00"
    assert own.when(30.0) == "2020-03-01 00:00"  # a leap year
    assert own.time == "hours"


def test_the_configuration_comes_before_the_file(sea):
    extent = {"x": [-0.25, 19.75], "y": [60.125, 52.125], "units": "degrees"}
    own = labels(config(sea, time="time", extent=extent), sea)
    assert own.box.name("x") == "x [degrees]"
    plain = labels(config(sea, interval=6), sea)
    assert plain.when(30.0) == "t = 30 time units"


def test_a_file_without_axes_counts_points(tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["a"] = VALUES
    own = labels(config(tmp_path / "bare.h5"), tmp_path / "bare.h5")
    assert own.box.name("x") == "x [grid point]"
    assert own.box.x == (4, 36)


def test_a_plan_says_what_the_file_is(sea):
    (line,) = told_of_sources(config(sea, time="time"), lambda name: sea)
    assert line == (
        "own: sea level [m]; 20 snapshots, 2020-02-28 18:00 to 2020-03-04 12:00; y 0 to 31 of 32 "
        "(lat 60.125 to 52.125 degrees_north); x 4 to 35 of 40 (lon 1.75 to 17.75 degrees_east)"
    )
    (line,) = told_of_sources(config(sea), lambda name: sea)
    assert "20 snapshots, time 0 to 19;" in line


@pytest.mark.parametrize("units", ["seconds", "minutes", "hours", "days", "s", "h"])
@pytest.mark.parametrize(
    ("origin", "calendar"),
    [
        ("1900-01-01", "gregorian"),
        ("1970-1-1 0:0:0", "standard"),
        ("2000-02-29 12:30:15 UTC", "proleptic_gregorian"),
        ("1850-01-01T00:00:00Z", "standard"),
    ],
)
def test_dates_are_those_of_another_reader(units, origin, calendar):
    other = pytest.importorskip("netCDF4", reason="the package netCDF4 is not installed")
    dates = Dates(units=units, origin=origin, calendar=calendar)
    for time in (0.0, 1.5, 36_525.25, 1_000_000.0):
        expected = other.num2date(time, f"{units} since {origin}", calendar=calendar)
        found = dates.date_of(time)
        assert f"{expected:%Y-%m-%d %H:%M}" == found[:16]


def test_calendars_that_have_other_days_get_no_date(sea):
    assert Dates(units="days", origin="2000-01-01", calendar="360_day").date_of(59.0) is None
    assert Dates(units="months", origin="2000-01-01", calendar="standard").date_of(1.0) is None
    assert Dates(units="days", origin="0001-01-01", calendar="standard").date_of(1.0) is None
    assert Dates(units="days", origin="noon", calendar="standard").date_of(1.0) is None
    with h5py.File(sea, "r+") as file:
        file["time"].attrs["calendar"] = "noleap"
    (line,) = told_of_sources(config(sea, time="time"), lambda name: sea)
    assert "time 0 to 114 hours since 2020-02-28 18:00:00 (noleap)" in line


# --- where a field is whole -----------------------------------------------------------------


def brute(lacking, step):
    height, width = lacking.shape
    for size in range(min(height, width) // step * step, 0, -step):
        for y in range(height - size + 1):
            for x in range(width - size + 1):
                if not lacking[y : y + size, x : x + size].any():
                    return size
    return None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.6, 1.0])
def test_the_largest_whole_square_is_found(share):
    random = np.random.default_rng(int(100 * share))
    for _ in range(10):
        lacking = random.random((12, 17)) < share
        square = largest_whole(lacking, side_step=2)
        size = brute(lacking, 2)
        assert (square.size if square else None) == size
        if square:
            inside = lacking[square.y : square.y + size, square.x : square.x + size]
            assert inside.shape == (size, size)
            assert not inside.any()


def test_the_most_central_of_them_is_taken():
    lacking = np.zeros((9, 9), dtype=bool)
    lacking[:, 0] = True
    square = largest_whole(lacking, side_step=4)
    assert (square.y, square.x, square.size) in {(0, 1, 8), (1, 1, 8)}


def test_a_coast_is_told_of_with_a_crop_that_works(sea):
    with h5py.File(sea, "r+") as file:
        file["a"][:, 20:, :6] = np.nan
    settings = config(sea, time="time")
    with pytest.raises(
        FlexbenchError, match=r"holds a value that is not finite .*data\.crop: "
    ) as e:
        check_sources(settings, lambda name: sea)
    assert "{y: 0, x: 6, size: 32}" in str(e.value)
    cropped = config(sea, time="time", crop={"y": 0, "x": 6, "size": 32})
    assert check_sources(cropped, lambda name: sea) == (10, 32)


def test_where_no_square_is_whole_that_is_told(sea):
    with h5py.File(sea, "r+") as file:
        file["a"][:, ::8, ::8] = np.nan
    with pytest.raises(FlexbenchError, match="no square of 16 x 16 points is whole in the "):
        check_sources(config(sea, time="time"), lambda name: sea)
