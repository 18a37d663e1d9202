"""A run has the same bytes whoever starts it: notebooks, git hooks, odd homes, odd paths."""

import hashlib
import os
import shutil

import pytest

# What a notebook, a git hook, a container without a home and a bare locale hand down, at once.
HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "JPY_PARENT_PID": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "TERM": "xterm-color",
    "HOME": "/proc/nohome",
    "XDG_CACHE_HOME": "/proc/nohome/.cache",
    "MPLCONFIGDIR": "/proc/nohome/.matplotlib",
    "LC_ALL": "C",
    "TZ": "Pacific/Kiritimati",
    "PYTHONHASHSEED": "1",
    "PYTHONWARNINGS": "error",
    "SNAKEMAKE_PROFILE": "none-of-that-name",
    "OMP_DYNAMIC": "true",
    "OMP_THREAD_LIMIT": "1",
    "OMP_NUM_THREADS": "7",
    "OPENBLAS_NUM_THREADS": "7",
    "DVC_ROOT": "/proc",
}
UTF8 = {"LC_ALL": "C.UTF-8"}
COMPUTED = ("data", "checkpoints", "samples", "scores", "tables", "figures")


def hostile(folder):
    """The variables, with git's own of another repository; the folder holds a matplotlibrc."""
    (folder / "matplotlibrc").write_text("backend: TkAgg\nimage.lut: 3\n")
    other = folder.parent / "other.git"
    other.mkdir(exist_ok=True)
    names = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    return HOSTILE | dict.fromkeys(names, str(other))


def computed(root):
    """Digest of every file that is computed; of what is written beside, only what is compared."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in COMPUTED
        for path in sorted((root / "smoke" / part).rglob("*"))
        if path.is_file() and not path.name.endswith((".receipt.json", ".jsonl"))
    }


def differing(one, other):
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


# What shows the time that something took.
TIMED = {"smoke/tables/cost.csv"} | {
    f"smoke/figures/superres_x4/{name}.{kind}"
    for name in ("accuracy_cost", "loss")
    for kind in ("png", "pdf")
}


@pytest.fixture
def guest(tiny_run, tmp_path):
    """A copy of the tiny run in a folder with spaces and accents in its name."""
    return tiny_run.copy(tmp_path / "été à Zürich" / "my clone")


def test_a_hostile_environment_makes_nothing_stale_and_the_same_files(guest, made):
    """The verbs themselves, and Snakemake below `flexbench run`."""
    environment = hostile(guest.folder)
    done = guest.flexbench(
        "run", "-n", *guest.tiny("results"), environment=environment, umask=0o077
    )
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stdout, done.stdout
    results = guest.folder / "results"
    resolved = ("--resolved", results / "smoke" / "config.yaml")
    for words in (("figure", "superres_x4", "maps"), ("score", "superres_x4", "flex")):
        done = guest.flexbench(*words, *resolved, environment=environment | UTF8, umask=0o077)
        assert done.returncode == 0, done.stderr
    redrawn = results / "smoke" / "figures" / "superres_x4" / "maps.png"
    assert redrawn.stat().st_mode & 0o777 == 0o600, "it was not written anew"
    assert not differing(computed(results), computed(made))


@pytest.mark.parametrize("home", ["/proc/nohome", "/dev/null/home"])
def test_plain_snakemake_needs_a_cache_and_no_home(shared_clone, home, tmp_path):
    environment = {"HOME": home, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ("--config", "tier=smoke", f"root={tmp_path / 'results'}")
    done = shared_clone.snakemake(
        "--cores", "1", "-n", "--nolock", "--quiet", "all", *words, environment=environment
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache" / "snakemake").is_dir()
    assert not (tmp_path / "results").exists()


@pytest.mark.nightly
def test_a_whole_run_in_a_hostile_environment_computes_the_same_bytes(guest, made):
    shutil.rmtree(guest.folder / "results")
    shutil.rmtree(guest.folder / ".snakemake")
    environment = hostile(guest.folder)
    run = ("run", "--cores", "2", *guest.tiny("results"))
    done = guest.flexbench(*run, environment=environment, umask=0o077, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    results = guest.folder / "results"
    assert set(differing(computed(results), computed(made))) <= TIMED
    assert os.listdir(guest.folder.parent / "other.git") == []
