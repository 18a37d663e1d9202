"""Domains of own data that are no square of side 2 pi: what counts of them, and what does not."""

import numpy as np
import pytest
from own_files import H, T, W, config, write

from flexbench.data.own_data import check_sources
from flexbench.errors import FlexbenchError
from flexbench.metrics.snapshot_scores import score_snapshot
from flexbench.report.figures.spectra import _density_label
from flexbench.report.labels import of_own_data, simulated

SIDE = 2 * np.pi
FIELDS = np.random.default_rng(4).standard_normal((T, H, W)).astype(np.float32)


def flow(path, extent, **changes):
    return config(path, layout="flex", extent=extent, **changes)


@pytest.mark.parametrize(
    ("x", "y", "changes", "told"),
    [
        ([0, SIDE], [0, SIDE], {}, None),
        ([0, 30], [0, 30], {}, None),
        ([0, 30], [15, -15], {}, None),
        ([0, 29.99], [0, 30], {}, None),
        ([0, 2], [0, 1], {}, "0.0625 apart in x, 0.03125 in y"),
        ([0, 1], [1, -1], {}, "0.03125 apart in x, 0.0625 in y"),
        ([0, 30], [0, 31], {}, "0.9375 apart in x, 0.96875 in y"),
        ([0, 2], [0, 1], {"vorticity": False}, None),
        ([0, 2], [0, 1], {"periodic": False}, None),
        ([0, 2], [0, 1], {"channel": 0}, None),
        ([0, 2], [0, 1], {"crop": {"y": 0, "x": 0, "size": 16}}, None),
    ],
)
def test_energy_needs_points_that_are_equally_far_apart(tmp_path, x, y, changes, told):
    values = np.stack([FIELDS] * 3, axis=1) if "channel" in changes else FIELDS
    path = write(tmp_path / "data.h5", w=values)
    settings = flow(path, {"x": x, "y": y}, **changes)
    if told is None:
        check_sources(settings, lambda name: path)
        return
    with pytest.raises(FlexbenchError) as caught:
        check_sources(settings, lambda name: path)
    assert told in str(caught.value)
    assert "write data.vorticity: false" in str(caught.value)


@pytest.mark.parametrize("side", [1.0, SIDE, 30e3])
def test_scores_do_not_depend_on_the_side(side):
    """The same flow in another unit of length and of time: all but its own units stays."""
    rng = np.random.default_rng(1)
    truth, noise = rng.standard_normal((2, 32, 32))
    ensemble = (truth + 0.1 * noise)[None]
    of_the_box, _ = score_snapshot(ensemble, truth, bands=4)
    elsewhere, _ = score_snapshot(ensemble / side, truth / side, bands=4)
    for name in ("energy_error", "enstrophy_error", "rfne_mean"):
        assert elsewhere[name, ""] == pytest.approx(of_the_box[name, ""], rel=1e-9)


def test_energy_is_labelled_in_units_of_the_side():
    data = config("a.h5", layout="flex", units="1/s").data
    assert "[(1/s × side / 2π)²]" in _density_label(of_own_data(data, {"periodic": True}))
    assert "[(K)²]" in _density_label(
        of_own_data(
            config("a.h5", layout="custom", units="K").data,
            {
                "described": {
                    **{"first_row": 0, "last_row": 31, "rows": 32},
                    **{"first_column": 0, "last_column": 31, "columns": 32},
                }
            },
        )
    )
    assert "velocity² × length unit" in _density_label(simulated("w"))
