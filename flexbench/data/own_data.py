"""What has to be right about the files of a user's own data, before any work."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flexbench.config import Config
from flexbench.config.own_data import DataSettings
from flexbench.data.adapters import EVEN, open_source, square_of, window_of
from flexbench.data.coordinates import check_extent
from flexbench.data.gaps import crop_hint
from flexbench.data.placed import Dates, edges
from flexbench.data.source import MissingError, Source, Square
from flexbench.data.store import SHORT, even_interval
from flexbench.errors import FlexbenchError

# Coordinates are rounded: points may be farther apart along one axis by so much.
_STRETCHED = 1e-3
# Of all sources together, so many bytes of values are read before any work; an import reads all.
SCAN_BYTES = 1 << 30


def check_sources(config: Config, file_of: Callable[[str], Path]) -> tuple[int, int]:
    """Look at every source before any work; (most snapshots of a trajectory, points per side).

    Reads the values that are used, or of more than SCAN_BYTES an evenly spread part. Raises
    FlexbenchError for what an import would stop at, for sources whose squares or units differ, for
    splits of one source that lie closer than the gap, and for splits that are too short, or
    unevenly spaced, for what a task asks of them.
    """
    data = config.data
    if data is None:
        raise FlexbenchError("data: null; there are no sources to look at")
    grids: dict[str, int] = {}
    units: dict[str, str] = {}
    clocks: dict[str, str] = {}
    strides: dict[tuple[str, int], str] = {}
    longest = 0
    for name in data.sources:
        with open_source(data, name, file_of(name)) as source:
            square = square_of(source, data, side_step=config.side_step)
            grids[name] = square.size
            check_extent(data, source.path, source.coordinates)
            _check_spacing(data, source)
            units[name] = source.units or "none"
            clocks[name] = source.time_units or "none"
            spans = {
                split: window_of(source, data.part(split), where=f"data.splits.{split}")
                for split in ("train", "validation", "test")
                if name in data.sources_of(split)
            }
            for split, window in spans.items():
                longest = max(longest, window[1] - window[0])
                _check_length(config, source, split, source.times(*window), strides)
            _check_gaps(source, spans, gap=config.gap or 0.0)
            for window in spans.values():
                source.refuse_unwritten(*window, square=square)
            most = SCAN_BYTES // (len(data.sources) * len(spans))
            for window in spans.values():
                try:
                    _scan(source, window, square, most=most)
                except MissingError as error:
                    if error.snapshot is None:
                        raise
                    hint = crop_hint(
                        source, spans.values(), first=error.snapshot, side_step=config.side_step
                    )
                    raise FlexbenchError(f"{error}; {hint}") from None
    if len(set(grids.values())) > 1:
        sides = ", ".join(f"{name} {grid}" for name, grid in grids.items())
        raise FlexbenchError(f"data.sources: squares differ in size ({sides}); set data.crop")
    _refuse_different(units, what="`units`", alike=str)
    _refuse_different(clocks, what=f"`units` of '{data.time}'", alike=_unit_of_time)
    return longest, next(iter(grids.values()))


def told_of_sources(config: Config, file_of: Callable[[str], Path]) -> list[str]:
    """Of each source, in a line: its field, when and where it lies by its own axes, what is used.

    Reads headers alone. Raises FlexbenchError as `check_sources` does for them.
    """
    data = config.data
    if data is None:
        return []
    lines = []
    for name in data.sources:
        with open_source(data, name, file_of(name)) as source:
            square = square_of(source, data, side_step=config.side_step)
            words = source.words
            field = data.name or words.get("field_name") or source.dataset.name.split("/")[-1]
            units = data.units or source.units
            parts = [f"{field} [{units}]" if units else field, _when(source)]
            for axis, first in (("y", square.y), ("x", square.x)):
                last = first + square.size - 1
                along = f"{axis} {first} to {last} of {source.side(axis)}"
                own = source.coordinates.get(axis)
                if own is not None and len(own.values) > 1:
                    low, high = edges(own, first, last)
                    label = own.name.split("/")[-1]
                    along += f" ({label} {low:g} to {high:g} {own.units or ''}".rstrip() + ")"
                parts.append(along)
            lines.append(f"{name}: {'; '.join(parts)}")
    return lines


def _when(source: Source) -> str:
    """The snapshots of a source, with the dates of its first and last where it has any."""
    time, units = source.time, source.time_units or ""
    ends = [float(time[0]), float(time[-1])]
    told = f"{len(time)} snapshots, time {ends[0]:g} to {ends[1]:g} {units}".rstrip()
    dates = Dates.of(source.origin or {}, units=source.time_units)
    if dates is None:
        return told
    first, last = (dates.date_of(end) for end in ends)
    if first is None or last is None:
        return f"{told} since {dates.origin} ({dates.calendar})"
    return f"{len(time)} snapshots, {first} to {last}"


def _check_spacing(data: DataSettings, source: Source) -> None:
    """Where the energy of a vorticity is scored, points are equally far apart in x and y.

    How far is no matter: scores are relative, and wavenumbers count waves per side.
    """
    if not (data.is_vorticity and data.is_periodic):
        return
    if data.extent is not None:
        told = "data.extent"
        apart = {
            axis: abs(last - first) / source.side(axis)
            for axis, (first, last) in (("x", data.extent.x), ("y", data.extent.y))
        }
    else:
        own = source.coordinates
        if len(own) < 2 or own["x"].units != own["y"].units:
            return
        told = f"'{own['x'].name}' and '{own['y'].name}'"
        apart = {axis: abs(it.apart) for axis, it in own.items()}
    if abs(apart["x"] - apart["y"]) > _STRETCHED * max(apart.values()):
        raise FlexbenchError(
            f"{source.path}: by {told} points are {apart['x']:g} apart in x, {apart['y']:g} in "
            "y; the energy of a vorticity needs equal distances: write data.vorticity: false, and "
            "it is left out"
        )


def _refuse_different(found: dict[str, str], *, what: str, alike: Callable[[str], str]) -> None:
    """FlexbenchError where sources, by name, say different things; alike: what is compared."""
    if len(set(map(alike, found.values()))) > 1:
        told = ", ".join(f"{name} {text}" for name, text in found.items())
        raise FlexbenchError(f"data.sources: attributes {what} differ ({told}); allowed: one")


def _unit_of_time(text: str) -> str:
    """Words in any case, of one or of many; symbols, in which case counts, as they are."""
    return text.casefold().removesuffix("s") if len(text) > 3 else text


def _check_length(
    config: Config,
    source: Source,
    split: str,
    time: NDArray[np.float64],
    strides: dict[tuple[str, int], str],
) -> None:
    """A split holds a window of every task, and the test split all that is scored of it.

    strides: by task and stride, where the stride was found; a task needs the same everywhere.
    """
    for case in config.cases.values():
        task = case.task_settings
        where = f"{source.path}: {split}, for tasks.{case.task}"
        # Single snapshots need no even spacing.
        interval = (
            1.0 if task.lead_time is None else even_interval(time, where=where, hint=f"; {EVEN}")
        )
        stride = task.stride(interval, where=where)
        needed = (task.window - 1) * stride + 1
        if split == "test":
            needed = case.snapshots_needed(stride)
        if len(time) < needed:
            raise FlexbenchError(
                f"{source.path}: {split} holds {len(time)} snapshots; allowed: at least {needed}, "
                f"for '{case.name if split == 'test' else case.task}' (data.splits.{split})"
            )
        here = f"{source.path} ({split})"
        strides.setdefault((case.task, stride), here)
        for (other, found), there in strides.items():
            if other == case.task and found != stride:
                raise FlexbenchError(
                    f"{where}: a lead is {stride} snapshots, but {found} in {there}; allowed: one "
                    "interval between snapshots for all sources and splits"
                )


def _scan(source: Source, window: tuple[int, int], square: Square, *, most: int) -> None:
    """Read snapshots for what an import would stop at: all, or spread ones of `most` bytes."""
    if source.stored_bytes(*window, square=square) <= most:
        blocks = [window]
    else:
        begins = [window[0]]
        while (after := source.block_of(begins[-1])[1]) < window[1]:
            begins.append(after)
        held = source.stored_bytes(*source.block_of(begins[0]), square=square)
        count = min(most // held, len(begins))
        chosen = sorted({round(place) for place in np.linspace(0, len(begins) - 1, count)})
        blocks = [
            (begins[place], min(source.block_of(begins[place])[1], window[1])) for place in chosen
        ]
    for block in blocks:
        for _ in source.snapshots(*block, square=square):
            pass


def _check_gaps(source: Source, spans: dict[str, tuple[int, int]], *, gap: float) -> None:
    ordered = sorted(spans, key=lambda split: spans[split])
    for one, other in pairwise(ordered):
        end, start = source.time[spans[one][1] - 1], source.time[spans[other][0]]
        if start - end < gap * (1 - SHORT):
            raise FlexbenchError(
                f"{source.path}: leak: {one} ends at time {end:g}, {other} begins at {start:g}: "
                f"{start - end:g} apart, less than the gap of {gap:g} (data.gap, or the tasks' "
                "longest window); move data.splits apart"
            )
