"""Figures of rollouts show what stands in tables and samples."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Labels, Samples, Snapshot, write_samples
from flexbench.data.store import write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.metrics.aggregate import BY_LEAD
from flexbench.report import FIGURES, style
from flexbench.report.figures.animation import write_animation
from flexbench.report.figures.leads import draw_leads
from flexbench.report.figures.spectra import draw_spectra
from flexbench.report.labels import simulated

METHODS = ("flex", "persistence")
LEADS = np.arange(1, 7)


def table(**changes):
    rows = []
    for place, method in enumerate(METHODS):
        for score in BY_LEAD if method == "flex" else BY_LEAD[:3]:
            for lead in LEADS:
                value = (1 + place) * lead / 20
                rows.append(
                    {"method": method, "score": score, "lead": lead, "value": value}
                    | {"low": 0.9 * value, "high": 1.2 * value}
                    | changes
                )
    return pd.DataFrame(rows)


def test_lines_and_bands_are_those_of_the_table():
    with style.look(METHODS):
        figure = draw_leads(table(), lead_time=0.2, labels=simulated("w"))
        panels = {axis.get_title(): axis for axis in figure.axes if axis.get_visible()}
        assert len(panels) == len(BY_LEAD)
        rfne = panels["RFNE, mean"]
        for place, method in enumerate(METHODS):
            line = next(li for li in rfne.lines if li.get_color() == style.colour(method))
            np.testing.assert_allclose(line.get_xdata(), 0.2 * LEADS)
            np.testing.assert_allclose(line.get_ydata(), (1 + place) * LEADS / 20)
        band = rfne.collections[0].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx(1.2 * 6 / 20)


def test_the_caption_says_where_errors_end():
    with style.look(METHODS):
        top = (
            draw_leads(table(value=9.0), lead_time=0.2, labels=simulated("w")).axes[0].get_ylim()[1]
        )
    assert top < 9
    assert f"Errors above {top:g} are cut off" in FIGURES["leads"].caption


def test_without_a_finite_score_the_figure_says_so():
    figure = draw_leads(table(value=np.nan), lead_time=0.2, labels=simulated("w"))
    assert "no rollout" in figure.texts[0].get_text()


def test_spectra_of_rollouts_have_a_column_per_lead():
    k = np.arange(1, 9)
    frames = [
        pd.DataFrame({"k": k, "truth": 1.0 / k, "member_mean": 1.0 / k, "error": lead / 100 / k})
        .assign(method="flex", trajectory=f"re{reynolds:g}_seed1", index=lead, lead=lead)
        .assign(reynolds=reynolds)
        for lead in (1, 3, 6)
        for reynolds in (500.0, 1000.0)
    ]
    figure = draw_spectra(pd.concat(frames), labels=simulated("w"))
    above, below = figure.axes[:3], figure.axes[3:]
    assert [axis.get_title() for axis in above] == ["lead 1", "lead 3", "lead 6"]
    for lead, axis in zip((1, 3, 6), below, strict=True):
        np.testing.assert_allclose(axis.lines[0].get_ydata(), lead / 100)


def test_a_rollout_of_a_velocity_is_drawn_beside_that_velocity(tmp_path, monkeypatch):
    from matplotlib.image import AxesImage

    grid, leads = 32, 2
    vorticity = np.random.default_rng(3).normal(size=(leads + 2, grid, grid)).astype(np.float32)
    path = tmp_path / "re500_seed1.h5"
    times = 0.1 * np.arange(leads + 2)
    write_trajectory(path, vorticity, time=times, grid=grid, reynolds=500.0, seed=1, attributes={})
    with open_trajectory(path, "u") as trajectory:
        velocity = trajectory.whole()
    shots = [
        Snapshot(trajectory=path.stem, reynolds=500.0, seed=1, index=lead + 1, time=0.1, lead=lead)
        for lead in (1, 2)
    ]
    words = {"case": "forecast.u", "method": "flex", "mode": "denoiser", "sampler": "ddim"}
    numbers = {"training_seed": 0, "steps": 2, "parameters": 1, "flops": 1.0, "calls": 2}
    write_samples(
        tmp_path / "samples.h5",
        [velocity[shot.index][None, None] for shot in shots],
        snapshots=shots,
        shape=(1, 1, grid, grid),
        labels=Labels(**words, **numbers),
    )
    shown, set_data = [], AxesImage.set_data

    def watched(image, field):
        shown.append(np.asarray(field))
        set_data(image, field)

    monkeypatch.setattr(AxesImage, "set_data", watched)
    with Samples(tmp_path / "samples.h5") as samples:
        write_animation(
            samples,
            path,
            tmp_path / "a.gif",
            lead_time=0.1,
            labels=simulated("u"),
            observable="u",
        )
    truths, members = shown[-8::4], shown[-7::4]
    assert len(truths) == leads
    for truth, member, shot in zip(truths, members, shots, strict=True):
        np.testing.assert_array_equal(truth, velocity[shot.index])
        np.testing.assert_array_equal(truth, member)


def test_animation_has_a_picture_per_lead_and_is_small(tmp_path):
    leads, grid = 5, 64
    random = np.random.default_rng(2)
    truth = random.normal(size=(leads + 2, grid, grid)).astype(np.float32)
    path = tmp_path / "re500_seed1.h5"
    times = 0.1 * np.arange(leads + 2)
    write_trajectory(path, truth, time=times, grid=grid, reynolds=500.0, seed=1, attributes={})
    shots = [
        Snapshot(trajectory=path.stem, reynolds=500.0, seed=1, index=lead + 1, time=0.1, lead=lead)
        for lead in range(1, leads + 1)
    ]
    noise = random.normal(size=(leads, 3, 1, grid, grid))
    drawn = [
        truth[s.index] + 0.2 * s.lead * z.astype(np.float32)
        for s, z in zip(shots, noise, strict=True)
    ]
    labels = {"case": "forecast.rollout", "method": "flex", "mode": "denoiser", "sampler": "ddim"}
    numbers = {"training_seed": 0, "steps": 2, "parameters": 1, "flops": 1.0, "calls": 2}
    write_samples(
        tmp_path / "samples.h5",
        drawn,
        snapshots=shots,
        shape=(3, 1, grid, grid),
        labels=Labels(**labels, **numbers),
    )
    contents = []
    for name in ("a.gif", "b.gif"):
        with Samples(tmp_path / "samples.h5") as samples:
            write_animation(samples, path, tmp_path / name, lead_time=0.1, labels=simulated("w"))
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) < 2_000_000
    with Image.open(tmp_path / "a.gif") as animation:
        assert (animation.format, animation.n_frames) == ("GIF", leads)
    with (
        Samples(tmp_path / "samples.h5") as samples,
        pytest.raises(FlexbenchError, match="no rollout of re9_seed9"),
    ):
        write_animation(
            samples,
            tmp_path / "re9_seed9.h5",
            tmp_path / "c.gif",
            lead_time=0.1,
            labels=simulated("w"),
        )
