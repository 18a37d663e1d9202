"""No job asks a network for anything: compute nodes often have none."""

import pytest


def test_every_step_ran_without_a_network(tiny_run):
    """The tiny run to the report was made in a network namespace with nothing but loopback."""
    seen = tiny_run.folder / "interfaces"
    if not seen.is_file():
        pytest.skip("a process cannot go without a network here: unshare is missing or not allowed")
    lines = seen.read_text().splitlines()[2:]
    assert {line.split(":")[0].strip() for line in lines} <= {"lo"}
    assert (tiny_run.folder / "results" / "smoke" / "report.html").stat().st_size > 10_000
