"""The folder of shared networks: what stands in it, and what is read of it.

<root>/<tier>/networks/
    manifest.json       which networks, the flow that was scored, size and SHA-256 of every file
    config.yaml         the run's settings, of these networks and the formulas beside them alone
    scores.csv          what the run's score files say of that one flow
    data/statistics_<task>.json
    checkpoints/<training>/<method>/seed<k>.safetensors, its fits, and its card, seed<k>.md

Below it paths are those of a results folder; beside what a step made stands its receipt.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flexbench.config import Run
from flexbench.config.reading import load_config
from flexbench.config.strict_yaml import read_yaml
from flexbench.errors import FlexbenchError
from flexbench.graph import Graph
from flexbench.graph.names import Training
from flexbench.metrics.tables import SNAPSHOT_SCORES
from flexbench.nested import merge
from flexbench.paths import Layout, checkout
from flexbench.provenance import file_digest

MANIFEST, CONFIG, SCORES = "manifest.json", "config.yaml", "scores.csv"

# Whose networks a newcomer finds in the clone.
SHARED_TIER = "study"

# The column of `scores.csv` that score files lack: methods are scored with several samplers.
SAMPLER = "sampler"

# No shipped tier: a configuration of this name is read by itself, and not over a tier's file.
PRIVATE_TIER = "try"


def default_folder() -> Path:
    """Where a clone has them."""
    return Layout(checkout() / "results", SHARED_TIER).networks


@dataclass(frozen=True, kw_only=True)
class SharedNetworks:
    """A folder of them. settings: of the run. networks: in the order of sharing. flow: the one of
    the test split whose scores stand there. files: SHA-256 and bytes by name.
    """

    folder: Path
    settings: Mapping[str, Any]
    networks: list[Training]
    flow: Run
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "SharedNetworks":
        """FlexbenchError for a folder that is missing, or none of this kind."""
        path = folder / MANIFEST
        if not path.is_file():
            raise FlexbenchError(f"{folder}: holds no shared networks; `flexbench share` makes it")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            networks = [Training(**network) for network in manifest["networks"]]
            flow = Run("periodic", **manifest["flow"])
            files = dict(manifest["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise FlexbenchError(f"{path}: not a manifest of networks ({error})") from None
        settings = read_yaml(folder / CONFIG)
        return cls(folder=folder, settings=settings, networks=networks, flow=flow, files=files)

    def network(self, task: str | None, method: str | None, seed: int | None) -> Training:
        """The first that is asked for; None: any. FlexbenchError names those that there are."""
        for network in self.networks:
            fits = task in (None, *network.tasks) and method in (None, network.method)
            if fits and seed in (None, network.seed):
                return network
        known = ", ".join(f"{it.name} {it.method} --seed {it.seed}" for it in self.networks)
        asked_for = " ".join(str(it) for it in (task, method) if it is not None)
        told = asked_for + (f" --seed {seed}" if seed is not None else "")
        raise FlexbenchError(f"{self.folder}: holds no network {told}; allowed: {known}")

    def require_whole(self, folder: Path) -> None:
        """FlexbenchError where a file below `folder` is not the one that was shared."""
        for name, facts in self.files.items():
            path = self.folder / name
            if not path.is_relative_to(folder):
                continue
            if not path.is_file() or file_digest(path) != facts["sha256"]:
                raise FlexbenchError(
                    f"{path}: is not the file of {MANIFEST}; `git checkout` brings it back"
                )

    def scores(self) -> pd.DataFrame:
        """The run's scores of `flow`, as score files have them, and the sampler of each row."""
        path = self.folder / SCORES
        rows = SNAPSHOT_SCORES.read(path)
        return rows.assign(**{SAMPLER: pd.read_csv(path, dtype="object")[SAMPLER]})

    def graph(
        self, network: Training, *, flow: Run, sample: Mapping[str, Any], root: Path
    ) -> Graph:
        """Of a private results folder below `root` where that network is asked about one flow.

        sample: keys of the section that differ from the run's. All that the weights depend on is
        as it was, so that a checkpoint is what the graph's own steps would have made.
        FlexbenchError for a flow that the network has seen, and for settings that do not fit.
        """
        settings = self.settings
        for split in ("train", "validation"):
            known = settings["splits"][split]
            if flow.reynolds in known["reynolds"] and flow.seed in known["seeds"]:
                raise FlexbenchError(
                    f"Re {flow.reynolds:g}, seed {flow.seed}: the network has seen this flow "
                    f"(split {split}); allowed: seeds other than {known['seeds']}"
                )
        own = {
            "tier": PRIVATE_TIER,
            "root": str(root.resolve()),
            "training_seeds": [network.seed],
            "splits": {"test": {"reynolds": [flow.reynolds], "seeds": [flow.seed]}},
            "sample": dict(sample),
        }
        values = merge(settings, own)
        methods = [it.method for it in self.networks if it.method != network.method]
        values["methods"] = [name for name in settings["methods"] if name not in methods]
        values["tasks"] = {task: settings["tasks"][task] for task in network.tasks}
        values["method_settings"] = {
            name: it
            for name, it in settings["method_settings"].items()
            if name in values["methods"]
        }
        return Graph.of(load_config(values))
