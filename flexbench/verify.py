"""Is a results folder what its configuration and this code make? Receipts against bytes.

Every planned output is compared with its receipt, and the receipt with the configuration, with
today's code, and with the receipts of what it was made from. Each file is read once.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.nested import differences
from flexbench.paths import Layout, receipt_of
from flexbench.provenance import ELSEWHERE, Step, file_digest, name_in, plain, read_receipt

# In the order in which they are told.
KINDS = ("missing", "no receipt", "changed", "inputs", "settings", "other code")

_READERS = 4  # hashing leaves Python's lock alone, and disks like a few readers
_SHOWN_KEYS = 4
_OUTPUT_FOLDERS = ("data", "checkpoints", "samples", "scores", "tables", "figures")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with one file.

    path: from the results folder. step: the rule that makes the file. kind: out of `KINDS`.
    """

    path: str
    step: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.text}"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found. files, bytes: what was looked at; not_made: steps without any output.

    leftovers: files among the outputs that no step plans, from the results folder.
    """

    findings: list[Finding]
    not_made: Mapping[str, list[str]]
    planned: Mapping[str, int]
    leftovers: list[str]
    files: int
    bytes: int
    seconds: float
    quick: bool
    partial: bool

    @property
    def clean(self) -> bool:
        return not self.findings and (self.partial or not self.not_made)

    @property
    def verdict(self) -> str:
        """The number of problems, in words."""
        missing = 0 if self.partial else sum(map(len, self.not_made.values()))
        wrong = len(self.findings) + missing
        return f"{wrong} {'problem' if wrong == 1 else 'problems'}"


def verify(graph: Graph, *, quick: bool = False, partial: bool = False) -> Verification:
    """Check every output that `graph` plans; nothing is written, nothing but files is read.

    quick: compare sizes instead of bytes. partial: a step of which nothing was made, and data
    that was left out where its receipt is there, are no faults (a published archive, say).
    """
    return _Check(graph, quick=quick, partial=partial).run()


@dataclass
class _Check:
    """One pass over a results folder.

    receipts: of the steps that have a readable one. recorded: what they say of each output.
    found: today's digest of a file, or why it could not be read.
    """

    graph: Graph
    quick: bool
    partial: bool
    receipts: dict[Path, dict[str, Any]] = field(default_factory=dict)
    recorded: dict[Path, str] = field(default_factory=dict)
    found: dict[Path, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> Verification:
        start = time.perf_counter()
        steps = self.graph.steps
        not_made: dict[str, list[str]] = {}
        made = []
        for step in steps:
            if step.receipt.is_file() or any(path.is_file() for path in step.outputs):
                made.append(step)
            else:
                not_made.setdefault(step.name, []).append(self._shown(step.outputs[0]))
        for step in made:
            self._read(step)
        there = [path for step in made for path in step.outputs if path.is_file()]
        self._hash(there)
        for step in made:
            self.findings += sorted(self._of(step), key=lambda it: KINDS.index(it.kind))
        return Verification(
            findings=self.findings,
            not_made=not_made,
            planned=Counter(step.name for step in steps),
            leftovers=_leftovers(self.graph.layout, steps),
            files=len(there),
            bytes=sum(path.stat().st_size for path in there),
            seconds=time.perf_counter() - start,
            quick=self.quick,
            partial=self.partial,
        )

    def _read(self, step: Step) -> None:
        try:
            receipt = read_receipt(step.outputs[0])
        except FlexbenchError as error:
            why = str(error).removeprefix(f"{step.receipt}: ")
            self._add(step, step.receipt, "no receipt", why)
            return
        if not receipt:
            text = "nothing says what made it (a killed run, or a copy without receipts?)"
            self._add(step, step.outputs[0], "no receipt", text)
            return
        self.receipts[step.receipt] = receipt
        for path in step.outputs:
            if path.name in receipt["outputs"]:
                self.recorded[_clean(path)] = receipt["outputs"][path.name]

    def _hash(self, paths: Iterable[Path]) -> None:
        wanted = [path for path in paths if not self.quick and _clean(path) not in self.found]
        with ThreadPoolExecutor(_READERS) as pool:
            for path, digest in zip(wanted, pool.map(_digest_or_error, wanted), strict=True):
                self.found[_clean(path)] = digest

    # --- one step ---------------------------------------------------------------------------

    def _of(self, step: Step) -> Iterator[Finding]:
        receipt = self.receipts.get(step.receipt)
        for path in step.outputs:
            yield from self._of_output(step, path, receipt)
        if receipt is None:
            return
        yield from self._of_inputs(step, receipt)
        first = step.outputs[0]
        changes = told_differences(receipt["slice"], plain(step.slice))
        if changes:
            more = len(changes) - _SHOWN_KEYS
            shown = "; ".join(changes[:_SHOWN_KEYS]) + (f"; and {more} more" if more > 0 else "")
            yield self._finding(step, first, "settings", shown)
        if receipt.get("code_digest") != step.code:
            text = f"made by other code ({receipt.get('code_digest')}, here: {step.code})"
            yield self._finding(step, first, "other code", text)

    def _of_output(
        self, step: Step, path: Path, receipt: Mapping[str, Any] | None
    ) -> Iterator[Finding]:
        if not path.is_file():
            if not self.partial:
                why = "its receipt is there" if receipt else "other files of its step are there"
                text = f"{why}, the file is not; `flexbench run {path}` makes it again"
                yield self._finding(step, path, "missing", text)
            return
        if receipt is None:
            return
        named = receipt["outputs"].get(path.name)
        size, here = (receipt.get("bytes") or {}).get(path.name), path.stat().st_size
        if named is None:
            yield self._finding(step, path, "no receipt", "its step's receipt does not name it")
        elif self.quick and size is None:
            text = "its receipt names no size; look without --quick"
            yield self._finding(step, path, "no receipt", text)
        elif size not in (None, here):
            yield self._finding(step, path, "changed", f"{here} bytes, its receipt says {size}")
        elif not self.quick and self.found[_clean(path)] != named:
            text = f"{_short(self.found[_clean(path)])}, its receipt says {_short(named)}"
            yield self._finding(step, path, "changed", text)

    def _of_inputs(self, step: Step, receipt: Mapping[str, Any]) -> Iterator[Finding]:
        first, inputs = step.outputs[0], receipt["inputs"]
        wanted = {name_in(step, path): path for path in step.inputs}
        unnamed = [self._shown(path) for name, path in wanted.items() if name not in inputs]
        if unnamed:
            more = f" and {len(unnamed) - 1} more inputs" if unnamed[1:] else ""
            text = f"its receipt does not name {unnamed[0]}{more}"
            yield self._finding(step, first, "inputs", text)
        for name, digest in inputs.items():
            path = _clean(wanted.get(name, first.parent / name))
            if name not in wanted:
                lies = name if name.startswith(ELSEWHERE) else self._shown(path)
                text = f"made from {lies}, which the configuration does not ask for"
                yield self._finding(step, first, "inputs", text)
            # The input's own receipt speaks for it: a byte that changed since is the input's fault.
            elif self.recorded.get(path, self._now(path) or digest) != digest:
                text = f"made from another version of {self._shown(path)}"
                yield self._finding(step, first, "inputs", text)

    def _now(self, path: Path) -> str | None:
        """Today's digest of an input that has no receipt; None where it is not there to be read."""
        if path not in self.found and path.is_file():
            self._hash([path])
        return self.found.get(path)

    # --- words ------------------------------------------------------------------------------

    def _add(self, step: Step, path: Path, kind: str, text: str) -> None:
        self.findings.append(self._finding(step, path, kind, text))

    def _finding(self, step: Step, path: Path, kind: str, text: str) -> Finding:
        return Finding(path=self._shown(path), step=step.name, kind=kind, text=text)

    def _shown(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.graph.layout.folder)).as_posix()


def told_differences(made: Any, asked: Any) -> list[str]:
    """Which keys of two slices differ, and how: "made with train.steps 30, asked for: 40"."""
    return [
        f"made with {place} {_brief(before)}, asked for: {_brief(after)}"
        for place, before, after in differences(made, asked)
    ]


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _short(digest: str) -> str:
    """A SHA-256 as people compare it; a reason why there is none as it is."""
    return f"sha256 {digest[:12]}" if len(digest) == 64 and " " not in digest else digest


def _digest_or_error(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _leftovers(layout: Layout, steps: Iterable[Step]) -> list[str]:
    """Files among the outputs that no step plans; unfinished temporary files too."""
    known = {_clean(path) for step in steps for path in (*step.outputs, step.receipt)}
    folders = [layout.folder / name for name in _OUTPUT_FOLDERS]
    candidates = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    candidates += [layout.report, receipt_of(layout.report)]
    return sorted(
        Path(os.path.relpath(path, layout.folder)).as_posix()
        for path in candidates
        if path.is_file() and _clean(path) not in known
    )


def _clean(path: Path) -> Path:
    """One spelling per file, without following links."""
    return Path(os.path.abspath(path))
