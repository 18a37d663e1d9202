"""What a cost has to tell of one job, and the sizes of files that several costs share."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from flexbench.graph.planned import PlannedJob
from flexbench.graph.rule import Names
from flexbench.planning.facts import RunFacts
from flexbench.planning.rates import Measurement

BLOCK = 4096
MIB = 2**20

CATEGORIES = (
    *("data", "checkpoints", "samples", "scores", "tables"),
    *("figures", "report", "records", "folders"),
)

# Bytes of text, measured on finished runs: of each file that a receipt names, and of a benchmark.
_RECEIPT_FILE, _BENCHMARK = 150, 134


@dataclass(frozen=True)
class Written:
    """A file that a job leaves: what it counts as, and its bytes."""

    category: str
    size: int

    @property
    def on_disk(self) -> int:
        """In whole blocks, as `du` counts."""
        return math.ceil(self.size / BLOCK) * BLOCK


class Cost(ABC):
    """What the jobs of one rule cost.

    category: what its outputs count as. receipt: bytes of a receipt's text without files. log: of
    what it prints. process: MiB of a process with its libraries, before it holds any field (all of
    them measured). state: whether unfinished work has a folder.
    """

    rule: ClassVar[str]
    category: ClassVar[str]
    receipt: ClassVar[int]
    process: ClassVar[int]
    log: ClassVar[int] = 0
    state: ClassVar[bool] = False

    @abstractmethod
    def sizes(self, facts: RunFacts, names: Names) -> list[int]:
        """Bytes of each output, in their order."""

    def temporary(self, facts: RunFacts, names: Names) -> tuple[int, int]:
        """(bytes, files) that a job holds beside its outputs while it works, at most.

        Outputs are written under a temporary name while all that they are made of is still there.
        """
        return 0, 0

    def start(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        """Seconds of imports, of a network's width and weights: all that comes before the work."""
        return speed.rates.start.get(self.rule, speed.rates.start["splits"])

    def work(self, facts: RunFacts, speed: Measurement, names: Names) -> float:
        """Seconds of the work, without the hashing of files."""
        return 0.0

    def memory(self, facts: RunFacts, names: Names) -> float:
        """Bytes at its fullest, beside the process: a GPU's, where a network runs there."""
        return 0.0

    def written(self, facts: RunFacts, job: PlannedJob) -> list[Written]:
        """Every file that a job leaves: outputs, receipt, log, benchmark."""
        named = len(job.step.inputs) + len(job.step.outputs)
        return [
            *(Written(self.category, size) for size in self.sizes(facts, job.names)),
            Written(self.category, self.receipt + _RECEIPT_FILE * named),
            Written("records", self.log),
            Written("records", _BENCHMARK),
        ]

    def memory_bytes(self, facts: RunFacts, job: PlannedJob) -> int:
        """Peak of one job's memory: its process, its weights and its fields."""
        return self.process * MIB + round(self.memory(facts, job.names))


def hdf5_bytes(*, chunks: int, chunk_bytes: int, rank: int, fixed: int) -> int:
    """Size of an HDF5 file of one chunked dataset of that rank.

    fixed: headers, attributes and small datasets. A version 1 B-tree indexes the chunks: 64 of
    them to a full node, 57 where a file grows at its end.
    """
    node = 24 + 65 * (8 + 8 * (rank + 1)) + 64 * 8
    nodes, level = 0, chunks
    while level > 1 or nodes == 0:
        level = 1 if level <= 64 else math.ceil(level / 57)
        nodes += level
    return fixed + chunks * chunk_bytes + nodes * node
