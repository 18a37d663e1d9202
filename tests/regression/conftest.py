"""Runs and references made up score by score; samples and verdicts of runs that were made."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from flexbench.data.samples import Samples, write_samples
from flexbench.paths import receipt_of
from flexbench.provenance import file_digest
from flexbench.regression.reference import accept
from flexbench.regression.scores import Run

NAMES = ("sr.accuracy", "sr.calibration", "sr.time", "fc.accuracy", "fc.calibration", "fc.time")
COUNTS = {"sr.calls": 2.0, "sr.flops": 7.6e7, "fc.calls": 2.0, "fc.flops": 7.7e7}
LEVELS = dict(zip(NAMES, (0.95, 0.8, 11.0, 0.55, 0.9, 11.0), strict=True))


def make_run(seeds, *, shift=None, **changes):
    """A run with 2 % noise. shift: factors on some scores."""
    scores = {}
    for seed in seeds:
        noise = np.random.default_rng([7, seed]).normal(0, 0.02, len(NAMES))
        scores[seed] = {
            name: LEVELS[name] * float(np.exp(own)) * (shift or {}).get(name, 1.0)
            for name, own in zip(NAMES, noise, strict=True)
        }
    values = {
        "folder": Path("results/gate"),
        "tier": "gate",
        "benchmark_version": "1",
        "configuration": {"train": {"steps": 300}, "size": "XXS"},
        "seeds": scores,
        "counts": dict(COUNTS),
        "code": {"train": "a", "sample": "b"},
        "machine": {"torch": "2.13.0", "processor": "one"},
    }
    return Run(**(values | changes))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reference" / "gate.json"


@pytest.fixture
def reference(path):
    return accept(make_run(range(12)), path, reason="the first one")


def scale_spread(source, target, factor):
    """Write ensembles with another spread about the same means, as if they had been drawn so."""
    with Samples(source) as samples:
        ensembles = [samples.ensemble(row) for row in range(len(samples))]
        means = [members.mean(axis=0, dtype=np.float64) for members in ensembles]
        write_samples(
            target,
            (
                (mean + factor * (members - mean)).astype(np.float32)
                for members, mean in zip(ensembles, means, strict=True)
            ),
            snapshots=samples.snapshots,
            shape=samples.shape[1:],
            labels=samples.labels,
        )
    place = receipt_of(target)
    receipt = json.loads(place.read_text(encoding="utf-8"))
    receipt["outputs"][target.name] = file_digest(target)
    place.write_text(json.dumps(receipt), encoding="utf-8")


def failed_cases(junit):
    """The names of the failed cases with what is said of them."""
    cases = ElementTree.parse(junit).getroot().iter("testcase")
    failed = {case.get("name"): case.findtext("failure") for case in cases}
    return {name: text for name, text in failed.items() if text}
