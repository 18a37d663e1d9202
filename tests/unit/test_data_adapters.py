"""Foreign layouts: what they hold arrives as it is, and what is wrong is told in one line."""

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from flexbench.config import Config
from flexbench.data.adapters import check_sources, import_part
from flexbench.data.check import check_trajectory
from flexbench.data.example import write_example
from flexbench.data.splits import check_leaks
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.tiers import load_config

RNG = np.random.default_rng(5)
T, H, W = 20, 32, 32
WHOLE = {"train": [0, 0.5], "validation": [0.6, 0.7], "test": [0.8, 1]}


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values)
    return path


def config(path, *, tasks=None, sources=None, **data):
    key = {"key": "a"} if data.get("layout", "custom") == "custom" else {}
    values = {
        "methods": ["flex"],
        "tasks": tasks or {"sr": {"kind": "superres", "patch": 16}},
        "data": {
            "sources": sources or {"own": {"file": str(path), "reynolds": 7, **key}},
            "splits": WHOLE,
            **data,
        },
    }
    return Config.model_validate(values)


def imported(settings, path, split="train", source="own"):
    """The trajectory that an import writes; it has to be in the format."""
    file = settings.data.sources[source].file
    out = path.parent / f"{source}_{split}.h5"
    import_part(
        settings.data,
        source=source,
        split=split,
        file=path.parent / file,
        path=out,
        side_step=settings.side_step,
    )
    assert check_trajectory(out) == []
    return Trajectory(out)


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
    assert told == f"{path}: '{key}': snapshot 3 holds a value that is not finite"
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
    found = imported(settings, path)
    expected = ((values[:10, 1, 5:37, 9:41] - 2.0) / 4.0).astype(np.float32)
    assert np.array_equal(found.whole(), expected)
    assert not found.periodic  # a part of a periodic field is none


def test_without_a_crop_the_largest_centred_square_is_used(tmp_path):
    values = fields(T, 37, 50)
    path = write(tmp_path / "data.h5", a=values)
    assert np.array_equal(imported(config(path), path).whole(), values[:10, 2:34, 9:41])


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
    assert "snapshot 4 holds a value that is not finite" in refusal(settings, path)


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
    path.write_bytes(b"nothing of the kind")
    assert "not a readable HDF5 file" in refusal(config(path), path)


def test_splits_of_one_source_keep_the_longest_windows_gap(tmp_path):
    path = write(tmp_path / "data.h5", a=fields(T, H, W))
    tasks = {"fc": {"kind": "forecast", "lead": 2, "patch": 16}}
    told = refusal(config(path, tasks=tasks), path)
    assert "leak: train ends at time 9, validation begins at 12: 3 apart" in told
    assert "less than the gap of 4" in told
    apart = {"train": [0, 0.4], "validation": [0.6, 0.65], "test": [0.85, 1]}
    settings = config(path, tasks=tasks, splits=apart)
    assert check_sources(settings, lambda name: path) == (8, 32)
    paths = {split: [imported(settings, path, split).path] for split in apart}
    check_leaks(paths, gap=settings.gap)
    with pytest.raises(FlexbenchError, match=r"own_train\.h5 and .*own_validation\.h5 .* gap of 6"):
        check_leaks(paths, gap=6)


def test_a_copied_source_under_another_name_is_a_leak(tmp_path):
    values = fields(T, H, W)
    one = write(tmp_path / "one.h5", a=values)
    two = tmp_path / "two.h5"
    with h5py.File(two, "w") as file:
        file.create_dataset("a", data=values[5:], compression="gzip", chunks=(1, 8, 8))
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
    with pytest.raises(FlexbenchError, match=r"one_train\.h5 and .*two_test\.h5 hold the same"):
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
            load_config(values | data, origin=own)
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
    graph = Graph(Config.model_validate(settings))
    assert {job.method for job in graph.jobs} == {"flex", "interpolation"}
    assert len(graph.skipped) == 2
    assert "kernel: spectral needs periodic fields" in graph.skipped[1]
    settings["data"] = settings["data"] | {"periodic": True}
    assert not Graph(Config.model_validate(settings)).skipped


def test_the_example_is_in_motion_and_not_periodic(tmp_path):
    path = tmp_path / "tank.nc"
    write_example(path, snapshots=8)
    write_example(tmp_path / "again.nc", snapshots=8)
    assert path.read_bytes() == (tmp_path / "again.nc").read_bytes()
    with h5py.File(path, "r") as file:
        values = file["temperature"][()]
    assert np.abs(values[1] - values[0]).max() > 0.05
    assert values.std() > 0.5
