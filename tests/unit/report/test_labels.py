"""What results are labelled with: simulated flows, and data of a user's own."""

import dataclasses

import numpy as np
import pytest

from flexbench.config.own_data import DataSettings
from flexbench.data import schema
from flexbench.metrics.definitions import DEFINITIONS
from flexbench.report import FIGURES, style
from flexbench.report.figures.maps import draw_maps
from flexbench.report.figures.parts import field_scale
from flexbench.report.labels import Box, of_own_data, simulated
from flexbench.report.shown_snapshot import ShownEnsemble, ShownSnapshot

from .drawn import words

SAID = dict(
    zip(schema.DESCRIPTION, ("sea level", "cm", "hours", 2, 33, 36, 6, 37, 44), strict=True)
)
STATISTICS = {"periodic": False, "described": SAID}


def data(layout="custom", **changes):
    source = {"file": "a.h5", "key": "ssh", "reynolds": 7}
    parts = {"train": [0, 0.5], "validation": [0.6, 0.7], "test": [0.8, 1]}
    values = {"layout": layout, "sources": {"own": source}, "splits": parts}
    return DataSettings.model_validate(values | changes)


def own(statistics=STATISTICS, **changes):
    return of_own_data(data(**changes), statistics)


def test_simulated_fields_have_their_names():
    assert simulated("w").field == "vorticity"
    assert simulated("v").unit == "length unit/time unit"
    assert (simulated("w").density, simulated("u").density) == ("energy", "variance")


def test_the_configuration_comes_before_the_file_and_the_file_before_the_key():
    plain = own({"periodic": False, "described": {}} | {"described": SAID | {"field_name": ""}})
    assert (plain.field, own().field, own(name="level").field) == ("ssh", "sea level", "level")
    assert (own().unit, own(units="m").unit) == ("cm", "m")
    assert (own().time, own(time_units="h").times) == ("hours", "h")
    bare = {name: SAID[name] for name in schema.DESCRIPTION[3:]}
    nothing = own({"periodic": False, "described": bare})
    assert (nothing.unit, nothing.time) == ("unit of the data", "time unit")


def test_a_scaled_field_says_so():
    labels = own(subtract=20, divide_by=5)
    assert (labels.field, labels.unit) == ("sea level − 20", "5 × cm")
    assert own(subtract=-1.5).field == "sea level + 1.5"


@pytest.mark.parametrize(
    ("settings", "periodic", "density", "flow"),
    [
        ({}, False, "variance", "flow parameter"),
        ({"periodic": True}, True, "variance", "flow parameter"),
        ({"periodic": True, "vorticity": True}, True, "energy", "flow parameter"),
        ({"vorticity": True}, False, "variance", "flow parameter"),
        ({"layout": "flex"}, True, "energy", "Reynolds number"),
        ({"layout": "flex"}, False, "variance", "Reynolds number"),
        ({"layout": "superbench", "channel": 0}, True, "variance", "Reynolds number"),
        ({"layout": "era5"}, False, "variance", "flow parameter"),
    ],
)
def test_energy_is_of_the_vorticity_of_periodic_flows_alone(settings, periodic, density, flow):
    labels = own(STATISTICS | {"periodic": periodic}, **settings)
    assert (labels.density, labels.flow) == (density, flow)
    assert labels.windowed == (not periodic)
    assert labels.wavenumber == "waves per side"


def test_axes_are_points_or_the_extent_of_what_was_taken():
    assert own().box == Box(x=(6, 38), y=(2, 34), units="grid point")
    extent = {"x": [0, 88], "y": [90, -90], "units": "km"}
    assert own(extent=extent).box == Box(x=(12, 76), y=(80, -80), units="km")
    assert own(STATISTICS | {"periodic": True}, layout="flex").box == Box()


def test_the_catalogue_is_worded_case_by_case():
    for entry in FIGURES.values():
        for labels in (simulated("w"), own()):
            assert "{" not in labels.worded(entry.title + entry.caption)
    assert simulated("w").worded(FIGURES["spectra"].title) == "Energy spectra"
    assert own().worded(FIGURES["maps"].caption).startswith("Sea level of one test snapshot")
    assert own().worded(FIGURES["rfne_by_re"].title) == "Accuracy by flow parameter"


def test_units_of_scores_are_the_fields():
    units = {name: own().unit_of(how.unit) for name, how in DEFINITIONS.items()}
    assert units["crps"] == units["skill"] == "cm"
    assert units["correlation_time"] == "hours"
    assert (units["rfne_mean"], units["psnr"]) == ("1", "dB")


def test_the_scale_of_a_field_is_about_zero_or_what_it_covers():
    ramp = np.linspace(0, 1, 400).reshape(20, 20)
    about, plain = field_scale(ramp - 0.5, own()), field_scale(280 + ramp, own())
    assert about["cmap"] == style.SIGNED_MAP
    assert about["vmin"] == -about["vmax"]
    assert plain["cmap"] == style.PLAIN_MAP
    assert 280 <= plain["vmin"] < plain["vmax"] <= 281
    assert field_scale(ramp, simulated("w"))["cmap"] == style.SIGNED_MAP


@pytest.mark.parametrize("word", ["a$b", r"$\frac{", "ſ°C ∂", "x_{y}^"])
def test_any_word_can_be_drawn(word):
    labels = own(name=word, units=word, extent={"x": [0, 1], "y": [1, 0], "units": word})
    field = np.arange(64.0).reshape(8, 8)
    shot = ShownSnapshot(
        trajectory="own_test",
        reynolds=7,
        index=3,
        time=2.5,
        truth=field,
        ensembles={"flex": ShownEnsemble.of(field[None])},
    )
    with style.look():
        figure = draw_maps(shot, given_label="given", base_label="base", labels=labels)
        figure.canvas.draw()  # where a text that is no formula would fail
    assert "t = 2.5 hours" in words(figure)


def test_rows_that_run_down_in_y_are_drawn_so():
    labels = dataclasses.replace(own(), box=Box(x=(0, 8), y=(90, -90)))
    field = np.zeros((8, 8))
    shot = ShownSnapshot(
        trajectory="own_test", reynolds=7, index=3, time=2.5, truth=field, ensembles={}
    )
    axis = draw_maps(shot, given_label="given", base_label="base", labels=labels).axes[0]
    assert axis.get_ylim() == (-90, 90)
    assert list(axis.images[0].get_extent()) == [0, 8, 90, -90]
