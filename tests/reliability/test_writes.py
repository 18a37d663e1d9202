"""No verb writes outside the folders that it was given: everything else is read-only meanwhile."""

import json
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


# Verbs one after another in one process, each given as JSON.
VERBS = """
import json, sys
from flexbench import cli
for words in sys.argv[1:]:
    cli.app(json.loads(words), standalone_mode=False)
"""


@pytest.fixture(scope="module")
def sealed(tiny_run, tmp_path_factory):
    """Runs modules where only the given folders can be written, in a clone with the tiny run."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a read-only file system of its own needs root and unshare")
    clone = tiny_run.copy(tmp_path_factory.mktemp("sealed") / "clone")
    shutil.copy2(checkout() / "CITATION.cff", clone.folder)
    (clone.folder / "docs").mkdir()
    shutil.copy2(checkout() / "docs/data-card.md", clone.folder / "docs")
    home = tmp_path_factory.mktemp("home")

    def run(*words, program=("-m",), writable=(), temporary=None, timeout=300):
        environment = clone.environment | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TMPDIR"):
            environment.pop(name, None)
        folders = [str(folder) for folder in writable]
        if temporary is not None:
            environment |= {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(temporary / "cache")}
            folders.append(str(temporary))
        command = ["unshare", "--mount", "bash", "-c", READ_ONLY, "bash", *folders, "--"]
        return subprocess.run(
            [*command, sys.executable, *program, *map(str, words)],
            cwd=clone.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def verbs(*calls, **options):
        words = (json.dumps([str(word) for word in call]) for call in calls)
        return run(*words, program=("-c", VERBS), **options)

    run.clone, run.verbs, run.root = clone, verbs, clone.folder / "results"
    probe = run("flexbench", "--help")
    if "mount:" in probe.stderr or "unshare:" in probe.stderr:
        pytest.skip(f"no mount namespace here: {probe.stderr.strip().splitlines()[-1]}")
    return run


def ok(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


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


def test_steps_write_below_the_root_alone(sealed, tmp_path):
    """Every verb of the graph, in its order, over what is there; torch wants a temporary folder."""
    root, temporary = tmp_path / "root", tmp_path / "temporary"
    temporary.mkdir()
    shutil.copytree(sealed.root, root)
    before = (root / "smoke" / "report.html").stat().st_ino
    steps = (
        ("simulate", "--re", 100, "--seed", 100),
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
    )
    tiny = sealed.clone.tiny(root)
    calls = [(*words, *tiny) for words in steps]
    ok(sealed.verbs(*calls, writable=[root], temporary=temporary))
    assert {path.name for path in root.iterdir()} == {"smoke", "sizes.json"}
    assert (root / "smoke" / "report.html").stat().st_ino != before, "it wrote"
    assert all(path.name.startswith("torchinductor_") for path in temporary.iterdir())


def test_verbs_that_only_look_write_nothing(sealed):
    tiny, root = sealed.clone.tiny(sealed.root), sealed.root
    done = sealed.verbs(
        ("methods", *tiny),
        ("config", *tiny),
        ("verify", *tiny),
        ("compare", root / "smoke", root / "smoke"),
        ("regress", "--explain"),
        ("check", *root.glob("smoke/data/*.h5")),
    )
    assert "bytes checked" in ok(done).stdout
    assert ": ok" in done.stdout


def test_an_import_writes_its_output_and_its_sidecar_alone(sealed, tmp_path):
    source = checkout() / "tests" / "data" / "flex_tiny.safetensors"
    words = ("import-checkpoint", source, tmp_path / "ours.safetensors", "--heads", 4)
    ok(sealed("flexbench", *words, writable=[tmp_path]))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ours.safetensors", "ours.safetensors.yaml"}


def test_an_export_writes_its_archive_alone(sealed, tmp_path):
    words = ("export", tmp_path / "archive.zip", *sealed.clone.tiny(sealed.root))
    ok(sealed("flexbench", *words, writable=[tmp_path]))
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_a_run_needs_snakemakes_own_folder_too(sealed, tmp_path):
    """`.snakemake` in the clone, a temporary folder and a cache, both where we say."""
    own, temporary, root = sealed.clone.folder / ".snakemake", tmp_path / "tmp", tmp_path / "root"
    temporary.mkdir()
    shutil.copytree(sealed.root, root)
    target = root / "smoke" / "data" / "splits.json"
    target.unlink()
    tiny = sealed.clone.tiny(root)
    ok(sealed("flexbench", "plan", *tiny, writable=[own], temporary=temporary))
    words = ("flexbench", "run", target, *tiny, "--cores", 2)
    ok(sealed(*words, writable=[root, own], temporary=temporary))
    assert target.is_file()
    assert [path.name for path in temporary.iterdir()] == ["cache"]
