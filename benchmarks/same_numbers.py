"""Whether two runs have the same numbers, to the bit: `python benchmarks/same_numbers.py OLD NEW`.

For a change of code that must change no number. Run a tier in two checkouts, before and after it,
on one machine, with one version of torch and as many threads:

    (cd before && flexbench run --tier smoke)
    (cd after && flexbench run --tier smoke)
    python benchmarks/same_numbers.py before/results/smoke after/results/smoke

Compared are the scales of tasks, trajectories, weights and samples bit for bit, and scores, spectra
and tables cell by cell as text. What was renamed between the two is told by the tables at the top
of this script. Exits with 1 where anything differs, and names the first place of each kind.
"""

import argparse
import csv
import json
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import h5py

# What the newer of the two calls differently: columns of tables and attributes of samples, ...
RENAMED = {
    "task": "case",
    "evaluations": "calls",
    "flops_per_evaluation": "flops_per_call",
}
# ... whole cells, ...
RELABELLED = {
    "best trivial": "best formula",
    "worse than trivial": "worse than formula",
}
# ... and what only the newer has: keys of scales, columns, tensors, datasets, attributes.
ADDED: frozenset[str] = frozenset()
# Rows that only the newer has: of these scores, and of flags whose words have changed (what they
# are about is compared as scores).
ADDED_SCORES = frozenset(
    {
        *("spread_skill_fifth", "spread_skill_worst", "reliability_slope", "error_contrast"),
        *("central_mass", "pull_tail", "pull_tail_ratio", "pull_ratio_subset"),
        *("fifth_spread", "fifth_skill", "contrast_truth", "contrast_members", "contrast_noise"),
        *("pull_mean_member", "pull_noise", "subset_mean", "subset_square"),
        *("copied_members", "rfne_closest"),
    }
)
REWORDED_FLAGS = frozenset({"information"})

# Differs from run to run: times and memory, and the names of formats and code.
COSTS = frozenset(
    {
        *("train_seconds", "sample_seconds", "seconds_per_member", "relative_time"),
        *("peak_memory_mib", "device", "format_version"),
    }
)
LEFT_OUT = (
    "left out: costs (times, memory, device), receipts, logs, benchmarks, restart points, figures, "
    "the report, the configuration, notes among the red flags, and the list of splits, which holds "
    "hashes of whole files"
)

# Places of a file, each with what stands there, as bytes or text.
Values = Mapping[str, bytes | str]


def of_scales(path: Path) -> Values:
    """Every number of a JSON file, by the keys that lead to it, as it is written."""
    return dict(_leaves(json.loads(path.read_text(), parse_float=str, parse_int=str), ""))


def _leaves(value: object, place: str) -> Iterator[tuple[str, str]]:
    inner = {}
    if isinstance(value, dict):
        inner = value
    elif isinstance(value, list):
        inner = dict(enumerate(value))
    if not inner:
        yield place, json.dumps(value)
    for key, one in inner.items():
        yield from _leaves(one, f"{place}.{key}" if place else str(key))


def of_weights(path: Path) -> Values:
    """Tensors of a safetensors file; what it says of itself, such as its code, is left out."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    head, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    head.pop("__metadata__", None)
    found: dict[str, bytes | str] = {}
    for name, tensor in head.items():
        begin, end = tensor["data_offsets"]
        found[f"{name} (type and shape)"] = f"{tensor['dtype']} {tensor['shape']}"
        found[name] = data[begin:end]
    return found


def of_samples(path: Path) -> Values:
    """Datasets and labels of a file of samples."""
    with h5py.File(path) as file:
        labels = {f"attribute {_renamed(name)}": str(it) for name, it in file.attrs.items()}
    return _datasets(path) | {
        name: value for name, value in labels.items() if name.split()[1] not in COSTS
    }


def of_trajectories(path: Path) -> Values:
    """Datasets alone: the attributes of a trajectory name the code that made it."""
    return _datasets(path)


def _datasets(path: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            text = h5py.check_string_dtype(item.dtype) is not None
            values = item.asstr()[()] if text else item[()]
            found[f"{name} (type and shape)"] = f"{'text' if text else item.dtype} {item.shape}"
            found[name] = repr(values.tolist()) if text else values.tobytes()

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def of_table(path: Path) -> Values:
    """Cells of a table by row and column, columns and cells by their newer names."""
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    rows = [row for row in rows if not _is_left_out(dict(zip(head, row, strict=True)))]
    # A table that has cases beside tasks keeps both.
    columns = [name if _renamed(name) in head else _renamed(name) for name in head]
    found: dict[str, bytes | str] = {"rows": str(len(rows))}
    found |= {f"column {name}": "" for name in columns if name not in COSTS}
    for number, row in enumerate(rows, start=2):  # as an editor counts lines of the older file
        for name, cell in zip(columns, row, strict=True):
            if name not in COSTS:
                found[f"line {number}, {name}"] = RELABELLED.get(cell, cell)
    return found


def _is_left_out(row: Mapping[str, str]) -> bool:
    return row.get("score") in ADDED_SCORES or row.get("flag") in REWORDED_FLAGS


def _renamed(name: str) -> str:
    return RENAMED.get(name, name)


@dataclass(frozen=True)
class Kind:
    """Files of one kind: where they are below a results folder, and how one is read."""

    name: str
    pattern: str
    read: Callable[[Path], Values]


KINDS = (
    Kind("scales of tasks", "data/statistics_*.json", of_scales),
    Kind("trajectories", "data/*.h5", of_trajectories),
    Kind("weights", "checkpoints/**/*.safetensors", of_weights),
    Kind("samples", "samples/**/*.h5", of_samples),
    Kind("scores, spectra", "scores/**/*.csv", of_table),
    Kind("tables", "tables/*.csv", of_table),
    Kind("headline", "tables/headline.json", of_scales),
)


def difference(old: Values, new: Values) -> str | None:
    """The first place that differs, and how; None where all is the same."""
    for place in dict.fromkeys((*old, *new)):
        if place in old and place in new:
            if old[place] != new[place]:
                return f"{place}: {_shown(old[place], new[place])}"
        elif place in old or not _is_added(place):
            return f"{place}: only in the {'older' if place in old else 'newer'} run"
    return None


def _is_added(place: str) -> bool:
    """Whether a place, or anything that leads to it, is known to be of the newer run alone."""
    words = place.replace(".", " ").replace(",", " ").split()
    return any(word in ADDED for word in words)


def _shown(old: bytes | str, new: bytes | str) -> str:
    if isinstance(old, str) or isinstance(new, str):
        return f"{old!s} -> {new!s}"
    pairs = enumerate(zip_longest(old, new))
    where = next(number for number, (one, other) in pairs if one != other)
    return f"byte {where} of {len(old)} differs"


def compare(kind: Kind, old: Path, new: Path) -> tuple[int, list[str]]:
    """How many files of a kind there are, and what differs in each that is not the same."""
    places = {
        path.relative_to(root)
        for root in (old, new)
        for path in root.glob(kind.pattern)
        if not path.name.endswith(".receipt.json")
    }
    found = []
    for place in sorted(places):
        missing = [root for root in (old, new) if not (root / place).is_file()]
        if missing:
            found.append(f"{place}: missing in {missing[0]}")
            continue
        told = difference(kind.read(old / place), kind.read(new / place))
        if told:
            found.append(f"{place}: {told}")
    return len(places), found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="results folder of a tier, such as results/smoke")
    parser.add_argument("new", type=Path, help="the same tier's, of the newer code")
    options = parser.parse_args()
    for folder in (options.old, options.new):
        if not (folder / "data").is_dir():
            parser.error(f"{folder}: not the results of a tier (it has no folder 'data')")
    same = True
    for kind in KINDS:
        count, found = compare(kind, options.old, options.new)
        verdict = f"{len(found)} differ; first {found[0]}" if found else "equal"
        print(f"{kind.name:16} {count:4} files: {verdict if count else 'none'}", flush=True)
        same = same and not found
    print(LEFT_OUT)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
