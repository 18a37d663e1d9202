"""Every path under the root of data and results, shared by the rules and the command line.

<root>/<tier>/
    config.yaml                                  the resolved configuration
    data/[<walls>_]re<Re>_seed<seed>.h5          trajectories
    data/splits.json                             files of each split, checked for leaks
    data/statistics_<task>[.<observable>].json   field and residual std of the training split
    data/targets_<task>.csv                      variance of what a network has to say
    checkpoints/<task>/<method>/seed<k>.safetensors
    checkpoints/<task>/<method>/seed<k>.<fit>.calibration.json
    checkpoints/<task>/<method>/seed<k>.gradients.csv   their noise, in such a training
    samples/<case>/<method>/seed<k>.h5           case: <task>, or <task>.<evaluation>
    submissions/<method>.json                    who ran a method elsewhere, how, on which cases
    scores/<case>/<method>/seed<k>.csv
    tables/*.csv   tables/headline.json   figures/<case>/*.png   report.html
    tables/claims.json   tables/claims.md        what the run says of the registered claims
    drawn.zip      what figures were drawn from, small, so that git can keep it
    networks/      trained networks that git keeps, with what is needed to use them
    tables/findings.json                         what it found, in sentences
    state/         restart points of unfinished work (never an output of a rule)
    logs/  benchmarks/                           what rules print and need
    logs/run.log  logs/run.events.jsonl          what Snakemake said in the last run; what happened
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from flexbench.errors import FlexbenchError


@cache
def checkout() -> Path:
    """The clone's root (it holds `Snakefile`), from this file or from the working directory."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package, *(Path.cwd(), *Path.cwd().parents)):
        if (folder / "Snakefile").is_file() and (folder / "workflow" / "config").is_dir():
            return folder
    raise FlexbenchError(
        f"no flexbench checkout found above {Path.cwd()}; run inside the clone "
        "(the folder with Snakefile)"
    )


def default_claims() -> Path:
    """Where the claims are registered."""
    return checkout() / "workflow" / "claims.yaml"


def job_of_log(log: Path) -> str:
    """Which job a log is of: the words of its path below logs/."""
    words = log.with_suffix("").parts
    return " ".join(words[words.index("logs") + 1 :]) if "logs" in words else log.stem


@dataclass(frozen=True)
class Layout:
    """Paths of one tier's data and results under `root`."""

    root: Path
    tier: str

    @cached_property
    def folder(self) -> Path:
        return self.root / self.tier

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def trajectory(self, stem: str) -> Path:
        return self.folder / "data" / f"{stem}.h5"

    @property
    def splits(self) -> Path:
        return self.folder / "data" / "splits.json"

    def statistics(self, task: str, observable: str = "w") -> Path:
        """The scales of a task; velocities have their own."""
        own = "" if observable == "w" else f".{observable}"
        return self.folder / "data" / f"statistics_{task}{own}.json"

    def targets(self, task: str) -> Path:
        return self.folder / "data" / f"targets_{task}.csv"

    def gradients(self, training: str, method: str, seed: int | str) -> Path:
        return self.folder / "checkpoints" / training / method / f"seed{seed}.gradients.csv"

    def checkpoint(self, task: str, method: str, seed: int | str) -> Path:
        return self.folder / "checkpoints" / task / method / f"seed{seed}.safetensors"

    def training_log(self, task: str, method: str, seed: int | str) -> Path:
        return self.folder / "checkpoints" / task / method / f"seed{seed}.log.jsonl"

    def calibration(self, training: str, fit: str, method: str, seed: int | str) -> Path:
        """The fit of a checkpoint's sampler to validation, beside the checkpoint."""
        folder = self.folder / "checkpoints" / training / method
        return folder / f"seed{seed}.{fit}.calibration.json"

    def samples(self, task: str, method: str, seed: int | str) -> Path:
        return self.all_samples / task / method / f"seed{seed}.h5"

    @property
    def all_samples(self) -> Path:
        """The folder of all samples."""
        return self.folder / "samples"

    def submission(self, method: str) -> Path:
        """What is known of a method that others ran; its samples stand among all others."""
        return self.folder / "submissions" / f"{method}.json"

    def scores(self, task: str, method: str, seed: int | str) -> Path:
        return self.folder / "scores" / task / method / f"seed{seed}.csv"

    def spectra(self, task: str, method: str, seed: int | str) -> Path:
        return self.folder / "scores" / task / method / f"seed{seed}.spectra.csv"

    def table(self, name: str) -> Path:
        return self.folder / "tables" / f"{name}.csv"

    @property
    def headline(self) -> Path:
        return self.folder / "tables" / "headline.json"

    @property
    def findings(self) -> Path:
        """What the run found, in sentences."""
        return self.folder / "tables" / "findings.json"

    @property
    def claims(self) -> Path:
        """The ledger of claims for machines; the page for people stands beside it."""
        return self.folder / "tables" / "claims.json"

    @property
    def claims_page(self) -> Path:
        return self.folder / "tables" / "claims.md"

    def figure(self, task: str, name: str) -> Path:
        return self.folder / "figures" / task / f"{name}.png"

    def animation(self, task: str, name: str) -> Path:
        return self.folder / "figures" / task / f"{name}.gif"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def drawn(self) -> Path:
        """What `flexbench keep` makes."""
        return self.folder / "drawn.zip"

    @property
    def networks(self) -> Path:
        """What `flexbench share` makes."""
        return self.folder / "networks"

    def state(self, *parts: str) -> Path:
        return self.folder.joinpath("state", *parts)

    def log(self, *parts: str) -> Path:
        return self.folder.joinpath("logs", *parts).with_suffix(".log")

    @property
    def run_log(self) -> Path:
        """What Snakemake, and all jobs on this machine, said in the last run."""
        return self.log("run")

    @property
    def run_events(self) -> Path:
        """What happened in it, as `snakemake_events` writes it down."""
        return self.run_log.with_suffix(".events.jsonl")

    def benchmark(self, *parts: str) -> Path:
        return self.folder.joinpath("benchmarks", *parts).with_suffix(".tsv")


def receipt_of(output: Path) -> Path:
    """Where the receipt of an output stands: beside it."""
    return output.with_name(output.name + ".receipt.json")


TABLES = ("scores", "leads", "comparisons", "red_flags", "cost", "matrix", "leaderboard")
