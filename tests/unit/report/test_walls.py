"""Figures of flows with walls: what lies outside the flow is grey, and sets no scale."""

import dataclasses

import numpy as np
import pytest
from matplotlib.image import AxesImage

from flexbench.config import Config
from flexbench.data.samples import Labels, Samples, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.report import FIGURES, style
from flexbench.report.figures import draw_figure
from flexbench.report.figures.maps import draw_maps
from flexbench.report.figures.rollout import draw_rollout
from flexbench.report.labels import simulated
from flexbench.report.receipts import ReceiptIndex
from flexbench.report.sections import page_figure
from flexbench.report.shown_rollout import rollout_of
from flexbench.report.shown_snapshot import ShownEnsemble, ShownSnapshot

from .conftest import GRID, SNAPSHOTS, copy_of

CASE = "superres_x4"
MASK = np.zeros((GRID, GRID), dtype=np.uint8)
MASK[GRID // 2 :] = 1
OUTSIDE = MASK == 1


def greys(axis):
    """Which points of a panel are covered, by the image that lies over its map."""
    assert len(axis.images) == 2, axis.get_title()
    field, cover = axis.images
    assert cover.get_extent() == field.get_extent()
    return ~np.ma.getmaskarray(cover.get_array())


def shown(beyond: float) -> ShownSnapshot:
    """A snapshot whose values outside the flow are of size `beyond`."""
    random = np.random.default_rng(7)
    fields = random.normal(size=(5, GRID, GRID))
    fields[:, OUTSIDE] *= beyond
    truth, *members = fields
    return ShownSnapshot(
        trajectory="free_slip_re500_seed100",
        reynolds=500,
        index=3,
        time=0.8,
        truth=truth,
        ensembles={
            "flex": ShownEnsemble.of(np.stack(members)),
            "interpolation": ShownEnsemble.of(fields[1:2]),
        },
        given=truth[::4, ::4],
        base=fields[2],
        mask=MASK,
    )


def draw(snapshot: ShownSnapshot):
    figure = draw_maps(snapshot, given_label="given", base_label="base", labels=simulated("w"))
    return [axis for axis in figure.axes if axis.images]


def test_every_map_is_grey_outside_the_flow():
    panels = draw(shown(1.0))
    assert len(panels) == 5 + 5 + 4
    zoomed = OUTSIDE[GRID * 3 // 8 : GRID * 5 // 8, GRID * 3 // 8 : GRID * 5 // 8]
    covered = [greys(axis) for axis in panels]
    for cover in covered:
        np.testing.assert_array_equal(cover, OUTSIDE if len(cover) == GRID else zoomed)
    assert [len(cover) for cover in covered].count(GRID // 4) == 3


def test_what_lies_outside_the_flow_sets_no_end_of_a_scale():
    quiet, loud = ([axis.images[0].get_clim() for axis in draw(shown(b))] for b in (1.0, 1e3))
    assert quiet == loud


def test_without_walls_nothing_is_grey():
    free = dataclasses.replace(shown(1.0), mask=None)
    assert {len(axis.images) for axis in draw(free)} == {1}


@pytest.fixture(scope="module")
def walled(bare, tmp_path_factory):
    """A run whose trajectory has walls."""
    inputs = copy_of(bare, tmp_path_factory.mktemp("walled"))
    for reynolds in (500.0,):
        write_trajectory(
            inputs.layout.trajectory(f"re{reynolds:g}_seed100"),
            np.ones((SNAPSHOTS, GRID, GRID), np.float32),
            time=0.5 + 0.1 * np.arange(SNAPSHOTS),
            grid=GRID,
            reynolds=reynolds,
            seed=100,
            attributes={},
            boundary="free_slip",
            mask=MASK,
        )
    return inputs


def test_the_mask_is_that_of_the_file(walled):
    figure = draw_figure("maps", walled, case=CASE)
    np.testing.assert_array_equal(greys(figure.axes[0]), OUTSIDE)


def test_captions_explain_the_grey_where_there_are_walls(walled):
    config = walled.config.model_dump() | {"evaluations": {"free_slip": {"boundary": "free_slip"}}}
    inputs = dataclasses.replace(walled, config=Config.model_validate(config))
    index = ReceiptIndex(inputs.layout, [])

    def caption(case, name):
        labels = inputs.labels(case)
        return page_figure(inputs, case, name, index, labels, title="").caption

    for name in ("maps", "rollout"):
        assert FIGURES[name].walls
        assert caption(f"{CASE}.free_slip", name) == caption(CASE, name) + FIGURES[name].walls
    assert "Grey" not in caption(CASE, "maps")


def test_animations_are_grey_outside_the_flow(tmp_path, monkeypatch):
    random = np.random.default_rng(2)
    truth = random.normal(size=(4, GRID, GRID)).astype(np.float32)
    words = {"case": "forecast", "method": "flex", "mode": "denoiser", "sampler": "ddim"}
    numbers = {"training_seed": 0, "steps": 2, "parameters": 1, "flops": 1.0, "calls": 2}
    shots = [
        Snapshot(trajectory="free", reynolds=500.0, seed=1, index=lead + 1, time=0.1, lead=lead)
        for lead in (1, 2)
    ]
    noise = random.normal(size=(2, 3, 1, GRID, GRID)).astype(np.float32)
    images = []
    set_data = AxesImage.set_data

    def watched(image, field):
        images.append(image)
        set_data(image, field)

    monkeypatch.setattr(AxesImage, "set_data", watched)
    limits = []
    for beyond in (1, 1000):
        fields, members = truth.copy(), noise.copy()
        fields[:, OUTSIDE] *= beyond
        members[..., OUTSIDE] *= beyond
        path = tmp_path / "free.h5"
        write_trajectory(
            path,
            fields,
            time=0.1 * np.arange(4),
            grid=GRID,
            reynolds=500.0,
            seed=1,
            attributes={},
            boundary="free_slip",
            mask=MASK,
        )
        write_samples(
            tmp_path / "samples.h5",
            members,
            snapshots=shots,
            shape=members.shape[1:],
            labels=Labels(**words, **numbers),
        )
        with style.look(), Samples(tmp_path / "samples.h5") as samples:
            draw_rollout(rollout_of(samples, path, lead_time=0.1), labels=simulated("w"))
        last = images[-4:]
        for image in last:
            np.testing.assert_array_equal(greys(image.axes), OUTSIDE)
        limits.append([image.get_clim() for image in last])
    assert limits[0] == limits[1]
