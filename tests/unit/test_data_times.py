"""Times that are even but for their rounding are even; others stay as they are."""

import numpy as np
import pytest
from own_files import config, imported, write

from flexbench.data.own_data import check_sources
from flexbench.data.splits import check_leaks
from flexbench.data.store import even_interval
from flexbench.data.times import evened
from flexbench.errors import FlexbenchError

COUNT = 60
INDEX = np.arange(COUNT)
FIELDS = np.random.default_rng(2).standard_normal((COUNT, 16, 16)).astype(np.float32)
SPLITS = {"train": [0, 0.6], "validation": [0.65, 0.75], "test": [0.8, 1]}

# Times as a file has them, and the interval that they were rounded from.
ROUNDED = {
    "float32, far from zero": ((50 + 0.01 * INDEX).astype("f4"), 0.01),
    "float32, a thousand": ((1000 + 0.1 * INDEX).astype("f4"), 0.1),
    "days in double": (738841 + INDEX / 24, 1 / 24),
    "float32, from zero": ((0.05 * INDEX).astype("f4"), 0.05),
    "days, six decimals": (np.round(738841 + INDEX / 24, 6), 1 / 24),
    "big-endian": ((2000 + INDEX / 3).astype(">f4"), 1 / 3),
    "float16": ((0.25 * INDEX + 0.1).astype("f2"), 0.25),
    "two decimals": (np.round(INDEX / 3, 2), 1 / 3),
    "two decimals in float32": (np.round(5 + INDEX / 3, 2).astype("f4"), 1 / 3),
    "milliseconds": (np.round(INDEX * 1000 / 30).astype("i4"), 1000 / 30),
    "float32, below zero": ((-300 + 0.02 * INDEX).astype("f4"), 0.02),
    "seconds of an epoch": ((1.7e9 + 3600 * INDEX).astype("f4"), 3600),
    "few digits": (np.round(0.7 + 0.0123 * INDEX, 3), 0.0123),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_times_are_even(tmp_path, name):
    """A forecast over two snapshots, whose gap is a window of it exactly."""
    stored, interval = ROUNDED[name]
    path = write(tmp_path / "data.h5", a=FIELDS, t=stored)
    tasks = {"fc": {"kind": "forecast", "lead": float(interval), "patch": 16}}
    close = {"train": [0, 0.6], "validation": [37 / COUNT, 0.75], "test": [46 / COUNT, 1]}
    settings = config(path, tasks=tasks, splits=close, time="t")
    assert check_sources(settings, lambda name: path) == (36, 16)
    parts = {split: imported(settings, path, split) for split in close}
    check_leaks({split: [part.path] for split, part in parts.items()}, gap=settings.gap)
    for split, first in (("train", 0), ("validation", 37), ("test", 46)):
        time = parts[split].time
        assert even_interval(time, where=split) == pytest.approx(interval, rel=1e-3)
        window = stored[first : first + len(time)].astype(float)
        assert np.abs(time - window).max() <= 0.05 * interval
    with pytest.raises(FlexbenchError, match="leak: train ends"):
        check_sources(
            config(path, tasks=tasks, splits=close | {"validation": [0.6, 0.75]}, time="t"),
            lambda name: path,
        )


def moved(share, at=30):
    time = 0.1 * INDEX.astype(float)
    time[at] += 0.1 * share
    return time


@pytest.mark.parametrize(
    "stored",
    [
        INDEX**1.5,
        (INDEX**1.01).astype("f4"),
        moved(0.3),
        moved(0.02).astype("f4"),
        moved(0.1, at=59),
        np.delete(np.arange(61), 7),
        np.cumsum([0.1, 0.2] * 30),
        np.sort(np.random.default_rng(0).uniform(0, 6, COUNT)),
        np.cumsum([0.1, 0.101] * 30),
        np.concatenate([0.5 * INDEX[:30], 15 + 0.51 * INDEX[:30]]),
    ],
)
def test_uneven_times_stay_uneven(tmp_path, stored):
    path = write(tmp_path / "data.h5", a=FIELDS, t=stored)
    tasks = {"fc": {"kind": "forecast", "lead": 0.1, "patch": 16}}
    whole = {"train": [0, 1], "validation": [0, 1], "test": [0, 1]}
    names = list(whole)
    sources = {name: {"file": str(path), "key": "a", "reynolds": 7} for name in names}
    splits = {name: [name] for name in names}
    settings = config(path, tasks=tasks, sources=sources, splits=splits, time="t", gap=0)
    with pytest.raises(FlexbenchError, match="snapshots are unevenly spaced") as caught:
        check_sources(settings, lambda name: path)
    assert str(caught.value).endswith(
        "data.interval, with data.time null, says how far apart snapshots are"
    )
    single = config(path, time="t", splits=SPLITS, gap=0)
    check_sources(single, lambda name: path)
    assert np.array_equal(imported(single, path).time, stored[:36].astype(float))


def test_even_times_stay_to_the_last_digit():
    time = 738841 + INDEX / 24
    assert evened(time, rounding=1.0) is time
    assert evened(time[:2] ** 2, rounding=1e9) is not time


def test_two_recordings_in_one_file_are_even_each(tmp_path):
    """The times of the whole are not even; those of each split are."""
    stored = np.concatenate([0.1 * INDEX[:40], 100 + 0.1 * INDEX[:20]]).astype("f4")
    path = write(tmp_path / "data.h5", a=FIELDS, t=stored)
    tasks = {"fc": {"kind": "forecast", "lead": 0.1, "patch": 16}}
    splits = {"train": [0, 0.4], "validation": [0.45, 0.66], "test": [0.7, 1]}
    settings = config(path, tasks=tasks, splits=splits, time="t")
    check_sources(settings, lambda name: path)
    test = imported(settings, path, "test")
    assert test.interval == pytest.approx(0.1, rel=1e-5)
    assert np.abs(test.time - stored[42:]).max() < 1e-5
