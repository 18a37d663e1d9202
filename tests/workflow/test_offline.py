"""No job asks a network for anything: compute nodes often have none."""

import shutil
import subprocess

import pytest


@pytest.mark.slow
def test_every_step_runs_without_a_network(clone, tmp_path):
    """A tiny run to the report, in a network namespace that holds nothing but loopback."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    alone = ["unshare", "--net", "--map-root-user"]
    tried = subprocess.run([*alone, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"a network of one's own is not allowed here: {tried.stderr.strip()}")
    seen = subprocess.run(
        [*alone, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True
    ).stdout
    assert {line.split(":")[0].strip() for line in seen.splitlines()[2:]} <= {"lo"}
    done = subprocess.run(
        [*alone, "python", "-m", "flexbench", "run", "--cores", "2", *clone.tiny(tmp_path)],
        cwd=clone.folder,
        env=clone.environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "smoke" / "report.html").is_file()
