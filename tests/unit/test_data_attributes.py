"""Attributes of foreign files mean the same however they are spelled."""

import h5py
import numpy as np
import pytest
from own_files import H, T, W, config, imported, write

from flexbench.data.attributes import text_of
from flexbench.data.own_data import check_sources
from flexbench.errors import FlexbenchError

VALUES = np.arange(T * H * W).reshape(T, H, W) % 251


def spelled(text):
    """The same text in all the ways that files have it."""
    raw = text.encode()
    return {
        "text": text,
        "bytes": np.bytes_(raw),
        "blanks": f"  {text} ",
        "padded": np.array(raw + bytes(5), dtype=f"S{len(raw) + 5}"),
        "list": np.array([text], dtype=h5py.string_dtype()),
        "list of bytes": np.array([raw]),
        "list of ASCII": np.array([text], dtype=h5py.string_dtype("ascii")),
        "table": np.array([[raw]]),
        "line end": f"{text}\n",
        "fixed UTF-8": np.array(raw, dtype=h5py.string_dtype(length=len(raw))),
    }


SPELLINGS = list(spelled("x"))


@pytest.mark.parametrize("way", SPELLINGS)
def test_text_is_read_in_any_spelling(tmp_path, way):
    path = write(tmp_path / "data.h5", a=VALUES)
    with h5py.File(path, "r+") as file:
        file["a"].attrs["units"] = spelled("m s-1")[way]
    with h5py.File(path, "r") as file:
        assert text_of(file["a"], "units") == "m s-1"
    assert imported(config(path), path).attributes["field_units"] == "m s-1"


def test_latin_text_is_read(tmp_path):
    path = write(tmp_path / "data.h5", a=VALUES)
    with h5py.File(path, "r+") as file:
        file["a"].attrs["units"] = np.bytes_("°C".encode("latin-1"))
        file["a"].attrs["long_name"] = np.array("°C".encode("latin-1"), h5py.string_dtype())
    with h5py.File(path, "r") as file:
        assert text_of(file["a"], "units") == text_of(file["a"], "long_name") == "°C"


@pytest.mark.parametrize("way", SPELLINGS)
@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_integers_that_are_meant_as_unsigned(tmp_path, way, word):
    path = write(tmp_path / "data.nc", a=VALUES.astype("u1").view("i1"))
    with h5py.File(path, "r+") as file:
        file["a"].attrs["_Unsigned"] = spelled(word)[way]
        file["a"].attrs["scale_factor"] = 0.1
    wanted = (VALUES[:10] * 0.1).astype("f4")
    assert np.array_equal(imported(config(path), path).whole(), wanted)


@pytest.mark.parametrize(
    ("dtype", "word", "meant"),
    [
        ("u1", "false", "i1"),
        ("u1", "False ", "i1"),
        (">u2", "FALSE", ">i2"),
        ("u1", "true", "u1"),
        ("i1", "false", "i1"),
        (">i2", "true", ">u2"),
        ("i4", "TRUE", "u4"),
        ("f4", "true", "f4"),
    ],
)
def test_what_integers_are_meant_as(tmp_path, dtype, word, meant):
    stored = (VALUES * 257 % 65521).astype("i8").astype(dtype)
    path = write(tmp_path / "data.nc", a=stored)
    with h5py.File(path, "r+") as file:
        file["a"].attrs["_Unsigned"] = word
    assert np.array_equal(imported(config(path), path).whole(), stored.view(meant)[:10])
    with h5py.File(path, "r+") as file:
        file["a"].attrs["_FillValue"] = stored[3, 4, 5]
    with pytest.raises(FlexbenchError, match="'_FillValue'"):
        imported(config(path), path)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("_Unsigned", "perhaps", "attribute '_Unsigned' is 'perhaps'; allowed: true, false"),
        ("_Unsigned", 1, r"attribute '_Unsigned' is np.int64\(1\); allowed: true, false"),
        ("_Unsigned", [b"true", b"true"], "attribute '_Unsigned' is array"),
        ("scale_factor", [0.1, 0.2], "attribute 'scale_factor' is array.*allowed: numbers, 1 of"),
        ("add_offset", "3", "attribute 'add_offset' is '3'; allowed: numbers, 1 of them"),
        ("_FillValue", "x", "attribute '_FillValue' is 'x'; allowed: numbers"),
        ("valid_range", 3.0, "attribute 'valid_range' is np.float64.*allowed: numbers, 2 of them"),
        ("valid_min", [1, 2], "attribute 'valid_min' is array.*allowed: numbers, 1 of them"),
    ],
)
def test_attributes_of_no_meaning_are_refused(tmp_path, name, value, told):
    path = write(tmp_path / "data.nc", a=VALUES.astype("u1"))
    with h5py.File(path, "r+") as file:
        file["a"].attrs[name] = value
    with pytest.raises(FlexbenchError, match=f"data.nc: 'a': {told}"):
        check_sources(config(path), lambda name: path)


@pytest.fixture
def three_sources(tmp_path):
    """Settings of three sources, one a split, each with these units of values and of times."""

    def made(units, clocks, times=(range(T),) * 3, **more):
        names = ("one", "two", "three")
        for name, unit, clock, time in zip(names, units, clocks, times, strict=True):
            with h5py.File(write(tmp_path / f"{name}.h5", a=VALUES, t=time), "r+") as file:
                for key, said in (("a", unit), ("t", clock)):
                    if said is not None:
                        file[key].attrs["units"] = said
        sources = {name: {"file": f"{name}.h5", "key": "a", "reynolds": 7} for name in names}
        splits = dict(zip(("train", "validation", "test"), ([n] for n in names), strict=True))
        settings = config(tmp_path, sources=sources, splits=splits, time="t", **more)
        return check_sources(settings, lambda name: tmp_path / f"{name}.h5")

    return made


@pytest.mark.parametrize("way", SPELLINGS)
def test_units_of_sources_are_compared_as_they_are_read(three_sources, way):
    clock = spelled("hours since 1900-01-01")[way]
    three_sources(("m s-1", spelled("m s-1")[way], b"m  s-1"), (clock, "Hour", ["hours"]))
    with pytest.raises(FlexbenchError, match=r"`units` differ \(one K, two x, three K\)"):
        three_sources(("K", spelled("x")[way], "K"), ("s", "s", "s"))
    with pytest.raises(FlexbenchError, match=r"`units` of 't' differ \(one s, two hours, three s"):
        three_sources(("K", "K", "K"), ("s", clock, "s"))


@pytest.mark.parametrize(
    ("units", "clocks"),
    [
        (("K", "k", "K"), ("s",) * 3),
        (("Pa", None, "Pa"), ("s",) * 3),
        (("mW", "MW", "MW"), ("s",) * 3),
        (("K",) * 3, ("s", None, "s")),
        (("K",) * 3, ("ms", "Ms", "Ms")),
        (("K",) * 3, ("m", "ms", "m")),
        (("K",) * 3, ("days since 2000-1-1", "hours since 2000-1-1", "days")),
        ((None, None, "1"), (None,) * 3),
    ],
)
def test_units_that_differ_are_refused(three_sources, units, clocks):
    with pytest.raises(FlexbenchError, match=r"^data.sources: attributes `units` .*allowed: one$"):
        three_sources(units, clocks)


def test_a_lead_is_as_many_snapshots_in_all_sources(three_sources):
    forecast = {"tasks": {"fc": {"kind": "forecast", "lead": 2, "patch": 16}}}
    same = (None,) * 3
    once, twice = np.arange(T), 2 * np.arange(T)
    three_sources(same, same, (once, once + 0.5, once), **forecast)
    three_sources(same, same, (once, once, twice))  # single snapshots need no interval
    with pytest.raises(FlexbenchError, match=r"three.h5: test, for tasks.fc: a lead is 1 snap.*, "):
        three_sources(same, same, (once, once, twice), **forecast)
