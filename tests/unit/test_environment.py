"""The lock holds all that an installation brings; the recipes and the citation stay true."""

import re
from importlib.metadata import PackageNotFoundError, distribution, version

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flexbench import __version__
from flexbench.paths import checkout

EXTRAS = ("workflow", "dev")


def locked():
    """Exact version of each distribution in the lock."""
    lines = (checkout() / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}


def brought(name, extras, seen):
    """Every distribution that installing `name[extras]` brings, in this environment."""
    key = (canonicalize_name(name), extras)
    if key in seen:
        return
    seen.add(key)
    for text in distribution(name).requires or ():
        needed = Requirement(text)
        wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if needed.marker is None or any(needed.marker.evaluate(each) for each in wanted):
            brought(needed.name, tuple(sorted(needed.extras)), seen)


def test_the_lock_pins_everything_that_an_installation_brings():
    seen = set()
    try:
        brought("flexbench", EXTRAS, seen)
    except PackageNotFoundError as error:
        pytest.skip(f"not everything is installed here: {error}")
    names = {name for name, _ in seen} - {"flexbench"}
    assert len(names) > 100
    cuda = {name for name in names if name.startswith(("nvidia-", "triton", "cuda-"))}
    assert not names - cuda - set(locked())


def test_every_pin_is_exact():
    assert all(re.fullmatch(r"==[\w.]+", pin) for pin in locked().values())


def test_this_environment_satisfies_the_project():
    for text in distribution("flexbench").requires or ():
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in EXTRAS):
            assert needed.specifier.contains(version(needed.name), prereleases=True), text
            assert needed.specifier.contains(locked()[canonicalize_name(needed.name)][2:]), text


def test_both_containers_follow_the_recipe_of_continuous_integration():
    folder = checkout() / "containers"
    for place in (folder / "Dockerfile", folder / "flexbench.def", checkout() / ".ci" / "steps"):
        assert "containers/install.sh" in place.read_text(), place


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((checkout() / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == __version__
    assert all({"type", "title", "authors"} <= set(work) for work in citation["references"])
