"""The lid-driven cavity at Re 100 against Ghia, Ghia and Shin, at low resolution.

`benchmarks/walls.py` has Re 400 and higher resolutions; `docs/walls.md` shows them.
"""

import csv
from pathlib import Path

import numpy as np

from flexbench.solver.validation import Cavity

REFERENCE = Path(__file__).parent.parent / "data" / "ghia1982.csv"


def test_cavity_at_re_100():
    """RMS of both profiles, walls left out, within 3 % of the lid's speed at 64 points."""
    with REFERENCE.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    cavity = Cavity(64, reynolds=100)
    cavity.advance(10)
    before = cavity.profile("u")[1]
    differences = []
    for component in ("u", "v"):
        places = np.array([float(r["coordinate"]) for r in rows if r["profile"] == component])
        published = np.array([float(r["re100"]) for r in rows if r["profile"] == component])
        inner = (places > 0) & (places < 1)
        computed = np.interp(places[inner], *cavity.profile(component))
        differences.append(computed - published[inner])
    assert np.sqrt(np.mean(np.concatenate(differences) ** 2)) < 0.03
    cavity.advance(1)
    assert np.abs(cavity.profile("u")[1] - before).max() < 0.005


def test_refined_flow_is_the_same():
    cavity = Cavity(32, reynolds=100)
    cavity.advance(0.5)
    finer = cavity.refined(64)
    for component in ("u", "v"):
        np.testing.assert_allclose(
            finer.profile(component)[1][::2], cavity.profile(component)[1], atol=1e-12
        )
