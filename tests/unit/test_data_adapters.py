"""Foreign layouts: what they hold arrives as it is, and what is wrong is told in one line."""

import os

import h5py
import numpy as np
import pytest
from own_files import WHOLE, H, T, W, config, imported, write
from pydantic import ValidationError

from flexbench.config import Config
from flexbench.config.reading import Origin, load_config
from flexbench.data import schema
from flexbench.data.example import write_example
from flexbench.data.own_data import check_sources
from flexbench.data.splits import check_leaks
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph

RNG = np.random.default_rng(5)


def refusal(settings, path):
    """The one line that an import is refused with; looking before any work tells the same, as far
    as it can be seen without reading fields."""

    def attempt():
        check_sources(settings, lambda name: path)
        imported(settings, path)

    with pytest.raises(FlexbenchError) as caught:
        attempt()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def fields(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


LAYOUTS = [
    ("flex", "w", (T, H, W), lambda a: a),
    ("flex", "w", (T, 3, H, W), lambda a: a[:, 2]),
    ("superbench", "fields", (T, 3, H, W), lambda a: a[:, 2]),
    ("era5", "fields", (T, H, W), lambda a: a),
    ("era5", "fields", (T, 5, H, W), lambda a: a[:, 0]),
]


@pytest.mark.parametrize(("layout", "key", "shape", "expected"), LAYOUTS)
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": True}])
def test_a_layout_loads_as_it_is(tmp_path, layout, key, shape, expected, options):
    values = fields(*shape)
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=values, **options)
    settings = config(path, layout=layout)
    assert check_sources(settings, lambda name: path) == (10, H)
    for split, window in {"train": slice(0, 10), "test": slice(16, 20)}.items():
        found = imported(settings, path, split)
        assert np.array_equal(found.whole(), expected(values)[window])
        assert found.time.tolist() == list(range(T))[window]
        assert found.periodic == (layout != "era5")
        assert found.reynolds == 7


@pytest.mark.parametrize(("layout", "key", "shape", "expected"), LAYOUTS)
def test_one_snapshot_is_enough_for_a_source_of_its_own(tmp_path, layout, key, shape, expected):
    values = fields(1, *shape[1:])
    path = write(tmp_path / "data.h5", **{key: values})
    names = ("one", "two", "three")
    splits = dict(zip(("train", "validation", "test"), ([name] for name in names), strict=True))
    sources = {name: {"file": str(path), "reynolds": 7} for name in names}
    settings = config(path, layout=layout, sources=sources, splits=splits)
    assert np.array_equal(imported(settings, path, source="one").whole(), expected(values))
    assert "of 1 snapshots holds none" in refusal(config(path, layout=layout), path)


@pytest.mark.parametrize(("layout", "key", "shape", "_"), LAYOUTS)
def test_a_value_that_is_missing_is_named(tmp_path, layout, key, shape, _):
    values = fields(*shape)
    values[3] = np.nan
    path = write(tmp_path / "data.h5", **{key: values})
    told = refusal(config(path, layout=layout), path)
    where = f"{path}: '{key}': "
    assert told == (
        f"{where}snapshot 3 holds a value that is not finite at 1024 of 1024 points, the first in "
        "row 0, column 0; choose data.splits without it"
    )
    assert not (tmp_path / "own_train.h5").exists()


@pytest.mark.parametrize(
    ("layout", "key", "shape", "told"),
    [
        ("flex", "w", (T, H), "has shape (20, 32); allowed: rank 3, (time, y, x) or rank 4"),
        ("flex", "w", (T, 2, H, W), "has 2 channels; allowed by layout 'flex': 3 (u, v, w)"),
        ("superbench", "fields", (T, H, W), "allowed: rank 4, (time, channel, y, x)"),
        ("superbench", "fields", (T, 1, H, W), "has 1 channels; allowed by layout 'superbench'"),
        ("era5", "fields", (T, 2, 3, H, W), "has shape (20, 2, 3, 32, 32); allowed: rank 3"),
        ("era5", "fields", (0, H, W), "which holds nothing"),
        ("era5", "fields", (T, 12, 40), "multiples of 16: choose smaller ones"),
        ("flex", "fields", (T, H, W), "no dataset 'w'; found: fields"),
        ("superbench", "w", (T, 3, H, W), "no dataset 'fields'; found: w"),
        ("era5", "w", (T, H, W), "no dataset 'fields'; found: w"),
        ("custom", "b", (T, H, W), "no dataset 'a'; found: b"),
        ("custom", "a", (T, 4, H, W), "data.channel is null; allowed: 0 to 3"),
    ],
)
def test_what_does_not_fit_a_layout_is_refused(tmp_path, layout, key, shape, told):
    path = write(tmp_path / "data.h5", **{key: np.zeros(shape, np.float32)})
    assert told in refusal(config(path, layout=layout), path)


def test_a_custom_array_in_any_order_of_axes(tmp_path):
    values = fields(T, 3, 40, 50).astype(np.float64)
    path = write(tmp_path / "data.h5", a=values.transpose(3, 0, 2, 1))
    crop = {"y": 5, "x": 9, "size": 32}
    settings = config(
        path,
        axes=["x", "time", "y", "channel"],
        channel=1,
        subtract=2.0,
        divide_by=4.0,
        crop=crop,
        periodic=True,
    )
    assert check_sources(settings, lambda name: path) == (10, 32)
    assert settings.data is not None
    assert not settings.data.is_periodic
    found = imported(settings, path)
    expected = ((values[:10, 1, 5:37, 9:41] - 2.0) / 4.0).astype(np.float32)
    assert np.array_equal(found.whole(), expected)
    assert not found.periodic  # a part of a periodic field is none


@pytest.mark.parametrize(
    "axes",
    [
        ("y", "x", "time"),
        ("time", "x", "y"),
        ("x", "y", "time"),
        ("time", "y", "x", "channel"),
        ("channel", "x", "time", "y"),
    ],
)
def test_every_value_stands_where_the_axes_say(tmp_path, axes):
    """Values that spell their own place, on a field that is not square."""
    names, shape = ("time", "channel", "y", "x"), (T, 3, H, 48)
    t, c, y, x = np.indices(shape)
    values = 1000 * (1000 * t + y) + 10 * x + c
    kept = names if "channel" in axes else ("time", "y", "x")
    stored = (values if "channel" in axes else values[:, 2]).transpose(
        [kept.index(axis) for axis in axes]
    )
    path = write(tmp_path / "data.h5", a=stored)
    channel = {"channel": 2} if "channel" in axes else {}
    found = imported(config(path, axes=list(axes), **channel), path)
    assert np.array_equal(found.whole(), values[:10, 2, :, 8:40].astype(np.float32))


@pytest.mark.parametrize(
    "dtype", ["<f2", ">f4", ">f8", "longdouble", ">i2", "i1", "u1", "u8", "<i8"]
)
def test_any_kind_of_real_number(tmp_path, dtype):
    values = RNG.uniform(0, 100, (T, H, W)).astype(dtype)
    path = write(tmp_path / "data.h5", a=values)
    wanted = values[:10].astype(np.float64).astype(np.float32)
    assert np.array_equal(imported(config(path), path).whole(), wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (7, 5, 11), "compression": "lzf", "fletcher32": True},
        {"scaleoffset": 0},
        {"maxshape": (None, H, W)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_however_it_is_stored(tmp_path, options):
    values = RNG.integers(0, 9, (T, H, W))
    path = tmp_path / "data.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("group/inner/a", data=values, **options)
    link = tmp_path / "link.h5"
    link.symlink_to(path)
    source = {"own": {"file": str(link), "key": "group/inner/a", "reynolds": 1}}
    assert np.array_equal(imported(config(link, sources=source), link).whole(), values[:10])


def test_without_a_crop_the_largest_centred_square_is_used(tmp_path):
    values = fields(T, 37, 50)
    path = write(tmp_path / "data.h5", a=values)
    assert np.array_equal(imported(config(path), path).whole(), values[:10, 2:34, 9:41])


@pytest.mark.parametrize("settings", [{"layout": "flex"}, {"periodic": True}])
@pytest.mark.parametrize(("height", "width"), [(37, 37), (32, 48)])
def test_a_periodic_field_is_used_whole_or_not_called_periodic(tmp_path, settings, height, width):
    values = fields(T, height, width)
    path = write(tmp_path / "data.h5", a=values, w=values)
    told = refusal(config(path, **settings), path)
    assert f"{height} x {width} points, of which 32 x 32 are used" in told
    assert told.endswith("write data.periodic: false")
    said = config(path, **settings | {"periodic": False})
    assert check_sources(said, lambda name: path) == (10, 32)
    assert not imported(said, path).periodic


def test_netcdf_conventions_are_followed(tmp_path):
    packed = RNG.integers(-900, 900, size=(T, H, W)).astype(np.int16)
    path = write(tmp_path / "data.nc", a=packed, t=1000 + 6 * np.arange(T))
    with h5py.File(path, "r+") as file:
        file["a"].attrs["scale_factor"] = np.array([0.01])
        file["a"].attrs["add_offset"] = 280.0
        file["a"].attrs["_FillValue"] = np.array([-999], np.int16)
    settings = config(path, time="t")
    found = imported(settings, path)
    assert np.array_equal(found.whole(), (packed[:10] * 0.01 + 280.0).astype(np.float32))
    assert found.time.tolist() == [1000 + 6 * i for i in range(10)]
    with h5py.File(path, "r+") as file:
        file["a"][4, 1, 1] = -999
    assert "snapshot 4 holds a missing value ('_FillValue' -999)" in refusal(settings, path)


PACKED = np.arange(T * H * W, dtype=np.uint16).reshape(T, H, W) % 251


@pytest.mark.parametrize(
    ("values", "attributes", "told"),
    [
        (PACKED, {"scale_factor": "0.5"}, "attribute 'scale_factor' is '0.5'; allowed: numbers"),
        (PACKED, {"add_offset": h5py.Empty("f4")}, "attribute 'add_offset' is Empty"),
        (PACKED, {"_FillValue": np.array([], "i2")}, "attribute '_FillValue' is array([]"),
        (PACKED, {"scale_factor": 0.0}, "are 0 and 0; allowed: finite numbers, the first not 0"),
        (PACKED, {"scale_factor": np.nan}, "are nan and 0; allowed: finite numbers"),
        (PACKED * 1e300, {}, "snapshot 0 holds a value that is not finite"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path, values, attributes, told):
    path = write(tmp_path / "data.nc", a=values)
    with h5py.File(path, "r+") as file:
        file["a"].attrs.update(attributes)
    message = refusal(config(path), path)
    assert message.startswith(f"{path}: 'a': ")
    assert told in message
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.nc"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_bytes_that_are_meant_as_unsigned(tmp_path, order):
    values = (PACKED + 65_000).astype(f"{order}u2")
    path = write(tmp_path / "data.nc", a=values.view(f"{order}i2"))
    with h5py.File(path, "r+") as file:
        file["a"].attrs.update({"_Unsigned": "true", "_FillValue": np.int16(-1), "units": "1/s"})
    assert np.array_equal(imported(config(path), path).whole(), values[:10])


def test_times_may_be_packed(tmp_path):
    path = write(tmp_path / "data.nc", a=PACKED, t=np.arange(T, dtype="i2"))
    with h5py.File(path, "r+") as file:
        file["t"].attrs["scale_factor"] = 0.5
    assert imported(config(path, time="t"), path).time.tolist() == (np.arange(10) / 2).tolist()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (".", "no dataset '.'; found: g/a"),
        ("../a", "no dataset '../a'; found: g/a"),
        ("g", "no dataset 'g'; found: g/a"),
        ("g/a/b", "no dataset 'g/a/b'; found: g/a"),
        ("x\ny", "no dataset 'x\\ny'; found: g/a"),
        ("soft", "'soft' is a link"),
        ("linked/a", "'linked/a' lies in other files"),
        ("raw", "'raw' lies in other files"),
        ("virtual", "'virtual' lies in other files"),
        ("scalar", "'scalar' has shape (); allowed: rank 3"),
        ("null", "'null' has shape None; allowed: rank 3"),
        ("text", "'text' is |S1; allowed: real numbers"),
        ("complex", "'complex' is complex64; allowed: real numbers"),
        ("unwritten", "'unwritten' was never written"),
    ],
)
def test_keys_that_stand_for_no_array_of_the_file_are_refused(tmp_path, key, told):
    write(tmp_path / "other.h5", **{"g/a": fields(T, H, W)})
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["g/a"] = np.zeros((T, H, W))
        file["soft"] = h5py.SoftLink("/g/a")
        file["linked"] = h5py.ExternalLink("other.h5", "/g")
        (tmp_path / "raw.bin").write_bytes(bytes(4 * T * H * W))
        file.create_dataset(
            "raw", (T, H, W), "f4", external=[(tmp_path / "raw.bin", 0, 4 * T * H * W)]
        )
        layout = h5py.VirtualLayout((T, H, W), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "g/a", (T, H, W))
        file.create_virtual_dataset("virtual", layout)
        file["scalar"], file["null"] = 3.0, h5py.Empty("f4")
        file["text"], file["complex"] = np.full((T, 2, 2), b"x"), np.zeros((T, 2, 2), "c8")
        file.create_dataset("unwritten", (T, H, W), "f4", chunks=(1, H, W), compression="lzf")
    sources = {"own": {"file": str(path), "key": key, "reynolds": 1}}
    message = refusal(config(path, sources=sources), path)
    # What else there is in the file is listed, too.
    assert told.partition("; found: ")[0] in message
    assert told.partition("; found: ")[2] in message


@pytest.mark.parametrize(
    ("time", "lead", "told"),
    [
        (np.arange(T) ** 1.5, 1, "train, for tasks.fc: snapshots are unevenly spaced"),
        (2.0 * np.arange(T), 1, "lead 1 is not a whole multiple of the interval 2"),
        (0.4 * np.arange(T), 1, "lead 1 is not a whole multiple of the interval 0.4"),
        (1.0 * np.arange(T), 5, "train holds 10 snapshots; allowed: at least 11, for 'fc'"),
        (1.0 * np.arange(T), 2, "validation holds 4 snapshots; allowed: at least 5, for 'fc'"),
        (1.0 * np.arange(T), 1, "test holds 4 snapshots; allowed: at least 5, for 'fc.far'"),
    ],
)
def test_splits_too_short_for_a_task_are_told_before_any_work(tmp_path, time, lead, told):
    path = write(tmp_path / "data.h5", a=fields(T, H, W), t=time)
    settings = Config.model_validate(
        config(path, time="t", gap=0, splits=WHOLE | {"validation": [0.6, 0.8]}).model_dump()
        | {
            "tasks": {"fc": {"kind": "forecast", "lead": lead, "patch": 16}},
            "sample": {"snapshots": 1},
            "evaluations": {"far": {"leads": 3}},
        }
    )
    assert told in refusal(settings, path)
    assert Config.model_validate(settings.model_dump()) == settings  # every key, written out


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (np.zeros(T), "'t' does not grow: 0 at 0, 0 at 1"),
        (np.arange(T - 1), "'t' has shape (19,); allowed: (20,)"),
        (np.array([b"x"] * T), "'t' is |S1; allowed: real numbers"),
    ],
)
def test_times_that_are_none_are_refused(tmp_path, time, told):
    path = write(tmp_path / "data.h5", a=fields(T, H, W), t=time)
    assert told in refusal(config(path, time="t"), path)


def test_files_that_are_no_hdf5_are_refused(tmp_path):
    path = tmp_path / "data.nc"
    assert "cannot be read (No such file" in refusal(config(path), path)
    path.write_bytes(b"CDF\x01" + bytes(100))
    assert "NetCDF-3; allowed: NetCDF-4 or HDF5" in refusal(config(path), path)
    np.save(path.with_suffix(".npy"), fields(T, H, W))
    path.with_suffix(".npy").rename(path)
    assert "a NumPy array; allowed: NetCDF-4 or HDF5" in refusal(config(path), path)
    for content in (b"nothing of the kind", b""):
        path.write_bytes(content)
        assert "neither HDF5 nor NetCDF-4" in refusal(config(path), path)
    whole = write(tmp_path / "whole.h5", a=fields(T, H, W)).read_bytes()
    for share in (0.1, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        assert f"{path}: truncated" in refusal(config(path), path)
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in refusal(config(path), path)
    path.unlink()
    path.mkdir()
    assert "cannot be read (Is a directory)" in refusal(config(path), path)
    path.rmdir()
    path.symlink_to("nothing")
    assert "cannot be read (No such file" in refusal(config(path), path)


def test_a_damaged_chunk_is_told(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("a", data=fields(T, H, W), chunks=(1, H, W), fletcher32=True)
        place = data.id.get_chunk_info(3).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    assert "'a': cannot be read (" in refusal(config(path), path)
    assert not (tmp_path / "own_train.h5").exists()


def test_splits_of_one_source_keep_the_longest_windows_gap(tmp_path):
    path = write(tmp_path / "data.h5", a=fields(60, 16, 16))
    tasks = {"fc": {"kind": "forecast", "lead": 2, "patch": 16}}
    close = {"train": [0, 0.5], "validation": [32 / 60, 0.7], "test": [0.8, 1]}
    told = refusal(config(path, tasks=tasks, splits=close), path)
    assert "leak: train ends at time 29, validation begins at 32: 3 apart" in told
    assert "less than the gap of 4" in told
    apart = close | {"validation": [33 / 60, 0.7]}
    settings = config(path, tasks=tasks, splits=apart)
    assert check_sources(settings, lambda name: path) == (30, 16)
    paths = {split: [imported(settings, path, split).path] for split in apart}
    check_leaks(paths, gap=settings.gap)
    with pytest.raises(FlexbenchError, match=r"own_train\.h5 and .*own_validation\.h5 .* gap of 6"):
        check_leaks(paths, gap=6)


@pytest.mark.parametrize(
    ("factor", "offset", "what"),
    [(1, 0, "hold the same snapshot \\("), (0.1, 273.15, "hold the same snapshot in other units")],
)
def test_a_copied_source_under_another_name_is_a_leak(tmp_path, factor, offset, what):
    """The end of another's file, in another precision, and maybe in other units."""
    values = fields(T, H, W)
    one = write(tmp_path / "one.h5", a=values)
    two = tmp_path / "two.h5"
    with h5py.File(two, "w") as file:
        copy = values[5:].astype(np.float64) * factor + offset
        file.create_dataset("a", data=copy, compression="gzip", chunks=(1, 8, 8))
    sources = {
        name: {"file": str(tmp_path / f"{name}.h5"), "key": "a", "reynolds": 7}
        for name in ("one", "two", "three")
    }
    write(tmp_path / "three.h5", a=fields(T, H, W))
    splits = {"train": ["one"], "validation": ["three"], "test": ["two"]}
    settings = config(one, sources=sources, splits=splits)
    paths = {
        split: [imported(settings, one, split, source).path] for split, (source,) in splits.items()
    }
    with pytest.raises(FlexbenchError, match=rf"one_train\.h5 and .*two_test\.h5 {what}"):
        check_leaks(paths, gap=settings.gap)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"splits": {**WHOLE, "test": [0.65, 1]}}, "leak: splits validation"),
        ({"splits": {**WHOLE, "test": [1, 0.8]}}, "is empty; start below end"),
        ({"splits": {**WHOLE, "test": ["own"]}}, "all by parts in time"),
        ({"splits": {split: ["own"] for split in WHOLE}}, "leak: source 'own' is in both"),
        ({"splits": {split: ["ow"] for split in WHOLE}}, "no source 'ow'; allowed: own"),
        ({"axes": ["time", "y"]}, "'x' is missing"),
        ({"axes": ["time", "y", "x"], "layout": "flex"}, "layout 'flex' has its own"),
        ({"sources": {"own": {"file": "a.h5", "reynolds": 1}}}, "sources.own.key: needed"),
        ({"crop": {"y": 0, "x": 0, "size": 40}}, "must be a multiple of tasks.sr.patch (16)"),
        (
            {"tasks": {"sr": {"kind": "superres", "patch": 16, "upsampling": "spectral"}}},
            "needs periodic data",
        ),
        (
            {
                "layout": "flex",
                "crop": {"y": 0, "x": 0, "size": 32},
                "tasks": {"sr": {"kind": "superres", "patch": 16, "degradation": "spectral"}},
            },
            "needs periodic data",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, told):
    with pytest.raises(ValidationError) as caught:
        config("a.h5", **changes)
    assert told in str(caught.value)


def test_a_users_file_says_what_is_wrong_in_it(tmp_path):
    own = tmp_path / "mine.yaml"
    values = {"tier": "mine", "methods": ["flex"], "tasks": {"sr": {"kind": "superres"}}}
    for data in ({}, {"data": {"sourcs": {}}}):
        with pytest.raises(FlexbenchError) as caught:
            load_config(values | data, origins=[Origin(own.name, values | data)])
        assert "mine.yaml: " in str(caught.value) or "splits" in str(caught.value)
    with pytest.raises(FlexbenchError, match="tier 'mine' does not exist"):
        load_config({"tier": "mine"})


def test_options_that_wrap_are_left_out_with_a_reason(tmp_path):
    own = {
        "methods": ["flex", "wrapping", "interpolation", "spectral"],
        "method_settings": {
            "wrapping": {"network": "flex", "options": {"padding": "periodic"}},
            "spectral": {"network": "interpolation", "options": {"kernel": "spectral"}},
        },
    }
    settings = config("a.h5").model_dump() | own
    graph = Graph.of(Config.model_validate(settings))
    assert {job.method for job in graph.jobs} == {"flex", "interpolation"}
    assert len(graph.skipped) == 2
    assert "kernel: spectral needs periodic fields" in graph.skipped[1]
    settings["data"] = settings["data"] | {"periodic": True}
    assert not Graph.of(Config.model_validate(settings)).skipped
    settings["data"] = settings["data"] | {"crop": {"y": 0, "x": 0, "size": 32}}
    assert len(Graph.of(Config.model_validate(settings)).skipped) == 2


def test_the_example_is_in_motion_and_not_periodic(tmp_path):
    path = tmp_path / "tank.nc"
    write_example(path, snapshots=8)
    write_example(tmp_path / "again.nc", snapshots=8)
    assert path.read_bytes() == (tmp_path / "again.nc").read_bytes()
    with h5py.File(path, "r") as file:
        values = file["temperature"][()]
    assert np.abs(values[1] - values[0]).max() > 0.05
    assert values.std() > 0.5


def test_what_a_file_says_of_its_field_comes_along(tmp_path):
    path = write(tmp_path / "data.h5", a=fields(T, H + 4, W + 8), t=np.arange(T, dtype=float))
    with h5py.File(path, "r+") as file:
        file["a"].attrs["long_name"], file["a"].attrs["units"] = "sea  level\n", np.bytes_("cm")
        file["t"].attrs["units"] = "hours since 1900-01-01"
    said = imported(config(path, time="t"), path).attributes
    expected = ("sea level", "cm", "hours", 2, 33, 36, 4, 35, 40)
    assert {name: said[name] for name in schema.DESCRIPTION} == dict(
        zip(schema.DESCRIPTION, expected, strict=True)
    )


@pytest.mark.parametrize("value", [3.5, [1, 2], "", "\n", h5py.Empty("S10")])
def test_an_attribute_that_is_no_text_says_nothing(tmp_path, value):
    path = write(tmp_path / "data.h5", a=fields(T, H, W))
    with h5py.File(path, "r+") as file:
        file["a"].attrs["units"] = file["a"].attrs["long_name"] = value
    said = imported(config(path), path).attributes
    assert {"field_name", "field_units", "time_units"}.isdisjoint(said)


def test_sources_in_different_units_are_refused(tmp_path):
    names = ("one", "two", "three")
    for name, unit in zip(names, ("K", "K", "degC"), strict=True):
        with h5py.File(write(tmp_path / f"{name}.h5", a=fields(T, H, W)), "r+") as file:
            file["a"].attrs["units"] = unit
    sources = {name: {"file": f"{name}.h5", "key": "a", "reynolds": 7} for name in names}
    splits = dict(zip(("train", "validation", "test"), ([name] for name in names), strict=True))
    settings = config(tmp_path / "one.h5", sources=sources, splits=splits)
    with pytest.raises(
        FlexbenchError, match=r"`units` differ \(one K, two K, three degC\); allowed: one"
    ):
        check_sources(settings, lambda name: tmp_path / f"{name}.h5")


def test_words_make_nothing_stale_but_what_shows_them(tmp_path):
    def graph(**changes):
        return Graph.of(config(tmp_path / "a.h5", **changes))

    plain, named = graph(), graph(name="level", units="m", extent={"x": [0, 1], "y": [0, 1]})
    for made in (
        lambda g: g.step("import_data", source="own", split="train"),
        lambda g: g.step("train", training="sr", method="flex", seed=0),
        lambda g: g.step("score", case="sr", method="flex", seed=0),
    ):
        assert made(plain) == made(named)
    maps, scores = {"case": "sr", "name": "maps"}, {"case": "sr", "method": "flex", "seed": 0}
    assert plain.step("figure", **maps).slice != named.step("figure", **maps).slice
    other = graph(vorticity=True)
    assert plain.step("score", **scores).slice != other.step("score", **scores).slice


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extent": {"x": [1, 1], "y": [0, 1]}}, r"x: \[1, 1\] is empty; two different ends"),
        ({"name": "two\nlines"}, "should match pattern"),
        ({"units": ""}, "at least 1 character"),
    ],
)
def test_words_that_are_none(tmp_path, changes, message):
    with pytest.raises(ValidationError, match=message):
        config(tmp_path / "a.h5", **changes)
