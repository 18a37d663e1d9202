"""The CSV tables: of each its columns in the writer's order, which of them hold text, its reader.

A case is named as in the configuration: a task on the test split, or on an evaluation. Of one run:
`parameters` of the whole network, the encoders of other tasks included; `flops` of one member of
one patch; `calls` of the network per member; `members` M.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flexbench.errors import FlexbenchError
from flexbench.metrics.definitions import in_order

# What tells one predicted snapshot from another: rollouts may pass the same one at several leads.
SNAPSHOT = ("trajectory", "index", "lead")

# The name that tables give all Reynolds numbers together.
ALL = "all"

# The mark of a method: whether its samples were drawn here, or given to `flexbench submit`. The
# samples of the latter have that word for a mode, too: how they were drawn is not known.
MARK = "mark"
MARKS = REPRODUCED, SUBMITTED = "reproduced", "submitted"


def mark_of(mode: str) -> str:
    """The mark of a method, by the mode that its samples have."""
    return SUBMITTED if mode == SUBMITTED else REPRODUCED


_RUN = ("benchmark_version", "tier", "case", "method")
_NETWORK = ("members", "parameters", "flops", "calls")
_INTERVAL = ("value", "low", "high")

_TEXT = frozenset(
    (
        *("benchmark_version", "tier", "task", "case", "method", "mode", "reference", "training"),
        *("trajectory", "observable", "boundary", "score", "detail"),
        *("flag", "message", "device", "receipt", "mark"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A kind of table.

    columns: in the writer's order; a reader needs all of them. made_by: the verb. pooled: its
    Reynolds numbers are names, ALL among them, and no numbers. marked: it has a mark at the end,
    which files of older versions lack: then everything was reproduced.
    """

    columns: tuple[str, ...]
    made_by: str
    pooled: bool = False
    marked: bool = False

    @property
    def text(self) -> list[str]:
        """Columns that hold text: digits as labels ("3", "0.8824") stay as they were written."""
        return [name for name in self.columns if name in _TEXT or self._is_label(name)]

    def _is_label(self, column: str) -> bool:
        return column == "reynolds" and self.pooled

    def of(self, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """A table of rows that may hold more than its columns."""
        return pd.DataFrame(list(rows), columns=list(self.columns))

    def read(self, path: Path) -> pd.DataFrame:
        """Its columns of a file: text as text ("" where empty), all else as numbers.

        Raises FlexbenchError, naming the file, where it is missing, cannot be read, lacks a column,
        or holds a score that is not defined.
        """
        if not path.is_file():
            raise FlexbenchError(f"{path}: no such table; run `flexbench {self.made_by}` first")
        text = self.text
        # An empty cell, or the word for no number, is no number; as a text both are themselves.
        missing = {name: ["", "nan"] for name in self.columns if name not in text}
        try:
            frame = pd.read_csv(
                path, dtype=dict.fromkeys(text, "object"), keep_default_na=False, na_values=missing
            )
        except ValueError as error:
            raise FlexbenchError(f"{path}: not a readable CSV table ({error})") from error
        if self.marked and MARK not in frame:
            frame[MARK] = REPRODUCED
        for name in self.columns:
            if name not in frame:
                found = ", ".join(map(str, frame.columns))
                raise FlexbenchError(f"{path}: column '{name}' is missing; found {found}")
        if "score" in self.columns:
            try:
                in_order(frame["score"].unique())
            except FlexbenchError as error:
                raise FlexbenchError(f"{path}: {error}") from None
        return frame[list(self.columns)]


# scores/<case>/<method>/seed<k>.csv: a row for each snapshot, score and detail.
SNAPSHOT_SCORES = Table(
    columns=(
        *("benchmark_version", "tier", "case", "method", "mode", "training_seed"),
        *("trajectory", "reynolds", "seed", "index", "time", "lead", "score", "detail", "value"),
        *_NETWORK,
    ),
    made_by="score",
)
# scores/<case>/<method>/seed<k>.spectra.csv: a row for each snapshot and wavenumber k.
SPECTRA = Table(
    columns=(
        *("trajectory", "index", "lead", "reynolds", "k"),
        *("truth", "member_mean", "ensemble_mean", "error", "spread"),
    ),
    made_by="score",
)

SCORES = Table(
    columns=(
        *(*_RUN, "mode", "reynolds", "score", "detail", *_INTERVAL),
        *("snapshots", "trajectories", "training_seeds", *_NETWORK, "receipt", MARK),
    ),
    made_by="tabulate",
    pooled=True,
    marked=True,
)
LEADS = Table(
    columns=(
        *(*_RUN, "mode", "reynolds", "score", "lead", *_INTERVAL),
        *("trajectories", "training_seeds", "members", MARK),
    ),
    made_by="tabulate",
    pooled=True,
    marked=True,
)
# Ratios of the method's score to the reference's.
COMPARISONS = Table(
    columns=(*_RUN, "reference", "score", "reynolds", *_INTERVAL, "trajectories", MARK),
    made_by="tabulate",
    pooled=True,
    marked=True,
)
RED_FLAGS = Table(columns=("tier", "case", "method", "flag", "message"), made_by="tabulate")
# A row for each training seed; see `cost.cost_row`.
COST = Table(
    columns=(
        *("tier", "case", "method", "training_seed", "training", "parameters"),
        *("flops_per_call", "calls", "tiles", "flops_per_member", "seconds_per_member"),
        *("relative_time", "train_flops", "train_cpu_seconds", "train_seconds", "sample_seconds"),
        *("peak_memory_mib", "device", MARK),
    ),
    made_by="tabulate",
    marked=True,
)
MATRIX = Table(
    columns=(
        *("task", "case", "observable", "boundary", "reynolds", "in_distribution"),
        *(
            "method",
            "score",
            *_INTERVAL,
            "to_reference",
            "reference_reynolds",
            "trajectories",
            MARK,
        ),
    ),
    made_by="tabulate",
    pooled=True,
    marked=True,
)
# Of each case its methods, best by CRPS first; see `leaderboard`.
LEADERBOARD = Table(
    columns=(
        *("tier", "case", "method", MARK, "rank_crps", "crps", "crps_low", "crps_high"),
        *("rank_rfne_mean", "rfne_mean", "rfne_mean_low", "rfne_mean_high"),
        *("pull_ratio", "spread_skill", "members", "training_seeds", "trajectories"),
    ),
    made_by="tabulate",
)

# tables/<name>.csv, by the names of `paths.TABLES`.
TABLES = {
    "scores": SCORES,
    "leads": LEADS,
    "comparisons": COMPARISONS,
    "red_flags": RED_FLAGS,
    "cost": COST,
    "matrix": MATRIX,
    "leaderboard": LEADERBOARD,
}
