"""Leaks between splits."""

import shutil

import h5py
import numpy as np
import pytest

from flexbench.data.dummy import write_dummy
from flexbench.data.splits import check_leaks
from flexbench.errors import FlexbenchError


def make(path, *, seed, start=0.5, reynolds=500):
    write_dummy(path, grid=16, times=start + np.arange(3) * 0.1, reynolds=reynolds, seed=seed)
    return path


def test_separate_runs_pass(tmp_path):
    one, two = make(tmp_path / "a.h5", seed=0), make(tmp_path / "b.h5", seed=1)
    three = make(tmp_path / "c.h5", seed=0, reynolds=600)
    check_leaks({"train": [one, one], "validation": [two], "test": [three]})


@pytest.mark.parametrize("start", [0.6, 7.0])
def test_one_run_in_two_splits_is_a_leak(tmp_path, start):
    one, other = make(tmp_path / "a.h5", seed=0), make(tmp_path / "b.h5", seed=0, start=start)
    with pytest.raises(FlexbenchError, match="leak between train and test") as caught:
        check_leaks({"train": [one], "test": [other]})
    for part in (str(one), str(other), "Re 500, seed 0", "times 0.5 to 0.7", f"and {start:g} to"):
        assert part in str(caught.value)


def test_one_initial_field_under_two_reynolds_numbers_is_a_leak(tmp_path):
    one = make(tmp_path / "a.h5", seed=0, start=0.0)
    other = make(tmp_path / "b.h5", seed=0, start=0.0, reynolds=600)
    with pytest.raises(FlexbenchError, match="the same first snapshot"):
        check_leaks({"train": [one], "test": [other]})


def test_a_copy_under_another_seed_is_a_leak(tmp_path):
    one, other = make(tmp_path / "a.h5", seed=0), tmp_path / "b.h5"
    shutil.copy(one, other)
    with h5py.File(other, "r+") as file:
        file.attrs["seed"] = 9
    with pytest.raises(FlexbenchError, match=r"a\.h5 and .*b\.h5 hold the same first snapshot"):
        check_leaks({"train": [one], "validation": [], "test": [other]})
