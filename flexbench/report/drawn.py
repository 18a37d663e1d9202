"""What figures are drawn from beside tables, in one file that a repository can keep.

Where samples, data and scores are gone, the page is drawn anew from it and the tables. Fields are
kept as pictures of 256 shades between their ends (WebP). The error of an ensemble's mean and its
spread have pictures of their own: what is small beside the field would drown in its shades.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from flexbench.archive import zipped
from flexbench.config import Config
from flexbench.errors import FlexbenchError
from flexbench.paths import Layout
from flexbench.report.catalogue import FIGURES, figures_of
from flexbench.report.inputs import Receipt, ReportInputs
from flexbench.report.shown_rollout import ShownLead, ShownRollout
from flexbench.report.shown_snapshot import ShownEnsemble, ShownSnapshot
from flexbench.report.thinning import MAP_POINTS, thinned

Field = NDArray[np.floating]
Entries = Iterator[tuple[str, bytes]]  # names in the file, and what stands there

_RECEIPTS = "receipts.jsonl"
_PLACE = "place.json"
_SHADES = 255
# Quality of WebP, of 100: of fields, whose filaments are looked at, and of errors and spreads,
# which are rougher.
_FINE, _COARSE = 90, 75
_EFFORT = 5  # of 6
# What a line of spectra is of; its numbers are means over snapshots and training seeds.
_LINE = ["method", "reynolds", "lead", "k"]
_SPECTRA = ["truth", "member_mean", "error"]


def report_inputs(layout: Layout, config: Config) -> ReportInputs:
    """Those of a results folder, or what was kept of them where its samples are gone."""
    if layout.drawn.is_file() and not layout.all_samples.is_dir():
        return KeptInputs(layout=layout, config=config)
    return ReportInputs(layout=layout, config=config)


# --- keeping --------------------------------------------------------------------------------


def keep_drawn(inputs: ReportInputs) -> int:
    """Write the file of a results folder, whole or not at all; its size in bytes.

    Raises FlexbenchError where a table, or what a figure is drawn from, is not readable.
    """
    config, scored = inputs.config, set(inputs.table("scores")["case"])
    entries: dict[str, bytes] = {}
    for case in (it for it in config.cases if it in scored):
        for source in {FIGURES[name].source for name in figures_of(config, case)}:
            entries.update(_KEEPERS[source](inputs, case))
        if config.data is not None:
            task = config.cases[case].task
            entries[_statistics(task)] = json.dumps(inputs.statistics(task)).encode()
    if config.data is not None:
        entries[_PLACE] = json.dumps(inputs.place()).encode()
    lines = [json.dumps({"output": it.output, "content": it.content}) for it in inputs.receipts()]
    entries[_RECEIPTS] = "\n".join(lines).encode()
    with zipped(inputs.layout.drawn) as archive:
        for name, content in sorted(entries.items()):
            archive.add(name, content)
    return inputs.layout.drawn.stat().st_size


def _nothing(inputs: ReportInputs, case: str) -> Entries:
    yield from ()


def _spectra(inputs: ReportInputs, case: str) -> Entries:
    spectra = inputs.spectra(case)
    if len(spectra):
        spectra = spectra.groupby(_LINE, sort=False)[_SPECTRA].mean().reset_index()
        yield f"spectra/{case}.csv", _csv(spectra)


def _logs(inputs: ReportInputs, case: str) -> Entries:
    yield f"logs/{case}.csv", _csv(inputs.training_logs(case))


def _targets(inputs: ReportInputs, case: str) -> Entries:
    yield f"targets/{case}.csv", _csv(inputs.targets(case))


def _gradients(inputs: ReportInputs, case: str) -> Entries:
    yield f"gradients/{case}.csv", _csv(inputs.gradients(case))


def _snapshot(inputs: ReportInputs, case: str) -> Entries:
    shown = inputs.snapshot(case)
    if shown is None:
        return
    folder = _Pictures(f"snapshots/{case}")
    yield from folder.add("truth", shown.truth, _FINE)
    if shown.given is not None:
        yield from folder.add("given", shown.given, _FINE)
    if shown.base is not None:
        yield from folder.add("base_error", shown.base - shown.truth, _COARSE)
    if shown.mask is not None:
        yield from folder.add("mask", shown.mask, None)
    for method, own in shown.ensembles.items():
        yield from folder.add(f"{method}/error", own.mean - shown.truth, _COARSE)
        # Of one member, which is the mean, no more is needed.
        if own.spread is not None:
            yield from folder.add(f"{method}/member", own.member, _FINE)
            yield from folder.add(f"{method}/spread", own.spread, _COARSE)
    yield folder.facts(
        trajectory=shown.trajectory,
        reynolds=shown.reynolds,
        index=shown.index,
        time=shown.time,
        members={method: own.size for method, own in shown.ensembles.items()},
    )


def _rollout(inputs: ReportInputs, case: str) -> Entries:
    shown = inputs.rollout(case)
    folder = _Pictures(f"rollouts/{case}")
    if shown.mask is not None:
        yield from folder.add("mask", shown.mask, None)
    for number, lead in enumerate(shown.leads):
        for name in _OF_LEAD:
            quality = _COARSE if name == "spread" else _FINE
            yield from folder.add(f"{number}/{name}", getattr(lead, name), quality)
    yield folder.facts(trajectory=shown.trajectory, ahead=[lead.ahead for lead in shown.leads])


_OF_LEAD = ("truth", "member", "mean", "spread")

# By what a figure is drawn from (`catalogue.SOURCES`).
_KEEPERS: Mapping[str, Callable[[ReportInputs, str], Entries]] = {
    "": _nothing,
    "snapshot": _snapshot,
    "spectra": _spectra,
    "logs": _logs,
    "rollout": _rollout,
    "targets": _targets,
    "gradients": _gradients,
}


def _statistics(task: str) -> str:
    return f"statistics/{task}.json"


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.5g").encode()


class _Pictures:
    """Fields of one folder of the file, and, of each, the ends that its shades lie between."""

    def __init__(self, folder: str):
        self.folder = folder
        self.ends: dict[str, tuple[float, float]] = {}

    def add(self, name: str, field: NDArray[Any], quality: int | None) -> Entries:
        """quality: of WebP; None: nothing is lost."""
        values = thinned(np.asarray(field, float), most=MAP_POINTS)
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        shares = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (
            (high - low) or 1.0
        )
        image = Image.fromarray(np.rint(_SHADES * shares).astype(np.uint8))
        how = {"lossless": True} if quality is None else {"quality": quality}
        buffer = io.BytesIO()
        image.save(buffer, format="WEBP", method=_EFFORT, **how)
        self.ends[name] = (low, high)
        yield f"{self.folder}/{name}.webp", buffer.getvalue()

    def facts(self, **facts: Any) -> tuple[str, bytes]:
        return f"{self.folder}/{_FACTS}", json.dumps(facts | {"ends": self.ends}).encode()


_FACTS = "facts.json"


# --- reading --------------------------------------------------------------------------------


class KeptInputs(ReportInputs):
    """What the report is drawn from where only tables and the file are left."""

    @property
    def redraws(self) -> bool:
        return True

    def statistics(self, task: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._entry(_statistics(task)))
        return found

    def place(self) -> dict[str, Any]:
        if self.config.data is None:
            return {}
        found: dict[str, Any] = json.loads(self._entry(_PLACE))
        return found

    def spectra(self, case: str) -> pd.DataFrame:
        return self._table(f"spectra/{case}.csv")

    def training_logs(self, task: str) -> pd.DataFrame:
        return self._table(f"logs/{task}.csv")

    def targets(self, task: str) -> pd.DataFrame:
        return self._table(f"targets/{task}.csv")

    def gradients(self, task: str) -> pd.DataFrame:
        return self._table(f"gradients/{task}.csv")

    def snapshot(self, case: str) -> ShownSnapshot | None:
        folder = f"snapshots/{case}"
        if f"{folder}/{_FACTS}" not in self._names:
            return None
        facts, fields = self._pictures(folder)
        truth = fields["truth"]
        base = fields.get("base_error")
        ensembles = {}
        for method, size in facts["members"].items():
            mean = truth + fields[f"{method}/error"]
            member = fields.get(f"{method}/member", mean)
            spread = fields.get(f"{method}/spread")
            own = ShownEnsemble(size=size, member=member, mean=mean, spread=spread)
            ensembles[method] = own
        return ShownSnapshot(
            trajectory=facts["trajectory"],
            reynolds=facts["reynolds"],
            index=facts["index"],
            time=facts["time"],
            truth=truth,
            ensembles=ensembles,
            given=fields.get("given"),
            base=None if base is None else truth + base,
            mask=_mask(fields),
        )

    def rollout(self, case: str) -> ShownRollout:
        facts, fields = self._pictures(f"rollouts/{case}")
        mask = _mask(fields)
        leads = [
            ShownLead(ahead=ahead, **{name: fields[f"{number}/{name}"] for name in _OF_LEAD})
            for number, ahead in enumerate(facts["ahead"])
        ]
        return ShownRollout(trajectory=facts["trajectory"], leads=leads, mask=mask)

    def receipts(self) -> list[Receipt]:
        """Those of the day on which the file was written, and what lies in the folder today."""
        kept = [json.loads(line) for line in self._entry(_RECEIPTS).splitlines()]
        every = {it["output"]: Receipt(**it) for it in kept}
        every |= {it.output: it for it in super().receipts()}
        return [every[output] for output in sorted(every)]

    @cached_property
    def _names(self) -> frozenset[str]:
        with self._opened() as file:
            return frozenset(file.namelist())

    def _opened(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.layout.drawn)
        except (OSError, zipfile.BadZipFile) as error:
            raise FlexbenchError(f"{self.layout.drawn}: not a readable zip ({error})") from None

    def _entry(self, name: str) -> bytes:
        try:
            with self._opened() as file:
                return file.read(name)
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise FlexbenchError(f"{self.layout.drawn}: {name} is not there ({error})") from None

    def _table(self, name: str) -> pd.DataFrame:
        """Empty where none was kept."""
        content = self._entry(name) if name in self._names else b""
        return pd.read_csv(io.BytesIO(content)) if content.strip() else pd.DataFrame()

    def _pictures(self, folder: str) -> tuple[dict[str, Any], dict[str, Field]]:
        """The facts, and every field by its name."""
        facts = json.loads(self._entry(f"{folder}/{_FACTS}"))
        fields = {}
        for name, (low, high) in facts["ends"].items():
            with Image.open(io.BytesIO(self._entry(f"{folder}/{name}.webp"))) as image:
                shades = np.asarray(image.convert("L"), np.float32)
            fields[name] = low + (high - low) / _SHADES * shades
        return facts, fields


def _mask(fields: Mapping[str, Field]) -> NDArray[np.uint8] | None:
    return np.rint(fields["mask"]).astype(np.uint8) if "mask" in fields else None
