"""The Well's layout: written from trajectories, read by `the_well` itself, and read back."""

import shutil

import h5py
import numpy as np
import pytest
import yaml
from own_files import config, imported

from flexbench.data.own_data import check_sources
from flexbench.data.store import Trajectory, write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.well import export_well, write_well

T, N = 12, 32
# float32 holds none of these times.
TIMES = 0.1 + 0.1 * np.arange(T)
PARTS = {"train": ["a"], "validation": ["b"], "test": ["c"]}


def flow(path, seed, **own):
    fields = np.random.default_rng(seed).standard_normal((T, N, N)).astype(np.float32)
    values = {"time": TIMES, "grid": N, "reynolds": 500.0, "seed": seed, "attributes": {}} | own
    write_trajectory(path, fields, **values)
    return path


@pytest.fixture
def flows(tmp_path):
    return [flow(tmp_path / f"re500_seed{seed}.h5", seed) for seed in range(3)]


@pytest.fixture
def whole(flows, tmp_path):
    write_well(tmp_path / "data/flows.hdf5", flows, name="example")
    return tmp_path / "data/flows.hdf5"


def own(path, keys=("a", "b", "c"), **data):
    """The configuration whose sources are the trajectories of one file, in their order."""
    sources = {
        name: {"file": path.name, "trajectory": number, "reynolds": 500}
        for number, name in enumerate(keys)
    }
    values = {"layout": "well", "splits": PARTS, "periodic": True}
    return config(path, sources=sources, **(values | data))


def test_what_was_written_comes_back_to_the_bit(flows, whole):
    settings = own(whole)
    for path, (split, (source,)) in zip(flows, PARTS.items(), strict=True):
        before, after = Trajectory(path), imported(settings, whole, split=split, source=source)
        assert np.array_equal(before.whole().view(np.uint32), after.whole().view(np.uint32))
        assert np.array_equal(before.time.view(np.uint64), after.time.view(np.uint64))
        assert after.periodic


def test_a_plan_reads_it(whole):
    assert check_sources(own(whole), lambda name: whole) == (T, N)


def test_the_same_flows_give_the_same_bytes(flows, whole, tmp_path):
    write_well(tmp_path / "again.hdf5", flows, name="example")
    assert (tmp_path / "again.hdf5").read_bytes() == whole.read_bytes()


def test_the_well_reads_it(flows, whole):
    the_well = pytest.importorskip("the_well.data", reason="the package the_well is not installed")
    dataset = the_well.WellDataset(path=str(whole.parent), n_steps_input=2, n_steps_output=1)
    metadata = dataset.metadata
    assert metadata.dataset_name == "example"
    assert metadata.spatial_resolution == (N, N)
    assert metadata.n_trajectories_per_file == [3]
    assert metadata.n_steps_per_trajectory == [T]
    assert metadata.constant_scalar_names == ["Re"]
    assert metadata.boundary_condition_types == ["PERIODIC"]
    windows = T - 2
    sample = dataset[windows + 4]  # of the second trajectory
    stored = Trajectory(flows[1]).whole().transpose(0, 2, 1)
    assert np.array_equal(sample["input_fields"][..., 0].numpy(), stored[4:6])
    assert np.array_equal(sample["output_fields"][..., 0].numpy(), stored[6:7])
    assert sample["constant_scalars"].tolist() == [500.0]
    assert (
        sample["boundary_conditions"] == the_well.datasets.BoundaryCondition.PERIODIC.value
    ).all()
    assert sample["space_grid"][3, 5].tolist() == pytest.approx([6 * np.pi / N, 10 * np.pi / N])


def test_walls_are_a_constant_field(tmp_path):
    mask = np.zeros((N, N), dtype=np.uint8)
    mask[:3, :] = 1
    path = flow(tmp_path / "wall.h5", 1, boundary="no_slip", mask=mask)
    write_well(tmp_path / "wall.hdf5", [path], name="example")
    with h5py.File(tmp_path / "wall.hdf5") as file:
        assert list(file["t0_fields"].attrs["field_names"]) == ["vorticity", "mask"]
        assert np.array_equal(file["t0_fields/mask"][()].T, mask)
        assert not file["t0_fields/mask"].attrs["time_varying"]
    # Which field is meant needs no saying: one alone varies in time.
    settings = own(tmp_path / "wall.hdf5", keys=("a",), splits=PARTS_IN_TIME)
    assert imported(settings, tmp_path / "wall.hdf5", source="a").grid == N


PARTS_IN_TIME = {"train": [0, 0.5], "validation": [0.6, 0.7], "test": [0.8, 1]}


# --- files that others wrote ----------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path):
    """A file as The Well's specification has it: float32 times, rows first, a vector."""
    random = np.random.default_rng(0)
    path = tmp_path / "foreign.hdf5"
    with h5py.File(path, "w") as file:
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["y", "x"]
        dimensions["time"] = TIMES.astype(np.float32)
        dimensions["y"] = np.arange(32, dtype=np.float32)
        dimensions["x"] = np.arange(48, dtype=np.float32)
        for axis, kind in (("x", "PERIODIC"), ("y", "WALL")):
            edge = file.create_group(f"boundary_conditions/{axis}")
            edge.attrs["associated_dims"] = [axis]
            edge.attrs["bc_type"] = kind
        for group, names in (("t0_fields", ("buoyancy", "pressure")), ("t1_fields", ("velocity",))):
            for name in names:
                shape = (2, T, 32, 48) + ((2,) if group == "t1_fields" else ())
                values = random.standard_normal(shape).astype(np.float32)
                field = file.create_dataset(f"{group}/{name}", data=values)
                field.attrs["sample_varying"] = field.attrs["time_varying"] = True
                field.attrs["dim_varying"] = [True, True]
        field.attrs["nothing"] = 0
    return path


def one(path, key, trajectory=1, **data):
    own = {"file": path.name, "key": key, "trajectory": trajectory, "reynolds": 3}
    return config(path, sources={"own": own}, layout="well", splits=PARTS_IN_TIME, **data)


@pytest.mark.parametrize(
    ("key", "channel"), [("t0_fields/pressure", None), ("t1_fields/velocity", 1)]
)
def test_a_file_of_others_is_read_as_it_says(foreign, key, channel):
    found = imported(one(foreign, key, channel=channel), foreign)
    with h5py.File(foreign) as file:
        values = file[key][1, :6, :, 8:40]
        expected = values if channel is None else values[..., channel]
    assert np.array_equal(found.whole(), expected)
    assert list(found.time) == pytest.approx(TIMES[:6], abs=1e-7)
    assert not found.periodic


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        (None, None, "which field is meant .*found: t0_fields/buoyancy, t0_fields/pressure"),
        (None, "dimensions/time", "none of the fields allowed"),
        ({"time_varying": False}, "t0_fields/pressure", "constant along an axis"),
        ({"dim_varying": [True, False]}, "t0_fields/pressure", "constant along an axis"),
        ({"sample_varying": False}, "t0_fields/pressure", r"allowed: \(time, y, x\)"),
    ],
)
def test_what_does_not_fit_is_told(foreign, change, key, told):
    with h5py.File(foreign, "r+") as file:
        for name, value in (change or {}).items():
            file["t0_fields/pressure"].attrs[name] = value
    with pytest.raises(FlexbenchError, match=told):
        imported(one(foreign, key), foreign)


def test_a_dimension_more_and_a_trajectory_that_is_not_there_are_told(foreign):
    settings = one(foreign, "t0_fields/pressure", trajectory=2)
    with pytest.raises(FlexbenchError, match=r"holds 2 trajectories; .*is 2; allowed: 0 to 1"):
        imported(settings, foreign)
    with h5py.File(foreign, "r+") as file:
        file["dimensions"].attrs["spatial_dims"] = ["x", "y", "z"]
    with pytest.raises(FlexbenchError, match="has dimensions x, y, z; allowed: two"):
        imported(one(foreign, "t0_fields/pressure"), foreign)


def test_edges_are_not_wrapped_around(foreign):
    settings = one(foreign, "t0_fields/pressure", periodic=True)
    with pytest.raises(FlexbenchError, match="boundary in y is wall"):
        imported(settings, foreign)
    with pytest.raises(FlexbenchError, match="boundary in y is wall"):
        check_sources(settings, lambda name: foreign)


def test_one_trajectory_is_all_that_other_layouts_have(tmp_path):
    source = {"own": {"file": "a.h5", "key": "a", "trajectory": 0, "reynolds": 1}}
    with pytest.raises(ValueError, match="layout 'custom' has one in a file"):
        config(tmp_path / "a.h5", sources=source)


# --- the verb -------------------------------------------------------------------------------


def test_a_run_goes_out_with_its_splits(made, tiny_graph, tmp_path, entry):
    graph = tiny_graph(made)
    config_file = made / "smoke/config.yaml"
    words = ("export", tmp_path / "well", "--format", "well", "--resolved", config_file)
    code, out, errors = entry(*words, "--set", f"root={made}")
    assert (code, errors) == (0, [])
    assert "3 trajectories in 3 files" in out
    folder = tmp_path / "well"
    assert {path.parent.name for path in folder.rglob("*.hdf5")} == {"train", "valid", "test"}
    found = yaml.safe_load((folder / "stats.yaml").read_text())
    values = Trajectory(graph.trajectories("train")[0]).whole().astype(np.float64)
    assert found["std"]["vorticity"] == pytest.approx(values.std())
    assert found["rms_delta"]["vorticity"] == pytest.approx(
        np.sqrt((np.diff(values, axis=0) ** 2).mean())
    )
    code, _, errors = entry(*words, "--force")
    assert code == 1
    assert "of --format crate alone" in errors[0]


def test_a_file_that_changed_stays_here(made, tiny_graph, tmp_path):
    shutil.copytree(made, tmp_path / "results")
    graph = tiny_graph(tmp_path / "results")
    path = graph.trajectories("train")[0]
    with h5py.File(path, "r+") as file:
        file["w"][0, 0, 0] += 1
    with pytest.raises(FlexbenchError, match="is not the file of"):
        export_well(graph, tmp_path / "well")
    assert not (tmp_path / "well").exists()
