"""Receipts as the page shows them: what each says, and links from number to number's origin."""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flexbench.paths import Layout
from flexbench.provenance import ELSEWHERE
from flexbench.report.inputs import Receipt
from flexbench.report.style import short_hash

# What a receipt's own lines say; the rest (files, slice, facts, versions) is shown in blocks.
_SHOWN = ("step", "code_digest", "slice_digest", "finished", "processor", "kernels")
_BLOCKS = ("slice", "facts", "versions")


class ReceiptIndex:
    """Finds the place on the page of the receipt that a file has."""

    def __init__(self, layout: Layout, receipts: Iterable[Receipt]):
        self.layout = layout
        self._anchors: dict[str, str] = {}
        for receipt in receipts:
            anchor = slug("receipt", receipt.output)
            folder = posixpath.dirname(receipt.output)
            names = [*(receipt.content.get("outputs") or {}), posixpath.basename(receipt.output)]
            self._anchors |= {posixpath.join(folder, name): anchor for name in names}

    def find(self, text: str) -> str:
        """From a path of an output or of its receipt, from the results folder or longer; or ""."""
        parts = text.removesuffix(".receipt.json").split("/")
        # Tables may be written with longer paths than the results folder's own.
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((self._anchors[tail] for tail in tails if tail in self._anchors), "")

    def of(self, path: Path) -> str:
        """From the path of an output as the layout gives it."""
        return self.find(path.relative_to(self.layout.folder).as_posix())

    def of_cost(self, column: str, record: dict[Any, Any]) -> str:
        """From a column and a row of the table of costs: whose receipt the number comes from."""
        run = (str(record["method"]), int(record["training_seed"]))
        if column.startswith("train"):
            return self.of(self.layout.checkpoint(str(record["training"]), *run))
        return self.of(self.layout.samples(str(record["case"]), *run))


def receipt_view(receipt: Receipt, index: ReceiptIndex) -> dict[str, Any]:
    """What the page shows of a receipt; keys that it lacks are empty."""
    content = receipt.content
    folder = posixpath.dirname(receipt.output)

    def files(section: str) -> list[dict[str, Any]]:
        sizes = content.get("bytes") or {}
        named = content.get(section) or {}
        paths = {
            name: name.removeprefix(ELSEWHERE)
            if name.startswith(ELSEWHERE)
            else posixpath.normpath(posixpath.join(folder, name))
            for name in named
        }
        return [
            {
                "path": paths[name],
                "digest": digest,
                "bytes": sizes.get(name),
                "anchor": index.find(paths[name]) if section == "inputs" else "",
            }
            for name, digest in named.items()
        ]

    return {
        "anchor": slug("receipt", receipt.output),
        "output": receipt.output,
        **{key: content.get(key, "") for key in _SHOWN},
        "took": (
            f"{content.get('seconds', '?')} s ({content.get('cpu_seconds', '?')} s of CPU), "
            f"{content.get('peak_memory_mib', '?')} MiB at most"
        ),
        "outputs": files("outputs"),
        "inputs": files("inputs"),
        "blocks": [(key, content[key]) for key in _BLOCKS if content.get(key)],
    }


def version_rows(receipts: Iterable[Receipt]) -> list[tuple[str, list[str]]]:
    """Every package that computed, with all versions that the receipts name."""
    found: dict[str, set[str]] = {}
    for receipt in receipts:
        for name, version in (receipt.content.get("versions") or {}).items():
            found.setdefault(name, set()).add(str(version))
    return [(name, sorted(versions)) for name, versions in sorted(found.items())]


def code_rows(receipts: Iterable[Receipt]) -> list[tuple[str, list[str]]]:
    """Every step, with all digests of its code that the receipts name."""
    found: dict[str, set[str]] = {}
    for receipt in receipts:
        step, code = receipt.content.get("step"), receipt.content.get("code_digest")
        if step and code:
            found.setdefault(str(step), set()).add(str(code))
    return [(step, sorted(codes)) for step, codes in sorted(found.items())]


def slug(*parts: str) -> str:
    """An anchor: letters, digits and dashes; never the same for two different names."""
    text = "-".join(parts)
    clean = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return clean if clean == text else f"{clean}-{short_hash(text)}"
