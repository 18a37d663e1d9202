"""Missing data is never taken as data: `plan` and an import refuse it in the same line."""

import h5py
import numpy as np
import pytest
from own_files import H, T, W, config, imported, write

from flexbench.data import own_data
from flexbench.data.own_data import check_sources
from flexbench.errors import FlexbenchError

RNG = np.random.default_rng(11)
FLOATS = RNG.standard_normal((T, H, W))
INTEGERS = np.arange(T * H * W).reshape(T, H, W) % 241 + 5
DEFAULT = 9.969209968386869e36


def refusals(settings, path):
    """What looking before any work says, and what an import says."""
    lines = []
    for attempt in (
        lambda: check_sources(settings, lambda name: path),
        lambda: imported(settings, path),
    ):
        with pytest.raises(FlexbenchError) as caught:
            attempt()
        lines.append(str(caught.value))
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]
    return lines


def holding(values, dtype, value, place=(4, 9, 7)):
    """The values as this type, with one value at a place."""
    stored = values.astype(dtype)
    stored[place] = value
    return stored


# Stored values, attributes, and what the line says of the gap.
MARKED = {
    "nan": (holding(FLOATS, "f4", np.nan), {}, "a value that is not finite"),
    "infinity": (holding(FLOATS, ">f8", -np.inf), {}, "a value that is not finite"),
    "half infinity": (holding(FLOATS, "f2", np.inf), {}, "a value that is not finite"),
    "beyond float32": (holding(FLOATS, "f8", 1e300), {}, "not finite as float32"),
    "fill": (holding(FLOATS, "f4", -999), {"_FillValue": -999.0}, "'_FillValue' -999.0"),
    # 1e20 is not the number that float32 has nearest to it.
    "rounded fill": (holding(FLOATS, "f4", 1e20), {"missing_value": 1e20}, "'missing_value' 1"),
    "fill of a zero": (holding(INTEGERS, "i2", 0), {"_FillValue": np.int16(0)}, "'_FillValue' 0"),
    "several": (
        holding(INTEGERS, "u2", 250),
        {"missing_value": np.array([999, 250], "u2")},
        "'missing_value' 250",
    ),
    "packed": (
        holding(INTEGERS, ">i2", -9),
        {"_FillValue": np.int16(-9), "scale_factor": 0.1, "add_offset": 280.0},
        "'_FillValue' -9",
    ),
    "unsigned": (
        holding(INTEGERS, "u1", 250).view("i1"),
        {"_Unsigned": "true", "_FillValue": np.int8(250 - 256)},
        "'_FillValue' 250",
    ),
    "unsigned by a longer integer": (
        holding(INTEGERS, "u2", 65535).view("i2"),
        {"_Unsigned": "true", "missing_value": -1},
        "'missing_value' 65535",
    ),
    "least": (holding(FLOATS, "f4", -50), {"valid_min": np.float32(-9)}, "below 'valid_min' -9"),
    "greatest": (holding(INTEGERS, "i4", 900), {"valid_max": 800}, "above 'valid_max' 800"),
    "range": (holding(FLOATS, "f8", 10), {"valid_range": [-9.0, 9.0]}, "above 'valid_range' 9"),
    "packed range": (
        holding(INTEGERS, "i2", 2),
        {"valid_range": np.array([4, 400], "i2"), "scale_factor": 0.1},
        "below 'valid_range' 4",
    ),
    "range of what is meant": (
        holding(INTEGERS, "i2", 1),
        {"valid_min": 0.25, "scale_factor": 0.1},
        "below 'valid_min' 0.25",
    ),
    "default f4": (holding(FLOATS, "f4", DEFAULT), {}, "NetCDF's default fill value 9.96"),
    "default f8": (holding(FLOATS, "<f8", DEFAULT), {"_FillValue": -1.5e9}, "default fill value"),
    "default i2": (holding(INTEGERS, "i2", -32767), {}, "default fill value -32767"),
    "default u2": (holding(INTEGERS, "u2", 65535), {"missing_value": 0}, "fill value 65535"),
    "default i4": (holding(INTEGERS, ">i4", -2147483647), {}, "fill value -2147483647"),
    "default i8": (holding(INTEGERS, "i8", -9223372036854775806), {}, "fill value -92233720"),
}


@pytest.mark.parametrize("name", MARKED)
def test_marked_values_are_refused(tmp_path, name):
    values, attributes, told = MARKED[name]
    path = write(tmp_path / "data.nc", a=values)
    with h5py.File(path, "r+") as file:
        file["a"].attrs.update(attributes)
    line, again = refusals(config(path), path)
    assert line.startswith(again)  # and goes on with what may help
    assert line.startswith(f"{path}: 'a': snapshot 4 holds ")
    assert told in line
    assert "at 1 of 1024 points, the first in row 9, column 7; choose data.crop, or" in line


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        *[(dtype, 0) for dtype in ("i1", "u1", "i2", "u4", "f4", "f8")],
        *[("u1", 255), ("i1", -127), ("i2", -32768), ("f2", 60000.0), ("i4", -32767)],
    ],
)
def test_values_that_mark_nothing_are_data(tmp_path, dtype, value):
    stored = holding(INTEGERS // 2, dtype, value)
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=stored, fillvalue=0, chunks=(3, 8, 8))
    assert np.array_equal(imported(config(path), path).whole(), stored[:10].astype("f4"))


def grow(file):
    """Twenty snapshots, of which one chunk of the fifth to eighth is missing."""
    array = file.create_dataset("a", (4, H, W), "f4", maxshape=(None, H, W), chunks=(4, 16, 16))
    array[:] = FLOATS[:4]
    array.resize(T, axis=0)
    array[8:] = FLOATS[8:]
    array[4:8, :16, :16] = FLOATS[4:8, :16, :16]
    array[4:8, 16:] = FLOATS[4:8, 16:]


def packed(file):
    array = file.create_dataset("a", (T, H, W), "i2", chunks=(1, H, W), compression="gzip")
    array[:6] = INTEGERS[:6]
    array[7:] = INTEGERS[7:]


def last_axis(file):
    array = file.create_dataset("a", (H, W, T), "f8", chunks=(H, W, 1), fillvalue=7.5)
    for index in (*range(5), *range(6, T)):
        array[:, :, index] = FLOATS[index]


def other_channel(file):
    """Channel 1 is whole, channel 0 is not."""
    array = file.create_dataset("a", (T, 2, H, W), "f4", chunks=(1, 1, H, W))
    array[:, 1] = FLOATS
    array[:3, 0] = FLOATS[:3]


def own_fill(file):
    """The chunk is there, but not all of it was written."""
    array = file.create_dataset("a", (T, H, W), "f4", chunks=(T, H, W), fillvalue=-999)
    array[:7], array[8:] = FLOATS[:7], FLOATS[8:]


def empty_chunks(file):
    file.create_dataset("a", (T, H, W), "f4", chunks=(1, H, W), fillvalue=3)


def contiguous(file):
    file.create_dataset("a", (T, H, W), "f4")


def early(file):
    """Allocated when it was made: all chunks are there, and hold the fill value."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, H, W))
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_value(np.array(-1, "i4"))
    space = h5py.h5s.create_simple((T, H, W))
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_INT32, space, plist)
    file["a"][:2] = INTEGERS[:2]


@pytest.mark.parametrize(
    ("make", "settings", "told"),
    [
        (grow, {}, "'a': snapshot 4 was never written at row 0, column 16; choose data.splits or"),
        (packed, {}, "'a': snapshot 6 was never written at row 0, column 0"),
        (last_axis, {"axes": ["y", "x", "time"]}, "snapshot 5 was never written"),
        (other_channel, {"channel": 0}, "snapshot 3 was never written"),
        (own_fill, {}, "snapshot 7 holds a missing value (the dataset's own fill value -999"),
        (empty_chunks, {}, "'a' was never written: it holds its fill value alone"),
        (contiguous, {}, "'a' was never written: it holds its fill value alone"),
        (early, {}, "snapshot 2 holds a missing value (the dataset's own fill value -1)"),
    ],
)
def test_what_was_never_written_is_refused(tmp_path, make, settings, told):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        make(file)
    line, again = refusals(config(path, **settings), path)
    assert line.startswith(again)  # and goes on with what may help
    assert told in line


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (other_channel, {"channel": 1}),
        (grow, {"crop": {"y": 16, "x": 0, "size": 16}}),
        (grow, {"splits": {"train": [0.5, 0.9], "validation": [0, 0.1], "test": [0.1, 0.2]}}),
        (own_fill, {"splits": {"train": [0.5, 0.9], "validation": [0, 0.1], "test": [0.1, 0.2]}}),
    ],
)
def test_only_what_is_used_has_to_be_there(tmp_path, make, settings):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        make(file)
    check_sources(config(path, **settings), lambda name: path)
    imported(config(path, **settings), path)


def test_a_coast_outside_the_square_is_no_matter(tmp_path):
    values = FLOATS.astype("f4")
    values[:, :, :16] = DEFAULT
    path = write(tmp_path / "data.h5", a=values)
    assert "in row 0, column 0; choose data.crop" in refusals(config(path), path)[0]
    cropped = config(path, crop={"y": 8, "x": 16, "size": 16})
    check_sources(cropped, lambda name: path)
    assert np.array_equal(imported(cropped, path).whole(), values[:10, 8:24, 16:])


@pytest.mark.parametrize(
    ("stored", "attributes", "told"),
    [
        (holding(np.arange(T), "f8", np.nan, 3), {}, "a value that is not finite at 3"),
        (holding(np.arange(T), "f4", np.inf, 19), {}, "a value that is not finite at 19"),
        (holding(np.arange(T), "f8", DEFAULT, 19), {}, "NetCDF's default fill value 9.96"),
        (holding(np.arange(T), "i4", -2147483647, 0), {}, "default fill value -2147483647) at 0"),
        (np.arange(T), {"_FillValue": 7}, "('_FillValue' 7) at 7"),
        (np.arange(T, dtype="f4"), {"missing_value": [50.0, 6.0]}, "('missing_value' 6.0) at 6"),
        (np.arange(T), {"valid_max": 12}, "(above 'valid_max' 12) at 13"),
        (np.arange(T), {"valid_range": [2, 30], "scale_factor": 0.1}, "'valid_range' 2) at 0"),
    ],
)
def test_missing_times_are_refused(tmp_path, stored, attributes, told):
    path = write(tmp_path / "data.nc", a=FLOATS, t=stored)
    with h5py.File(path, "r+") as file:
        file["t"].attrs.update(attributes)
    line, again = refusals(config(path, time="t"), path)
    assert line == again
    assert line.startswith(f"{path}: 't' holds a")
    assert told in line
    assert line.endswith("data.interval, with data.time null, says how far apart snapshots are")


def test_times_that_were_not_all_written_are_refused(tmp_path):
    path = write(tmp_path / "data.nc", a=FLOATS)
    with h5py.File(path, "r+") as file:
        file.create_dataset("t", (T,), "f8", chunks=(5,))[5:] = np.arange(5, T)
    line, again = refusals(config(path, time="t"), path)
    assert line == again
    assert "'t' was not written everywhere; data.interval" in line


@pytest.mark.parametrize("axes", [("time", "y", "x"), ("y", "time", "x"), ("x", "y", "time")])
@pytest.mark.parametrize("chunks", [None, (2, 4, 5), (20, 32, 1)])
def test_a_look_at_much_data_is_bounded(tmp_path, monkeypatch, axes, chunks):
    """Spread over each split, to its end, and never more than the limit."""
    order = [("time", "y", "x").index(axis) for axis in axes]
    values = FLOATS.astype("f4")
    path = tmp_path / "data.h5"
    settings = config(path, axes=list(axes))
    read = []

    def look(limit):
        read.clear()
        monkeypatch.setattr(own_data, "SCAN_BYTES", limit)
        check_sources(settings, lambda name: path)
        return sum(read)

    snapshots = own_data.Source.snapshots

    def counted(self, first, last, *, square):
        read.append(self.stored_bytes(first, last, square=square))
        return snapshots(self, first, last, square=square)

    monkeypatch.setattr(own_data.Source, "snapshots", counted)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a",
            data=values.transpose(order),
            chunks=chunks and tuple(chunks[place] for place in order),
        )
    whole = look(1 << 30)
    assert whole >= values[:16].nbytes  # the splits hold 10, 2 and 4 of 20 snapshots
    for limit in (whole, whole // 2, whole // 10, 100):
        assert look(limit) <= limit
    # What lies at the end of a split is looked at, wherever a few blocks are.
    if axes[0] == "time" and chunks is None:
        with h5py.File(path, "r+") as file:
            file["a"][9, 3, 3] = np.nan
        with pytest.raises(FlexbenchError, match="snapshot 9 holds a value"):
            look(24 * H * W)
