"""Figures of samples, spectra and logs: what is drawn is what stands in the files."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import AxesImage

from flexbench.config import Config
from flexbench.data.observe import open_trajectory
from flexbench.data.samples import Labels, Samples, Snapshot, write_samples
from flexbench.data.store import Trajectory, write_trajectory
from flexbench.errors import FlexbenchError
from flexbench.report import style
from flexbench.report.figures import draw_figure
from flexbench.report.figures.loss import draw_loss
from flexbench.report.figures.maps import draw_maps
from flexbench.report.figures.rollout import draw_rollout
from flexbench.report.figures.spectra import draw_spectra
from flexbench.report.inputs import read_log
from flexbench.report.labels import simulated
from flexbench.report.shown_rollout import rollout_of
from flexbench.report.shown_snapshot import shown_snapshot

from .conftest import FIRST, copy_of
from .drawn import lines_of, words

CASE, ROLLOUT = "superres_x4", "forecast.rollout"
METHODS = ["flex", "unet", "interpolation"]


@pytest.fixture(autouse=True)
def looks(usual):
    with style.look(usual.config.methods):
        yield


def images(figure):
    """The map of each panel that has one."""
    return [axis.images[0] for axis in figure.axes if axis.images]


def test_maps_show_the_fields_of_the_files(usual):
    figure = draw_figure("maps", usual, case=CASE)
    snapshot = shown_snapshot(usual, CASE)
    assert snapshot is not None
    with Trajectory(usual.layout.trajectory(snapshot.trajectory)) as trajectory:
        truth = trajectory.snapshot(FIRST)
    given = truth.reshape(12, 4, 12, 4).mean(axis=(1, 3))
    flow, panels = images(figure)[:5], images(figure)[5:]
    middle = np.s_[18:30, 18:30]
    np.testing.assert_array_equal(flow[0].get_array(), truth)
    np.testing.assert_array_equal(flow[1].get_array(), truth[middle])
    base = np.asarray(flow[2].get_array())
    assert base.shape == truth.shape
    np.testing.assert_allclose(flow[3].get_array(), np.abs(base - truth))
    np.testing.assert_allclose(flow[4].get_array(), given, rtol=1e-4, atol=1e-4)
    for method in METHODS:
        with Samples(usual.layout.samples(CASE, method, 0)) as samples:
            (row,) = [
                i for i, s in enumerate(samples.snapshots) if s.trajectory == "re2000_seed100"
            ]
            members = samples.ensemble(row)[:, 0]
        shown = [np.asarray(panels.pop(0).get_array()) for _ in range(5 if len(members) > 1 else 4)]
        np.testing.assert_array_equal(shown[0], members[0])
        np.testing.assert_array_equal(shown[1], members[0][middle])
        np.testing.assert_allclose(shown[2], members.mean(axis=0))
        np.testing.assert_allclose(shown[3], np.abs(members.mean(axis=0) - truth))
        if len(members) > 1:
            np.testing.assert_allclose(shown[4], members.std(axis=0, ddof=1))
    assert not panels
    assert words(figure).count("no spread") == 1, "the formula's"
    assert "re2000_seed100: Re = 2000, t = 0.8 time units" in words(figure)


def test_maps_share_their_limits(usual):
    shown = images(draw_figure("maps", usual, case=CASE))
    signed = [image for image in shown if image.get_cmap().name == style.SIGNED_MAP]
    amount = [image for image in shown if image.get_cmap().name == style.AMOUNT_MAP]
    assert len(signed) + len(amount) == len(shown)
    ((low, high),) = {image.get_clim() for image in signed}
    assert low == -high
    # Errors share one, the base's too, and spreads, which may be far smaller, another.
    errors, spreads = amount[:1] + amount[1::2], amount[2::2]
    assert (len(errors), len(spreads)) == (4, 2)
    for group in (errors, spreads):
        ((bottom, _),) = {image.get_clim() for image in group}
        assert bottom == 0
    assert spreads[0].get_clim() != errors[0].get_clim()


def test_a_zoomed_map_lies_where_its_frame_is(usual):
    figure = draw_figure("maps", usual, case=CASE)
    truth, zoomed = figure.axes[:2]
    (frame,) = truth.patches
    (left, right), (bottom, top) = zoomed.get_xlim(), zoomed.get_ylim()
    assert frame.get_bbox().extents == pytest.approx((left, bottom, right, top))
    assert zoomed.images[0].get_extent() == pytest.approx((left, right, bottom, top))


def test_more_methods_than_fit_side_by_side_go_on_below(usual):
    snapshot = shown_snapshot(usual, CASE)
    many = {f"m{number}": snapshot.ensembles["flex"] for number in range(7)}
    figure = draw_maps(
        dataclasses.replace(snapshot, ensembles=many),
        given_label="given",
        base_label="base",
        labels=simulated("w"),
    )
    places = [axis.get_position() for axis in figure.axes[:40]]
    assert len(images(figure)) == 5 + 7 * 5
    assert all(place.x0 > 0 and place.x1 < 1 and place.y0 > 0 for place in places)
    assert places[35].y1 < places[34].y0, "the last begins below the others"
    assert places[35].x0 == places[5].x0


def test_forecasts_show_the_past(usual):
    for case, ahead in (("forecast", 0), (ROLLOUT, 1)):
        snapshot = shown_snapshot(usual, case)
        assert snapshot is not None
        assert snapshot.index == FIRST + ahead, "the middle one"
        with Trajectory(usual.layout.trajectory(snapshot.trajectory)) as trajectory:
            np.testing.assert_array_equal(snapshot.truth, trajectory.snapshot(FIRST + ahead))
            # What the first lead was predicted from.
            np.testing.assert_array_equal(snapshot.base, trajectory.snapshot(FIRST - 1))
            np.testing.assert_array_equal(snapshot.given, trajectory.snapshot(FIRST - 2))
    assert {"past snapshot", "last snapshot"} <= set(
        words(draw_figure("maps", usual, case="forecast")).split("\n")
    )


def test_the_snapshot_is_one_that_all_methods_have(usual):
    snapshot = shown_snapshot(usual, CASE)
    assert snapshot is not None
    assert snapshot.trajectory == "re2000_seed100"
    assert list(snapshot.ensembles) == METHODS
    flex = snapshot.ensembles["flex"]
    assert (flex.size, flex.member.shape) == (8, (48, 48))
    error = flex.mean - snapshot.truth
    assert error.std() / snapshot.truth.std() == pytest.approx(0.21, rel=0.15)


def test_spectra_are_means_over_snapshots_and_seeds(usual):
    figure = draw_figure("spectra", usual, case=CASE)
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axis.get_title() for axis in above] == ["Re 500", "Re 2000"]
    for reynolds, upper, lower in zip((500, 2000), above, below, strict=True):
        files = {
            method: pd.concat(
                pd.read_csv(usual.layout.spectra(CASE, method, seed))
                for seed in ((0, 1) if method != "interpolation" else (0,))
            )
            for method in METHODS
        }
        means = {
            method: spectra[spectra["reynolds"] == reynolds].groupby("k").mean(numeric_only=True)
            for method, spectra in files.items()
        }
        for method, mean in means.items():
            ((k, members),) = lines_of(upper, method)
            np.testing.assert_array_equal(k, range(1, 25))
            np.testing.assert_allclose(members, mean["member_mean"])
            ((_, share),) = lines_of(lower, method)
            np.testing.assert_allclose(share, mean["error"] / mean["truth"])
        np.testing.assert_allclose(upper.lines[0].get_ydata(), means["flex"]["truth"])
        # The given field has a quarter of the points.
        assert [list(axis.lines[-1].get_xdata()) for axis in (upper, lower)] == [[6, 6], [6, 6]]


def test_a_forecast_is_given_all_wavenumbers(usual):
    figure = draw_figure("spectra", usual, case="forecast")
    assert "given field" not in words(figure)


def test_spectra_of_rollouts_have_a_column_per_lead(usual):
    figure = draw_figure("spectra", usual, case=ROLLOUT)
    assert [axis.get_title() for axis in figure.axes[:3]] == ["lead 1", "lead 2", "lead 3"]
    spectra = usual.spectra(ROLLOUT)
    for lead, axis in zip((1, 2, 3), figure.axes[3:], strict=True):
        own = spectra[(spectra["lead"] == lead) & (spectra["method"] == "flex")]
        mean = own.groupby("k")[["error", "truth"]].mean()
        ((_, share),) = lines_of(axis, "flex")
        np.testing.assert_allclose(share, mean["error"] / mean["truth"])


def test_losses_are_those_of_the_logs(usual):
    figure = draw_figure("loss", usual, case=CASE)
    for axis, clock in zip(figure.axes, ("step", "seconds"), strict=True):
        for method in METHODS[:2]:
            drawn = lines_of(axis, method)
            assert len(drawn) == 4, "training and validation, of two seeds"
            for seed in (0, 1):
                log = read_log(usual.layout.training_log(CASE, method, seed))
                (x, smooth), (at, checks) = drawn[2 * seed : 2 * seed + 2]
                np.testing.assert_allclose(x, log[clock])
                np.testing.assert_allclose(smooth, smoothed(log["loss"].to_numpy(), span=5.0))
                kept = log.dropna(subset=["validation_loss"])
                assert len(kept) == 5
                np.testing.assert_allclose(at, kept[clock])
                np.testing.assert_array_equal(checks, kept["validation_loss"])
    assert "interpolation" not in words(figure)


def test_a_network_of_several_tasks_has_one_log(usual, tmp_path):
    inputs = copy_of(usual, tmp_path)
    together = {"unet": {"together": ["superres_x4", "forecast"]}}
    config = Config.model_validate(usual.config.model_dump() | {"method_settings": together})
    inputs = dataclasses.replace(inputs, config=config)
    path = inputs.layout.training_log("superres_x4+forecast", "unet", 0)
    path.parent.mkdir(parents=True)
    path.write_text('{"step": 1, "loss": 3.0, "seconds": 1.0}\n')
    for case in (CASE, "forecast"):
        axis = draw_figure("loss", inputs, case=case).axes[0]
        assert [list(y) for _, y in lines_of(axis, "unet") if len(y)] == [[3.0]]
        assert len(lines_of(axis, "flex")) == 4, "of its own log"


def smoothed(values, *, span):
    """Weights (1 - a)^i, a = 2 / (span + 1), of the values so far."""
    found = []
    for end in range(1, len(values) + 1):
        weights = (1 - 2 / (span + 1)) ** np.arange(end)[::-1]
        found.append((weights * values[:end]).sum() / weights.sum())
    return np.array(found)


def test_no_spectra_and_no_logs_are_said_so():
    assert "no spectra" in words(draw_spectra(pd.DataFrame(), labels=simulated("w")))
    assert "trained" in words(draw_loss(pd.DataFrame()))


# --- rollouts ------------------------------------------------------------------------------------


@pytest.fixture
def pictured(monkeypatch):
    """The fields that an animation shows, four to a picture."""
    fields, set_data = [], AxesImage.set_data

    def watched(image, field):
        fields.append(np.asarray(field))
        set_data(image, field)

    # Before each picture is drawn, its maps are given their fields.
    monkeypatch.setattr(AxesImage, "set_data", watched)
    return fields


def test_a_rollout_shows_truth_member_mean_and_spread_of_each_lead(usual, pictured):
    drawn = draw_figure("rollout", usual, case=ROLLOUT)
    assert len(drawn.pictures) == 3
    with (
        Samples(usual.layout.samples(ROLLOUT, "flex", 0)) as samples,
        Trajectory(usual.layout.trajectory("re500_seed100")) as truth,
    ):
        for lead, start in enumerate(range(len(pictured) - 12, len(pictured), 4)):
            members = samples.ensemble(lead)[:, 0]
            expected = [
                *(truth.snapshot(FIRST + lead), members[0], members.mean(axis=0)),
                members.std(axis=0, ddof=1),
            ]
            for shown, field in zip(pictured[start : start + 4], expected, strict=True):
                np.testing.assert_array_equal(shown, field)
    sizes = {picture.size for picture in drawn.pictures}
    assert len(sizes) == 1
    assert len({picture.tobytes() for picture in drawn.pictures}) == 3


def test_an_ensemble_is_shown_before_a_formula(usual):
    """And a formula where there is nothing else."""
    from flexbench.report.inputs import ReportInputs
    from flexbench.report.shown_rollout import _shown_samples

    def shown(methods):
        config = usual.config.model_copy(update={"methods": methods})
        return _shown_samples(ReportInputs(layout=usual.layout, config=config), ROLLOUT)

    path = usual.layout.samples
    assert shown(["interpolation", "unet", "flex"]) == path(ROLLOUT, "unet", 0)
    assert shown(["interpolation"]) == path(ROLLOUT, "interpolation", 0)
    with pytest.raises(FlexbenchError, match="no such samples file"):
        shown(["persistence"])


def rollout_files(folder, *, case):
    """A trajectory of vorticity, and a rollout of its velocity u by two leads."""
    vorticity = np.random.default_rng(3).normal(size=(4, 32, 32)).astype(np.float32)
    path = folder / "re500_seed1.h5"
    times = 0.1 * np.arange(4)
    write_trajectory(path, vorticity, time=times, grid=32, reynolds=500.0, seed=1, attributes={})
    with open_trajectory(path, "u") as trajectory:
        velocity = trajectory.whole()
    shots = [
        Snapshot(trajectory=path.stem, reynolds=500.0, seed=1, index=lead + 1, time=0.1, lead=lead)
        for lead in (1, 2)
    ]
    words = {"case": case, "method": "flex", "mode": "denoiser", "sampler": "ddim"}
    numbers = {"training_seed": 0, "steps": 2, "parameters": 1, "flops": 1.0, "calls": 2}
    write_samples(
        folder / "samples.h5",
        [velocity[shot.index][None, None] for shot in shots],
        snapshots=shots,
        shape=(1, 1, 32, 32),
        labels=Labels(**words, **numbers),
    )
    return path, velocity


def test_a_rollout_of_a_velocity_is_drawn_beside_that_velocity(tmp_path, pictured):
    path, velocity = rollout_files(tmp_path, case="forecast.u")
    with Samples(tmp_path / "samples.h5") as samples:
        shown = rollout_of(samples, path, lead_time=0.1, observable="u")
        draw_rollout(shown, labels=simulated("u"))
        with pytest.raises(FlexbenchError, match="no rollout of re9_seed9"):
            rollout_of(samples, tmp_path / "re9_seed9.h5", lead_time=0.1)
    truths, members = pictured[-8::4], pictured[-7::4]
    for truth, member, index in zip(truths, members, (2, 3), strict=True):
        np.testing.assert_array_equal(truth, velocity[index])
        np.testing.assert_array_equal(truth, member)
