"""What results are labelled with: the field's name and units, what its flows are called, where it
lies. Of simulated flows that is known; of own data, the configuration or the files say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flexbench.config import Config
from flexbench.config.own_data import DataSettings, ExtentSettings
from flexbench.data.placed import AXES, Dates
from flexbench.metrics.definitions import OF_FIELD, OF_TIME
from flexbench.spec import Observable

_NAMES = {"w": "vorticity", "u": "velocity u", "v": "velocity v"}
_UNITS = {"w": "1/time unit", "u": "length unit/time unit", "v": "length unit/time unit"}

Ends = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Box:
    """Where a square field lies: x and y at its outer edges, from its first point to its last.

    units: of x and y, "" where they have none. names: of x and y. y_units: where those of y differ.
    """

    x: Ends = (0.0, 2 * np.pi)
    y: Ends = (0.0, 2 * np.pi)
    units: str = ""
    names: tuple[str, str] = ("x", "y")
    y_units: str | None = None

    def name(self, axis: str) -> str:
        name = self.names["xy".index(axis)]
        units = self.units if axis == "x" or self.y_units is None else self.y_units
        return f"{escaped(name)} [{escaped(units)}]" if units else escaped(name)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Words for one case; texts of figures go through `escaped` first.

    field, unit: what is predicted. time: the unit of times. kinetic: its spectra are of kinetic
    energy, not of variance; windowed: under a window. per_side: wavenumbers count waves per side,
    as the length of a side is not known. signed: the field takes both signs about zero; None: see
    its values. flow, flows: what trajectories differ in; flow_short: the same before a number.
    dates: what turns a time into a date, where the files say when their time begins.
    """

    field: str
    unit: str
    time: str = "time unit"
    kinetic: bool = True
    windowed: bool = False
    per_side: bool = False
    signed: bool | None = True
    flow: str = "Reynolds number"
    flow_short: str = "Re"
    box: Box = Box()
    dates: Dates | None = None

    def when(self, time: float) -> str:
        """A time in words: its date where times have one."""
        date = None if self.dates is None else self.dates.date_of(time)
        return date or f"t = {time:.6g} {escaped(self.times)}"

    @property
    def flows(self) -> str:
        return f"{self.flow}s"

    @property
    def times(self) -> str:
        """The unit of times after a number."""
        return "time units" if self.time == "time unit" else self.time

    @property
    def density(self) -> str:
        """What spectra show."""
        return "energy" if self.kinetic else "variance"

    @property
    def wavenumber(self) -> str:
        """The unit of wavenumbers."""
        return "waves per side" if self.per_side else "1/length unit"

    def unit_of(self, unit: str) -> str:
        """A unit as the definitions of scores have it."""
        return {OF_FIELD: self.unit, OF_TIME: self.time}.get(unit, unit)

    def worded(self, text: str) -> str:
        """A text of the catalogue with this case's words in the places of {field} and so on."""
        words = {name: getattr(self, name) for name in ("field", "density", "flow", "flows")}
        return text.format(**words, **{name.title(): capital(word) for name, word in words.items()})


def capital(text: str) -> str:
    """With a capital first letter, all others as they are."""
    return text[:1].upper() + text[1:]


def escaped(text: str) -> str:
    """For matplotlib, to which dollars enclose formulas."""
    return text.replace("$", r"\$")


def labels_of(
    config: Config,
    case: str,
    statistics: Mapping[str, Any] | None = None,
    place: Mapping[str, Any] | None = None,
) -> Labels:
    """The labels of a case. statistics, place: of own data, those of its task, and what a
    trajectory says of where and when it lies (`data.placed`)."""
    if config.data is None:
        return simulated(config.cases[case].settings.observable)
    return of_own_data(config.data, statistics or {}, place or {})


def simulated(observable: Observable) -> Labels:
    """Of a simulated flow on [0, 2 pi]^2, without units."""
    return Labels(field=_NAMES[observable], unit=_UNITS[observable], kinetic=observable == "w")


def of_own_data(
    data: DataSettings, statistics: Mapping[str, Any], place: Mapping[str, Any] | None = None
) -> Labels:
    """Of own data: what the configuration says, or else the files, or else the layout.

    statistics: of a task, which tell what the files say (`described`). place: of a trajectory.
    """
    place = place or {}
    said = statistics.get("described", {})
    periodic = bool(statistics.get("periodic", data.is_periodic))
    flow = simulated(data.observable) if data.observable else None
    key = next(iter(data.sources.values())).key or "field"
    name = data.name or said.get("field_name") or (flow.field if flow else key)
    unit = data.units or said.get("field_units") or (flow.unit if flow else "unit of the data")
    own = Labels(
        field=_scaled_name(data, name),
        unit=unit if data.divide_by == 1 else f"{data.divide_by:g} × {unit}",
        time=data.time_units or said.get("time_units") or "time unit",
        kinetic=data.is_vorticity and periodic,
        windowed=not periodic,
        per_side=True,
        signed=True if data.is_vorticity else None,
        box=_box(data.extent, said, place, known=flow is not None and periodic),
        dates=Dates.of(place, units=said.get("time_units")),
    )
    return own if flow else replace(own, flow=data.flow, flow_short=data.flow)


def _scaled_name(data: DataSettings, name: str) -> str:
    """A field whose zero was moved says so."""
    if not data.subtract:
        return name
    sign = "−" if data.subtract > 0 else "+"
    return f"{name} {sign} {abs(data.subtract):g}"


def _box(
    extent: ExtentSettings | None,
    said: Mapping[str, Any],
    place: Mapping[str, Any],
    *,
    known: bool,
) -> Box:
    """Of the square that was taken from the whole field: as configured, or by the file's axes."""
    if extent is None and known:
        return Box()
    if extent is None and all(set(AXES[axis]) <= set(place) for axis in "xy"):
        x, y = ([place[key] for key in AXES[axis]] for axis in "xy")
        return Box(x=(x[2], x[3]), y=(y[2], y[3]), names=(x[0], y[0]), units=x[1], y_units=y[1])
    rows = (said["first_row"], said["last_row"] + 1)
    columns = (said["first_column"], said["last_column"] + 1)
    if extent is None:
        return Box(x=columns, y=rows, units="grid point")

    def along(ends: Ends, places: Ends, points: int) -> Ends:
        step = (ends[1] - ends[0]) / points
        return ends[0] + places[0] * step, ends[0] + places[1] * step

    return Box(
        x=along(extent.x, columns, said["columns"]),
        y=along(extent.y, rows, said["rows"]),
        units=extent.units or "",
    )
