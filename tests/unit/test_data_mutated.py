"""Hundreds of foreign files, each off in one way, are read right or refused in one line.

What is right, NetCDF's own library says, which reads the same files in a process of its own.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mutated_files import HEALTHY, MUTANTS, TIMES, Mutant
from own_files import config

from flexbench.data.adapters import import_part
from flexbench.data.own_data import check_sources
from flexbench.data.store import Trajectory
from flexbench.errors import FlexbenchError

READER = Path(__file__).parents[1] / "netcdf_reader.py"
TRAIN = slice(0, 10)
# What the library itself writes (`netcdf_reader.make`), and what has to come of it.
OWN = {
    **{f"whole {kind}": "right" for kind in ("f4", "f8 zlib", "i2 fixed", "u1", "i1 nofill")},
    **{f"part {kind}": "refused" for kind in ("f4", "f8 zlib", "i2 fixed", "u2", "i8", "f4 fixed")},
    **{f"part {kind}": "refused" for kind in ("i1 fill", "u1 fill fixed")},
    **{f"packed {kind}": "right" for kind in ("i2", "u1 zlib fill")},
    **{f"masked {kind}": "refused" for kind in ("f4", "i2 fill")},
}
FROM_NETCDF = {"axes": ["time", "y", "x"], "time": "time"}
FILES = MUTANTS | {
    f"netCDF4: {name}": Mutant(lambda path: None, expected, FROM_NETCDF)
    for name, expected in OWN.items()
}


@dataclass
class Outcome:
    """Of one file: one line by looking before any work and by the import, or what was read."""

    lines: list[str]
    train: Trajectory | None
    asked: dict[str, int]  # jobs of the other reader: the array's and the times'


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutants")
    words = [sys.executable, READER, folder, json.dumps(list(OWN))]
    if find_spec("netCDF4") is None:
        return folder, {name: outcome(path_of(folder, name), FILES[name], []) for name in MUTANTS}
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as reader:
        assert reader.stdout.readline() == "made\n"
        jobs = []
        found = {name: outcome(path_of(folder, name), FILES[name], jobs) for name in FILES}
        reader.communicate(json.dumps(jobs) + "\n", timeout=120)
    assert reader.returncode == 0
    return folder, found


def path_of(folder, name):
    if name in MUTANTS:
        return folder / f"{list(MUTANTS).index(name):03d}.h5"
    return folder / f"own{list(OWN).index(name.removeprefix('netCDF4: '))}.nc"


def outcome(path, mutant, jobs):
    """Make the file and bring it in; note what the other reader is to be asked."""
    mutant.make(path)
    settings = config(path, **mutant.settings)
    lines, train, asked = [], None, {}
    try:
        check_sources(settings, lambda name: path)
    except FlexbenchError as error:
        lines.append(str(error))
    try:
        train = imported_as_it_is(settings, path, "train")
        # What is read is compared for one split: the others have to hold what is refused.
        for split in ("validation", "test") if lines else ():
            imported_as_it_is(settings, path, split)
    except FlexbenchError as error:
        lines.append(str(error))
    if not lines:
        for name in ("a", settings.data.time):
            if name is not None and (name != "a" or mutant.truth is None):
                asked[name] = len(jobs)
                jobs.append((str(path), name))
    return Outcome(lines, train, asked)


def imported_as_it_is(settings, path, split):
    """What an import writes; that it is in the format, other tests see to."""
    out = path.with_suffix(f".{split}")
    step = settings.side_step
    import_part(settings.data, source="own", split=split, file=path, path=out, side_step=step)
    return Trajectory(out)


def close(found, wanted):
    wanted = np.ma.filled(wanted, np.nan)
    return np.abs(found - wanted).max() <= 1e-6 * max(1.0, np.abs(wanted).max())


def read_by_the_other(folder, job):
    """Values, masked where they are missing; None where the other reader cannot read them."""
    if not (folder / f"{job}.mask.npy").exists():
        return None
    return np.ma.array(np.load(folder / f"{job}.npy"), mask=np.load(folder / f"{job}.mask.npy"))


def as_snapshots(values, settings):
    """(T, H, W), as the settings say, by other means than the adapter's."""
    axes = list(settings.get("axes", ("time", "y", "x")))
    if "channel" in axes:
        values = np.ma.take(values, settings["channel"], axis=axes.index("channel"))
        axes.remove("channel")
    return values.transpose([axes.index(axis) for axis in ("time", "y", "x")])


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_right_or_refused(outcomes, name):
    folder, found = outcomes
    if name not in found:
        pytest.skip("netCDF4 is not installed: it writes this file")
    mutant, here = FILES[name], found[name]
    path = path_of(folder, name)
    # The import and the plan say the same; the plan goes on with where the file is whole.
    first = min(here.lines, key=len, default="")
    assert len(here.lines) in (0, 2)
    assert all(line.startswith(first) for line in here.lines)
    assert all(line.startswith(str(path)) and line.isprintable() for line in here.lines)
    if mutant.expected != "either":
        assert mutant.expected == ("refused" if here.lines else "right"), here.lines
    if here.lines:
        return
    if here.asked and find_spec("netCDF4") is None:
        pytest.skip("netCDF4 is not installed: nobody else to ask")
    truth = mutant.truth
    if "a" in here.asked:
        read = read_by_the_other(folder, here.asked["a"])
        # It may not read damaged files at all; then nothing but the healthy values is right.
        assert read is not None or mutant.expected == "either"
        truth = HEALTHY if read is None else as_snapshots(read, mutant.settings)
    time = np.arange(float(len(truth)))
    if "time" in mutant.settings:
        read = read_by_the_other(folder, here.asked[mutant.settings["time"]])
        assert read is not None or mutant.expected == "either"
        time = TIMES if read is None else read
    assert close(here.train.whole(), truth[TRAIN])
    assert close(here.train.time, time[TRAIN])


def test_there_are_enough_files():
    assert len(FILES) >= 200
    kinds = {kind: sum(m.expected == kind for m in FILES.values()) for kind in ("right", "refused")}
    assert min(kinds.values()) >= 80
