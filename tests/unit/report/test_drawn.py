"""What is kept of a run redraws its page where samples, data, scores and figures are gone."""

import shutil
import zipfile

import numpy as np
import pytest

from flexbench.errors import FlexbenchError
from flexbench.report.drawn import KeptInputs, keep_drawn, report_inputs
from flexbench.report.figures import draw_figure
from flexbench.report.inputs import ReportInputs
from flexbench.report.page import render_page

from .conftest import copy_of

CASE, ROLLOUT = "superres_x4", "forecast.rollout"


@pytest.fixture(scope="module")
def whole(usual, tmp_path_factory):
    """A run with its file of drawn data."""
    inputs = copy_of(usual, tmp_path_factory.mktemp("whole"))
    keep_drawn(inputs)
    return inputs


@pytest.fixture(scope="module")
def kept(whole, tmp_path_factory):
    """What a repository keeps of it."""
    left = copy_of(whole, tmp_path_factory.mktemp("kept"))
    for folder in ("samples", "scores", "data", "checkpoints", "figures"):
        shutil.rmtree(left.layout.folder / folder, ignore_errors=True)
    inputs = report_inputs(left.layout, left.config)
    assert isinstance(inputs, KeptInputs)
    return inputs


def test_a_run_with_samples_is_drawn_from_them(whole):
    assert type(report_inputs(whole.layout, whole.config)) is ReportInputs


def test_the_same_run_gives_the_same_bytes(whole):
    before = whole.layout.drawn.read_bytes()
    assert keep_drawn(whole) == len(before)
    assert whole.layout.drawn.read_bytes() == before


def close(kept, known, *, to=None):
    """Whether two fields differ by a few shades of the ends of `to`, in the mean."""
    scale = np.ptp(known if to is None else to)
    assert kept.shape == known.shape
    assert np.abs(kept - known).mean() <= 0.02 * scale


@pytest.mark.parametrize("case", [CASE, "forecast", ROLLOUT])
def test_maps_show_the_same_snapshot(whole, kept, case):
    then, now = whole.snapshot(case), kept.snapshot(case)
    for name in ("trajectory", "reynolds", "index", "time", "mask"):
        assert getattr(now, name) == getattr(then, name)
    for name in ("truth", "given", "base"):
        close(getattr(now, name), getattr(then, name))
    assert list(now.ensembles) == list(then.ensembles)
    for method, own in then.ensembles.items():
        there = now.ensembles[method]
        assert there.size == own.size
        close(there.member, own.member)
        # Of the error's own size, not of the field's.
        close(there.mean - now.truth, own.mean - then.truth)
        assert (there.spread is None) == (own.spread is None)
        if own.spread is not None:
            close(there.spread, own.spread)


def test_the_animation_shows_the_same_leads(whole, kept):
    then, now = whole.rollout(ROLLOUT), kept.rollout(ROLLOUT)
    assert now.trajectory == then.trajectory
    for own, there in zip(then.leads, now.leads, strict=True):
        assert there.ahead == own.ahead
        for name in ("truth", "member", "mean", "spread"):
            close(getattr(there, name), getattr(own, name))


def test_walls_are_where_they_were(whole, kept, tmp_path):
    """A mask loses nothing on its way."""
    mask = np.zeros((48, 48), np.uint8)
    mask[:, 24:] = 1

    class Walled(ReportInputs):
        def snapshot(self, case):
            return replaced(super().snapshot(case))

        def rollout(self, case):
            return replaced(super().rollout(case))

    def replaced(shown):
        return type(shown)(**{**vars(shown), "mask": mask})

    walled = Walled(layout=copy_of(whole, tmp_path).layout, config=whole.config)
    keep_drawn(walled)
    again = KeptInputs(layout=walled.layout, config=walled.config)
    np.testing.assert_array_equal(again.snapshot(CASE).mask, mask)
    np.testing.assert_array_equal(again.rollout(ROLLOUT).mask, mask)


def lines(figure):
    """Points of every line of a figure."""
    return [line.get_xydata() for axis in figure.axes for line in axis.lines]


@pytest.mark.parametrize(
    ("name", "case"), [("spectra", CASE), ("spectra", ROLLOUT), ("loss", CASE)]
)
def test_lines_are_those_of_the_files(whole, kept, name, case):
    then, now = (lines(draw_figure(name, it, case=case)) for it in (whole, kept))
    assert len(then) == len(now) > 3
    for own, there in zip(then, now, strict=True):
        np.testing.assert_allclose(np.asarray(there, float), np.asarray(own, float), rtol=1e-3)


def test_the_page_lacks_nothing(whole, kept):
    page = render_page(kept, edges=[])
    assert "Not drawn:" not in page
    figures = {it for it in (whole.layout.folder / "figures").rglob("*") if it.is_file()}
    assert page.count("data:image/webp") >= len({it.with_suffix("") for it in figures})
    then, now = ({it.output for it in inputs.receipts()} for inputs in (whole, kept))
    assert now == then


def test_a_file_that_is_none_is_named(kept, tmp_path):
    broken = copy_of(kept, tmp_path)
    broken.layout.drawn.write_bytes(b"no zip")
    with pytest.raises(FlexbenchError, match=r"drawn\.zip: not a readable zip"):
        broken.receipts()
    with zipfile.ZipFile(broken.layout.drawn, "w") as file:
        file.writestr("other", "")
    with pytest.raises(FlexbenchError, match=r"drawn\.zip: receipts\.jsonl is not there"):
        broken.receipts()
