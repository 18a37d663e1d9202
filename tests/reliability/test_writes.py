"""No verb writes outside the folders that it was given: everything else is read-only meanwhile."""

import os
import shutil
import subprocess
import sys

import pytest

from flexbench.paths import checkout

# In a mount namespace of its own: the whole tree read-only, the folders that follow writable.
READ_ONLY = """
set -e
mount --make-rprivate /
for folder in "$@"; do
    [ "$folder" = -- ] && break
    mount --bind "$folder" "$folder"
done
# Every other mount of the tree; the kernel's own are no disks.
awk '{print $5}' /proc/self/mountinfo | while read -r place; do
    case "$place" in /proc*|/sys*|/dev*) continue ;; esac
    keep=
    for folder in "$@"; do
        [ "$folder" = -- ] && break
        [ "$place" = "$folder" ] && keep=1
    done
    [ -n "$keep" ] || mount -o remount,bind,ro "$place"
done
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture(scope="module")
def sealed(make_clone, tmp_path_factory):
    """Runs `flexbench` where only the given folders can be written."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a read-only file system of its own needs root and unshare")
    clone = make_clone()
    shutil.copy2(checkout() / "CITATION.cff", clone.folder)
    home = tmp_path_factory.mktemp("home")

    def run(*words, writable=(), temporary=None, timeout=300):
        environment = clone.environment | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TMPDIR"):
            environment.pop(name, None)
        folders = [str(folder) for folder in writable]
        if temporary is not None:
            environment |= {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(temporary / "cache")}
            folders.append(str(temporary))
        command = ["unshare", "--mount", "bash", "-c", READ_ONLY, "bash", *folders, "--"]
        return subprocess.run(
            [*command, sys.executable, "-m", *map(str, words)],
            cwd=clone.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    run.clone = clone
    probe = run("flexbench", "--help")
    if "mount:" in probe.stderr or "unshare:" in probe.stderr:
        pytest.skip(f"no mount namespace here: {probe.stderr.strip().splitlines()[-1]}")
    return run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


def ok(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_the_seal_holds(sealed, tmp_path):
    """The test of the test: the same verb cannot write where it was not allowed to."""
    out = tmp_path / "out"
    out.mkdir()
    done = sealed("flexbench", "config", "--output", out / "config.yaml")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert not list(out.iterdir())
    ok(sealed("flexbench", "config", "--output", out / "config.yaml", writable=[out]))
    assert [path.name for path in out.iterdir()] == ["config.yaml"]


@pytest.mark.slow
def test_steps_write_below_the_root_alone(sealed, root, tmp_path):
    """Every verb of the graph, in its order, called by hand; torch wants a temporary folder."""
    tiny = sealed.clone.tiny(root)
    where = {"writable": [root], "temporary": tmp_path}
    for seed in (0, 50, 100):
        ok(sealed("flexbench", "simulate", "--re", 100, "--seed", seed, *tiny, **where))
    for words in (
        ("splits",),
        ("statistics", "superres_x4"),
        ("train", "superres_x4", "flex"),
        ("sample", "superres_x4", "flex"),
        ("sample", "superres_x4", "interpolation"),
        ("score", "superres_x4", "flex"),
        ("score", "superres_x4", "interpolation"),
        ("tabulate",),
        ("figure", "superres_x4", "maps"),
        ("report",),
    ):
        ok(sealed("flexbench", *words, *tiny, **where))
    assert {path.name for path in root.iterdir()} == {"smoke"}
    assert (root / "smoke" / "report.html").is_file()
    assert all(path.name.startswith("torchinductor_") for path in tmp_path.iterdir())


@pytest.mark.slow
def test_verbs_that_only_look_write_nothing(sealed, root):
    tiny = sealed.clone.tiny(root)
    ok(sealed("flexbench", "methods", *tiny))
    ok(sealed("flexbench", "config", *tiny))
    # One figure was drawn, so the page is not whole, and `verify` says so; it has looked at all.
    assert "bytes checked" in sealed("flexbench", "verify", "--partial", *tiny).stdout
    ok(sealed("flexbench", "compare", root / "smoke", root / "smoke"))
    ok(sealed("flexbench", "regress", "--explain"))
    assert "ok" in ok(sealed("flexbench", "check", *root.glob("smoke/data/*.h5"))).stdout


@pytest.mark.slow
def test_an_import_writes_its_output_alone(sealed, tmp_path):
    source = checkout() / "tests" / "data" / "flex_tiny.safetensors"
    words = ("import-checkpoint", source, tmp_path / "ours.safetensors", "--heads", 4)
    ok(sealed("flexbench", *words, writable=[tmp_path]))
    assert [path.name for path in tmp_path.iterdir()] == ["ours.safetensors"]


@pytest.mark.slow
def test_an_export_writes_its_archive_alone(sealed, root, tmp_path):
    words = ("export", tmp_path / "archive.zip", "--force", *sealed.clone.tiny(root))
    ok(sealed("flexbench", *words, writable=[tmp_path]))
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


@pytest.mark.slow
def test_a_run_needs_snakemakes_own_folder_too(sealed, tmp_path):
    """`.snakemake` in the clone, a temporary folder and a cache, both where we say."""
    own, temporary, root = sealed.clone.folder / ".snakemake", tmp_path / "tmp", tmp_path / "root"
    for folder in (own, temporary, root):
        folder.mkdir(exist_ok=True)
    target = root / "smoke" / "data" / "splits.json"
    tiny = sealed.clone.tiny(root)
    ok(sealed("flexbench", "run", "--dry-run", *tiny, writable=[own], temporary=temporary))
    ok(sealed("flexbench", "plan", *tiny, writable=[own], temporary=temporary))
    words = ("flexbench", "run", target, *tiny, "--cores", 2)
    ok(sealed(*words, writable=[root, own], temporary=temporary))
    assert target.is_file()
    assert [path.name for path in temporary.iterdir()] == ["cache"]
