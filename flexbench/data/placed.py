"""Where and when own data lies, by the axes of its file (CF conventions): for maps, and for plans.

An import writes it into the trajectory file as attributes (FORMAT.md); what a file does not say
is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py

from flexbench.data import schema
from flexbench.data.attributes import text_of
from flexbench.data.coordinates import Coordinates
from flexbench.data.source import MOST_LETTERS, Square
from flexbench.data.store import open_readonly

# Attributes of a trajectory file: what an axis is called, its units, and its outer edges there.
AXES = {axis: tuple(f"{axis}_{key}" for key in ("name", "units", "low", "high")) for axis in "xy"}
# When time is 0, and by which calendar.
ORIGIN, CALENDAR = "time_origin", "time_calendar"

# Calendars that Python's dates follow, the mixed ones since this year; units of one length.
FIRST_YEAR = 1583
_CALENDARS = {"standard", "gregorian", "proleptic_gregorian"}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}


def edges(own: Coordinates, first: int, last: int) -> tuple[float, float]:
    """Coordinates of the outer edges of points first to last, half a point beyond them."""
    half = own.apart / 2
    return float(own.values[first]) - half, float(own.values[last]) + half


def placed(found: Mapping[str, Coordinates], square: Square) -> dict[str, str | float]:
    """The attributes of AXES for what is used of a field."""
    told: dict[str, str | float] = {}
    for axis, first in (("x", square.x), ("y", square.y)):
        own = found.get(axis)
        if own is None or len(own.values) < 2:
            continue
        low, high = edges(own, first, first + square.size - 1)
        values = (own.name.split("/")[-1][:MOST_LETTERS], own.units or "", low, high)
        told |= dict(zip(AXES[axis], values, strict=True))
    return told


def origin_of(dataset: h5py.Dataset | None) -> dict[str, str] | None:
    """The attributes ORIGIN and CALENDAR for a dataset of times, "hours since 1900-01-01"; None
    where it says none."""
    units = text_of(dataset, "units") if dataset is not None else None
    words = (units or "").split()
    if dataset is None or len(words) < 3 or words[1].casefold() != "since":
        return None
    calendar = text_of(dataset, "calendar") or "standard"
    return {ORIGIN: " ".join(words[2:])[:MOST_LETTERS], CALENDAR: calendar[:MOST_LETTERS]}


@dataclass(frozen=True, kw_only=True)
class Dates:
    """units: what times count, as the file has it. origin: the date of time 0. calendar: of it."""

    units: str
    origin: str
    calendar: str

    @classmethod
    def of(cls, place: Mapping[str, Any], *, units: str | None) -> "Dates | None":
        """By the attributes ORIGIN and CALENDAR; None where they, or units, are not said."""
        if units is None or not {ORIGIN, CALENDAR} <= set(place):
            return None
        return cls(units=units, origin=str(place[ORIGIN]), calendar=str(place[CALENDAR]))

    def date_of(self, time: float) -> str | None:
        """A time as a date (UTC), to the second; None where units or calendar have no such."""
        length = _SECONDS.get(self.units.casefold())
        if length is None or self.calendar.casefold() not in _CALENDARS:
            return None
        try:
            start = datetime.fromisoformat(_iso(self.origin))
            moment = start.replace(tzinfo=start.tzinfo or UTC) + timedelta(seconds=time * length)
        except (ValueError, OverflowError):
            return None
        rounded = moment.astimezone(UTC) + timedelta(microseconds=500_000)
        if self.calendar.casefold() != "proleptic_gregorian" and start.year < FIRST_YEAR:
            return None
        return f"{rounded:%Y-%m-%d %H:%M}" + (f":{rounded:%S}" if rounded.second else "")


def _iso(text: str) -> str:
    """UDUNITS' dates, such as 1900-1-1 0:0:0.0 UTC, as ISO has them."""
    day, *rest = text.replace("UTC", "").replace("Z", "").replace("T", " ").split()
    year, month, date = day.split("-")
    clock = [float(part) for part in rest[0].split(":")] if rest else []
    hour, minute, second = (*clock, 0.0, 0.0, 0.0)[:3]
    zone = rest[1] if len(rest) > 1 else ""
    return (
        f"{int(year):04}-{int(month):02}-{int(date):02}"
        f"T{int(hour):02}:{int(minute):02}:{int(second):02}{zone}"
    )


def place_of(path: Path) -> dict[str, Any]:
    """What a trajectory file says of where and when it lies; {} where there is no file."""
    if not path.is_file():
        return {}
    with open_readonly(path) as file:
        names = (*AXES["x"], *AXES["y"], ORIGIN, CALENDAR)
        return {name: schema.plain(file.attrs[name]) for name in names if name in file.attrs}
